/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Ring calls to be killed in; see test_ring_kill.c. Dying and returning leave the same: no close. */
#include "../unit/ring_kit.h"
#include "kill_at.h"

#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sys/points.h"

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#define ATTACHED 1 /* word: the victim holds the ring from now on */

static int result(int rc)
{
	if (rc < 0)
		fprintf(stderr, "%d: %s\n", rc, myelon_last_error());
	return rc < 0 ? 1 : 0;
}

/*
 * The end of who used the keeper: what that allocated hangs on handles, which are not closed and where
 * the leak checker does not look.
 */
static int leave(int rc)
{
	rc = result(rc);
	mye_points_kill_in(0);
	_exit(rc);
}

static void rest(void)
{
	const struct timespec t = {.tv_nsec = 50000};

	nanosleep(&t, NULL);
}

static int join(const char *ring, const char *id, enum myelon_start start)
{
	struct myelon_consumer *c;

	kill_from_here();
	return result(myelon_consumer_attach(&c, ring, WITH(.id = id, .start = start)));
}

static int run_join_latest(const char *ring)
{
	return join(ring, "victim", MYELON_START_LATEST);
}

static int run_join_oldest(const char *ring)
{
	return join(ring, "victim", MYELON_START_OLDEST);
}

static int run_join_resume(const char *ring)
{
	return join(ring, "victim", MYELON_START_RESUME);
}

static int run_join_automatic(const char *ring)
{
	return join(ring, NULL, MYELON_START_OLDEST);
}

/* Attached, with messages to read, on a ring whose producer waits for it. */
static int hold_the_producer(const char *ring, struct myelon_consumer **c, struct myelon_view *v)
{
	struct kit_page *page = kit_page_attach();
	int64_t deadline = kit_deadline(30);
	int rc = myelon_consumer_attach(c, ring, WITH(.id = "victim"));

	if (rc < 0 || !page)
		return rc < 0 ? rc : -ENOENT;
	kit_set(page, ATTACHED, 1);
	rc = myelon_peek(*c, 4, deadline, v);
	while (rc > 0 && __atomic_load_n((*c)->space_target, __ATOMIC_ACQUIRE) == INT64_MAX) {
		if (kit_now_ns() > deadline)
			return -ETIMEDOUT;
		rest();
	}
	return rc;
}

static int run_release(const char *ring)
{
	struct myelon_consumer *c;
	struct myelon_view v;
	int rc = hold_the_producer(ring, &c, &v);

	kill_from_here();
	return result(rc < 0 ? rc : myelon_release(c, v.count));
}

static int run_detach(const char *ring)
{
	struct myelon_consumer *c;
	struct myelon_view v;
	int rc = hold_the_producer(ring, &c, &v);

	kill_from_here();
	if (rc > 0)
		myelon_consumer_close(c);
	return result(rc);
}

/* Open, and wait until the reader sleeps. */
static int above_a_sleeper(const char *ring, struct myelon_producer **p)
{
	int64_t deadline = kit_deadline(30);
	int rc = myelon_producer_open(p, ring, NULL);

	while (rc == 0 && !__atomic_load_n((*p)->parked, __ATOMIC_ACQUIRE)) {
		if (kit_now_ns() > deadline)
			return -ETIMEDOUT;
		rest();
	}
	return rc;
}

static int push(struct myelon_producer *p, uint32_t n)
{
	struct myelon_span s;
	int rc = myelon_claim(p, n, kit_deadline(30), &s);

	for (uint32_t i = 0; rc == 0 && i < n; i++)
		kit_fill((char *)s.base + (size_t)i * 64, 64, RING_SEED, (uint64_t)s.seq + i);
	return rc < 0 ? rc : myelon_publish(p, n);
}

static int publish(const char *ring, uint32_t batch, int times)
{
	struct myelon_producer *p;
	int rc = above_a_sleeper(ring, &p);

	kill_from_here();
	while (rc == 0 && times-- > 0)
		rc = push(p, batch);
	return result(rc);
}

static int run_publish(const char *ring)
{
	return publish(ring, 1, 1);
}

static int run_batch(const char *ring)
{
	return publish(ring, 5, 1);
}

static int run_many(const char *ring)
{
	return publish(ring, 3, 8);
}

/* With pauses, so that the reader sleeps again before each. */
static int slowly(const char *ring)
{
	struct myelon_producer *p;
	int rc = above_a_sleeper(ring, &p);

	kill_from_here();
	for (int i = 0; rc == 0 && i < 4; i++) {
		for (int k = 0; i && k < 20; k++)
			rest();
		rc = push(p, 1);
	}
	return leave(rc);
}

static int run_slowly(const char *ring)
{
	return slowly(ring);
}

static int run_slowly_denied(const char *ring)
{
	return kit_deny(SYS_pidfd_getfd, EPERM) < 0 ? 2 : slowly(ring);
}

/* A consumer with a descriptor: offered, armed, given back. */
static int run_descriptor(const char *ring)
{
	struct myelon_consumer *c;
	struct myelon_view v;
	int rc = myelon_consumer_attach(&c, ring, WITH(.id = "victim"));

	if (rc < 0)
		return result(rc);
	kill_from_here();
	rc = myelon_consumer_fd(c, &MYELON_FD_OPTS(.engine = MYELON_ENGINE_DIRECT));
	while (rc >= 0 && (rc = myelon_peek(c, MYELON_ALL, MYELON_TRY, &v)) > 0)
		rc = myelon_release(c, v.count);
	return leave(rc == -EAGAIN ? 0 : rc);
}

static int run_close(const char *ring)
{
	struct myelon_producer *p;
	int rc = above_a_sleeper(ring, &p);

	kill_from_here();
	if (rc == 0)
		myelon_producer_close(p);
	return result(rc);
}

static int run_takeover(const char *ring)
{
	struct myelon_producer *p;
	int rc;

	kill_from_here();
	rc = myelon_producer_open(&p, ring, NULL);
	return result(rc < 0 ? rc : push(p, 1));
}

static int run_lease(const char *ring)
{
	struct myelon_producer *p;
	int rc;

	kill_from_here();
	rc = myelon_producer_open(&p, ring, &MYELON_OPEN_OPTS(.flags = MYELON_F_LEASE));
	if (rc == 0)
		rc = push(p, 1);
	if (rc == 0)
		myelon_producer_close(p);
	return result(rc);
}

/* A consumer comes with a lease, and leaves. */
static int run_join_lease(const char *ring)
{
	struct myelon_consumer *c;
	int rc;

	kill_from_here();
	rc = myelon_consumer_attach(
		&c, ring,
		WITH(.id = "victim", .start = MYELON_START_OLDEST, .flags = MYELON_F_LEASE));
	if (rc == 0)
		myelon_consumer_close(c);
	return result(rc);
}

static int run_evict(const char *ring)
{
	kill_from_here();
	return result(myelon_evict(ring, "victim", 0, NULL));
}

static int run_evict_living(const char *ring)
{
	kill_from_here();
	return result(myelon_evict(ring, "victim", MYELON_F_FORCE, NULL));
}

static int run_evict_automatic(const char *ring)
{
	kill_from_here();
	return result(myelon_evict(ring, "ad_1", 0, NULL));
}

/* A new id; or evicted, died without a word, comes back. */
static int run_join_default(const char *ring)
{
	return join(ring, "victim", MYELON_START_DEFAULT);
}

static int run_hold(const char *ring)
{
	struct myelon_producer *p;
	int rc = myelon_producer_open(&p, ring, NULL);

	kill_from_here();
	return result(rc < 0 ? rc : push(p, 6));
}

static const struct kill_scenario scenarios[] = {
	{"join_latest", run_join_latest},
	{"join_oldest", run_join_oldest},
	{"join_resume", run_join_resume},
	{"join_automatic", run_join_automatic},
	{"release", run_release},
	{"detach", run_detach},
	{"publish", run_publish},
	{"batch", run_batch},
	{"many", run_many},
	{"slowly", run_slowly},
	{"slowly_denied", run_slowly_denied},
	{"descriptor", run_descriptor},
	{"close", run_close},
	{"takeover", run_takeover},
	{"lease", run_lease},
	{"join_lease", run_join_lease},
	{"hold", run_hold},
	{"evict", run_evict},
	{"evict_living", run_evict_living},
	{"evict_automatic", run_evict_automatic},
	{"join_default", run_join_default},
	{"join_evicted", run_join_default},
};

int main(int argc, char **argv)
{
	return kill_actor_main(argc, argv, scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
}
