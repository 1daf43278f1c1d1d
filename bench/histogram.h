/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Counts of values with three significant digits over a wide range (the bucket scheme of HDR
 * histograms): exact below 2048, then 1024 counters per power of two. It lies in one piece without
 * pointers, so that a child can fill it in shared memory.
 */
#ifndef MYELON_BENCH_HISTOGRAM_H
#define MYELON_BENCH_HISTOGRAM_H

#include <stdint.h>

#define BENCH_HISTOGRAM_BITS 40 /* larger values count as the largest */
#define BENCH_HISTOGRAM_COUNTERS ((BENCH_HISTOGRAM_BITS - 11 + 2) * 1024)

struct bench_histogram {
	uint64_t total;
	uint64_t min; /* exact; meaningless while total is 0 */
	uint64_t max;
	uint64_t count[BENCH_HISTOGRAM_COUNTERS];
};

/* All zero bytes are an empty histogram. */
void bench_histogram_clear(struct bench_histogram *h);
void bench_histogram_add(struct bench_histogram *h, uint64_t value);
void bench_histogram_merge(struct bench_histogram *into, const struct bench_histogram *from);

/*
 * The value that @percent of all values do not exceed, at most 0.1 % too high; -1 if there are too
 * few values to know: a percentile stands on at least one real value above it.
 */
double bench_histogram_percentile(const struct bench_histogram *h, double percent);

#endif
