/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A supervised producer that was stopped itself, with its consumers (Ctrl-Z of a job, a frozen container,
 * a paused machine): nobody is to blame for that time. Who really stalls is found afterwards.
 */
#include "liveness_cast.h"

TestSuite(liveness_stop, .timeout = 170);

#define PROGRESS_MS 600
#define PRODUCER 0
#define ALERTS 40 /* a word: how many there were */
#define CAUSE 41

struct sender {
	const char *name;
	struct kit_page *page;
	uint32_t wait;
	bool tries; /* calls that do not wait, one after the other */
};

static void note_alert(void *ctx, const struct myelon_failure *alert)
{
	const struct sender *s = ctx;

	kit_set(s->page, CAUSE, alert->cause);
	kit_set(s->page, ALERTS, s->page->word[ALERTS] + 1);
}

/* Publishes whenever there is room, until it is killed. */
static int produce(void *arg)
{
	struct sender *s = arg;
	struct myelon_liveness_opts o =
		MYELON_LIVENESS_OPTS(.hook = note_alert, .ctx = s, .required.count = 1,
	                             .progress_ns = PROGRESS_MS * MS, .grace_ns = HANG_NS);
	int rc = myelon_producer_create(
		&ring, s->name,
		&MYELON_RING_OPTS(.slot_size = SLOT, .window = WINDOW, .wait = s->wait,
	                          .backing = MYELON_BACKING_SHM, .huge = MYELON_HUGE_OFF));

	if (rc == 0)
		rc = myelon_producer_require(ring, &o);
	if (rc < 0)
		return 1;
	kit_set(s->page, READY + PRODUCER, 1);
	for (;;) {
		rc = send_until(s->tries ? MYELON_TRY : MYELON_FOREVER);
		if (rc < 0 && rc != -EAGAIN)
			return 2;
		if (s->tries)
			member_rest(1000);
	}
}

static uint32_t alerts(void)
{
	return cast.page->word[ALERTS];
}

static void signal_both(int signal, unsigned int first)
{
	kit_kill(&cast.actor[first], signal);
	cast_rest(20);
	kit_kill(&cast.actor[!first], signal);
}

static void stopped_together(uint32_t wait, bool tries, unsigned int first)
{
	struct sender s = {.wait = wait, .tries = tries};
	uint64_t before;

	cast_begin(&cast);
	s.name = cast.name;
	s.page = cast.page;
	cr_assert_eq(kit_fork(&cast.actor[PRODUCER], produce, &s), 0);
	cr_assert(kit_await(cast.page, READY + PRODUCER, 1, 30));
	kit_set(cast.page, ALLOW + 1, ALL);
	member_start(1, &(struct member){.id = "w", .index = 1, .every = 5000});
	cast_progress(&cast, 1, 50);
	for (int i = 0; i < 2; i++) {
		signal_both(SIGSTOP, first);
		cast_rest(2 * PROGRESS_MS);
		before = member_of(1)->count;
		signal_both(SIGCONT, !first);
		cast_progress(&cast, 1, before + 30);
		cr_assert_eq(alerts(), 0, "told that a consumer is %s that was stopped with it",
		             myelon_cause_name((enum myelon_cause)cast.page->word[CAUSE]));
	}
	/* Now it alone. */
	kit_kill(&cast.actor[1], SIGSTOP);
	cr_assert(kit_await(cast.page, ALERTS, 1, 30), "a stalled consumer is not told of");
	cr_assert_eq(cast.page->word[CAUSE], MYELON_CAUSE_STALLED);
	cast_kill(&cast, PRODUCER);
	cast_kill(&cast, 1);
	cast_end(&cast, true);
}

Test(liveness_stop, parked_producer_does_not_blame_who_was_stopped_with_it)
{
	stopped_together(MYELON_WAIT_PARK, false, PRODUCER);
	stopped_together(MYELON_WAIT_PARK, false, 1);
}

Test(liveness_stop, spinning_producer_does_not_blame_who_was_stopped_with_it)
{
	stopped_together(MYELON_WAIT_SLEEP, false, PRODUCER);
	stopped_together(MYELON_WAIT_YIELD, false, 1);
}

Test(liveness_stop, producer_stopped_between_two_calls_does_not_blame_either)
{
	stopped_together(MYELON_WAIT_PARK, true, 1);
}

/* Calls that come seldom still find out, only later. */
Test(liveness_stop, stall_is_found_by_calls_further_apart_than_it_takes)
{
	int64_t guard = kit_deadline(60);

	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required.count = 1, .progress_ns = 60 * MS, .grace_ns = 60 * MS);
	member_join(1, "w", 3);
	kit_kill(&cast.actor[1], SIGSTOP);
	while (myelon_producer_failure(ring, NULL) == 0) {
		cr_assert_lt(kit_now_ns(), guard);
		send_until(MYELON_TRY);
		cast_rest(100);
	}
	cr_assert_eq(failure().cause, MYELON_CAUSE_STALLED);
	cr_assert_eq(heard.count, 1);
	cast_kill(&cast, 1);
	end_ring();
}
