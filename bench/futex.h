/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The bare futex, between processes. */
#ifndef MYELON_BENCH_FUTEX_H
#define MYELON_BENCH_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sleeps while *@word is @value; may return early. */
static inline void bench_futex_wait(_Atomic uint32_t *word, uint32_t value)
{
	(void)syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static inline void bench_futex_wake(_Atomic uint32_t *word)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

#endif
