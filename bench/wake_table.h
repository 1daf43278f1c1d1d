/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The results of `myelon bench wake`, and how they are shown. */
#ifndef MYELON_BENCH_WAKE_TABLE_H
#define MYELON_BENCH_WAKE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "fanout.h"
#include "options.h"
#include "series.h"
#include "trips.h"
#include "wake.h"

/* What a round trip is compared with. */
enum bench_wake_base {
	BENCH_BASE_NONE,
	BENCH_BASE_FUTEX,
	BENCH_BASE_EVENTFD,
	BENCH_BASE_EPOLL,
	BENCH_BASE_PARK,     /* the way */
	BENCH_BASE_FD_URING, /* the way */
	BENCH_BASES,
};

extern const char *const bench_wake_base_names[BENCH_BASES];

/* One way at one rate. */
struct bench_wake_cell {
	bool measured;
	double p50, p99, max; /* ns; NaN: too few values */
	struct bench_wake_result result;
};

struct bench_wake_row {
	unsigned int which;
	bool there;
	char reason[400]; /* why it is not */
	enum bench_wake_base base[2];
	double bound;                    /* what its ratio to the first shall not exceed */
	struct bench_series p50;         /* of round trips, ns */
	struct bench_series sleeps;      /* of both sides, per round trip */
	struct bench_series base_p50[2]; /* beside them */
	struct bench_histogram *single;  /* of all rounds */
	struct bench_wake_cell cell[BENCH_LIST_MAX]; /* by rate */
};

struct bench_wake_table {
	const struct bench_options *o;
	struct bench_wake_row row[BENCH_WAYS];
	unsigned int rows;
	struct bench_series bare[BENCH_BASES]; /* ns; of the bare ones */
	struct bench_fanout fanout[BENCH_LIST_MAX][BENCH_FANOUTS];
	bool verified;
};

void bench_wake_print_head(const struct bench_wake_table *t);
void bench_wake_print_trips(const struct bench_wake_table *t);
void bench_wake_print_rate_head(void);
void bench_wake_print_cell(const struct bench_wake_table *t, const struct bench_wake_row *r,
                           unsigned int rate);
void bench_wake_print_fanout(const struct bench_wake_table *t);
void bench_wake_json(const struct bench_wake_table *t);

/* wake_plot.c: 0, or -1 after an error message. The first is called before anything is measured. */
int bench_wake_plot_ready(void);
int bench_wake_plot(const struct bench_wake_table *t, const char *file);

/* "10/s", "1k/s", "1.5M/s" */
const char *bench_wake_rate_text(uint64_t rate, char buf[24]);

#endif
