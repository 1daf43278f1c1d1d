/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "histogram.h"

#include <math.h>
#include <string.h>

#define HALF 1024u

static unsigned int index_of(uint64_t value)
{
	unsigned int bucket;

	if (value >> BENCH_HISTOGRAM_BITS)
		value = (UINT64_C(1) << BENCH_HISTOGRAM_BITS) - 1;
	bucket = 63u - (unsigned int)__builtin_clzll(value | (2 * HALF - 1)) - 10u;
	return bucket * HALF + (unsigned int)(value >> bucket);
}

/* The largest value that is counted at @index. */
static uint64_t top_of(unsigned int index)
{
	unsigned int bucket = index < 2 * HALF ? 0 : index / HALF - 1;
	uint64_t sub = index - bucket * HALF;

	return ((sub + 1) << bucket) - 1;
}

void bench_histogram_clear(struct bench_histogram *h)
{
	memset(h, 0, sizeof(*h));
}

void bench_histogram_add(struct bench_histogram *h, uint64_t value)
{
	if (h->total == 0 || value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->total++;
	h->count[index_of(value)]++;
}

void bench_histogram_merge(struct bench_histogram *into, const struct bench_histogram *from)
{
	if (from->total == 0)
		return;
	if (into->total == 0 || from->min < into->min)
		into->min = from->min;
	if (from->max > into->max)
		into->max = from->max;
	into->total += from->total;
	for (unsigned int i = 0; i < BENCH_HISTOGRAM_COUNTERS; i++)
		into->count[i] += from->count[i];
}

double bench_histogram_percentile(const struct bench_histogram *h, double percent)
{
	double above = (double)h->total * (100.0 - percent) / 100.0;
	uint64_t rank, seen = 0;

	/* A little below 1: 100 - 99.99 is not exactly 0.01. */
	if (h->total == 0 || above < 0.999999)
		return -1;
	rank = (uint64_t)ceil((double)h->total * percent / 100.0 - 1e-6);
	if (rank == 0)
		rank = 1;
	for (unsigned int i = 0; i < BENCH_HISTOGRAM_COUNTERS; i++) {
		seen += h->count[i];
		if (seen >= rank) {
			uint64_t top = top_of(i);

			return (double)(top < h->max ? top : h->max);
		}
	}
	return (double)h->max;
}
