/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The sleep of a blocked producer that watches: on the space bell, and of those who are in the way on
 * their leases and on pidfds, in one loop. The mark in a lease comes first, before the process has given
 * back its memory, from any pid namespace, and at exec; the pidfd when its lock is free. Both only say
 * that the lock is to be asked for now. Who has neither (another pid namespace and no lease) is asked for
 * every check_ns.
 *
 * A descriptor stays open, and in the loop, until its consumer is another process; a lease until it is
 * marked or given back.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/handle.h"
#include "liveness/lease.h"
#include "ring/guard.h"
#include "sys/sys.h"

#define TAG_BELL 0ull
#define TAG_PROCESS(i) (1ull + 2ull * (i))
#define TAG_LEASE(i) (2ull + 2ull * (i))
#define EVENTS 8

static void forget_process(struct mye_guard *g, uint32_t index)
{
	struct mye_suspect *s = &g->entry[index];

	if (!s->in_loop)
		return;
	mye_loop_remove(g->loop, TAG_PROCESS(index));
	mye_fork_close(s->pidfd);
	s->in_loop = false;
}

static void forget_lease(struct mye_guard *g, uint32_t index)
{
	if (g->entry[index].leased)
		mye_loop_remove(g->loop, TAG_LEASE(index));
	g->entry[index].leased = false;
}

static bool loop_ready(struct mye_producer *p, struct mye_guard *g)
{
	int engine;

	if (g->loop || g->no_loop)
		return g->loop != NULL;
	engine = mye_engine_from_env();
	if (engine < 0 || mye_loop_open(&g->loop, (enum myelon_engine)engine, 0) < 0) {
		/* Perhaps an engine that is for descriptors only. */
		if (mye_loop_open(&g->loop, MYELON_ENGINE_AUTO, 0) < 0)
			g->loop = NULL;
	}
	if (g->loop && mye_loop_add_word(g->loop, &p->seg.shared->space.bell, TAG_BELL) < 0) {
		mye_loop_close(g->loop);
		g->loop = NULL;
	}
	g->no_loop = !g->loop;
	return g->loop != NULL;
}

void mye_guard_meet(struct mye_producer *p, struct mye_guard *g, uint32_t index)
{
	struct mye_suspect *s = &g->entry[index];
	struct mye_identity who;

	mye_identity_read(&who, &p->seg.entries[index].about.who);
	if (s->known && mye_identity_same(&s->who, &who))
		return;
	forget_process(g, index);
	s->known = true;
	s->who = who;
	s->ended = s->tried = false;
	s->retry_ns = 0;
}

/* A word nobody owns, or a marked one, is not slept on. */
static void watch_lease(struct mye_producer *p, struct mye_guard *g, uint32_t index)
{
	struct mye_suspect *s = &g->entry[index];
	unsigned int at = MYE_LEASE_ENTRY(index);

	s->lease = mye_lease_watch(&p->seg, at);
	if (mye_lease_state_of(s->lease) != MYE_LEASE_HELD || !loop_ready(p, g))
		forget_lease(g, index);
	else if (!s->leased)
		s->leased = mye_loop_add_word(g->loop, &p->seg.shared->lease.lease[at],
		                              TAG_LEASE(index)) == 0;
}

/* It is gone already, if it is still the one that is written there: that may be half written. */
static void process_gone(struct mye_producer *p, struct mye_suspect *s, uint32_t index)
{
	struct mye_identity who;

	mye_identity_read(&who, &p->seg.entries[index].about.who);
	s->ended = mye_identity_same(&s->who, &who);
	s->known = s->ended;
}

static void watch_process(struct mye_producer *p, struct mye_guard *g, uint32_t index)
{
	struct mye_suspect *s = &g->entry[index];
	int fd;

	s->tried = true;
	fd = loop_ready(p, g) ? mye_fork_open_pidfd(&s->who) : -ENOTSUP;
	if (fd == -ESRCH)
		process_gone(p, s, index);
	if (fd < 0)
		return;
	if (mye_loop_add_fd(g->loop, fd, EPOLLIN, TAG_PROCESS(index)) < 0) {
		mye_fork_close(fd);
		return;
	}
	s->pidfd = fd;
	s->in_loop = true;
}

void mye_guard_watch(struct mye_producer *p, struct mye_guard *g, uint32_t index)
{
	watch_lease(p, g, index);
	if (!g->entry[index].tried)
		watch_process(p, g, index);
}

void mye_guard_unwatch(struct mye_guard *g)
{
	for (uint32_t i = 0; g->loop && i < g->entries; i++) {
		forget_process(g, i);
		forget_lease(g, i);
	}
	mye_loop_close(g->loop);
	g->loop = NULL;
}

void mye_guard_listen(struct mye_guard *g)
{
	if (g->loop)
		mye_loop_listen(g->loop);
}

/* The loop does not work any more: whoever it watched is asked for from now on. */
static void give_up(struct mye_guard *g)
{
	mye_guard_unwatch(g);
	g->no_loop = true;
}

static void process_ended(struct mye_guard *g, uint32_t index)
{
	forget_process(g, index);
	g->entry[index].ended = true;
	g->entry[index].retry_ns = 0;
}

/* The kernel wakes one sleeper of a marked word: whoever returns wakes the others. */
static void pass_on(struct mye_producer *p, const struct mye_guard *g)
{
	for (uint32_t i = 0; i < g->entries && i < MYE_LEASE_ENTRIES; i++)
		if (g->entry[i].leased)
			mye_lease_pass_on(&p->seg, MYE_LEASE_ENTRY(i), g->entry[i].lease);
}

/* As mye_futex_wait(). */
static int doze(void *ctx, const uint32_t *bell, uint32_t value, int64_t until)
{
	struct mye_loop_event event[EVENTS];
	struct mye_guard *g = ctx;
	int n = mye_loop_sleep(g->loop, until, event, EVENTS);

	if (n == -EINTR)
		return n;
	if (n < 0)
		give_up(g);
	for (int i = 0; i < n; i++)
		if (event[i].tag % 2)
			process_ended(g, (uint32_t)(event[i].tag / 2));
	if (n > 0)
		return __atomic_load_n(bell, __ATOMIC_RELAXED) != value ? 0 : -EAGAIN;
	return n == 0 && mye_now() >= until ? -ETIMEDOUT : -EAGAIN;
}

int mye_guard_park(struct mye_producer *p, struct mye_guard *g, uint32_t bell, int64_t until)
{
	struct mye_shared_page *sh = p->seg.shared;
	int rc;

	if (g->loop) {
		p->waiter.doze = doze;
		p->waiter.doze_ctx = g;
	}
	rc = mye_waiter_park(&p->waiter, &p->seg, &sh->space.bell, bell, &sh->space.wake_ns, until);
	p->waiter.doze = NULL;
	pass_on(p, g);
	return rc;
}
