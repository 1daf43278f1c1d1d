/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "report.h"
#include "crew.h"
#include "json.h"
#include "way.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *key;
	double percent;
} points[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99_9", 99.9}, {"p99_99", 99.99}};

#define POINTS (sizeof(points) / sizeof(points[0]))

const char *bench_layer_name(bool framed)
{
	return framed ? "framed" : "raw";
}

const char *bench_wait_text(const struct bench_options *o, char *buf, size_t size)
{
	const struct bench_list *l = o->consumer_wait.count ? &o->consumer_wait : &o->wait;
	size_t at = 0;

	buf[0] = '\0';
	if (o->producer_wait.count || o->consumer_wait.count)
		at = (size_t)snprintf(buf, size, "%s to ",
		                      myelon_wait_name(bench_producer_wait(o)));
	for (uint32_t i = 0; i < l->count && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s", i ? "," : "",
		                       bench_way_name((unsigned int)l->value[i]));
	return buf;
}

void bench_report_head(struct json *j, const struct bench_ring *r, const struct bench_role *maker,
                       uint32_t consumers, uint64_t messages, uint32_t rounds)
{
	char wait[192];

	json_string(j, "bench", r->o->bench);
	json_string(j, "layer", bench_layer_name(r->framed));
	json_string(j, "backing", myelon_backing_name((enum myelon_backing)maker->backing));
	json_uint(j, "backing_page_size", maker->page_size);
	json_string(j, "backing_reason", maker->reason);
	json_string(j, "fence", maker->fence == MYELON_FENCE_FULL ? "full" : "asym");
	json_string(j, "wait", bench_wait_text(r->o, wait, sizeof(wait)));
	json_uint(j, "payload", r->payload);
	json_uint(j, "slot", r->slot);
	json_uint(j, "consumers", consumers);
	json_uint(j, "messages", messages);
	json_uint(j, "window", r->window);
	json_uint(j, "rounds", rounds);
}

/* NaN, which JSON shows as null, where there are too few values. */
static double percentile(const struct bench_histogram *h, double percent)
{
	double v = bench_histogram_percentile(h, percent);

	return v < 0 ? NAN : v;
}

void bench_report_spread(struct json *j, const char *key, const struct bench_histogram *h,
                         const struct bench_series *p50)
{
	json_object(j, key);
	json_double(j, "min", h->total ? (double)h->min : NAN);
	for (size_t i = 0; i < POINTS; i++)
		json_double(j, points[i].key,
		            i == 0 && p50 ? bench_series_median(p50)
		                          : percentile(h, points[i].percent));
	json_double(j, "max", h->total ? (double)h->max : NAN);
	json_uint(j, "samples", h->total);
	if (p50) {
		json_double(j, "p50_lowest_round", bench_series_min(p50));
		json_double(j, "p50_highest_round", bench_series_max(p50));
	}
	json_object_end(j);
}

void bench_report_rtt(struct json *j, const struct bench_trips *all, const struct bench_series *p50)
{
	if (all->intended.total) {
		bench_report_spread(j, "rtt_ns", &all->intended, NULL);
		bench_report_spread(j, "rtt_uncorrected_ns", &all->single, NULL);
	} else {
		bench_report_spread(j, "rtt_ns", &all->single, p50);
	}
}

void bench_report_throughput(struct json *j, double msgs_per_s, size_t payload)
{
	json_object(j, "throughput");
	json_double(j, "msgs_per_s", msgs_per_s);
	json_double(j, "bytes_per_s", msgs_per_s * (double)payload);
	json_object_end(j);
}

void bench_report_cpu(struct json *j, const double *cpu_s, uint32_t consumers)
{
	json_object(j, "cpu_s");
	json_double(j, "producer", cpu_s[0]);
	json_array(j, "consumers");
	for (uint32_t i = 1; i <= consumers; i++)
		json_double(j, NULL, cpu_s[i]);
	json_array_end(j);
	json_object_end(j);
}

void bench_report_handles(struct json *j, const struct bench_role *a, const struct bench_role *b)
{
	json_object(j, "handles");
	json_uint(j, "waits", a->waits + b->waits);
	json_uint(j, "parks", a->parks + b->parks);
	json_uint(j, "wakes", a->wakes + b->wakes);
	json_uint(j, "gathers", a->gathers + b->gathers);
	json_uint(j, "caps_found", a->caps_found + b->caps_found);
	json_object_end(j);
}

void bench_print_rate(const char *name, const struct bench_series *rate)
{
	double median = bench_series_median(rate);
	double unit = median >= 1e5 ? 1e6 : median >= 100 ? 1e3 : 1;

	printf("  %-34s %12.2f %-4s  (%.2f .. %.2f)\n", name, median / unit,
	       unit > 1e5   ? "M/s"
	       : unit > 100 ? "k/s"
	                    : "/s",
	       bench_series_min(rate) / unit, bench_series_max(rate) / unit);
}

void bench_print_ring(const struct bench_ring *r, const struct bench_role *maker)
{
	char wait[192];

	printf("%s %s: payload %zu B, slot %u B, window %u, wait %s, %s fence\n", r->o->bench,
	       bench_layer_name(r->framed), r->payload, r->slot, r->window,
	       bench_wait_text(r->o, wait, sizeof(wait)),
	       maker->fence == MYELON_FENCE_FULL ? "full" : "asymmetric");
	printf("  slots on %s (%s)\n", myelon_backing_name((enum myelon_backing)maker->backing),
	       maker->reason);
}

void bench_print_spread(const char *name, const struct bench_histogram *h)
{
	printf("  %-34s min %llu", name, (unsigned long long)h->min);
	for (size_t i = 0; i < POINTS; i++) {
		double v = percentile(h, points[i].percent);

		if (!isnan(v))
			printf(", %s %.0f", points[i].key, v);
	}
	printf(", max %llu ns\n", (unsigned long long)h->max);
}

void bench_print_ratio(const char *name, double ratio)
{
	if (!isnan(ratio))
		printf("  %-34s %12.2f x\n", name, ratio);
}
