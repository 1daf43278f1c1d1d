/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Evictors killed at every point. The producer goes on, if need be after a second eviction; the evicted
 * one is told, and goes on where it left off; so does whoever resumes the id of a dead one.
 */
#include "../unit/ring_kit.h"
#include "kill_at.h"

#include <pthread.h>
#include <string.h>

#include "ring/ring.h"

#define ATTACHED 1 /* word: the victim is there */

struct world {
	struct kill_test t;
	char name[KIT_NAME];
	struct kit_page *page;
	struct myelon_producer *p;
	struct myelon_consumer *keep;   /* reads everything */
	struct myelon_consumer *victim; /* of this process, if it lives */
	const char *id;                 /* NULL: automatic */
	int64_t kept;                   /* next sequence of keep */
	int64_t saved;                  /* last sequence the victim released */
	pthread_t thread;
	int rc; /* of the thread */
	unsigned int runs;
};

static struct world w;

static void every_point(const char *scenario, int (*before)(void *), int (*after)(void *, bool))
{
	int n;

	w.t.actor = "ring_kill_actor";
	w.t.scenario = scenario;
	w.t.ring = w.name;
	w.t.before = before;
	w.t.after = after;
	n = kill_at_every_point(&w.t);
	cr_assert_gt(n, 1, "%s", w.t.what);
	cr_log_info("%s: %d points", scenario, n);
}

static void begin(void)
{
	memset(&w, 0, sizeof(w));
	w.page = kit_page_create();
	w.id = "victim";
	w.p = ring_make(w.name, SMALL(.wait = MYELON_WAIT_PARK));
	w.keep = ring_join(w.name, WITH(.id = "keep"));
}

static void end(void)
{
	myelon_consumer_close(w.victim);
	myelon_consumer_close(w.keep);
	myelon_producer_close(w.p);
	myelon_gc(NULL, NULL, NULL);
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0);
	kit_page_destroy(w.page);
}

TestSuite(kill_evict, .init = begin, .fini = end, .timeout = 120);

static void read_kept(void)
{
	uint32_t n = (uint32_t)(myelon_producer_published(w.p) + 1 - w.kept);

	ring_pull(w.keep, w.kept, n);
	w.kept += n;
}

/* Reads two messages and ends without a word. */
static int live_and_die(void *arg)
{
	struct myelon_consumer *c;
	struct myelon_view v;

	(void)arg;
	if (myelon_consumer_attach(&c, w.name, WITH(.id = w.id)) < 0)
		return 1;
	kit_set(w.page, ATTACHED, 1);
	for (int left = 2; left > 0;) {
		int n = myelon_peek(c, (uint32_t)left, kit_deadline(30), &v);

		if (n < 0 || myelon_release(c, (uint32_t)n) < 0)
			return 2;
		left -= n;
	}
	return 0;
}

/* Waits for room that only an eviction makes. */
static void *one_more(void *arg)
{
	unsigned char slot[64];

	(void)arg;
	kit_fill(slot, 64, RING_SEED, (uint64_t)w.p->next);
	w.rc = myelon_publish_copy(w.p, slot, 1, kit_deadline(40));
	return NULL;
}

static void fill_and_wait(void)
{
	while (ring_push(w.p, 1) == 0)
		read_kept();
	cr_assert_eq(pthread_create(&w.thread, NULL, one_more, NULL), 0);
}

/* A dead victim with two messages read, and a producer that waits for it. */
static int a_dead_one(void *ctx)
{
	struct kit_actor a;

	(void)ctx;
	read_kept();
	w.saved = myelon_producer_published(w.p) + 2;
	kit_set(w.page, ATTACHED, 0);
	cr_assert_eq(kit_fork(&a, live_and_die, NULL), 0);
	cr_assert(kit_await(w.page, ATTACHED, 1, 30));
	cr_ok(ring_push(w.p, 4));
	cr_assert_eq(kit_wait(&a, 30), 0);
	read_kept();
	fill_and_wait();
	return 0;
}

/* What the killed one left undone a second one does; then the producer is free. */
static void evict_again(const char *id, uint32_t flags, bool killed)
{
	int rc = myelon_evict(w.name, id, flags, NULL);

	cr_assert(rc == 0 || (killed && rc == 1) || (!w.id && rc == -ENOENT), "run %u: %d: %s",
	          w.runs, rc, myelon_last_error());
	cr_assert_eq(pthread_join(w.thread, NULL), 0);
	cr_assert_eq(w.rc, 0, "run %u: the producer still waits: %d", w.runs, w.rc);
	read_kept();
}

static bool is_active(void)
{
	const struct mye_segment *seg = &mye_producer_of(w.p)->seg;

	for (uint32_t i = 0; w.id && i < seg->header.max_consumers; i++)
		if (strcmp(seg->entries[i].about.id, w.id) == 0)
			return MYE_STATE_OF(seg->entries[i].slow.state) == MYE_ENTRY_ACTIVE;
	return false;
}

/* The id comes back, loses nothing unsaid, reads to the end and leaves. */
static void returns(void)
{
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;
	bool active = is_active();
	struct myelon_consumer *v = ring_join(w.name, WITH(.id = w.id));
	int64_t first = myelon_consumer_cursor(v) + 1;

	cr_ok(myelon_consumer_stats(v, &s));
	/* Whoever died with its join done was told what was lost, by the call that did not return. */
	if (w.id && active)
		cr_assert(s.lost == 0 && first > w.saved, "run %u", w.runs);
	else if (w.id)
		cr_assert_eq(first, w.saved + 1 + (int64_t)s.lost, "run %u: %lld after %lld, %llu",
		             w.runs, (long long)first, (long long)w.saved,
		             (unsigned long long)s.lost);
	else
		cr_assert_str_eq(myelon_consumer_id(v), "ad_1", "run %u", w.runs);
	ring_pull(v, first, (uint32_t)(myelon_producer_published(w.p) + 1 - first));
	cr_assert_eq(ring_fill(w.p), 8, "run %u: the ring is not free again", w.runs);
	ring_pull(v, w.kept, 8);
	read_kept();
	myelon_consumer_close(v);
}

static int after_dead(void *ctx, bool killed)
{
	(void)ctx;
	w.runs++;
	evict_again(w.id ? w.id : "ad_1", 0, killed);
	returns();
	return 0;
}

/* Back without a second eviction: whatever was done of the first, it is not taken for the evicted one. */
static int after_dead_resumed(void *ctx, bool killed)
{
	(void)ctx;
	(void)killed;
	w.runs++;
	/* Without an owner the producer may go on by now, or not. */
	{
		struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;
		struct myelon_consumer *v = ring_join(w.name, WITH(.id = w.id));
		int64_t first = myelon_consumer_cursor(v) + 1;

		cr_ok(myelon_consumer_stats(v, &s));
		cr_assert_eq(first, w.saved + 1 + (int64_t)s.lost, "run %u", w.runs);
		ring_pull(v, first, (uint32_t)myelon_consumer_lag(v));
		cr_assert_eq(pthread_join(w.thread, NULL), 0);
		cr_assert_eq(w.rc, 0, "run %u: the producer still waits: %d", w.runs, w.rc);
		w.saved = myelon_consumer_cursor(v);
		myelon_consumer_close(v);
	}
	read_kept();
	returns();
	return 0;
}

Test(kill_evict, of_a_dead_one_is_done_or_can_be_repeated)
{
	every_point("evict", a_dead_one, after_dead);
}

Test(kill_evict, of_a_dead_one_leaves_an_id_that_can_be_resumed)
{
	every_point("evict", a_dead_one, after_dead_resumed);
}

Test(kill_evict, of_a_dead_automatic_one_leaves_its_place_to_the_next)
{
	w.id = NULL;
	every_point("evict_automatic", a_dead_one, after_dead);
}

static int a_living_one(void *ctx)
{
	(void)ctx;
	read_kept();
	w.victim = ring_join(w.name, WITH(.id = "victim"));
	cr_ok(ring_push(w.p, 4));
	ring_pull(w.victim, w.kept, 2);
	w.saved = w.kept + 1;
	fill_and_wait();
	return 0;
}

static int after_living(void *ctx, bool killed)
{
	struct myelon_view v;
	int rc;

	(void)ctx;
	w.runs++;
	evict_again("victim", MYELON_F_FORCE, killed);
	while ((rc = myelon_peek(w.victim, 1, MYELON_TRY, &v)) > 0)
		cr_assert_eq(myelon_release(w.victim, 1), -ESTALE, "run %u", w.runs);
	cr_assert_eq(rc, -ESTALE, "run %u: %d", w.runs, rc);
	myelon_consumer_close(w.victim);
	w.victim = NULL;
	returns();
	return 0;
}

Test(kill_evict, of_a_living_one_is_done_or_can_be_repeated)
{
	every_point("evict_living", a_living_one, after_living);
}

/* An evicted one that died before it could acknowledge. */
static int an_evicted_dead_one(void *ctx)
{
	a_dead_one(ctx);
	evict_again("victim", 0, true);
	return 0;
}

static int after_join(void *ctx, bool killed)
{
	(void)ctx;
	(void)killed;
	w.runs++;
	/* It gates where it died, or not at all yet. */
	returns();
	return 0;
}

Test(kill_evict, id_that_dies_again_while_it_comes_back_still_knows_what_it_lost)
{
	every_point("join_evicted", an_evicted_dead_one, after_join);
}
