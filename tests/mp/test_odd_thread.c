/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Threads that end while their process lives, the first one too, and threads inside a call when it dies. */
#include "odd_cast.h"

#include <poll.h>
#include <pthread.h>

TestSuite(odd_thread, .timeout = 120);

static void on_a_thread_that_ends(void *(*fn)(void *), void *arg)
{
	pthread_t t;

	cr_assert_eq(pthread_create(&t, NULL, fn, arg), 0);
	cr_assert_eq(pthread_join(t, NULL), 0);
}

static void *create_here(void *flags)
{
	int rc = myelon_producer_create(
		&ring, cast.name,
		&MYELON_RING_OPTS(.slot_size = SLOT, .window = WINDOW, .wait = MYELON_WAIT_PARK,
	                          .backing = MYELON_BACKING_SHM, .huge = MYELON_HUGE_OFF,
	                          .flags = *(uint32_t *)flags));

	cr_assert_eq(rc, 0, "%s", myelon_last_error());
	return NULL;
}

static void *open_here(void *flags)
{
	int rc = myelon_producer_open(
		&ring, cast.name,
		&MYELON_OPEN_OPTS(.wait = MYELON_WAIT_PARK, .flags = *(uint32_t *)flags));

	cr_assert_eq(rc, 0, "%s", myelon_last_error());
	return NULL;
}

/* Blocked for a while, so that what its sleep needs is made by this thread. */
static void *block_here(void *arg)
{
	(void)arg;
	REQUIRE(.required.count = 1, .progress_ns = HANG_NS, .check_ns = HANG_NS,
	        .grace_ns = MYELON_NO_GRACE);
	cr_assert_eq(send_all(3 + WINDOW), 0);
	cr_assert_eq(send_until(kit_deadline(0.05)), -ETIMEDOUT);
	return NULL;
}

/* The thread that made the handle is gone, and the one that blocked in it first. */
static void producer_outlives_threads(uint32_t flags, bool takeover)
{
	uint32_t keep = MYELON_F_KEEP;
	struct myelon_producer *p;

	odd_begin();
	on_a_thread_that_ends(create_here, takeover ? &keep : &flags);
	if (takeover) {
		myelon_producer_close(ring);
		on_a_thread_that_ends(open_here, &flags);
	}
	member_join(1, "w", 3);
	on_a_thread_that_ends(block_here, NULL);
	cast_progress(&cast, 1, 3);
	/* Its consumer sleeps on the lease by now, longer than a cap. */
	cast_rest(1100);
	cr_assert(kit_running(&cast.actor[1]), "%s", member_of(1)->text);
	cr_assert_eq(odd_info().producer_state, MYELON_PEER_ALIVE);
	cr_assert_eq(myelon_producer_open(&p, cast.name, NULL), -EBUSY);
	kit_set(cast.page, ALLOW + 1, 100);
	cr_assert_eq(send_all(100 - 3), 0, "%s", myelon_last_error());
	strike_later(2, cast.actor[1].pid, SIGKILL);
	cr_assert_eq(send_all(100), -EOWNERDEAD, "%s", myelon_last_error());
	cr_assert_eq(odd_caps(), 0, "found by a look at the cap");
	cr_assert_eq(member_of(1)->violations, 0, "%s", member_of(1)->text);
	odd_reap(1);
	cr_assert_eq(kit_wait(&cast.actor[2], 30), 0);
	myelon_producer_close(ring);
	ring = NULL;
	if (takeover)
		cr_assert_eq(myelon_ring_remove(cast.name, NULL), 0, "%s", myelon_last_error());
	odd_end();
}

Test(odd_thread, producer_lives_on_when_the_threads_that_made_and_used_it_have_ended)
{
	producer_outlives_threads(0, false);
	producer_outlives_threads(MYELON_F_LEASE, false);
	producer_outlives_threads(MYELON_F_LEASE, true);
}

Test(odd_thread, producer_lives_on_with_the_other_engine_too)
{
	setenv("MYELON_ENGINE", "epoll", 1);
	producer_outlives_threads(0, false);
}

struct mine {
	enum myelon_engine engine;
	struct myelon_consumer *c;
	struct myelon_waitset *ws;
	int fd;
};

static void *attach_here(void *arg)
{
	struct mine *m = arg;
	struct myelon_event e;
	struct myelon_view v;

	m->c = odd_join("r", MYELON_WAIT_PARK);
	cr_assert_eq(myelon_peek(m->c, 1, kit_deadline(0.02), &v), -ETIMEDOUT);
	if (m->engine == MYELON_ENGINE_AUTO) {
		cr_assert_eq(myelon_waitset_create(&m->ws, NULL), 0);
		cr_assert_geq(myelon_waitset_add_consumer(m->ws, m->c, NULL, NULL), 0);
		(void)myelon_waitset_wait(m->ws, &e, 1, kit_deadline(0.02));
		return NULL;
	}
	m->fd = myelon_consumer_fd(m->c, &MYELON_FD_OPTS(.engine = m->engine));
	cr_assert_eq(myelon_peek(m->c, 1, MYELON_TRY, &v), -EAGAIN);
	return NULL;
}

/* Publishes for as long as it lives, when it is told to. */
static int feed(void *arg)
{
	const struct host *h = arg;
	struct myelon_producer *p;
	int rc = host_make(h, &p);

	kit_set(h->page, READY + h->index, 1);
	if (rc == 0 && !kit_await(h->page, DONE, 1, 60))
		return 2;
	while (rc == 0) {
		rc = host_publish(p, 1);
		member_rest(200);
	}
	return host_fail("feed", rc);
}

/* Made, offered and armed by a thread that is gone: messages and the death come all the same. */
static void consumer_outlives_thread(enum myelon_engine engine)
{
	struct mine m = {.engine = engine, .fd = -1};
	struct host h = {.index = 1};
	int64_t next = 0, deadline = kit_deadline(30);
	int rc;

	odd_begin();
	h.page = cast.page;
	h.name = cast.name;
	cr_assert_eq(kit_fork(&cast.actor[1], feed, &h), 0);
	cr_assert(kit_await(cast.page, READY + 1, 1, 30));
	on_a_thread_that_ends(attach_here, &m);
	cr_assert_eq(odd_entry("r").state, MYELON_PEER_ALIVE);
	kit_set(cast.page, DONE, 1); /* the producer begins */
	while ((rc = odd_read_on(m.c, &next, MYELON_TRY)) == -EAGAIN) {
		struct pollfd p = {.fd = m.fd, .events = POLLIN};
		struct myelon_event e;

		cr_assert_lt(kit_now_ns(), deadline);
		if (m.ws)
			cr_assert_eq(myelon_waitset_wait(m.ws, &e, 1, deadline), 1);
		else
			cr_assert_eq(poll(&p, 1, 30000), 1, "no wake after %lld", (long long)next);
		if (next >= 50 && cast.actor[1].pid)
			cast_kill(&cast, 1);
	}
	cr_assert_eq(rc, -EOWNERDEAD);
	myelon_waitset_close(m.ws);
	myelon_consumer_close(m.c);
	odd_end();
}

Test(odd_thread, consumer_lives_on_when_the_thread_that_attached_and_slept_has_ended)
{
	consumer_outlives_thread(MYELON_ENGINE_AUTO);
	consumer_outlives_thread(MYELON_ENGINE_URING);
	consumer_outlives_thread(MYELON_ENGINE_DIRECT);
	consumer_outlives_thread(MYELON_ENGINE_PROXY);
}

/* ---- the first thread of a process ---- */

static void *go_on(void *arg)
{
	_exit(member_consume(arg));
}

/* A process whose first thread is a zombie, and the rest of which lives. */
static int without_first_thread(void *arg)
{
	static struct member copy; /* the stack that arg is on ends with the thread */
	pthread_t t;

	copy = *(const struct member *)arg;
	if (pthread_create(&t, NULL, go_on, &copy))
		return 2;
	pthread_exit(NULL);
}

static void await_zombie_leader(pid_t pid)
{
	int64_t deadline = kit_deadline(30);
	char path[64], line[256], state = '?';

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	while (state != 'Z') {
		FILE *f = fopen(path, "re");

		cr_assert_lt(kit_now_ns(), deadline);
		if (f && fgets(line, sizeof(line), f))
			state = strrchr(line, ')')[2];
		if (f)
			fclose(f);
		cast_rest(1);
	}
}

static void leaderless_consumer(uint32_t wait)
{
	struct member m = {.id = "w", .index = 1};
	struct myelon_consumer *c;
	uint64_t caps;

	begin_ring(wait);
	REQUIRE(.required.count = 1, .progress_ns = HANG_NS, .check_ns = 2 * MS,
	        .grace_ns = MYELON_NO_GRACE);
	m.page = cast.page;
	m.name = cast.name;
	kit_set(cast.page, ALLOW + 1, 3);
	cr_assert_eq(kit_fork(&cast.actor[1], without_first_thread, &m), 0);
	cr_assert(kit_await(cast.page, READY + 1, 1, 30));
	await_zombie_leader(cast.actor[1].pid);
	cr_assert_eq(send_all(3 + WINDOW), 0, "%s", myelon_last_error());
	/* Blocked, with its process watched: it lives. */
	cr_assert_eq(send_until(kit_deadline(0.3)), -ETIMEDOUT, "%s", myelon_last_error());
	cr_assert_eq(heard.count, 0);
	cr_assert_eq(odd_entry("w").state, MYELON_PEER_ALIVE);
	cr_assert_eq(myelon_consumer_attach(&c, cast.name, &MYELON_ATTACH_OPTS(.id = "w")), -EBUSY);
	cr_assert_null(strstr(myelon_last_error(), "ended"), "%s", myelon_last_error());
	kit_set(cast.page, ALLOW + 1, 50);
	cr_assert_eq(send_all(50 - 3 - WINDOW), 0, "%s", myelon_last_error());
	caps = odd_caps();
	strike_later(2, cast.actor[1].pid, SIGKILL);
	cr_assert_eq(send_all(50), -EOWNERDEAD, "%s", myelon_last_error());
	cr_assert_eq(odd_caps(), caps, "found by a look at the cap");
	odd_reap(1);
	cr_assert_eq(kit_wait(&cast.actor[2], 30), 0);
	end_ring();
}

Test(odd_thread, consumer_whose_first_thread_has_ended_is_alive_until_the_last_one_ends)
{
	leaderless_consumer(MYELON_WAIT_PARK);
	leaderless_consumer(MYELON_WAIT_SPIN_PAUSE);
}

static void *hang(void *arg)
{
	return arg ? (void *)(intptr_t)host_hang(arg) : NULL;
}

static int end_first_thread(const struct host *h)
{
	static struct host copy;
	pthread_t t;

	copy = *h;
	if (pthread_create(&t, NULL, hang, &copy))
		return 2;
	pthread_exit(NULL);
}

Test(odd_thread, producer_whose_first_thread_has_ended_is_alive_until_the_last_one_ends)
{
	for (uint32_t flags = 0; flags <= MYELON_F_LEASE; flags += MYELON_F_LEASE) {
		struct myelon_producer *p;
		struct myelon_consumer *c;
		int64_t next = 0;

		odd_begin();
		host_start(1, &(struct host){.count = 3, .flags = flags, .then = end_first_thread});
		c = odd_join("r", MYELON_WAIT_PARK);
		await_zombie_leader(cast.actor[1].pid);
		cr_assert_eq(odd_read_on(c, &next, kit_deadline(1.2)), -ETIMEDOUT, "%s",
		             myelon_last_error());
		cr_assert_eq(odd_info().producer_state, MYELON_PEER_ALIVE);
		cr_assert_eq(myelon_producer_open(&p, cast.name, NULL), -EBUSY);
		cr_assert_eq(kit_kill(&cast.actor[1], SIGKILL), 0);
		cr_assert_eq(odd_read_on(c, &next, kit_deadline(30)), -EOWNERDEAD);
		odd_reap(1);
		myelon_consumer_close(c);
		odd_end();
	}
}

/* ---- inside a call ---- */

static void *sleep_in_peek(void *arg)
{
	const struct member *m = arg;
	struct myelon_consumer *c;
	struct myelon_view v;

	if (myelon_consumer_attach(&c, m->name,
	                           &MYELON_ATTACH_OPTS(.id = m->id, .wait = MYELON_WAIT_PARK)) == 0)
		(void)myelon_peek(c, 1, MYELON_FOREVER, &v);
	return NULL;
}

static int sleepers(void *arg)
{
	static const char *const ids[] = {"a", "b", "c"};
	struct member m[3];
	pthread_t t;

	for (int i = 0; i < 3; i++) {
		m[i] = *(const struct member *)arg;
		m[i].id = ids[i];
		if (pthread_create(&t, NULL, sleep_in_peek, &m[i]))
			return 2;
	}
	for (;;)
		pause();
}

static int count_parked(void *ctx, const struct myelon_consumer_entry *e)
{
	*(unsigned int *)ctx += e->parked;
	return 0;
}

Test(odd_thread, threads_that_sleep_in_a_call_are_dead_with_their_process)
{
	int64_t deadline = kit_deadline(30);
	unsigned int parked = 0;
	struct member m = {0};

	begin_ring(MYELON_WAIT_PARK);
	m.page = cast.page;
	m.name = cast.name;
	cr_assert_eq(kit_fork(&cast.actor[1], sleepers, &m), 0);
	while (parked < 3) {
		cr_assert_lt(kit_now_ns(), deadline);
		parked = 0;
		cr_assert_eq(myelon_ring_consumers(cast.name, NULL, count_parked, &parked), 0);
		cast_rest(1);
	}
	odd_kill_unreaped(1);
	cr_assert_eq(odd_entry("a").state, MYELON_PEER_DEAD);
	cr_assert_eq(odd_entry("b").state, MYELON_PEER_DEAD);
	cr_assert_eq(odd_entry("c").state, MYELON_PEER_DEAD);
	REQUIRE(.progress_ns = HANG_NS, .grace_ns = 50 * MS);
	cr_assert_eq(send_all(100), -EOWNERDEAD, "%s", myelon_last_error());
	cr_assert_eq(heard.count, 3);
	odd_reap(1);
	end_ring();
}
