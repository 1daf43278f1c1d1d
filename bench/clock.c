/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "clock.h"

#include <stdio.h>
#include <string.h>

struct bench_clock bench_clock = {.tsc = false, .ns_per_tick = 1.0};

#if defined(__x86_64__)
/* True if the counter runs at one rate on all CPUs, also while they sleep. */
static bool tsc_is_invariant(void)
{
	char line[8192];
	bool found = false;
	FILE *f = fopen("/proc/cpuinfo", "re");

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		if (strncmp(line, "flags", 5) == 0)
			found = strstr(line, " constant_tsc") && strstr(line, " nonstop_tsc");
	(void)fclose(f);
	return found;
}

static double monotonic_ns(uint64_t *ticks)
{
	struct timespec ts;
	uint64_t before, after, best = UINT64_MAX;
	double ns = 0;

	/* Several tries: the one with the least time between the two readings counts. */
	for (int i = 0; i < 16; i++) {
		before = __builtin_ia32_rdtsc();
		clock_gettime(CLOCK_MONOTONIC, &ts);
		after = __builtin_ia32_rdtsc();
		if (after - before < best) {
			best = after - before;
			*ticks = before + best / 2;
			ns = (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
		}
	}
	return ns;
}
#endif

void bench_clock_start(void)
{
#if defined(__x86_64__)
	const struct timespec wait = {.tv_nsec = 50 * 1000 * 1000};
	uint64_t t0 = 0, t1 = 0;
	double n0, n1;

	if (!tsc_is_invariant())
		return;
	n0 = monotonic_ns(&t0);
	nanosleep(&wait, NULL);
	n1 = monotonic_ns(&t1);
	if (t1 <= t0 || n1 <= n0)
		return;
	bench_clock.ns_per_tick = (n1 - n0) / (double)(t1 - t0);
	bench_clock.tsc = true;
#endif
}

double bench_clock_step_ns(void)
{
	uint64_t step = UINT64_MAX;

	for (int i = 0; i < 1000; i++) {
		uint64_t t0 = bench_ticks(), t1;

		while ((t1 = bench_ticks()) == t0)
			;
		if (t1 - t0 < step)
			step = t1 - t0;
	}
	return bench_ticks_ns(step);
}

double bench_cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}
