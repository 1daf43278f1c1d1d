/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Processes that are killed, stopped and started again, while everybody else goes on. */
#include "ring_cast.h"

#include <stdlib.h>
#include <unistd.h>

static struct myelon_consumer *attach(const char *name, const struct myelon_attach_opts *opts)
{
	struct myelon_consumer *c = NULL;
	int rc = myelon_consumer_attach(&c, name, opts);

	cr_assert_eq(rc, 0, "attach: %d: %s", rc, myelon_last_error());
	return c;
}

/* Between what the killed incarnation read and what it released lies where the next one begins. */
static void expect_resumed(const struct kit_result *r, uint64_t read, uint64_t released)
{
	cr_assert_eq(r->lost, 0);
	cr_assert_leq(r->value[2], read + 1, "messages were lost");
	cr_assert_geq(r->value[2], released + 1, "released messages came again");
}

Test(consumer, killed_one_resumes_where_it_left_off_and_loses_nothing)
{
	struct cast c;
	struct kit_result *r;
	uint64_t read, released;

	cast_begin(&c);
	cast_start(&c, 1, "consume", "id=worker batch=1 slow=100");
	cast_start(&c, 0, "publish", "for=1 count=5000 window=32 slow=50 every=8");
	for (int i = 0; i < 15; i++) {
		cast_attached(&c, 1);
		cast_progress(&c, 1, 1 + (uint64_t)i % 4);
		cast_kill(&c, 1);
		read = c.page->result[1].value[0];
		released = c.page->result[1].value[1];
		cast_start(&c, 1, "consume", "id=worker batch=1 slow=%d", i < 14 ? 100 : 0);
		cast_attached(&c, 1);
		expect_resumed(&c.page->result[1], read, released);
	}
	r = cast_done(&c, 1);
	cr_assert_eq(r->value[0], 4999);
	cast_done(&c, 0);
	cast_end(&c, true);
}

Test(consumer, stopped_one_holds_the_ring_and_goes_on_unharmed)
{
	struct cast c;
	uint64_t at;

	cast_begin(&c);
	cast_start(&c, 1, "consume", "wait=park");
	cast_start(&c, 2, "consume", "wait=adaptive");
	cast_start(&c, 0, "publish", "for=2 count=200000 window=64 wait=park");
	for (int i = 0; i < 5; i++) {
		cast_progress(&c, 1, c.page->result[1].count + 100);
		kit_kill(&c.actor[1], SIGSTOP);
		cast_rest(20);
		at = c.page->result[0].count;
		cast_rest(30);
		cr_assert_leq(c.page->result[0].count, at + 64);
		kit_kill(&c.actor[1], SIGCONT);
	}
	cr_assert_eq(cast_done(&c, 1)->count, 200000);
	cr_assert_eq(cast_done(&c, 2)->count, 200000);
	cast_done(&c, 0);
	cast_end(&c, true);
}

static void producer_dies(const char *wait)
{
	struct cast c;
	struct kit_result *r;
	uint64_t published;

	cast_begin(&c);
	for (unsigned int i = 1; i <= 3; i++)
		cast_start(&c, i, "consume", "wait=%s follow=%d", wait, i < 3);
	cast_start(&c, 0, "publish", "for=3 count=1000000 window=64 batch=9");
	cast_progress(&c, 1, 500);
	cast_kill(&c, 0);
	/* The third one ends with -EOWNERDEAD, when it has read everything that was published. */
	r = cast_done(&c, 3);
	cr_assert_eq(r->hash, 1);
	published = r->value[0];
	for (unsigned int i = 1; i <= 2; i++)
		cast_progress(&c, i, published + 1);
	cast_start(&c, 0, "publish", "open=1 count=1000 batch=9");
	cast_attached(&c, 0);
	for (unsigned int i = 1; i <= 2; i++) {
		r = cast_done(&c, i);
		cr_assert_eq(r->value[0], published + 1000, "the new one goes on where it ended");
		cr_assert_eq(r->count, published + 1001);
	}
	cast_done(&c, 0);
	cast_end(&c, true);
}

Test(producer, killed_is_noticed_by_spinning_consumers_and_replaced)
{
	producer_dies("spin-pause");
}

Test(producer, killed_is_noticed_by_parked_consumers_and_replaced)
{
	producer_dies("park");
}

Test(producer, killed_is_noticed_by_adaptive_consumers_and_replaced)
{
	producer_dies("adaptive");
}

Test(producer, living_or_stopped_keeps_its_role_and_dead_gives_it_up)
{
	struct myelon_producer *p;
	struct myelon_consumer *r;
	struct cast c;
	char pid[16];

	cast_begin(&c);
	cast_start(&c, 0, "publish", "count=5 end=hang");
	cast_progress(&c, 0, 5);
	snprintf(pid, sizeof(pid), "%d", c.actor[0].pid);
	cr_assert_eq(myelon_producer_open(&p, c.name, NULL), -EBUSY);
	cr_assert_not_null(strstr(myelon_last_error(), pid));
	kit_kill(&c.actor[0], SIGSTOP);
	cr_assert_eq(myelon_producer_open(&p, c.name, NULL), -EBUSY);
	cr_assert_eq(myelon_producer_create(&p, c.name,
	                                    &MYELON_RING_OPTS(.flags = MYELON_F_REPLACE_DEAD)),
	             -EEXIST);
	cast_kill(&c, 0);
	r = attach(c.name, &MYELON_ATTACH_OPTS(.id = "r", .start = MYELON_START_OLDEST));
	cr_assert_eq(myelon_producer_open(&p, c.name, NULL), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_producer_published(p), 4);
	cr_assert_eq(myelon_consumer_epoch(r), 2);
	cr_assert_eq(myelon_consumer_lag(r), 5);
	myelon_consumer_close(r);
	myelon_producer_close(p);
	cast_end(&c, true);
}

Test(producer, stopped_in_the_middle_of_a_stream_is_waited_for)
{
	struct cast c;
	uint64_t at;

	cast_begin(&c);
	cast_start(&c, 1, "consume", "wait=park");
	cast_start(&c, 2, "consume", "wait=spin-pause");
	cast_start(&c, 0, "publish", "for=2 count=200000 window=64");
	for (int i = 0; i < 4; i++) {
		at = c.page->result[1].count;
		cast_progress(&c, 1, at + 100);
		kit_kill(&c.actor[0], SIGSTOP);
		/* Longer than a cap and than many looks at its lock: it is not dead. */
		cast_rest(i == 0 ? 1200 : 40);
		kit_kill(&c.actor[0], SIGCONT);
	}
	cr_assert_eq(cast_done(&c, 1)->hash, 0);
	cr_assert_eq(cast_done(&c, 2)->hash, 0);
	cast_done(&c, 0);
	cast_end(&c, true);
}

Test(end, orderly_close_lets_all_read_the_rest_and_the_last_one_removes_the_files)
{
	struct cast c;

	cast_begin(&c);
	for (unsigned int i = 1; i <= 4; i++)
		cast_start(&c, i, "consume", "pause=%d wait=park", GO);
	cast_start(&c, 0, "publish", "for=4 count=50 window=64");
	cast_done(&c, 0);
	cr_assert_gt(kit_dir_entries(kit_shm_dir()), 0);
	kit_set(c.page, GO, 1);
	for (unsigned int i = 1; i <= 4; i++)
		cr_assert_eq(cast_done_well(&c, i)->count, 50);
	cast_end(&c, false);
}

Test(end, exit_without_close_is_a_death)
{
	struct cast c;

	cast_begin(&c);
	cast_start(&c, 1, "consume", "wait=park");
	cast_start(&c, 0, "publish", "for=1 count=50 end=exit");
	cr_assert_eq(cast_done(&c, 1)->hash, 1);
	cr_assert_eq(c.page->result[1].count, 50);
	cast_done(&c, 0);
	cast_end(&c, true);
}

/* Attach, read some, and be killed or leave; always checking every message from the first on. */
static void join_storm(unsigned int seconds, const char *publish)
{
	enum { JOINERS = 4 };
	int64_t end, last;
	uint64_t joins = 0, kills = 0;
	struct cast c;

	srand(5);
	cast_begin(&c);
	cast_start(&c, 0, "publish", "count=1000000000 batch=5 %s", publish);
	cast_attached(&c, 0);
	/* One that never leaves: its stream must be without a gap. */
	cast_start(&c, 9, "consume", "id=always");
	/* So long, and longer where the machine is so slow that little has happened by then. */
	end = kit_now_ns() + seconds * 1000000000ll;
	last = kit_deadline(30);
	while (kit_now_ns() < end || ((joins <= 20 || kills <= 5) && kit_now_ns() < last)) {
		for (unsigned int i = 1; i <= JOINERS; i++) {
			if (c.actor[i].pid && !kit_running(&c.actor[i]))
				cast_done(&c, i);
			if (c.actor[i].pid && rand() % 6 == 0) {
				kit_kill(&c.actor[i], SIGKILL);
				kit_wait(&c.actor[i], 30);
				cr_assert_eq(c.page->result[i].violations, 0, "joiner %u: %s", i,
				             c.page->result[i].text);
				kills++;
			}
			if (!c.actor[i].pid) {
				cast_start(&c, i, "consume", "id=j%u start=%d count=%d wait=%s", i,
				           rand() % 3, 1 + rand() % 5000,
				           rand() % 2 ? "park" : "adaptive");
				joins++;
			}
		}
		cast_rest(1 + rand() % 4);
	}
	cr_assert(joins > 20 && kills > 5, "only %llu joins and %llu kills",
	          (unsigned long long)joins, (unsigned long long)kills);
	/* The dead ones gate: bring them back to leave in order. */
	for (unsigned int i = 1; i <= JOINERS; i++) {
		if (c.actor[i].pid) {
			kit_kill(&c.actor[i], SIGKILL);
			kit_wait(&c.actor[i], 30);
		}
		cast_start(&c, i, "consume", "id=j%u count=10", i);
	}
	for (unsigned int i = 1; i <= JOINERS; i++)
		cast_done(&c, i);
	cast_progress(&c, 9, c.page->result[9].count + 1000);
	cast_kill(&c, 0);
	cr_assert_eq(cast_done(&c, 9)->lost, 0);
	cast_end(&c, true);
}

Test(storm, joiners_at_latest_and_oldest_never_read_what_was_overwritten, .timeout = 120)
{
	join_storm(4, "window=64 overwrite=1");
	join_storm(3, "window=8 overwrite=1 wait=park");
	join_storm(3, "window=2000 slot=8");
}

/* Everybody parks; somebody is killed at random and started again; the stream ends all the same. */
static void random_kills(unsigned int seed)
{
	struct cast c;
	uint64_t at[4] = {0};

	srand(seed);
	cast_begin(&c);
	for (unsigned int i = 1; i <= 3; i++)
		cast_start(&c, i, "consume", "id=w%u wait=park follow=1 slow=50 every=16", i);
	cast_start(&c, 0, "publish", "for=3 count=1000000000 window=16 wait=park keep=1");
	for (unsigned int i = 0; i < 4; i++)
		cast_attached(&c, i);
	for (int round = 0; round < 25; round++) {
		unsigned int victim = (unsigned int)rand() % 4;

		cast_rest(rand() % 20);
		cast_kill(&c, victim);
		if (victim == 0)
			cast_start(&c, 0, "publish", "open=1 count=1000000000 wait=park");
		else
			cast_start(&c, victim, "consume",
			           "id=w%u wait=park follow=1 slow=50 every=16", victim);
		cast_attached(&c, victim);
		for (unsigned int i = 0; i < 4; i++)
			at[i] = c.page->result[i].count;
		for (unsigned int i = 0; i < 4; i++)
			cast_progress(&c, i, at[i] + 20);
	}
	cast_kill(&c, 0);
	cast_start(&c, 0, "publish", "open=1 count=100 wait=park");
	cast_done(&c, 0);
	for (unsigned int i = 1; i <= 3; i++)
		cast_done(&c, i);
	cr_assert_eq(c.page->result[1].value[0], c.page->result[2].value[0]);
	cr_assert_eq(c.page->result[1].value[0], c.page->result[0].value[0]);
	cr_assert_eq(myelon_ring_remove(c.name, NULL), 0, "%s", myelon_last_error());
	cast_end(&c, true);
}

Test(storm, random_kills_of_parked_processes_leave_nobody_hanging, .timeout = 180)
{
	random_kills(1);
	random_kills(2);
}
