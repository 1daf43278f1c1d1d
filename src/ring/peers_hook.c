/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A watch with a hook: the keeper sleeps on its descriptor, and calls. */
#include <errno.h>
#include <sys/epoll.h>

#include "base/error.h"
#include "ring/peers.h"
#include "sys/sys.h"

#define CALLS 64 /* then others have their turn */
#define RETRY_NS 1000000000

static void call_hook(struct mye_peers *w, const struct myelon_peer_event *e)
{
	__atomic_store_n(&w->hook_tid, mye_tid(), __ATOMIC_RELAXED);
	w->hook(w->ctx, e);
	__atomic_store_n(&w->hook_tid, 0, __ATOMIC_RELAXED);
}

static void ready(struct mye_task *t, uint32_t events)
{
	struct mye_peers *w = MYE_CONTAINER(t, struct mye_peers, task);
	struct myelon_peer_event e;
	int rc = 0;

	(void)events;
	for (int i = 0; i < CALLS && rc == 0; i++) {
		rc = mye_peers_try(w, &e);
		if (rc == 0)
			call_hook(w, &e);
	}
	if (rc == -EPIPE) {
		/* Nothing follows. */
		mye_task_end(t);
	} else if (rc < 0 && rc != -EAGAIN) {
		if (!w->failing)
			mye_warn("ring %s: its peers cannot be watched: %s", w->seg.place.name,
			         myelon_last_error());
		w->failing = true;
		t->deadline = mye_now() + RETRY_NS;
	}
}

static void expired(struct mye_task *t)
{
	ready(t, 0);
}

static int start(void *arg)
{
	struct mye_peers *w = arg;
	int rc = mye_peers_hear(w);

	if (rc < 0)
		return rc;
	mye_peers_begin(w);
	w->task = (struct mye_task){.ready = ready, .expired = expired, .deadline = MYELON_FOREVER};
	rc = mye_task_fd(&w->task, mye_loop_fd(w->loop), EPOLLIN);
	w->polled = true;
	if (rc == 0)
		mye_peers_poke(w);
	return rc;
}

static int stop(void *arg)
{
	struct mye_peers *w = arg;

	mye_task_end(&w->task);
	mye_peers_hear_end(w);
	return 0;
}

int mye_peers_hook_begin(struct mye_peers *w)
{
	int rc = mye_keeper_hold();

	if (rc < 0)
		return rc;
	rc = mye_keeper_call(start, w);
	if (rc < 0) {
		mye_keeper_call(stop, w);
		mye_keeper_drop();
	}
	return rc;
}

void mye_peers_hook_end(struct mye_peers *w)
{
	mye_keeper_call(stop, w);
	mye_keeper_drop();
}
