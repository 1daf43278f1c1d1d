/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void bench_series_add(struct bench_series *s, double value)
{
	if (s->count < BENCH_ROUNDS_MAX)
		s->value[s->count++] = value;
}

double bench_series_median(const struct bench_series *s)
{
	double sorted[BENCH_ROUNDS_MAX];
	unsigned int n = s->count;

	if (n == 0)
		return NAN;
	memcpy(sorted, s->value, n * sizeof(double));
	qsort(sorted, n, sizeof(double), by_value);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

double bench_series_min(const struct bench_series *s)
{
	double v = NAN;

	for (unsigned int i = 0; i < s->count; i++)
		v = fmin(v, s->value[i]);
	return v;
}

double bench_series_max(const struct bench_series *s)
{
	double v = NAN;

	for (unsigned int i = 0; i < s->count; i++)
		v = fmax(v, s->value[i]);
	return v;
}

double bench_series_ratio(const struct bench_series *a, const struct bench_series *b)
{
	struct bench_series ratios = {.count = a->count < b->count ? a->count : b->count};

	for (unsigned int i = 0; i < ratios.count; i++)
		ratios.value[i] = a->value[i] / b->value[i];
	return bench_series_median(&ratios);
}
