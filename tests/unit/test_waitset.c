/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Wait sets and rings: consumers, producers, ids, fairness, what a close leaves. */
#include "waitset_kit.h"

#include <stdlib.h>

#define RINGS 32

struct fixture {
	struct myelon_producer *p;
	struct myelon_consumer *c;
	char name[KIT_NAME];
	int id;
};

static void pair(struct fixture *f, struct myelon_waitset *ws)
{
	f->p = ring_make(f->name, SMALL());
	f->c = ring_join(f->name, WITH());
	f->id = ws ? set_id(myelon_waitset_add_consumer(ws, f->c, NULL, f)) : -1;
}

static void pairs(struct fixture *f, int n, struct myelon_waitset *ws)
{
	for (int i = 0; i < n; i++)
		pair(&f[i], ws);
}

static void part(struct fixture *f, int n)
{
	for (int i = 0; i < n; i++)
		ring_close(f[i].p, f[i].c);
}

BOTH(consumer_is_reported_until_it_was_read_empty)
{
	struct myelon_waitset *ws = set_make(engine);
	struct fixture f;
	struct myelon_event ev;

	pair(&f, ws);
	set_none(ws);
	cr_ok(ring_push(f.p, 3));
	for (int i = 0; i < 3; i++) {
		ev = set_one(ws, f.id);
		cr_assert_eq(ev.kind, MYELON_EVENT_CONSUMER);
		cr_assert_eq(ev.result, 3 - i);
		cr_assert_eq(ev.user, &f);
		ring_pull(f.c, i, 1);
	}
	set_none(ws);
	cr_ok(ring_push(f.p, 1));
	cr_assert_eq(set_one(ws, f.id).result, 1);
	set_close(ws);
	part(&f, 1);
}

BOTH(nothing_comes_before_the_deadline)
{
	struct myelon_waitset *ws = set_make(engine);
	struct myelon_event ev;
	struct fixture f;
	int64_t begun = kit_now_ns();

	pair(&f, ws);
	cr_assert_eq(myelon_waitset_wait(ws, &ev, 1, myelon_deadline_after(30 * MS)), 0);
	cr_assert_geq(kit_now_ns() - begun, 30 * MS);
	cr_assert_eq(myelon_waitset_wait(ws, &ev, 1, 1), 0, "a deadline that has passed");
	set_close(ws);
	part(&f, 1);
}

BOTH(an_empty_set_waits_too)
{
	struct myelon_waitset *ws = set_make(engine);
	struct myelon_event ev;

	set_none(ws);
	cr_assert_eq(myelon_waitset_wait(ws, &ev, 1, myelon_deadline_after(5 * MS)), 0);
	set_close(ws);
}

BOTH(what_does_not_fit_comes_first_in_the_next_wait)
{
	struct myelon_waitset *ws = set_make(engine);
	struct fixture f[RINGS];
	struct myelon_event ev[5];
	int seen[RINGS] = {0}, total = 0;

	pairs(f, RINGS, ws);
	for (int i = 0; i < RINGS; i++)
		cr_ok(ring_push(f[i].p, 1));
	/* Nobody reads: all stay ready, and each has its turn. */
	while (total < RINGS * 5) {
		int n = myelon_waitset_wait(ws, ev, 5, MYELON_TRY);

		cr_assert_eq(n, 5);
		for (int i = 0; i < n; i++)
			seen[(struct fixture *)ev[i].user - f]++;
		total += n;
	}
	for (int i = 0; i < RINGS; i++)
		cr_assert_eq(seen[i], 5, "ring %d was reported %d times", i, seen[i]);
	set_close(ws);
	part(f, RINGS);
}

BOTH(one_busy_ring_starves_nobody)
{
	struct myelon_waitset *ws = set_make(engine);
	struct fixture f[RINGS];
	int seen[RINGS] = {0}, timer, fd, pipes[2], timers = 0, fds = 0;
	struct myelon_event ev;

	cr_assert_eq(pipe(pipes), 0);
	pairs(f, RINGS, ws);
	timer = set_id(myelon_waitset_add_timer(ws, 1, 1, NULL, NULL)); /* always due */
	fd = set_id(myelon_waitset_add_fd(ws, pipes[0], EPOLLIN, NULL, NULL));
	cr_assert_eq(write(pipes[1], "x", 1), 1); /* always readable */
	for (int i = 0; i < RINGS; i++)
		cr_ok(ring_push(f[i].p, 1)); /* always readable */
	for (int i = 0; i < 40 * RINGS; i++) {
		cr_assert_eq(myelon_waitset_wait(ws, &ev, 1, MYELON_FOREVER), 1);
		timers += ev.id == timer;
		fds += ev.id == fd;
		if (ev.kind == MYELON_EVENT_CONSUMER)
			seen[(struct fixture *)ev.user - f]++;
	}
	for (int i = 0; i < RINGS; i++)
		cr_assert_geq(seen[i], 5, "ring %d was reported %d times", i, seen[i]);
	cr_assert_geq(timers, 10);
	cr_assert_geq(fds, 10);
	set_close(ws);
	part(f, RINGS);
	close(pipes[0]);
	close(pipes[1]);
}

BOTH(handle_is_in_one_set_at_a_time)
{
	struct myelon_waitset *ws = set_make(engine), *other = set_make(engine);
	struct fixture f;
	int id;

	pair(&f, ws);
	cr_assert_eq(myelon_waitset_add_consumer(ws, f.c, NULL, NULL), -EBUSY);
	cr_assert_eq(myelon_waitset_add_consumer(other, f.c, NULL, NULL), -EBUSY);
	id = set_id(myelon_waitset_add_producer(ws, f.p, 0, NULL, NULL));
	cr_assert_eq(myelon_waitset_add_producer(other, f.p, 1, NULL, NULL), -EBUSY);
	cr_ok(myelon_waitset_remove(ws, f.id));
	cr_ok(myelon_waitset_remove(ws, id));
	cr_assert_eq(myelon_waitset_remove(ws, f.id), -EINVAL);
	f.id = set_id(myelon_waitset_add_consumer(other, f.c, NULL, NULL));
	cr_ok(ring_push(f.p, 1));
	set_none(ws);
	set_one(other, f.id);
	set_close(ws);
	set_close(other);
	ring_pull(f.c, 0, 1);
	part(&f, 1);
}

BOTH(closing_a_handle_takes_it_out)
{
	struct myelon_waitset *ws = set_make(engine);
	struct fixture f[3];
	int id;

	pairs(f, 3, ws);
	id = set_id(myelon_waitset_add_producer(ws, f[2].p, 1, NULL, NULL));
	cr_assert_eq(set_sources(ws), 4);
	cr_ok(ring_push(f[1].p, 1));
	myelon_consumer_close(f[1].c);
	myelon_producer_close(f[1].p);
	myelon_producer_close(f[2].p);
	cr_assert_eq(set_sources(ws), 2);
	cr_assert_eq(myelon_waitset_remove(ws, f[1].id), -EINVAL);
	cr_assert_eq(myelon_waitset_want(ws, id, 1), -EINVAL);
	cr_assert_eq(set_one(ws, f[2].id).result, -EPIPE);
	myelon_consumer_close(f[2].c);
	cr_ok(ring_push(f[0].p, 1));
	set_one(ws, f[0].id);
	set_close(ws);
	part(f, 1);
}

static int by_value(const void *a, const void *b)
{
	return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

BOTH(id_comes_again_only_after_65536_others)
{
	struct myelon_waitset *ws = set_make(engine);
	static int ids[65537];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 65537; i++) {
			ids[i] =
				set_id(myelon_waitset_add_timer(ws, MYELON_FOREVER, 0, NULL, NULL));
			cr_ok(myelon_waitset_remove(ws, ids[i]));
		}
		cr_assert_eq(myelon_waitset_remove(ws, ids[0]), -EINVAL);
		qsort(ids, 65537, sizeof(ids[0]), by_value);
		for (int i = 1; i < 65537; i++)
			cr_assert_neq(ids[i], ids[i - 1]);
	}
	cr_assert_eq(set_sources(ws), 0);
	set_close(ws);
}

BOTH(full_set_refuses_one_more)
{
	struct myelon_waitset *ws = set_make(engine);
	int id = -1;

	for (int i = 0; i < 65536; i++)
		id = set_id(myelon_waitset_add_timer(ws, MYELON_FOREVER, 0, NULL, NULL));
	cr_assert_eq(myelon_waitset_add_timer(ws, 1, 0, NULL, NULL), -ENOSPC);
	cr_ok(myelon_waitset_remove(ws, id));
	set_id(myelon_waitset_add_timer(ws, MYELON_FOREVER, 0, NULL, NULL));
	set_close(ws);
}

BOTH(producer_is_reported_once_per_want)
{
	struct myelon_waitset *ws = set_make(engine);
	struct myelon_event ev;
	struct fixture f;
	int id;

	pair(&f, NULL);
	id = set_id(myelon_waitset_add_producer(ws, f.p, 2, NULL, &f));
	ev = set_one(ws, id);
	cr_assert_eq(ev.kind, MYELON_EVENT_PRODUCER);
	cr_assert_eq(ev.result, 1);
	cr_assert_eq(ev.user, &f);
	set_none(ws);
	ring_fill(f.p);
	cr_ok(myelon_waitset_want(ws, id, 2));
	set_none(ws);
	ring_pull(f.c, 0, 1);
	set_none(ws);
	ring_pull(f.c, 1, 1);
	set_one(ws, id);
	cr_ok(ring_push(f.p, 2));
	cr_ok(myelon_waitset_want(ws, id, 2));
	cr_ok(myelon_waitset_want(ws, id, 0));
	ring_pull(f.c, 2, 8);
	set_none(ws);
	cr_ok(myelon_waitset_want(ws, id, 8));
	set_one(ws, id);
	cr_assert_eq(myelon_waitset_want(ws, id, 9), -EMSGSIZE);
	cr_assert_eq(myelon_waitset_want(ws, id + 1, 1), -EINVAL);
	set_close(ws);
	part(&f, 1);
}

BOTH(framed_producer_wants_bytes)
{
	struct myelon_waitset *ws = set_make(engine);
	struct myelon_frame_producer *fp;
	struct myelon_frame_consumer *fc;
	struct myelon_message msg;
	char name[KIT_NAME], data[300] = {0};
	int id, in, sent = 0;

	kit_ring_name(name, "framed");
	cr_ok(myelon_frame_producer_create(&fp, name, RING(64, 16)));
	cr_ok(myelon_frame_consumer_attach(&fc, name, WITH()));
	in = set_id(myelon_waitset_add_frame_consumer(ws, fc, NULL, NULL));
	id = set_id(myelon_waitset_add_frame_producer(ws, fp, sizeof(data), NULL, NULL));
	set_one(ws, id);
	while (myelon_frame_send(fp, data, sizeof(data), 1, MYELON_TRY) == 0)
		sent++;
	cr_assert_eq(sent, 3, "16 slots and 5 for each");
	cr_ok(myelon_waitset_want(ws, id, sizeof(data)));
	set_one(ws, in);
	cr_assert_eq(myelon_frame_peek(fc, MYELON_TRY, &msg), 1);
	cr_ok(myelon_frame_release(fc, 1));
	cr_ok(myelon_waitset_remove(ws, in));
	set_one(ws, id);
	cr_ok(myelon_frame_send(fp, data, sizeof(data), 1, MYELON_TRY));
	cr_assert_eq(myelon_waitset_want(ws, id, 16 * 64), -EMSGSIZE, "no room for the headers");
	cr_assert_eq(myelon_waitset_want(ws, id, UINT64_MAX), -EMSGSIZE);
	cr_ok(myelon_waitset_want(ws, id, 16 * 64 - 100));
	set_close(ws);
	myelon_frame_consumer_close(fc);
	myelon_frame_producer_close(fp);
}

BOTH(interrupt_of_a_handle_is_an_event)
{
	struct myelon_waitset *ws = set_make(engine);
	struct myelon_view v;
	struct fixture f;
	int id;

	pair(&f, ws);
	id = set_id(myelon_waitset_add_producer(ws, f.p, 0, NULL, NULL));
	myelon_consumer_interrupt(f.c);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(set_one(ws, f.id).result, -ECANCELED, "until peek takes it");
	cr_assert_eq(myelon_peek(f.c, 1, MYELON_TRY, &v), -ECANCELED);
	set_none(ws);
	ring_fill(f.p);
	cr_ok(myelon_waitset_want(ws, id, 1));
	myelon_producer_interrupt(f.p);
	/* The ring is full, so its consumer is ready as well. */
	cr_ok(myelon_waitset_remove(ws, f.id));
	cr_assert_eq(set_one(ws, id).result, -ECANCELED);
	cr_ok(myelon_waitset_want(ws, id, 1));
	set_none(ws);
	set_close(ws);
	part(&f, 1);
}

BOTH(end_of_a_producer_is_told_once_per_epoch)
{
	struct myelon_waitset *ws = set_make(engine);
	struct myelon_view v;
	struct fixture f;

	pair(&f, ws);
	for (int64_t seq = 0; seq < 3; seq++) {
		cr_ok(ring_push(f.p, 1));
		myelon_producer_close(f.p);
		cr_assert_eq(set_one(ws, f.id).result, 1, "first what is left");
		ring_pull(f.c, seq, 1);
		cr_assert_eq(set_one(ws, f.id).result, -EPIPE);
		set_none(ws);
		cr_assert_eq(myelon_peek(f.c, 1, MYELON_TRY, &v), -EPIPE);
		set_none(ws);
		cr_ok(myelon_producer_open(&f.p, f.name, NULL));
		set_none(ws);
	}
	set_close(ws);
	part(&f, 1);
}

BOTH(handles_outlive_their_set)
{
	struct myelon_waitset *ws = set_make(engine);
	struct fixture f;

	pair(&f, ws);
	set_id(myelon_waitset_add_producer(ws, f.p, 1, NULL, NULL));
	set_close(ws);
	cr_ok(ring_push(f.p, 1));
	ring_pull(f.c, 0, 1);
	part(&f, 1);
}

struct script {
	struct myelon_waitset *ws;
	struct fixture *f;
	int calls, added;
};

static void on_timer(const struct myelon_event *event, void *user)
{
	struct script *s = user;

	cr_assert_eq(event->kind, MYELON_EVENT_TIMER);
	cr_assert_eq(event->user, user);
	s->calls += 100;
	cr_ok(myelon_waitset_remove(s->ws, event->id));
}

static void remove_all(const struct myelon_event *event, void *user)
{
	struct script *s = user;

	(void)event;
	s->calls++;
	for (int i = 0; i < RINGS; i++)
		cr_ok(myelon_waitset_remove(s->ws, s->f[i].id));
	s->added = set_id(myelon_waitset_add_timer(s->ws, 1, 0, on_timer, s));
}

BOTH(callbacks_may_add_and_remove)
{
	struct myelon_waitset *ws = set_make(engine);
	struct fixture f[RINGS];
	struct script s = {.ws = ws, .f = f};

	pairs(f, RINGS, NULL);
	for (int i = 0; i < RINGS; i++) {
		cr_ok(ring_push(f[i].p, 1));
		f[i].id = set_id(myelon_waitset_add_consumer(ws, f[i].c, remove_all, &s));
	}
	cr_assert_eq(myelon_waitset_dispatch(ws, 64, kit_deadline(20)), 1,
	             "the first takes the others out");
	cr_assert_eq(s.calls, 1);
	cr_assert_eq(set_sources(ws), 1);
	cr_assert_eq(myelon_waitset_dispatch(ws, 64, kit_deadline(20)), 1);
	cr_assert_eq(s.calls, 101);
	cr_assert_eq(set_sources(ws), 0);
	cr_assert_eq(myelon_waitset_dispatch(ws, 64, MYELON_TRY), 0);
	set_close(ws);
	part(f, RINGS);
}

static void close_handle(const struct myelon_event *event, void *user)
{
	struct fixture *f = user;

	(void)event;
	myelon_consumer_close(f->c);
	f->c = NULL;
}

BOTH(callback_may_close_its_handle)
{
	struct myelon_waitset *ws = set_make(engine);
	struct fixture f;

	pair(&f, NULL);
	set_id(myelon_waitset_add_consumer(ws, f.c, close_handle, &f));
	cr_ok(ring_push(f.p, 1));
	cr_assert_eq(myelon_waitset_dispatch(ws, 8, kit_deadline(20)), 1);
	cr_assert_null(f.c);
	cr_assert_eq(set_sources(ws), 0);
	set_close(ws);
	part(&f, 1);
}

BOTH(set_leaves_no_descriptor)
{
	int before, during;
	struct fixture f[4];
	struct myelon_waitset *ws;

	pairs(f, 4, NULL);
	before = kit_open_fds();
	ws = set_make(engine);
	for (int i = 0; i < 4; i++)
		set_id(myelon_waitset_add_consumer(ws, f[i].c, NULL, NULL));
	set_id(myelon_waitset_add_process(ws, getpid(), NULL, NULL));
	cr_assert_geq(myelon_waitset_fd(ws), 0);
	set_none(ws);
	during = kit_open_fds();
	set_close(ws);
	cr_assert_eq(kit_open_fds(), before, "%d before, %d during", before, during);
	part(f, 4);
}

Test(waitset, bad_arguments_are_refused)
{
	struct myelon_waitset *ws = NULL;
	struct myelon_event ev;
	struct myelon_waitset_stats stats = {.size = 0};

	cr_assert_eq(myelon_waitset_create(NULL, NULL), -EINVAL);
	cr_assert_eq(myelon_waitset_create(&ws, &MYELON_WAITSET_OPTS(.engine = 3)), -EINVAL);
	cr_assert_eq(myelon_waitset_create(&ws, &MYELON_WAITSET_OPTS(.spin_ns = -2)), -EINVAL);
	cr_assert_null(ws);
	cr_ok(myelon_waitset_create(&ws, NULL));
	cr_assert_eq(myelon_waitset_wait(ws, NULL, 1, MYELON_TRY), -EINVAL);
	cr_assert_eq(myelon_waitset_wait(ws, &ev, 0, MYELON_TRY), -EINVAL);
	cr_assert_eq(myelon_waitset_wait(NULL, &ev, 1, MYELON_TRY), -EINVAL);
	cr_assert_eq(myelon_waitset_dispatch(ws, 0, MYELON_TRY), -EINVAL);
	cr_assert_eq(myelon_waitset_add_consumer(ws, NULL, NULL, NULL), -EINVAL);
	cr_assert_eq(myelon_waitset_add_producer(ws, NULL, 1, NULL, NULL), -EINVAL);
	cr_assert_eq(myelon_waitset_add_frame_consumer(ws, NULL, NULL, NULL), -EINVAL);
	cr_assert_eq(myelon_waitset_add_frame_producer(ws, NULL, 1, NULL, NULL), -EINVAL);
	cr_assert_eq(myelon_waitset_add_timer(ws, 1, -1, NULL, NULL), -EINVAL);
	cr_assert_eq(myelon_waitset_add_process(ws, 0, NULL, NULL), -EINVAL);
	cr_assert_lt(myelon_waitset_add_fd(ws, -1, EPOLLIN, NULL, NULL), 0);
	cr_assert_eq(myelon_waitset_remove(ws, -1), -EINVAL);
	cr_assert_eq(myelon_waitset_remove(ws, 0), -EINVAL);
	cr_assert_eq(myelon_waitset_stats(ws, &stats), -EINVAL);
	cr_assert_eq(set_sources(ws), 0);
	myelon_waitset_close(ws);
	myelon_waitset_close(NULL);
	myelon_waitset_wake(NULL);
}

Test(waitset, environment_chooses_the_engine)
{
	struct myelon_waitset *ws;
	static const char *const epoll[] = {"epoll", "direct", "proxy"};

	for (int i = 0; i < 3; i++) {
		setenv("MYELON_ENGINE", epoll[i], 1);
		cr_ok(myelon_waitset_create(&ws, NULL));
		cr_assert_eq(myelon_waitset_engine(ws), MYELON_ENGINE_EPOLL);
		myelon_waitset_close(ws);
	}
	setenv("MYELON_ENGINE", "steam", 1);
	cr_assert_eq(myelon_waitset_create(&ws, NULL), -EINVAL);
	cr_ok(myelon_waitset_create(&ws, &MYELON_WAITSET_OPTS(.engine = MYELON_ENGINE_EPOLL)));
	myelon_waitset_close(ws);
}
