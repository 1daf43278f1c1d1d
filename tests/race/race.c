/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "race.h"

#include <stdatomic.h>
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
	/* What was printed must not be lost with the program. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* SIGALRM ends the program, which the runner reports. */
	alarm(seconds);
}

bool race_count_failure(void)
{
	return atomic_fetch_add(&failures, 1) < PRINTED;
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

uint32_t race_fit(uint32_t n, int64_t seq, uint64_t slots)
{
#ifdef MYE_SINGLE_MAP
	uint64_t to_end = slots - ((uint64_t)seq & (slots - 1));

	return n > to_end ? (uint32_t)to_end : n;
#else
	(void)seq;
	(void)slots;
	return n;
#endif
}
