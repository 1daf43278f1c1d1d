/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "race.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PRINTED 10

static _Atomic unsigned int failures;

long race_count(long dev, long tsan)
{
	const char *text = getenv("MYELON_TEST_SCALE");
	double scale = text ? strtod(text, NULL) : 1;
	double n = (double)(RACE_SINGLE_MAP ? tsan : dev) * (scale > 0 ? scale : 1);

	return n < 1 ? 1 : (long)n;
}

void race_watchdog(unsigned int seconds)
{
	const char *names[] = {"MYELON_TEST_TIMEOUT_SCALE", "MYELON_TEST_SCALE"};

	for (int i = 0; i < 2; i++) {
		const char *text = getenv(names[i]);
		double scale = text ? strtod(text, NULL) : 1;

		if (scale > 1)
			seconds = (unsigned int)(seconds * scale);
	}
	/* SIGALRM ends the program, which the runner reports. */
	alarm(seconds);
}

void race_fail(const char *fmt, ...)
{
	va_list args;
	char line[512];

	if (failures++ >= PRINTED)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	printf("FAIL: %s\n", line);
	fflush(stdout);
}

bool race_failed(void)
{
	return failures > 0;
}

int race_result(void)
{
	if (failures > PRINTED)
		printf("FAIL: %u in all\n", failures);
	return failures ? 1 : 0;
}

int race_ok(int rc, const char *what)
{
	if (rc < 0)
		race_fail("%s: %d, %s", what, rc, myelon_last_error());
	return rc;
}

void race_start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	if (pthread_create(thread, NULL, run, arg) != 0) {
		perror("pthread_create");
		abort();
	}
}

void race_join(pthread_t thread)
{
	pthread_join(thread, NULL);
}

uint32_t race_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33);
}

static uint64_t word_of(int64_t seq, uint32_t i)
{
	return ((uint64_t)seq + 1) * 0x9e3779b97f4a7c15ull ^ i * 0xc2b2ae3d27d4eb4full;
}

void race_fill(void *slot, uint32_t slot_size, int64_t seq)
{
	uint64_t *word = slot;

	/* Atomic, because an observer may look while we write; it is as fast as a plain store. */
	for (uint32_t i = 0; i < slot_size / 8; i++)
		__atomic_store_n(&word[i], word_of(seq, i), __ATOMIC_RELAXED);
}

bool race_check(const void *slot, uint32_t slot_size, int64_t seq, const char *who)
{
	const uint64_t *word = slot;

	for (uint32_t i = 0; i < slot_size / 8; i++)
		if (word[i] != word_of(seq, i)) {
			race_fail("%s: sequence %lld, word %u of its slot is not what was written",
			          who, (long long)seq, i);
			return false;
		}
	return true;
}

uint32_t race_fit(uint32_t n, int64_t seq, uint64_t slots)
{
	uint64_t to_end = slots - ((uint64_t)seq & (slots - 1));

	return RACE_SINGLE_MAP && n > to_end ? (uint32_t)to_end : n;
}
