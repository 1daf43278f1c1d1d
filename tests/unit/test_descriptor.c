/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A consumer's descriptor in event loops: each engine, each kind of loop. */
#include "descriptor_kit.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

Test(descriptor, is_readable_exactly_while_something_is_there)
{
	EACH_ENGINE(e)
	{
		struct pair t;
		uint64_t value;

		open_pair(&t, e);
		cr_assert_not(readable(&t, 0), "%s", myelon_engine_name(e));
		for (uint64_t i = 0; i < 200; i++) {
			publish(&t, i);
			publish(&t, i);
			cr_assert(readable(&t, HANG_MS), "%s", myelon_engine_name(e));
			cr_assert_eq(take(&t, &value), 1);
			cr_assert_eq(value, i);
			/* Level: the second message was not read. */
			cr_assert(readable(&t, 0), "%s", myelon_engine_name(e));
			drain(&t);
		}
		while (readable(&t, 0)) /* a wake that was still under way */
			drain(&t);
		close_pair(&t);
	}
}

Test(descriptor, is_readable_at_once_for_what_was_there_before_it)
{
	EACH_ENGINE(e)
	{
		struct pair t;

		kit_ring_name(t.name, "fd");
		cr_assert_eq(
			myelon_producer_create(&t.p, t.name, &MYELON_RING_OPTS(.slot_size = 8)), 0);
		cr_assert_eq(myelon_consumer_attach(&t.c, t.name, NULL), 0);
		publish(&t, 1);
		t.fd = myelon_consumer_fd(t.c, &MYELON_FD_OPTS(.engine = e));
		cr_assert(readable(&t, 0));
		cr_assert_eq(myelon_consumer_fd(t.c, NULL), t.fd);
		drain(&t);
		close_pair(&t);
	}
}

struct writer {
	struct pair *t;
	uint64_t count;
};

/* With pauses around what an arm takes, so that publishing falls into each of its steps. */
static void *write_all(void *arg)
{
	struct writer *w = arg;
	unsigned int seed = 1;

	for (uint64_t i = 0; i < w->count; i++) {
		struct myelon_span s;

		if (myelon_claim(w->t->p, 1, kit_deadline(60), &s) < 0)
			return NULL;
		memcpy(s.base, &i, sizeof(i));
		myelon_publish(w->t->p, 1);
		for (int k = rand_r(&seed) % 4000; k > 0; k--)
			myelon_relax();
	}
	return NULL;
}

static bool wait_poll(const struct pair *t, int ep)
{
	(void)ep;
	return readable(t, HANG_MS);
}

static bool wait_select(const struct pair *t, int ep)
{
	struct timeval tv = {.tv_sec = HANG_MS / 1000};
	fd_set set;

	(void)ep;
	FD_ZERO(&set);
	FD_SET(t->fd, &set);
	return select(t->fd + 1, &set, NULL, NULL, &tv) == 1;
}

static bool wait_epoll(const struct pair *t, int ep)
{
	(void)t;
	return kit_epoll_one(ep, HANG_MS) == 1;
}

static const struct {
	const char *name;
	bool (*wait)(const struct pair *t, int ep);
	uint32_t events;
} loops[] = {
	{"poll", wait_poll, 0},
	{"select", wait_select, 0},
	{"epoll level", wait_epoll, EPOLLIN},
	{"epoll edge", wait_epoll, EPOLLIN | EPOLLET},
};

static void read_in_loop(struct pair *t, size_t loop, uint64_t count)
{
	struct epoll_event ev = {.events = loops[loop].events};
	int ep = epoll_create1(EPOLL_CLOEXEC);
	uint64_t next = 0, value;
	struct myelon_handle_stats stats = {.size = sizeof(stats)};

	cr_assert_eq(epoll_ctl(ep, EPOLL_CTL_ADD, t->fd, &ev), 0);
	while (next < count) {
		int n;

		cr_assert(loops[loop].wait(t, ep), "%s, %s: hangs after %lu messages",
		          loops[loop].name, myelon_engine_name(myelon_consumer_fd_engine(t->c)),
		          (unsigned long)next);
		while ((n = take(t, &value)) > 0)
			cr_assert_eq(value, next++);
		cr_assert_eq(n, -EAGAIN);
	}
	close(ep);
	cr_assert_eq(myelon_consumer_stats(t->c, &stats), 0);
	cr_assert_eq(stats.caps_found, 0, "a wake was lost");
}

Test(descriptor, no_message_is_missed_in_any_loop_with_any_engine, .timeout = 120)
{
	EACH_ENGINE(e)
	{
		for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
			struct pair t;
			struct writer w = {.t = &t, .count = 5000};
			pthread_t thread;

			open_pair(&t, e);
			cr_assert_eq(pthread_create(&thread, NULL, write_all, &w), 0);
			read_in_loop(&t, i, w.count);
			pthread_join(thread, NULL);
			close_pair(&t);
		}
	}
}

Test(descriptor, is_readable_when_the_producer_closes_and_when_a_new_one_comes)
{
	EACH_ENGINE(e)
	{
		struct pair t;
		uint64_t value = 0;
		int n;

		open_pair(&t, e);
		publish(&t, 1);
		drain(&t);
		myelon_producer_close(t.p);
		cr_assert(readable(&t, HANG_MS));
		cr_assert_eq(take(&t, &value), -EPIPE);
		cr_assert_eq(take(&t, &value), -EPIPE);
		cr_assert_eq(myelon_producer_open(&t.p, t.name, NULL), 0, "%s",
		             myelon_last_error());
		for (uint64_t i = 10; i < 14; i++) {
			publish(&t, i);
			do
				cr_assert(readable(&t, HANG_MS), "%s", myelon_engine_name(e));
			while ((n = take(&t, &value)) == -EAGAIN);
			cr_assert_eq(n, 1, "%s", myelon_last_error());
			cr_assert_eq(value, i);
		}
		drain(&t);
		close_pair(&t);
	}
}

Test(descriptor, direct_is_taken_over_by_the_producer_and_the_keeper_rests)
{
	struct myelon_keeper_info before = {.size = sizeof(before)}, after = before;
	struct pair t;

	open_pair(&t, MYELON_ENGINE_DIRECT);
	cr_assert_eq(myelon_consumer_fd_engine(t.c), MYELON_ENGINE_PROXY);
	publish(&t, 1);
	cr_assert(readable(&t, HANG_MS));
	drain(&t);
	cr_assert_eq(myelon_consumer_fd_engine(t.c), MYELON_ENGINE_DIRECT);
	while (readable(&t, 50)) /* the proxy's write for the first */
		drain(&t);
	myelon_keeper_info(&before);
	cr_assert_eq(before.adopted, 1);
	for (int i = 0; i < 100; i++) {
		publish(&t, 1);
		cr_assert(readable(&t, HANG_MS));
		drain(&t);
	}
	myelon_keeper_info(&after);
	cr_assert_leq(after.wakes, before.wakes + 2); /* a cap may fall in between */
	close_pair(&t);
	myelon_keeper_info(&after);
	cr_assert_eq(after.adopted, 0);
}

Test(descriptor, calls_that_wait_work_on_and_arm_it_when_they_time_out)
{
	EACH_ENGINE(e)
	{
		struct myelon_view v;
		struct pair t;

		open_pair(&t, e);
		publish(&t, 1);
		cr_assert_eq(myelon_peek(t.c, 1, kit_deadline(20), &v), 1);
		cr_assert_eq(myelon_release(t.c, 1), 0);
		cr_assert_eq(myelon_peek(t.c, 1, myelon_deadline_after(1000000), &v), -ETIMEDOUT);
		publish(&t, 2);
		cr_assert(readable(&t, HANG_MS));
		drain(&t);
		close_pair(&t);
	}
}

Test(descriptor, an_interrupt_makes_it_readable)
{
	EACH_ENGINE(e)
	{
		uint64_t value;
		struct pair t;

		open_pair(&t, e);
		drain(&t);
		myelon_consumer_interrupt(t.c);
		cr_assert(readable(&t, HANG_MS));
		cr_assert_eq(take(&t, &value), -ECANCELED);
		drain(&t);
		close_pair(&t);
	}
}

Test(descriptor, of_a_framed_consumer_tells_of_messages)
{
	EACH_ENGINE(e)
	{
		char name[KIT_NAME];
		struct myelon_frame_producer *p;
		struct myelon_frame_consumer *c;
		struct myelon_message m;
		struct pair t;

		kit_ring_name(name, "fd");
		cr_assert_eq(
			myelon_frame_producer_create(&p, name, &MYELON_RING_OPTS(.window = 64)), 0);
		cr_assert_eq(myelon_frame_consumer_attach(&c, name, NULL), 0);
		t.c = myelon_frame_consumer_ring(c);
		t.fd = myelon_consumer_fd(t.c, &MYELON_FD_OPTS(.engine = e));
		for (int i = 0; i < 50; i++) {
			cr_assert_eq(myelon_frame_send(p, "hello", 5, 1, MYELON_TRY), 0);
			cr_assert(readable(&t, HANG_MS));
			cr_assert_eq(myelon_frame_peek(c, MYELON_TRY, &m), 1, "%s",
			             myelon_last_error());
			cr_assert_eq(m.len, 5);
			cr_assert_eq(myelon_frame_release(c, 1), 0);
			cr_assert_eq(myelon_frame_peek(c, MYELON_TRY, &m), -EAGAIN);
		}
		myelon_frame_consumer_close(c);
		myelon_frame_producer_close(p);
	}
}

struct long_send {
	struct myelon_frame_producer *p;
	int times;
	int rc;
};

#define LONG_BYTES (1u << 20)

static void *send_long(void *arg)
{
	struct long_send *s = arg;
	void *bytes = calloc(1, LONG_BYTES);

	for (int i = 0; i < s->times && s->rc == 0; i++)
		s->rc = myelon_frame_send(s->p, bytes, LONG_BYTES, 1, kit_deadline(30));
	free(bytes);
	return NULL;
}

/* A call that gives up on a message which is still coming has not seen the end: there must be an edge. */
static void read_long_by_edges(struct long_send *s, struct myelon_frame_consumer *c, int fd)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};
	int ep = epoll_create1(EPOLL_CLOEXEC), rc;
	struct myelon_message m;

	cr_assert_eq(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), 0);
	for (int got = 0; got < s->times;) {
		rc = epoll_wait(ep, &e, 1, HANG_MS);
		if (rc < 0 && errno == EINTR)
			continue;
		cr_assert_eq(rc, 1, "no edge after message %d", got);
		while ((rc = myelon_frame_peek(c, MYELON_TRY, &m)) > 0) {
			cr_assert_eq(m.len, LONG_BYTES);
			cr_assert_eq(myelon_frame_release(c, 1), 0);
			got++;
		}
		cr_assert_eq(rc, -EAGAIN, "%s", myelon_last_error());
	}
	close(ep);
}

Test(descriptor, tells_edge_triggered_loops_of_messages_longer_than_the_ring, .timeout = 120)
{
	EACH_ENGINE(e)
	{
		struct long_send s = {.times = 4};
		struct myelon_frame_consumer *c;
		char name[KIT_NAME];
		pthread_t thread;
		int fd;

		kit_ring_name(name, "fd");
		cr_assert_eq(myelon_frame_producer_create(
				     &s.p, name, &MYELON_RING_OPTS(.slot_size = 64, .window = 256)),
		             0);
		cr_assert_eq(myelon_frame_consumer_attach(&c, name, NULL), 0);
		fd = myelon_consumer_fd(myelon_frame_consumer_ring(c),
		                        &MYELON_FD_OPTS(.engine = e));
		cr_assert_geq(fd, 0);
		cr_assert_eq(pthread_create(&thread, NULL, send_long, &s), 0);
		read_long_by_edges(&s, c, fd);
		cr_assert_eq(pthread_join(thread, NULL), 0);
		cr_assert_eq(s.rc, 0);
		myelon_frame_consumer_close(c);
		myelon_frame_producer_close(s.p);
	}
}

Test(descriptor, the_engine_is_chosen_by_option_and_environment_and_shown)
{
	struct myelon_consumer *other;
	struct pair t;

	kit_ring_name(t.name, "fd");
	cr_assert_eq(myelon_producer_create(&t.p, t.name, NULL), 0);
	cr_assert_eq(myelon_consumer_attach(&t.c, t.name, NULL), 0);
	cr_assert_eq(myelon_consumer_fd_engine(t.c), MYELON_ENGINE_AUTO);
	cr_assert_eq(myelon_consumer_fd(t.c, &MYELON_FD_OPTS(.engine = 77)), -EINVAL);
	cr_assert(strstr(myelon_last_error(), "77"));
	setenv("MYELON_ENGINE", "kqueue", 1);
	cr_assert_eq(myelon_consumer_fd(t.c, NULL), -EINVAL);
	cr_assert(strstr(myelon_last_error(), "kqueue"));
	setenv("MYELON_ENGINE", "proxy", 1);
	cr_assert_geq(myelon_consumer_fd(t.c, NULL), 0);
	cr_assert_eq(myelon_consumer_fd_engine(t.c), MYELON_ENGINE_PROXY);
	unsetenv("MYELON_ENGINE");
	cr_assert_eq(
		myelon_consumer_attach(&other, t.name, &MYELON_ATTACH_OPTS(.wait = MYELON_WAIT_FD)),
		-EINVAL);
	close_pair(&t);
}
