/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What is left behind by producers and consumers that died or left, and what those who come next, or
 * stay, are told of it.
 */
#include "ring_kit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <myelon/frame.h>

#include "ring/ring.h"

static struct mye_producer_page *page_of(struct myelon_producer *p)
{
	return mye_producer_of(p)->seg.producer;
}

static struct mye_entry *entry_of(struct myelon_consumer *c)
{
	return &mye_consumer_of(c)->seg.entries[mye_consumer_of(c)->index];
}

/* As if it had been killed: the entry stays as it is, the lock goes. */
static void die(struct myelon_consumer *c)
{
	struct mye_consumer *m = mye_consumer_of(c);

	mye_segment_leave(&m->seg);
	m->magic = 0;
	myelon_consumer_close(c);
}

struct child {
	const char *name;
	struct kit_page *page;
};

_Noreturn static void hang(const struct child *ch)
{
	kit_set(ch->page, 0, 1);
	for (;;)
		pause();
}

/* Run @fn up to hang(). */
static void start(struct kit_actor *a, int (*fn)(void *), struct child *ch)
{
	kit_set(ch->page, 0, 0);
	cr_assert_eq(kit_fork(a, fn, ch), 0);
	cr_assert(kit_await(ch->page, 0, 1, 30));
}

static void murder(struct kit_actor *a)
{
	cr_assert_eq(kit_kill(a, SIGKILL), 0);
	cr_assert_eq(kit_wait(a, 30), -SIGKILL);
}

/* ---- a producer that waits for consumers in vain ---- */

static int leave_five_unread(void *arg)
{
	const struct child *ch = arg;
	char slot[64] = {0};
	struct myelon_consumer *c;
	struct myelon_producer *p;
	int rc = myelon_producer_create(&p, ch->name, SMALL());

	if (rc == 0)
		rc = myelon_consumer_attach(&c, ch->name, WITH(.id = "reader"));
	for (uint64_t i = 0; rc == 0 && i < 5; i++) {
		kit_fill(slot, sizeof(slot), RING_SEED, i);
		rc = myelon_publish_copy(p, slot, 1, MYELON_TRY);
	}
	if (rc < 0)
		return 1;
	hang(ch);
}

static int find_reader(void *ctx, const struct myelon_consumer_entry *e)
{
	*(int64_t *)ctx = e->cursor;
	return strcmp(e->id, "reader") == 0 && e->gating;
}

Test(takeover, that_waits_for_consumers_in_vain_takes_nothing_away)
{
	const char *ids[] = {"reader", "missing"};
	struct child ch = {.page = kit_page_create()};

	for (uint32_t n = 0; n < 2; n++) {
		struct myelon_ring_info info = MYELON_RING_INFO_INIT;
		struct myelon_open_opts opts = MYELON_OPEN_OPTS(.wait_timeout_ns = 5 * MS);
		struct myelon_producer *p;
		struct myelon_consumer *c;
		char name[KIT_NAME];
		struct kit_actor a;
		int64_t cursor = 0;

		kit_ring_name(name, "vain");
		ch.name = name;
		start(&a, leave_five_unread, &ch);
		murder(&a);
		opts.wait_for.ids = &ids[n];
		opts.wait_for.id_count = 1;
		cr_assert_eq(myelon_producer_open(&p, name, &opts), -ETIMEDOUT);
		cr_assert_null(p);
		cr_assert_not_null(strstr(myelon_last_error(), ids[n]));
		cr_ok(myelon_ring_describe(name, NULL, &info));
		cr_assert_eq(info.published, 4);
		cr_assert_eq(myelon_ring_consumers(name, NULL, find_reader, &cursor), 1);
		cr_assert_eq(cursor, -1);
		c = ring_join(name, WITH(.id = "reader", .start = MYELON_START_RESUME));
		ring_pull(c, 0, 5);
		cr_ok(myelon_producer_open(&p, name, NULL));
		ring_expect_empty(c);
		cr_assert_eq(ring_fill(p), 8);
		ring_pull(c, 5, 8);
		ring_close(p, c);
	}
	kit_page_destroy(ch.page);
}

/* ---- ids ---- */

#define AUTOMATIC 4

static struct myelon_consumer *bring(const char *name, const char *id)
{
	struct myelon_consumer *c;
	int rc = myelon_consumer_attach(&c, name, WITH(.id = id));

	/* An id of the automatic form may be refused, as somebody's or altogether. */
	cr_assert(rc == 0 || (id && (rc == -EBUSY || rc == -EINVAL)), "%d: %s", rc,
	          myelon_last_error());
	return rc == 0 ? c : NULL;
}

Test(id, explicit_one_of_the_automatic_form_has_one_living_owner)
{
	const char *ids[] = {"ad_0", "ad_1", "ad_3"};

	for (unsigned int i = 0; i < 3; i++)
		for (unsigned int at = 0; at <= AUTOMATIC; at++) {
			struct myelon_consumer *c[AUTOMATIC + 1];
			char name[KIT_NAME];
			struct myelon_producer *p = ring_make(name, SMALL());

			for (unsigned int k = 0; k <= AUTOMATIC; k++)
				c[k] = bring(name, k == at ? ids[i] : NULL);
			for (unsigned int k = 0; k <= AUTOMATIC; k++)
				for (unsigned int m = 0; c[k] && m < k; m++)
					if (c[m])
						cr_assert_str_neq(myelon_consumer_id(c[k]),
						                  myelon_consumer_id(c[m]));
			for (unsigned int k = 0; k <= AUTOMATIC; k++)
				myelon_consumer_close(c[k]);
			ring_close(p, NULL);
		}
}

struct lost {
	const char *id;
	uint64_t lost;
};

static int find_lost(void *ctx, const struct myelon_consumer_entry *e)
{
	struct lost *l = ctx;

	l->lost = e->lost;
	return strcmp(e->id, l->id) == 0;
}

static uint64_t lost_of(const struct myelon_consumer *c)
{
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;

	cr_ok(myelon_consumer_stats(c, &s));
	return s.lost;
}

Test(table, says_of_a_resume_at_latest_what_the_handle_says)
{
	struct lost l = {.id = "a"};
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));

	cr_ok(ring_push(p, 5));
	ring_pull(c, 0, 2);
	die(c);
	c = ring_join(name, WITH(.id = "a", .start = MYELON_START_LATEST));
	cr_assert_eq(lost_of(c), 3);
	cr_assert_eq(myelon_producer_consumers(p, find_lost, &l), 1);
	cr_assert_eq(l.lost, 3, "%llu", (unsigned long long)l.lost);
	die(c);
	c = ring_join(name, WITH(.id = "a"));
	cr_assert_eq(lost_of(c), 0);
	cr_assert_eq(myelon_producer_consumers(p, find_lost, &l), 1);
	cr_assert_eq(l.lost, 0, "of an earlier resume: %llu", (unsigned long long)l.lost);
	myelon_consumer_close(c);
	cr_ok(ring_push(p, 4));
	c = ring_join(name, WITH(.id = "a", .start = MYELON_START_LATEST));
	cr_assert_eq(myelon_producer_consumers(p, find_lost, &l), 1);
	cr_assert_eq(l.lost, lost_of(c));
	ring_close(p, c);
}

Test(entry, minimum_does_not_fall_when_a_dead_join_is_done_again)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c;

	cr_ok(ring_push(p, 4));
	c = ring_join(name, WITH(.id = "a"));
	/* It had raised its cursor and died before it was active. */
	entry_of(c)->slow.state = MYE_STATE(c->generation, MYE_ENTRY_JOINING);
	die(c);
	cr_assert_eq(myelon_producer_is_consumed(p, 3), 1);
	c = ring_join(name, WITH(.id = "a", .start = MYELON_START_OLDEST));
	cr_assert_eq(myelon_producer_is_consumed(p, 3), 1, "what was consumed no longer is");
	ring_expect_empty(c);
	cr_ok(ring_push(p, 8));
	ring_pull(c, 4, 8);
	ring_close(p, c);
}

/* ---- consumers that left ---- */

Test(buffer, ends_when_its_consumers_have_come_even_if_each_has_left_again)
{
	for (uint32_t k = 1; k <= 2; k++) {
		struct myelon_ring_info info = MYELON_RING_INFO_INIT;
		char name[KIT_NAME];
		struct myelon_producer *p =
			ring_make(name, RING(64, 16, .buffer_until = k,
		                             .unattended = MYELON_UNATTENDED_OVERWRITE));

		cr_ok(ring_push(p, 4));
		for (uint32_t i = 0; i < k; i++) {
			char id[16];
			struct myelon_consumer *c;

			snprintf(id, sizeof(id), "c%u", i);
			c = ring_join(name, WITH(.id = id));
			ring_pull(c, 0, 4);
			myelon_consumer_close(c);
		}
		for (uint32_t i = 0; i < 100; i++)
			cr_assert_eq(ring_push(p, 1), 0, "%u came and left, message %u: %s", k, i,
			             myelon_last_error());
		cr_ok(myelon_producer_info(p, &info));
		cr_assert_eq(info.buffering_for, 0);
		ring_close(p, NULL);
	}
}

Test(unattended, block_goes_on_from_where_the_last_consumer_stopped)
{
	for (uint32_t read = 1; read <= 8; read++) {
		char name[KIT_NAME];
		struct myelon_producer *p = ring_make(name, SMALL());
		struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));

		cr_assert_eq(ring_fill(p), 8);
		ring_pull(c, 0, read);
		myelon_consumer_close(c);
		cr_assert_eq(ring_fill(p), read);
		/* What it had not read is kept for it. */
		c = ring_join(name, WITH(.id = "a", .start = MYELON_START_RESUME));
		ring_pull(c, read, 8);
		ring_close(p, c);
	}
}

/* ---- waits that are ended ---- */

static void on_alarm(int sig)
{
	(void)sig;
}

static void alarms(long us)
{
	struct itimerval every = {.it_interval.tv_usec = us, .it_value.tv_usec = us};

	cr_assert_eq(sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL), 0);
	cr_assert_eq(setitimer(ITIMER_REAL, &every, NULL), 0);
}

static void expect_error(const char *word, const char * or)
{
	cr_assert(strstr(myelon_last_error(), word) || strstr(myelon_last_error(), or), "%s",
	          myelon_last_error());
}

Test(wait, ended_by_a_signal_or_an_interrupt_says_so)
{
	char name[KIT_NAME];
	struct myelon_producer *p =
		ring_make(name, SMALL(.flags = MYELON_F_EINTR, .wait = MYELON_WAIT_PARK));
	struct myelon_consumer *c = ring_join(name, NULL);
	int64_t deadline = kit_deadline(30);
	struct myelon_span s;

	cr_assert_eq(ring_fill(p), 8);
	alarms(10000);
	cr_assert_eq(myelon_claim(p, 1, deadline, &s), -EINTR);
	expect_error("signal", "signal");
	cr_assert_eq(ring_push(p, 1), -EAGAIN);
	cr_assert_eq(myelon_producer_wait_consumed(p, 7, deadline), -EINTR);
	expect_error("signal", "interrupt");
	alarms(0);
	myelon_producer_interrupt(p);
	cr_assert_eq(myelon_claim(p, 1, deadline, &s), -ECANCELED);
	expect_error("interrupt", "cancel");
	cr_assert_eq(ring_push(p, 1), -EAGAIN);
	myelon_producer_interrupt(p);
	cr_assert_eq(myelon_producer_wait_consumed(p, 7, deadline), -ECANCELED);
	expect_error("interrupt", "cancel");
	cr_assert_eq(myelon_claim(p, 1, myelon_deadline_after(MS), &s), -ETIMEDOUT);
	expect_error("room", "released");
	ring_pull(c, 0, 8);
	ring_close(p, c);
}

/* ---- observers of a removed ring ---- */

static int create_and_hang(void *arg)
{
	const struct child *ch = arg;
	struct myelon_producer *p;

	if (myelon_producer_create(&p, ch->name, SMALL()) < 0)
		return 1;
	hang(ch);
}

static int look_until_told(struct myelon_observer *o)
{
	int64_t watchdog = kit_deadline(20);
	char slot[64];
	int rc;

	do
		rc = myelon_observe(o, slot, 1, myelon_deadline_after(20 * MS), NULL, NULL);
	while (rc == -ETIMEDOUT && kit_now_ns() < watchdog);
	return rc;
}

Test(observer, of_a_ring_whose_name_was_removed_hears_of_the_end_of_its_producer)
{
	struct myelon_dir_opts force = MYELON_DIR_OPTS(.flags = MYELON_F_FORCE);
	struct child ch = {.page = kit_page_create()};
	struct myelon_observer *o;
	struct myelon_producer *p;
	char name[KIT_NAME];
	struct kit_actor a;
	int rc;

	p = ring_make(name, SMALL());
	cr_ok(myelon_observer_attach(&o, name, NULL));
	cr_ok(myelon_ring_remove(name, &force));
	cr_ok(ring_push(p, 1));
	cr_assert_eq(look_until_told(o), 1, "its producer goes on");
	ring_close(p, NULL);
	cr_assert_eq(look_until_told(o), -EPIPE);
	myelon_observer_close(o);

	kit_ring_name(name, "removed");
	ch.name = name;
	start(&a, create_and_hang, &ch);
	cr_ok(myelon_observer_attach(&o, name, NULL));
	cr_ok(myelon_ring_remove(name, &force));
	murder(&a);
	rc = look_until_told(o);
	cr_assert(rc == -EOWNERDEAD || rc == -EPIPE, "%d: %s", rc, myelon_last_error());
	myelon_observer_close(o);
	myelon_gc(NULL, NULL, NULL);
	kit_page_destroy(ch.page);
}

/* ---- what a takeover does not believe ---- */

Test(takeover, ceiling_of_a_dead_producer_opens_nothing_that_a_consumer_has_not_read)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, NULL);

	cr_assert_eq(ring_fill(p), 8);
	/* Announced, but not used: a joiner came in between, and its cursor counts. */
	page_of(p)->gate.ceiling = 11;
	myelon_producer_close(p);
	cr_ok(myelon_producer_open(&p, name, NULL));
	cr_assert_eq(ring_push(p, 1), -EAGAIN, "unread messages are overwritten");
	ring_pull(c, 0, 2);
	cr_assert_eq(ring_fill(p), 2);
	ring_pull(c, 2, 8);
	ring_close(p, c);
}

#define STALE_MARK 10
#define LONG_SLOTS 20

static void send_tagged(struct myelon_frame_producer *fp, size_t bytes, uint8_t tag)
{
	unsigned char buf[LONG_SLOTS * 64];

	kit_fill(buf, bytes, RING_SEED, tag);
	cr_ok(myelon_frame_send(fp, buf, bytes, tag, MYELON_TRY));
}

/* All there is are messages as they were sent, in order. @return how many. */
static int read_from_oldest(const char *name)
{
	struct myelon_frame_consumer *fc;
	struct myelon_message m;
	uint32_t last = 0;
	int rc, n = 0;

	cr_ok(myelon_frame_consumer_attach(&fc, name, WITH(.start = MYELON_START_OLDEST)));
	while ((rc = myelon_frame_peek(fc, MYELON_TRY, &m)) == 1) {
		cr_assert_eq(kit_check(m.data, m.len, RING_SEED, m.kind), -1,
		             "payload was taken for a header at %lld", (long long)m.seq);
		cr_assert(last == 0 || m.id == last + 1);
		last = m.id;
		n++;
		cr_ok(myelon_frame_release(fc, 1));
	}
	cr_assert_eq(rc, -EAGAIN, "%d: %s", rc, myelon_last_error());
	myelon_frame_consumer_close(fc);
	return n;
}

Test(takeover, frame_start_of_a_dead_producer_that_was_never_published_is_forgotten)
{
	struct myelon_frame_producer *fp;
	struct mye_producer_page *page;
	char name[KIT_NAME];
	int alone = 0;

	kit_ring_name(name, "marks");
	cr_ok(myelon_frame_producer_create(
		&fp, name,
		RING(64, 64, .flags = MYELON_F_KEEP, .unattended = MYELON_UNATTENDED_OVERWRITE)));
	send_tagged(fp, 8, 1);
	page = page_of(myelon_frame_producer_ring(fp));
	page->frame_marks[STALE_MARK / 8] = STALE_MARK;
	myelon_frame_producer_close(fp);
	cr_ok(myelon_frame_producer_open(&fp, name, NULL));
	/* Slots 1 to 20: the stale start lies in its payload. */
	send_tagged(fp, LONG_SLOTS * 64 - 16, 2);
	for (uint8_t tag = 3; tag < 100; tag++) {
		send_tagged(fp, 8, tag);
		alone += read_from_oldest(name) > 0;
	}
	cr_assert_gt(alone, 50);
	myelon_frame_producer_close(fp);
	cr_ok(myelon_ring_remove(name, NULL));
}
