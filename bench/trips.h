/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Times round trips. The first part, in groups of 16, gives the p50 that is compared: reading the
 * clock then costs nothing that counts. The second part times every trip by itself and gives the
 * distribution, whose tail groups would hide.
 */
#ifndef MYELON_BENCH_TRIPS_H
#define MYELON_BENCH_TRIPS_H

#include <stdatomic.h>

#include "clock.h"
#include "histogram.h"

#define BENCH_GROUP 16u
#define BENCH_DEPTH_MAX 64u

/* In shared memory: filled by the process that measures. */
struct bench_trips {
	struct bench_histogram group;    /* ns of 16 trips */
	struct bench_histogram single;   /* ns; with a rate: from the actual send time */
	struct bench_histogram intended; /* ns from the scheduled send time */
	_Atomic uint64_t silent; /* ticks that the answerer was silent in the trip under way */
};

struct bench_trip_plan {
	uint64_t warmup;
	uint64_t groups;
	uint64_t singles;
	double rate;       /* trips per second, 0: as fast as they go; applies to the singles */
	double silence_ns; /* before each message of the singles, which are timed without it */
};

/* One round trip; 0, or -1 when it failed. */
typedef int (*bench_trip_fn)(void *ctx, uint64_t sequence);

/* From about @messages per round; every role computes the same. */
static inline struct bench_trip_plan bench_trip_plan(uint64_t messages, double rate)
{
	struct bench_trip_plan p = {.rate = rate};

	p.warmup = messages / 10 + 1;
	if (rate > 0) {
		p.singles = messages;
	} else {
		p.groups = messages / 2 / BENCH_GROUP + 1;
		p.singles = messages / 2 + 1;
	}
	return p;
}

static inline uint64_t bench_trip_total(const struct bench_trip_plan *p)
{
	return p->warmup + p->groups * BENCH_GROUP + p->singles;
}

/* Singles only, with a silence before each message: who waits for it has gone to sleep. */
static inline struct bench_trip_plan bench_trip_plan_silent(uint64_t messages, double silence_ns)
{
	return (struct bench_trip_plan){
		.warmup = messages / 10 + 1, .singles = messages, .silence_ns = silence_ns};
}

/* @return ticks. */
static inline uint64_t bench_be_silent(const struct bench_trip_plan *p)
{
	uint64_t begun, now;

	if (p->silence_ns <= 0)
		return 0;
	begun = now = bench_ticks();
	while (bench_ticks_ns(now - begun) < p->silence_ns) {
		bench_pause();
		now = bench_ticks_ordered();
	}
	return now - begun;
}

/* The answerer's, who tells it before its message. */
static inline void bench_be_silent_in_trip(struct bench_trips *t, const struct bench_trip_plan *p)
{
	uint64_t silent = bench_be_silent(p);

	/* Relaxed: the answer that follows is what the asker waits for. */
	if (silent)
		atomic_store_explicit(&t->silent, silent, memory_order_relaxed);
}

/* Median round trip of this round, ns; -1: none was measured. */
static inline double bench_trips_p50(const struct bench_trips *t)
{
	double p50 = bench_histogram_percentile(&t->group, 50);

	return p50 < 0 ? bench_histogram_percentile(&t->single, 50) : p50 / BENCH_GROUP;
}

/*
 * The same with @depth requests under way: each is timed by itself, from its send to its answer.
 * @send and @receive handle one message each.
 */
static inline __attribute__((always_inline)) int bench_trips_pipelined(
	struct bench_trips *t, const struct bench_trip_plan *p, bench_trip_fn send,
	bench_trip_fn receive, void *ctx, unsigned int depth, uint64_t *start)
{
	uint64_t sent[BENCH_DEPTH_MAX], total = bench_trip_total(p), asked = 0;

	for (uint64_t seq = 0; seq < total; seq++) {
		while (asked < total && asked < seq + depth) {
			sent[asked % depth] = bench_ticks_ordered();
			if (send(ctx, asked++) < 0)
				return -1;
		}
		if (receive(ctx, seq) < 0)
			return -1;
		if (seq == p->warmup)
			*start = bench_ticks();
		if (seq > p->warmup)
			bench_histogram_add(&t->single,
			                    (uint64_t)bench_ticks_ns(bench_ticks_ordered() -
			                                             sent[seq % depth]));
	}
	return 0;
}

/* Inlined with a constant @trip, so that no indirect call is measured. */
static inline __attribute__((always_inline)) int bench_trips_run(struct bench_trips *t,
                                                                 const struct bench_trip_plan *p,
                                                                 bench_trip_fn trip, void *ctx,
                                                                 uint64_t *start)
{
	uint64_t seq = 0, t0, t1;

	for (uint64_t i = 0; i < p->warmup; i++) {
		bench_be_silent(p);
		if (trip(ctx, seq++) < 0)
			return -1;
	}
	*start = bench_ticks();
	for (uint64_t i = 0; i < p->groups; i++) {
		t0 = bench_ticks();
		for (unsigned int k = 0; k < BENCH_GROUP; k++)
			if (trip(ctx, seq++) < 0)
				return -1;
		t1 = bench_ticks();
		bench_histogram_add(&t->group, (uint64_t)(bench_ticks_ns(t1 - t0) + 0.5));
	}
	if (p->rate > 0) {
		double interval = 1e9 / p->rate / bench_clock.ns_per_tick;
		uint64_t first = bench_ticks();

		for (uint64_t i = 0; i < p->singles; i++) {
			uint64_t due = first + (uint64_t)((double)i * interval);

			while ((t0 = bench_ticks()) < due)
				bench_pause();
			if (trip(ctx, seq++) < 0)
				return -1;
			t1 = bench_ticks_ordered();
			bench_histogram_add(&t->single, (uint64_t)bench_ticks_ns(t1 - t0));
			bench_histogram_add(&t->intended, (uint64_t)bench_ticks_ns(t1 - due));
		}
		return 0;
	}
	for (uint64_t i = 0; i < p->singles; i++) {
		bench_be_silent(p);
		t0 = bench_ticks_ordered();
		if (trip(ctx, seq++) < 0)
			return -1;
		t1 = bench_ticks_ordered();
		/* Relaxed: set before the answer that came. */
		t1 -= atomic_load_explicit(&t->silent, memory_order_relaxed);
		bench_histogram_add(&t->single, (uint64_t)bench_ticks_ns(t1 - t0));
	}
	return 0;
}

#endif
