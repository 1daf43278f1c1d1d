/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Bare round trips without content: a cache line, a futex, an eventfd, one in an epoll loop. */
#include "bare.h"
#include "crew.h"
#include "futex.h"
#include "trips.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

struct lines {
	_Alignas(128) _Atomic uint32_t there;
	_Alignas(128) _Atomic uint32_t back;
	_Alignas(128) char end[128];
};

struct wake_run {
	struct lines *lines;
	struct bench_trips *trips;
	struct bench_trip_plan plan;
	bench_trip_fn ask;
	bench_trip_fn answer;
	int there_fd;
	int back_fd;
	int epoll[2]; /* of asker and answerer */
};

static void silence(struct wake_run *r)
{
	bench_be_silent_in_trip(r->trips, &r->plan);
}

/* Release and acquire in all of these: they carry a message in real use. */
static void spin_until(_Atomic uint32_t *word, uint32_t value)
{
	while (atomic_load_explicit(word, memory_order_acquire) != value)
		bench_pause();
}

static int line_ask(void *ctx, uint64_t seq)
{
	struct lines *l = ((struct wake_run *)ctx)->lines;

	/* Release: pairs with spin_until() in the other process. */
	atomic_store_explicit(&l->there, (uint32_t)seq + 1, memory_order_release);
	spin_until(&l->back, (uint32_t)seq + 1);
	return 0;
}

static int line_answer(void *ctx, uint64_t seq)
{
	struct lines *l = ((struct wake_run *)ctx)->lines;

	spin_until(&l->there, (uint32_t)seq + 1);
	/* Release: pairs with spin_until() in the other process. */
	atomic_store_explicit(&l->back, (uint32_t)seq + 1, memory_order_release);
	return 0;
}

static void sleep_until(_Atomic uint32_t *word, uint32_t value)
{
	uint32_t seen;

	/* Acquire: pairs with the release in wake_with(). */
	while ((seen = atomic_load_explicit(word, memory_order_acquire)) != value)
		bench_futex_wait(word, seen);
}

static void wake_with(_Atomic uint32_t *word, uint32_t value)
{
	/* Release: pairs with sleep_until() in the other process. */
	atomic_store_explicit(word, value, memory_order_release);
	bench_futex_wake(word);
}

static int futex_ask(void *ctx, uint64_t seq)
{
	struct lines *l = ((struct wake_run *)ctx)->lines;

	wake_with(&l->there, (uint32_t)seq + 1);
	sleep_until(&l->back, (uint32_t)seq + 1);
	return 0;
}

static int futex_answer(void *ctx, uint64_t seq)
{
	struct lines *l = ((struct wake_run *)ctx)->lines;

	sleep_until(&l->there, (uint32_t)seq + 1);
	silence(ctx);
	wake_with(&l->back, (uint32_t)seq + 1);
	return 0;
}

static int eventfd_ask(void *ctx, uint64_t seq)
{
	struct wake_run *r = ctx;
	uint64_t one = 1;

	(void)seq;
	if (write(r->there_fd, &one, sizeof(one)) != sizeof(one))
		return -1;
	return read(r->back_fd, &one, sizeof(one)) == sizeof(one) ? 0 : -1;
}

static int eventfd_answer(void *ctx, uint64_t seq)
{
	struct wake_run *r = ctx;
	uint64_t one;

	(void)seq;
	if (read(r->there_fd, &one, sizeof(one)) != sizeof(one))
		return -1;
	one = 1;
	silence(r);
	return write(r->back_fd, &one, sizeof(one)) == sizeof(one) ? 0 : -1;
}

/* As an event loop does it: sleep in epoll, then read until there is nothing. */
static int sleep_in_epoll(int epoll, int fd)
{
	struct epoll_event e;
	uint64_t count;

	for (;;) {
		if (read(fd, &count, sizeof(count)) == sizeof(count))
			return 0;
		if (errno != EAGAIN || (epoll_wait(epoll, &e, 1, -1) < 0 && errno != EINTR))
			return -1;
	}
}

static int epoll_ask(void *ctx, uint64_t seq)
{
	struct wake_run *r = ctx;
	uint64_t one = 1;

	(void)seq;
	if (write(r->there_fd, &one, sizeof(one)) != sizeof(one))
		return -1;
	return sleep_in_epoll(r->epoll[0], r->back_fd);
}

static int epoll_answer(void *ctx, uint64_t seq)
{
	struct wake_run *r = ctx;
	uint64_t one = 1;

	(void)seq;
	if (sleep_in_epoll(r->epoll[1], r->there_fd) < 0)
		return -1;
	silence(r);
	return write(r->back_fd, &one, sizeof(one)) == sizeof(one) ? 0 : -1;
}

static inline __attribute__((always_inline)) int ask_all(struct bench_role *role,
                                                         struct wake_run *r, bench_trip_fn trip)
{
	role->messages = bench_trip_total(&r->plan);
	return bench_trips_run(r->trips, &r->plan, trip, r, &role->start);
}

static inline __attribute__((always_inline)) int answer_all(struct wake_run *r, bench_trip_fn trip)
{
	for (uint64_t seq = 0; seq < bench_trip_total(&r->plan); seq++)
		if (trip(r, seq) < 0)
			return -1;
	return 0;
}

static int play(struct bench_crew *crew, unsigned int role, void *arg)
{
	struct wake_run *r = arg;
	int rc;

	bench_populate(r->lines, sizeof(*r->lines));
	if (role == 0)
		bench_populate(r->trips, sizeof(*r->trips));
	bench_meet(crew, 0);
	/* Spelled out per mechanism, so that each is inlined. */
	if (role == 0)
		rc = r->ask == line_ask    ? ask_all(&crew->role[0], r, line_ask)
		     : r->ask == futex_ask ? ask_all(&crew->role[0], r, futex_ask)
		     : r->ask == epoll_ask ? ask_all(&crew->role[0], r, epoll_ask)
		                           : ask_all(&crew->role[0], r, eventfd_ask);
	else
		rc = r->answer == line_answer    ? answer_all(r, line_answer)
		     : r->answer == futex_answer ? answer_all(r, futex_answer)
		     : r->answer == epoll_answer ? answer_all(r, epoll_answer)
		                                 : answer_all(r, eventfd_answer);
	return rc < 0 ? bench_fail(&crew->role[role], "the other side could not be woken: %s",
	                           strerror(errno))
	              : 0;
}

static int run(struct bench_bare *b, struct wake_run *r, const char *what, uint64_t messages)
{
	const struct bench_cast cast = {.what = what,
	                                .roles = 2,
	                                .play = play,
	                                .arg = r,
	                                .cpus = b->cpus,
	                                .cpu_count = 2,
	                                .timeout_s = b->timeout_s};
	int rc;

	r->lines = bench_shared(sizeof(*r->lines));
	if (!r->lines)
		return -1;
	r->trips = b->trips;
	r->plan = b->silent ? bench_trip_plan_silent(messages, b->silence_ns)
	                    : bench_trip_plan(messages, 0);
	memset(b->trips, 0, sizeof(*b->trips));
	rc = bench_crew_run(&cast) ? 0 : -1;
	bench_unshare(r->lines, sizeof(*r->lines));
	return rc;
}

int bench_bare_line(struct bench_bare *b, uint64_t messages)
{
	struct wake_run r = {.ask = line_ask, .answer = line_answer};

	return run(b, &r, "bare cache line", messages);
}

int bench_bare_futex(struct bench_bare *b, uint64_t messages)
{
	struct wake_run r = {.ask = futex_ask, .answer = futex_answer};

	return run(b, &r, "bare futex", messages);
}

static int run_eventfd(struct bench_bare *b, struct wake_run *r, const char *what, int flags,
                       uint64_t messages)
{
	struct epoll_event e = {.events = EPOLLIN};
	int *fds[] = {&r->there_fd, &r->back_fd, &r->epoll[0], &r->epoll[1]}, rc = -1;

	r->there_fd = eventfd(0, EFD_CLOEXEC | flags);
	r->back_fd = eventfd(0, EFD_CLOEXEC | flags);
	r->epoll[0] = epoll_create1(EPOLL_CLOEXEC);
	r->epoll[1] = epoll_create1(EPOLL_CLOEXEC);
	if (r->there_fd < 0 || r->back_fd < 0 ||
	    epoll_ctl(r->epoll[0], EPOLL_CTL_ADD, r->back_fd, &e) < 0 ||
	    epoll_ctl(r->epoll[1], EPOLL_CTL_ADD, r->there_fd, &e) < 0)
		bench_error("%s: no descriptors could be had: %s", what, strerror(errno));
	else
		rc = run(b, r, what, messages);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	return rc;
}

int bench_bare_eventfd(struct bench_bare *b, uint64_t messages)
{
	struct wake_run r = {.ask = eventfd_ask, .answer = eventfd_answer};

	return run_eventfd(b, &r, "bare eventfd", 0, messages);
}

int bench_bare_epoll(struct bench_bare *b, uint64_t messages)
{
	struct wake_run r = {.ask = epoll_ask, .answer = epoll_answer};

	return run_eventfd(b, &r, "bare eventfd in epoll", EFD_NONBLOCK, messages);
}
