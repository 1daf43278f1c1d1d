/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "fanout.h"
#include "clock.h"
#include "crew.h"
#include "futex.h"
#include "options.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

#ifdef MYE_HAVE_LIBURING
#include <liburing.h>
#endif

#define WAKES 60
#define ASLEEP_NS 150000 /* from the last sleeper's word until it surely sleeps */

const char *const bench_fanout_names[BENCH_FANOUTS] = {
	[BENCH_BY_FUTEX] = "futex",
	[BENCH_BY_WRITES] = "writes",
	[BENCH_BY_SUBMISSION] = "submission",
	[BENCH_BY_REGISTERED] = "registered",
};

struct sleeper {
	_Alignas(128) _Atomic uint64_t up; /* ticks when it ran again */
};

/* In a line of its own. */
struct word {
	_Alignas(128) _Atomic uint32_t value;
};

struct shared {
	struct word word;  /* number of the wake */
	struct word ready; /* sleepers about to sleep, all wakes together */
	struct sleeper sleeper[BENCH_ROLES_MAX];
	struct bench_series call, last;
};

struct fanout_run {
	const struct bench_options *o;
	enum bench_fanout_by by;
	uint32_t sleepers;
	struct shared *shared;
	int fd[BENCH_ROLES_MAX];
#ifdef MYE_HAVE_LIBURING
	struct io_uring ring; /* the waker's */
#endif
};

#ifdef MYE_HAVE_LIBURING
static int open_ring(struct fanout_run *r)
{
	int rc = io_uring_queue_init(BENCH_ROLES_MAX, &r->ring, 0);

	if (rc == 0 && r->by == BENCH_BY_REGISTERED)
		rc = io_uring_register_files(&r->ring, r->fd, r->sleepers);
	return rc;
}

static int submit(struct fanout_run *r)
{
	static const uint64_t one = 1;
	struct io_uring_cqe *cqe;
	int rc;

	for (uint32_t i = 0; i < r->sleepers; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&r->ring);
		bool registered = r->by == BENCH_BY_REGISTERED;

		io_uring_prep_write(sqe, registered ? (int)i : r->fd[i], &one, sizeof(one), 0);
		if (registered)
			sqe->flags |= IOSQE_FIXED_FILE;
	}
	rc = io_uring_submit_and_wait(&r->ring, r->sleepers);
	for (uint32_t i = 0; rc >= 0 && i < r->sleepers; i++) {
		rc = io_uring_peek_cqe(&r->ring, &cqe);
		if (rc < 0)
			break;
		if (cqe->res != (int)sizeof(one))
			rc = -EIO;
		io_uring_cqe_seen(&r->ring, cqe);
	}
	return rc;
}

bool bench_fanout_known(enum bench_fanout_by by, const char **reason)
{
	struct io_uring ring;
	int rc;

	*reason = NULL;
	if (by < BENCH_BY_SUBMISSION)
		return true;
	rc = io_uring_queue_init(1, &ring, 0);
	if (rc == 0)
		io_uring_queue_exit(&ring);
	else
		*reason = strerror(-rc);
	return rc == 0;
}
#else
static int open_ring(struct fanout_run *r)
{
	(void)r;
	return -ENOSYS;
}

static int submit(struct fanout_run *r)
{
	(void)r;
	return -ENOSYS;
}

bool bench_fanout_known(enum bench_fanout_by by, const char **reason)
{
	*reason = by < BENCH_BY_SUBMISSION ? NULL : "this build is without liburing";
	return by < BENCH_BY_SUBMISSION;
}
#endif

static int write_all(const struct fanout_run *r)
{
	uint64_t one = 1;

	for (uint32_t i = 0; i < r->sleepers; i++)
		if (write(r->fd[i], &one, sizeof(one)) != sizeof(one))
			return -errno;
	return 0;
}

/* @number tells the futex sleepers, who might not sleep yet, that this wake was. */
static int wake(struct fanout_run *r, uint32_t number)
{
	/* Release: pairs with the sleepers' acquire. */
	atomic_store_explicit(&r->shared->word.value, number, memory_order_release);
	switch (r->by) {
	case BENCH_BY_FUTEX:
		bench_futex_wake(&r->shared->word.value);
		return 0;
	case BENCH_BY_WRITES:
		return write_all(r);
	default:
		return submit(r);
	}
}

static uint64_t last_up(const struct fanout_run *r, uint64_t since)
{
	uint64_t last = 0;

	for (uint32_t i = 0; i < r->sleepers; i++) {
		uint64_t up;

		/* Acquire: pairs with the release in play_sleeper(). */
		while ((up = atomic_load_explicit(&r->shared->sleeper[i].up,
		                                  memory_order_acquire)) < since)
			sched_yield();
		last = up > last ? up : last;
	}
	return last;
}

static int play_waker(struct fanout_run *r, struct bench_role *me)
{
	const struct timespec asleep = {.tv_nsec = ASLEEP_NS};
	struct bench_series call = {0}, last = {0};
	int rc = r->by < BENCH_BY_SUBMISSION ? 0 : open_ring(r);

	(void)prctl(PR_SET_TIMERSLACK, 1UL);
	for (uint32_t i = 1; rc >= 0 && i <= WAKES; i++) {
		uint64_t t0, t1;

		/* Acquire: pairs with the release in play_sleeper(). */
		while (atomic_load_explicit(&r->shared->ready.value, memory_order_acquire) <
		       i * r->sleepers)
			nanosleep(&asleep, NULL);
		nanosleep(&asleep, NULL);
		t0 = bench_ticks_ordered();
		rc = wake(r, i);
		t1 = bench_ticks_ordered();
		bench_series_add(&call, bench_ticks_ns(t1 - t0));
		if (rc >= 0)
			bench_series_add(&last, bench_ticks_ns(last_up(r, t0) - t0));
	}
	if (rc < 0)
		return bench_fail(me, "the sleepers could not be woken: %s", strerror(-rc));
	bench_series_add(&r->shared->call, bench_series_median(&call));
	bench_series_add(&r->shared->last, bench_series_median(&last));
	return 0;
}

/* The waker has the first CPU for itself. */
static void pin_sleeper(const struct bench_options *o, unsigned int role)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)o->cpus[1 + (role - 1) % (o->cpu_count - 1)], &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static int sleep_once(struct fanout_run *r, unsigned int index, uint32_t number)
{
	struct pollfd p = {.fd = r->fd[index], .events = POLLIN};
	uint64_t count;

	if (r->by == BENCH_BY_FUTEX) {
		/* Acquire: pairs with the release in wake(). */
		while (atomic_load_explicit(&r->shared->word.value, memory_order_acquire) < number)
			bench_futex_wait(&r->shared->word.value, number - 1);
		return 0;
	}
	while (poll(&p, 1, -1) < 0)
		if (errno != EINTR)
			return -1;
	return read(p.fd, &count, sizeof(count)) == sizeof(count) ? 0 : -1;
}

static int play_sleeper(struct fanout_run *r, struct bench_role *me, unsigned int role)
{
	_Atomic uint64_t *up = &r->shared->sleeper[role - 1].up;

	for (uint32_t i = 1; i <= WAKES; i++) {
		/* Release: pairs with the waker's acquire. */
		atomic_fetch_add_explicit(&r->shared->ready.value, 1, memory_order_release);
		if (sleep_once(r, role - 1, i) < 0)
			return bench_fail(me, "no sleep: %s", strerror(errno));
		atomic_store_explicit(up, bench_ticks_ordered(), memory_order_release);
	}
	return 0;
}

static int play(struct bench_crew *crew, unsigned int role, void *arg)
{
	struct fanout_run *r = arg;
	cpu_set_t set;

	bench_populate(r->shared, sizeof(*r->shared));
	if (role > 0) {
		pin_sleeper(r->o, role);
	} else {
		CPU_ZERO(&set);
		CPU_SET((size_t)r->o->cpus[0], &set);
		(void)sched_setaffinity(0, sizeof(set), &set);
	}
	bench_meet(crew, 0);
	return role == 0 ? play_waker(r, &crew->role[0]) : play_sleeper(r, &crew->role[role], role);
}

static void take(struct bench_series *into, const struct bench_series *from)
{
	for (unsigned int i = 0; i < from->count; i++)
		bench_series_add(into, from->value[i]);
}

static int open_fds(struct fanout_run *r)
{
	for (uint32_t i = 0; i < r->sleepers; i++) {
		r->fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (r->fd[i] < 0)
			return bench_error("fan-out: no eventfd could be had: %s", strerror(errno));
	}
	return 0;
}

int bench_fanout_round(const struct bench_options *o, enum bench_fanout_by by, uint32_t sleepers,
                       struct bench_fanout *f)
{
	struct fanout_run r = {.o = o, .by = by, .sleepers = sleepers};
	const struct bench_cast cast = {.what = "fan-out",
	                                .roles = 1 + sleepers,
	                                .play = play,
	                                .arg = &r,
	                                .cpus = o->cpus,
	                                .cpu_count = o->cpu_count,
	                                .timeout_s = o->timeout_s};
	int rc;

	memset(r.fd, -1, sizeof(r.fd));
	r.shared = bench_shared(sizeof(*r.shared));
	rc = r.shared ? open_fds(&r) : -1;
	if (rc == 0)
		rc = bench_crew_run(&cast) ? 0 : -1;
	if (rc == 0) {
		take(&f->call, &r.shared->call);
		take(&f->last, &r.shared->last);
	}
	for (uint32_t i = 0; i < sleepers; i++)
		if (r.fd[i] >= 0)
			close(r.fd[i]);
	bench_unshare(r.shared, sizeof(*r.shared));
	return rc;
}
