/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Producers come and go, each closing in order; the sequence goes on, for consumers and observers. */
#include "race.h"

#include <errno.h>
#include <unistd.h>

#define READERS 3
#define SLOT 64

struct relay {
	char name[KIT_NAME];
	uint32_t window;
	enum myelon_fence fence;
	int64_t total, leg; /* published in all, and by one producer */
};

struct reader {
	const struct relay *relay;
	const char *id;
	enum myelon_wait wait;
};

/* Checks what is there. @return the next sequence expected. */
static int64_t take(struct myelon_consumer *c, const struct reader *r, const struct myelon_view *v,
                    int64_t expected)
{
	if (v->seq != expected)
		race_fail("%s: sequence %lld, expected %lld", r->id, (long long)v->seq,
		          (long long)expected);
	for (uint32_t i = 0; i < v->count; i++)
		race_check((const char *)v->base + (size_t)i * SLOT, SLOT, v->seq + i, r->id);
	RACE_OK(myelon_release(c, v->count));
	return v->seq + v->count;
}

static void *reader_run(void *arg)
{
	const struct reader *r = arg;
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct myelon_consumer *c;
	int64_t expected = 0;
	int rc = myelon_consumer_attach(
		&c, r->relay->name,
		&MYELON_ATTACH_OPTS(.id = r->id, .wait = r->wait, .timeout_ns = RACE_ATTACH_NS));

	if (RACE_OK(rc) < 0)
		return NULL;
	while (expected < r->relay->total && !race_failed()) {
		struct myelon_view v = {0};
		int n = myelon_peek(c, MYELON_ALL, MYELON_FOREVER, &v);

		if (n > 0)
			expected = take(c, r, &v, expected);
		else if (n == -EPIPE || n == -EOWNERDEAD)
			RACE_OK(myelon_consumer_wait_producer(c, MYELON_FOREVER));
		else
			RACE_OK(n);
	}
	myelon_consumer_stats(c, &stats);
	if (stats.caps_found || stats.alerts)
		race_fail("%s: %llu wakes lost, %llu alerts", r->id,
		          (unsigned long long)stats.caps_found, (unsigned long long)stats.alerts);
	myelon_consumer_close(c);
	return NULL;
}

static void run_leg(struct myelon_producer *p, const struct relay *r)
{
	int64_t seq = myelon_producer_published(p) + 1, end = seq + r->leg;

	for (; seq < end && seq < r->total && !race_failed(); seq++) {
		struct myelon_span span;

		if (RACE_OK(myelon_claim(p, 1, MYELON_FOREVER, &span)) < 0)
			return;
		if (span.seq != seq)
			race_fail("claim of %lld is %lld", (long long)seq, (long long)span.seq);
		race_fill(span.base, SLOT, seq);
		RACE_OK(myelon_publish(p, 1));
	}
	/* A claim that is open when its producer goes was never published. */
	if (seq < r->total) {
		struct myelon_span span;

		if (myelon_claim(p, 1, MYELON_TRY, &span) == 0)
			race_fill(span.base, SLOT, -7);
	}
}

/* Even and odd legs are run by threads of their own, started one after the other. */
static void *leg_run(void *arg)
{
	const struct relay *r = arg;
	struct myelon_producer *p;

	if (RACE_OK(myelon_producer_open(&p, r->name, NULL)) < 0)
		return NULL;
	run_leg(p, r);
	myelon_producer_close(p);
	return NULL;
}

static void first_leg(const struct relay *r)
{
	struct myelon_producer *p;
	int rc = myelon_producer_create(
		&p, r->name,
		&MYELON_RING_OPTS(.slot_size = SLOT, .window = r->window, .fence = r->fence,
	                          .backing = MYELON_BACKING_SHM, .wait_for = {.count = READERS}));

	if (RACE_OK(rc) < 0)
		return;
	run_leg(p, r);
	myelon_producer_close(p);
}

static void relay(uint32_t window, enum myelon_fence fence, int64_t leg)
{
	struct relay r = {.window = window, .fence = fence, .leg = leg};
	struct reader readers[READERS] = {
		{&r, "park", MYELON_WAIT_PARK},
		{&r, "adaptive", MYELON_WAIT_ADAPTIVE},
		{&r, "yield", MYELON_WAIT_YIELD},
	};
	long legs = race_count(100, 60);
	pthread_t thread[READERS];

	kit_ring_name(r.name, "relay");
	r.total = legs * leg;
	for (int i = 0; i < READERS; i++)
		race_start(&thread[i], reader_run, &readers[i]);
	first_leg(&r);
	for (long i = 1; i < legs && !race_failed(); i++) {
		pthread_t producer;

		race_start(&producer, leg_run, &r);
		race_join(producer);
		if (i % 7 == 0)
			usleep(300);
	}
	for (int i = 0; i < READERS; i++)
		race_join(thread[i]);
}

int main(void)
{
	race_watchdog(50);
	relay(16, MYELON_FENCE_AUTO, 40);
	relay(64, MYELON_FENCE_FULL, 1);
	relay(4, MYELON_FENCE_FULL, 5);
	return race_result();
}
