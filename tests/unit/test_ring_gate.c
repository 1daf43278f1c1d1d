/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How far the producer may go, whom it waits for, and what it can ask. */
#include "ring_kit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t alerts(struct myelon_producer *p)
{
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;

	cr_ok(myelon_producer_stats(p, &s));
	return s.alerts;
}

Test(gate, slowest_consumer_holds_the_producer)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *fast = ring_join(name, NULL), *slow = ring_join(name, NULL);

	cr_assert_eq(ring_fill(p), 8);
	ring_pull(fast, 0, 8);
	cr_assert_eq(ring_push(p, 1), -EAGAIN);
	ring_pull(slow, 0, 3);
	cr_assert_eq(ring_fill(p), 3);
	ring_pull(fast, 8, 3);
	ring_pull(slow, 3, 8);
	cr_assert_eq(alerts(p), 0);
	myelon_consumer_close(slow);
	ring_close(p, fast);
}

Test(gate, consumer_that_leaves_no_longer_holds_the_producer)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *fast = ring_join(name, NULL), *slow = ring_join(name, NULL);

	cr_assert_eq(ring_fill(p), 8);
	ring_pull(fast, 0, 8);
	myelon_consumer_close(slow);
	cr_assert_eq(ring_fill(p), 8);
	ring_pull(fast, 8, 8);
	ring_close(p, fast);
}

Test(gate, random_sizes_between_three_readers_keep_every_promise)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, RING(64, 37));
	struct myelon_consumer *c[3];
	int64_t at[3] = {0}, out = 0;

	srand(7);
	for (int i = 0; i < 3; i++)
		c[i] = ring_join(name, NULL);
	while (out < 20000) {
		int64_t low = at[0] < at[1] ? at[0] : at[1];
		uint32_t n = 1 + (uint32_t)rand() % 37;
		int i = rand() % 3;

		low = low < at[2] ? low : at[2];
		if (out + n - low <= 37) {
			cr_ok(ring_push(p, n));
			out += n;
		} else {
			cr_assert_eq(ring_push(p, n), -EAGAIN);
		}
		n = (uint32_t)(rand() % (out - at[i] + 1));
		ring_pull(c[i], at[i], n);
		at[i] += n;
	}
	cr_assert_eq(alerts(p), 0);
	myelon_consumer_close(c[2]);
	myelon_consumer_close(c[1]);
	ring_close(p, c[0]);
}

Test(unattended, block_stops_after_one_window_and_keeps_the_last_minimum)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c;

	cr_assert_eq(ring_fill(p), 8);
	c = ring_join(name, WITH(.start = MYELON_START_OLDEST));
	ring_pull(c, 0, 5);
	cr_assert_eq(ring_fill(p), 5);
	myelon_consumer_close(c);
	cr_assert_eq(ring_fill(p), 0);
	c = ring_join(name, WITH(.start = MYELON_START_OLDEST));
	ring_pull(c, 5, 8);
	ring_close(p, c);
}

Test(unattended, joining_at_latest_makes_room)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c;

	cr_assert_eq(ring_fill(p), 8);
	c = ring_join(name, NULL);
	cr_assert_eq(ring_fill(p), 8);
	ring_pull(c, 8, 8);
	ring_close(p, c);
}

Test(unattended, overwrite_goes_on_for_ever_until_somebody_reads)
{
	char name[KIT_NAME];
	struct myelon_producer *p =
		ring_make(name, SMALL(.unattended = MYELON_UNATTENDED_OVERWRITE));
	struct myelon_consumer *c;

	for (int i = 0; i < 1000; i++)
		cr_ok(ring_push(p, 1 + (uint32_t)i % 8));
	c = ring_join(name, NULL);
	cr_assert_eq(ring_fill(p), 8);
	ring_pull(c, myelon_producer_published(p) - 7, 8);
	myelon_consumer_close(c);
	for (int i = 0; i < 1000; i++)
		cr_ok(ring_push(p, 8));
	ring_close(p, NULL);
}

Test(query, producer_knows_what_was_published_and_consumed)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *a = ring_join(name, WITH(.id = "a")),
			       *b = ring_join(name, WITH(.id = "b"));
	int64_t cursor, deadline;

	cr_assert_eq(myelon_producer_minimum(p), -1);
	cr_assert_eq(myelon_producer_is_consumed(p, -1), 1);
	cr_assert_eq(myelon_producer_is_consumed(p, 0), -EINVAL);
	cr_ok(ring_push(p, 6));
	ring_pull(a, 0, 4);
	ring_pull(b, 0, 2);
	cr_assert_eq(myelon_producer_published(p), 5);
	cr_assert_eq(myelon_producer_minimum(p), 1);
	cr_assert_eq(myelon_producer_is_consumed(p, 1), 1);
	cr_assert_eq(myelon_producer_is_consumed(p, 2), 0);
	cr_assert_eq(myelon_producer_is_consumed(p, 6), -EINVAL);
	cr_assert_eq(myelon_producer_is_consumed(p, -2), -EINVAL);
	cr_ok(myelon_producer_cursor(p, "a", &cursor));
	cr_assert_eq(cursor, 3);
	cr_ok(myelon_producer_cursor(p, "b", &cursor));
	cr_assert_eq(cursor, 1);
	cr_assert_eq(myelon_producer_cursor(p, "c", &cursor), -ENOENT);
	cr_assert_eq(myelon_producer_cursor(p, NULL, &cursor), -EINVAL);
	cr_ok(myelon_producer_wait_consumed(p, 1, MYELON_TRY));
	cr_assert_eq(myelon_producer_wait_consumed(p, 5, MYELON_TRY), -EAGAIN);
	deadline = myelon_deadline_after(10 * MS);
	cr_assert_eq(myelon_producer_wait_consumed(p, 5, deadline), -ETIMEDOUT);
	cr_assert_geq(myelon_now(), deadline);
	cr_assert_eq(myelon_producer_wait_consumed(p, 6, MYELON_FOREVER), -EINVAL);
	ring_pull(b, 2, 4);
	ring_pull(a, 4, 2);
	cr_ok(myelon_producer_wait_consumed(p, 5, MYELON_FOREVER));
	myelon_consumer_close(a);
	myelon_consumer_close(b);
	cr_assert_eq(myelon_producer_minimum(p), 5);
	ring_close(p, NULL);
}

struct listing {
	uint32_t count;
	struct myelon_consumer_entry entry[8];
};

static int note(void *ctx, const struct myelon_consumer_entry *entry)
{
	struct listing *l = ctx;

	cr_assert_eq(entry->size, sizeof(*entry));
	l->entry[l->count++] = *entry;
	return 0;
}

static int stop_at_once(void *ctx, const struct myelon_consumer_entry *entry)
{
	(void)entry;
	++*(int *)ctx;
	return 42;
}

Test(query, table_lists_id_pid_strategy_state_and_positions)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *a = ring_join(name, WITH(.id = "a", .wait = MYELON_WAIT_PARK)),
			       *b = ring_join(name, WITH(.id = "b", .wait = MYELON_WAIT_SPIN));
	struct listing l = {0}, again = {0};
	int calls = 0;

	cr_ok(ring_push(p, 4));
	ring_pull(a, 0, 3);
	myelon_consumer_close(b);
	cr_ok(myelon_producer_consumers(p, note, &l));
	cr_assert_eq(l.count, 2);
	cr_assert_str_eq(l.entry[0].id, "a");
	cr_assert_eq(l.entry[0].pid, getpid());
	cr_assert_eq(l.entry[0].state, MYELON_PEER_ALIVE);
	cr_assert_eq(l.entry[0].wait, MYELON_WAIT_PARK);
	cr_assert_eq(l.entry[0].gating, 1);
	cr_assert_eq(l.entry[0].parked, 0);
	cr_assert_eq(l.entry[0].cursor, 2);
	cr_assert_eq(l.entry[0].lag, 1);
	cr_assert_str_eq(l.entry[1].id, "b");
	cr_assert_eq(l.entry[1].state, MYELON_PEER_ABSENT);
	cr_assert_eq(l.entry[1].gating, 0);
	cr_ok(myelon_ring_consumers(name, NULL, note, &again));
	cr_assert_eq(again.count, 2);
	cr_assert_str_eq(again.entry[0].id, "a");
	cr_assert_eq(again.entry[0].state, MYELON_PEER_ALIVE);
	cr_assert_eq(myelon_producer_consumers(p, stop_at_once, &calls), 42);
	cr_assert_eq(calls, 1);
	ring_close(p, a);
}

Test(query, info_is_the_same_from_every_side)
{
	struct myelon_ring_info p_info = MYELON_RING_INFO_INIT, c_info = p_info, o_info = p_info,
				d_info = p_info;
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, RING(128, 5, .schema = 99));
	struct myelon_consumer *c = ring_join(name, NULL);
	struct myelon_observer *o;

	cr_ok(myelon_observer_attach(&o, name, NULL));
	cr_ok(ring_push(p, 5));
	ring_pull(c, 0, 2);
	cr_assert_eq(myelon_consumer_published(c), 4);
	cr_assert_eq(myelon_consumer_lag(c), 3);
	cr_assert_eq(myelon_consumer_epoch(c), 1);
	cr_assert_eq(myelon_observer_lag(o), 5);
	cr_ok(myelon_producer_info(p, &p_info));
	cr_ok(myelon_consumer_info(c, &c_info));
	cr_ok(myelon_observer_info(o, &o_info));
	cr_ok(myelon_ring_describe(name, NULL, &d_info));
	cr_assert_eq(p_info.slot_size, 128);
	cr_assert_eq(p_info.window, 5);
	cr_assert_eq(p_info.schema, 99);
	cr_assert_eq(p_info.backing, MYELON_BACKING_SHM);
	cr_assert_eq(p_info.published, 4);
	cr_assert_eq(p_info.minimum, 1);
	cr_assert_eq(p_info.consumers, 1);
	cr_assert_eq(p_info.producer_pid, getpid());
	cr_assert_eq(p_info.producer_state, MYELON_PEER_ALIVE);
	cr_assert_arr_eq(&p_info, &c_info, sizeof(p_info));
	cr_assert_arr_eq(&p_info, &o_info, sizeof(p_info));
	cr_assert_arr_eq(&p_info, &d_info, sizeof(p_info));
	myelon_observer_close(o);
	ring_close(p, c);
}

Test(buffer, nothing_is_lost_for_k_consumers_that_come_late)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(
		name, RING(64, 16, .buffer_until = 2, .unattended = MYELON_UNATTENDED_OVERWRITE));
	struct myelon_consumer *a, *b, *late;

	cr_assert_eq(ring_fill(p), 16, "the bound is the window by default");
	cr_ok(myelon_producer_info(p, &info));
	cr_assert_eq(info.buffering_for, 2);
	cr_assert_eq(info.minimum, -1);
	a = ring_join(name, NULL);
	ring_pull(a, 0, 16);
	cr_assert_eq(ring_fill(p), 0, "the second one has not come");
	cr_ok(myelon_producer_info(p, &info));
	cr_assert_eq(info.buffering_for, 1);
	b = ring_join(name, NULL);
	ring_pull(b, 0, 10);
	cr_assert_eq(ring_fill(p), 10);
	cr_ok(myelon_producer_info(p, &info));
	cr_assert_eq(info.buffering_for, 0);
	late = ring_join(name, NULL);
	ring_expect_empty(late);
	ring_pull(a, 16, 10);
	ring_pull(b, 10, 16);
	cr_assert_eq(ring_fill(p), 16);
	ring_pull(late, 26, 16);
	myelon_consumer_close(late);
	myelon_consumer_close(b);
	ring_close(p, a);
}

Test(buffer, bound_below_the_window_blocks_earlier)
{
	char name[KIT_NAME];
	struct myelon_producer *p =
		ring_make(name, RING(64, 16, .buffer_until = 1, .buffer_max = 4));
	struct myelon_consumer *c;
	struct myelon_span s;

	cr_assert_eq(ring_fill(p), 4);
	cr_assert_eq(myelon_claim(p, 1, myelon_deadline_after(5 * MS), &s), -ETIMEDOUT);
	c = ring_join(name, NULL);
	cr_assert_eq(ring_fill(p), 12);
	ring_pull(c, 0, 16);
	ring_close(p, c);
}

Test(buffer, explicit_latest_is_obeyed_while_buffering)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, RING(64, 16, .buffer_until = 2));
	struct myelon_consumer *a, *b;

	cr_ok(ring_push(p, 3));
	a = ring_join(name, WITH(.start = MYELON_START_LATEST));
	ring_expect_empty(a);
	b = ring_join(name, NULL);
	ring_pull(b, 0, 3);
	cr_assert_eq(ring_fill(p), 16);
	ring_pull(a, 3, 16);
	myelon_consumer_close(a);
	ring_close(p, b);
}

Test(buffer, new_producer_goes_on_buffering)
{
	struct myelon_producer *p;
	struct myelon_consumer *a, *b;
	char name[KIT_NAME];

	p = ring_make(name,
	              RING(64, 16, .buffer_until = 2, .buffer_max = 6, .flags = MYELON_F_KEEP));
	cr_assert_eq(ring_fill(p), 6);
	a = ring_join(name, NULL);
	ring_pull(a, 0, 6);
	myelon_producer_close(p);
	cr_ok(myelon_producer_open(&p, name, NULL));
	cr_assert_eq(ring_fill(p), 0);
	b = ring_join(name, NULL);
	ring_pull(b, 0, 6);
	cr_assert_eq(ring_fill(p), 16);
	ring_pull(b, 6, 16);
	ring_pull(a, 6, 16);
	myelon_consumer_close(a);
	ring_close(p, b);
	cr_ok(myelon_ring_remove(name, NULL));
}
