/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The calls of a supervised producer: deadlines, interrupt, the start, and required ones that are not there. */
#include "liveness_cast.h"

#include <sys/time.h>

TestSuite(liveness_calls, .timeout = 120);

/* The windows go on from call to call. */
static void in_short_calls(int64_t (*deadline)(void))
{
	int64_t guard = kit_deadline(60);
	int rc = 0;

	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required.count = 1, .progress_ns = 60 * MS, .grace_ns = 60 * MS);
	member_join(1, "w", 3);
	kit_kill(&cast.actor[1], SIGSTOP);
	while (myelon_producer_failure(ring, NULL) == 0) {
		cr_assert_lt(kit_now_ns(), guard);
		rc = send_until(deadline());
		cr_assert(rc == 0 || rc == -EAGAIN || rc == -ETIMEDOUT, "%d: %s", rc,
		          myelon_last_error());
	}
	cr_assert_eq(rc, -ETIMEDOUT);
	cr_assert_eq(heard.count, 1);
	cr_assert_eq(failure().cause, MYELON_CAUSE_STALLED);
	cast_kill(&cast, 1);
	end_ring();
}

static int64_t try_once(void)
{
	return MYELON_TRY;
}

static int64_t shortly(void)
{
	return myelon_deadline_after(5 * MS);
}

Test(liveness_calls, windows_are_not_shortened_or_lost_by_calls_that_do_not_wait_for_them)
{
	in_short_calls(try_once);
	in_short_calls(shortly);
}

static void on_alarm(int sig)
{
	(void)sig;
	myelon_producer_interrupt(ring);
}

Test(liveness_calls, interrupt_ends_a_managed_wait)
{
	const struct itimerval soon = {.it_value = {.tv_usec = 50000}};

	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required.count = 1, .progress_ns = HANG_NS);
	signal(SIGALRM, on_alarm);
	/* At the start, and when blocked. */
	setitimer(ITIMER_REAL, &soon, NULL);
	cr_assert_eq(send(), -ECANCELED);
	member_join(1, "w", 3);
	cr_assert_eq(send_all(3 + WINDOW), 0);
	setitimer(ITIMER_REAL, &soon, NULL);
	cr_assert_eq(send(), -ECANCELED);
	cr_assert_eq(heard.count, 0);
	cast_kill(&cast, 1);
	end_ring();
}

Test(liveness_calls, required_ones_that_are_missing_at_the_start)
{
	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required = {.ids = (const char *[]){"a", "b"}, .id_count = 2},
	        .startup_ns = 100 * MS);
	/* What a dead one left is not presence. */
	member_join(1, "b", 0);
	cast_kill(&cast, 1);
	member_join(2, "a", ALL);
	cr_assert_eq(send_plain(), 0);
	cr_assert_eq(send_until(MYELON_TRY), -EAGAIN);
	cr_assert_eq(send(), -ETIMEDOUT);
	cr_assert_not_null(strstr(myelon_last_error(), "missing: b;"), "%s", myelon_last_error());
	expect_failure(MYELON_CAUSE_MISSING, "b", -1);
	cr_assert_eq(send(), -ETIMEDOUT);
	member_join(1, "b", ALL);
	cr_assert_eq(send_all(20), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_producer_failure(ring, NULL), 0);
	cr_assert_eq(heard.count, 0);
	cast_kill(&cast, 1);
	cast_kill(&cast, 2);
	end_ring();
}

Test(liveness_calls, deadline_of_the_caller_is_not_a_failed_start)
{
	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required.count = 1, .startup_ns = HANG_NS);
	cr_assert_eq(send_until(kit_deadline(0.05)), -ETIMEDOUT);
	cr_assert_eq(myelon_producer_failure(ring, NULL), 0);
	REQUIRE(.required.count = 1, .startup_ns = 20 * MS, .on_failure = MYELON_ON_FAILURE_LOG);
	cr_assert_eq(send_until(kit_deadline(0.3)), -ETIMEDOUT);
	cr_assert_eq(send_until(MYELON_TRY), -EAGAIN);
	cr_assert_eq(heard.count, 1);
	cr_assert_eq(heard.last.cause, MYELON_CAUSE_MISSING);
	end_ring();
}

Test(liveness_calls, required_one_that_left_is_missing_once_the_producer_is_blocked)
{
	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required = {.ids = (const char *[]){"a"}, .id_count = 1}, .progress_ns = 50 * MS,
	        .grace_ns = 50 * MS);
	kit_set(cast.page, ALLOW + 1, ALL);
	member_start(1, &(struct member){.id = "a", .index = 1, .end = 3});
	cr_assert(kit_await(cast.page, READY + 1, 1, 30));
	cr_assert_eq(send_all(3), 0);
	cr_assert_eq(kit_wait(&cast.actor[1], 30), 0);
	/* Nobody gates: the last minimum does. */
	cr_assert_eq(send_all(100), -ENOENT, "%s", myelon_last_error());
	expect_failure(MYELON_CAUSE_MISSING, "a", 2);
	cr_assert_eq(heard.count, 1);
	cr_assert_eq(send(), -ENOENT);
	end_ring();
}

Test(liveness_calls, one_that_is_not_required_is_watched_too)
{
	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.grace_ns = MYELON_NO_GRACE, .progress_ns = HANG_NS);
	member_join(1, "guest", 2);
	strike_later(2, cast.actor[1].pid, SIGKILL);
	cr_assert_eq(send_all(100), -EOWNERDEAD);
	expect_failure(MYELON_CAUSE_DEAD, "guest", 1);
	cr_assert_eq(kit_wait(&cast.actor[1], 30), -SIGKILL);
	end_ring();
}
