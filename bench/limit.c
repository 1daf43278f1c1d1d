/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "limit.h"
#include "crew.h"
#include "json.h"
#include "options.h"
#include "report.h"
#include "trips.h"

#include <string.h>

#define WAKES 500 /* round trips of some 10 us each */

uint64_t bench_trips_for(size_t payload)
{
	uint64_t n = payload <= 1024 ? 40000 : UINT64_C(40000) * 1024 / payload;

	return n < 200 ? 200 : n;
}

uint64_t bench_stream_for(size_t payload)
{
	uint64_t n = payload <= 64 ? UINT64_C(1) << 18 : (UINT64_C(16) << 20) / payload;

	return n < 1000 ? 1000 : n;
}

uint32_t bench_window_for(size_t slot)
{
	uint32_t window = 4096;

	while (window > 8 && window * (uint64_t)slot > UINT64_C(4) << 20)
		window /= 2;
	return window;
}

/* --messages counts here, too, but nothing needs more than the default. */
static uint64_t at_most(const struct bench_options *o, uint64_t n)
{
	return o->messages && o->messages < n ? o->messages : n;
}

int bench_limit_open(struct bench_limit *l, const struct bench_options *o, size_t payload,
                     uint32_t window)
{
	memset(l, 0, sizeof(*l));
	l->bare.cpus = o->cpus;
	l->bare.timeout_s = o->timeout_s;
	l->bare.trips = bench_shared(sizeof(*l->bare.trips));
	l->payload = payload;
	l->window = window;
	l->batch = o->batch <= window ? (uint32_t)o->batch : window;
	l->depth = (uint32_t)o->depth;
	l->lines = at_most(o, bench_trips_for(64));
	l->wakes = at_most(o, WAKES);
	l->trips = at_most(o, bench_trips_for(payload));
	l->streamed = at_most(o, bench_stream_for(payload));
	return l->bare.trips ? 0 : -1;
}

void bench_limit_close(struct bench_limit *l)
{
	bench_unshare(l->bare.trips, sizeof(*l->bare.trips));
	l->bare.trips = NULL;
}

enum part { LINE, FUTEX, EVENTFD, RING, STREAM, STREAM_BATCH, PARTS };

static int measure(struct bench_limit *l, enum part part)
{
	struct bench_bare *b = &l->bare;
	struct bench_series *s[PARTS] = {&l->line, &l->futex,  &l->eventfd,
	                                 &l->ring, &l->stream, &l->stream_batch};
	double rate = 0;
	int rc;

	switch (part) {
	case LINE:
		rc = bench_bare_line(b, l->lines);
		break;
	case FUTEX:
		rc = bench_bare_futex(b, l->wakes);
		break;
	case EVENTFD:
		rc = bench_bare_eventfd(b, l->wakes);
		break;
	case RING:
		rc = bench_bare_ring(b, l->payload, l->window, l->depth, l->trips);
		break;
	default:
		rc = bench_bare_stream(b, l->payload, l->window, part == STREAM ? 1 : l->batch,
		                       l->streamed, &rate);
	}
	if (rc < 0)
		return -1;
	bench_series_add(s[part], rate > 0 ? rate : bench_trips_p50(b->trips));
	return 0;
}

int bench_limit_round(struct bench_limit *l, bool reversed)
{
	static const enum part by_trips[PARTS] = {STREAM, STREAM_BATCH, EVENTFD, FUTEX, LINE, RING};
	static const enum part by_stream[PARTS] = {RING,    LINE,         FUTEX,
	                                           EVENTFD, STREAM_BATCH, STREAM};
	const enum part *order = l->near_stream ? by_stream : by_trips;

	for (int i = 0; i < PARTS; i++)
		if (measure(l, order[reversed ? PARTS - 1 - i : i]) < 0)
			return -1;
	return 0;
}

void bench_limit_json(const struct bench_limit *l, struct json *j)
{
	json_object(j, "limit");
	json_double(j, "spin_rtt_p50_ns", bench_series_median(&l->line));
	json_double(j, "futex_rtt_p50_ns", bench_series_median(&l->futex));
	json_double(j, "eventfd_rtt_p50_ns", bench_series_median(&l->eventfd));
	json_double(j, "bare_rtt_p50_ns", bench_series_median(&l->ring));
	json_double(j, "stream_msgs_per_s", bench_series_median(&l->stream));
	json_double(j, "stream_batch_msgs_per_s", bench_series_median(&l->stream_batch));
	json_uint(j, "payload", l->payload);
	json_uint(j, "window", l->window);
	json_uint(j, "batch", l->batch);
	json_bool(j, "verified", !l->bare.wrong);
	json_object_end(j);
}

static void print_trip(const char *name, const struct bench_series *s)
{
	printf("  %-34s %12.1f ns    (%.1f .. %.1f)\n", name, bench_series_median(s),
	       bench_series_min(s), bench_series_max(s));
}

void bench_limit_print(const struct bench_limit *l)
{
	char batch[48], ring[48];

	(void)snprintf(ring, sizeof(ring), "bare ring %zu B, round trip", l->payload);
	(void)snprintf(batch, sizeof(batch), "bare ring %zu B, batches of %u", l->payload,
	               l->batch);
	printf("limit: median of %u rounds (range)\n", l->line.count);
	print_trip("cache line, round trip", &l->line);
	print_trip("futex, round trip", &l->futex);
	print_trip("eventfd, round trip", &l->eventfd);
	print_trip(ring, &l->ring);
	(void)snprintf(ring, sizeof(ring), "bare ring %zu B, one by one", l->payload);
	bench_print_rate(ring, &l->stream);
	bench_print_rate(batch, &l->stream_batch);
}
