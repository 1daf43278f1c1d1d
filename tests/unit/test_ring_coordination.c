/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A producer that waits for its consumers, and a new producer of an old ring. */
#include "ring_kit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FOR(...) (&(struct myelon_wait_for){__VA_ARGS__})

Test(wait_for, timeout_of_create_names_the_missing_and_removes_the_ring)
{
	static const char *const ids[] = {"reader", "writer"};
	struct myelon_producer *p;
	char name[KIT_NAME];
	int64_t begun = myelon_now();

	kit_ring_name(name, "nobody");
	cr_assert_eq(myelon_producer_create(&p, name,
	                                    SMALL(.wait_for = {.count = 3,
	                                                       .prefix = "w",
	                                                       .prefix_count = 2,
	                                                       .ids = ids,
	                                                       .id_count = 2},
	                                          .wait_timeout_ns = 20 * MS)),
	             -ETIMEDOUT);
	cr_assert_geq(myelon_now() - begun, 20 * MS);
	cr_assert_null(p);
	cr_assert_not_null(strstr(myelon_last_error(), "w_0"));
	cr_assert_not_null(strstr(myelon_last_error(), "w_1"));
	cr_assert_not_null(strstr(myelon_last_error(), "reader"));
	cr_assert_not_null(strstr(myelon_last_error(), "writer"));
	cr_assert_not_null(strstr(myelon_last_error(), "3"));
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0);
}

Test(wait_for, names_exactly_who_is_missing)
{
	static const char *const ids[] = {"alpha", "beta", "gamma"};
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *a = ring_join(name, WITH(.id = "alpha")),
			       *w = ring_join(name, WITH(.id = "w_1"));

	cr_assert_eq(myelon_producer_wait_for(p, FOR(.ids = ids, .id_count = 3), MYELON_TRY),
	             -EAGAIN);
	cr_assert_null(strstr(myelon_last_error(), "alpha"));
	cr_assert_not_null(strstr(myelon_last_error(), "beta"));
	cr_assert_not_null(strstr(myelon_last_error(), "gamma"));
	cr_assert_eq(myelon_producer_wait_for(p, FOR(.prefix = "w", .prefix_count = 3), MYELON_TRY),
	             -EAGAIN);
	cr_assert_not_null(strstr(myelon_last_error(), "w_0"));
	cr_assert_null(strstr(myelon_last_error(), "w_1"));
	cr_assert_not_null(strstr(myelon_last_error(), "w_2"));
	cr_ok(myelon_producer_wait_for(p, FOR(.count = 2), MYELON_TRY));
	cr_assert_eq(myelon_producer_wait_for(p, FOR(.count = 3), myelon_deadline_after(MS)),
	             -ETIMEDOUT);
	cr_assert_not_null(strstr(myelon_last_error(), "1 of 3"));
	cr_ok(myelon_producer_wait_for(p, FOR(.ids = ids, .id_count = 1, .count = 1), MYELON_TRY));
	cr_ok(myelon_producer_wait_for(p, FOR(0), MYELON_TRY));
	cr_assert_eq(myelon_producer_wait_for(p, NULL, MYELON_TRY), -EINVAL);
	cr_assert_eq(myelon_producer_wait_for(p, FOR(.count = 65), MYELON_TRY), -EINVAL);
	myelon_consumer_close(a);
	cr_assert_eq(myelon_producer_wait_for(p, FOR(.ids = ids, .id_count = 1), MYELON_TRY),
	             -EAGAIN, "who left is not there");
	ring_close(p, w);
}

struct child {
	const char *name;
	struct kit_page *page;
};

/* Joins as @id and reads what the producer sends when all are there. */
static int join_and_read(const struct child *ch, const char *id)
{
	struct myelon_consumer *c;
	struct myelon_view v;
	int rc = myelon_consumer_attach(&c, ch->name, WITH(.id = id, .timeout_ns = MYELON_FOREVER));

	if (rc < 0)
		return 1;
	if (myelon_peek(c, 1, kit_deadline(20), &v) != 1 || v.seq != 0 ||
	    kit_check(v.base, 64, RING_SEED, 0) != -1 || myelon_release(c, 1) < 0)
		return 2;
	myelon_consumer_close(c);
	return 0;
}

static int child_w_0(void *arg)
{
	return join_and_read(arg, "w_0");
}

static int child_w_1(void *arg)
{
	return join_and_read(arg, "w_1");
}

static int child_any(void *arg)
{
	return join_and_read(arg, NULL);
}

Test(wait_for, create_returns_when_all_are_there_and_all_see_sequence_0)
{
	static const char *const ids[] = {"w_1"};
	char name[KIT_NAME];
	struct child ch = {.name = name};
	struct kit_actor a[3];
	struct myelon_producer *p;

	kit_ring_name(name, "all");
	cr_assert_eq(kit_fork(&a[0], child_w_0, &ch), 0);
	cr_assert_eq(kit_fork(&a[1], child_w_1, &ch), 0);
	cr_assert_eq(kit_fork(&a[2], child_any, &ch), 0);
	cr_ok(myelon_producer_create(&p, name,
	                             SMALL(.wait_for = {.count = 3,
	                                                .prefix = "w",
	                                                .prefix_count = 2,
	                                                .ids = ids,
	                                                .id_count = 1})));
	cr_ok(ring_push(p, 1));
	for (int i = 0; i < 3; i++)
		cr_assert_eq(kit_wait(&a[i], 20), 0);
	ring_close(p, NULL);
}

static int join_and_hang(void *arg)
{
	const struct child *ch = arg;
	struct myelon_consumer *c;

	if (myelon_consumer_attach(&c, ch->name, WITH(.id = "dead")) < 0)
		return 1;
	kit_set(ch->page, 0, 1);
	for (;;)
		pause();
}

Test(wait_for, dead_consumer_does_not_count)
{
	static const char *const ids[] = {"dead"};
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct child ch = {.name = name, .page = kit_page_create()};
	struct kit_actor a;

	cr_assert_eq(kit_fork(&a, join_and_hang, &ch), 0);
	cr_assert(kit_await(ch.page, 0, 1, 20));
	cr_ok(myelon_producer_wait_for(p, FOR(.ids = ids, .id_count = 1), MYELON_TRY));
	kit_kill(&a, SIGKILL);
	cr_assert_eq(kit_wait(&a, 20), -SIGKILL);
	cr_assert_eq(myelon_producer_wait_for(p, FOR(.ids = ids, .id_count = 1), MYELON_TRY),
	             -EAGAIN);
	cr_assert_eq(myelon_producer_wait_for(p, FOR(.count = 1), MYELON_TRY), -EAGAIN);
	ring_close(p, NULL);
	/* A killed participant leaves the removal to gc. */
	myelon_gc(NULL, NULL, NULL);
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0);
	kit_page_destroy(ch.page);
}

Test(takeover, living_producer_is_ebusy_with_its_pid)
{
	char name[KIT_NAME], pid[16];
	struct myelon_producer *p = ring_make(name, SMALL()), *q;

	snprintf(pid, sizeof(pid), "%d", getpid());
	cr_assert_eq(myelon_producer_open(&q, name, NULL), -EBUSY);
	cr_assert_not_null(strstr(myelon_last_error(), pid));
	cr_assert_null(q);
	cr_assert_eq(myelon_producer_create(&q, name, NULL), -EEXIST);
	cr_assert_eq(myelon_producer_create(&q, name, SMALL(.flags = MYELON_F_REPLACE_DEAD)),
	             -EEXIST);
	cr_assert_eq(myelon_producer_open(&q, "nobody", NULL), -ENOENT);
	cr_ok(ring_push(p, 1));
	ring_close(p, NULL);
}

Test(takeover, sequences_and_consumers_go_on_in_a_new_epoch)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL()), *q;
	struct myelon_consumer *c = ring_join(name, WITH(.id = "reader"));
	struct myelon_view v;
	struct myelon_span s;

	cr_ok(ring_push(p, 5));
	ring_pull(c, 0, 3);
	cr_ok(myelon_claim(p, 2, MYELON_TRY, &s));
	myelon_producer_close(p);
	ring_pull(c, 3, 2);
	cr_assert_eq(myelon_peek(c, 1, MYELON_TRY, &v), -EPIPE);
	cr_assert_eq(myelon_producer_open(&q, name, &MYELON_OPEN_OPTS(.slot_size = 8)), -EINVAL);
	cr_assert_eq(myelon_producer_open(&q, name, &MYELON_OPEN_OPTS(.schema = 5)), -EINVAL);
	cr_ok(myelon_producer_open(&q, name, &MYELON_OPEN_OPTS(.slot_size = 64)));
	cr_assert_eq(myelon_producer_published(q), 4);
	cr_ok(myelon_consumer_wait_producer(c, MYELON_TRY));
	cr_assert_eq(myelon_consumer_epoch(c), 2);
	ring_expect_empty(c);
	cr_assert_eq(ring_fill(q), 8);
	ring_pull(c, 5, 8);
	ring_close(q, c);
}

Test(takeover, unread_messages_of_the_old_producer_are_not_overwritten)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL()), *q;
	struct myelon_consumer *c = ring_join(name, NULL);

	cr_assert_eq(ring_fill(p), 8);
	ring_pull(c, 0, 3);
	myelon_producer_close(p);
	cr_ok(myelon_producer_open(&q, name, NULL));
	cr_assert_eq(ring_fill(q), 3);
	ring_pull(c, 3, 8);
	ring_close(q, c);
}

Test(takeover, ring_without_consumers_keeps_its_last_minimum)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.flags = MYELON_F_KEEP)), *q;
	struct myelon_consumer *c = ring_join(name, WITH(.id = "reader"));

	cr_assert_eq(ring_fill(p), 8);
	ring_pull(c, 0, 2);
	cr_assert_eq(ring_fill(p), 2);
	myelon_consumer_close(c);
	myelon_producer_close(p);
	cr_ok(myelon_producer_open(&q, name, NULL));
	cr_assert_eq(ring_fill(q), 0);
	c = ring_join(name, WITH(.id = "reader", .start = MYELON_START_RESUME));
	ring_pull(c, 2, 8);
	cr_assert_eq(ring_fill(q), 8);
	ring_close(q, c);
	cr_ok(myelon_ring_remove(name, NULL));
}

Test(takeover, timeout_of_wait_for_gives_the_role_back)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.flags = MYELON_F_KEEP)), *q;

	cr_ok(ring_push(p, 3));
	myelon_producer_close(p);
	cr_assert_eq(myelon_producer_open(
			     &q, name,
			     &MYELON_OPEN_OPTS(.wait_for.count = 1, .wait_timeout_ns = 5 * MS)),
	             -ETIMEDOUT);
	cr_assert_null(q);
	cr_ok(myelon_producer_open(&q, name, NULL));
	cr_assert_eq(myelon_producer_published(q), 2);
	ring_close(q, NULL);
	cr_ok(myelon_ring_remove(name, NULL));
}
