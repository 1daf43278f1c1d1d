/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Neither alive nor dead at first sight: processes that are stopped, and dead ones that nobody reaps. */
#include "odd_cast.h"

TestSuite(odd_stop, .timeout = 120);

static int send_plain_until(double seconds)
{
	unsigned char slot[SLOT];

	kit_fill(slot, sizeof(slot), SEED, (uint64_t)myelon_producer_published(ring) + 1);
	return myelon_publish_copy(ring, slot, 1, kit_deadline(seconds));
}

static void expect_in_the_way(const char *id, pid_t pid)
{
	struct myelon_consumer *c;
	char text[16];
	int rc;

	cr_assert_eq(odd_entry(id).state, MYELON_PEER_ALIVE);
	cr_assert_eq(odd_entry(id).pid, pid);
	snprintf(text, sizeof(text), "%d", pid);
	cr_assert_eq(myelon_consumer_attach(&c, cast.name, &MYELON_ATTACH_OPTS(.id = id)), -EBUSY);
	cr_assert_not_null(strstr(myelon_last_error(), text), "%s", myelon_last_error());
	cr_assert_eq(myelon_evict(cast.name, id, 0, NULL), -EBUSY);
	rc = odd_info_stalled();
	cr_assert(rc == 9 || rc == -ENOENT, "info --stalled: %d", rc);
}

static void expect_free(void)
{
	int rc = odd_info_stalled();

	cr_assert(rc == 0 || rc == -ENOENT, "info --stalled: %d", rc);
}

/* One alert while it is stopped, however often is asked; then it goes on as if nothing had been. */
static void stopped_and_continued(uint32_t wait)
{
	begin_ring(wait);
	REQUIRE(.required.count = 1, .progress_ns = 50 * MS, .grace_ns = HANG_NS);
	member_join(1, "w", 3);
	cr_assert_eq(send_all(3), 0);
	cast_progress(&cast, 1, 3);
	for (uint32_t round = 1; round <= 2; round++) {
		uint32_t at = (uint32_t)myelon_producer_published(ring) + 1;

		odd_stop(1);
		cr_assert_eq(send_all(WINDOW), 0);
		cr_assert_eq(send_plain_until(0.05), -ETIMEDOUT);
		cr_assert_eq(heard.count, round - 1, "a plain call alerts");
		for (int i = 0; i < 3; i++)
			cr_assert_eq(send_until(kit_deadline(0.2)), -ETIMEDOUT);
		cr_assert_eq(heard.count, round);
		cr_assert_eq(heard.last.cause, MYELON_CAUSE_STALLED);
		cr_assert_eq(heard.last.pid, cast.actor[1].pid);
		cr_assert_eq(heard.last.last_seq, (int64_t)at - 1);
		cr_assert_eq(myelon_producer_failure(ring, NULL), 0);
		expect_in_the_way("w", cast.actor[1].pid);
		kit_set(cast.page, ALLOW + 1, at + WINDOW + 20);
		kit_kill(&cast.actor[1], SIGCONT);
		cr_assert_eq(send_all(20), 0, "%s", myelon_last_error());
		cast_progress(&cast, 1, at + WINDOW + 20);
		expect_free();
	}
	cr_assert_eq(heard.count, 2, "the window of the first time was not closed");
	cr_assert_eq(member_of(1)->violations, 0, "%s", member_of(1)->text);
	myelon_producer_close(ring);
	ring = NULL;
	kit_set(cast.page, ALLOW + 1, ALL);
	cr_assert_eq(kit_wait(&cast.actor[1], 30), 0);
	end_ring();
}

Test(odd_stop, consumer_that_is_stopped_is_told_of_once_and_its_window_closes_when_it_goes_on)
{
	stopped_and_continued(MYELON_WAIT_PARK);
	stopped_and_continued(MYELON_WAIT_SPIN_PAUSE);
}

Test(odd_stop, producer_that_is_stopped_is_waited_for_and_keeps_its_role)
{
	static const uint32_t waits[] = {MYELON_WAIT_PARK, MYELON_WAIT_SPIN_PAUSE};

	for (size_t i = 0; i < 2; i++) {
		struct myelon_producer *p;
		struct myelon_consumer *c;
		int64_t next = 0;

		odd_begin();
		host_start(1, &(struct host){.count = 3, .flags = i ? 0 : MYELON_F_LEASE});
		c = odd_join("r", waits[i]);
		odd_stop(1);
		/* Longer than a cap. */
		cr_assert_eq(odd_read_on(c, &next, kit_deadline(1.3)), -ETIMEDOUT);
		cr_assert_eq(next, 3);
		cr_assert_eq(odd_info().producer_state, MYELON_PEER_ALIVE);
		cr_assert_eq(myelon_producer_open(&p, cast.name, NULL), -EBUSY);
		odd_kill_unreaped(1); /* while it is stopped */
		cr_assert_eq(odd_read_on(c, &next, kit_deadline(30)), -EOWNERDEAD);
		odd_reap(1);
		myelon_consumer_close(c);
		odd_end();
	}
}

static void zombie_consumer(uint32_t wait)
{
	begin_ring(wait);
	member_join(1, "w", 3);
	cr_assert_eq(send_plain(), 0);
	cast_progress(&cast, 1, 1);
	odd_kill_unreaped(1);
	cr_assert_eq(odd_entry("w").state, MYELON_PEER_DEAD);
	cr_assert_eq(odd_entry("w").pid, cast.actor[1].pid);
	REQUIRE(.progress_ns = HANG_NS, .check_ns = 2 * MS, .grace_ns = MYELON_NO_GRACE);
	cr_assert_eq(send_all(100), -EOWNERDEAD, "%s", myelon_last_error());
	expect_failure(MYELON_CAUSE_DEAD, "w", 0);
	cr_assert_eq(odd_caps(), 0, "found by a look at the cap");
	/* Its id is free before anybody reaped it. */
	kit_set(cast.page, READY + 1, 0);
	kit_set(cast.page, ALLOW + 1, ALL);
	member_start(2, &(struct member){.id = "w", .index = 1});
	cr_assert(kit_await(cast.page, READY + 1, 1, 30));
	REQUIRE(.required.count = 1, .progress_ns = HANG_NS);
	cr_assert_eq(send_all(50), 0, "%s", myelon_last_error());
	cr_assert_eq(member_of(1)->violations, 0, "%s", member_of(1)->text);
	odd_reap(1);
	cr_assert_eq(odd_entry("w").state, MYELON_PEER_ALIVE);
	cast_kill(&cast, 2);
	end_ring();
}

Test(odd_stop, consumer_that_nobody_reaps_is_dead_at_once_and_its_id_free)
{
	zombie_consumer(MYELON_WAIT_PARK);
	zombie_consumer(MYELON_WAIT_SPIN_PAUSE);
}

static void zombie_producer(uint32_t wait, uint32_t flags)
{
	struct myelon_producer *p;
	struct myelon_consumer *c;
	int64_t next = 0;

	odd_begin();
	host_start(1, &(struct host){.count = 3, .flags = flags});
	c = odd_join("r", wait);
	odd_kill_unreaped(1);
	cr_assert_eq(odd_info().producer_state, MYELON_PEER_DEAD);
	cr_assert_eq(odd_info().producer_pid, cast.actor[1].pid);
	cr_assert_eq(odd_read_on(c, &next, kit_deadline(30)), -EOWNERDEAD);
	cr_assert_eq(myelon_producer_open(&p, cast.name, NULL), 0, "%s", myelon_last_error());
	cr_assert_eq(host_publish(p, 3), 0);
	cr_assert_eq(odd_read_on(c, &next, MYELON_TRY), -EAGAIN);
	cr_assert_eq(next, 6);
	odd_reap(1);
	cr_assert_eq(odd_info().producer_state, MYELON_PEER_ALIVE);
	myelon_producer_close(p);
	myelon_consumer_close(c);
	odd_end();
}

Test(odd_stop, producer_that_nobody_reaps_is_dead_at_once_and_can_be_replaced)
{
	zombie_producer(MYELON_WAIT_PARK, 0);
	zombie_producer(MYELON_WAIT_PARK, MYELON_F_LEASE);
	zombie_producer(MYELON_WAIT_SPIN_PAUSE, 0);
}
