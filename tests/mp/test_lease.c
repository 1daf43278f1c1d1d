/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Death as a wake-up: a producer with a lease is killed while others sleep, and no sleep of theirs lasts
 * until its cap. Never judged by the clock: the caps are counted.
 */
#include "lease_cast.h"

#include <stdlib.h>
#include <unistd.h>

static struct play p;

static void begin(void)
{
	play_begin(&p);
}

static void end(void)
{
	play_end(&p);
}

TestSuite(lease, .init = begin, .fini = end, .timeout = 180);

static void wakes_all(int (*producer)(void *), uint32_t wait, unsigned int sleepers)
{
	play_death_wakes_all(
		&p, &(struct play_scene){producer, wait, play_read, wait, sleepers, play_asleep});
}

Test(lease, killed_producer_wakes_every_sleeper_at_once)
{
	wakes_all(play_hold, MYELON_WAIT_PARK, 1);
	wakes_all(play_hold, MYELON_WAIT_PARK, 4);
	wakes_all(play_hold, MYELON_WAIT_ADAPTIVE, 2);
}

Test(lease, killed_producer_wakes_observers_too)
{
	play_ring(&p);
	play_start(&p, PRODUCER, play_hold, 0);
	play_await(&p, PRODUCER);
	play_start(&p, 0, play_observe, MYELON_WAIT_PARK);
	play_await(&p, 0);
	play_rest(20);
	play_kill(&p, PRODUCER);
	play_over(&p, 0);
	cr_assert_eq(play_rc(&p, 0), -EOWNERDEAD);
	if (!play_slow(&p))
		cr_assert_eq(play_caps(&p, 0), 0);
}

static bool death_elsewhere(void)
{
	play_ring(&p);
	play_start(&p, PRODUCER, play_hold_elsewhere, 0);
	play_await(&p, PRODUCER);
	for (unsigned int i = 0; i < 2; i++)
		play_start(&p, i, play_read, MYELON_WAIT_PARK);
	play_asleep(&p, 2);
	play_kill_elsewhere(&p);
	for (unsigned int i = 0; i < 2; i++) {
		play_over(&p, i);
		cr_assert_eq(play_rc(&p, i), -EOWNERDEAD);
	}
	kit_kill(&p.actor[PRODUCER], SIGKILL);
	kit_wait(&p.actor[PRODUCER], 30);
	if (play_slow(&p))
		return false;
	cr_assert_eq(play_caps(&p, 0) + play_caps(&p, 1), 0, "woken by the cap");
	return true;
}

Test(lease, death_in_another_pid_namespace_is_heard_of_too)
{
	play_need_pidns();
	for (int i = 0; i < 20; i++)
		if (death_elsewhere())
			return;
	cr_assert_fail("this machine is too slow to set a scene within a second");
}

/*
 * The kernel wakes one sleeper, who passes it on; here that one may be dead, too. Then the cap is what is
 * left, and must suffice.
 */
Test(lease, sleeper_lives_on_when_producer_and_first_sleeper_are_killed_together)
{
	unsigned int rounds = play_count(30), by_cap = 0;

	for (unsigned int i = 0; i < rounds; i++) {
		int64_t until;

		play_ring(&p);
		play_start(&p, PRODUCER, play_hold, 0);
		play_await(&p, PRODUCER);
		play_start(&p, 0, play_read, MYELON_WAIT_PARK);
		play_asleep(&p, 1);
		play_start(&p, 1, play_read, MYELON_WAIT_PARK);
		play_asleep(&p, 2);
		kit_kill(&p.actor[PRODUCER], SIGKILL);
		until = kit_now_ns() + i % 4 * 20000;
		while (kit_now_ns() < until)
			;
		kit_kill(&p.actor[0], SIGKILL);
		kit_wait(&p.actor[PRODUCER], 30);
		kit_wait(&p.actor[0], 30);
		play_over(&p, 1);
		cr_assert_eq(play_rc(&p, 1), -EOWNERDEAD, "round %u", i);
		by_cap += play_caps(&p, 1) > 0;
		myelon_gc(NULL, NULL, NULL);
	}
	cr_log_info("%u of %u survivors were woken by their cap", by_cap, rounds);
}

/* exec ends every thread, so also the keeper; the pid lives on, the lock does not. */
static int hold_and_exec(void *arg)
{
	struct part *me = arg;
	int rc = play_create(me);

	if (rc < 0)
		return part_fail("create", rc);
	part_ready(me);
	if (!kit_await(me->page, GO, 1, 60))
		return 2;
	execl("/bin/sleep", "sleep", "600", (char *)NULL);
	return 127;
}

Test(lease, exec_of_the_owner_is_a_death)
{
	play_ring(&p);
	play_start(&p, PRODUCER, hold_and_exec, 0);
	play_await(&p, PRODUCER);
	play_start(&p, 0, play_read, MYELON_WAIT_PARK);
	play_asleep(&p, 1);
	p.killed_ns = kit_now_ns();
	kit_set(p.page, GO, 1);
	play_over(&p, 0);
	cr_assert_eq(play_rc(&p, 0), -EOWNERDEAD);
	cr_assert(kit_running(&p.actor[PRODUCER]), "its process ended");
	if (!play_slow(&p))
		cr_assert_eq(play_caps(&p, 0), 0);
	play_kill(&p, PRODUCER);
}

/* From the mark to the free lock is a time in which the producer is neither. */
Test(lease, producer_that_takes_long_to_die_is_waited_for)
{
	play_need_memory();
	wakes_all(play_hold_much, MYELON_WAIT_PARK, 2);
}

/* A reader that goes on with the next producer; told of two deaths. */
static int follow(void *arg)
{
	struct part *me = arg;
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;
	struct myelon_consumer *c;
	struct myelon_view v;
	int rc = myelon_consumer_attach(&c, me->name, WITH(.wait = me->wait));

	for (uint32_t i = 1; rc == 0 && i <= 2; i++) {
		part_ready(me);
		rc = myelon_peek(c, 1, MYELON_FOREVER, &v);
		kit_set(me->page, ENDED + me->index, i);
		if (rc == -EOWNERDEAD && i == 1)
			rc = myelon_consumer_wait_producer(c, MYELON_FOREVER);
	}
	myelon_consumer_stats(c, &s);
	part_note(me, rc, &s);
	myelon_consumer_close(c);
	return 0;
}

static int take_over(void *arg)
{
	struct part *me = arg;
	struct myelon_producer *producer;
	int rc = myelon_producer_open(&producer, me->name,
	                              &MYELON_OPEN_OPTS(.flags = MYELON_F_LEASE));

	if (rc < 0)
		return part_fail("open", rc);
	part_ready(me);
	for (;;)
		pause();
}

Test(lease, death_of_the_next_producer_is_heard_of_by_those_who_slept_through_the_first)
{
	play_ring(&p);
	play_start(&p, PRODUCER, play_hold, 0);
	play_await(&p, PRODUCER);
	play_start(&p, 0, follow, MYELON_WAIT_PARK);
	play_asleep(&p, 1);
	play_kill(&p, PRODUCER);
	cr_assert(kit_await(p.page, ENDED, 1, 30));
	play_start(&p, PRODUCER, take_over, 0);
	play_await(&p, PRODUCER);
	play_rest(20);
	play_asleep(&p, 1);
	play_kill(&p, PRODUCER);
	play_over(&p, 0);
	cr_assert_eq(play_rc(&p, 0), -EOWNERDEAD);
}
