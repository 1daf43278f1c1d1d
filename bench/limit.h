/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The bare figures that every benchmark measures in the same run, in turn with its subject. */
#ifndef MYELON_BENCH_LIMIT_H
#define MYELON_BENCH_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bare.h"
#include "series.h"

struct json;
struct bench_options;

struct bench_limit {
	struct bench_bare bare;
	size_t payload;  /* of the bare ring */
	uint32_t window; /* of the bare ring, messages */
	uint32_t batch;
	uint32_t depth;           /* requests under way in the bare ring */
	uint64_t lines;           /* per round, round trips of the cache line */
	uint64_t wakes;           /* of the futex and of the eventfd */
	uint64_t trips;           /* per round, of the bare ring */
	uint64_t streamed;        /* per round, one way */
	bool near_stream;         /* the subject streams: these come next to it */
	struct bench_series line; /* p50, ns */
	struct bench_series futex;
	struct bench_series eventfd;
	struct bench_series ring;
	struct bench_series stream; /* messages/s */
	struct bench_series stream_batch;
};

/* For messages of @payload; 0 or -1. Close it in any case. */
int bench_limit_open(struct bench_limit *l, const struct bench_options *o, size_t payload,
                     uint32_t window);
void bench_limit_close(struct bench_limit *l);

/*
 * One round. What the subject is compared with is measured last, or first if @reversed; so when
 * every second round has the subject first, both are always neighbours.
 */
int bench_limit_round(struct bench_limit *l, bool reversed);

/* The "limit" member. */
void bench_limit_json(const struct bench_limit *l, struct json *j);
void bench_limit_print(const struct bench_limit *l);

/* Messages for a run of 5 to 50 ms. */
uint64_t bench_trips_for(size_t payload);
uint64_t bench_stream_for(size_t payload);

/* The largest power of two up to 4096 with 4 MiB of slots, at least 8. */
uint32_t bench_window_for(size_t slot);

#endif
