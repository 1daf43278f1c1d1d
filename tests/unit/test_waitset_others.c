/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Wait sets: timers, descriptors, processes, wakes, signals, fork. */
#include "waitset_kit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

BOTH(timer_goes_off_once_or_again)
{
	struct myelon_waitset *ws = set_make(engine);
	int64_t begun = kit_now_ns();
	int once = set_id(myelon_waitset_add_timer(ws, begun + 20 * MS, 0, NULL, &ws));
	struct myelon_event ev = set_one(ws, once);
	int again;

	cr_assert_geq(kit_now_ns() - begun, 20 * MS);
	cr_assert_eq(ev.kind, MYELON_EVENT_TIMER);
	cr_assert_eq(ev.count, 1);
	cr_assert_eq(ev.user, &ws);
	set_none(ws);
	begun = kit_now_ns();
	again = set_id(myelon_waitset_add_timer(ws, begun + 5 * MS, 5 * MS, NULL, NULL));
	for (uint64_t n = 0; n < 10; n += ev.count) {
		ev = set_one(ws, again);
		cr_assert_geq(kit_now_ns() - begun, (int64_t)(n + ev.count) * 5 * MS);
	}
	cr_ok(myelon_waitset_set_timer(ws, again, MYELON_FOREVER, 0));
	set_none(ws);
	cr_ok(myelon_waitset_set_timer(ws, once, kit_now_ns(), 0));
	set_one(ws, once);
	set_close(ws);
}

BOTH(missed_times_are_counted)
{
	struct myelon_waitset *ws = set_make(engine);
	int64_t now = kit_now_ns();
	int id = set_id(myelon_waitset_add_timer(ws, now - 1000 * MS, 100 * MS, NULL, NULL));
	struct myelon_event ev = set_one(ws, id);

	cr_assert_geq(ev.count, 11);
	cr_assert_lt((int64_t)ev.count, (kit_now_ns() - now + 1000 * MS) / (100 * MS) + 2);
	/* The next time is one of the old ones, not a period from now. */
	ev = set_one(ws, id);
	cr_assert_geq(kit_now_ns(), now + 100 * MS);
	cr_ok(myelon_waitset_set_timer(ws, id, 1, INT64_MAX));
	cr_assert_eq(set_one(ws, id).count, 1);
	set_none(ws);
	set_close(ws);
}

BOTH(timers_come_in_order)
{
	struct myelon_waitset *ws = set_make(engine);
	enum { N = 3000 };
	static int ids[N];
	int64_t base = kit_now_ns() - 1000 * MS;
	uint32_t rnd = 1;
	long last = -1, seen = 0;
	struct myelon_event ev[7];
	int n;

	/* A permutation of 0..N-1: 1009 and N have no common divisor. */
	for (long i = 0; i < N; i++)
		ids[i] = set_id(myelon_waitset_add_timer(ws, base + i * 1009 % N, 0, NULL,
		                                         (void *)(i * 1009 % N)));
	for (int i = 0; i < N; i += 3) {
		rnd = rnd * 1664525 + 1013904223;
		cr_ok(myelon_waitset_remove(ws, ids[i + (int)(rnd >> 16) % 3]));
	}
	while ((n = myelon_waitset_wait(ws, ev, 7, MYELON_TRY)) > 0)
		for (int i = 0; i < n; i++, seen++) {
			cr_assert_gt((long)ev[i].user, last);
			last = (long)ev[i].user;
		}
	cr_assert_eq(seen, N - N / 3);
	set_close(ws);
}

BOTH(descriptor_is_level_triggered)
{
	struct myelon_waitset *ws = set_make(engine);
	struct myelon_event ev;
	int pipes[2], id;
	char byte;

	cr_assert_eq(pipe(pipes), 0);
	id = set_id(myelon_waitset_add_fd(ws, pipes[0], EPOLLIN, NULL, &byte));
	set_none(ws);
	cr_assert_eq(write(pipes[1], "ab", 2), 2);
	for (int i = 0; i < 2; i++) {
		ev = set_one(ws, id);
		cr_assert_eq(ev.kind, MYELON_EVENT_FD);
		cr_assert(ev.events & EPOLLIN);
		cr_assert_eq(ev.user, &byte);
		cr_assert_eq(read(pipes[0], &byte, 1), 1);
	}
	set_none(ws);
	cr_ok(myelon_waitset_set_fd(ws, id, 0));
	cr_assert_eq(write(pipes[1], "c", 1), 1);
	set_none(ws);
	cr_ok(myelon_waitset_set_fd(ws, id, EPOLLIN));
	cr_assert(set_one(ws, id).events & EPOLLIN);
	cr_assert_eq(read(pipes[0], &byte, 1), 1);
	close(pipes[1]);
	cr_assert(set_one(ws, id).events & EPOLLHUP);
	cr_ok(myelon_waitset_remove(ws, id));
	set_none(ws);
	cr_assert_eq(myelon_waitset_set_fd(ws, id, EPOLLIN), -EINVAL);
	set_close(ws);
	close(pipes[0]);
}

BOTH(descriptors_have_their_turns)
{
	struct myelon_waitset *ws = set_make(engine);
	enum { N = 100 };
	int pipes[N][2], seen[N] = {0};
	struct myelon_event ev;

	for (long i = 0; i < N; i++) {
		cr_assert_eq(pipe(pipes[i]), 0);
		set_id(myelon_waitset_add_fd(ws, pipes[i][0], EPOLLIN, NULL, (void *)i));
		cr_assert_eq(write(pipes[i][1], "x", 1), 1);
	}
	for (int i = 0; i < 6 * N; i++) {
		cr_assert_eq(myelon_waitset_wait(ws, &ev, 1, MYELON_FOREVER), 1);
		seen[(long)ev.user]++;
	}
	for (int i = 0; i < N; i++) {
		cr_assert_geq(seen[i], 2, "descriptor %d was reported %d times", i, seen[i]);
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	myelon_waitset_close(ws);
}

BOTH(file_that_cannot_be_polled_is_refused)
{
	struct myelon_waitset *ws = set_make(engine);
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/plain", kit_tmp_dir());
	fd = open(path, O_RDWR | O_CREAT, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(myelon_waitset_add_fd(ws, fd, EPOLLIN, NULL, NULL), -EPERM);
	close(fd);
	unlink(path);
	cr_assert_eq(myelon_waitset_add_fd(ws, fd, EPOLLIN, NULL, NULL), -EBADF);
	set_close(ws);
}

static int until_killed(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return 0;
}

BOTH(end_of_a_process_is_told_once)
{
	struct myelon_waitset *ws = set_make(engine);
	struct kit_actor a[2];
	struct myelon_event ev;
	int id, by_fd, fd;
	pid_t gone;

	cr_assert_eq(kit_fork(&a[0], until_killed, NULL), 0);
	cr_assert_eq(kit_fork(&a[1], until_killed, NULL), 0);
	id = set_id(myelon_waitset_add_process(ws, a[0].pid, NULL, ws));
	fd = (int)syscall(SYS_pidfd_open, a[1].pid, 0);
	cr_assert_geq(fd, 0);
	by_fd = set_id(myelon_waitset_add_pidfd(ws, fd, NULL, NULL));
	set_none(ws);
	gone = a[0].pid;
	kit_kill(&a[0], SIGKILL);
	ev = set_one(ws, id);
	cr_assert_eq(ev.kind, MYELON_EVENT_PROCESS);
	cr_assert_eq(ev.result, 0);
	cr_assert_eq(ev.user, ws);
	set_none(ws);
	kit_kill(&a[1], SIGKILL);
	cr_assert_eq(set_one(ws, by_fd).result, 0);
	set_none(ws);
	cr_assert_eq(kit_wait(&a[0], 20), -SIGKILL);
	cr_assert_eq(kit_wait(&a[1], 20), -SIGKILL);
	cr_assert_eq(myelon_waitset_add_process(ws, gone, NULL, NULL), -ESRCH);
	cr_ok(myelon_waitset_remove(ws, id));
	cr_ok(myelon_waitset_remove(ws, by_fd));
	set_close(ws);
	cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC, "it stays the caller's");
	close(fd);
}

BOTH(wake_ends_one_wait)
{
	struct myelon_waitset *ws = set_make(engine);
	struct myelon_event ev;

	myelon_waitset_wake(ws);
	myelon_waitset_wake(ws);
	cr_assert_eq(myelon_waitset_wait(ws, &ev, 1, MYELON_FOREVER), -ECANCELED);
	cr_assert_eq(myelon_waitset_wait(ws, &ev, 1, myelon_deadline_after(5 * MS)), 0);
	myelon_waitset_wake(ws);
	cr_assert_eq(myelon_waitset_wait(ws, &ev, 1, MYELON_TRY), -ECANCELED);
	set_none(ws);
	set_close(ws);
}

static void *wake_later(void *arg)
{
	for (int i = 0; i < 20; i++) {
		usleep(2000);
		myelon_waitset_wake(arg);
	}
	return NULL;
}

BOTH(another_thread_wakes_a_sleeper)
{
	struct myelon_waitset *ws = set_make(engine);
	struct myelon_event ev;
	pthread_t thread;
	int64_t end;
	int woken = 0;

	cr_assert_eq(pthread_create(&thread, NULL, wake_later, ws), 0);
	cr_assert_eq(myelon_waitset_wait(ws, &ev, 1, MYELON_FOREVER), -ECANCELED);
	pthread_join(thread, NULL);
	end = myelon_deadline_after(10 * MS);
	while (myelon_waitset_wait(ws, &ev, 1, end) == -ECANCELED)
		woken++;
	cr_assert_leq(woken, 1);
	set_close(ws);
}

static struct myelon_waitset *signalled;

static void wake_from_handler(int sig)
{
	(void)sig;
	myelon_waitset_wake(signalled);
}

static void alarm_every(void (*handler)(int), int us)
{
	struct sigaction action = {.sa_handler = handler};
	const struct itimerval t = {.it_interval.tv_usec = us, .it_value.tv_usec = us};

	cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
	cr_assert_eq(setitimer(ITIMER_REAL, &t, NULL), 0);
}

BOTH(signal_handler_wakes_a_sleeper)
{
	struct myelon_event ev;

	signalled = set_make(engine);
	alarm_every(wake_from_handler, 3000);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(myelon_waitset_wait(signalled, &ev, 1, MYELON_FOREVER), -ECANCELED);
	alarm_every(wake_from_handler, 0);
	set_close(signalled);
}

static void nothing(int sig)
{
	(void)sig;
}

BOTH(storm_of_signals_ends_no_wait)
{
	struct myelon_waitset *ws = set_make(engine);
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH());
	int id = set_id(myelon_waitset_add_consumer(ws, c, NULL, NULL));
	int timer = set_id(myelon_waitset_add_timer(ws, kit_now_ns() + 100 * MS, 0, NULL, NULL));
	int64_t begun = kit_now_ns();
	struct myelon_event ev;

	alarm_every(nothing, 200);
	cr_assert_eq(myelon_waitset_wait(ws, &ev, 1, begun + 50 * MS), 0);
	cr_assert_geq(kit_now_ns(), begun + 50 * MS);
	set_one(ws, timer);
	cr_ok(ring_push(p, 1));
	set_one(ws, id);
	alarm_every(nothing, 0);
	set_close(ws);
	ring_close(p, c);
}

struct fork_case {
	struct myelon_waitset *ws;
	int id;
};

#define CHECK(expr)                                                                                \
	do {                                                                                       \
		if (!(expr)) {                                                                     \
			fprintf(stderr, "%s\n", #expr);                                            \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

static int in_child(void *arg)
{
	struct fork_case *f = arg;
	struct myelon_waitset_stats stats = {.size = sizeof(stats)};
	struct myelon_event ev;

	CHECK(myelon_waitset_wait(f->ws, &ev, 1, MYELON_FOREVER) == -EPERM);
	CHECK(myelon_waitset_dispatch(f->ws, 1, MYELON_TRY) == -EPERM);
	CHECK(myelon_waitset_add_timer(f->ws, 1, 0, NULL, NULL) == -EPERM);
	CHECK(myelon_waitset_add_process(f->ws, getpid(), NULL, NULL) == -EPERM);
	CHECK(myelon_waitset_remove(f->ws, f->id) == -EPERM);
	CHECK(myelon_waitset_fd(f->ws) == -EPERM);
	CHECK(myelon_waitset_stats(f->ws, &stats) == -EPERM);
	CHECK(myelon_waitset_engine(f->ws) == MYELON_ENGINE_AUTO);
	myelon_waitset_wake(f->ws);
	myelon_waitset_close(f->ws);
	return 0;
}

BOTH(forked_child_is_told_so)
{
	struct fork_case f = {.ws = set_make(engine)};
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH());
	struct kit_actor a;

	f.id = set_id(myelon_waitset_add_consumer(f.ws, c, NULL, NULL));
	set_none(f.ws);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(kit_fork(&a, in_child, &f), 0);
		cr_assert_eq(kit_wait(&a, 20), 0, "%s", a.output);
		cr_ok(ring_push(p, 1));
		set_one(f.ws, f.id);
		ring_pull(c, i, 1);
		set_none(f.ws);
		/* Once more with a descriptor. */
		cr_assert_geq(myelon_waitset_fd(f.ws), 0);
	}
	set_close(f.ws);
	ring_close(p, c);
}

static void *wait_once(void *arg)
{
	struct fork_case *f = arg;
	struct myelon_event ev;

	return (void *)(long)(myelon_waitset_wait(f->ws, &ev, 1, kit_deadline(20)) == 1 &&
	                      ev.id == f->id);
}

BOTH(set_may_change_threads)
{
	struct fork_case f = {.ws = set_make(engine)};
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH());
	pthread_t thread;
	void *good;

	f.id = set_id(myelon_waitset_add_consumer(f.ws, c, NULL, NULL));
	for (int i = 0; i < 6; i++) {
		cr_assert_eq(pthread_create(&thread, NULL, wait_once, &f), 0);
		usleep(3000);
		cr_ok(ring_push(p, 1));
		pthread_join(thread, &good);
		cr_assert(good, "round %d", i);
		set_one(f.ws, f.id);
		ring_pull(c, i, 1);
		cr_assert_eq(myelon_waitset_wait(f.ws, &(struct myelon_event){0}, 1,
		                                 myelon_deadline_after(MS)),
		             0);
	}
	set_close(f.ws);
	ring_close(p, c);
}

Test(waitset, spinning_can_be_forbidden_and_demanded)
{
	struct myelon_waitset_stats stats = {.size = sizeof(stats)};
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH());
	struct myelon_waitset *ws;
	struct myelon_event ev;

	cr_ok(myelon_waitset_create(&ws, &MYELON_WAITSET_OPTS(.spin_ns = MYELON_NO_SPIN)));
	set_id(myelon_waitset_add_consumer(ws, c, NULL, NULL));
	for (int i = 0; i < 5; i++)
		cr_assert_eq(myelon_waitset_wait(ws, &ev, 1, myelon_deadline_after(MS)), 0);
	cr_ok(myelon_waitset_stats(ws, &stats));
	cr_assert_eq(stats.spin_ns, 0);
	cr_assert_eq(stats.waits, 5);
	cr_assert_geq(stats.sleeps, 5);
	cr_assert_eq(stats.sources, 1);
	myelon_waitset_close(ws);
	cr_ok(myelon_waitset_create(&ws, &MYELON_WAITSET_OPTS(.spin_ns = 200 * MS)));
	set_id(myelon_waitset_add_consumer(ws, c, NULL, NULL));
	myelon_waitset_wake(ws);
	cr_assert_eq(myelon_waitset_wait(ws, &ev, 1, MYELON_FOREVER), -ECANCELED);
	cr_assert_eq(myelon_waitset_wait(ws, &ev, 1, myelon_deadline_after(MS)), 0,
	             "the deadline ends a spin");
	myelon_waitset_close(ws);
	ring_close(p, c);
}
