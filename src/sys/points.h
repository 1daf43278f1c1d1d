/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Test points: places where a process may die with something half done.
 * mye_point() stands before and after every store into shared memory and every
 * call that others can see. In a test build it counts, and
 * MYELON_TEST_KILL_AT=n raises SIGKILL at the n-th; in the shipped library it
 * is nothing.
 */
#ifndef MYE_SYS_POINTS_H
#define MYE_SYS_POINTS_H

#ifdef MYE_TEST_POINTS
void mye_point(void);                  /* async-signal-safe */
unsigned long mye_points_passed(void); /* so far in this process */
/* Die at the n-th point from now; 0: never. Overrides MYELON_TEST_KILL_AT. */
void mye_points_kill_in(unsigned long n);
#else
static inline void mye_point(void)
{
}
#endif

#endif
