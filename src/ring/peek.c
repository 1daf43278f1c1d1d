/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The slow paths of peek and release: polling, then sleeping, until something is there. */
#include <myelon/consumer.h>

#include <errno.h>

#include "base/error.h"
#include "ring/call.h"
#include "ring/descriptor.h"
#include "ring/gate.h"
#include "ring/peer.h"
#include "segment/map.h"
#include "sys/sys.h"

#define PARKED_POLLS 1000 /* what a sleep counts for: whoever slept did not follow closely */

static bool evicted(const struct mye_consumer *c)
{
	return __atomic_load_n(c->hot.evicted, __ATOMIC_RELAXED) >= c->hot.generation;
}

static int stale(const struct mye_consumer *c)
{
	return mye_fail(
		-ESTALE,
		"consumer %s was evicted from ring %s; what was read since the last peek may have "
		"been overwritten; close and attach again",
		c->id, c->seg.place.name);
}

static int64_t load_published(const struct mye_consumer *c)
{
	/* Acquire: pairs with the release store in myelon_publish(); the slots up to it are written. */
	return __atomic_load_n(c->hot.published, __ATOMIC_ACQUIRE);
}

static int broken_producer(struct mye_consumer *c, int64_t published)
{
	c->alerts++;
	return mye_fail(-EPROTO,
	                "ring %s: published is %lld, but we have read up to %lld of a ring of %llu "
	                "slots; its producer is broken",
	                c->seg.place.name, (long long)published, (long long)c->hot.next - 1,
	                (unsigned long long)c->seg.header.slots);
}

/* What may be taken in one piece: everything, where the data is mapped twice in a row. */
static inline uint64_t run_of(const struct mye_consumer *c)
{
	uint64_t slots = c->hot.mask + 1;

	return MYE_MIRRORS > 1 ? slots : slots - ((uint64_t)c->hot.next & c->hot.mask);
}

/* Take what was published, once it is known to be more than we have. @return how much, or negative. */
static inline int take(struct mye_consumer *c, int64_t published)
{
	/* Unsigned: what is out of range wraps, and is out of range then too. */
	uint64_t have = (uint64_t)published - (uint64_t)(c->hot.next - 1);

	if (__builtin_expect(have > c->hot.mask + 1, 0))
		return broken_producer(c, published);
	if (have > run_of(c))
		have = run_of(c);
	c->hot.end = c->hot.next + (int64_t)have;
	return (int)have;
}

/* What ends a call whether something is there or not. @return 0, -ECANCELED, -ESTALE. */
static inline int stopped(struct mye_consumer *c)
{
	if (__builtin_expect(__atomic_load_n(&c->interrupted, __ATOMIC_RELAXED), 0) &&
	    mye_take_interrupt(&c->interrupted))
		return mye_fail_static(-ECANCELED, "peek: interrupted");
	return __builtin_expect(evicted(c), 0) ? stale(c) : 0;
}

/* Is there something up to @p published that we have not? @return how much, with hot.end raised; negative. */
static int look_at(struct mye_consumer *c, int64_t published)
{
	int rc = stopped(c);

	return rc || published == c->hot.next - 1 ? rc : take(c, published);
}

static int look(struct mye_consumer *c)
{
	return look_at(c, load_published(c));
}

/* Is the producer gone? @return 0: no, > 0: something came meanwhile, < 0: it is, all is read. */
static int verdict(struct mye_consumer *c)
{
	int v = mye_peer_ask(&c->peer, &c->seg), rc;

	if (v == 0)
		return 0;
	rc = look(c);
	return rc ? rc : mye_peer_confirm(&c->peer, &c->seg, v);
}

/* One turn of the sleep loop: bell, lease, flag, barrier, check, sleep. Any return starts it from the top. */
static int park(struct mye_consumer *c, int64_t deadline)
{
	struct mye_shared_page *sh = c->seg.shared;
	/* Acquire: pairs with mye_ring_bell(): what the ringer did before is seen below. */
	uint32_t bell = __atomic_load_n(&sh->bell.doorbell, __ATOMIC_ACQUIRE);
	uint32_t lease = mye_peer_lease(&c->seg);
	int rc, found;

	mye_point();
	/* Seq_cst: pairs with the publisher's exchange; with the barrier below the re-check sees
	   every publish whose publisher did not see the flag (docs/ordering.md). */
	__atomic_fetch_or(&sh->park.parked, MYE_PARKED_FUTEX, __ATOMIC_SEQ_CST);
	mye_point();
	mye_waiter_barrier(&c->waiter);
	rc = look(c);
	if (rc == 0 && mye_peer_to_ask(&c->peer, &c->seg, lease))
		rc = verdict(c);
	if (rc)
		return rc;
	rc = mye_peer_park(&c->peer, &c->waiter, &c->seg, bell, lease, deadline);
	if (rc == -EINTR && (c->flags & MYELON_F_EINTR))
		return mye_fail_static(-EINTR, "peek: a signal came");
	if (rc == -EFAULT)
		return mye_fail(-EPROTO, "ring %s: its control file was truncated",
		                c->seg.place.name);
	found = look(c);
	c->waiter.stats.caps_found += rc == 1 && found > 0;
	return found || !mye_peer_due(&c->peer) ? found : verdict(c);
}

/*
 * Poll up to @p n times, or until an interrupt. The value found is the value used: a second load would
 * take the line from the producer once more. @return published; *polls counts.
 */
static int64_t poll(struct mye_consumer *c, int64_t have, uint32_t n, uint32_t *polls)
{
	int64_t published = have;

	for (uint32_t i = 0; i < n && published == have; i++) {
		++*polls;
		if (c->hot.relax)
			myelon_relax();
		published = load_published(c);
		if (__atomic_load_n(&c->interrupted, __ATOMIC_RELAXED))
			break;
	}
	return published;
}

/* Nothing is there: whoever waits for the descriptor is told when that changes. @p rc: the verdict. */
static int arm(struct mye_consumer *c, int rc)
{
	int found = mye_descriptor_arm(c), now;

	if (found == 0 || found == -EPIPE || found == -EOWNERDEAD)
		return rc ? rc : found;
	now = look(c);
	return now ? now : rc;
}

/* Nothing is there. For a try call: is that because the producer is gone? */
static int try_verdict(struct mye_consumer *c)
{
	int rc = 0;

	if (mye_peer_changed(&c->peer, &c->seg) || mye_peer_due(&c->peer))
		rc = verdict(c);
	if (c->descriptor && (rc == 0 || rc == -EPIPE || rc == -EOWNERDEAD))
		rc = arm(c, rc);
	return rc ? rc : mye_fail_static(-EAGAIN, "peek: nothing is published that was not read");
}

/* The long way, after the polls of peek itself. @return as peek; *polls counts. */
static int wait_loop(struct mye_consumer *c, int64_t deadline, uint32_t *polls)
{
	struct mye_waiter *w = &c->waiter;
	struct mye_episode e;
	int rc = 0;

	mye_episode_begin(&e, deadline);
	e.steps = c->hot.polled > 0;
	while (rc == 0) {
		enum mye_step step = mye_episode_step(w, &e, &c->seg);

		if (step == MYE_STEP_PARK) {
			*polls += PARKED_POLLS;
			rc = park(c, deadline);
			continue;
		}
		if (step == MYE_STEP_ASK ||
		    (step == MYE_STEP_POLL && e.steps > 1 && mye_peer_changed(&c->peer, &c->seg)))
			rc = verdict(c);
		else if (step == MYE_STEP_EINTR && (c->flags & MYELON_F_EINTR))
			rc = mye_fail_static(-EINTR, "peek: a signal came");
		if (rc == 0)
			rc = look_at(c, poll(c, c->hot.next - 1,
			                     step == MYE_STEP_TIMEOUT ? 1 : e.burst, polls));
		if (rc == 0 && step == MYE_STEP_TIMEOUT && mye_peer_due(&c->peer))
			rc = verdict(c);
		if (rc == 0 && step == MYE_STEP_TIMEOUT && c->descriptor)
			rc = arm(c, 0);
		if (rc == 0 && step == MYE_STEP_TIMEOUT)
			rc = mye_fail_static(-ETIMEDOUT, "peek: the deadline passed");
	}
	mye_episode_end(w, &e, rc > 0 ? (uint64_t)rc : 0);
	return rc;
}

/* The account of the last refill: kept when the next one begins, for then there is time. */
static inline void note_refill(struct mye_consumer *c)
{
	uint32_t polls = c->hot.polled + c->long_polls;

	if (c->refill_from < 0)
		return;
	c->waiter.stats.waits += polls > 0;
	mye_gather_note(&c->gather, 1 + polls, (uint32_t)(c->hot.end - c->refill_from));
	c->refill_from = -1;
	c->long_polls = 0;
}

int myelon_peek_begin(struct myelon_consumer *hot, uint32_t max, int64_t deadline)
{
	struct mye_consumer *c = mye_consumer_of(hot);
	int rc;

	if (__builtin_expect(c->magic != MYE_CONSUMER_MAGIC, 0))
		return mye_opened_before_fork("peek");
	if (__builtin_expect(max == 0, 0))
		return mye_fail_static(-EINVAL, "peek: 0 slots were asked for");
	rc = mye_call_begin(&c->in_call, "consumer");
	if (rc < 0)
		return rc;
	hot->held = hot->next;
	note_refill(c);
	rc = stopped(c);
	/* A try that finds nothing is no refill: it would pause again and again. */
	if (__builtin_expect(c->gather.pauses != 0, 0) && rc == 0 && deadline != MYELON_TRY) {
		c->waiter.stats.gathers++;
		for (uint32_t i = 0; i < c->gather.pauses; i++)
			myelon_relax();
	}
	mye_call_end(&c->in_call);
	if (rc < 0)
		return rc;
	c->refill_from = hot->next;
	if (MYE_MIRRORS == 1)
		hot->run = run_of(c);
	return deadline == MYELON_TRY ? 0 : (int)c->waiter.first_burst;
}

int myelon_peek_wait(struct myelon_consumer *hot, int64_t published, int64_t deadline)
{
	struct mye_consumer *c = mye_consumer_of(hot);
	int rc;

	if (c->magic != MYE_CONSUMER_MAGIC)
		return mye_opened_before_fork("peek");
	if (published != hot->next - 1)
		return take(c, published);
	rc = mye_call_begin(&c->in_call, "consumer");
	if (rc < 0)
		return rc;
	rc = deadline == MYELON_TRY ? try_verdict(c) : wait_loop(c, deadline, &c->long_polls);
	mye_call_end(&c->in_call);
	if (rc < 0) {
		c->refill_from = -1;
		c->long_polls = 0;
		c->waiter.stats.waits += deadline != MYELON_TRY;
	}
	return rc;
}

int myelon_release_slow(struct myelon_consumer *hot, uint32_t n)
{
	struct mye_consumer *c = mye_consumer_of(hot);

	if (c->magic != MYE_CONSUMER_MAGIC)
		return mye_opened_before_fork("release");
	if (evicted(c)) {
		hot->end = hot->held = hot->next;
		return stale(c);
	}
	return mye_fail(-EINVAL, "release: %u slots, but the last peek gave %lld", n,
	                (long long)(hot->held - hot->next));
}
