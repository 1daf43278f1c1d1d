/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * No wake-up is lost: two processes answer each other with random delays, every one of them sleeping in a wait
 * set, or in a loop of its own on the set's descriptor. A lost one would show as a sleep that only the cap
 * of 1 s ended.
 */
#include "waitset_stage.h"

#include <poll.h>

#define RINGS 4 /* there; ring RINGS is the way back */
#define WAYS 2

enum how { WAIT, LEVEL, EDGE };

static struct stage stage;

/* Wait for one event in the way of @how. @return as wait, never 0. */
static int await(struct stage *s, enum how how, int loop, struct myelon_event *ev)
{
	struct epoll_event got;
	struct pollfd p;
	int n;

	if (how == WAIT)
		return myelon_waitset_wait(s->ws, ev, 1, MYELON_FOREVER);
	while ((n = myelon_waitset_wait(s->ws, ev, 1, MYELON_TRY)) == 0) {
		p = (struct pollfd){.fd = myelon_waitset_fd(s->ws), .events = POLLIN};
		/* Longer than the cap, by which it would be found. */
		n = how == EDGE ? epoll_wait(loop, &got, 1, 10000) : poll(&p, 1, 10000);
		/* The end of a ring of io_uring interrupts a call of its thread once. */
		if (n <= 0 && !(n < 0 && errno == EINTR))
			return child_fail("poll", n) - 100;
	}
	return n;
}

static int loop_of(struct stage *s, enum how how)
{
	struct epoll_event want = {.events = EPOLLIN | EPOLLET};
	int loop;

	if (how != EDGE)
		return -1;
	loop = epoll_create1(EPOLL_CLOEXEC);
	return epoll_ctl(loop, EPOLL_CTL_ADD, myelon_waitset_fd(s->ws), &want) < 0 ? -1 : loop;
}

static int finish(struct stage *s, int loop)
{
	struct myelon_waitset_stats stats = {.size = sizeof(stats)};

	TRY_(myelon_waitset_stats(s->ws, &stats));
	if (stats.caps_found) {
		fprintf(stderr, "%llu wake-ups were lost\n", (unsigned long long)stats.caps_found);
		return 1;
	}
	myelon_waitset_close(s->ws);
	if (loop >= 0)
		close(loop);
	return 0;
}

struct part {
	struct stage *s;
	enum how how;
};

/* Answers each message. */
static int answer(void *arg)
{
	const struct part *part = arg;
	struct stage *s = part->s;
	struct myelon_event ev;
	int loop;

	s->random = 77;
	if (stage_make(s, RINGS, 1, 8) || stage_attach(s, 0, RINGS) || stage_set(s, 0, RINGS))
		return 1;
	loop = loop_of(s, part->how);
	for (long i = 0; i < s->count; i++) {
		TRY_(await(s, part->how, loop, &ev));
		if (ev.result != 1 || stage_pull(s, stage_ring(s, &ev)) != 1)
			return child_fail("event", ev.result);
		stage_delay(s, 60);
		TRY_(stage_push(s, RINGS, MYELON_TRY));
	}
	if (finish(s, loop))
		return 1;
	for (int i = 0; i < RINGS; i++)
		myelon_consumer_close(s->c[i]);
	myelon_producer_close(s->p[RINGS]);
	return 0;
}

static int ask(struct stage *s, enum how how)
{
	struct myelon_event ev;
	int loop;

	if (stage_attach(s, RINGS, 1) || stage_set(s, RINGS, 1))
		return 1;
	loop = loop_of(s, how);
	for (long i = 0; i < s->count; i++) {
		stage_delay(s, 60);
		TRY_(stage_push(s, (int)(stage_random(s) % RINGS), MYELON_TRY));
		TRY_(await(s, how, loop, &ev));
		if (ev.result != 1 || stage_pull(s, RINGS) != 1)
			return child_fail("event", ev.result);
	}
	return finish(s, loop);
}

static void race(enum myelon_engine engine, enum how how, int64_t spin_ns, long count)
{
	struct part part = {.s = &stage, .how = how};
	struct kit_actor a;

	stage_begin(&stage, engine, RINGS, stage_count(count));
	stage.spin_ns = spin_ns;
	cr_assert_eq(stage_make(&stage, 0, RINGS, 8), 0);
	cr_assert_eq(kit_fork(&a, answer, &part), 0);
	cr_assert_eq(ask(&stage, how), 0);
	cr_assert_eq(kit_wait(&a, 60), 0, "%s", a.output);
	stage.rings = RINGS + 1;
	stage_end(&stage, false);
}

BOTH(no_wake_up_of_a_set_is_lost)
{
	race(engine, WAIT, MYELON_NO_SPIN, 50000);
}

BOTH(no_wake_up_of_a_spinning_set_is_lost)
{
	race(engine, WAIT, 0, 20000);
}

BOTH(no_wake_up_of_a_level_triggered_loop_is_lost)
{
	race(engine, LEVEL, MYELON_NO_SPIN, 20000);
}

BOTH(no_wake_up_of_an_edge_triggered_loop_is_lost)
{
	race(engine, EDGE, MYELON_NO_SPIN, 20000);
}

/* ---- two full rings ---- */

/* Keeps ring @out full and reads ring 1 - out, all through one set. */
static int relay(struct stage *s, int out)
{
	struct myelon_waitset_stats stats = {.size = sizeof(stats)};
	long sent = 0, seen = 0;
	struct myelon_event ev[4];
	int room;

	if (stage_make(s, out, 1, 4) || stage_attach(s, 1 - out, 1) || stage_set(s, 1 - out, 1))
		return 1;
	/* Nothing is missed: both begin when both are there. */
	if (!kit_barrier(s->page, 0, 2, 60))
		return 1;
	room = myelon_waitset_add_producer(s->ws, s->p[out], 1, NULL, NULL);
	TRY_(room);
	while (sent < s->count || seen < s->count) {
		int n = myelon_waitset_wait(s->ws, ev, 4, MYELON_FOREVER);

		TRY_(n);
		for (int i = 0; i < n; i++) {
			if (ev[i].id == room) {
				TRY_(stage_push(s, out, MYELON_TRY));
				if (++sent < s->count)
					TRY_(myelon_waitset_want(s->ws, room, 1));
			} else {
				long got = ev[i].result > 0 ? stage_pull(s, 1 - out) : -1;

				if (got < 0)
					return child_fail("event", ev[i].result);
				seen += got;
			}
		}
	}
	TRY_(myelon_waitset_stats(s->ws, &stats));
	myelon_waitset_close(s->ws);
	if (!kit_barrier(s->page, 1, 2, 60) || stats.caps_found)
		return child_fail("caps_found", (int)stats.caps_found);
	return 0;
}

static int other_side(void *arg)
{
	struct stage *s = arg;

	if (relay(s, 1))
		return 1;
	myelon_consumer_close(s->c[0]);
	myelon_producer_close(s->p[1]);
	return 0;
}

BOTH(two_full_rings_between_two_sets_never_stop)
{
	struct kit_actor a;

	stage_begin(&stage, engine, WAYS, stage_count(20000));
	stage.spin_ns = MYELON_NO_SPIN;
	cr_assert_eq(kit_fork(&a, other_side, &stage), 0);
	cr_assert_eq(relay(&stage, 0), 0);
	cr_assert_eq(kit_wait(&a, 60), 0, "%s", a.output);
	stage_end(&stage, false);
}
