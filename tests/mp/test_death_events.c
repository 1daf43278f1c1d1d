/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Death of a producer as an event: descriptors and wait sets become ready by it, and not by their timer of
 * 1 s, which is counted. Never judged by the clock.
 */
#include "lease_cast.h"

#include <poll.h>
#include <sys/epoll.h>

#include <myelon/waitset.h>

static struct play p;

static void begin(void)
{
	play_begin(&p);
}

static void end(void)
{
	play_end(&p);
}

TestSuite(death_events, .init = begin, .fini = end, .timeout = 180);

/* Part of the number that a sleeper is given as its way to wait. */
#define ENGINE(n) ((n)&15)
#define WITH_PIPE 16 /* in a wait set: a descriptor, too */

static void note(struct part *me, int rc, uint64_t caps)
{
	part_note(me, rc, &(struct myelon_handle_stats){.caps = caps});
}

static uint64_t caps_of(const struct myelon_consumer *c)
{
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;

	myelon_consumer_stats(c, &s);
	return s.caps;
}

/* The loop of an application. @return what a peek said at last. */
static int until_told(struct myelon_consumer *c, int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	struct myelon_view v;
	int rc = -EAGAIN;

	while (rc == -EAGAIN)
		if (poll(&poll_fd, 1, -1) == 1)
			rc = myelon_peek(c, 1, MYELON_TRY, &v);
	return rc;
}

static int descriptor(void *arg)
{
	struct part *me = arg;
	struct myelon_consumer *c;
	int fd, rc = myelon_consumer_attach(&c, me->name, NULL);

	if (rc < 0)
		return part_fail("attach", rc);
	fd = myelon_consumer_fd(c, &MYELON_FD_OPTS(.engine = ENGINE(me->wait)));
	if (fd < 0)
		return 77;
	part_ready(me);
	rc = until_told(c, fd);
	note(me, rc, caps_of(c));
	myelon_consumer_close(c);
	return 0;
}

/* The same for two producers. */
static int descriptor_twice(void *arg)
{
	struct part *me = arg;
	struct myelon_consumer *c;
	uint64_t caps;
	int fd, rc = myelon_consumer_attach(&c, me->name, NULL);

	if (rc < 0)
		return part_fail("attach", rc);
	fd = myelon_consumer_fd(c, &MYELON_FD_OPTS(.engine = ENGINE(me->wait)));
	if (fd < 0)
		return 77;
	part_ready(me);
	rc = until_told(c, fd);
	if (rc != -EOWNERDEAD)
		return part_fail("first", rc);
	kit_set(me->page, ENDED + me->index, 1);
	rc = myelon_consumer_wait_producer(c, MYELON_FOREVER);
	if (rc < 0)
		return part_fail("wait_producer", rc);
	caps = caps_of(c);
	kit_set(me->page, ENDED + me->index, 2);
	rc = until_told(c, fd);
	note(me, rc, caps_of(c) - caps);
	myelon_consumer_close(c);
	return 0;
}

static int set(void *arg)
{
	struct part *me = arg;
	struct myelon_waitset_stats stats = {.size = sizeof(stats)};
	struct myelon_waitset *ws;
	struct myelon_consumer *c;
	struct myelon_event event;
	int fds[2], rc = myelon_consumer_attach(&c, me->name, NULL);

	if (rc < 0)
		return part_fail("attach", rc);
	if (myelon_waitset_create(&ws, &MYELON_WAITSET_OPTS(.engine = ENGINE(me->wait))) < 0)
		return 77;
	if (myelon_waitset_add_consumer(ws, c, NULL, NULL) < 0 || pipe(fds) < 0)
		return part_fail("add", 0);
	if (me->wait & WITH_PIPE && myelon_waitset_add_fd(ws, fds[0], EPOLLIN, NULL, NULL) < 0)
		return part_fail("add fd", 0);
	part_ready(me);
	rc = myelon_waitset_wait(ws, &event, 1, MYELON_FOREVER);
	if (rc == 1)
		rc = event.result;
	myelon_waitset_stats(ws, &stats);
	note(me, rc, stats.caps);
	myelon_waitset_close(ws);
	myelon_consumer_close(c);
	return 0;
}

/* @return false: the engine is not to be had. */
static bool over(unsigned int i, uint32_t way)
{
	int rc = kit_wait(&p.actor[i], 60);

	if (rc == 77 && ENGINE(way) == MYELON_ENGINE_URING && !kit_required("uring")) {
		cr_log_warn("engine uring is not tested: it cannot be had");
		return false;
	}
	cr_assert_eq(rc, 0, "%d: %s", rc, p.actor[i].output);
	cr_assert_eq(play_rc(&p, i), -EOWNERDEAD, "%d", play_rc(&p, i));
	return true;
}

static void start(int (*producer)(void *), int (*sleeper)(void *), uint32_t way)
{
	play_ring(&p);
	play_start(&p, PRODUCER, producer, 0);
	play_await(&p, PRODUCER);
	play_start(&p, 0, sleeper, way);
	if (kit_await(p.page, 0, 1, 30))
		play_asleep(&p, 1);
}

static bool fast(bool told, const char *what, uint32_t way)
{
	if (!told)
		return true;
	if (play_slow(&p))
		return false;
	cr_assert_eq(play_caps(&p, 0), 0, "%s, way %u: woken by the cap", what, way);
	return true;
}

static bool hears(int (*sleeper)(void *), uint32_t way)
{
	start(play_hold_without, sleeper, way);
	play_kill(&p, PRODUCER);
	return fast(over(0, way), "seen", way);
}

static bool hears_leased(int (*sleeper)(void *), uint32_t way)
{
	start(play_hold, sleeper, way);
	play_kill(&p, PRODUCER);
	return fast(over(0, way), "leased", way);
}

static bool hears_from(int (*producer)(void *), int (*sleeper)(void *), uint32_t way)
{
	bool told;

	start(producer, sleeper, way);
	play_kill_elsewhere(&p);
	told = over(0, way);
	kit_kill(&p.actor[PRODUCER], SIGKILL);
	kit_wait(&p.actor[PRODUCER], 30);
	return fast(told, "elsewhere", way);
}

static bool hears_elsewhere(int (*sleeper)(void *), uint32_t way)
{
	return hears_from(play_hold_elsewhere, sleeper, way);
}

static bool hears_slowly(int (*sleeper)(void *), uint32_t way)
{
	return hears_from(play_hold_much_elsewhere, sleeper, way);
}

static void often(bool (*play)(int (*)(void *), uint32_t), int (*sleeper)(void *), uint32_t way)
{
	for (int i = 0; i < 20; i++)
		if (play(sleeper, way))
			return;
	cr_assert_fail("this machine is too slow to set a scene within a second");
}

static const enum myelon_engine engines[] = {MYELON_ENGINE_URING, MYELON_ENGINE_DIRECT,
                                             MYELON_ENGINE_PROXY};

Test(death_events, makes_descriptors_readable_at_once)
{
	for (size_t i = 0; i < 3; i++)
		often(hears, descriptor, engines[i]);
}

Test(death_events, in_another_pid_namespace_makes_descriptors_readable_if_there_is_a_lease)
{
	play_need_pidns();
	for (size_t i = 0; i < 3; i++)
		often(hears_elsewhere, descriptor, engines[i]);
}

/* The scene is set before the attach, so nothing is to be seen but the descriptor. */
static bool dead_before(int (*sleeper)(void *), uint32_t way)
{
	play_ring(&p);
	play_start(&p, PRODUCER, play_hold_without, 0);
	play_await(&p, PRODUCER);
	play_kill(&p, PRODUCER);
	play_start(&p, 0, sleeper, way);
	if (over(0, way))
		cr_assert_eq(play_caps(&p, 0), 0, "way %u: told by the cap", way);
	return true;
}

Test(death_events, before_the_attach_is_told_at_once)
{
	for (size_t i = 0; i < 3; i++)
		often(dead_before, descriptor, engines[i]);
	often(dead_before, set, MYELON_ENGINE_URING);
	often(dead_before, set, MYELON_ENGINE_EPOLL);
}

static int next_holds(void *arg)
{
	struct part *me = arg;
	struct myelon_producer *producer;
	int rc = myelon_producer_open(&producer, me->name, NULL);

	if (rc < 0)
		return part_fail("open", rc);
	part_ready(me);
	for (;;)
		pause();
}

static bool hears_twice(int (*sleeper)(void *), uint32_t way)
{
	start(play_hold_without, sleeper, way);
	play_kill(&p, PRODUCER);
	if (kit_await(p.page, ENDED, 1, 30)) {
		play_start(&p, PRODUCER, next_holds, 0);
		play_await(&p, PRODUCER);
		p.begun_ns = kit_now_ns();
		cr_assert(kit_await(p.page, ENDED, 2, 30));
		play_asleep(&p, 1);
		play_rest(20);
		play_kill(&p, PRODUCER);
	}
	return fast(over(0, way), "second", way);
}

Test(death_events, of_the_next_producer_makes_descriptors_readable_too)
{
	for (size_t i = 0; i < 3; i++)
		often(hears_twice, descriptor_twice, engines[i]);
}

Test(death_events, ends_the_wait_of_sets)
{
	often(hears, set, MYELON_ENGINE_URING);
	often(hears, set, MYELON_ENGINE_URING | WITH_PIPE);
	often(hears, set, MYELON_ENGINE_EPOLL | WITH_PIPE);
}

Test(death_events, ends_the_wait_of_sets_of_rings_only_if_there_is_a_lease)
{
	often(hears_leased, set, MYELON_ENGINE_URING);
	often(hears_leased, set, MYELON_ENGINE_EPOLL);
}

Test(death_events, in_another_pid_namespace_ends_the_wait_of_sets_if_there_is_a_lease)
{
	static const uint32_t ways[] = {MYELON_ENGINE_URING, MYELON_ENGINE_URING | WITH_PIPE,
	                                MYELON_ENGINE_EPOLL, MYELON_ENGINE_EPOLL | WITH_PIPE};

	play_need_pidns();
	for (size_t i = 0; i < 4; i++)
		often(hears_elsewhere, set, ways[i]);
}

Test(death_events, that_takes_long_is_told_when_it_is_over)
{
	play_need_pidns();
	play_need_memory();
	for (size_t i = 0; i < 3; i++)
		often(hears_slowly, descriptor, engines[i]);
	often(hears_slowly, set, MYELON_ENGINE_URING);
	often(hears_slowly, set, MYELON_ENGINE_EPOLL);
}
