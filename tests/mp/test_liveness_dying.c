/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Consumers with a lease, whose end a blocked producer hears of wherever it is; and the time between the
 * end of a process and its free lock.
 */
#include "liveness_cast.h"

#include <sys/wait.h>

#ifndef CLONE_NEWPID
#define CLONE_NEWPID 0x20000000
#endif
int unshare(int flags);

TestSuite(liveness_dying, .timeout = 170);

static uint64_t caps(void)
{
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;

	cr_assert_eq(myelon_producer_stats(ring, &s), 0);
	return s.caps;
}

static void join_as(unsigned int i, const struct member *model, uint32_t allow)
{
	kit_set(cast.page, ALLOW + i, allow);
	member_start(i, model);
	cr_assert(kit_await(cast.page, READY + i, 1, 30), "%s", member_of(i)->text);
}

/* Nothing but an event can end the sleep: every interval is longer than the test. */
#define REQUIRE_EVENTS()                                                                           \
	REQUIRE(.required.count = 1, .progress_ns = HANG_NS, .check_ns = HANG_NS,                  \
	        .grace_ns = MYELON_NO_GRACE)

static void expect_event(void)
{
	cr_assert_eq(send_all(100), -EOWNERDEAD, "%s", myelon_last_error());
	expect_failure(MYELON_CAUSE_DEAD, "w", 2);
	cr_assert_eq(heard.count, 1);
	cr_assert(heard.last.cause == MYELON_CAUSE_DYING || heard.last.cause == MYELON_CAUSE_DEAD,
	          "%s", myelon_cause_name((enum myelon_cause)heard.last.cause));
	cr_assert_eq(caps(), 0, "found by a look at the cap");
}

static void killed_elsewhere(uint32_t wait)
{
	struct member m = {.id = "w", .index = 1, .flags = MYELON_F_LEASE};

	begin_ring(wait);
	REQUIRE_EVENTS();
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
	expect_event();
	cr_assert_eq(kit_wait(&cast.actor[1], 30), 0);
	end_ring();
}

Test(liveness_dying, death_in_another_pid_namespace_ends_the_sleep_of_a_parked_producer)
{
	killed_elsewhere(MYELON_WAIT_PARK);
	killed_elsewhere(MYELON_WAIT_ADAPTIVE);
}

/* Helper threads, or the producer itself, sleep on the words then. */
Test(liveness_dying, death_in_another_pid_namespace_ends_the_sleep_without_io_uring_too)
{
	setenv("MYELON_ENGINE", "epoll", 1);
	killed_elsewhere(MYELON_WAIT_PARK);
}

Test(liveness_dying, spinning_producer_sees_the_mark_before_its_next_check)
{
	killed_elsewhere(MYELON_WAIT_SPIN_PAUSE);
	killed_elsewhere(MYELON_WAIT_YIELD);
}

/* Its process goes on, as another program: the keeper ended, the lock is free. */
Test(liveness_dying, exec_of_a_consumer_with_a_lease_ends_the_sleep)
{
	begin_ring(MYELON_WAIT_PARK);
	REQUIRE_EVENTS();
	join_as(1,
	        &(struct member){
			.id = "w", .index = 1, .life = EXECS_LATER, .flags = MYELON_F_LEASE},
	        3);
	expect_event();
	cr_assert(kit_running(&cast.actor[1]), "its process ended");
	cast_kill(&cast, 1);
	end_ring();
}

/* No event says so, but its lock is asked for all the same. */
Test(liveness_dying, exec_without_a_lease_is_found_long_before_a_stall_would_be)
{
	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required.count = 1, .progress_ns = HANG_NS, .grace_ns = MYELON_NO_GRACE);
	join_as(1, &(struct member){.id = "w", .index = 1, .life = EXECS_LATER}, 3);
	expect_event();
	cr_assert(kit_running(&cast.actor[1]), "its process ended");
	cast_kill(&cast, 1);
	end_ring();
}

/* Closed, with its lease given back, and attached anew by another process: the event of it is that one's. */
Test(liveness_dying, lease_of_who_comes_next_under_the_same_id_is_heard_of)
{
	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required.count = 1, .progress_ns = HANG_NS, .check_ns = HANG_NS,
	        .grace_ns = HANG_NS);
	join_as(1, &(struct member){.id = "w", .index = 1, .flags = MYELON_F_LEASE}, 3);
	kit_set(cast.page, READY + 1, 0);
	/* Once the first is dead. */
	heard.set = START + 1;
	member_start(2, &(struct member){
				.id = "w", .index = 1, .awaits = true, .flags = MYELON_F_LEASE});
	strike_later(3, cast.actor[1].pid, SIGKILL);
	heard.allow = ALLOW + 1;
	cr_assert_eq(send_all(20), 0, "%s", myelon_last_error());
	cr_assert_eq(heard.count, 1);
	cast_progress(&cast, 1, 20);
	kit_set(cast.page, ALLOW + 1, 0);
	REQUIRE_EVENTS();
	heard.allow = 0;
	cr_assert_eq(kit_wait(&cast.actor[3], 30), 0);
	strike_later(3, cast.actor[2].pid, SIGKILL);
	cr_assert_eq(send_all(100), -EOWNERDEAD, "%s", myelon_last_error());
	cr_assert_eq(failure().cause, MYELON_CAUSE_DEAD);
	cr_assert_eq(failure().pid, cast.actor[2].pid);
	cr_assert_eq(heard.count, 2);
	for (unsigned int i = 1; i <= 2; i++)
		cr_assert_eq(kit_wait(&cast.actor[i], 30), -SIGKILL);
	cr_assert_eq(member_of(1)->violations, 0, "%s", member_of(1)->text);
	end_ring();
}

/* ---- the lock outlives its process, in a child ---- */

/* The copy has ended when its locks are gone. */
static void end_after_copy(void)
{
	int64_t deadline = kit_deadline(30);

	kit_set(cast.page, LET_GO, 1);
	myelon_producer_close(ring);
	ring = NULL;
	while (kit_dir_entries(kit_shm_dir()) > 0) {
		cr_assert_lt(kit_now_ns(), deadline, "the copy holds its locks");
		myelon_gc(NULL, NULL, NULL);
		cast_rest(1);
	}
	end_ring();
}

static void lock_stays(uint32_t wait, uint32_t flags, bool let_go)
{
	begin_ring(wait);
	/* It dies long before it is stalled. */
	REQUIRE(.required.count = 1, .progress_ns = 1000 * MS, .grace_ns = 300 * MS);
	heard.set = let_go ? LET_GO : 0;
	join_as(1, &(struct member){.id = "w", .index = 1, .life = LEAVES_A_KEEPER, .flags = flags},
	        3);
	cr_assert_eq(send_all(3), 0);
	cr_assert(kit_await(cast.page, COPIED, 1, 30));
	strike_later(2, cast.actor[1].pid, SIGKILL);
	cr_assert_eq(send_all(100), -EOWNERDEAD, "%s", myelon_last_error());
	expect_failure(let_go ? MYELON_CAUSE_DEAD : MYELON_CAUSE_DYING, "w", 2);
	cr_assert_not_null(strstr(myelon_last_error(), let_go ? "is dead" : "is dying"));
	cr_assert_eq(heard.count, 1);
	cr_assert_eq(heard.last.cause, MYELON_CAUSE_DYING);
	cr_assert_eq(send(), -EOWNERDEAD);
	cr_assert_eq(kit_wait(&cast.actor[1], 30), -SIGKILL);
	cr_assert_eq(kit_wait(&cast.actor[2], 30), 0);
	end_after_copy();
}

Test(liveness_dying, process_that_ended_with_its_lock_held_is_told_once_and_fails_after_the_grace)
{
	lock_stays(MYELON_WAIT_PARK, 0, false);
	lock_stays(MYELON_WAIT_PARK, MYELON_F_LEASE, false);
	lock_stays(MYELON_WAIT_SPIN_PAUSE, MYELON_F_LEASE, false);
}

Test(liveness_dying, lock_that_gets_free_in_the_grace_makes_the_failure_say_dead)
{
	lock_stays(MYELON_WAIT_PARK, 0, true);
	lock_stays(MYELON_WAIT_PARK, MYELON_F_LEASE, true);
	lock_stays(MYELON_WAIT_SPIN_PAUSE, MYELON_F_LEASE, true);
}

/* ---- much memory to be given back ---- */

#define MUCH (512ull << 20)
#define TRIES 10

static uint64_t memory_available(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f) && sscanf(line, "MemAvailable: %llu", &kib) != 1)
		;
	if (f)
		fclose(f);
	return kib << 10;
}

/* @return what the alert said. */
static enum myelon_cause one_that_has_much(void)
{
	enum myelon_cause cause;

	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required.count = 1, .progress_ns = HANG_NS, .check_ns = HANG_NS,
	        .grace_ns = 1000 * MS);
	join_as(1, &(struct member){.id = "w", .index = 1, .memory = MUCH, .flags = MYELON_F_LEASE},
	        3);
	strike_later(2, cast.actor[1].pid, SIGKILL);
	cr_assert_eq(send_all(100), -EOWNERDEAD, "%s", myelon_last_error());
	expect_failure(MYELON_CAUSE_DEAD, "w", 2);
	cr_assert_eq(heard.count, 1);
	cause = (enum myelon_cause)heard.last.cause;
	cr_assert_eq(kit_wait(&cast.actor[1], 60), -SIGKILL);
	end_ring();
	return cause;
}

Test(liveness_dying, consumer_that_takes_long_to_die_is_told_of_before_its_lock_is_free)
{
	if (memory_available() < 2 * MUCH)
		kit_skip("memory", "1 GiB is not free");
	for (int i = 0; i < TRIES; i++)
		if (one_that_has_much() == MYELON_CAUSE_DYING)
			return;
	cr_assert_fail("never told before the lock was free");
}
