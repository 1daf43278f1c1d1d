/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Subjects of `myelon bench wake`: one way to wait, as a round trip and at a rate. */
#ifndef MYELON_BENCH_WAKE_H
#define MYELON_BENCH_WAKE_H

#include <stdint.h>

#include "crew.h"
#include "ends.h"
#include "trips.h"
#include "way.h"

/* A subject, filled before the fork. */
struct bench_wake {
	struct bench_ring
		ring; /* the one with messages; and the round trip's second, which is alike */
	struct bench_ring idle;    /* the others of a wait set */
	unsigned int which;        /* of way.h */
	uint32_t rings;            /* in the wait set */
	struct bench_trips *trips; /* shared */
	struct bench_trip_plan plan;
	double rate;    /* messages per second */
	double seconds; /* of them */

	/* Private to each process. */
	struct bench_out out;
	struct bench_in in;
	struct bench_out *idle_out;
	struct bench_in *idle_in;
	struct bench_way way;
	uint64_t wrong;
};

/* What one combination gave. */
struct bench_wake_result {
	double cpu[2];   /* share of one CPU: producer (only in publish), consumer */
	double achieved; /* messages per second */
	bool verified;
};

/* Fills @w, which was zeroed; trips stay the caller's. */
void bench_wake_plan(struct bench_wake *w, const struct bench_options *o,
                     const struct bench_place *place, struct bench_trips *trips, unsigned int which,
                     uint32_t rings);

/* Does this way exist here? 1; 0, with the reason in @reason; -1 after an error message. */
int bench_wake_probe(struct bench_wake *w, char *reason, size_t size);

/*
 * One round of round trips, each after the silence of the options; 0 or -1. The trips are in @w->trips; @sleeps of both
 * sides per trip.
 */
int bench_wake_trips(struct bench_wake *w, uint64_t messages, double *sleeps, bool *verified);

/* One run at @rate for @seconds; latencies, from the intended time, are in @w->trips->intended. */
int bench_wake_rate(struct bench_wake *w, double rate, double seconds,
                    struct bench_wake_result *result);

/* The crew's meetings; one is only counted. */
enum {
	BENCH_MEET_OPEN,
	BENCH_COUNT_SETTLED,
	BENCH_MEET_QUIET,
	BENCH_MEET_EMPTY,
	BENCH_MEET_DECIDED,
	BENCH_MEET_END,
};

/* wake_ends.c, in a role: make rings, read those of the other; wait until every way is what it shall
 * be. */
int bench_wake_make(struct bench_wake *w, const char *stem, struct bench_role *me);
int bench_wake_read(struct bench_wake *w, const char *stem, struct bench_role *me);
int bench_wake_settle(struct bench_wake *w, struct bench_crew *crew, struct bench_role *me);
void bench_wake_close(struct bench_wake *w, struct bench_role *me);

#endif
