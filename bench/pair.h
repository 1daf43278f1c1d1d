/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Round trips of the subject: two rings, one each way, between an asking and an answering process. */
#ifndef MYELON_BENCH_PAIR_H
#define MYELON_BENCH_PAIR_H

#include "crew.h"
#include "ends.h"
#include "trips.h"

struct bench_pair {
	struct bench_ring ring; /* both are alike */
	struct bench_trip_plan plan;
	struct bench_trips *trips; /* shared */
	unsigned int depth;
	bool copy;       /* framed: through memory of one's own, in fragments */
	size_t fragment; /* bytes */
	size_t touched;  /* bytes written and read of each message */

	/* Private to each process. */
	struct bench_out out;
	struct bench_in in;
	bool holding; /* an answer that is not released yet */
	uint64_t wrong;
	unsigned char *mine; /* copy: what is sent */
	unsigned char *got;  /* copy: what came */
};

/* What one round of a pair gave. */
struct bench_pair_result {
	double msgs_per_s;
	double cpu_s[2];
	bool verified;
	struct bench_role asker; /* backing, counters */
	struct bench_role answerer;
};

/* One round; 0 or -1. The trips are in @p->trips. */
int bench_pair_run(struct bench_pair *p, struct bench_pair_result *result);

/* The measured loops of each kind; 0, or -1 after a failing call of the library. */
int bench_pair_ask_raw(struct bench_pair *p, uint64_t *start);
int bench_pair_answer_raw(struct bench_pair *p, uint64_t total);
int bench_pair_ask_framed(struct bench_pair *p, uint64_t *start);
int bench_pair_answer_framed(struct bench_pair *p, uint64_t total);
int bench_pair_ask_copy(struct bench_pair *p, uint64_t *start);
int bench_pair_answer_copy(struct bench_pair *p, uint64_t total);

#endif
