/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The clock of the measurements. On x86 with an invariant time stamp counter it is that counter,
 * calibrated once before the processes are forked (CLOCK_MONOTONIC may tick as coarsely as 10 ns);
 * elsewhere it is CLOCK_MONOTONIC. Ticks of different processes may be compared.
 */
#ifndef MYELON_BENCH_CLOCK_H
#define MYELON_BENCH_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <myelon/wait.h>

struct bench_clock {
	bool tsc;
	double ns_per_tick;
};

extern struct bench_clock bench_clock;

/* Must be called before the first fork. */
void bench_clock_start(void);

static inline uint64_t bench_ticks(void)
{
	struct timespec ts;

#if defined(__x86_64__)
	if (__builtin_expect(bench_clock.tsc, 1))
		return __builtin_ia32_rdtsc();
#endif
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Read only after everything before it is done: for a single short interval. */
static inline uint64_t bench_ticks_ordered(void)
{
#if defined(__x86_64__)
	__builtin_ia32_lfence();
#elif defined(__aarch64__)
	__asm__ __volatile__("isb" ::: "memory");
#endif
	return bench_ticks();
}

static inline double bench_ticks_ns(uint64_t ticks)
{
	return (double)ticks * bench_clock.ns_per_tick;
}

static inline uint64_t bench_ns_ticks(double ns)
{
	return (uint64_t)(ns / bench_clock.ns_per_tick);
}

/* What the library does between two polls, so that base and subject do the same. */
static inline void bench_pause(void)
{
	myelon_relax();
}

/* The smallest step the clock was seen to make, ns. */
double bench_clock_step_ns(void);

/* CPU time of this process so far, seconds. */
double bench_cpu_seconds(void);

#endif
