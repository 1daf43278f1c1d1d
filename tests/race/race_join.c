/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A join storm: consumers come and go while the producer publishes as fast as it can. Whatever its
 * start, each sees consecutive sequences with the right content from its first message on.
 */
#include "race.h"

#include <errno.h>
#include <stdio.h>

#define JOINERS 3
#define SLOT 64

struct storm {
	char name[KIT_NAME];
	uint32_t window, claim;
	enum myelon_fence fence;
	enum myelon_unattended unattended;
	bool resident; /* somebody stays, so that the producer is held back all the time */
	long rounds;   /* joins of each joiner */
	_Atomic int done;
};

struct joiner {
	struct storm *storm;
	uint64_t random;
	char id[32];
	bool joined; /* the id was there before */
	int64_t next;
};

static const enum myelon_start starts[] = {MYELON_START_DEFAULT, MYELON_START_LATEST,
                                           MYELON_START_OLDEST};

/* Reads up to @limit messages; all that follow the first one. */
static void read_some(struct myelon_consumer *c, struct joiner *j, uint32_t limit, int64_t from)
{
	int64_t expected = from;
	struct myelon_view v = {0};

	while (expected < from + limit && !race_failed()) {
		/* Stays a while only if something comes: nobody publishes when all is over. */
		int n = myelon_peek(c, 16, myelon_deadline_after(20000000), &v);

		if (n == -ETIMEDOUT || n == -EPIPE)
			break;
		if (n < 0) {
			RACE_OK(n);
			break;
		}
		if (v.seq != expected)
			race_fail("%s: sequence %lld, expected %lld", j->id, (long long)v.seq,
			          (long long)expected);
		for (int i = 0; i < n; i++)
			if (!race_check((const char *)v.base + (size_t)i * SLOT, SLOT, v.seq + i,
			                j->id))
				return;
		expected += n;
		RACE_OK(myelon_release(c, (uint32_t)n));
	}
}

static void join_once(struct joiner *j)
{
	bool automatic = race_random(&j->random) % 3 == 0;
	enum myelon_start start = starts[race_random(&j->random) % 3];
	struct myelon_attach_opts opts =
		MYELON_ATTACH_OPTS(.id = automatic ? NULL : j->id, .start = start,
	                           .wait = race_random(&j->random) % 2 ? MYELON_WAIT_PARK
	                                                               : MYELON_WAIT_ADAPTIVE);
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct myelon_consumer *c;
	int64_t first;

	if (!automatic && start == MYELON_START_DEFAULT && j->joined && race_random(&j->random) % 2)
		opts.start = MYELON_START_RESUME;
	if (RACE_OK(myelon_consumer_attach(&c, j->storm->name, &opts)) < 0)
		return;
	first = myelon_consumer_cursor(c) + 1;
	myelon_consumer_stats(c, &stats);
	if (!automatic && j->joined &&
	    (opts.start == MYELON_START_DEFAULT || opts.start == MYELON_START_RESUME) &&
	    first != j->next + (int64_t)stats.lost)
		race_fail("%s: left at %lld, %llu lost, but goes on at %lld", j->id,
		          (long long)j->next, (unsigned long long)stats.lost, (long long)first);
	if (first > myelon_consumer_published(c) + 1)
		race_fail("%s: starts at %lld, which is in the future", j->id, (long long)first);
	read_some(c, j, race_random(&j->random) % 100, first);
	if (!automatic) {
		j->joined = true;
		j->next = myelon_consumer_cursor(c) + 1;
	}
	myelon_consumer_close(c);
}

static void *joiner_run(void *arg)
{
	struct joiner *j = arg;

	for (long i = 0; i < j->storm->rounds && !race_failed(); i++)
		join_once(j);
	j->storm->done++;
	return NULL;
}

static void *resident_run(void *arg)
{
	struct myelon_consumer *c = arg;
	struct myelon_view v = {0};
	int n;

	while ((n = myelon_peek(c, MYELON_ALL, MYELON_FOREVER, &v)) > 0 && !race_failed()) {
		for (int i = 0; i < n; i++)
			race_check((const char *)v.base + (size_t)i * SLOT, SLOT, v.seq + i,
			           "resident");
		RACE_OK(myelon_release(c, (uint32_t)n));
	}
	myelon_consumer_close(c);
	return NULL;
}

/* Publishes until all joiners are done. */
static void publish_all(struct myelon_producer *p, struct storm *s, uint64_t slots)
{
	int64_t seq = 0;

	while (s->done < JOINERS && !race_failed()) {
		uint32_t n = race_fit(s->claim, seq, slots);
		struct myelon_span span;
		int rc = myelon_claim(p, n, myelon_deadline_after(100000000), &span);

		if (rc == -ETIMEDOUT)
			continue;
		if (RACE_OK(rc) < 0)
			break;
		for (uint32_t i = 0; i < n; i++)
			race_fill((char *)span.base + (size_t)i * SLOT, SLOT, seq + i);
		RACE_OK(myelon_publish(p, n));
		seq += n;
	}
}

static void storm(struct storm s)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct joiner joiners[JOINERS] = {0};
	pthread_t thread[JOINERS + 1];
	struct myelon_consumer *resident = NULL;
	struct myelon_producer *p;
	int rc;

	kit_ring_name(s.name, "storm");
	s.rounds = race_count(400, 200);
	rc = myelon_producer_create(&p, s.name,
	                            &MYELON_RING_OPTS(.slot_size = SLOT, .window = s.window,
	                                              .max_consumers = 8, .fence = s.fence,
	                                              .unattended = s.unattended,
	                                              .backing = MYELON_BACKING_SHM));
	if (RACE_OK(rc) < 0)
		return;
	RACE_OK(myelon_producer_info(p, &info));
	/* Attached here, so that it is there however late its thread starts. */
	s.resident = s.resident && RACE_OK(myelon_consumer_attach(&resident, s.name, NULL)) == 0;
	if (s.resident)
		race_start(&thread[JOINERS], resident_run, resident);
	for (int i = 0; i < JOINERS; i++) {
		joiners[i].storm = &s;
		joiners[i].random = (uint64_t)i + s.window;
		snprintf(joiners[i].id, sizeof(joiners[i].id), "joiner-%d", i);
		race_start(&thread[i], joiner_run, &joiners[i]);
	}
	publish_all(p, &s, info.slots);
	myelon_producer_stats(p, &stats);
	if (stats.alerts || stats.caps_found)
		race_fail("producer: %llu alerts, %llu wakes lost",
		          (unsigned long long)stats.alerts, (unsigned long long)stats.caps_found);
	for (int i = 0; i < JOINERS; i++)
		race_join(thread[i]);
	myelon_producer_close(p);
	if (s.resident)
		race_join(thread[JOINERS]);
}

int main(void)
{
	race_watchdog(50);
	storm((struct storm){.window = 64,
	                     .claim = 1,
	                     .fence = MYELON_FENCE_AUTO,
	                     .unattended = MYELON_UNATTENDED_OVERWRITE});
	storm((struct storm){.window = 37,
	                     .claim = 3,
	                     .fence = MYELON_FENCE_FULL,
	                     .unattended = MYELON_UNATTENDED_OVERWRITE,
	                     .resident = true});
	storm((struct storm){.window = 4,
	                     .claim = 1,
	                     .fence = MYELON_FENCE_AUTO,
	                     .unattended = MYELON_UNATTENDED_BLOCK,
	                     .resident = true});
	storm((struct storm){.window = 256,
	                     .claim = 50,
	                     .fence = MYELON_FENCE_FULL,
	                     .unattended = MYELON_UNATTENDED_BLOCK});
	return race_result();
}
