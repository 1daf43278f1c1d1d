/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What it costs to wake n sleeping processes, without a ring. */
#ifndef MYELON_BENCH_FANOUT_H
#define MYELON_BENCH_FANOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "series.h"

struct bench_options;

enum bench_fanout_by {
	BENCH_BY_FUTEX,      /* one FUTEX_WAKE for all */
	BENCH_BY_WRITES,     /* a write to the eventfd of each */
	BENCH_BY_SUBMISSION, /* one io_uring submission of these writes */
	BENCH_BY_REGISTERED, /* the same, with registered files */
	BENCH_FANOUTS,
};

extern const char *const bench_fanout_names[BENCH_FANOUTS];

struct bench_fanout {
	struct bench_series call; /* ns until the waker's calls have returned */
	struct bench_series last; /* ns until the last sleeper runs */
};

/* False without io_uring, with the reason. */
bool bench_fanout_known(enum bench_fanout_by by, const char **reason);

/* One round: the median of some wakes goes into each series. 0 or -1. */
int bench_fanout_round(const struct bench_options *o, enum bench_fanout_by by, uint32_t sleepers,
                       struct bench_fanout *f);

#endif
