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

/** For options that say how long to spin before a sleep: never. */
#define MYELON_NO_SPIN (-1)

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
	/** Shown for a consumer whose descriptor is in somebody's event loop
   * (myelon_consumer_fd()); cannot be asked for. */
	MYELON_WAIT_FD = 6,
};

/**
 * What a sleep over several things is made of. The environment variable MYELON_ENGINE ("uring",
 * "epoll", "direct", "proxy") takes the place of MYELON_ENGINE_AUTO.
 */
enum myelon_engine {
	/** The first that works, in the order of this list. */
	MYELON_ENGINE_AUTO = 0,
	/** io_uring: it waits for doorbells itself (Linux 6.7). */
	MYELON_ENGINE_URING = 1,
	/** epoll, eventfd and futex_waitv. For a descriptor consumer: DIRECT. */
	MYELON_ENGINE_EPOLL = 2,
	/** Descriptor consumers: an eventfd that the producer took over and writes; PROXY until then. */
	MYELON_ENGINE_DIRECT = 3,
	/** Descriptor consumers: this process's keeper thread sleeps on the doorbell and writes the
   * eventfd. Always possible; two wakes instead of one. */
	MYELON_ENGINE_PROXY = 4,
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

/** "adaptive", "spin", "spin-pause", "yield", "sleep", "park", "fd"; NULL for an
 * unknown value. */
MYELON_API const char *myelon_wait_name(enum myelon_wait wait);

/** The strategy of a name of myelon_wait_name(), or -EINVAL. */
MYELON_API int myelon_wait_parse(const char *name);

/** "auto", "uring", "epoll", "direct", "proxy"; NULL for an unknown value. */
MYELON_API const char *myelon_engine_name(enum myelon_engine engine);

/** The engine of a name of myelon_engine_name(), or -EINVAL. */
MYELON_API int myelon_engine_parse(const char *name);

#ifdef __cplusplus
}
#endif
#endif
