/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file wait.h - deadlines and wait strategies.
 *
 * A deadline is one int64_t: MYELON_TRY (never wait), MYELON_FOREVER, or an
 * absolute CLOCK_MONOTONIC time in ns, so that a call that is repeated after a
 * signal does not wait longer in all.
 */
#ifndef MYELON_WAIT_H
#define MYELON_WAIT_H

#include <stdint.h>

#include <myelon/export.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MYELON_TRY 0
#define MYELON_FOREVER INT64_MAX

/** How a handle waits: for messages (consumer, observer) or for room
 * (producer). */
enum myelon_wait {
	/** Default: spin for at most the measured cost of one park and wake, then
   * park; do not spin when the ring's handles outnumber the usable CPUs. */
	MYELON_WAIT_ADAPTIVE = 0,
	/** Poll without a pause. Needs a core of its own. */
	MYELON_WAIT_SPIN = 1,
	/** Poll with the CPU's pause hint. Needs a core of its own. */
	MYELON_WAIT_SPIN_PAUSE = 2,
	/** Poll and give the CPU to whoever is runnable in between. */
	MYELON_WAIT_YIELD = 3,
	/** Poll and sleep in between, 50 us at first, up to 1 ms while nothing comes.
   */
	MYELON_WAIT_SLEEP = 4,
	/** Sleep in the kernel until woken; costs nothing while idle. */
	MYELON_WAIT_PARK = 5,
};

/** A short stall between two polls: PAUSE on x86, ISB on arm64 (where YIELD does nothing on common
 * cores). */
static inline void myelon_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("isb" ::: "memory");
#else
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
#endif
}

/** CLOCK_MONOTONIC in ns; add to it to make a deadline. */
MYELON_API int64_t myelon_now(void);

/** The deadline @p ns from now; saturates; 0 or less is one that has passed. */
MYELON_API int64_t myelon_deadline_after(int64_t ns);

/** "adaptive", "spin", "spin-pause", "yield", "sleep", "park"; NULL for an
 * unknown value. */
MYELON_API const char *myelon_wait_name(enum myelon_wait wait);

/** The strategy of a name of myelon_wait_name(), or -EINVAL. */
MYELON_API int myelon_wait_parse(const char *name);

#ifdef __cplusplus
}
#endif
#endif
