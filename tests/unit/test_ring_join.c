/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where a consumer starts, under which id, in which place of the table. */
#include "ring_kit.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Publish until sequence @last is out; the ring lets go of what nobody reads. */
static void push_up_to(struct myelon_producer *p, int64_t last)
{
	while (myelon_producer_published(p) < last)
		cr_ok(ring_push(p, 1));
}

static struct myelon_handle_stats consumer_stats(struct myelon_consumer *c)
{
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;

	cr_ok(myelon_consumer_stats(c, &s));
	return s;
}

Test(start, latest_sees_only_what_comes_after_it)
{
	char name[KIT_NAME];
	struct myelon_producer *p =
		ring_make(name, SMALL(.unattended = MYELON_UNATTENDED_OVERWRITE));
	struct myelon_consumer *c;

	push_up_to(p, 99);
	c = ring_join(name, WITH(.start = MYELON_START_LATEST));
	cr_assert_eq(myelon_consumer_cursor(c), 99);
	ring_expect_empty(c);
	push_up_to(p, 102);
	ring_pull(c, 100, 3);
	ring_close(p, c);
}

Test(start, default_of_a_new_id_is_latest)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c;

	cr_ok(ring_push(p, 4));
	c = ring_join(name, WITH(.id = "new"));
	ring_expect_empty(c);
	cr_ok(ring_push(p, 1));
	ring_pull(c, 4, 1);
	ring_close(p, c);
}

Test(start, oldest_sees_all_of_a_young_ring)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c;

	cr_assert_eq(ring_fill(p), 8);
	c = ring_join(name, WITH(.start = MYELON_START_OLDEST));
	ring_pull(c, 0, 8);
	ring_close(p, c);
}

Test(start, oldest_never_reads_what_was_overwritten)
{
	char name[KIT_NAME];
	struct myelon_producer *p =
		ring_make(name, SMALL(.unattended = MYELON_UNATTENDED_OVERWRITE));

	for (int64_t last = 7; last < 300; last += 13) {
		struct myelon_consumer *c;
		int64_t first;

		push_up_to(p, last);
		c = ring_join(name, WITH(.start = MYELON_START_OLDEST));
		first = myelon_consumer_cursor(c) + 1;
		cr_assert_geq(first, last - 7, "only a window is promised");
		cr_assert_leq(first, last, "at least the newest is still there");
		ring_pull(c, first, (uint32_t)(last + 1 - first));
		ring_expect_empty(c);
		myelon_consumer_close(c);
	}
	ring_close(p, NULL);
}

Test(start, resume_goes_on_after_the_last_release_and_loses_nothing_on_a_blocking_ring)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "reader"));

	cr_ok(ring_push(p, 5));
	ring_pull(c, 0, 2);
	myelon_consumer_close(c);
	ring_fill(p);
	c = ring_join(name, WITH(.id = "reader", .start = MYELON_START_RESUME));
	cr_assert_eq(myelon_consumer_cursor(c), 1);
	cr_assert_eq(consumer_stats(c).lost, 0);
	ring_pull(c, 2, (uint32_t)(myelon_producer_published(p) - 1));
	ring_close(p, c);
}

Test(start, default_of_a_known_id_is_resume)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "reader"));

	cr_ok(ring_push(p, 5));
	ring_pull(c, 0, 2);
	myelon_consumer_close(c);
	c = ring_join(name, WITH(.id = "reader"));
	ring_pull(c, 2, 3);
	myelon_consumer_close(c);
	cr_ok(ring_push(p, 3));
	c = ring_join(name, WITH(.id = "reader", .start = MYELON_START_LATEST));
	ring_expect_empty(c);
	ring_close(p, c);
}

Test(start, resume_reports_exactly_what_was_lost)
{
	char name[KIT_NAME];
	struct myelon_producer *p =
		ring_make(name, SMALL(.unattended = MYELON_UNATTENDED_OVERWRITE));
	struct myelon_consumer *c = ring_join(name, WITH(.id = "reader"));
	int64_t first;

	cr_ok(ring_push(p, 5));
	ring_pull(c, 0, 3);
	myelon_consumer_close(c);
	push_up_to(p, 199);
	c = ring_join(name, WITH(.id = "reader", .start = MYELON_START_RESUME));
	first = myelon_consumer_cursor(c) + 1;
	cr_assert_geq(first, 192);
	cr_assert_eq(consumer_stats(c).lost, (uint64_t)first - 3);
	ring_pull(c, first, (uint32_t)(200 - first));
	ring_close(p, c);
}

Test(start, resume_of_an_unknown_id_is_enoent_and_needs_an_id)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c;

	cr_assert_eq(
		myelon_consumer_attach(&c, name, WITH(.id = "no", .start = MYELON_START_RESUME)),
		-ENOENT);
	cr_assert_null(c);
	cr_assert_not_null(strstr(myelon_last_error(), "no"));
	cr_assert_eq(myelon_consumer_attach(&c, name, WITH(.start = MYELON_START_RESUME)), -EINVAL);
	cr_assert_eq(ring_fill(p), 8);
	c = ring_join(name, WITH(.start = MYELON_START_LATEST));
	cr_assert_eq(ring_fill(p), 8, "the failed attach must not gate");
	ring_close(p, c);
}

Test(id, second_live_owner_is_refused_and_the_first_is_not_disturbed)
{
	char name[KIT_NAME], pid[16];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *a = ring_join(name, WITH(.id = "one")), *b;

	snprintf(pid, sizeof(pid), "%d", getpid());
	cr_assert_eq(myelon_consumer_attach(&b, name, WITH(.id = "one")), -EBUSY);
	cr_assert_not_null(strstr(myelon_last_error(), pid));
	cr_assert_null(b);
	cr_ok(ring_push(p, 2));
	ring_pull(a, 0, 2);
	ring_close(p, a);
}

Test(id, automatic_ids_count_up_and_are_used_again)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *a = ring_join(name, NULL), *b = ring_join(name, NULL), *c;

	cr_assert_str_eq(myelon_consumer_id(a), "ad_0");
	cr_assert_str_eq(myelon_consumer_id(b), "ad_1");
	cr_ok(ring_push(p, 2));
	myelon_consumer_close(a);
	c = ring_join(name, NULL);
	cr_assert_str_eq(myelon_consumer_id(c), "ad_0");
	ring_expect_empty(c);
	ring_pull(b, 0, 2);
	myelon_consumer_close(b);
	ring_close(p, c);
}

Test(id, wrong_ids_are_refused_with_a_sentence)
{
	static const char *const bad[] = {"", ".hidden", "a/b", "a b", "\xc3\xa4", "a\n"};
	char name[KIT_NAME], longest[66];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_eq(myelon_consumer_attach(&c, name, WITH(.id = bad[i])), -EINVAL);
		cr_assert_neq(myelon_last_error()[0], '\0');
	}
	memset(longest, 'x', sizeof(longest));
	longest[65] = '\0';
	cr_assert_eq(myelon_consumer_attach(&c, name, WITH(.id = longest)), -ENAMETOOLONG);
	longest[64] = '\0';
	c = ring_join(name, WITH(.id = longest));
	cr_assert_str_eq(myelon_consumer_id(c), longest);
	ring_close(p, c);
}

struct child {
	const char *name;
	const char *id;
	uint32_t read;
	struct kit_page *page;
};

/* Joins, reads a little and waits to be killed. */
static int hold_and_hang(void *arg)
{
	const struct child *ch = arg;
	struct myelon_consumer *c;
	struct myelon_view v;

	if (myelon_consumer_attach(&c, ch->name, WITH(.id = ch->id, .start = MYELON_START_OLDEST)) <
	    0)
		return 1;
	if (ch->read && (myelon_peek(c, ch->read, MYELON_TRY, &v) != (int)ch->read ||
	                 myelon_release(c, ch->read) < 0))
		return 2;
	kit_set(ch->page, 0, 1);
	for (;;)
		pause();
}

static void die_while_attached(const struct child *ch)
{
	struct kit_actor a;

	kit_set(ch->page, 0, 0);
	cr_assert_eq(kit_fork(&a, hold_and_hang, (void *)(uintptr_t)ch), 0);
	cr_assert(kit_await(ch->page, 0, 1, 20));
	kit_kill(&a, SIGKILL);
	cr_assert_eq(kit_wait(&a, 20), -SIGKILL);
}

Test(id, automatic_id_adopts_a_dead_automatic_entry_at_its_cursor)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct child ch = {.name = name, .read = 3, .page = kit_page_create()};
	struct myelon_consumer *c;

	cr_ok(ring_push(p, 5));
	die_while_attached(&ch);
	cr_assert_eq(myelon_producer_minimum(p), 2, "a dead consumer gates");
	c = ring_join(name, NULL);
	cr_assert_str_eq(myelon_consumer_id(c), "ad_0");
	ring_pull(c, 3, 2);
	ring_close(p, c);
	kit_page_destroy(ch.page);
}

Test(id, dead_consumer_gates_until_the_same_id_resumes_exactly_after_its_cursor)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct child ch = {.name = name, .id = "worker", .read = 3, .page = kit_page_create()};
	struct myelon_consumer *other, *c;

	cr_ok(ring_push(p, 5));
	die_while_attached(&ch);
	other = ring_join(name, NULL);
	cr_assert_str_neq(myelon_consumer_id(other), "worker");
	cr_assert_eq(ring_fill(p), 6);
	c = ring_join(name, WITH(.id = "worker"));
	cr_assert_eq(consumer_stats(c).lost, 0);
	ring_pull(c, 3, 8);
	ring_pull(other, 5, 6);
	myelon_consumer_close(other);
	ring_close(p, c);
	kit_page_destroy(ch.page);
}

Test(id, latest_on_a_dead_entry_skips_and_says_how_many)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct child ch = {.name = name, .id = "worker", .read = 3, .page = kit_page_create()};
	struct myelon_consumer *c;

	cr_ok(ring_push(p, 7));
	die_while_attached(&ch);
	c = ring_join(name, WITH(.id = "worker", .start = MYELON_START_LATEST));
	cr_assert_eq(consumer_stats(c).lost, 4);
	ring_expect_empty(c);
	cr_assert_eq(ring_fill(p), 8);
	ring_pull(c, 7, 8);
	ring_close(p, c);
	kit_page_destroy(ch.page);
}

Test(table, full_table_is_enospc_and_a_closed_place_is_used_again)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.max_consumers = 2));
	struct myelon_consumer *a = ring_join(name, WITH(.id = "a")), *b = ring_join(name, NULL),
			       *c;

	cr_assert_eq(myelon_consumer_attach(&c, name, NULL), -ENOSPC);
	cr_assert_not_null(strstr(myelon_last_error(), "2"));
	cr_assert_eq(myelon_consumer_attach(&c, name, WITH(.id = "c")), -ENOSPC);
	cr_ok(ring_push(p, 1));
	ring_pull(a, 0, 1);
	myelon_consumer_close(a);
	c = ring_join(name, WITH(.id = "c"));
	cr_assert_eq(myelon_consumer_attach(&a, name, WITH(.id = "a")), -ENOSPC);
	ring_pull(b, 0, 1);
	myelon_consumer_close(b);
	ring_close(p, c);
}

Test(table, dead_consumers_keep_their_places)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.max_consumers = 1));
	struct child ch = {.name = name, .id = "worker", .read = 0, .page = kit_page_create()};
	struct myelon_consumer *c;

	die_while_attached(&ch);
	cr_assert_eq(myelon_consumer_attach(&c, name, WITH(.id = "other")), -ENOSPC);
	cr_assert_eq(myelon_consumer_attach(&c, name, NULL), -ENOSPC);
	c = ring_join(name, WITH(.id = "worker"));
	ring_close(p, c);
	kit_page_destroy(ch.page);
}

Test(table, place_released_longest_ago_goes_first)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.max_consumers = 3));
	struct myelon_consumer *c[3], *d;
	static const char *const ids[] = {"a", "b", "c"};

	for (int i = 0; i < 3; i++)
		c[i] = ring_join(name, WITH(.id = ids[i]));
	cr_ok(ring_push(p, 3));
	for (int i = 0; i < 3; i++)
		ring_pull(c[i], 0, 1 + (uint32_t)i);
	myelon_consumer_close(c[1]);
	myelon_consumer_close(c[0]);
	myelon_consumer_close(c[2]);
	d = ring_join(name, WITH(.id = "d"));
	cr_assert_eq(
		myelon_consumer_attach(&c[1], name, WITH(.id = "b", .start = MYELON_START_RESUME)),
		-ENOENT, "b was the first to go, so its place was taken");
	c[0] = ring_join(name, WITH(.id = "a", .start = MYELON_START_RESUME));
	cr_assert_eq(myelon_consumer_cursor(c[0]), 0);
	c[2] = ring_join(name, WITH(.id = "c", .start = MYELON_START_RESUME));
	cr_assert_eq(myelon_consumer_cursor(c[2]), 2);
	myelon_consumer_close(c[0]);
	myelon_consumer_close(c[2]);
	ring_close(p, d);
}

Test(attach, what_the_ring_is_not_is_refused)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.schema = 77));
	struct myelon_frame_consumer *f;
	struct myelon_frame_producer *fp;
	struct myelon_observer *o;
	struct myelon_consumer *c;

	cr_assert_eq(myelon_consumer_attach(&c, name, WITH(.slot_size = 128)), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "slot"));
	cr_assert_eq(myelon_consumer_attach(&c, name, WITH(.schema = 78)), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "schema"));
	cr_assert_eq(myelon_frame_consumer_attach(&f, name, NULL), -EPROTO);
	cr_assert_eq(myelon_observer_attach(&o, name, WITH(.slot_size = 8)), -EINVAL);
	cr_assert_eq(myelon_observer_attach(&o, name, WITH(.id = "x")), -EINVAL);
	cr_assert_eq(myelon_observer_attach(&o, name, WITH(.start = MYELON_START_RESUME)), -EINVAL);
	c = ring_join(name, WITH(.slot_size = 64, .schema = 77));
	ring_close(p, c);
	kit_ring_name(name, "framed");
	cr_ok(myelon_frame_producer_create(&fp, name, SMALL()));
	cr_assert_eq(myelon_consumer_attach(&c, name, NULL), -EPROTO);
	cr_assert_eq(myelon_observer_attach(&o, name, NULL), -EPROTO);
	myelon_frame_producer_close(fp);
}

Test(attach, ring_that_does_not_come_is_enoent_not_before_the_timeout)
{
	struct myelon_consumer *c;
	struct myelon_observer *o;
	int64_t begun = myelon_now();

	cr_assert_eq(myelon_consumer_attach(&c, "nobody", NULL), -ENOENT);
	cr_assert_eq(myelon_consumer_attach(&c, "nobody", WITH(.timeout_ns = 30 * MS)), -ENOENT);
	cr_assert_geq(myelon_now() - begun, 30 * MS);
	cr_assert_not_null(strstr(myelon_last_error(), "nobody"));
	cr_assert_eq(myelon_observer_attach(&o, "nobody", WITH(.timeout_ns = MS)), -ENOENT);
}

static void *create_later(void *arg)
{
	struct myelon_producer *p = NULL;
	const struct timespec pause = {.tv_nsec = 30 * MS};

	nanosleep(&pause, NULL);
	if (myelon_producer_create(&p, arg, SMALL(.wait_for.count = 2)) < 0)
		return NULL;
	return p;
}

Test(attach, waits_for_a_ring_that_comes_later)
{
	char name[KIT_NAME];
	struct myelon_consumer *c;
	struct myelon_observer *o;
	struct myelon_consumer *d;
	pthread_t thread;
	void *p;

	kit_ring_name(name, "later");
	cr_assert_eq(pthread_create(&thread, NULL, create_later, name), 0);
	c = ring_join(name, WITH(.timeout_ns = MYELON_FOREVER));
	cr_ok(myelon_observer_attach(&o, name, NULL));
	d = ring_join(name, NULL);
	cr_assert_eq(pthread_join(thread, &p), 0);
	cr_assert_not_null(p);
	cr_ok(ring_push(p, 3));
	ring_pull(c, 0, 3);
	ring_pull(d, 0, 3);
	myelon_observer_close(o);
	myelon_consumer_close(d);
	ring_close(p, c);
}
