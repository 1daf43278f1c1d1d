/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the race programs share: threads of one process, each with handles of its own on one ring. */
#ifndef MYELON_TEST_RACE_H
#define MYELON_TEST_RACE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <myelon/myelon.h>

#include "kit.h"

/* ThreadSanitizer makes everything slower, and its build maps a ring once: claims end at the wrap. */
#ifdef MYE_SINGLE_MAP
#define RACE_SINGLE_MAP true
#else
#define RACE_SINGLE_MAP false
#endif

/* How often: @dev times, @tsan in the ThreadSanitizer build; times MYELON_TEST_SCALE. */
long race_count(long dev, long tsan);

/* Ends the program as failed if it does not finish in @seconds (scaled). */
void race_watchdog(unsigned int seconds);

/* Counts a failure. @return true if it is one of the first, which are printed. */
bool race_count_failure(void);
#define race_fail(fmt, ...)                                                                        \
	((void)(race_count_failure() && printf("FAIL: " fmt "\n", ##__VA_ARGS__)))

/* True as soon as something failed: threads give up then. */
bool race_failed(void);

/* The exit code of main(). */
int race_result(void);

/* A call that must not fail; @what and the library's sentence are printed if it does. */
#define RACE_OK(call) race_ok((call), #call)
static inline int race_ok(int rc, const char *what)
{
	if (rc < 0)
		race_fail("%s: %d, %s", what, rc, myelon_last_error());
	return rc;
}

/* How long an attach waits for its ring: until the watchdog would bark anyway. */
#define RACE_ATTACH_NS 20000000000

void race_start(pthread_t *thread, void *(*run)(void *), void *arg);
void race_join(pthread_t thread);

/* A private sequence of pseudo-random numbers. */
uint32_t race_random(uint64_t *state);

/* Payload: slots of a multiple of 8 bytes, every word a function of the sequence. */
static inline uint64_t race_word(int64_t seq, uint32_t i)
{
	return ((uint64_t)seq + 1) * 0x9e3779b97f4a7c15u ^ i * 0xc2b2ae3d27d4eb4fu;
}

/* Atomic stores, because an observer may look meanwhile; they are as fast as plain ones. */
static inline void race_fill(void *slot, uint32_t slot_size, int64_t seq)
{
	uint64_t *word = slot;

	for (uint32_t i = 0; i < slot_size / 8; i++)
		__atomic_store_n(&word[i], race_word(seq, i), __ATOMIC_RELAXED);
}

/* True if @slot holds what race_fill() wrote for @seq; else race_fail() was called. */
static inline bool race_check(const void *slot, uint32_t slot_size, int64_t seq, const char *who)
{
	const uint64_t *word = slot;

	for (uint32_t i = 0; i < slot_size / 8; i++)
		if (word[i] != race_word(seq, i)) {
			race_fail("%s: sequence %lld, word %u of its slot is not what was written",
			          who, (long long)seq, i);
			return false;
		}
	return true;
}

/*
 * As many of @n slots from @seq on as a claim may have: all, unless the ring is mapped once and they
 * would cross its end.
 */
uint32_t race_fit(uint32_t n, int64_t seq, uint64_t slots);

#endif
