/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The producer of `bench death`: fills the ring, and waits until it is told that the victim is gone. */
#include "clock.h"
#include "death.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define NEVER_NS INT64_C(3600000000000)

struct side {
	struct death *d;
	struct bench_role *me;
	struct myelon_producer *p;
	uint64_t step;
	enum death_how how;
};

void death_await(const _Atomic uint64_t *word, uint64_t value)
{
	const struct timespec pause = {.tv_nsec = 50000};

	/* Acquire: pairs with the release stores of the other side. */
	while (atomic_load_explicit(word, memory_order_acquire) < value)
		nanosleep(&pause, NULL);
}

static void publish_step(_Atomic uint64_t *word, uint64_t value)
{
	/* Release: pairs with the acquire load in death_await(). */
	atomic_store_explicit(word, value, memory_order_release);
}

static void notice(struct side *s)
{
	atomic_store_explicit(&s->d->told, bench_ticks(), memory_order_relaxed);
	publish_step(&s->d->noticed, s->step);
}

/* With a lease it is told before the lock is free, or at the same time. */
static bool right_cause(enum death_how how, uint32_t cause)
{
	if (how == DEATH_LEASED && cause == MYELON_CAUSE_DYING)
		return true;
	return cause == (how == DEATH_TIMEOUT ? MYELON_CAUSE_STALLED : MYELON_CAUSE_DEAD);
}

static void on_alert(void *ctx, const struct myelon_failure *alert)
{
	struct side *s = ctx;

	/* After a bare step the dead victim is met by the next claim. */
	if (s->how == DEATH_BARE)
		return;
	s->me->wrong += !right_cause(s->how, alert->cause) || strcmp(alert->id, DEATH_ID) != 0;
	s->d->dying += alert->cause == MYELON_CAUSE_DYING;
	notice(s);
}

static int require(struct side *s, int64_t progress_ns)
{
	struct myelon_liveness_opts o =
		MYELON_LIVENESS_OPTS(.on_failure = MYELON_ON_FAILURE_LOG,
	                             .progress_ns = progress_ns, .check_ns = DEATH_CHECK_NS,
	                             .hook = on_alert, .ctx = s);

	return myelon_producer_require(s->p, &o) < 0
	               ? bench_library_fail(s->me, "the producer could not be supervised")
	               : 0;
}

/* @return 0 once it was published, -EAGAIN, or another failure, which was told. */
static int publish(struct side *s, int64_t deadline)
{
	struct myelon_span span;
	int rc = myelon_claim_managed(s->p, 1, deadline, &span);

	if (rc == -EAGAIN)
		return rc;
	if (rc < 0)
		return bench_library_fail(s->me, "a managed claim failed");
	*(uint64_t *)span.base = (uint64_t)span.seq;
	myelon_publish(s->p, 1);
	return 0;
}

static int fill(struct side *s)
{
	int rc;

	do {
		rc = publish(s, MYELON_TRY);
	} while (rc == 0);
	return rc == -EAGAIN ? 0 : rc;
}

static int wait_bare(struct side *s)
{
	int pid = atomic_load_explicit(&s->d->pid, memory_order_relaxed);
	struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};

	if (p.fd < 0)
		return bench_fail(s->me, "no pidfd of the victim: %s", strerror(errno));
	publish_step(&s->d->blocked, s->step);
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	notice(s);
	close(p.fd);
	return 0;
}

/* Of one that goes on until it is stopped: the claim that finds it returns with the next victim. */
static int wait_timeout(struct side *s)
{
	int rc = require(s, DEATH_PROGRESS_NS);

	publish_step(&s->d->blocked, s->step);
	while (rc == 0 && atomic_load_explicit(&s->d->noticed, memory_order_relaxed) < s->step)
		rc = publish(s, MYELON_FOREVER);
	return rc < 0 ? rc : require(s, NEVER_NS);
}

static int take_step(struct side *s)
{
	int rc;

	death_await(&s->d->attached, s->step);
	rc = fill(s);
	if (rc < 0 || s->how == DEATH_BARE)
		return rc < 0 ? rc : wait_bare(s);
	if (s->how == DEATH_TIMEOUT)
		return wait_timeout(s);
	publish_step(&s->d->blocked, s->step);
	return publish(s, MYELON_FOREVER);
}

int death_play_producer(struct death *d, struct bench_role *me)
{
	struct side s = {.d = d, .me = me};
	struct bench_out out;
	int rc;

	/* A warning per kill is not wanted. */
	myelon_set_log(NULL, NULL);
	rc = bench_out_create(&out, &d->ring, DEATH_STEM, me);

	if (rc < 0)
		return rc;
	s.p = out.raw;
	rc = require(&s, NEVER_NS);
	for (s.step = 1; rc == 0 && s.step <= d->steps; s.step++) {
		s.how = death_how_of(s.step);
		rc = take_step(&s);
	}
	bench_out_close(&out, me);
	return rc;
}
