/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a page size costs who touches a large ring: all of it once, and single slots of it at random. */
#ifndef MYELON_BENCH_TOUCH_H
#define MYELON_BENCH_TOUCH_H

#include "ends.h"

struct bench_touch_run {
	struct bench_ring ring; /* raw, slots of 64 bytes */
	uint64_t touches;       /* at random, per round */

	/* Private to the process. */
	struct bench_out out;
	struct bench_in in;
};

struct bench_touch_result {
	double pass_ns;  /* per slot, written and read in order */
	double touch_ns; /* per slot, read at random, each address depending on the one before */
	bool verified;
	struct bench_role role;
};

/* One round in a process of its own; 0 or -1. */
int bench_touch_measure(struct bench_touch_run *t, struct bench_touch_result *result);

#endif
