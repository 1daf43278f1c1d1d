/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "sys/points.h"

#ifdef MYE_TEST_POINTS

#include <signal.h>
#include <stdlib.h>

static unsigned long passed;
static unsigned long kill_at; /* 0: never */

/* Before main(), so that a point in a signal handler has nothing to parse. */
__attribute__((constructor)) static void read_environment(void)
{
	const char *text = getenv("MYELON_TEST_KILL_AT");

	if (text)
		kill_at = strtoul(text, NULL, 10);
}

void mye_point(void)
{
	unsigned long n = __atomic_add_fetch(&passed, 1, __ATOMIC_RELAXED);

	if (__builtin_expect(n == __atomic_load_n(&kill_at, __ATOMIC_RELAXED), 0))
		raise(SIGKILL);
}

unsigned long mye_points_passed(void)
{
	return __atomic_load_n(&passed, __ATOMIC_RELAXED);
}

void mye_points_kill_in(unsigned long n)
{
	__atomic_store_n(&kill_at, n ? mye_points_passed() + n : 0, __ATOMIC_RELAXED);
}

#endif
