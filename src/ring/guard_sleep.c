/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The sleep of a blocked producer that watches: on the space bell, and on pidfds of those who are in the
 * way, in one loop. The end of a process only says that its lock is to be asked for now. Who has no pidfd
 * here (another pid namespace, none in the kernel) is asked for every check_ns.
 *
 * A descriptor stays open, and in the loop, until its consumer is another process.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/handle.h"
#include "ring/guard.h"
#include "sys/sys.h"

#define TAG_BELL 0
#define TAG_ENTRY 1 /* + index */
#define EVENTS 8

static void forget(struct mye_guard *g, uint32_t index)
{
	struct mye_suspect *s = &g->entry[index];

	if (!s->in_loop)
		return;
	mye_loop_remove(g->loop, TAG_ENTRY + index);
	mye_fork_close(s->pidfd);
	s->in_loop = false;
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

void mye_guard_watch(struct mye_producer *p, struct mye_guard *g, uint32_t index)
{
	struct mye_suspect *s = &g->entry[index];
	struct mye_identity who;
	int fd;

	mye_identity_read(&who, &p->seg.entries[index].about.who);
	if (s->known && mye_identity_same(&s->who, &who))
		return;
	forget(g, index);
	s->known = true;
	s->who = who;
	s->dying = s->unseen = false;
	s->retry_ns = 0;
	fd = loop_ready(p, g) ? mye_fork_open_pidfd(&who) : -ENOTSUP;
	s->dying = fd == -ESRCH;
	s->unseen = fd < 0 && fd != -ESRCH;
	if (fd < 0)
		return;
	if (mye_loop_add_fd(g->loop, fd, EPOLLIN, TAG_ENTRY + index) < 0) {
		mye_fork_close(fd);
		s->unseen = true;
		return;
	}
	s->pidfd = fd;
	s->in_loop = true;
}

void mye_guard_unwatch(struct mye_guard *g)
{
	for (uint32_t i = 0; g->loop && i < g->entries; i++)
		forget(g, i);
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
	for (uint32_t i = 0; i < g->entries; i++)
		if (g->entry[i].in_loop)
			g->entry[i].unseen = true;
	mye_guard_unwatch(g);
	g->no_loop = true;
}

static void process_ended(struct mye_guard *g, uint32_t index)
{
	forget(g, index);
	g->entry[index].dying = true;
	g->entry[index].retry_ns = 0;
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
		if (event[i].tag != TAG_BELL)
			process_ended(g, (uint32_t)event[i].tag - TAG_ENTRY);
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
	return rc;
}
