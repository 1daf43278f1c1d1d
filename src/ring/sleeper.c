/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "ring/sleeper.h"

#include <errno.h>

#include "base/error.h"
#include "ring/blocked.h"
#include "ring/gate.h"
#include "ring/peer.h"
#include "sys/sys.h"

const uint32_t *mye_consumer_bell(const struct mye_consumer *c)
{
	return &c->seg.shared->bell.doorbell;
}

const uint32_t *mye_producer_bell(const struct mye_producer *p)
{
	return &p->seg.shared->space.bell;
}

/* For tools. Who sleeps on a descriptor counts as asleep until it is found to have something. */
static void show_asleep(struct mye_consumer *c, uint32_t asleep)
{
	uint32_t *word = c->waiter.parked_word;

	if (word && __atomic_load_n(word, __ATOMIC_RELAXED) != asleep)
		__atomic_store_n(word, asleep, __ATOMIC_RELAXED);
}

void mye_consumer_announce(struct mye_consumer *c, uint32_t flags)
{
	uint32_t *parked = &c->seg.shared->park.parked;

	show_asleep(c, 1);
	/* Somebody else's announcement is as good: whoever takes it raises the bell after that, and
	   not before we listened, or we would see it taken (docs/ordering.md). The line stays shared.
	   Not for descriptors: who takes the flag rings no bell then, but goes through the marks, and
	   ours must be seen by whoever takes the flag that we rely on. */
	if (!(flags & MYE_PARKED_FD) &&
	    (__atomic_load_n(parked, __ATOMIC_RELAXED) & flags) == flags)
		return;
	mye_point();
	/* Seq_cst: pairs with the publisher's exchange; with the barrier that follows, the look sees
	   every publish whose publisher did not see the flag (docs/ordering.md). */
	__atomic_fetch_or(parked, flags, __ATOMIC_SEQ_CST);
	mye_point();
}

bool mye_consumer_announced(const struct mye_consumer *c)
{
	return __atomic_load_n(&c->seg.shared->park.parked, __ATOMIC_RELAXED) & MYE_PARKED_FUTEX;
}

void mye_producer_announce(struct mye_producer *p, uint32_t n)
{
	int64_t need = p->hot.next + n - 1 - (int64_t)p->seg.header.window;
	int64_t *target = &p->seg.producer->space.space_target;

	/* Only we write it. */
	if (__atomic_load_n(target, __ATOMIC_RELAXED) == need)
		return;
	mye_point();
	__atomic_store_n(target, need, __ATOMIC_RELAXED);
	mye_point();
	mye_blocked_show(p, need, 0);
}

void mye_producer_withdraw(struct mye_producer *p)
{
	__atomic_store_n(&p->seg.producer->space.space_target, INT64_MAX, __ATOMIC_RELAXED);
	mye_blocked_end(p, true, 0);
}

bool mye_sleepers_barrier(bool full_only)
{
	bool called = full_only || mye_membarrier() == 0;

	/* Pairs with the fence of publish and release in full mode (docs/ordering.md). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return called;
}

/* Nothing new: is that because the producer is gone? */
static int verdict(struct mye_consumer *c)
{
	int v = mye_peer_ask(&c->peer, &c->seg);
	int64_t published;

	if (v == 0)
		return 0;
	/* Acquire: pairs with the release store in myelon_publish(). */
	published = __atomic_load_n(c->hot.published, __ATOMIC_ACQUIRE);
	return published != c->hot.next - 1 ? mye_consumer_look(c, false)
	                                    : mye_peer_confirm(&c->peer, &c->seg, v);
}

uint64_t mye_consumer_epoch_now(const struct mye_consumer *c)
{
	/* Acquire: pairs with the release store of a new producer (announce_takeover). */
	return __atomic_load_n(&c->seg.producer->slow.epoch, __ATOMIC_ACQUIRE);
}

int mye_consumer_news(struct mye_consumer *c)
{
	uint64_t have;

	if (__atomic_load_n(&c->interrupted, __ATOMIC_RELAXED))
		return -ECANCELED;
	if (__atomic_load_n(c->hot.evicted, __ATOMIC_RELAXED) >= c->hot.generation)
		return -ESTALE;
	/* Acquire: pairs with the release store in myelon_publish(). */
	have = (uint64_t)__atomic_load_n(c->hot.published, __ATOMIC_ACQUIRE) -
	       (uint64_t)(c->hot.next - 1);
	if (have > c->hot.mask + 1)
		return -EPROTO;
	if (have)
		show_asleep(c, 0);
	return have > INT32_MAX ? INT32_MAX : (int)have;
}

int mye_consumer_look(struct mye_consumer *c, bool ask)
{
	int have = mye_consumer_news(c);

	if (have == 0 && (ask || mye_peer_changed(&c->peer, &c->seg)))
		return verdict(c);
	return have;
}

int mye_producer_look(struct mye_producer *p, uint32_t n)
{
	if (__atomic_load_n(&p->interrupted, __ATOMIC_RELAXED))
		return -ECANCELED;
	return (uint64_t)(p->hot.end - p->hot.next) >= n || mye_gate_extend(p, n, true);
}
