/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One way: a producer and its consumers, as fast as they go or by a schedule. */
#ifndef MYELON_BENCH_FLOW_H
#define MYELON_BENCH_FLOW_H

#include "crew.h"
#include "ends.h"
#include "histogram.h"

struct bench_flow {
	struct bench_ring ring;
	uint32_t consumers;
	uint32_t batch; /* messages per publish; framed: 1 */
	uint32_t peek;  /* slots, framed: messages, per peek and release; 0: all there is */
	uint64_t messages;
	uint64_t work_ns; /* per message, in each consumer */
	double rate;      /* messages per second; 0: no schedule */
	struct bench_histogram
		*late; /* shared, one per consumer; with a rate: ns from the schedule */

	/* Private to each process. */
	struct bench_out out;
	struct bench_in in;
};

/* What one round gave. */
struct bench_flow_result {
	double msgs_per_s;
	double deliveries_per_s;
	bool verified;
	const struct bench_crew *crew; /* until the next run */
};

/* One round; 0 or -1. */
int bench_flow_run(struct bench_flow *f, struct bench_flow_result *result);

/* Messages of one round, for as many deliveries whatever the number of consumers. */
uint64_t bench_flow_messages(const struct bench_options *o, uint32_t consumers, uint64_t work_ns);

/* Says so if these are too few for the rate of a stream. */
void bench_flow_note_few(const struct bench_flow *f);

#endif
