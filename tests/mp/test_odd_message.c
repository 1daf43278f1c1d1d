/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Messages whose producer died between two of their fragments: told of once, by everybody, and never given. */
#include "odd_cast.h"

#define FRAMED_SLOT 16 /* so small that the ring has four windows: observers are not overtaken */
#define FRAMED_WINDOW 64
#define LONG_BYTES 100000 /* far more than the ring */
#define LOG 16

TestSuite(odd_message, .timeout = 120);

/* What one reader was told, but for "nothing yet" and "the producer is gone". */
struct reader {
	struct myelon_frame_consumer *fc;
	struct myelon_frame_observer *fo;
	uint32_t count;
	struct {
		int rc;
		uint32_t id;
	} log[LOG];
	int last; /* what ended the last look */
};

static struct reader first, slow, watch;

struct sender {
	struct kit_page *page;
	const char *name;
	uint32_t whole; /* messages it sends before the long one */
	bool managed;
};

static int send_one(struct myelon_frame_producer *fp, const void *buf, size_t bytes, bool managed)
{
	return managed ? myelon_frame_send_managed(fp, buf, bytes, 1, MYELON_FOREVER)
	               : myelon_frame_send(fp, buf, bytes, 1, MYELON_FOREVER);
}

/* Stops in the middle of the long one, because somebody does not read. */
static int send_until_killed(void *arg)
{
	static unsigned char buf[LONG_BYTES];
	const struct sender *s = arg;
	struct myelon_frame_producer *fp;
	int rc = myelon_frame_producer_open(&fp, s->name, NULL);

	if (rc == 0 && s->managed)
		rc = myelon_producer_require(
			myelon_frame_producer_ring(fp),
			&MYELON_LIVENESS_OPTS(.progress_ns = HANG_NS, .grace_ns = HANG_NS));
	for (uint32_t i = 0; rc == 0 && i < s->whole; i++)
		rc = send_one(fp, "whole", 5, s->managed);
	if (rc == 0)
		rc = send_one(fp, buf, sizeof(buf), s->managed);
	return host_fail("the long message came to an end", rc);
}

static void start_sender(unsigned int i, uint32_t whole, bool managed)
{
	static struct sender s[CAST];

	s[i] = (struct sender){
		.page = cast.page, .name = cast.name, .whole = whole, .managed = managed};
	cr_assert_eq(kit_fork(&cast.actor[i], send_until_killed, &s[i]), 0);
}

static const char *name_of(const struct reader *r)
{
	return r == &first ? "who keeps up" : r == &slow ? "who lags" : "who observes";
}

static void note(struct reader *r, int rc, uint32_t id)
{
	cr_assert_lt(r->count, LOG);
	r->log[r->count].rc = rc;
	r->log[r->count++].id = id;
}

/* Reads what is there, until @p until was noted or there is no more. */
static void look(struct reader *r, uint32_t until, int64_t wait_ns)
{
	struct myelon_message m;
	uint64_t lost = 0;

	while (!until || r->count < until) {
		int64_t deadline = wait_ns ? myelon_deadline_after(wait_ns) : MYELON_TRY;
		int rc = r->fc ? myelon_frame_peek(r->fc, deadline, &m)
		               : myelon_frame_observe(r->fo, deadline, &m, &lost);

		cr_assert_eq(lost, 0, "%s is overtaken", name_of(r));

		r->last = rc;
		if (rc == -EAGAIN || rc == -ETIMEDOUT || rc == -EOWNERDEAD || rc == -EPIPE)
			return;
		note(r, rc, m.id);
		if (rc != 1) {
			cr_assert_eq(rc, -EBADMSG, "%d: %s", rc, myelon_last_error());
			continue;
		}
		cr_assert(m.len == 5 && memcmp(m.data, "whole", 5) == 0, "message %u", m.id);
		if (r->fc)
			cr_assert_eq(myelon_frame_release(r->fc, 1), 0);
	}
}

static int64_t lag_of(const struct reader *r)
{
	return myelon_consumer_lag(myelon_frame_consumer_ring(r->fc));
}

/* Until the sender is held up in its long message: everybody has read what there is, but the slow one. */
static void until_held_up(void)
{
	int64_t deadline = kit_deadline(30), at = -1, since = 0;

	while (at < FRAMED_WINDOW / 2 || kit_now_ns() - since < 30 * MS) {
		cr_assert_lt(kit_now_ns(), deadline, "the sender is at %lld", (long long)at);
		look(&first, 0, 2 * MS);
		look(&watch, 0, 0);
		if (lag_of(&slow) != at)
			since = kit_now_ns();
		at = lag_of(&slow);
	}
}

static void read_until_noted(struct reader *r, uint32_t count)
{
	int64_t deadline = kit_deadline(30);

	while (r->count < count) {
		cr_assert_lt(kit_now_ns(), deadline, "%s has %u of %u, the last is %d of id %u: %d",
		             name_of(r), r->count, count, r->log[r->count - 1].rc,
		             r->log[r->count - 1].id, r->last);
		look(r, count, MS);
		look(&first, 0, 0);
		look(&watch, 0, 0);
	}
}

static struct reader consumer(const char *id, uint32_t wait)
{
	struct reader r = {0};
	int rc = myelon_frame_consumer_attach(
		&r.fc, cast.name,
		&MYELON_ATTACH_OPTS(.id = id, .wait = wait, .start = MYELON_START_OLDEST));

	cr_assert_eq(rc, 0, "%s", myelon_last_error());
	return r;
}

static struct reader observer(uint32_t wait)
{
	struct reader r = {0};
	int rc = myelon_frame_observer_attach(
		&r.fo, cast.name, &MYELON_ATTACH_OPTS(.wait = wait, .start = MYELON_START_OLDEST));

	cr_assert_eq(rc, 0, "%s", myelon_last_error());
	return r;
}

static void leave(struct reader *r)
{
	myelon_frame_consumer_close(r->fc);
	myelon_frame_observer_close(r->fo);
	*r = (struct reader){0};
}

static void begin_readers(uint32_t wait)
{
	struct myelon_frame_producer *fp;

	odd_begin();
	cr_assert_eq(myelon_frame_producer_create(&fp, cast.name,
	                                          &MYELON_RING_OPTS(.slot_size = FRAMED_SLOT,
	                                                            .window = FRAMED_WINDOW,
	                                                            .backing = MYELON_BACKING_SHM,
	                                                            .huge = MYELON_HUGE_OFF)),
	             0, "%s", myelon_last_error());
	first = consumer("first", wait);
	slow = consumer("slow", wait);
	watch = observer(wait);
	myelon_frame_producer_close(fp);
}

static void end_readers(void)
{
	leave(&first);
	leave(&slow);
	leave(&watch);
	odd_end();
}

static void expect_log(const char *who, const struct reader *r, const int *rc, uint32_t n)
{
	cr_assert_eq(r->count, n, "%s was told %u things instead of %u", who, r->count, n);
	for (uint32_t i = 0; i < n; i++)
		cr_assert(r->log[i].rc == rc[i] && r->log[i].id == i + 1,
		          "%s, message %u: %d of id %u", who, i + 1, r->log[i].rc, r->log[i].id);
}

/* The second one dies in the middle of a message as the first did; a third one goes on. @p whole: messages
 * before the first long one, which decide whether there is room to end it at once. */
static void two_die(uint32_t wait, bool managed, uint32_t whole)
{
	int expected[LOG] = {0};
	uint32_t n = 0;
	struct myelon_frame_producer *fp;
	int64_t deadline = kit_deadline(30);
	int rc;

	begin_readers(wait);
	while (n < whole)
		expected[n++] = 1;
	expected[n++] = -EBADMSG;
	start_sender(1, whole, managed);
	until_held_up();
	odd_kill_unreaped(1);
	start_sender(2, 1, managed);
	expected[n++] = 1;
	read_until_noted(&slow, n);
	expected[n++] = -EBADMSG;
	until_held_up();
	odd_kill_unreaped(2);
	cr_assert_eq(myelon_frame_producer_open(&fp, cast.name, NULL), 0, "%s",
	             myelon_last_error());
	while ((rc = myelon_frame_send(fp, "whole", 5, 1, MYELON_TRY)) == -EAGAIN) {
		cr_assert_lt(kit_now_ns(), deadline);
		look(&slow, slow.count + 1, MS);
		look(&first, 0, 0);
		look(&watch, 0, 0);
	}
	cr_assert_eq(rc, 0, "%s", myelon_last_error());
	expected[n++] = 1;
	read_until_noted(&first, n);
	read_until_noted(&slow, n);
	read_until_noted(&watch, n);
	look(&first, 0, 0);
	look(&slow, 0, 0);
	look(&watch, 0, 0);
	expect_log("who keeps up", &first, expected, n);
	expect_log("who lags", &slow, expected, n);
	expect_log("who observes", &watch, expected, n);
	cr_assert_eq(first.last, -EAGAIN);
	odd_reap(1);
	odd_reap(2);
	myelon_frame_producer_close(fp);
	end_readers();
}

Test(odd_message, two_producers_that_die_in_a_row_cut_off_one_message_each_for_everybody)
{
	two_die(MYELON_WAIT_PARK, false, 0);
	two_die(MYELON_WAIT_PARK, true, 1);
	two_die(MYELON_WAIT_SPIN_PAUSE, false, 1);
	two_die(MYELON_WAIT_SPIN_PAUSE, true, 0);
}

static void until_gone(struct reader *r)
{
	int64_t deadline = kit_deadline(30);

	do {
		cr_assert_lt(kit_now_ns(), deadline, "%d", r->last);
		look(r, 0, MS);
	} while (r->last != -EOWNERDEAD);
}

static void nobody_takes_over(uint32_t wait, bool managed)
{
	static const int expected[] = {1, 1, -EBADMSG};
	struct reader late, late_watch;

	begin_readers(wait);
	start_sender(1, 2, managed);
	until_held_up();
	odd_kill_unreaped(1);
	late = consumer("late", wait);
	late_watch = observer(wait);
	/* The death is told when everything complete was given, and then again and again. */
	for (int i = 0; i < 2; i++) {
		until_gone(&first);
		until_gone(&slow);
		until_gone(&watch);
		until_gone(&late);
		until_gone(&late_watch);
	}
	expect_log("who keeps up", &first, expected, 3);
	expect_log("who lags", &slow, expected, 3);
	expect_log("who observes", &watch, expected, 3);
	expect_log("who came late", &late, expected, 3);
	expect_log("who observes late", &late_watch, expected, 3);
	leave(&late);
	leave(&late_watch);
	odd_reap(1);
	end_readers();
}

Test(odd_message, without_a_successor_the_cut_message_is_told_of_once_and_then_the_death)
{
	nobody_takes_over(MYELON_WAIT_PARK, false);
	nobody_takes_over(MYELON_WAIT_SPIN_PAUSE, true);
}
