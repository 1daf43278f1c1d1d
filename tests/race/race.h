/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the race programs share: threads of one process, each with handles of its own on one ring. */
#ifndef MYELON_TEST_RACE_H
#define MYELON_TEST_RACE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

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

/* Counts a failure; the first few are printed. Any thread. */
void race_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* True as soon as something failed: threads give up then. */
bool race_failed(void);

/* The exit code of main(). */
int race_result(void);

/* A call that must not fail; @what and the library's sentence are printed if it does. */
#define RACE_OK(call) race_ok((call), #call)
int race_ok(int rc, const char *what);

void race_start(pthread_t *thread, void *(*run)(void *), void *arg);
void race_join(pthread_t thread);

/* A private sequence of pseudo-random numbers. */
uint32_t race_random(uint64_t *state);

/* Payload: slots of a multiple of 8 bytes, every word a function of the sequence. */
void race_fill(void *slot, uint32_t slot_size, int64_t seq);
/* True if @slot holds what race_fill() wrote for @seq; else race_fail() was called. */
bool race_check(const void *slot, uint32_t slot_size, int64_t seq, const char *who);

/*
 * As many of @n slots from @seq on as a claim may have: all, unless the ring is mapped once and they
 * would cross its end.
 */
uint32_t race_fit(uint32_t n, int64_t seq, uint64_t slots);

#endif
