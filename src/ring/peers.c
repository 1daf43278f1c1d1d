/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The calls of a watch. */
#include "ring/peers.h"

#include <errno.h>

#include "base/error.h"
#include "base/handle.h"
#include "base/opts.h"
#include "ring/call.h"
#include "ring/gate.h"
#include "sys/sys.h"

#define OPTS_FIRST MYE_FIRST_SIZE(myelon_peers_opts, shm_dir)

static int not_open(const char *call)
{
	return mye_opened_before_fork(call);
}

static size_t record_bytes(const struct mye_peers *w)
{
	return w->records * sizeof(struct mye_peer_record);
}

static int attach(struct mye_peers *w, const char *name, const struct myelon_peers_opts *o)
{
	const struct mye_attach want = {
		.role = MYE_ROLE_WATCHER,
		.flags = o->flags,
		.deadline = o->timeout_ns ? myelon_deadline_after(o->timeout_ns) : MYELON_TRY,
		.shm_dir = o->shm_dir,
		.hugetlb_dir = o->hugetlb_dir,
	};
	int rc = mye_segment_attach(&w->seg, name, &want);

	if (rc < 0)
		return rc;
	w->records = 1 + w->seg.header.max_consumers;
	w->record = mye_handle_alloc(record_bytes(w));
	return w->record ? 0 : -ENOMEM;
}

void mye_peers_drop(struct mye_peers *w)
{
	w->magic = 0;
	if (w->record) {
		mye_peers_hear_end(w);
		mye_handle_free(w->record, record_bytes(w));
	}
	mye_segment_leave(&w->seg);
	mye_handle_free(w, sizeof(*w));
}

static int options(struct myelon_peers_opts *o, const struct myelon_peers_opts *user)
{
	int rc = mye_opts_read(o, sizeof(*o), OPTS_FIRST, user, "peers options");

	if (rc == 0 && o->flags & ~(MYELON_F_EINTR | MYELON_F_ANY_OWNER))
		rc = mye_fail(-EINVAL,
		              "peers options: flags has the bits 0x%x: only MYELON_F_EINTR and "
		              "MYELON_F_ANY_OWNER are known",
		              o->flags);
	if (rc == 0 && o->progress_ns < 0)
		rc = mye_fail_static(-EINVAL, "peers options: progress_ns is negative");
	return rc;
}

static int begin(struct mye_peers *w)
{
	int rc;

	if (w->hook)
		return mye_peers_hook_begin(w);
	rc = mye_peers_hear(w);
	if (rc == 0)
		mye_peers_begin(w);
	return rc;
}

int myelon_peers_open(struct myelon_peers **out, const char *name,
                      const struct myelon_peers_opts *user)
{
	struct myelon_peers_opts o;
	struct mye_peers *w;
	int rc;

	if (!out)
		return mye_fail_static(-EINVAL, "peers open: the out pointer is NULL");
	*out = NULL;
	rc = options(&o, user);
	if (rc < 0)
		return rc;
	w = mye_handle_alloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->seg.control_fd = w->seg.data_fd = w->seg.dir_fd = w->timer_fd = -1;
	w->flags = o.flags;
	w->progress_ns = o.progress_ns;
	w->hook = o.on_peer_change;
	w->ctx = o.ctx;
	rc = attach(w, name, &o);
	if (rc == 0) {
		w->magic = MYE_PEERS_MAGIC;
		rc = begin(w);
	}
	if (rc < 0) {
		mye_peers_drop(w);
		return rc;
	}
	*out = (struct myelon_peers *)(void *)w;
	return 0;
}

static struct mye_peers *of(struct myelon_peers *w)
{
	return (struct mye_peers *)(void *)w;
}

int myelon_peers_close(struct myelon_peers *public)
{
	struct mye_peers *w = of(public);

	if (!w)
		return 0;
	if (w->magic != MYE_PEERS_MAGIC) {
		mye_handle_free(w, sizeof(*w));
		return 0;
	}
	if (__atomic_load_n(&w->hook_tid, __ATOMIC_RELAXED) == mye_tid())
		return mye_fail_static(-EDEADLK, "peers close: called by the hook of this watch; "
		                                 "close it from elsewhere");
	if (w->hook)
		mye_peers_hook_end(w);
	mye_peers_drop(w);
	return 0;
}

/* @return 0: told; -EAGAIN; -EPIPE. Without a sentence. */
static int next_told(struct mye_peers *w, struct myelon_peer_event *e)
{
	if (w->told_at == w->told_end && !w->over)
		while ((w->at < w->records || mye_peers_due(w)) && !mye_peers_look(w))
			;
	if (w->told_at == w->told_end)
		return w->over ? -EPIPE : -EAGAIN;
	*e = w->told[w->told_at++];
	if (w->polled)
		mye_peers_poke(w);
	return 0;
}

int mye_peers_try(struct mye_peers *w, struct myelon_peer_event *e)
{
	int rc = next_told(w, e);

	if (rc != -EAGAIN)
		return rc;
	rc = mye_peers_sleep(w, MYELON_TRY);
	if (rc < 0 && rc != -EINTR)
		return rc;
	rc = next_told(w, e);
	if (rc != -EAGAIN || !w->polled)
		return rc;
	rc = mye_peers_arm(w);
	return rc < 0 ? rc : -EAGAIN;
}

static int removed(struct mye_peers *w)
{
	if (w->polled) {
		mye_peers_sleep(w, MYELON_TRY);
		mye_peers_arm(w);
	}
	return mye_fail_static(-EPIPE, "peers: the ring was removed, nothing follows");
}

static int wait(struct mye_peers *w, struct myelon_peer_event *e, int64_t deadline)
{
	int rc;

	for (;;) {
		if (mye_take_interrupt(&w->interrupted))
			return mye_fail_static(-ECANCELED, "peers: interrupted");
		rc = deadline == MYELON_TRY ? mye_peers_try(w, e) : next_told(w, e);
		if (rc == -EPIPE)
			return removed(w);
		if (rc == -EAGAIN && deadline == MYELON_TRY)
			return mye_fail_static(-EAGAIN, "peers: no change");
		if (rc != -EAGAIN)
			return rc;
		if (mye_now() >= deadline) {
			rc = w->polled ? mye_peers_arm(w) : 0;
			return rc < 0 ? rc
			              : mye_fail_static(-ETIMEDOUT, "peers: the deadline passed");
		}
		rc = mye_peers_sleep(w, deadline);
		if (rc == -EINTR && (w->flags & MYELON_F_EINTR))
			return mye_fail_static(-EINTR, "peers: a signal came");
		if (rc < 0 && rc != -EINTR)
			return rc;
	}
}

static int check(const struct mye_peers *w, const char *call)
{
	if (w->magic != MYE_PEERS_MAGIC)
		return not_open(call);
	return w->hook ? mye_fail(-EBUSY, "%s: this watch has a hook, which is told instead", call)
	               : 0;
}

int myelon_peers_next(struct myelon_peers *public, struct myelon_peer_event *event,
                      int64_t deadline)
{
	struct mye_peers *w = of(public);
	struct myelon_peer_event own;
	int rc = check(w, "peers next");

	if (rc < 0)
		return rc;
	if (!event || event->size < sizeof(event->size))
		return mye_fail_static(-EINVAL, "peers next: there is no room for an event; "
		                                "initialise it with MYELON_PEER_EVENT_INIT");
	rc = mye_call_begin(&w->in_call, "peers");
	if (rc < 0)
		return rc;
	rc = wait(w, &own, deadline);
	mye_call_end(&w->in_call);
	return rc < 0 ? rc : mye_info_write(event, &own, sizeof(own), "peer event");
}

int myelon_peers_fd(struct myelon_peers *public)
{
	struct mye_peers *w = of(public);
	int rc = check(w, "peers fd");

	if (rc < 0)
		return rc;
	w->polled = true;
	/* Whoever polls it first asks. */
	mye_peers_poke(w);
	return mye_loop_fd(w->loop);
}

void myelon_peers_interrupt(struct myelon_peers *public)
{
	struct mye_peers *w = of(public);

	if (w->magic != MYE_PEERS_MAGIC)
		return;
	/* Release: pairs with mye_take_interrupt(). */
	__atomic_store_n(&w->interrupted, 1, __ATOMIC_RELEASE);
	if (w->loop)
		mye_loop_wake(w->loop);
}

const char *myelon_peer_change_name(enum myelon_peer_change change)
{
	static const char *const names[] = {
		NULL,   "attached", "rejoined", "detached",  "dying",
		"died", "evicted",  "stalled",  "recovered", "removed",
	};

	return (unsigned int)change < sizeof(names) / sizeof(names[0]) ? names[change] : NULL;
}

const char *myelon_peer_role_name(enum myelon_peer_role role)
{
	static const char *const names[] = {"ring", "producer", "consumer"};

	return (unsigned int)role < sizeof(names) / sizeof(names[0]) ? names[role] : NULL;
}
