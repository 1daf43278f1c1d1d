/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Victims for `bench death`: one process at a time, a consumer that is killed while the producer is
 * blocked by it. Two roles, the producer (death_producer.c) and the killer (death_killer.c), meet in one
 * shared struct; each step is one victim.
 */
#ifndef MYELON_BENCH_DEATH_H
#define MYELON_BENCH_DEATH_H

#include "crew.h"
#include "ends.h"
#include "histogram.h"

#include <stdatomic.h>
#include <stdint.h>

#define DEATH_ID "victim"
#define DEATH_STEM "death"
#define DEATH_PROGRESS_NS INT64_C(250000000) /* of the timeout path: the library's default */
#define DEATH_CHECK_NS INT64_C(5000000)      /* of a spinning producer: the library's default */
#define DEATH_TIMEOUT_EACH 50u               /* one step in so many */

/* How a step notices. */
enum death_how {
	DEATH_MANAGED, /* killed; a managed claim tells */
	DEATH_LEASED,  /* killed; it had a lease, and a managed claim tells */
	DEATH_BARE,    /* killed; poll() on its pidfd tells */
	DEATH_TIMEOUT, /* stopped; a managed claim tells by its timeout */
	DEATH_HOWS
};

struct death {
	struct bench_ring ring;
	uint64_t steps;
	/* Counts of steps, each written by one side only. */
	_Atomic uint64_t attached; /* victim: is there, and has read everything */
	_Atomic uint64_t blocked;  /* producer: waits for it */
	_Atomic uint64_t noticed;  /* producer */
	_Atomic int32_t pid;       /* victim */
	_Atomic uint64_t struck;   /* killer: ticks before the signal */
	_Atomic uint64_t told;     /* producer: ticks when it knew */
	uint64_t victim_memory;    /* bytes that it touches */
	uint64_t victim_rss;       /* bytes */
	uint64_t dying;            /* producer: alerts that said so */
	struct bench_histogram ns[DEATH_HOWS];
};

/* All ways take turns, so that they see the same machine. */
static inline enum death_how death_how_of(uint64_t step)
{
	if (step % DEATH_TIMEOUT_EACH == DEATH_TIMEOUT_EACH - 1)
		return DEATH_TIMEOUT;
	return (enum death_how)(step % DEATH_TIMEOUT);
}

/* Until @word is at least @value. */
void death_await(const _Atomic uint64_t *word, uint64_t value);

int death_play_producer(struct death *d, struct bench_role *me);
int death_play_killer(struct death *d, struct bench_role *me);

#endif
