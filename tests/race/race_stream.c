/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One producer and three consumers that wait differently: each sees every message, in order, once. */
#include "race.h"

#include <errno.h>

#define READERS 3

struct stream {
	char name[KIT_NAME];
	uint32_t slot_size, window;
	enum myelon_fence fence;
	enum myelon_wait wait; /* of the producer */
	int64_t total;
};

struct reader {
	const struct stream *stream;
	const char *id;
	enum myelon_wait wait;
};

static void read_all(struct myelon_consumer *c, const struct reader *r)
{
	int64_t expected = 0;
	struct myelon_view v = {0};
	int n;

	while ((n = myelon_peek(c, MYELON_ALL, MYELON_FOREVER, &v)) > 0 && !race_failed()) {
		if (v.seq != expected)
			race_fail("%s: sequence %lld, expected %lld", r->id, (long long)v.seq,
			          (long long)expected);
		for (int i = 0; i < n; i++)
			if (!race_check((const char *)v.base + (size_t)i * r->stream->slot_size,
			                r->stream->slot_size, v.seq + i, r->id))
				return;
		expected += n;
		RACE_OK(myelon_release(c, (uint32_t)n));
	}
	if (n != -EPIPE || expected != r->stream->total)
		race_fail("%s: ended with %d after %lld messages", r->id, n, (long long)expected);
}

static void *reader_run(void *arg)
{
	const struct reader *r = arg;
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct myelon_consumer *c;
	int rc = myelon_consumer_attach(
		&c, r->stream->name,
		&MYELON_ATTACH_OPTS(.id = r->id, .wait = r->wait, .timeout_ns = RACE_ATTACH_NS));

	if (RACE_OK(rc) < 0)
		return NULL;
	read_all(c, r);
	myelon_consumer_stats(c, &stats);
	if (stats.caps_found || stats.alerts || stats.lost)
		race_fail("%s: %llu wakes lost, %llu alerts, %llu messages lost", r->id,
		          (unsigned long long)stats.caps_found, (unsigned long long)stats.alerts,
		          (unsigned long long)stats.lost);
	myelon_consumer_close(c);
	return NULL;
}

static void *producer_run(void *arg)
{
	const struct stream *s = arg;
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct myelon_producer *p;
	struct myelon_span span;
	int rc = myelon_producer_create(
		&p, s->name,
		&MYELON_RING_OPTS(.slot_size = s->slot_size, .window = s->window, .fence = s->fence,
	                          .wait = s->wait, .backing = MYELON_BACKING_SHM,
	                          .wait_for = {.count = READERS}));

	if (RACE_OK(rc) < 0)
		return NULL;
	for (int64_t seq = 0; seq < s->total && !race_failed(); seq++) {
		if (RACE_OK(myelon_claim(p, 1, MYELON_FOREVER, &span)) < 0)
			break;
		if (span.seq != seq)
			race_fail("claim of %lld is %lld", (long long)seq, (long long)span.seq);
		race_fill(span.base, s->slot_size, seq);
		RACE_OK(myelon_publish(p, 1));
	}
	RACE_OK(myelon_producer_wait_consumed(p, myelon_producer_published(p), MYELON_FOREVER));
	myelon_producer_stats(p, &stats);
	if (stats.caps_found || stats.alerts)
		race_fail("producer: %llu wakes lost, %llu alerts",
		          (unsigned long long)stats.caps_found, (unsigned long long)stats.alerts);
	myelon_producer_close(p);
	return NULL;
}

static void stream(uint32_t slot_size, uint32_t window, enum myelon_fence fence,
                   enum myelon_wait wait)
{
	struct stream s = {.slot_size = slot_size,
	                   .window = window,
	                   .fence = fence,
	                   .wait = wait,
	                   .total = race_count(60000, 15000)};
	struct reader readers[READERS] = {
		{&s, "pause", MYELON_WAIT_SPIN_PAUSE},
		{&s, "park", MYELON_WAIT_PARK},
		{&s, "adaptive", MYELON_WAIT_ADAPTIVE},
	};
	pthread_t thread[READERS + 1];

	kit_ring_name(s.name, "stream");
	race_start(&thread[READERS], producer_run, &s);
	for (int i = 0; i < READERS; i++)
		race_start(&thread[i], reader_run, &readers[i]);
	for (int i = 0; i <= READERS; i++)
		race_join(thread[i]);
}

int main(void)
{
	race_watchdog(50);
	stream(64, 1024, MYELON_FENCE_AUTO, MYELON_WAIT_ADAPTIVE);
	stream(64, 1024, MYELON_FENCE_FULL, MYELON_WAIT_PARK);
	stream(1024, 16, MYELON_FENCE_AUTO, MYELON_WAIT_PARK);
	stream(64, 100, MYELON_FENCE_FULL, MYELON_WAIT_YIELD);
	return race_result();
}
