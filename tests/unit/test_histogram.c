/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The histogram of the benchmarks: a wrong percentile would be believed. */
#include "bench/histogram.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct bench_histogram *new_histogram(void)
{
	struct bench_histogram *h = calloc(1, sizeof(*h));

	cr_assert_not_null(h);
	return h;
}

Test(histogram, without_values_knows_no_percentile)
{
	struct bench_histogram *h = new_histogram();

	cr_assert_eq(bench_histogram_percentile(h, 50), -1);
	free(h);
}

Test(histogram, small_values_are_exact)
{
	struct bench_histogram *h = new_histogram();

	for (uint64_t v = 1; v <= 1000; v++)
		bench_histogram_add(h, v);
	cr_assert_eq(h->total, 1000);
	cr_assert_eq(h->min, 1);
	cr_assert_eq(h->max, 1000);
	cr_assert_eq(bench_histogram_percentile(h, 50), 500);
	cr_assert_eq(bench_histogram_percentile(h, 90), 900);
	cr_assert_eq(bench_histogram_percentile(h, 99.9), 999);
	free(h);
}

Test(histogram, percentile_without_a_value_above_it_is_absent)
{
	struct bench_histogram *h = new_histogram();

	for (int i = 0; i < 9999; i++)
		bench_histogram_add(h, 5);
	cr_assert_eq(bench_histogram_percentile(h, 99.99), -1);
	bench_histogram_add(h, 5);
	cr_assert_eq(bench_histogram_percentile(h, 99.99), 5);
	free(h);
}

Test(histogram, every_magnitude_keeps_three_digits)
{
	struct bench_histogram *h = new_histogram();

	for (unsigned int bit = 0; bit < BENCH_HISTOGRAM_BITS; bit++) {
		uint64_t low = UINT64_C(1) << bit, values[] = {low, low + low / 3, 2 * low - 1};

		for (unsigned int i = 0; i < 3; i++) {
			double p;

			bench_histogram_clear(h);
			bench_histogram_add(h, values[i]);
			bench_histogram_add(h, values[i]);
			/* One more above, so that the maximum does not tell. */
			bench_histogram_add(h, UINT64_MAX);
			p = bench_histogram_percentile(h, 50);
			cr_assert(p >= (double)values[i] && p <= (double)values[i] * 1.001,
			          "%lu became %f", (unsigned long)values[i], p);
		}
	}
	free(h);
}

Test(histogram, value_beyond_its_range_counts_as_the_largest_and_keeps_the_maximum)
{
	struct bench_histogram *h = new_histogram();

	bench_histogram_add(h, UINT64_MAX);
	bench_histogram_add(h, UINT64_C(1) << BENCH_HISTOGRAM_BITS);
	cr_assert_eq(h->max, UINT64_MAX);
	cr_assert_eq(h->count[BENCH_HISTOGRAM_COUNTERS - 1], 2);
	free(h);
}

Test(histogram, merged_equals_one_that_saw_all)
{
	struct bench_histogram *a = new_histogram(), *b = new_histogram(), *all = new_histogram();
	uint64_t v = 12345;

	for (int i = 0; i < 20000; i++) {
		v = v * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		bench_histogram_add(i % 3 ? a : b, v >> 30);
		bench_histogram_add(all, v >> 30);
	}
	bench_histogram_merge(a, b);
	cr_assert_arr_eq(a, all, sizeof(*a));
	bench_histogram_clear(b);
	bench_histogram_merge(a, b);
	cr_assert_eq(a->min, all->min);
	free(a);
	free(b);
	free(all);
}
