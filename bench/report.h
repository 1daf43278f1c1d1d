/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The parts of a report that several benchmarks share. */
#ifndef MYELON_BENCH_REPORT_H
#define MYELON_BENCH_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "ends.h"
#include "series.h"
#include "trips.h"

struct json;

/* "raw" or "framed" */
const char *bench_layer_name(bool framed);

/* "park" or, with several strategies, "park,adaptive" or "park to adaptive" (producer, consumers). */
const char *bench_wait_text(const struct bench_options *o, char *buf, size_t size);

/* The head of the object, up to "rounds"; @maker is the role that created the ring. */
void bench_report_head(struct json *j, const struct bench_ring *r, const struct bench_role *maker,
                       uint32_t consumers, uint64_t messages, uint32_t rounds);

/* A distribution; @p50 replaces the median of the single values unless it is NULL. */
void bench_report_spread(struct json *j, const char *key, const struct bench_histogram *h,
                         const struct bench_series *p50);

/* The object is there with every value null if nothing was measured. */
void bench_report_rtt(struct json *j, const struct bench_trips *all,
                      const struct bench_series *p50);

void bench_report_throughput(struct json *j, double msgs_per_s, size_t payload);

/* @cpu_s: the producer's and then each consumer's. */
void bench_report_cpu(struct json *j, const double *cpu_s, uint32_t consumers);

/* What the handles of two processes counted in the last round. */
void bench_report_handles(struct json *j, const struct bench_role *a, const struct bench_role *b);

/* Text. */
void bench_print_rate(const char *name, const struct bench_series *rate);
void bench_print_ring(const struct bench_ring *r, const struct bench_role *maker);
void bench_print_spread(const char *name, const struct bench_histogram *h);
void bench_print_ratio(const char *name, double ratio);

#endif
