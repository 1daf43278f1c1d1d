/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A wait set inside another event loop, by its descriptor. */
#include "waitset_kit.h"

#include <poll.h>

static bool readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int n;

	/* The end of a ring of io_uring interrupts a call of its thread once. */
	while ((n = poll(&p, 1, ms)) < 0 && errno == EINTR)
		;
	return n == 1 && (p.revents & POLLIN);
}

/* Wait until the descriptor is readable and wait() has something; it may be readable without reason. */
static struct myelon_event next(struct myelon_waitset *ws, int fd)
{
	int64_t end = kit_deadline(20);
	struct myelon_event ev[8];
	int n;

	while (kit_now_ns() < end) {
		cr_assert(readable(fd, 20000), "the descriptor does not become readable");
		n = myelon_waitset_wait(ws, ev, 8, MYELON_TRY);
		if (n) {
			cr_assert_eq(n, 1, "wait: %d", n);
			return ev[0];
		}
	}
	cr_assert(false, "nothing comes");
	return ev[0];
}

/* Quiet once it was asked, for a moment. */
static void quiet(struct myelon_waitset *ws, int fd)
{
	for (int i = 0; i < 3; i++) {
		set_none(ws);
		if (!readable(fd, 20))
			return;
	}
	cr_assert(false, "readable again and again without reason");
}

BOTH(descriptor_is_readable_when_something_is_ready)
{
	struct myelon_waitset *ws = set_make(engine);
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH());
	int in = set_id(myelon_waitset_add_consumer(ws, c, NULL, NULL));
	int out = set_id(myelon_waitset_add_producer(ws, p, 0, NULL, NULL));
	int fd = myelon_waitset_fd(ws), pipes[2], id;
	char byte;

	cr_assert_geq(fd, 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_waitset_fd(ws), fd);
	cr_assert_eq(myelon_waitset_engine(ws), engine);
	for (int i = 0; i < 5; i++) {
		quiet(ws, fd);
		cr_ok(ring_push(p, 1));
		cr_assert_eq(next(ws, fd).id, in);
		ring_pull(c, i, 1);
	}
	quiet(ws, fd);
	cr_ok(myelon_waitset_want(ws, out, 1));
	cr_assert_eq(next(ws, fd).id, out);
	cr_assert_eq(pipe(pipes), 0);
	id = set_id(myelon_waitset_add_fd(ws, pipes[0], EPOLLIN, NULL, NULL));
	quiet(ws, fd);
	cr_assert_eq(write(pipes[1], "x", 1), 1);
	cr_assert_eq(next(ws, fd).id, id);
	cr_assert(readable(fd, 0), "it is still to be read");
	cr_assert_eq(read(pipes[0], &byte, 1), 1);
	quiet(ws, fd);
	cr_ok(myelon_waitset_remove(ws, id));
	/* An ordinary wait works, too, and says the same. */
	cr_ok(ring_push(p, 1));
	set_one(ws, in);
	ring_pull(c, 5, 1);
	quiet(ws, fd);
	set_close(ws);
	ring_close(p, c);
	close(pipes[0]);
	close(pipes[1]);
}

BOTH(timer_and_wake_make_it_readable)
{
	struct myelon_waitset *ws = set_make(engine);
	int fd = myelon_waitset_fd(ws), id;
	struct myelon_event ev;
	int64_t at;

	quiet(ws, fd);
	at = kit_now_ns() + 60 * MS;
	id = set_id(myelon_waitset_add_timer(ws, at, 0, NULL, NULL));
	quiet(ws, fd);
	cr_assert_eq(next(ws, fd).id, id);
	cr_assert_geq(kit_now_ns(), at);
	quiet(ws, fd);
	myelon_waitset_wake(ws);
	cr_assert(readable(fd, 20000));
	cr_assert_eq(myelon_waitset_wait(ws, &ev, 1, MYELON_TRY), -ECANCELED);
	quiet(ws, fd);
	/* A timer whose time passed while an ordinary wait slept does not keep it awake. */
	cr_ok(myelon_waitset_set_timer(ws, id, kit_now_ns() + 5 * MS, 0));
	set_none(ws);
	cr_assert_eq(set_one(ws, id).count, 1);
	quiet(ws, fd);
	set_close(ws);
}

BOTH(source_added_to_an_armed_set_is_seen)
{
	struct myelon_waitset *ws = set_make(engine);
	char name[2][KIT_NAME];
	struct myelon_producer *p = ring_make(name[0], SMALL()), *q = ring_make(name[1], SMALL());
	struct myelon_consumer *c = ring_join(name[0], WITH()), *d = ring_join(name[1], WITH());
	int in = set_id(myelon_waitset_add_consumer(ws, c, NULL, NULL));
	int fd = myelon_waitset_fd(ws), id;

	quiet(ws, fd);
	cr_ok(ring_push(q, 1));
	id = set_id(myelon_waitset_add_consumer(ws, d, NULL, NULL));
	cr_assert_eq(next(ws, fd).id, id);
	ring_pull(d, 0, 1);
	quiet(ws, fd);
	cr_ok(ring_push(p, 1));
	cr_assert_eq(next(ws, fd).id, in);
	set_close(ws);
	ring_close(p, c);
	ring_close(q, d);
}

static int calls;

static void count(const struct myelon_event *event, void *user)
{
	(void)event;
	ring_pull(user, calls++, 1);
}

BOTH(edge_triggered_loop_misses_nothing)
{
	struct myelon_waitset *ws = set_make(engine);
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH());
	struct epoll_event want = {.events = EPOLLIN | EPOLLET}, got;
	int fd, epoll = epoll_create1(0), rc;

	calls = 0;
	set_id(myelon_waitset_add_consumer(ws, c, count, c));
	fd = myelon_waitset_fd(ws);
	cr_assert_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &want), 0);
	while ((rc = myelon_waitset_dispatch(ws, 4, MYELON_TRY)) != 0)
		cr_assert_geq(rc, 0);
	for (int i = 0; i < 200; i++) {
		cr_ok(ring_push(p, 1 + (uint32_t)i % 3));
		for (int seen = calls; calls < seen + 1 + i % 3;) {
			while ((rc = epoll_wait(epoll, &got, 1, 20000)) < 0 && errno == EINTR)
				;
			cr_assert_eq(rc, 1, "lost at %d", i);
			while ((rc = myelon_waitset_dispatch(ws, 4, MYELON_TRY)) != 0)
				cr_assert_geq(rc, 0);
		}
	}
	close(epoll);
	set_close(ws);
	ring_close(p, c);
}

BOTH(event_without_a_function_leaves_it_readable)
{
	struct myelon_waitset *ws = set_make(engine);
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH());
	int fd = myelon_waitset_fd(ws);

	set_id(myelon_waitset_add_consumer(ws, c, NULL, NULL));
	cr_ok(ring_push(p, 1));
	cr_assert_eq(myelon_waitset_dispatch(ws, 1, MYELON_TRY), 0);
	cr_assert(readable(fd, 20000));
	set_close(ws);
	ring_close(p, c);
}

BOTH(descriptor_may_come_late)
{
	struct myelon_waitset *ws = set_make(engine);
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH());
	int in = set_id(myelon_waitset_add_consumer(ws, c, NULL, NULL)), pipes[2], by_fd, fd;
	struct myelon_event ev;

	cr_assert_eq(pipe(pipes), 0);
	by_fd = set_id(myelon_waitset_add_fd(ws, pipes[0], EPOLLIN, NULL, NULL));
	cr_assert_eq(myelon_waitset_wait(ws, &ev, 1, myelon_deadline_after(3 * MS)), 0);
	fd = myelon_waitset_fd(ws);
	quiet(ws, fd);
	cr_ok(ring_push(p, 1));
	cr_assert_eq(next(ws, fd).id, in);
	ring_pull(c, 0, 1);
	cr_assert_eq(write(pipes[1], "x", 1), 1);
	cr_assert_eq(next(ws, fd).id, by_fd);
	cr_ok(myelon_waitset_remove(ws, by_fd));
	close(pipes[0]);
	close(pipes[1]);
	quiet(ws, fd);
	set_close(ws);
	ring_close(p, c);
}
