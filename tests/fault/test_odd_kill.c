/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Supervised producers, and senders of messages in fragments, killed at every point: also while they take
 * over from one that was killed in the middle of a message, as the one before it, and so on.
 */
#include "../unit/ring_kit.h"
#include "kill_at.h"
#include "odd_kill.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct world {
	struct kill_test t;
	char name[KIT_NAME];
	struct myelon_consumer *keep; /* reads everything, on the thread */
	int64_t kept;                 /* its next sequence */
	int64_t saved;                /* last sequence before this run */
	pthread_t thread;
	atomic_bool stop;
	unsigned int runs;
};

static struct world w;

static void every_point(const char *scenario, int (*before)(void *), int (*after)(void *, bool))
{
	int n;

	w.t = (struct kill_test){.actor = "odd_kill_actor",
	                         .scenario = scenario,
	                         .ring = w.name,
	                         .before = before,
	                         .after = after};
	n = kill_at_every_point(&w.t);
	cr_assert_gt(n, 1, "%s", w.t.what);
	cr_log_info("%s: %d points", scenario, n);
}

static void begin(void)
{
	memset(&w, 0, sizeof(w));
}

static void end(void)
{
	myelon_consumer_close(w.keep);
	myelon_gc(NULL, NULL, NULL);
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0, "files are left");
}

TestSuite(odd_kill, .init = begin, .fini = end, .timeout = 120);

static void rest(int us)
{
	const struct timespec t = {.tv_nsec = (long)us * 1000};

	nanosleep(&t, NULL);
}

/* ---- supervised ---- */

/* Reads everything; lets the ring run full first, so long that the producer is blocked, and alerts. */
static void *read_late(void *arg)
{
	int64_t full_at = 0;

	(void)arg;
	while (!atomic_load(&w.stop) || myelon_consumer_lag(w.keep) > 0) {
		bool full = myelon_consumer_lag(w.keep) == 8;

		if (full && !full_at)
			full_at = kit_now_ns();
		if (atomic_load(&w.stop) || (full_at && kit_now_ns() - full_at > 8 * MS)) {
			ring_pull(w.keep, w.kept, (uint32_t)myelon_consumer_lag(w.keep));
			w.kept = myelon_consumer_cursor(w.keep) + 1;
		}
		rest(100);
	}
	return NULL;
}

static int start_late_reader(void *ctx)
{
	(void)ctx;
	w.saved = w.kept - 1;
	atomic_store(&w.stop, false);
	return pthread_create(&w.thread, NULL, read_late, NULL);
}

static void ring_with_reader(void)
{
	struct myelon_producer *p = ring_make(w.name, SMALL());

	w.keep = ring_join(w.name, WITH(.id = "keep"));
	myelon_producer_close(p);
}

static void end_reader(void)
{
	atomic_store(&w.stop, true);
	cr_assert_eq(pthread_join(w.thread, NULL), 0);
}

/* Whoever comes next goes on, supervised as well. */
static int after_managed(void *ctx, bool killed)
{
	struct myelon_producer *p;
	int64_t more;
	int rc;

	(void)ctx;
	w.runs++;
	end_reader();
	rc = myelon_producer_open(&p, w.name, NULL);
	cr_assert_eq(rc, 0, "run %u: open: %d: %s", w.runs, rc, myelon_last_error());
	more = myelon_producer_published(p) - w.saved;
	cr_assert(more >= 0 && more <= MANAGED && (killed || more == MANAGED), "run %u: %lld",
	          w.runs, (long long)more);
	cr_assert_eq(w.kept, myelon_producer_published(p) + 1);
	cr_ok(myelon_producer_require(p, &MYELON_LIVENESS_OPTS(.required.count = 1)));
	for (int i = 0; i < 10; i++) {
		struct myelon_span s;

		rc = myelon_claim_managed(p, 1, kit_deadline(30), &s);
		cr_assert_eq(rc, 0, "run %u: %d: %s", w.runs, rc, myelon_last_error());
		kit_fill(s.base, 64, RING_SEED, (uint64_t)s.seq);
		cr_ok(myelon_publish(p, 1));
		ring_pull(w.keep, w.kept++, 1);
	}
	myelon_producer_close(p);
	return 0;
}

Test(odd_kill, in_a_supervised_claim_lets_the_next_producer_come_and_loses_nothing)
{
	ring_with_reader();
	every_point("managed", start_late_reader, after_managed);
}

static int attach_and_end(void *arg)
{
	struct myelon_consumer *c;

	(void)arg;
	return myelon_consumer_attach(&c, w.name, WITH(.id = "victim")) < 0;
}

static int leave_a_dead_one(void *ctx)
{
	struct kit_actor a;

	cr_assert_eq(kit_fork(&a, attach_and_end, NULL), 0);
	cr_assert_eq(kit_wait(&a, 30), 0);
	return start_late_reader(ctx);
}

/* The dead one is still what it was, and its id comes back to where it was. */
static int after_dead(void *ctx, bool killed)
{
	struct myelon_producer *p;
	struct myelon_consumer *v;
	int64_t more;

	(void)ctx;
	w.runs++;
	end_reader();
	cr_ok(myelon_producer_open(&p, w.name, NULL));
	more = myelon_producer_published(p) - w.saved;
	cr_assert(more >= 0 && more <= 8 && (killed || more == 8), "run %u: %lld", w.runs,
	          (long long)more);
	v = ring_join(w.name, WITH(.id = "victim"));
	cr_assert_eq(myelon_consumer_cursor(v), w.saved, "run %u", w.runs);
	ring_pull(v, w.saved + 1, (uint32_t)more);
	cr_assert_eq(ring_fill(p), 8, "run %u: the ring is not free again", w.runs);
	ring_pull(v, w.kept, 8);
	ring_pull(w.keep, w.kept, 8);
	w.kept += 8;
	myelon_consumer_close(v);
	myelon_producer_close(p);
	return 0;
}

Test(odd_kill, in_a_supervised_claim_that_a_dead_one_fails_leaves_that_one_its_place)
{
	ring_with_reader();
	every_point("managed_dead", leave_a_dead_one, after_dead);
}

/* ---- messages in fragments ---- */

#define TOLD 4000

/* What a reader was told: +id whole, -id cut off. */
struct told {
	int64_t what[TOLD];
	uint32_t count;
};

static struct {
	struct myelon_frame_consumer *fc;
	struct myelon_frame_observer *fo;
	struct told consumer, observer;
	char wrong[200]; /* of the thread */
} f;

static void wrong(const char *who, const char *what, int64_t n)
{
	if (!f.wrong[0])
		snprintf(f.wrong, sizeof(f.wrong), "%s: %s: %lld", who, what, (long long)n);
}

static void note(const char *who, struct told *t, int rc, const struct myelon_message *m)
{
	int64_t before = t->count ? t->what[t->count - 1] : 0;

	if (before < 0)
		before = -before;
	if (rc != 1 && rc != -EBADMSG)
		wrong(who, myelon_last_error(), rc);
	else if (m->id <= before)
		wrong(who, "told twice of a message", m->id);
	if (rc == 1 && kit_check(m->data, m->len, RING_SEED, m->len) >= 0)
		wrong(who, "content of a message", m->id);
	if (rc == 1 && m->len != SHORT_BYTES && m->len != LONG_BYTES)
		wrong(who, "length of a message", (int64_t)m->len);
	if (t->count < TOLD)
		t->what[t->count++] = rc == 1 ? (int64_t)m->id : -(int64_t)m->id;
	else
		wrong(who, "too much", rc);
}

static bool nothing(int rc)
{
	return rc == -EAGAIN || rc == -EOWNERDEAD || rc == -EPIPE;
}

/* Everything that is there. The observer is not overtaken: the ring has four windows. */
static void read_frames(void)
{
	struct myelon_message m;
	uint64_t lost;
	int rc;

	while (!nothing(rc = myelon_frame_peek(f.fc, MYELON_TRY, &m)) && !f.wrong[0]) {
		note("consumer", &f.consumer, rc, &m);
		if (rc == 1 && myelon_frame_release(f.fc, 1) < 0)
			wrong("consumer", "release", -1);
	}
	while (!nothing(rc = myelon_frame_observe(f.fo, MYELON_TRY, &m, &lost)) && !f.wrong[0]) {
		note("observer", &f.observer, rc, &m);
		if (lost)
			wrong("observer", "lost", (int64_t)lost);
	}
}

static void *read_frames_on(void *arg)
{
	(void)arg;
	while (!atomic_load(&w.stop)) {
		read_frames();
		rest(50);
	}
	return NULL;
}

static int start_frame_reader(void *ctx)
{
	(void)ctx;
	atomic_store(&w.stop, false);
	return pthread_create(&w.thread, NULL, read_frames_on, NULL);
}

/* Every third time there is a successor that is not killed; else the next one finds what this one left. */
static int after_fragments(void *ctx, bool killed)
{
	unsigned char buf[SHORT_BYTES];
	struct myelon_frame_producer *fp;

	(void)ctx;
	w.runs++;
	end_reader();
	read_frames();
	cr_assert_eq(f.wrong[0], 0, "run %u: %s", w.runs, f.wrong);
	if (w.runs % 3 && killed)
		return 0;
	cr_ok(myelon_frame_producer_open(&fp, w.name, NULL));
	kit_fill(buf, sizeof(buf), RING_SEED, sizeof(buf));
	cr_ok(myelon_frame_send(fp, buf, sizeof(buf), 1, MYELON_TRY));
	read_frames();
	cr_assert_eq(f.wrong[0], 0, "run %u: %s", w.runs, f.wrong);
	cr_assert_eq(f.consumer.what[f.consumer.count - 1], myelon_frame_last_id(fp), "run %u",
	             w.runs);
	cr_assert_eq(f.consumer.count, f.observer.count, "run %u: %u and %u", w.runs,
	             f.consumer.count, f.observer.count);
	cr_assert_eq(memcmp(f.consumer.what, f.observer.what,
	                    f.consumer.count * sizeof(f.consumer.what[0])),
	             0, "run %u: consumer and observer were told different things", w.runs);
	myelon_frame_producer_close(fp);
	return 0;
}

Test(odd_kill, between_fragments_and_while_ending_those_of_others_cuts_each_message_off_once)
{
	struct myelon_frame_producer *fp;
	uint32_t cut = 0;

	kit_ring_name(w.name, "frames");
	cr_ok(myelon_frame_producer_create(&fp, w.name, RING(64, 16)));
	cr_ok(myelon_frame_consumer_attach(&f.fc, w.name, WITH(.id = "keep")));
	cr_ok(myelon_frame_observer_attach(&f.fo, w.name, NULL));
	myelon_frame_producer_close(fp);
	every_point("fragments", start_frame_reader, after_fragments);
	for (uint32_t i = 0; i < f.consumer.count; i++)
		cut += f.consumer.what[i] < 0;
	cr_log_info("%u messages, %u of them cut off", f.consumer.count, cut);
	cr_assert_gt(cut, 3, "hardly any was cut off");
	myelon_frame_observer_close(f.fo);
	myelon_frame_consumer_close(f.fc);
}
