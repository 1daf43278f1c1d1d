/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Strategies, deadlines, interrupts and signals. */
#include "ring_kit.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static const enum myelon_wait strategies[] = {
	MYELON_WAIT_ADAPTIVE, MYELON_WAIT_SPIN,  MYELON_WAIT_SPIN_PAUSE,
	MYELON_WAIT_YIELD,    MYELON_WAIT_SLEEP, MYELON_WAIT_PARK,
};

#define STRATEGIES (sizeof(strategies) / sizeof(strategies[0]))

Test(wait, names_go_both_ways)
{
	static const char *const names[] = {"adaptive", "spin",  "spin-pause",
	                                    "yield",    "sleep", "park"};

	for (size_t i = 0; i < STRATEGIES; i++) {
		cr_assert_str_eq(myelon_wait_name(strategies[i]), names[i]);
		cr_assert_eq(myelon_wait_parse(names[i]), (int)strategies[i]);
	}
	cr_assert_null(myelon_wait_name((enum myelon_wait)99));
	cr_assert_eq(myelon_wait_parse("nap"), -EINVAL);
	cr_assert_eq(myelon_wait_parse(""), -EINVAL);
	cr_assert_eq(myelon_wait_parse(NULL), -EINVAL);
}

Test(deadline, saturates_and_has_passed_if_it_is_not_positive)
{
	int64_t now = myelon_now();

	cr_assert_geq(myelon_deadline_after(1000), now + 1000);
	cr_assert_eq(myelon_deadline_after(INT64_MAX), MYELON_FOREVER);
	cr_assert_eq(myelon_deadline_after(INT64_MAX - 1), MYELON_FOREVER);
	cr_assert_leq(myelon_deadline_after(0), myelon_now());
	cr_assert_leq(myelon_deadline_after(-5), myelon_now());
	cr_assert_leq(myelon_deadline_after(INT64_MIN), myelon_now());
	cr_assert_neq(myelon_deadline_after(0), MYELON_TRY);
}

struct side {
	struct myelon_producer *p;
	struct myelon_consumer *c;
	int64_t count;
	int rc;
};

static void *read_all(void *arg)
{
	struct side *s = arg;
	struct myelon_view v;
	int64_t seq = 0;

	while (seq < s->count && s->rc == 0) {
		int n = myelon_peek(s->c, MYELON_ALL, kit_deadline(40), &v);

		if (n < 0) {
			s->rc = n;
		} else if (v.seq != seq ||
		           kit_check(v.base, 64, RING_SEED, (uint64_t)v.seq) != -1) {
			s->rc = -EBADMSG;
		} else {
			seq += n;
			s->rc = myelon_release(s->c, v.count);
		}
	}
	return NULL;
}

static void *write_all(void *arg)
{
	struct side *s = arg;
	struct myelon_span span;

	for (int64_t seq = 0; seq < s->count && s->rc == 0; seq++) {
		s->rc = myelon_claim(s->p, 1, kit_deadline(40), &span);
		if (s->rc < 0)
			break;
		kit_fill(span.base, 64, RING_SEED, (uint64_t)seq);
		s->rc = myelon_publish(s->p, 1);
	}
	return NULL;
}

static void stream(enum myelon_wait pw, enum myelon_wait cw, enum myelon_fence fence,
                   uint32_t window, int64_t count)
{
	char name[KIT_NAME];
	struct side w = {.count = count}, r = {.count = count};
	pthread_t thread;

	w.p = ring_make(name, RING(64, window, .wait = pw, .fence = fence));
	r.c = ring_join(name, WITH(.wait = cw));
	cr_assert_eq(pthread_create(&thread, NULL, read_all, &r), 0);
	write_all(&w);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_assert_eq(w.rc, 0, "producer %s: %d", myelon_wait_name(pw), w.rc);
	cr_assert_eq(r.rc, 0, "consumer %s: %d", myelon_wait_name(cw), r.rc);
	ring_close(w.p, r.c);
}

Test(wait, every_strategy_delivers_to_every_other)
{
	for (size_t i = 0; i < STRATEGIES; i++)
		for (size_t k = 0; k < STRATEGIES; k++)
			stream(strategies[i], strategies[k], MYELON_FENCE_AUTO, 4, 200);
}

Test(wait, parked_sides_lose_no_wake_up_in_either_fence_mode)
{
	stream(MYELON_WAIT_PARK, MYELON_WAIT_PARK, MYELON_FENCE_FULL, 1, 3000);
	stream(MYELON_WAIT_PARK, MYELON_WAIT_PARK, MYELON_FENCE_AUTO, 1, 3000);
	stream(MYELON_WAIT_PARK, MYELON_WAIT_PARK, MYELON_FENCE_FULL, 16, 10000);
	stream(MYELON_WAIT_PARK, MYELON_WAIT_PARK, MYELON_FENCE_AUTO, 16, 10000);
}

Test(wait, deadline_is_kept_by_every_strategy_on_both_sides)
{
	for (size_t i = 0; i < STRATEGIES; i++) {
		char name[KIT_NAME];
		struct myelon_producer *p = ring_make(name, SMALL(.wait = strategies[i]));
		struct myelon_consumer *c = ring_join(name, WITH(.wait = strategies[i]));
		struct myelon_span s;
		struct myelon_view v;
		int64_t deadline = myelon_deadline_after(5 * MS);

		cr_assert_eq(myelon_peek(c, 1, deadline, &v), -ETIMEDOUT);
		cr_assert_geq(myelon_now(), deadline);
		ring_fill(p);
		deadline = myelon_deadline_after(5 * MS);
		cr_assert_eq(myelon_claim(p, 1, deadline, &s), -ETIMEDOUT);
		cr_assert_geq(myelon_now(), deadline);
		deadline = myelon_deadline_after(5 * MS);
		cr_assert_eq(myelon_producer_wait_consumed(p, 7, deadline), -ETIMEDOUT);
		cr_assert_geq(myelon_now(), deadline);
		ring_close(p, c);
	}
}

static void *interrupt_later(void *arg)
{
	const struct timespec pause = {.tv_nsec = 10 * MS};
	struct side *s = arg;

	nanosleep(&pause, NULL);
	if (s->c)
		myelon_consumer_interrupt(s->c);
	if (s->p)
		myelon_producer_interrupt(s->p);
	return NULL;
}

Test(interrupt, ends_the_current_wait_of_every_strategy)
{
	for (size_t i = 0; i < STRATEGIES; i++) {
		char name[KIT_NAME];
		struct side p = {.p = ring_make(name, SMALL(.wait = strategies[i]))};
		struct side c = {.c = ring_join(name, WITH(.wait = strategies[i]))};
		struct myelon_wait_for two = {.count = 2};
		struct myelon_span s;
		struct myelon_view v;
		pthread_t thread;

		cr_assert_eq(pthread_create(&thread, NULL, interrupt_later, &c), 0);
		cr_assert_eq(myelon_peek(c.c, 1, MYELON_FOREVER, &v), -ECANCELED);
		cr_assert_eq(pthread_join(thread, NULL), 0);
		cr_assert_eq(myelon_peek(c.c, 1, myelon_deadline_after(MS), &v), -ETIMEDOUT);
		ring_fill(p.p);
		cr_assert_eq(pthread_create(&thread, NULL, interrupt_later, &p), 0);
		cr_assert_eq(myelon_claim(p.p, 1, MYELON_FOREVER, &s), -ECANCELED);
		cr_assert_eq(pthread_join(thread, NULL), 0);
		cr_assert_eq(myelon_claim(p.p, 1, myelon_deadline_after(MS), &s), -ETIMEDOUT);
		cr_assert_eq(pthread_create(&thread, NULL, interrupt_later, &p), 0);
		cr_assert_eq(myelon_producer_wait_consumed(p.p, 7, MYELON_FOREVER), -ECANCELED);
		cr_assert_eq(pthread_join(thread, NULL), 0);
		cr_assert_eq(pthread_create(&thread, NULL, interrupt_later, &p), 0);
		cr_assert_eq(myelon_producer_wait_for(p.p, &two, MYELON_FOREVER), -ECANCELED);
		cr_assert_eq(pthread_join(thread, NULL), 0);
		ring_pull(c.c, 0, 8);
		ring_close(p.p, c.c);
	}
}

Test(interrupt, that_comes_before_a_wait_ends_the_next_one_once)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, NULL);
	struct myelon_span s;
	struct myelon_view v;

	myelon_consumer_interrupt(c);
	myelon_consumer_interrupt(c);
	cr_assert_eq(myelon_peek(c, 1, MYELON_FOREVER, &v), -ECANCELED);
	cr_assert_eq(myelon_peek(c, 1, myelon_deadline_after(MS), &v), -ETIMEDOUT);
	ring_fill(p);
	myelon_producer_interrupt(p);
	cr_assert_eq(myelon_claim(p, 1, MYELON_FOREVER, &s), -ECANCELED);
	cr_assert_eq(myelon_claim(p, 1, myelon_deadline_after(MS), &s), -ETIMEDOUT);
	ring_close(p, c);
}

Test(interrupt, takes_no_message_and_no_room_away)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, NULL);
	struct myelon_view v;
	int rc;

	cr_ok(ring_push(p, 4));
	cr_assert_eq(myelon_peek(c, 4, MYELON_TRY, &v), 4);
	myelon_consumer_interrupt(c);
	myelon_producer_interrupt(p);
	ring_check(&v, 64);
	cr_ok(myelon_release(c, 4));
	cr_assert_eq(ring_fill(p), 8);
	rc = myelon_peek(c, MYELON_ALL, MYELON_FOREVER, &v);
	cr_assert(rc == -ECANCELED || rc == 8, "%d", rc);
	ring_pull(c, 4, 8);
	ring_close(p, c);
}

static struct myelon_consumer *in_handler;

static void on_alarm(int sig)
{
	(void)sig;
	if (in_handler)
		myelon_consumer_interrupt(in_handler);
}

static void alarm_every(int ms)
{
	const struct itimerval t = {.it_interval.tv_usec = ms * 1000,
	                            .it_value.tv_usec = ms * 1000};
	struct sigaction sa = {.sa_handler = on_alarm};

	cr_assert_eq(sigaction(SIGALRM, &sa, NULL), 0);
	cr_assert_eq(setitimer(ITIMER_REAL, &t, NULL), 0);
}

Test(signals, do_not_end_a_wait_unless_asked_for)
{
	static const enum myelon_wait sleepers[] = {MYELON_WAIT_ADAPTIVE, MYELON_WAIT_SLEEP,
	                                            MYELON_WAIT_PARK};

	alarm_every(3);
	for (size_t i = 0; i < sizeof(sleepers) / sizeof(sleepers[0]); i++) {
		char name[KIT_NAME];
		struct myelon_producer *p =
			ring_make(name, SMALL(.wait = sleepers[i], .flags = MYELON_F_EINTR));
		struct myelon_consumer *c = ring_join(name, WITH(.wait = sleepers[i]));
		struct myelon_consumer *e =
			ring_join(name, WITH(.wait = sleepers[i], .flags = MYELON_F_EINTR));
		int64_t deadline = myelon_deadline_after(30 * MS);
		struct myelon_span s;
		struct myelon_view v;

		cr_assert_eq(myelon_peek(c, 1, deadline, &v), -ETIMEDOUT);
		cr_assert_geq(myelon_now(), deadline);
		cr_assert_eq(myelon_peek(e, 1, MYELON_FOREVER, &v), -EINTR);
		ring_fill(p);
		cr_assert_eq(myelon_claim(p, 1, MYELON_FOREVER, &s), -EINTR);
		myelon_consumer_close(e);
		ring_close(p, c);
	}
}

Test(signals, handler_may_interrupt)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.wait = MYELON_WAIT_PARK));
	struct myelon_view v;

	in_handler = c;
	alarm_every(5);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(myelon_peek(c, 1, MYELON_FOREVER, &v), -ECANCELED);
	in_handler = NULL;
	ring_close(p, c);
}

Test(stats, parks_and_wakes_are_counted)
{
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.wait = MYELON_WAIT_PARK));
	struct myelon_consumer *c = ring_join(name, WITH(.wait = MYELON_WAIT_PARK));
	struct myelon_view v;

	cr_assert_eq(myelon_peek(c, 1, myelon_deadline_after(2 * MS), &v), -ETIMEDOUT);
	cr_ok(myelon_consumer_stats(c, &s));
	cr_assert_geq(s.parks, 1);
	cr_assert_geq(s.waits, 1);
	cr_assert_eq(s.caps, 0);
	cr_ok(ring_push(p, 1));
	ring_pull(c, 0, 1);
	ring_close(p, c);
}
