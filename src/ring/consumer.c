/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The consumer: attach, close, waking and waiting for a producer. */
#include <myelon/consumer.h>

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "base/opts.h"
#include "liveness/lease.h"
#include "numa/pinning.h"
#include "ring/call.h"
#include "ring/descriptor.h"
#include "ring/gate.h"
#include "ring/join.h"
#include "ring/peer.h"
#include "sys/sys.h"

/* What cannot be had is said, and not needed: without a lease the producer has other ways to hear of us. */
static void lease_take(struct mye_consumer *c)
{
	if (!(c->flags & MYELON_F_LEASE))
		return;
	c->leased = mye_lease_take(&c->seg, MYE_LEASE_ENTRY(c->index)) == 0;
	if (!c->leased)
		mye_warn("ring %s: consumer %s: %s", c->seg.place.name, c->id, myelon_last_error());
}

/* Before the lock is given up: the next owner of the entry writes the same word. */
static void lease_release(struct mye_consumer *c)
{
	if (c->leased)
		mye_lease_release(&c->seg, MYE_LEASE_ENTRY(c->index));
	c->leased = false;
}

static void handle_drop(struct mye_consumer *c)
{
	lease_release(c);
	mye_peer_close(&c->peer);
	mye_segment_leave(&c->seg);
	mye_handle_free(c, sizeof(*c));
}

static void arm(struct mye_consumer *c, const struct mye_join *j, uint32_t flags)
{
	struct mye_entry *e = &c->seg.entries[j->index];

	mye_waiter_init(&c->waiter, j->wait, &c->seg, &e->slow.parked);
	mye_peer_init(&c->peer, &c->seg);
	c->index = j->index;
	c->flags = flags;
	mye_gather_init(&c->gather);
	c->lost = j->lost;
	mye_entry_id(&c->seg, j->index, c->id);
	c->hot.published = &c->seg.producer->hot.published;
	c->refill_from = -1;
	c->hot.run = c->seg.header.slots;
	c->hot.relax = c->waiter.strategy != MYELON_WAIT_SPIN;
	c->hot.next = j->cursor + 1;
	c->hot.end = c->hot.held = c->hot.next;
	c->hot.data = c->seg.data;
	c->hot.mask = c->seg.header.slots - 1;
	c->hot.slot_size = c->seg.header.slot_size;
	c->hot.fence = c->waiter.full_fence;
	c->hot.cursor = &e->hot.cursor;
	c->hot.evicted = &e->hot.evicted;
	c->hot.generation = j->generation;
	c->hot.space_target = &c->seg.producer->space.space_target;
	c->magic = MYE_CONSUMER_MAGIC;
}

static int check_opts(const struct myelon_attach_opts *opts)
{
	int rc = mye_wait_check(opts->wait);

	if (rc < 0)
		return rc;
	if (opts->start > MYELON_START_RESUME)
		return mye_fail(-EINVAL, "start %u is unknown", opts->start);
	if (opts->start == MYELON_START_RESUME && !opts->id)
		return mye_fail_static(-EINVAL,
		                       "start resume needs an id: set the id of the consumer "
		                       "that is to go on");
	return opts->id ? mye_id_check(opts->id) : 0;
}

static int join(struct myelon_consumer **out, const char *name,
                const struct myelon_attach_opts *opts, enum myelon_kind kind)
{
	const struct mye_attach want = mye_attach_of(opts, MYE_ROLE_CONSUMER, kind);
	struct mye_consumer *c = mye_handle_alloc(sizeof(*c));
	struct mye_join j = {0};
	int rc;

	if (!c)
		return -ENOMEM;
	c->bytes = sizeof(*c);
	c->seg.control_fd = c->seg.data_fd = c->seg.dir_fd = -1;
	rc = mye_segment_attach(&c->seg, name, &want);
	if (rc == 0) {
		j.id = opts->id;
		j.start = (enum myelon_start)opts->start;
		j.wait = (enum myelon_wait)opts->wait;
		j.deadline = want.deadline;
		/* Registered before the entry gates: from then on it is somebody's light side. Not where
		 * nobody calls membarrier: who is registered is interrupted on behalf of other rings. */
		if (c->seg.header.fence != MYELON_FENCE_FULL)
			mye_membarrier_register();
		rc = mye_join_ring(&c->seg, &j);
	}
	if (rc < 0) {
		handle_drop(c);
		return rc;
	}
	arm(c, &j, opts->flags);
	lease_take(c);
	*out = &c->hot;
	return 0;
}

int mye_consumer_join(struct myelon_consumer **out, const char *name,
                      const struct myelon_attach_opts *user, enum myelon_kind kind)
{
	struct myelon_attach_opts opts;
	struct mye_pinned pinned;
	int rc;

	if (!out)
		return mye_fail_static(-EINVAL, "consumer attach: the out pointer is NULL");
	*out = NULL;
	rc = mye_opts_read(&opts, sizeof(opts), MYE_ATTACH_OPTS_FIRST, user, "attach options");
	if (rc == 0)
		rc = check_opts(&opts);
	if (rc == 0)
		rc = mye_pin_begin(opts.pin, &pinned);
	return rc < 0 ? rc : mye_pin_end(&pinned, join(out, name, &opts, kind));
}

int myelon_consumer_attach(struct myelon_consumer **out, const char *name,
                           const struct myelon_attach_opts *opts)
{
	return mye_consumer_join(out, name, opts, MYELON_KIND_RAW);
}

void myelon_consumer_close(struct myelon_consumer *hot)
{
	struct mye_consumer *c = mye_consumer_of(hot);

	if (!c)
		return;
	if (c->magic != MYE_CONSUMER_MAGIC) {
		mye_handle_free(c, sizeof(*c));
		return;
	}
	mye_member_leave(c->member);
	hot->end = hot->held = hot->next;
	mye_descriptor_close(c);
	c->magic = 0;
	mye_leave_ring(&c->seg, c->index, hot->generation, hot->next - 1);
	handle_drop(c);
}

void myelon_consumer_wake(struct myelon_consumer *hot)
{
	struct mye_consumer *c = mye_consumer_of(hot);

	c->waiter.stats.wakes++;
	mye_ring_bell(&c->seg.shared->space.bell, &c->seg.shared->space.wake_ns);
}

int myelon_consumer_wait_producer(struct myelon_consumer *hot, int64_t deadline)
{
	struct mye_consumer *c = mye_consumer_of(hot);
	uint64_t epoch = c->peer.epoch;
	int rc;

	if (c->magic != MYE_CONSUMER_MAGIC)
		return mye_opened_before_fork("wait_producer");
	for (;;) {
		struct mye_shared_page *sh = c->seg.shared;
		/* Acquire: pairs with the bell of a new producer (announce_takeover). */
		uint32_t bell = __atomic_load_n(&sh->bell.doorbell, __ATOMIC_ACQUIRE);
		int v = mye_peer_ask(&c->peer, &c->seg);

		if (v == 0 || c->peer.epoch != epoch)
			return 0;
		if (mye_take_interrupt(&c->interrupted))
			return mye_fail_static(-ECANCELED, "wait_producer: interrupted");
		if (!mye_segment_named(&c->seg))
			return mye_fail(-ENOENT, "ring %s was removed; attach to a new one",
			                c->seg.place.name);
		if (deadline == MYELON_TRY || mye_now() >= deadline)
			return mye_fail(deadline == MYELON_TRY ? -EAGAIN : -ETIMEDOUT,
			                "ring %s: no new producer came", c->seg.place.name);
		/* A new producer rings unconditionally: no flag and so no barrier is needed. */
		c->waiter.park_begun_ns = mye_now();
		rc = mye_waiter_park(&c->waiter, &c->seg, &sh->bell.doorbell, bell,
		                     &sh->bell.wake_ns, deadline);
		if (rc == -EINTR && (c->flags & MYELON_F_EINTR))
			return mye_fail_static(-EINTR, "wait_producer: a signal came");
		if (rc == -EFAULT)
			return mye_fail_static(-EPROTO,
			                       "wait_producer: the control file was truncated");
	}
}
