/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a supervised producer hears of consumers that die, stop, leave and come back. */
#include "liveness_cast.h"

#include <sys/wait.h>

#ifndef CLONE_NEWPID
#define CLONE_NEWPID 0x20000000
#endif
int unshare(int flags);

TestSuite(liveness, .timeout = 120);

static uint64_t caps(void)
{
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;

	cr_assert_eq(myelon_producer_stats(ring, &s), 0);
	return s.caps;
}

/*
 * Killed while the producer is blocked. Nothing but the death can be found, since every interval is longer
 * than the test: a sleep that ends at its cap would be counted.
 */
static void killed_while_blocked(uint32_t wait, int64_t check_ns)
{
	begin_ring(wait);
	REQUIRE(.required.count = 1, .progress_ns = HANG_NS, .check_ns = check_ns,
	        .grace_ns = MYELON_NO_GRACE);
	member_join(1, "w", 3);
	strike_later(2, cast.actor[1].pid, SIGKILL);
	cr_assert_eq(send_all(100), -EOWNERDEAD, "%s", myelon_last_error());
	cr_assert_eq(myelon_producer_published(ring), 3 + WINDOW - 1);
	expect_failure(MYELON_CAUSE_DEAD, "w", 2);
	cr_assert_eq(failure().pid, cast.actor[1].pid);
	cr_assert_eq(heard.count, 1);
	cr_assert_eq(heard.last.cause, MYELON_CAUSE_DEAD);
	cr_assert_eq(caps(), 0, "found by a look at the cap");
	cr_assert_eq(kit_wait(&cast.actor[1], 30), -SIGKILL);
	cr_assert_eq(kit_wait(&cast.actor[2], 30), 0);
	end_ring();
}

Test(liveness, death_of_who_is_in_the_way_ends_the_sleep_of_a_parked_producer)
{
	killed_while_blocked(MYELON_WAIT_PARK, HANG_NS);
	killed_while_blocked(MYELON_WAIT_ADAPTIVE, HANG_NS);
}

/* Helper threads sleep on the words then. */
Test(liveness, death_ends_the_sleep_without_io_uring_too)
{
	setenv("MYELON_ENGINE", "epoll", 1);
	killed_while_blocked(MYELON_WAIT_PARK, HANG_NS);
}

Test(liveness, spinning_producer_finds_the_death_at_a_check)
{
	killed_while_blocked(MYELON_WAIT_SPIN_PAUSE, 2 * MS);
	killed_while_blocked(MYELON_WAIT_YIELD, 2 * MS);
	killed_while_blocked(MYELON_WAIT_SLEEP, 2 * MS);
}

/* Whose lock is free without an end of the process. */
static void exec_while_blocked(uint32_t wait)
{
	begin_ring(wait);
	REQUIRE(.required.count = 1, .progress_ns = 50 * MS, .grace_ns = MYELON_NO_GRACE);
	kit_set(cast.page, ALLOW + 1, 3);
	member_start(1, &(struct member){.id = "w", .index = 1, .life = EXECS});
	cr_assert(kit_await(cast.page, READY + 1, 1, 30));
	cr_assert_eq(send_all(100), -EOWNERDEAD, "%s", myelon_last_error());
	expect_failure(MYELON_CAUSE_DEAD, "w", 2);
	cr_assert(kit_running(&cast.actor[1]));
	cast_kill(&cast, 1);
	end_ring();
}

Test(liveness, consumer_whose_process_became_another_program_is_dead)
{
	exec_while_blocked(MYELON_WAIT_PARK);
	exec_while_blocked(MYELON_WAIT_SPIN_PAUSE);
}

/* Its process has ended long before its lock is free: the event is not the verdict, and does not come again. */
Test(liveness, lock_that_outlives_its_process_is_asked_for_until_it_is_free)
{
	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required.count = 1, .progress_ns = HANG_NS, .check_ns = HANG_NS,
	        .grace_ns = MYELON_NO_GRACE);
	kit_set(cast.page, ALLOW + 1, 3);
	member_start(1, &(struct member){.id = "w", .index = 1, .life = LEAVES_A_COPY});
	cr_assert(kit_await(cast.page, READY + 1, 1, 30));
	cr_assert_eq(send_all(3), 0);
	cr_assert(kit_await(cast.page, COPIED, 1, 30));
	strike_later(2, cast.actor[1].pid, SIGKILL);
	cr_assert_eq(send_all(100), -EOWNERDEAD, "%s", myelon_last_error());
	expect_failure(MYELON_CAUSE_DEAD, "w", 2);
	cr_assert_eq(caps(), 0, "found by a look at the cap");
	cr_assert_geq(failure().stalled_ns, 100 * MS, "declared dead while its lock was held");
	cr_assert_eq(heard.count, 1);
	cr_assert_eq(heard.last.cause, MYELON_CAUSE_DYING);
	cr_assert_eq(kit_wait(&cast.actor[1], 30), -SIGKILL);
	end_ring();
}

Test(liveness, failure_stays_for_managed_calls_also_when_there_is_room_and_plain_ones_go_on)
{
	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required.count = 1, .grace_ns = MYELON_NO_GRACE);
	member_join(1, "w", 3);
	strike_later(2, cast.actor[1].pid, SIGKILL);
	cr_assert_eq(send_all(100), -EOWNERDEAD);
	cr_assert_eq(kit_wait(&cast.actor[1], 30), -SIGKILL);
	member_join(1, "w", ALL);
	cast_progress(&cast, 1, 3 + WINDOW);
	cr_assert_eq(send_plain(), 0, "%s", myelon_last_error());
	cr_assert_eq(send(), -EOWNERDEAD);
	cr_assert_eq(send_until(MYELON_TRY), -EOWNERDEAD);
	cr_assert_not_null(strstr(myelon_last_error(), "consumer w"));
	cr_assert_eq(send_plain(), 0);
	cast_progress(&cast, 1, 3 + WINDOW + 2);
	cr_assert_eq(heard.count, 1);
	/* Requiring anew begins anew. */
	REQUIRE(.required.count = 1);
	cr_assert_eq(send(), 0, "%s", myelon_last_error());
	myelon_producer_close(ring);
	ring = NULL;
	cr_assert_eq(kit_wait(&cast.actor[1], 30), 0);
	cr_assert_eq(member_of(1)->violations, 0, "%s", member_of(1)->text);
	end_ring();
}

static void back_in_time(uint32_t wait)
{
	const uint32_t total = 200;

	begin_ring(wait);
	REQUIRE(.required = {.ids = (const char *[]){"w"}, .id_count = 1}, .grace_ns = HANG_NS);
	member_join(1, "w", 3);
	kit_set(cast.page, ALLOW + 1, 3);
	member_start(2, &(struct member){.id = "w", .index = 1, .awaits = true, .end = total});
	heard.set = START + 1;
	heard.allow = ALLOW + 1;
	strike_later(3, cast.actor[1].pid, SIGKILL);
	cr_assert_eq(send_all(total), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_producer_failure(ring, NULL), 0);
	cr_assert_eq(kit_wait(&cast.actor[2], 30), 0, "%s", member_of(1)->text);
	cr_assert_eq(member_of(1)->count, total);
	cr_assert_eq(member_of(1)->violations, 0, "%s", member_of(1)->text);
	cr_assert_eq(heard.count, 1);
	cr_assert_eq(heard.last.cause, MYELON_CAUSE_DEAD);
	cr_assert_eq(kit_wait(&cast.actor[1], 30), -SIGKILL);
	cr_assert_eq(kit_wait(&cast.actor[3], 30), 0);
	end_ring();
}

Test(liveness, same_id_that_comes_back_in_the_grace_closes_the_window_and_nothing_is_lost)
{
	back_in_time(MYELON_WAIT_PARK);
	back_in_time(MYELON_WAIT_SPIN_PAUSE);
}

Test(liveness, other_id_does_not_close_the_window)
{
	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required.count = 1, .grace_ns = 300 * MS);
	member_join(1, "w", 3);
	kit_set(cast.page, ALLOW + 2, ALL);
	member_start(2, &(struct member){.id = "other", .index = 2, .awaits = true});
	heard.set = START + 2;
	strike_later(3, cast.actor[1].pid, SIGKILL);
	cr_assert_eq(send_all(100), -EOWNERDEAD);
	expect_failure(MYELON_CAUSE_DEAD, "w", 2);
	cr_assert_eq(heard.count, 1);
	cr_assert(kit_await(cast.page, READY + 2, 1, 30));
	cast_kill(&cast, 2);
	cr_assert_eq(kit_wait(&cast.actor[1], 30), -SIGKILL);
	cr_assert_eq(kit_wait(&cast.actor[3], 30), 0);
	end_ring();
}

/* Attached anew, but it reads nothing. */
Test(liveness, same_id_that_comes_back_and_does_not_go_on_is_a_failure_after_the_grace)
{
	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required.count = 1, .progress_ns = 50 * MS, .grace_ns = 400 * MS);
	member_join(1, "w", 3);
	member_start(2, &(struct member){.id = "w", .index = 1, .awaits = true});
	heard.set = START + 1;
	kit_set(cast.page, READY + 1, 0);
	strike_later(3, cast.actor[1].pid, SIGKILL);
	cr_assert_lt(send_all(100), 0);
	cr_assert_str_eq(failure().id, "w");
	cr_assert_eq(heard.count, 1);
	cr_assert(kit_await(cast.page, READY + 1, 1, 30));
	cast_kill(&cast, 2);
	cr_assert_eq(kit_wait(&cast.actor[1], 30), -SIGKILL);
	end_ring();
}

static void stopped(uint32_t wait)
{
	begin_ring(wait);
	REQUIRE(.required.count = 1, .progress_ns = 50 * MS, .grace_ns = HANG_NS);
	member_join(1, "w", 3);
	cast_progress(&cast, 1, 0);
	kit_kill(&cast.actor[1], SIGSTOP);
	heard.signal = SIGCONT;
	heard.signal_pid = cast.actor[1].pid;
	heard.allow = ALLOW + 1;
	cr_assert_eq(send_all(100), 0, "%s", myelon_last_error());
	cr_assert_eq(heard.count, 1);
	cr_assert_eq(heard.last.cause, MYELON_CAUSE_STALLED);
	cr_assert_eq(myelon_producer_failure(ring, NULL), 0);
	cast_progress(&cast, 1, 100);
	cr_assert_eq(member_of(1)->violations, 0, "%s", member_of(1)->text);
	kit_kill(&cast.actor[1], SIGSTOP);
	heard.signal = 0;
	/* Stopped again, and for good. */
	REQUIRE(.progress_ns = 50 * MS, .grace_ns = 50 * MS);
	cr_assert_eq(send_all(100), -ETIMEDOUT);
	expect_failure(MYELON_CAUSE_STALLED, "w", 99);
	cr_assert_eq(heard.count, 2);
	kit_kill(&cast.actor[1], SIGCONT);
	cast_progress(&cast, 1, 100 + WINDOW);
	cr_assert_eq(send(), -ETIMEDOUT);
	cr_assert_eq(send_plain(), 0);
	cast_kill(&cast, 1);
	end_ring();
}

Test(liveness, stopped_consumer_is_stalled_and_not_dead_and_recovers)
{
	stopped(MYELON_WAIT_PARK);
	stopped(MYELON_WAIT_SPIN_PAUSE);
}

static void slow(uint32_t wait)
{
	begin_ring(wait);
	REQUIRE(.required.count = 1, .progress_ns = 1000 * MS, .grace_ns = MYELON_NO_GRACE);
	kit_set(cast.page, ALLOW + 1, ALL);
	member_start(1, &(struct member){.id = "w", .index = 1, .every = 20000});
	cr_assert(kit_await(cast.page, READY + 1, 1, 30));
	cr_assert_eq(send_all(120), 0, "%s", myelon_last_error());
	cr_assert_eq(heard.count, 0);
	cast_kill(&cast, 1);
	end_ring();
}

Test(liveness, slow_consumer_that_goes_on_never_alerts)
{
	slow(MYELON_WAIT_PARK);
	slow(MYELON_WAIT_SLEEP);
}

Test(liveness, whom_nobody_waits_for_never_alerts)
{
	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required.count = 1, .progress_ns = MS, .grace_ns = MYELON_NO_GRACE);
	member_join(1, "w", 3);
	/* Caught up, and nothing happens. */
	cr_assert_eq(send_all(3), 0);
	cast_progress(&cast, 1, 3);
	cast_rest(100);
	cr_assert_eq(send_all(4), 0);
	cast_kill(&cast, 1);
	/* Dead, but there is room: one is left. */
	cast_rest(50);
	cr_assert_eq(send_all(4), 0);
	cr_assert_eq(heard.count, 0);
	cr_assert_eq(myelon_producer_failure(ring, NULL), 0);
	cr_assert_eq(send(), -EOWNERDEAD);
	cr_assert_eq(heard.count, 1);
	end_ring();
}

Test(liveness, dead_one_that_is_not_in_the_way_does_not_alert_while_another_is)
{
	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required.count = 2, .progress_ns = HANG_NS, .grace_ns = MYELON_NO_GRACE);
	member_join(1, "done", ALL);
	member_join(2, "slow", 0);
	cr_assert_eq(send_all(WINDOW), 0);
	cast_progress(&cast, 1, WINDOW);
	cast_kill(&cast, 1);
	cr_assert_eq(send_until(kit_deadline(0.1)), -ETIMEDOUT);
	cr_assert_eq(heard.count, 0);
	kit_set(cast.page, ALLOW + 2, ALL);
	cr_assert_eq(send_all(100), -EOWNERDEAD, "%s", myelon_last_error());
	expect_failure(MYELON_CAUSE_DEAD, "done", WINDOW - 1);
	cast_kill(&cast, 2);
	end_ring();
}

Test(liveness, two_who_died_are_two_alerts_and_the_first_failure_counts)
{
	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required = {.prefix = "w", .prefix_count = 2}, .grace_ns = 200 * MS,
	        .progress_ns = HANG_NS);
	member_join(1, "w_0", 2);
	member_join(2, "w_1", 2);
	strike_later(3, cast.actor[1].pid, SIGKILL);
	strike_later(4, cast.actor[2].pid, SIGKILL);
	cr_assert_eq(send_all(100), -EOWNERDEAD);
	cr_assert_eq(heard.count, 2);
	cr_assert_eq(failure().last_seq, 1);
	for (unsigned int i = 1; i <= 2; i++)
		cr_assert_eq(kit_wait(&cast.actor[i], 30), -SIGKILL);
	end_ring();
}

Test(liveness, stopped_then_killed_is_one_alert_and_its_failure_says_dead)
{
	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required.count = 1, .progress_ns = 50 * MS, .grace_ns = 300 * MS);
	member_join(1, "w", 3);
	kit_kill(&cast.actor[1], SIGSTOP);
	heard.signal = SIGKILL;
	heard.signal_pid = cast.actor[1].pid;
	cr_assert_eq(send_all(100), -EOWNERDEAD);
	cr_assert_eq(heard.count, 1);
	cr_assert_eq(heard.last.cause, MYELON_CAUSE_STALLED);
	cr_assert_eq(failure().cause, MYELON_CAUSE_DEAD);
	cr_assert_eq(kit_wait(&cast.actor[1], 30), -SIGKILL);
	end_ring();
}

Test(liveness, log_and_continue_alerts_once_per_window_and_waits_on)
{
	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required.count = 1, .on_failure = MYELON_ON_FAILURE_LOG,
	        .grace_ns = MYELON_NO_GRACE, .progress_ns = 20 * MS);
	member_join(1, "w", 3);
	strike_later(2, cast.actor[1].pid, SIGKILL);
	cr_assert_eq(send_all(3 + WINDOW), 0, "%s", myelon_last_error());
	cr_assert_eq(kit_wait(&cast.actor[2], 30), 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(send_until(kit_deadline(0.1)), -ETIMEDOUT);
	cr_assert_eq(heard.count, 1);
	cr_assert_eq(myelon_producer_failure(ring, NULL), 0);
	cr_assert_eq(kit_wait(&cast.actor[1], 30), -SIGKILL);
	member_join(1, "w", 20);
	cr_assert_eq(send_all(9), 0, "%s", myelon_last_error());
	cr_assert_eq(heard.count, 1);
	cast_progress(&cast, 1, 20);
	cast_kill(&cast, 1);
	cr_assert_eq(send_all(WINDOW), 0);
	cr_assert_eq(send_until(kit_deadline(0.1)), -ETIMEDOUT);
	cr_assert_eq(heard.count, 2);
	cr_assert_eq(member_of(1)->violations, 0, "%s", member_of(1)->text);
	end_ring();
}

#define VISITS 400

/* Comes, reads one, and leaves in order. */
static int visit(void *arg)
{
	const struct member *m = arg;
	int rc = 0;

	for (int i = 0; rc == 0 && i < VISITS; i++) {
		struct myelon_consumer *c;

		rc = myelon_consumer_attach(&c, m->name, &MYELON_ATTACH_OPTS(.id = m->id));
		if (rc < 0)
			return member_fail(m, "attach", rc);
		kit_set(m->page, READY + m->index, 1);
		rc = member_read(m, c);
		myelon_consumer_close(c);
	}
	return rc ? member_fail(m, "read", rc) : 0;
}

/* Its lock is free and its entry was active a moment ago, over and over, under a producer that looks all the time. */
static void left_in_order(uint32_t wait)
{
	struct member m = {.id = "w", .index = 1};

	begin_ring(wait);
	REQUIRE(.progress_ns = HANG_NS, .check_ns = 1, .grace_ns = MYELON_NO_GRACE);
	m.page = cast.page;
	m.name = cast.name;
	cr_assert_eq(kit_fork(&cast.actor[1], visit, &m), 0);
	cr_assert(kit_await(cast.page, READY + 1, 1, 30));
	cr_assert_eq(send_all(VISITS), 0, "%s", myelon_last_error());
	cr_assert_eq(kit_wait(&cast.actor[1], 60), 0, "%s", member_of(1)->text);
	cr_assert_eq(member_of(1)->violations, 0, "%s", member_of(1)->text);
	cr_assert_eq(heard.count, 0);
	end_ring();
}

Test(liveness, consumer_that_leaves_in_order_and_comes_back_is_never_dead)
{
	left_in_order(MYELON_WAIT_PARK);
	left_in_order(MYELON_WAIT_SPIN_PAUSE);
	left_in_order(MYELON_WAIT_ADAPTIVE);
}

Test(liveness, death_in_another_pid_namespace_is_found_at_a_check)
{
	struct member m = {.id = "w", .index = 1};

	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.progress_ns = HANG_NS, .check_ns = 5 * MS, .grace_ns = MYELON_NO_GRACE);
	m.page = cast.page;
	m.name = cast.name;
	kit_set(cast.page, ALLOW + 1, 3);
	cr_assert_eq(kit_fork(&cast.actor[1], member_consume_elsewhere, &m), 0);
	if (!kit_await(cast.page, READY + 1, 1, 10)) {
		cr_assert_eq(kit_wait(&cast.actor[1], 30), 77);
		end_ring();
		kit_skip("root", "a pid namespace cannot be made");
	}
	cr_assert(kit_await(cast.page, COPIED, 1, 30));
	strike_later(2, (pid_t)cast.page->result[9].value[0], SIGKILL);
	cr_assert_eq(send_all(100), -EOWNERDEAD, "%s", myelon_last_error());
	expect_failure(MYELON_CAUSE_DEAD, "w", 2);
	cr_assert_eq(caps(), 0);
	cr_assert_eq(kit_wait(&cast.actor[1], 30), 0);
	end_ring();
}
