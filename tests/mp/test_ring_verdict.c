/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What readers are told about a producer that died, closed or was replaced, however they wait; and
 * races between whole processes over one id.
 */
#include "ring_cast.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define FRAMED_WINDOW 64
#define LONG_BYTES 100000
#define READY 8 /* words of the children below */
#define ENDED 9
#define EARLY 20 /* a whole message that leaves less than a fragment of room, slots */

struct child {
	struct kit_page *page;
	const char *name;
	uint32_t wait;
	bool observer;
};

static struct cast cast;

static void begin(void)
{
	cast_begin(&cast);
}

static void end(void)
{
	cast_end(&cast, true);
}

TestSuite(verdict, .init = begin, .fini = end, .timeout = 120);

static struct child child_of(uint32_t wait, bool observer)
{
	kit_set(cast.page, READY, 0);
	kit_set(cast.page, ENDED, 0);
	return (struct child){
		.page = cast.page, .name = cast.name, .wait = wait, .observer = observer};
}

static int child_fail(const char *what, int rc)
{
	fprintf(stderr, "%s: %d: %s\n", what, rc, myelon_last_error());
	return 1;
}

static void start(struct kit_actor *a, int (*fn)(void *), struct child *ch)
{
	cr_assert_eq(kit_fork(a, fn, ch), 0);
}

static void await(struct kit_page *page, unsigned int word)
{
	cr_assert(kit_await(page, word, 1, 30), "word %u is not set", word);
}

static void end_of(struct kit_actor *a, const char *what, unsigned int i)
{
	int rc = kit_wait(a, 30);

	cr_assert_eq(rc, 0, "%s %u: %d: %s", what, i, rc, a->output);
}

static void murder(struct kit_actor *a)
{
	cr_assert_eq(kit_kill(a, SIGKILL), 0);
	cr_assert_eq(kit_wait(a, 30), -SIGKILL);
}

/* ---- in the middle of a message ---- */

/* Send one that is longer than the ring, after word READY: stops in its middle, somebody does not read. */
static int send_long(void *arg)
{
	static unsigned char buf[LONG_BYTES];
	struct child *ch = arg;
	struct myelon_frame_producer *fp;
	int rc = myelon_frame_producer_open(&fp, ch->name, NULL);

	if (rc < 0)
		return child_fail("open", rc);
	rc = myelon_frame_send(fp, buf, sizeof(buf), 1, MYELON_FOREVER);
	return child_fail("send came to an end", rc);
}

/* Exactly one report of the message that was cut off, then the death, and that again. */
static int receive_the_end(void *arg)
{
	struct child *ch = arg;
	struct myelon_attach_opts opts =
		MYELON_ATTACH_OPTS(.wait = ch->wait, .start = MYELON_START_OLDEST);
	struct myelon_frame_consumer *fc = NULL;
	struct myelon_frame_observer *fo = NULL;
	const int expected[] = {-EBADMSG, -EOWNERDEAD, -EOWNERDEAD};
	struct myelon_message m;
	int rc;

	if (!ch->observer)
		opts.id = "reader";
	rc = ch->observer ? myelon_frame_observer_attach(&fo, ch->name, &opts)
	                  : myelon_frame_consumer_attach(&fc, ch->name, &opts);
	if (rc < 0)
		return child_fail("attach", rc);
	kit_set(ch->page, READY, 1);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		rc = fc ? myelon_frame_peek(fc, MYELON_FOREVER, &m)
		        : myelon_frame_observe(fo, MYELON_FOREVER, &m, NULL);
		if (rc != expected[i])
			return child_fail(i ? "then" : "first", rc);
		if (i == 0 && m.id != 1)
			return child_fail("id", (int)m.id);
	}
	return 0;
}

static void make_framed(uint32_t window)
{
	struct myelon_frame_producer *fp;

	kit_ring_name(cast.name, "framed");
	cr_assert_eq(myelon_frame_producer_create(
			     &fp, cast.name,
			     &MYELON_RING_OPTS(.slot_size = 64, .window = window,
	                                       .backing = MYELON_BACKING_SHM,
	                                       .huge = MYELON_HUGE_OFF, .flags = MYELON_F_KEEP)),
	             0, "%s", myelon_last_error());
	myelon_frame_producer_close(fp);
}

static struct myelon_frame_consumer *join_framed(const char *id, enum myelon_start from)
{
	struct myelon_frame_consumer *fc;
	int rc = myelon_frame_consumer_attach(&fc, cast.name,
	                                      &MYELON_ATTACH_OPTS(.id = id, .start = from));

	cr_assert_eq(rc, 0, "%s", myelon_last_error());
	return fc;
}

static void lag_reaches(struct myelon_frame_consumer *fc, int64_t slots)
{
	int64_t deadline = kit_deadline(30);

	while (myelon_consumer_lag(myelon_frame_consumer_ring(fc)) < slots)
		cr_assert_lt(kit_now_ns(), deadline, "the sender does not come so far");
}

static int is_caught_up(void *ctx, const struct myelon_consumer_entry *e)
{
	(void)ctx;
	return strcmp(e->id, "reader") == 0 && e->lag == 0 && e->cursor >= 0;
}

static void reader_catches_up(void)
{
	int64_t deadline = kit_deadline(30);

	while (myelon_ring_consumers(cast.name, NULL, is_caught_up, NULL) != 1)
		cr_assert_lt(kit_now_ns(), deadline, "the reader does not read");
}

static void killed_in_the_middle(uint32_t wait, bool observer)
{
	struct child ch = child_of(wait, observer);
	struct myelon_frame_consumer *slow;
	struct kit_actor sender, reader;

	make_framed(FRAMED_WINDOW);
	slow = join_framed("slow", MYELON_START_OLDEST);
	start(&sender, send_long, &ch);
	lag_reaches(slow, FRAMED_WINDOW);
	start(&reader, receive_the_end, &ch);
	await(cast.page, READY);
	if (observer)
		cast_rest(20);
	else
		reader_catches_up();
	murder(&sender);
	end_of(&reader, observer ? "observer" : "consumer", wait);
	myelon_frame_consumer_close(slow);
	cr_assert_eq(myelon_ring_remove(cast.name, NULL), 0, "%s", myelon_last_error());
}

Test(verdict, consumer_that_waits_in_the_middle_of_a_message_hears_of_it_and_of_the_death)
{
	killed_in_the_middle(MYELON_WAIT_ADAPTIVE, false);
	killed_in_the_middle(MYELON_WAIT_PARK, false);
	killed_in_the_middle(MYELON_WAIT_SPIN_PAUSE, false);
}

Test(verdict, observer_that_waits_in_the_middle_of_a_message_hears_of_it_and_of_the_death)
{
	killed_in_the_middle(MYELON_WAIT_ADAPTIVE, true);
	killed_in_the_middle(MYELON_WAIT_PARK, true);
	killed_in_the_middle(MYELON_WAIT_SPIN_PAUSE, true);
}

/* One whole message, then a long one that stops after its first fragment: the second has no room. */
static int send_early_and_long(void *arg)
{
	static unsigned char buf[EARLY * 64 - 16];
	struct child *ch = arg;
	struct myelon_frame_producer *fp;
	int rc = myelon_frame_producer_open(&fp, ch->name, NULL);

	if (rc == 0)
		rc = myelon_frame_send(fp, buf, sizeof(buf), 1, MYELON_TRY);
	if (rc < 0)
		return child_fail("early", rc);
	myelon_frame_producer_close(fp);
	return send_long(arg);
}

Test(verdict, successor_ends_a_message_cut_off_before_it_sends_one_of_its_own)
{
	struct child ch = child_of(MYELON_WAIT_ADAPTIVE, false);
	struct myelon_frame_consumer *slow, *late;
	struct myelon_frame_producer *fp;
	struct kit_actor sender;
	struct myelon_message m;

	make_framed(FRAMED_WINDOW);
	slow = join_framed("slow", MYELON_START_OLDEST);
	start(&sender, send_early_and_long, &ch);
	lag_reaches(slow, EARLY + 1);
	murder(&sender);
	cr_assert_lt(myelon_consumer_lag(myelon_frame_consumer_ring(slow)), FRAMED_WINDOW,
	             "there is room for its end");
	cr_assert_eq(myelon_frame_producer_open(&fp, cast.name, NULL), 0, "%s",
	             myelon_last_error());
	/* Who comes now never knew the dead one: only what is in the ring can tell. */
	late = join_framed("late", MYELON_START_OLDEST);
	cr_assert_eq(myelon_frame_peek(late, MYELON_TRY, &m), 1, "%s", myelon_last_error());
	cr_assert_eq(m.len, EARLY * 64 - 16);
	cr_assert_eq(myelon_frame_release(late, 1), 0);
	cr_assert_eq(myelon_frame_peek(late, MYELON_TRY, &m), -EBADMSG);
	cr_assert_eq(m.id, 2);
	cr_assert_eq(myelon_frame_peek(late, MYELON_TRY, &m), -EAGAIN);
	cr_assert_eq(myelon_frame_send(fp, "next", 4, 7, MYELON_TRY), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_frame_peek(late, MYELON_TRY, &m), 1, "%s", myelon_last_error());
	cr_assert_eq(m.id, 3);
	cr_assert_eq(memcmp(m.data, "next", 4), 0);
	cr_assert_eq(myelon_frame_release(late, 1), 0);
	myelon_frame_consumer_close(late);
	myelon_frame_consumer_close(slow);
	myelon_frame_producer_close(fp);
	cr_assert_eq(myelon_ring_remove(cast.name, NULL), 0, "%s", myelon_last_error());
}

/* ---- short deadlines ---- */

static int create_and_hang(void *arg)
{
	struct child *ch = arg;
	struct myelon_producer *p;
	int rc = myelon_producer_create(&p, ch->name,
	                                &MYELON_RING_OPTS(.backing = MYELON_BACKING_SHM,
	                                                  .huge = MYELON_HUGE_OFF, .window = 8));

	if (rc < 0)
		return child_fail("create", rc);
	kit_set(ch->page, READY, 1);
	for (;;)
		pause();
}

/* -1: the calls are tries. */
static const int64_t waits_ns[] = {3000000, 100000000, -1};

#define WAITS (sizeof(waits_ns) / sizeof(waits_ns[0]))

static void until_told(struct myelon_consumer *c, struct myelon_observer *o, int64_t ns)
{
	const char *wait = ns < 0 ? "tries" : "deadlines";
	int64_t watchdog = kit_deadline(20);
	unsigned long calls = 0;
	struct myelon_view v;
	char slot[64];
	int rc;

	do {
		int64_t deadline = ns < 0 ? MYELON_TRY : myelon_deadline_after(ns);

		rc = c ? myelon_peek(c, 1, deadline, &v)
		       : myelon_observe(o, slot, 1, deadline, NULL, NULL);
		calls++;
	} while ((rc == -ETIMEDOUT || rc == -EAGAIN) && kit_now_ns() < watchdog);
	cr_assert_eq(rc, -EOWNERDEAD, "%s of %lld ns, call %lu: %d: %s", wait, (long long)ns, calls,
	             rc, myelon_last_error());
}

static void short_waits(bool observer)
{
	for (uint32_t w = MYELON_WAIT_ADAPTIVE; w <= MYELON_WAIT_PARK; w++) {
		struct child ch = child_of(w, observer);
		struct myelon_consumer *c[WAITS] = {NULL};
		struct myelon_observer *o[WAITS] = {NULL};
		struct kit_actor producer;

		kit_ring_name(cast.name, "short");
		start(&producer, create_and_hang, &ch);
		await(cast.page, READY);
		for (size_t i = 0; i < WAITS; i++)
			cr_assert_eq(
				observer ? myelon_observer_attach(&o[i], cast.name,
			                                          &MYELON_ATTACH_OPTS(.wait = w))
					 : myelon_consumer_attach(&c[i], cast.name,
			                                          &MYELON_ATTACH_OPTS(.wait = w)),
				0, "%s", myelon_last_error());
		murder(&producer);
		for (size_t i = 0; i < WAITS; i++)
			until_told(c[i], o[i], waits_ns[i]);
		for (size_t i = 0; i < WAITS; i++) {
			myelon_consumer_close(c[i]);
			myelon_observer_close(o[i]);
		}
		myelon_gc(NULL, NULL, NULL);
	}
}

Test(verdict, death_is_told_to_consumers_that_only_wait_for_short_times)
{
	short_waits(false);
}

Test(verdict, death_is_told_to_observers_that_only_wait_for_short_times)
{
	short_waits(true);
}

/* ---- without membarrier ---- */

static void denied(const char *role, const char *wait)
{
	struct kit_result *r;

	kit_ring_name(cast.name, "denied");
	cast_start(&cast, 0, "publish", "count=5 end=hang fence=%d", MYELON_FENCE_ASYM);
	cast_attached(&cast, 0);
	cast_progress(&cast, 0, 5);
	cast_start(&cast, 1, role, "deny=1 wait=%s start=%d", wait, MYELON_START_OLDEST);
	cast_progress(&cast, 1, 5);
	cast_kill(&cast, 0);
	r = cast_done(&cast, 1);
	cr_assert_eq(r->count, 5);
	myelon_gc(NULL, NULL, NULL);
}

Test(verdict, death_is_told_to_consumers_whose_membarrier_is_denied)
{
	denied("consume", "park");
	denied("consume", "adaptive");
}

Test(verdict, death_is_told_to_observers_whose_membarrier_is_denied)
{
	denied("observe", "park");
	denied("observe", "adaptive");
}

/* ---- a chain of producers ---- */

/* Open, say so, stay until that was noticed, close; again and again. */
static int come_and_go(void *arg)
{
	struct child *ch = arg;

	for (uint32_t k = 1; !ch->page->word[ENDED]; k++) {
		struct myelon_producer *p;
		int rc = myelon_producer_open(&p, ch->name, NULL);

		if (rc < 0)
			return child_fail("open", rc);
		kit_set(ch->page, READY, k);
		while (ch->page->word[READY + 2] < k && !ch->page->word[ENDED])
			sched_yield();
		myelon_producer_close(p);
	}
	return 0;
}

static void reader_of_a_chain(bool observer)
{
	struct child ch = child_of(MYELON_WAIT_SPIN_PAUSE, false);
	struct myelon_consumer *c = NULL;
	struct myelon_observer *o = NULL;
	struct myelon_producer *p;
	int64_t until = kit_now_ns() + 1500000000, watchdog = kit_deadline(60);
	struct kit_actor producers;
	struct myelon_view v;
	uint32_t seen = 0;
	char slot[64];

	kit_ring_name(cast.name, "chain");
	kit_set(cast.page, READY + 2, 0);
	cr_assert_eq(myelon_producer_create(&p, cast.name,
	                                    &MYELON_RING_OPTS(.backing = MYELON_BACKING_SHM,
	                                                      .huge = MYELON_HUGE_OFF,
	                                                      .flags = MYELON_F_KEEP)),
	             0, "%s", myelon_last_error());
	cr_assert_eq(observer ? myelon_observer_attach(&o, cast.name, NULL)
	                      : myelon_consumer_attach(&c, cast.name, NULL),
	             0);
	myelon_producer_close(p);
	start(&producers, come_and_go, &ch);
	while (seen < 100 || (seen < 20000 && kit_now_ns() < until)) {
		uint32_t opened = cast.page->word[READY];
		int rc = c ? myelon_peek(c, 1, MYELON_TRY, &v)
		           : myelon_observe(o, slot, 1, MYELON_TRY, NULL, NULL);

		cr_assert(rc == -EAGAIN || rc == -EPIPE, "%d: %s", rc, myelon_last_error());
		cr_assert_lt(kit_now_ns(), watchdog);
		if (opened == seen)
			continue;
		/* This one was open before the call, and is until we say that we noticed. */
		cr_assert_eq(rc, -EAGAIN, "producer %u is open, but %d: %s", opened, rc,
		             myelon_last_error());
		seen = opened;
		kit_set(cast.page, READY + 2, seen);
	}
	kit_set(cast.page, ENDED, 1);
	end_of(&producers, "producer", seen);
	myelon_consumer_close(c);
	myelon_observer_close(o);
	cr_assert_eq(myelon_ring_remove(cast.name, NULL), 0, "%s", myelon_last_error());
}

Test(verdict, end_of_one_producer_is_never_told_of_the_next)
{
	reader_of_a_chain(false);
	reader_of_a_chain(true);
}

/* ---- one id, two processes ---- */

#define ROUNDS 300
#define LINE_UP 20 /* words: arrivals, attached */
#define WON 21

static uint32_t add(struct kit_page *page, unsigned int word)
{
	return atomic_fetch_add(&page->word[word], 1) + 1;
}

/* Spins: a sleep would let one of the two go long before the other. */
static bool line_up(struct kit_page *page, uint32_t total)
{
	int64_t deadline = kit_deadline(30);

	add(page, LINE_UP);
	while (page->word[LINE_UP] < total)
		if (kit_now_ns() > deadline)
			return false;
	return true;
}

static int claim_ids(void *arg)
{
	struct child *ch = arg;

	for (uint32_t k = 0; k < ROUNDS; k++) {
		struct myelon_consumer *c = NULL;
		char id[16];
		int rc;

		snprintf(id, sizeof(id), "id-%u", k);
		if (!line_up(ch->page, 4 * k + 2))
			return child_fail("alone", 0);
		rc = myelon_consumer_attach(&c, ch->name, &MYELON_ATTACH_OPTS(.id = id));
		if (rc < 0 && rc != -EBUSY)
			return child_fail("attach", rc);
		if (rc == 0)
			add(ch->page, WON);
		if (!line_up(ch->page, 4 * k + 4))
			return child_fail("alone", 0);
		if (ch->page->word[WON] != k + 1)
			return child_fail("more or less than one has it, round", (int)k);
		myelon_consumer_close(c);
	}
	return 0;
}

Test(verdict, of_two_processes_that_bring_one_new_id_exactly_one_gets_it)
{
	struct child first = child_of(0, false), second = child_of(1, false);
	struct kit_actor a, b;
	struct myelon_producer *p;

	kit_ring_name(cast.name, "ids");
	kit_set(cast.page, LINE_UP, 0);
	kit_set(cast.page, WON, 0);
	cr_assert_eq(myelon_producer_create(&p, cast.name,
	                                    &MYELON_RING_OPTS(.backing = MYELON_BACKING_SHM,
	                                                      .huge = MYELON_HUGE_OFF)),
	             0, "%s", myelon_last_error());
	start(&a, claim_ids, &first);
	start(&b, claim_ids, &second);
	end_of(&a, "process", 0);
	end_of(&b, "process", 1);
	myelon_producer_close(p);
}
