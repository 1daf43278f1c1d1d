/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The producer: create, take over, close, and the slow paths of claim and publish. */
#include <myelon/producer.h>

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "base/opts.h"
#include "liveness/lease.h"
#include "numa/pinning.h"
#include "ring/adopt.h"
#include "ring/call.h"
#include "ring/coordination.h"
#include "ring/gate.h"
#include "ring/guard.h"
#include "sys/sys.h"

/* Memory of a handle: itself, the gate's list and what it knows of each entry. */
static size_t handle_bytes(uint32_t consumers)
{
	return sizeof(struct mye_producer) +
	       (consumers + 1) * (sizeof(struct mye_gate_entry) + sizeof(uint32_t));
}

static struct mye_producer *handle_new(uint32_t consumers)
{
	size_t bytes = handle_bytes(consumers);
	struct mye_producer *p = mye_handle_alloc(bytes);

	if (!p)
		return NULL;
	p->bytes = bytes;
	p->seg.control_fd = p->seg.data_fd = p->seg.dir_fd = -1;
	p->gate.known = (struct mye_gate_entry *)(void *)(p + 1);
	p->gate.list = (uint32_t *)(void *)(p->gate.known + consumers + 1);
	return p;
}

/* What cannot be had is said, and not needed: without a lease a death is found at the sleepers' caps. */
static void lease_take(struct mye_producer *p)
{
	if (!(p->flags & MYELON_F_LEASE))
		return;
	p->leased = mye_lease_take(&p->seg, MYE_LEASE_PRODUCER) == 0;
	if (!p->leased)
		mye_warn("ring %s: %s", p->seg.place.name, myelon_last_error());
}

/* Before the lock is given up: the next producer writes the same word. */
static void lease_release(struct mye_producer *p)
{
	if (p->leased)
		mye_lease_release(&p->seg, MYE_LEASE_PRODUCER);
	p->leased = false;
}

static void handle_drop(struct mye_producer *p)
{
	mye_guard_close(p);
	mye_whom_free(p->wait_for);
	lease_release(p);
	mye_segment_leave(&p->seg);
	mye_handle_free(p, p->bytes);
}

/* The ring's fence mode for what the caller asked and this process may do. */
static int resolve_fence(uint32_t asked, enum myelon_fence *fence)
{
	int rc = asked == MYELON_FENCE_FULL ? -ENOSYS : mye_membarrier_register();

	if (rc < 0 && asked == MYELON_FENCE_ASYM)
		return mye_fail(rc,
		                "membarrier is not available to this process; use fence auto or "
		                "full");
	*fence = rc < 0 ? MYELON_FENCE_FULL : MYELON_FENCE_ASYM;
	return 0;
}

/* Fill the private and hot part from a mapped segment whose producer lock we hold. */
static void arm(struct mye_producer *p, uint32_t wait, uint32_t flags)
{
	struct mye_producer_page *page = p->seg.producer;

	mye_waiter_init(&p->waiter, (enum myelon_wait)wait, &p->seg, &page->slow.parked);
	p->flags = flags;
	p->hot.data = p->seg.data;
	p->hot.mask = p->seg.header.slots - 1;
	p->hot.slot_size = p->seg.header.slot_size;
	p->hot.fence = p->waiter.full_fence;
	p->hot.published = &page->hot.published;
	p->hot.parked = &p->seg.shared->park.parked;
	p->hot.next = __atomic_load_n(&page->hot.published, __ATOMIC_RELAXED) + 1;
	p->hot.end = p->hot.claimed = p->hot.next;
	p->hold_need = page->slow.hold_need;
	p->hold_max = page->slow.hold_max;
	mye_gate_reset(p);
	p->magic = MYE_PRODUCER_MAGIC;
}

static int remember_wait_for(struct mye_producer *p, const struct myelon_wait_for *whom)
{
	if (mye_wait_for_empty(whom))
		return 0;
	p->wait_for = mye_whom_copy(whom);
	return p->wait_for ? 0 : -ENOMEM;
}

static int wait_for_timeout(struct mye_producer *p, int64_t ns)
{
	int64_t deadline = MYELON_FOREVER;
	int rc;

	if (!p->wait_for)
		return 0;
	if (ns == 0)
		ns = MYE_WAIT_FOR_DEFAULT_NS;
	if (ns != MYELON_FOREVER)
		deadline = myelon_deadline_after(ns);
	rc = mye_wait_for(p, &p->wait_for->list, deadline);
	if (rc == 0 && !p->hold_by_count)
		mye_gate_end_hold(p);
	return rc;
}

static int make(struct myelon_producer **out, const char *name, const struct myelon_ring_opts *opts,
                enum myelon_kind kind, enum myelon_fence fence)
{
	struct mye_producer *p = handle_new(opts->max_consumers);
	int rc;

	if (!p)
		return -ENOMEM;
	rc = remember_wait_for(p, &opts->wait_for);
	if (rc == 0)
		rc = mye_segment_build(&p->seg, name, opts, kind, fence);
	if (rc < 0)
		goto fail;
	arm(p, opts->wait, opts->flags);
	p->hold_by_count = opts->buffer_until > 0;
	lease_take(p);
	rc = mye_segment_publish(&p->seg);
	if (rc < 0)
		goto fail;
	rc = wait_for_timeout(p, opts->wait_timeout_ns);
	if (rc < 0) {
		myelon_producer_close(&p->hot);
		return rc;
	}
	*out = &p->hot;
	return 0;
fail:
	handle_drop(p);
	return rc;
}

int mye_producer_make(struct myelon_producer **out, const char *name,
                      const struct myelon_ring_opts *user, enum myelon_kind kind)
{
	struct myelon_ring_opts opts;
	enum myelon_fence fence = MYELON_FENCE_FULL;
	struct mye_pinned pinned;
	int rc;

	if (!out)
		return mye_fail_static(-EINVAL, "producer create: the out pointer is NULL");
	*out = NULL;
	rc = mye_opts_read(&opts, sizeof(opts), MYE_RING_OPTS_FIRST, user, "ring options");
	if (rc < 0)
		return rc;
	if (opts.max_consumers == 0)
		opts.max_consumers = 64;
	if (opts.max_consumers > MYELON_MAX_CONSUMERS)
		return mye_fail(-EINVAL, "max_consumers is %u; at most %d are possible",
		                opts.max_consumers, MYELON_MAX_CONSUMERS);
	rc = mye_wait_for_check(&opts.wait_for, opts.max_consumers);
	if (rc == 0)
		rc = mye_wait_check(opts.wait);
	if (rc == 0)
		rc = resolve_fence(opts.fence, &fence);
	if (rc == 0)
		rc = mye_pin_begin(opts.pin, &pinned);
	return rc < 0 ? rc : mye_pin_end(&pinned, make(out, name, &opts, kind, fence));
}

/* Words a dead predecessor may have left half changed. Runs under its lock, and may be killed too. */
static int repair(struct mye_producer *p)
{
	struct mye_producer_page *page = p->seg.producer;
	int64_t published = __atomic_load_n(&page->hot.published, __ATOMIC_RELAXED);
	int64_t ceiling = __atomic_load_n(&page->gate.ceiling, __ATOMIC_RELAXED);
	uint32_t max = p->seg.header.max_consumers, window = p->seg.header.window;

	if (published < -1 || ceiling > INT64_MAX / 2 || ceiling < published ||
	    ceiling - published > (int64_t)window)
		return mye_fail(
			-EPROTO,
			"ring %s: published %lld and ceiling %lld do not fit together; remove it "
			"and create it anew",
			p->seg.place.name, (long long)published, (long long)ceiling);
	__atomic_store_n(&page->space.space_target, INT64_MAX, __ATOMIC_RELAXED);
	__atomic_store_n(&page->slow.parked, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&page->report.blocked_ns, 0, __ATOMIC_RELAXED);
	for (int i = 0; i < MYE_FRAME_MARKS; i++)
		if (__atomic_load_n(&page->frame_marks[i], __ATOMIC_RELAXED) > published)
			__atomic_store_n(&page->frame_marks[i], -1, __ATOMIC_RELAXED);
	if (page->slow.hold_need > max)
		page->slow.hold_need = max;
	if (page->slow.hold_max == 0 || page->slow.hold_max > window)
		page->slow.hold_max = window;
	return 0;
}

/* Become the producer of record: identity, epoch + 1, then tell everyone who waits. */
static void announce_takeover(struct mye_producer *p)
{
	struct mye_producer_page *page = p->seg.producer;
	struct mye_identity own;

	mye_identify(&own);
	mye_identity_write(&page->identity, &own);
	__atomic_store_n(&page->report.since_ns, mye_realtime(), __ATOMIC_RELAXED);
	__atomic_store_n(&page->slow.wait, p->waiter.strategy, __ATOMIC_RELAXED);
	mye_point();
	/* Before the epoch: who looks once for each, finds the lease that belongs to it. */
	mye_lease_clear(&p->seg, MYE_LEASE_PRODUCER);
	lease_take(p);
	/* Release: pairs with the acquire load of the state in consumers. Before the epoch: a reader
	   must not find the new epoch with the old "closed". */
	__atomic_store_n(&page->slow.state, MYE_PRODUCER_OPEN, __ATOMIC_RELEASE);
	mye_point();
	/* Release: pairs with the acquire load of the epoch in consumers (peer.c). */
	__atomic_store_n(&page->slow.epoch, page->slow.epoch + 1, __ATOMIC_RELEASE);
	mye_point();
	__atomic_store_n(&p->seg.shared->park.parked, 0, __ATOMIC_SEQ_CST);
	mye_ring_bell(&p->seg.shared->bell.doorbell, &p->seg.shared->bell.wake_ns);
	mye_ring_bell(&p->seg.shared->space.bell, &p->seg.shared->space.wake_ns);
	mye_peers_changed(&p->seg);
}

/* @p page is ours, and final. */
static void say_closed(struct mye_producer_page *page)
{
	/* First: who finds the next epoch already is told by it how this one ended. */
	__atomic_store_n(&page->hot.closed_epoch, (uint32_t)page->slow.epoch, __ATOMIC_RELAXED);
	mye_point();
	/* Release: pairs with the acquire load of the state in consumers; published is final. */
	__atomic_store_n(&page->slow.state, MYE_PRODUCER_CLOSED, __ATOMIC_RELEASE);
	mye_point();
}

/* A takeover that failed leaves the ring as it was: still dead, or still closed; never removed by us. */
static void give_back(struct mye_producer *p, bool closed)
{
	struct mye_shared_page *sh = p->seg.shared;

	p->hot.end = p->hot.claimed = p->hot.next;
	p->magic = 0;
	if (closed)
		say_closed(p->seg.producer);
	mye_adoption_close(p);
	lease_release(p);
	mye_role_drop(&p->seg, MYE_LOCK_PRODUCER);
	mye_ring_bell(&sh->bell.doorbell, &sh->bell.wake_ns);
	mye_peers_changed(&p->seg);
	handle_drop(p);
}

static int take_over(struct myelon_producer **out, const char *name,
                     const struct myelon_open_opts *opts, enum myelon_kind kind)
{
	const struct mye_attach want = {
		.role = MYE_ROLE_PRODUCER,
		.flags = opts->flags,
		.kind = kind,
		.slot_size = opts->slot_size,
		.schema = opts->schema,
		.shm_dir = opts->shm_dir,
		.hugetlb_dir = opts->hugetlb_dir,
	};
	struct mye_producer *p = handle_new(MYELON_MAX_CONSUMERS);
	bool closed;
	int rc;

	if (!p)
		return -ENOMEM;
	rc = remember_wait_for(p, &opts->wait_for);
	if (rc == 0)
		rc = mye_segment_attach(&p->seg, name, &want);
	if (rc == 0)
		rc = repair(p);
	if (rc < 0) {
		handle_drop(p);
		return rc;
	}
	arm(p, opts->wait, opts->flags);
	p->hold_by_count = true;
	closed = p->seg.producer->slow.state == MYE_PRODUCER_CLOSED;
	announce_takeover(p);
	rc = wait_for_timeout(p, opts->wait_timeout_ns);
	if (rc < 0) {
		give_back(p, closed);
		return rc;
	}
	*out = &p->hot;
	return 0;
}

int mye_producer_takeover(struct myelon_producer **out, const char *name,
                          const struct myelon_open_opts *user, enum myelon_kind kind)
{
	struct myelon_open_opts opts;
	struct mye_pinned pinned;
	int rc;

	if (!out)
		return mye_fail_static(-EINVAL, "producer open: the out pointer is NULL");
	*out = NULL;
	rc = mye_opts_read(&opts, sizeof(opts), MYE_OPEN_OPTS_FIRST, user, "open options");
	if (rc == 0)
		rc = mye_wait_for_check(&opts.wait_for, MYELON_MAX_CONSUMERS);
	if (rc == 0)
		rc = mye_wait_check(opts.wait);
	if (rc == 0)
		rc = mye_pin_begin(opts.pin, &pinned);
	return rc < 0 ? rc : mye_pin_end(&pinned, take_over(out, name, &opts, kind));
}

int myelon_producer_create(struct myelon_producer **out, const char *name,
                           const struct myelon_ring_opts *opts)
{
	return mye_producer_make(out, name, opts, MYELON_KIND_RAW);
}

int myelon_producer_open(struct myelon_producer **out, const char *name,
                         const struct myelon_open_opts *opts)
{
	return mye_producer_takeover(out, name, opts, MYELON_KIND_RAW);
}

void myelon_producer_close(struct myelon_producer *hot)
{
	struct mye_producer *p = mye_producer_of(hot);

	if (!p)
		return;
	if (p->magic != MYE_PRODUCER_MAGIC) {
		mye_handle_free(p, handle_bytes(0));
		return;
	}
	mye_member_leave(p->member);
	hot->end = hot->claimed = hot->next;
	hot->managed_end = 0;
	p->magic = 0;
	mye_point();
	say_closed(p->seg.producer);
	__atomic_store_n(&p->seg.shared->park.parked, 0, __ATOMIC_SEQ_CST);
	mye_ring_bell(&p->seg.shared->bell.doorbell, &p->seg.shared->bell.wake_ns);
	mye_peers_changed(&p->seg);
	mye_adoption_close(p);
	handle_drop(p);
}

/* Why a wait for room, or until all is read, ended. */
static const char *blocked(int rc)
{
	switch (rc) {
	case -ECANCELED:
		return "claim: interrupted";
	case -EINTR:
		return "claim: a signal came";
	default:
		return "claim: no room; the slowest consumer has not released enough";
	}
}

/* There is no room: wait for it, and with @p g watch who is in the way. */
static int wait_for_room(struct mye_producer *p, uint32_t n, int64_t deadline, struct mye_guard *g)
{
	int64_t need = p->hot.next + n - 1 - (int64_t)p->seg.header.window, now;
	int rc = -EAGAIN;

	if (deadline != MYELON_TRY) {
		rc = mye_room_wait(p, n, deadline, g);
	} else if (g) {
		now = mye_now();
		if (now >= g->look_at && mye_guard_look(p, g, need, now, false) < 0)
			return g->failed;
	}
	if (rc < 0 && rc != -EPROTO && !(g && g->failed))
		mye_fail_static(rc, blocked(rc));
	return rc;
}

int myelon_claim_slow(struct myelon_producer *hot, uint32_t n, int64_t deadline)
{
	struct mye_producer *p = mye_producer_of(hot);
	struct mye_guard *g = p->as_managed ? p->guard : NULL;
	int rc = 0;

	if (p->magic != MYE_PRODUCER_MAGIC)
		return mye_opened_before_fork("claim");
	if (n == 0)
		return mye_fail_static(-EINVAL, "claim: 0 slots were asked for");
	if (hot->claimed > hot->next)
		return mye_fail_static(-EINVAL,
		                       "claim: the last claim is still open; publish or cancel it");
	if (n > p->seg.header.window)
		return mye_fail(-EMSGSIZE, "claim: %u slots were asked for, the window has %u", n,
		                p->seg.header.window);
	rc = mye_call_begin(&p->in_call, "producer");
	if (rc < 0)
		return rc;
	if (g)
		rc = mye_guard_start(p, g, deadline);
	if (rc == 0 && !mye_gate_extend(p, n, false))
		rc = wait_for_room(p, n, deadline, g);
	mye_call_end(&p->in_call);
#ifdef MYE_SINGLE_MAP
	if (rc == 0 && hot->end - hot->next < n)
		return mye_fail_static(-EMSGSIZE,
		                       "claim: this build does not map the ring twice, a "
		                       "claim must not cross its end");
#endif
	return rc;
}

int myelon_publish_slow(struct myelon_producer *hot, uint32_t n)
{
	struct mye_producer *p = mye_producer_of(hot);

	if (p->magic != MYE_PRODUCER_MAGIC)
		return mye_opened_before_fork("publish");
	return mye_fail(-EINVAL, "publish: %u slots, but %lld are claimed", n,
	                (long long)(hot->claimed - hot->next));
}

int myelon_cancel(struct myelon_producer *hot)
{
	struct mye_producer *p = mye_producer_of(hot);

	if (p->magic != MYE_PRODUCER_MAGIC)
		return mye_opened_before_fork("cancel");
	if (hot->claimed <= hot->next)
		return mye_fail_static(-EINVAL, "cancel: no claim is open");
	hot->claimed = hot->next;
	return 0;
}

void myelon_producer_wake(struct myelon_producer *hot)
{
	struct mye_producer *p = mye_producer_of(hot);
	struct mye_shared_page *sh = p->seg.shared;
	uint32_t flags;

	mye_point();
	/* Acq_rel: pairs with the fetch_or of a parking consumer; one wake per announcement. */
	flags = __atomic_exchange_n(&sh->park.parked, 0, __ATOMIC_ACQ_REL);
	if (flags == 0)
		return;
	p->waiter.stats.wakes++;
	mye_raise_bell(&sh->bell.doorbell, &sh->bell.wake_ns);
	if ((flags & MYE_PARKED_FD) && mye_adopted_wake(p))
		flags |= MYE_PARKED_FUTEX;
	if (flags & MYE_PARKED_FUTEX)
		mye_futex_wake_all(&sh->bell.doorbell);
}
