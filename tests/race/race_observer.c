/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Observers at different distances: what is delivered is intact, and delivered and lost together are
 * what was published. One that keeps up with an attached consumer's window loses nothing.
 */
#include "race.h"

#include <errno.h>
#include <unistd.h>

#define OBSERVERS 3
#define SLOT 64
#define MANY 48

struct watch {
	char name[KIT_NAME];
	uint32_t window, claim;
	enum myelon_fence fence;
	int64_t total;
	pthread_barrier_t ready;
};

struct watcher {
	struct watch *watch;
	const char *who;
	enum myelon_wait wait;
	uint32_t max, nap_us; /* most slots of a call, sleep between calls */
	uint64_t delivered, lost;
};

static void watch_all(struct myelon_observer *o, struct watcher *w)
{
	unsigned char slots[MANY * SLOT] __attribute__((aligned(8)));
	int64_t expected = 0, seq;
	uint64_t random = w->max, lost;
	int n;

	for (;;) {
		n = myelon_observe(o, slots, w->max, MYELON_FOREVER, &seq, &lost);
		w->lost += lost;
		expected += (int64_t)lost;
		if (n < 0 || race_failed())
			break;
		if (seq != expected)
			race_fail("%s: sequence %lld, expected %lld", w->who, (long long)seq,
			          (long long)expected);
		for (int i = 0; i < n; i++)
			race_check(slots + (size_t)i * SLOT, SLOT, seq + i, w->who);
		expected += n;
		w->delivered += (uint64_t)n;
		if (w->nap_us && race_random(&random) % 16 == 0)
			usleep(race_random(&random) % w->nap_us);
	}
	if (n != -EPIPE || expected != w->watch->total)
		race_fail("%s: ended with %d at %lld of %lld", w->who, n, (long long)expected,
		          (long long)w->watch->total);
}

static void *watcher_run(void *arg)
{
	struct watcher *w = arg;
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct myelon_observer *o;
	int rc = myelon_observer_attach(
		&o, w->watch->name,
		&MYELON_ATTACH_OPTS(.wait = w->wait, .start = MYELON_START_OLDEST));

	RACE_OK(rc);
	pthread_barrier_wait(&w->watch->ready);
	if (rc < 0)
		return NULL;
	watch_all(o, w);
	myelon_observer_stats(o, &stats);
	if (stats.lost != w->lost || stats.caps_found)
		race_fail("%s: %llu lost, but the counter says %llu; %llu wakes lost", w->who,
		          (unsigned long long)w->lost, (unsigned long long)stats.lost,
		          (unsigned long long)stats.caps_found);
	myelon_observer_close(o);
	return NULL;
}

static void *consumer_run(void *arg)
{
	const struct watch *w = arg;
	struct myelon_consumer *c;
	struct myelon_view v = {0};
	int n;

	if (RACE_OK(myelon_consumer_attach(
		    &c, w->name,
		    &MYELON_ATTACH_OPTS(.id = "consumer", .timeout_ns = RACE_ATTACH_NS))) < 0)
		return NULL;
	while ((n = myelon_peek(c, 16, MYELON_FOREVER, &v)) > 0) {
		for (int i = 0; i < n; i++)
			race_check((const char *)v.base + (size_t)i * SLOT, SLOT, v.seq + i,
			           "consumer");
		RACE_OK(myelon_release(c, (uint32_t)n));
	}
	if (n != -EPIPE)
		race_fail("consumer: ended with %d", n);
	myelon_consumer_close(c);
	return NULL;
}

static void publish_all(struct myelon_producer *p, const struct watch *w)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	int64_t seq = 0;

	RACE_OK(myelon_producer_info(p, &info));
	while (seq < w->total && !race_failed()) {
		uint32_t n = race_fit(w->claim, seq, info.slots);
		struct myelon_span span;

		if (n > w->total - seq)
			n = (uint32_t)(w->total - seq);
		if (RACE_OK(myelon_claim(p, n, MYELON_FOREVER, &span)) < 0)
			return;
		for (uint32_t i = 0; i < n; i++)
			race_fill((char *)span.base + (size_t)i * SLOT, SLOT, seq + i);
		RACE_OK(myelon_publish(p, n));
		seq += n;
	}
}

static void watch(uint32_t window, uint32_t claim, enum myelon_fence fence, bool attended)
{
	struct watch w = {.window = window,
	                  .claim = claim,
	                  .fence = fence,
	                  .total = race_count(60000, 30000) * (attended ? 1 : 40)};
	struct watcher watchers[OBSERVERS] = {
		{&w, "close", MYELON_WAIT_ADAPTIVE, MANY, 0, 0, 0},
		{&w, "single", MYELON_WAIT_PARK, 1, 0, 0, 0},
		{&w, "lagging", MYELON_WAIT_YIELD, MANY, 400, 0, 0},
	};
	struct myelon_producer *p;
	pthread_t thread[OBSERVERS + 1];
	int rc;

	kit_ring_name(w.name, "watch");
	pthread_barrier_init(&w.ready, NULL, OBSERVERS + 1);
	if (attended)
		race_start(&thread[OBSERVERS], consumer_run, &w);
	rc = myelon_producer_create(&p, w.name,
	                            &MYELON_RING_OPTS(.slot_size = SLOT, .window = window,
	                                              .fence = fence, .backing = MYELON_BACKING_SHM,
	                                              .unattended = MYELON_UNATTENDED_OVERWRITE,
	                                              .wait_for = {.count = attended}));
	RACE_OK(rc);
	for (int i = 0; i < OBSERVERS; i++)
		race_start(&thread[i], watcher_run, &watchers[i]);
	pthread_barrier_wait(&w.ready);
	if (rc == 0) {
		publish_all(p, &w);
		myelon_producer_close(p);
	}
	for (int i = 0; i < OBSERVERS + attended; i++)
		race_join(thread[i]);
	pthread_barrier_destroy(&w.ready);
	if (attended && watchers[0].delivered == 0)
		race_fail("nobody saw anything");
}

int main(void)
{
	race_watchdog(50);
	watch(1024, 1, MYELON_FENCE_AUTO, true);
	watch(64, 5, MYELON_FENCE_FULL, true);
	watch(100, 30, MYELON_FENCE_AUTO, true);
	/* Nobody holds the producer back: observers are overtaken in the middle of a copy. */
	watch(64, 1, MYELON_FENCE_AUTO, false);
	watch(64, 16, MYELON_FENCE_FULL, false);
	return race_result();
}
