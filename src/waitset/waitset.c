/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Wait sets: made, closed, woken, and their descriptor. */
#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/handle.h"
#include "base/opts.h"
#include "ring/call.h"
#include "sys/sys.h"
#include "waitset/set.h"

static int choose_engine(uint32_t asked)
{
	int from_env;

	if (asked > MYELON_ENGINE_EPOLL)
		return mye_fail(-EINVAL, "a wait set's engine is auto, uring or epoll, not %u",
		                asked);
	if (asked != MYELON_ENGINE_AUTO)
		return (int)asked;
	from_env = mye_engine_from_env();
	/* The other two are of descriptor consumers, which do without io_uring then. */
	return from_env > MYELON_ENGINE_EPOLL ? MYELON_ENGINE_EPOLL : from_env;
}

int myelon_waitset_create(struct myelon_waitset **out, const struct myelon_waitset_opts *user)
{
	struct myelon_waitset_opts opts;
	struct myelon_waitset *ws;
	int rc, engine;

	if (!out)
		return mye_fail_static(-EINVAL, "waitset create: the out pointer is NULL");
	*out = NULL;
	rc = mye_opts_read(&opts, sizeof(opts), MYE_FIRST_SIZE(myelon_waitset_opts, spin_ns), user,
	                   "wait set options");
	if (rc < 0)
		return rc;
	if (opts.spin_ns < MYELON_NO_SPIN)
		return mye_fail(-EINVAL, "wait set options: spin_ns is %lld",
		                (long long)opts.spin_ns);
	engine = choose_engine(opts.engine);
	if (engine < 0)
		return engine;
	ws = mye_handle_alloc(sizeof(*ws));
	if (!ws)
		return -ENOMEM;
	ws->engine = (enum myelon_engine)engine;
	rc = mye_loop_open(&ws->loop, ws->engine, 0);
	if (rc < 0) {
		mye_handle_free(ws, sizeof(*ws));
		return rc;
	}
	ws->timer_fd = -1;
	ws->retry_at = INT64_MAX;
	ws->stats.size = sizeof(ws->stats);
	ws->watching = mye_loop_engine(ws->loop) == MYELON_ENGINE_URING;
	mye_spin_init(&ws->spin, opts.spin_ns);
	ws->magic = MYE_SET_MAGIC;
	*out = ws;
	return 0;
}

void myelon_waitset_close(struct myelon_waitset *ws)
{
	uint32_t i;

	if (!ws)
		return;
	if (ws->magic == MYE_SET_MAGIC) {
		for (i = 0; i < ws->slot_count; i++)
			if (ws->slots[i].source)
				mye_source_remove(ws->slots[i].source);
		mye_hosts_close(ws);
		ws->magic = 0;
		mye_loop_close(ws->loop);
		mye_loop_close(ws->left);
		mye_fork_close(ws->timer_fd);
		free(ws->slots);
		free(ws->rings.at);
		free(ws->timers.at);
	}
	mye_handle_free(ws, sizeof(*ws));
}

/* Nothing but this word tells a wait that it was woken; the loop only ends its sleep. */
void myelon_waitset_wake(struct myelon_waitset *ws)
{
	int saved = errno;

	if (!ws || ws->magic != MYE_SET_MAGIC)
		return;
	/* Seq_cst, with the load below: pairs with the exchange of the loop in become_pollable() and the
	   exchange of this word in the wait that follows it; one of them sees the other. */
	__atomic_store_n(&ws->woken, 1, __ATOMIC_SEQ_CST);
	mye_loop_wake(__atomic_load_n(&ws->loop, __ATOMIC_SEQ_CST));
	errno = saved;
}

/* Put everything into another loop. */
static int enter_all(const struct myelon_waitset *ws, struct mye_loop *loop)
{
	int rc = mye_hosts_enter(loop, ws);

	for (uint32_t i = 0; i < ws->slot_count && rc == 0; i++)
		if (ws->slots[i].source)
			rc = mye_source_enter(loop, ws->slots[i].source);
	return rc == 0 ? mye_loop_add_fd(loop, ws->timer_fd, MYE_HOST_EVENTS, MYE_TAG_TIMER) : rc;
}

static void leave_all(const struct myelon_waitset *ws, struct mye_loop *loop)
{
	const struct mye_host *h;

	for (h = ws->hosts; h; h = h->next)
		if (h->in_loop)
			mye_loop_remove(loop, MYE_TAG_HOST | h->number);
		else if (h->leased)
			mye_loop_remove(loop, MYE_TAG_LEASE | h->number);
	for (uint32_t i = 0; i < ws->slot_count; i++) {
		const struct mye_source *s = ws->slots[i].source;

		if (s && s->kind != MYELON_EVENT_TIMER &&
		    !(s->kind == MYELON_EVENT_PROCESS && s->fd.done))
			mye_loop_remove(loop, (uint64_t)s->id);
	}
}

static int become_pollable(struct myelon_waitset *ws)
{
	struct mye_loop *loop;
	int rc = mye_loop_open(&loop, mye_loop_engine(ws->loop), MYE_LOOP_POLLABLE);

	if (rc < 0)
		return rc;
	mye_fork_enter();
	ws->timer_fd = mye_fork_keep(mye_timerfd_create());
	mye_fork_leave();
	rc = ws->timer_fd < 0 ? mye_fail(ws->timer_fd, "no timer descriptor is to be had")
	                      : enter_all(ws, loop);
	if (rc < 0) {
		mye_loop_close(loop);
		mye_fork_close(ws->timer_fd);
		ws->timer_fd = -1;
		return rc;
	}
	leave_all(ws, ws->loop);
	ws->left = ws->loop;
	/* Seq_cst: pairs with myelon_waitset_wake(), which may still have the old one. */
	__atomic_store_n(&ws->loop, loop, __ATOMIC_SEQ_CST);
	ws->pollable = true;
	mye_hosts_revise(ws);
	/* Nobody has waited yet: whoever polls it is told to. */
	mye_loop_wake(loop);
	return 0;
}

int myelon_waitset_fd(struct myelon_waitset *ws)
{
	int rc = mye_set_check(ws, "waitset fd");

	if (rc == 0 && !ws->pollable)
		rc = become_pollable(ws);
	return rc < 0 ? rc : mye_loop_fd(ws->loop);
}

enum myelon_engine myelon_waitset_engine(const struct myelon_waitset *ws)
{
	return mye_set_check(ws, "waitset engine") < 0 ? MYELON_ENGINE_AUTO
	                                               : mye_loop_engine(ws->loop);
}

int myelon_waitset_stats(const struct myelon_waitset *ws, struct myelon_waitset_stats *stats)
{
	struct myelon_waitset_stats own;
	int rc = mye_set_check(ws, "waitset stats");

	if (rc < 0)
		return rc;
	own = ws->stats;
	own.sources = ws->sources;
	return mye_info_write(stats, &own, sizeof(own), "wait set stats");
}
