/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One figure, measured once per round; its median is reported, its range shows the noise. */
#ifndef MYELON_BENCH_SERIES_H
#define MYELON_BENCH_SERIES_H

#define BENCH_ROUNDS_MAX 101

struct bench_series {
	unsigned int count;
	double value[BENCH_ROUNDS_MAX];
};

void bench_series_add(struct bench_series *s, double value);

/* NaN while there is none. */
double bench_series_median(const struct bench_series *s);
double bench_series_min(const struct bench_series *s);
double bench_series_max(const struct bench_series *s);

/*
 * The median of the rounds' own ratios: when the machine changes its mind between rounds (another
 * core, another clock), both of a round saw the same. NaN if either has none.
 */
double bench_series_ratio(const struct bench_series *a, const struct bench_series *b);

#endif
