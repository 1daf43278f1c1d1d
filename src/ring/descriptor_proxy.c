/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The keeper's part of a consumer's descriptor: hear the doorbell, watch the producer, hand over. */
#include <errno.h>
#include <sys/epoll.h>

#include "base/handle.h"
#include "ring/descriptor.h"
#include "ring/peer.h"
#include "ring/sleeper.h"
#include "sys/sys.h"

static void poke(struct mye_descriptor *d)
{
	__atomic_fetch_add(&mye_keeper_counts()->wakes, 1, __ATOMIC_RELAXED);
	mye_event_poke(d->fd);
}

static void producer_ended(struct mye_descriptor *d)
{
	__atomic_store_n(&d->ask, 1, __ATOMIC_RELAXED);
	poke(d);
}

static void set_timer(struct mye_descriptor *d)
{
	int64_t question = d->pause_ns ? mye_now() + d->pause_ns : INT64_MAX;

	d->cap.deadline = question < d->cap_at ? question : d->cap_at;
}

/* Its process is gone, but perhaps not its lock. */
static void ask_for_lock(struct mye_descriptor *d)
{
	if (mye_role_held(&d->c->seg, MYE_LOCK_PRODUCER) == 0) {
		d->pause_ns = 0;
		producer_ended(d);
		return;
	}
	d->pause_ns = mye_dying_pause(d->pause_ns);
	set_timer(d);
}

static void peer_ended(struct mye_task *t, uint32_t events)
{
	struct mye_descriptor *d = MYE_CONTAINER(t, struct mye_descriptor, peer);

	(void)events;
	mye_task_end(t);
	ask_for_lock(d);
}

/* The producer is dying, or it left, or there is another. */
static void lease_changed(struct mye_task *t, uint32_t events)
{
	struct mye_descriptor *d = MYE_CONTAINER(t, struct mye_descriptor, word);

	(void)events;
	mye_task_end(t);
	mye_lease_pass_on(&d->c->seg, MYE_LEASE_PRODUCER, d->watch_lease);
	if (mye_lease_look(&d->c->seg, MYE_LEASE_PRODUCER) == MYE_LEASE_DYING)
		ask_for_lock(d);
}

static void link_ended(struct mye_handover *h)
{
	producer_ended(MYE_CONTAINER(h, struct mye_descriptor, link));
}

static bool behind(const struct mye_descriptor *d)
{
	return __atomic_load_n(&d->c->seg.producer->hot.published, __ATOMIC_RELAXED) !=
	       __atomic_load_n(&d->asleep_at, __ATOMIC_RELAXED) - 1;
}

bool mye_descriptor_unheard(const struct mye_descriptor *d)
{
	return behind(d) && __atomic_load_n(mye_consumer_bell(d->c), __ATOMIC_RELAXED) ==
	                            __atomic_load_n(&d->asleep_bell, __ATOMIC_RELAXED);
}

/* Once a second: was a wake lost (its publisher killed or stopped), or has the producer died unseen?
 * @return how long until the next look. */
static int64_t look_at_cap(struct mye_descriptor *d)
{
	const struct mye_segment *seg = &d->c->seg;
	bool was_suspect = d->suspect;
	int64_t wait = MYE_CAP_NS;

	d->suspect = false;
	if (__atomic_load_n(&d->denied, __ATOMIC_RELAXED))
		wait = MYE_NO_BARRIER_CAP_NS;
	if (__atomic_load_n(&d->asleep_at, __ATOMIC_RELAXED) < 0)
		return wait;
	if (mye_descriptor_unheard(d) && !was_suspect) {
		d->suspect = true;
		wait = MYE_NO_BARRIER_CAP_NS;
	} else if (mye_descriptor_unheard(d)) {
		__atomic_fetch_add(&d->caps_found, !d->denied, __ATOMIC_RELAXED);
		poke(d);
	} else if (behind(d)) {
		/* It was rung, and we are slow; or raised, and its publisher stopped before the wake. */
		poke(d);
	} else if (!d->denied &&
	           __atomic_load_n(&seg->producer->slow.state, __ATOMIC_RELAXED) ==
	                   MYE_PRODUCER_OPEN &&
	           mye_role_held(seg, MYE_LOCK_PRODUCER) == 0) {
		producer_ended(d);
	}
	__atomic_fetch_add(&d->caps, !was_suspect && !d->denied, __ATOMIC_RELAXED);
	return wait;
}

static void cap_passed(struct mye_task *t)
{
	struct mye_descriptor *d = MYE_CONTAINER(t, struct mye_descriptor, cap);

	if (d->pause_ns)
		ask_for_lock(d);
	if (mye_now() >= d->cap_at)
		d->cap_at = mye_now() + look_at_cap(d);
	set_timer(d);
}

static void unwatch(struct mye_descriptor *d)
{
	mye_task_end(&d->peer);
	mye_task_end(&d->word);
	mye_fork_close(d->watch_fd);
	d->watch_fd = -1;
	d->pause_ns = 0;
}

/* The lease of a process that cannot be seen. */
static void watch_lease(struct mye_descriptor *d)
{
	struct mye_segment *seg = &d->c->seg;

	d->watch_lease = mye_peer_lease(seg);
	if (mye_lease_state_of(d->watch_lease) == MYE_LEASE_HELD)
		mye_task_word(&d->word, &seg->shared->lease.lease[MYE_LEASE_PRODUCER]);
	/* Also if that is news since the line above, which the loop took for what the word was. */
	if (mye_lease_look(seg, MYE_LEASE_PRODUCER) == MYE_LEASE_DYING)
		ask_for_lock(d);
}

int mye_proxy_watch(void *arg)
{
	struct mye_descriptor *d = arg;
	struct mye_identity who;
	int fd;

	mye_identity_read(&who, &d->c->seg.producer->identity);
	unwatch(d);
	fd = mye_fork_open_pidfd(&who);
	if (fd == -ESRCH)
		ask_for_lock(d);
	else if (fd < 0)
		watch_lease(d);
	if (fd >= 0) {
		d->watch_fd = fd;
		if (mye_task_fd(&d->peer, fd, EPOLLIN) < 0)
			unwatch(d);
	}
	return 0;
}

int mye_proxy_hand_over(void *arg)
{
	struct mye_descriptor *d = arg;

	return mye_handover_offer(&d->link, &d->c->seg, d->c->index, d->offer, d->fd);
}

int mye_proxy_begin(void *arg)
{
	struct mye_descriptor *d = arg;
	int rc;

	d->bell = (struct mye_task){.deadline = MYELON_FOREVER};
	d->peer = (struct mye_task){.ready = peer_ended, .deadline = MYELON_FOREVER};
	d->word = (struct mye_task){.ready = lease_changed, .deadline = MYELON_FOREVER};
	d->cap_at = mye_now() + MYE_CAP_NS;
	d->cap = (struct mye_task){.expired = cap_passed, .deadline = d->cap_at};
	d->link.ended = link_ended;
	/* First: a thread that the loop may start for the bell runs there, too. */
	mye_keeper_cpu_serve(d->c->waiter.pinned, true);
	rc = mye_task_bell(&d->bell, mye_consumer_bell(d->c), d->fd);
	if (rc < 0) {
		mye_keeper_cpu_serve(d->c->waiter.pinned, false);
		return rc;
	}
	mye_task_timer(&d->cap);
	__atomic_fetch_add(&mye_keeper_counts()->proxies, 1, __ATOMIC_RELAXED);
	return mye_proxy_watch(d);
}

int mye_proxy_end(void *arg)
{
	struct mye_descriptor *d = arg;

	mye_handover_withdraw(&d->link);
	unwatch(d);
	mye_task_end(&d->bell);
	mye_task_end(&d->cap);
	mye_keeper_cpu_serve(d->c->waiter.pinned, false);
	__atomic_fetch_sub(&mye_keeper_counts()->proxies, 1, __ATOMIC_RELAXED);
	return 0;
}

int mye_proxy_shorten_cap(void *arg)
{
	struct mye_descriptor *d = arg;

	d->cap_at = mye_now() + MYE_NO_BARRIER_CAP_NS;
	set_timer(d);
	return 0;
}
