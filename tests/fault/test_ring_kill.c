/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Processes killed at every point of join, release, detach, publish, close and takeover. Who lives on
 * is never blocked for good and sees every message, whole and in order; the same id goes on where it
 * was; a new producer can come; nothing is left behind.
 */
#include "../unit/ring_kit.h"
#include "kill_at.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "liveness/lease.h"
#include "ring/ring.h"

#define ATTACHED 1

struct world {
	struct kill_test t;
	char name[KIT_NAME];
	struct kit_page *page;
	struct myelon_producer *p;
	struct myelon_consumer *keep; /* of this process; reads everything */
	struct myelon_consumer *other;
	int64_t kept; /* next sequence of keep */
	int64_t saved;
	uint32_t batch, times;
	const char *id;            /* of the victim */
	enum myelon_engine engine; /* of keep's descriptor, AUTO: it has none */
	pthread_t thread;
	int rc; /* of the thread */
	_Atomic int64_t until;
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
}

static void end(void)
{
	myelon_consumer_close(w.keep);
	myelon_producer_close(w.p);
	myelon_gc(NULL, NULL, NULL);
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0);
	kit_page_destroy(w.page);
}

TestSuite(kill, .init = begin, .fini = end, .timeout = 120);

static void read_kept(void)
{
	uint32_t n = (uint32_t)(myelon_producer_published(w.p) + 1 - w.kept);

	ring_pull(w.keep, w.kept, n);
	w.kept += n;
}

/* Publish as far as the dead one lets us, at most @n. */
static void push_on(uint32_t n)
{
	while (n-- > 0) {
		read_kept();
		if (ring_push(w.p, 1) < 0)
			break;
	}
	read_kept();
}

/* The same id comes back and reads on to the end; then nothing of the dead one is left. */
static void victim_returns(bool exactly)
{
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;
	struct myelon_consumer *v = ring_join(w.name, WITH(.id = w.id));
	int64_t first = myelon_consumer_cursor(v) + 1;

	read_kept();
	cr_ok(myelon_consumer_stats(v, &s));
	if (exactly)
		cr_assert_eq(first, w.saved + 1 + (int64_t)s.lost, "run %u: %lld", w.runs,
		             (long long)first);
	ring_pull(v, first, (uint32_t)(myelon_producer_published(w.p) + 1 - first));
	cr_assert_eq(ring_fill(w.p), 8, "run %u: the ring is not free again", w.runs);
	ring_pull(v, w.kept, 8);
	read_kept();
	if (!w.id)
		cr_assert_str_eq(myelon_consumer_id(v), "ad_1", "run %u", w.runs);
	w.saved = myelon_consumer_cursor(v);
	myelon_consumer_close(v);
}

static int after_join(void *ctx, bool killed)
{
	(void)ctx;
	(void)killed;
	/* Every other time the producer goes on before the victim is back. */
	if (w.runs++ % 2)
		push_on(30);
	victim_returns(false);
	return 0;
}

static void ring_with_reader(void)
{
	w.p = ring_make(w.name, SMALL());
	w.keep = ring_join(w.name, WITH(.id = "keep"));
}

static int some_unread(void *ctx)
{
	(void)ctx;
	push_on(5);
	return 0;
}

Test(kill, in_join_at_latest_stops_nobody_and_the_id_can_return)
{
	ring_with_reader();
	every_point("join_latest", some_unread, after_join);
}

Test(kill, in_join_at_oldest_stops_nobody_and_the_id_can_return)
{
	ring_with_reader();
	every_point("join_oldest", some_unread, after_join);
}

Test(kill, in_automatic_join_leaves_a_place_that_is_used_again)
{
	ring_with_reader();
	w.id = NULL;
	every_point("join_automatic", some_unread, after_join);
}

static int buffering(void *ctx)
{
	(void)ctx;
	w.p = ring_make(w.name, SMALL(.buffer_until = 2));
	cr_ok(ring_push(w.p, 3));
	return 0;
}

/* The second one comes and leaves; if that ends the buffering, the victim's place is kept. */
static int after_first(void *ctx, bool killed)
{
	struct myelon_consumer *v;

	(void)ctx;
	(void)killed;
	w.runs++;
	myelon_consumer_close(ring_join(w.name, WITH(.id = "second")));
	ring_fill(w.p);
	v = ring_join(w.name, WITH(.id = "victim"));
	cr_assert_eq(myelon_consumer_cursor(v), -1, "run %u: begins behind %lld", w.runs,
	             (long long)myelon_consumer_cursor(v));
	ring_close(w.p, v);
	w.p = NULL;
	return 0;
}

Test(kill, in_join_while_the_ring_buffers_loses_nothing_of_the_beginning)
{
	every_point("join_default", buffering, after_first);
}

static enum mye_lease_state lease_of(uint32_t entry)
{
	return mye_lease_look(&mye_producer_of(w.p)->seg, MYE_LEASE_ENTRY(entry));
}

/* Nobody's word says for long that somebody has it: whoever comes next makes it his own, or nobody's. */
static int after_join_lease(void *ctx, bool killed)
{
	const uint32_t flags = w.runs % 3 ? MYELON_F_LEASE : 0;
	struct myelon_consumer *v;

	(void)ctx;
	cr_assert_neq(lease_of(1), MYE_LEASE_HELD, "run %u: the owner is dead", w.runs);
	if (!killed)
		cr_assert_eq(lease_of(1), MYE_LEASE_NONE, "run %u", w.runs);
	v = ring_join(w.name, WITH(.id = "victim", .flags = flags));
	cr_assert_eq(mye_consumer_of(v)->index, 1);
	cr_assert_eq(lease_of(1), flags ? MYE_LEASE_HELD : MYE_LEASE_NONE, "run %u", w.runs);
	myelon_consumer_close(v);
	cr_assert_eq(lease_of(1), MYE_LEASE_NONE, "run %u", w.runs);
	return after_join(ctx, killed);
}

Test(kill, while_a_consumer_takes_a_lease_or_gives_it_back_leaves_the_word_to_the_next)
{
	ring_with_reader();
	every_point("join_lease", some_unread, after_join_lease);
}

/* The victim has read up to saved; there are five messages more. */
static int leave_five(void *ctx)
{
	struct myelon_consumer *v;

	(void)ctx;
	read_kept();
	v = ring_join(w.name, WITH(.id = "victim", .start = MYELON_START_LATEST));
	w.saved = myelon_consumer_cursor(v);
	cr_ok(ring_push(w.p, 5));
	myelon_consumer_close(v);
	return 0;
}

static int after_resume(void *ctx, bool killed)
{
	(void)ctx;
	(void)killed;
	if (w.runs++ % 2)
		push_on(30);
	victim_returns(true);
	return 0;
}

Test(kill, in_resume_forgets_neither_the_position_nor_what_is_lost)
{
	ring_with_reader();
	every_point("join_resume", leave_five, after_resume);
}

/* When the victim is there: fill the ring, and wait for room. */
static void *feed(void *arg)
{
	unsigned char slot[64];

	(void)arg;
	if (!kit_await(w.page, ATTACHED, 1, 30)) {
		w.rc = -ENOENT;
		return NULL;
	}
	push_on(9);
	kit_fill(slot, 64, RING_SEED, (uint64_t)w.p->next);
	w.rc = myelon_publish_copy(w.p, slot, 1, kit_deadline(40));
	return NULL;
}

static int start_feeding(void *ctx)
{
	(void)ctx;
	kit_set(w.page, ATTACHED, 0);
	return pthread_create(&w.thread, NULL, feed, NULL);
}

static int after_waiting(void *ctx, bool killed)
{
	struct myelon_consumer *v;
	int64_t first;

	(void)ctx;
	(void)killed;
	w.runs++;
	v = ring_join(w.name, WITH(.id = "victim"));
	first = myelon_consumer_cursor(v) + 1;
	ring_pull(v, first, (uint32_t)(myelon_consumer_lag(v)));
	cr_assert_eq(pthread_join(w.thread, NULL), 0);
	cr_assert_eq(w.rc, 0, "run %u: the producer waits for the dead: %d", w.runs, w.rc);
	myelon_consumer_close(v);
	victim_returns(false);
	return 0;
}

Test(kill, in_release_with_a_waiting_producer_does_not_leave_it_asleep)
{
	w.p = ring_make(w.name, SMALL(.wait = MYELON_WAIT_PARK));
	w.keep = ring_join(w.name, WITH(.id = "keep"));
	every_point("release", start_feeding, after_waiting);
}

/* The one that died while it left need not come back for the producer to go on. */
static int after_detach(void *ctx, bool killed)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;

	(void)ctx;
	w.runs++;
	cr_ok(myelon_ring_describe(w.name, NULL, &info));
	if (killed && info.consumers > 1)
		return after_waiting(ctx, killed);
	cr_assert_eq(pthread_join(w.thread, NULL), 0);
	cr_assert_eq(w.rc, 0, "run %u: the producer waits for who has left: %d", w.runs, w.rc);
	victim_returns(false);
	return 0;
}

Test(kill, in_detach_with_a_waiting_producer_does_not_leave_it_asleep)
{
	w.p = ring_make(w.name, SMALL(.wait = MYELON_WAIT_PARK));
	w.keep = ring_join(w.name, WITH(.id = "keep"));
	every_point("detach", start_feeding, after_detach);
}

/* As a call of peek that waits, but the waiting is done by poll() on the descriptor. */
static int peek_in_loop(int64_t deadline, struct myelon_view *v)
{
	for (;;) {
		struct pollfd p = {.fd = myelon_consumer_fd(w.keep, NULL), .events = POLLIN};
		int n = myelon_peek(w.keep, MYELON_ALL, MYELON_TRY, v);

		if (n != -EAGAIN)
			return n;
		if (poll(&p, 1, (int)((deadline - kit_now_ns()) / MS)) != 1)
			return -ETIMEDOUT;
	}
}

/* Reads on, over the death of producers, up to and including w.until. */
static void *read_on(void *arg)
{
	int64_t deadline = kit_deadline(40);
	struct myelon_view v;

	(void)arg;
	w.rc = 0;
	while (w.rc == 0 && w.kept <= atomic_load(&w.until)) {
		int n = w.engine ? peek_in_loop(deadline, &v)
		                 : myelon_peek(w.keep, MYELON_ALL, deadline, &v);

		if (n == -EPIPE || n == -EOWNERDEAD) {
			w.rc = myelon_consumer_wait_producer(w.keep, deadline);
			continue;
		}
		if (n < 0 || v.seq != w.kept) {
			w.rc = n < 0 ? n : -EBADMSG;
			break;
		}
		for (uint32_t i = 0; i < v.count; i++)
			if (kit_check((const char *)v.base + (size_t)i * 64, 64, RING_SEED,
			              (uint64_t)v.seq + i) != -1)
				w.rc = -EBADMSG;
		w.kept += n;
		if (myelon_release(w.keep, v.count) < 0)
			w.rc = -ESTALE;
	}
	return NULL;
}

static int start_reading(void *ctx)
{
	(void)ctx;
	w.saved = w.kept - 1;
	atomic_store(&w.until, INT64_MAX);
	return pthread_create(&w.thread, NULL, read_on, NULL);
}

/* A new producer comes, goes on after whole batches of the dead one, and reaches the reader. */
static int after_producer(void *ctx, bool killed)
{
	struct myelon_producer *p;
	int64_t more;
	int rc;

	(void)ctx;
	w.runs++;
	rc = myelon_producer_open(&p, w.name, NULL);
	cr_assert_eq(rc, 0, "run %u: open: %d: %s", w.runs, rc, myelon_last_error());
	more = myelon_producer_published(p) - w.saved;
	cr_assert(more >= 0 && more <= w.batch * w.times, "run %u: %lld", w.runs, (long long)more);
	if (w.batch)
		cr_assert_eq(more % w.batch, 0, "run %u: part of a batch is visible", w.runs);
	if (!killed)
		cr_assert_eq(more, w.batch * w.times);
	cr_assert_eq(
		myelon_producer_wait_consumed(p, myelon_producer_published(p), kit_deadline(30)), 0,
		"run %u: the reader does not go on", w.runs);
	atomic_store(&w.until, myelon_producer_published(p) + 1);
	cr_ok(ring_push(p, 1));
	cr_assert_eq(pthread_join(w.thread, NULL), 0);
	cr_assert_eq(w.rc, 0, "run %u: the reader: %d", w.runs, w.rc);
	myelon_producer_close(p);
	return 0;
}

static void ring_without_producer(enum myelon_wait wait, uint32_t batch, uint32_t times)
{
	struct myelon_producer *p = ring_make(w.name, SMALL());

	w.batch = batch;
	w.times = times;
	w.keep = ring_join(w.name, WITH(.id = "keep", .wait = wait));
	myelon_producer_close(p);
}

Test(kill, in_publish_above_a_sleeper_loses_nothing_that_was_published)
{
	ring_without_producer(MYELON_WAIT_PARK, 1, 1);
	every_point("publish", start_reading, after_producer);
}

Test(kill, in_publish_of_a_batch_shows_all_of_it_or_nothing)
{
	ring_without_producer(MYELON_WAIT_PARK, 5, 1);
	every_point("batch", start_reading, after_producer);
}

Test(kill, in_a_stream_over_many_windows_shows_whole_batches_only)
{
	ring_without_producer(MYELON_WAIT_PARK, 3, 8);
	every_point("many", start_reading, after_producer);
}

/* The first publish takes the descriptor over, or offers a socket; the others write it. */
static void above_a_descriptor(enum myelon_engine engine, const char *scenario)
{
	ring_without_producer(MYELON_WAIT_PARK, 1, 4);
	w.engine = engine;
	cr_assert_geq(myelon_consumer_fd(w.keep, &MYELON_FD_OPTS(.engine = engine)), 0, "%s",
	              myelon_last_error());
	every_point(scenario, start_reading, after_producer);
}

Test(kill, while_taking_and_writing_a_descriptor_leaves_no_reader_asleep)
{
	above_a_descriptor(MYELON_ENGINE_DIRECT, "slowly");
}

Test(kill, while_listening_for_a_descriptor_leaves_no_reader_asleep)
{
	above_a_descriptor(MYELON_ENGINE_DIRECT, "slowly_denied");
}

Test(kill, in_publish_leaves_no_reader_asleep_behind_its_keeper)
{
	above_a_descriptor(MYELON_ENGINE_PROXY, "slowly");
}

Test(kill, with_a_descriptor_of_ones_own_stops_nobody)
{
	ring_with_reader();
	every_point("descriptor", some_unread, after_join);
}

Test(kill, in_close_lets_the_next_producer_come)
{
	ring_without_producer(MYELON_WAIT_PARK, 0, 0);
	every_point("close", start_reading, after_producer);
}

Test(kill, in_takeover_lets_the_next_one_take_over)
{
	ring_without_producer(MYELON_WAIT_ADAPTIVE, 1, 1);
	every_point("takeover", start_reading, after_producer);
}

Test(kill, while_a_lease_is_taken_or_given_back_lets_the_next_producer_come)
{
	ring_without_producer(MYELON_WAIT_PARK, 1, 1);
	every_point("lease", start_reading, after_producer);
}

/* A ring that buffers for two, who have both come; its producer has not noticed yet. */
static int make_hold(void *ctx)
{
	struct myelon_producer *p;
	int rc = myelon_producer_create(&p, w.name, RING(64, 16, .buffer_until = 2));

	(void)ctx;
	if (rc < 0)
		return rc;
	cr_ok(ring_push(p, 4));
	w.keep = ring_join(w.name, NULL);
	w.other = ring_join(w.name, NULL);
	myelon_producer_close(p);
	return 0;
}

static int after_hold(void *ctx, bool killed)
{
	struct myelon_producer *p;
	int64_t more;

	(void)ctx;
	w.runs++;
	cr_ok(myelon_producer_open(&p, w.name, NULL));
	more = myelon_producer_published(p) - 3;
	cr_assert(more == 6 || (killed && more == 0), "run %u", w.runs);
	ring_fill(p);
	cr_assert_eq(myelon_producer_published(p), 15);
	ring_pull(w.keep, 0, 16);
	cr_assert_eq(ring_fill(p), 0);
	ring_pull(w.other, 0, 16);
	cr_assert_eq(ring_fill(p), 16, "run %u: the hold is still there", w.runs);
	ring_pull(w.keep, 16, 16);
	myelon_consumer_close(w.other);
	myelon_consumer_close(w.keep);
	myelon_producer_close(p);
	w.keep = NULL;
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0, "run %u", w.runs);
	return 0;
}

Test(kill, at_the_end_of_buffering_keeps_everything_from_sequence_0)
{
	kit_ring_name(w.name, "hold");
	every_point("hold", make_hold, after_hold);
}
