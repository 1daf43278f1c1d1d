/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a handle can be asked: positions, the table, descriptions, counters; and interrupt. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/opts.h"
#include "ring/call.h"
#include "ring/descriptor.h"
#include "ring/gate.h"
#include "ring/ring.h"
#include "segment/data.h"
#include "sys/sys.h"

int mye_opened_before_fork(const char *call)
{
	return mye_fail(
		-EPERM,
		"%s: this handle was opened before fork, or is closed; open one in this process",
		call);
}

int mye_wait_check(uint32_t wait)
{
	if (wait == MYELON_WAIT_FD)
		return mye_fail_static(-EINVAL, "wait strategy fd cannot be asked for; attach with "
		                                "another and call myelon_consumer_fd()");
	if (myelon_wait_name((enum myelon_wait)wait))
		return 0;
	return mye_fail(-EINVAL, "wait strategy %u is unknown", wait);
}

void mye_gating_changed(const struct mye_segment *seg)
{
	mye_point();
	/* Seq_cst: pairs with the producer's check of the generation after its fence (gate.c). */
	__atomic_fetch_add(&seg->shared->join.generation, 1, __ATOMIC_SEQ_CST);
	mye_ring_bell(&seg->shared->space.bell, &seg->shared->space.wake_ns);
	mye_point();
	mye_peers_changed(seg);
}

void mye_peers_changed(const struct mye_segment *seg)
{
	/* Release: pairs with the acquire load of who looks (peers_look.c). */
	__atomic_fetch_add(&seg->shared->space.peers, 1, __ATOMIC_RELEASE);
	mye_futex_wake_all(&seg->shared->space.peers);
}

static int64_t published(const struct mye_segment *seg)
{
	/* Acquire: pairs with the release store in myelon_publish(). */
	return __atomic_load_n(&seg->producer->hot.published, __ATOMIC_ACQUIRE);
}

/* What is published and not read; 0 if the word is out of range. */
static int64_t lag(const struct mye_segment *seg, int64_t next)
{
	int64_t n;

	return __builtin_sub_overflow(published(seg), next - 1, &n) || n < 0 ? 0 : n;
}

static int info_of(const struct mye_segment *seg, struct myelon_ring_info *info)
{
	struct myelon_ring_info own = {.size = sizeof(own)};

	mye_segment_describe(seg, &own);
	return mye_info_write(info, &own, sizeof(own), "ring info");
}

static int stats_of(const struct mye_waiter *w, uint64_t alerts, uint64_t lost,
                    struct myelon_handle_stats *stats)
{
	struct myelon_handle_stats own = w->stats;

	own.alerts = alerts;
	own.lost = lost;
	return mye_info_write(stats, &own, sizeof(own), "handle stats");
}

int64_t myelon_producer_published(const struct myelon_producer *p)
{
	return p->next - 1;
}

int64_t myelon_producer_minimum(struct myelon_producer *hot)
{
	struct mye_producer *p = mye_producer_of(hot);

	return p->magic == MYE_PRODUCER_MAGIC ? mye_gate_minimum(p) : -1;
}

int myelon_producer_data_fd(struct myelon_producer *hot)
{
	struct mye_producer *p = mye_producer_of(hot);

	return p->magic == MYE_PRODUCER_MAGIC ? mye_memfd_hand_over(&p->seg)
	                                      : mye_opened_before_fork("data_fd");
}

static int check_seq(const struct mye_producer *p, int64_t seq)
{
	if (p->magic != MYE_PRODUCER_MAGIC)
		return mye_opened_before_fork("is_consumed");
	if (seq < -1 || seq >= p->hot.next)
		return mye_fail(-EINVAL, "sequence %lld was never published; the last one is %lld",
		                (long long)seq, (long long)p->hot.next - 1);
	return 0;
}

int myelon_producer_is_consumed(struct myelon_producer *hot, int64_t seq)
{
	struct mye_producer *p = mye_producer_of(hot);
	int rc = check_seq(p, seq);

	return rc < 0 ? rc : mye_gate_minimum(p) >= seq;
}

int myelon_producer_wait_consumed(struct myelon_producer *hot, int64_t seq, int64_t deadline)
{
	struct mye_producer *p = mye_producer_of(hot);
	int rc = check_seq(p, seq);

	if (rc < 0)
		return rc;
	rc = mye_call_begin(&p->in_call, "producer");
	if (rc < 0)
		return rc;
	if (mye_gate_minimum(p) < seq)
		rc = deadline == MYELON_TRY ? -EAGAIN : mye_consumed_wait(p, seq, deadline);
	mye_call_end(&p->in_call);
	if (rc == -ECANCELED || rc == -EINTR)
		mye_fail_static(rc, "waiting until everything is read: interrupted");
	if (rc == -EAGAIN || rc == -ETIMEDOUT)
		mye_fail_static(rc,
		                "waiting until everything is read: not everybody has released it");
	return rc;
}

int myelon_producer_consumers(struct myelon_producer *hot, myelon_consumer_fn fn, void *ctx)
{
	struct mye_producer *p = mye_producer_of(hot);
	struct myelon_consumer_entry entry;
	int rc = 0;

	if (p->magic != MYE_PRODUCER_MAGIC)
		return mye_opened_before_fork("consumers");
	for (uint32_t i = 0; rc == 0 && i < p->seg.header.max_consumers; i++)
		if (mye_segment_entry(&p->seg, i, &entry))
			rc = fn(ctx, &entry);
	return rc;
}

struct find {
	const char *id;
	int64_t cursor;
};

static int find_id(void *ctx, const struct myelon_consumer_entry *entry)
{
	struct find *f = ctx;

	if (strcmp(entry->id, f->id) != 0)
		return 0;
	f->cursor = entry->cursor;
	return 1;
}

int myelon_producer_cursor(struct myelon_producer *hot, const char *id, int64_t *cursor)
{
	struct find f = {.id = id};
	int rc;

	if (!id || !cursor)
		return mye_fail_static(-EINVAL, "cursor: id or cursor is NULL");
	rc = myelon_producer_consumers(hot, find_id, &f);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return mye_fail(-ENOENT, "no consumer has the id %s", id);
	*cursor = f.cursor;
	return 0;
}

int myelon_producer_info(struct myelon_producer *hot, struct myelon_ring_info *info)
{
	struct mye_producer *p = mye_producer_of(hot);

	return p->magic == MYE_PRODUCER_MAGIC ? info_of(&p->seg, info)
	                                      : mye_opened_before_fork("info");
}

int myelon_producer_stats(const struct myelon_producer *hot, struct myelon_handle_stats *stats)
{
	const struct mye_producer *p = (const struct mye_producer *)(const void *)hot;

	if (p->magic != MYE_PRODUCER_MAGIC)
		return mye_opened_before_fork("stats");
	return stats_of(&p->waiter, p->alerts, 0, stats);
}

static int verify(const struct mye_segment *seg, struct myelon_ring_info *info)
{
	struct myelon_ring_info own;
	int wrong = mye_segment_verify(seg, &own), rc;

	if (wrong < 0)
		return wrong;
	rc = mye_info_write(info, &own, sizeof(own), "ring info");
	return rc < 0 ? rc : wrong;
}

int myelon_producer_verify(struct myelon_producer *hot, struct myelon_ring_info *info)
{
	struct mye_producer *p = mye_producer_of(hot);

	if (p->magic != MYE_PRODUCER_MAGIC)
		return mye_opened_before_fork("verify");
	return verify(&p->seg, info);
}

int myelon_consumer_verify(struct myelon_consumer *hot, struct myelon_ring_info *info)
{
	struct mye_consumer *c = mye_consumer_of(hot);

	if (c->magic != MYE_CONSUMER_MAGIC)
		return mye_opened_before_fork("verify");
	return verify(&c->seg, info);
}

int myelon_observer_verify(struct myelon_observer *hot, struct myelon_ring_info *info)
{
	struct mye_observer *o = mye_observer_of(hot);

	if (o->magic != MYE_OBSERVER_MAGIC)
		return mye_opened_before_fork("verify");
	return verify(&o->seg, info);
}

static int advice_of(const struct mye_segment *seg, uint32_t who, struct myelon_advice *advice)
{
	struct myelon_advice own;
	int rc = mye_segment_advise(seg, who, &own);

	return rc < 0 ? rc : mye_info_write(advice, &own, sizeof(own), "advice");
}

int myelon_producer_advice(const struct myelon_producer *hot, struct myelon_advice *advice)
{
	const struct mye_producer *p = (const struct mye_producer *)(const void *)hot;

	if (p->magic != MYE_PRODUCER_MAGIC)
		return mye_opened_before_fork("advice");
	return advice_of(&p->seg, MYE_ADVISE_PRODUCER, advice);
}

int myelon_consumer_advice(const struct myelon_consumer *hot, struct myelon_advice *advice)
{
	const struct mye_consumer *c = (const struct mye_consumer *)(const void *)hot;

	if (c->magic != MYE_CONSUMER_MAGIC)
		return mye_opened_before_fork("advice");
	return advice_of(&c->seg, c->index, advice);
}

/* Set the mark, then make any sleeper look: it re-reads the mark after each return of the futex. */
static void interrupt_handle(uint32_t *mark, uint32_t *bell, uint64_t *wake_ns)
{
	/* Release: pairs with the acquire exchange in mye_take_interrupt(). */
	__atomic_store_n(mark, 1, __ATOMIC_RELEASE);
	if (bell)
		mye_ring_bell(bell, wake_ns);
}

void myelon_producer_interrupt(struct myelon_producer *hot)
{
	struct mye_producer *p = mye_producer_of(hot);

	if (p->magic == MYE_PRODUCER_MAGIC)
		interrupt_handle(&p->interrupted, &p->seg.shared->space.bell,
		                 &p->seg.shared->space.wake_ns);
}

const char *myelon_consumer_id(const struct myelon_consumer *hot)
{
	return ((const struct mye_consumer *)(const void *)hot)->id;
}

int64_t myelon_consumer_cursor(const struct myelon_consumer *c)
{
	return c->next - 1;
}

int64_t myelon_consumer_published(const struct myelon_consumer *hot)
{
	const struct mye_consumer *c = (const struct mye_consumer *)(const void *)hot;

	return c->magic == MYE_CONSUMER_MAGIC ? published(&c->seg) : -1;
}

int64_t myelon_consumer_lag(const struct myelon_consumer *hot)
{
	const struct mye_consumer *c = (const struct mye_consumer *)(const void *)hot;

	return c->magic == MYE_CONSUMER_MAGIC ? lag(&c->seg, hot->next) : 0;
}

uint64_t myelon_consumer_epoch(const struct myelon_consumer *hot)
{
	const struct mye_consumer *c = (const struct mye_consumer *)(const void *)hot;

	if (c->magic != MYE_CONSUMER_MAGIC)
		return 0;
	/* Acquire: pairs with the release store of a new producer. */
	return __atomic_load_n(&c->seg.producer->slow.epoch, __ATOMIC_ACQUIRE);
}

int myelon_consumer_info(struct myelon_consumer *hot, struct myelon_ring_info *info)
{
	struct mye_consumer *c = mye_consumer_of(hot);

	return c->magic == MYE_CONSUMER_MAGIC ? info_of(&c->seg, info)
	                                      : mye_opened_before_fork("info");
}

int myelon_consumer_stats(const struct myelon_consumer *hot, struct myelon_handle_stats *stats)
{
	const struct mye_consumer *c = (const struct mye_consumer *)(const void *)hot;
	struct mye_waiter w;

	if (c->magic != MYE_CONSUMER_MAGIC)
		return mye_opened_before_fork("stats");
	/* The last refill is accounted for when the next one begins. */
	w = c->waiter;
	w.stats.waits += mye_refill_waited(c);
	mye_descriptor_count(c, &w.stats);
	return stats_of(&w, c->alerts, c->lost, stats);
}

void myelon_consumer_interrupt(struct myelon_consumer *hot)
{
	struct mye_consumer *c = mye_consumer_of(hot);

	if (c->magic == MYE_CONSUMER_MAGIC)
		interrupt_handle(&c->interrupted, &c->seg.shared->bell.doorbell,
		                 &c->seg.shared->bell.wake_ns);
}

int64_t myelon_observer_lag(const struct myelon_observer *hot)
{
	const struct mye_observer *o = (const struct mye_observer *)(const void *)hot;

	return o->magic == MYE_OBSERVER_MAGIC ? lag(&o->seg, o->next) : 0;
}

int myelon_observer_info(struct myelon_observer *hot, struct myelon_ring_info *info)
{
	struct mye_observer *o = mye_observer_of(hot);

	return o->magic == MYE_OBSERVER_MAGIC ? info_of(&o->seg, info)
	                                      : mye_opened_before_fork("info");
}

int myelon_observer_stats(const struct myelon_observer *hot, struct myelon_handle_stats *stats)
{
	const struct mye_observer *o = (const struct mye_observer *)(const void *)hot;

	if (o->magic != MYE_OBSERVER_MAGIC)
		return mye_opened_before_fork("stats");
	return stats_of(&o->waiter, 0, o->lost, stats);
}

void myelon_observer_interrupt(struct myelon_observer *hot)
{
	struct mye_observer *o = mye_observer_of(hot);

	if (o->magic != MYE_OBSERVER_MAGIC)
		return;
	interrupt_handle(&o->interrupted, o->seg.writable ? &o->seg.shared->bell.doorbell : NULL,
	                 o->seg.writable ? &o->seg.shared->bell.wake_ns : NULL);
}

int myelon_claim_fn(struct myelon_producer *p, uint32_t n, int64_t deadline,
                    struct myelon_span *span)
{
	return myelon_claim(p, n, deadline, span);
}

int myelon_publish_fn(struct myelon_producer *p, uint32_t n)
{
	return myelon_publish(p, n);
}

int myelon_publish_copy_fn(struct myelon_producer *p, const void *slots, uint32_t n,
                           int64_t deadline)
{
	return myelon_publish_copy(p, slots, n, deadline);
}

int myelon_peek_fn(struct myelon_consumer *c, uint32_t max, int64_t deadline,
                   struct myelon_view *view)
{
	return myelon_peek(c, max, deadline, view);
}

int myelon_release_fn(struct myelon_consumer *c, uint32_t n)
{
	return myelon_release(c, n);
}

int myelon_consume_copy_fn(struct myelon_consumer *c, void *slots, uint32_t max, int64_t deadline)
{
	return myelon_consume_copy(c, slots, max, deadline);
}
