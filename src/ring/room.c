/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A producer that waits for room.
 *
 * It names the cursor it needs in space_target and sleeps on the space bell; a consumer whose release
 * passes the target rings, unconditionally, and the producer looks again. Asking for exactly what is
 * needed is one wake per released slot; asking for more can wait for ever for somebody who waits for
 * us. So the first sleep asks for more, a quarter window at first, and lasts at most 1 ms; then the
 * exact need counts. When the 1 ms ran out, the next sleeps ask for half of what the consumers freed in
 * it, so that they end in time; if they freed nothing more, the next 64 episodes ask for the exact need
 * at once. What was reached in time 64 times in a row is doubled.
 */
#include <errno.h>

#include "base/error.h"
#include "ring/blocked.h"
#include "ring/gate.h"
#include "ring/guard.h"
#include "sys/sys.h"

#define SOFT_NS 1000000
#define EXACT_EPISODES 64
#define SOFT_REACHED 64
#define UNWATCHED_NS 1000000 /* of the first sleep; most waits are over by then */

/* What a blocked producer waits for: a cursor that all gating consumers must reach. */
struct room {
	uint32_t n; /* slots wanted, or 0: only that `seq` is consumed */
	int64_t seq;
	int64_t need;     /* the cursor, exactly */
	int64_t target;   /* the cursor asked for */
	int64_t soft_end; /* until when more than the need is asked for; 0: not decided */
	bool exact;
	struct mye_guard *guard; /* watches who is in the way; may be NULL */
	bool watching;           /* it does, in this episode */
};

static bool satisfied(struct mye_producer *p, const struct room *r, bool whole)
{
	if (r->n)
		return mye_gate_extend(p, r->n, whole);
	return mye_gate_minimum(p) >= r->seq;
}

/* The 1 ms ran out, even if the need was met meanwhile. */
static void ask_for_less(struct mye_producer *p, struct room *r)
{
	int64_t more = mye_gate_minimum(p) - r->need;

	r->exact = true;
	p->soft_reached = 0;
	if (more < 2)
		p->exact_episodes = EXACT_EPISODES;
	else if (more / 2 < (int64_t)p->soft_more)
		p->soft_more = (uint32_t)(more / 2);
}

static void reached_in_time(struct mye_producer *p)
{
	if (++p->soft_reached < SOFT_REACHED)
		return;
	p->soft_reached = 0;
	p->soft_more *= 2;
	if (p->soft_more > p->seg.header.window / 4)
		p->soft_more = p->seg.header.window / 4;
}

static void choose_target(struct mye_producer *p, struct room *r)
{
	int64_t published = p->hot.next - 1;
	int64_t more = r->need + p->soft_more;
	int64_t now;

	r->target = r->need;
	if (r->exact)
		return;
	if (more > published)
		more = published;
	if (more <= r->need) {
		r->exact = true;
		return;
	}
	now = mye_now();
	if (!r->soft_end)
		r->soft_end = now + SOFT_NS;
	if (now < r->soft_end) {
		r->target = more;
		return;
	}
	ask_for_less(p, r);
}

/*
 * Was what we named reached already? While more than the need is asked for, the need alone does not
 * count: the barrier lasts long enough for a consumer to free a slot, and nobody would ever sleep.
 */
static bool reached(struct mye_producer *p, const struct room *r)
{
	return r->exact ? satisfied(p, r, true) : mye_gate_minimum(p) >= r->target;
}

/* Those who are watched are not all who may be in the way. */
static bool others_came(const struct mye_producer *p, const struct room *r)
{
	return r->guard && r->watching && p->gate.generation != r->guard->generation;
}

/* @p until: in, out: when the sleep ends at the latest. @return as mye_waiter_park(). */
static int sleep_until(struct mye_producer *p, struct room *r, uint32_t bell, int64_t *until)
{
	struct mye_shared_page *sh = p->seg.shared;
	int64_t most = INT64_MAX;

	if (r->guard)
		most = r->watching ? r->guard->wake_at : mye_now() + UNWATCHED_NS;
	if (most < *until)
		*until = most;
	if (r->guard && r->watching)
		return mye_guard_park(p, r->guard, bell, *until);
	return mye_waiter_park(&p->waiter, &p->seg, &sh->space.bell, bell, &sh->space.wake_ns,
	                       *until);
}

/* One turn of the sleep loop: bell, target, barrier, check, sleep. @return 1: satisfied, 0: again. */
static int park(struct mye_producer *p, struct room *r, int64_t deadline)
{
	struct mye_shared_page *sh = p->seg.shared;
	int64_t *target = &p->seg.producer->space.space_target, until = deadline;
	/* Acquire: pairs with mye_ring_bell(): what the ringer did before is seen below. */
	uint32_t bell = __atomic_load_n(&sh->space.bell, __ATOMIC_ACQUIRE);
	int rc;

	if (r->guard)
		mye_guard_listen(r->guard);
	choose_target(p, r);
	mye_point();
	__atomic_store_n(target, r->target, __ATOMIC_RELAXED);
	mye_point();
	mye_waiter_barrier(&p->waiter);
	if (reached(p, r) || __atomic_load_n(&p->interrupted, __ATOMIC_RELAXED) ||
	    others_came(p, r)) {
		__atomic_store_n(target, INT64_MAX, __ATOMIC_RELAXED);
		return 0;
	}
	if (!r->exact && r->soft_end < until)
		until = r->soft_end;
	rc = sleep_until(p, r, bell, &until);
	__atomic_store_n(target, INT64_MAX, __ATOMIC_RELAXED);
	mye_point();
	if (rc == -ETIMEDOUT && !r->exact && until == r->soft_end)
		ask_for_less(p, r);
	else if (rc == 0 && !r->exact)
		reached_in_time(p);
	if (rc == -EINTR && (p->flags & MYELON_F_EINTR))
		return -EINTR;
	if (rc == -EFAULT)
		return mye_fail(-EPROTO, "ring %s: its control file was truncated",
		                p->seg.place.name);
	if (rc == 1 && satisfied(p, r, true)) {
		p->waiter.stats.caps_found++;
		return 1;
	}
	return 0;
}

/*
 * Poll by strategy. Every look at a cursor takes its line away from a consumer that stores to it, and
 * a full ring drains for long: so the larger the window, the longer the pause between looks.
 */
static bool poll_burst(struct mye_producer *p, struct room *r, uint32_t n, bool whole)
{
	uint32_t pauses = 1 + (p->seg.header.window / 64 < 31 ? p->seg.header.window / 64 : 31);

	for (uint32_t i = 0; i < n; i += pauses) {
		if (satisfied(p, r, whole))
			return true;
		if (p->waiter.strategy == MYELON_WAIT_SPIN)
			continue;
		for (uint32_t k = 0; k < pauses; k++)
			myelon_relax();
	}
	return false;
}

/* Nothing yet: is somebody in the way who will not go on? A sleep is always preceded by a look. */
static int look(struct mye_producer *p, struct room *r, enum mye_step step,
                const struct mye_episode *e)
{
	bool parked = step == MYE_STEP_PARK;
	int64_t now = parked ? mye_now() : e->now_ns;

	if (!r->guard)
		return 0;
	/* At its first step an episode has not read the clock. */
	if (!parked && (!now || now < r->guard->look_at)) {
		if (!mye_guard_marked(p, r->guard))
			return 0;
		now = mye_now();
	}
	r->watching |= parked;
	return mye_guard_look(p, r->guard, r->need, now, parked);
}

static int64_t waited(const struct mye_episode *e)
{
	return e->begun_ns ? e->now_ns - e->begun_ns : 0;
}

static int wait_for(struct mye_producer *p, struct room *r, int64_t deadline)
{
	struct mye_waiter *w = &p->waiter;
	struct mye_episode e;
	int rc = 0;

	w->stats.waits++;
	if (p->exact_episodes) {
		p->exact_episodes--;
		r->exact = true;
	}
	mye_episode_begin(&e, deadline);
	mye_blocked_again(p, r->need);
	for (;;) {
		enum mye_step step = mye_episode_step(w, &e, &p->seg);

		if (step == MYE_STEP_PARK || step == MYE_STEP_ASK)
			mye_blocked_show(p, r->need, waited(&e));
		if (step == MYE_STEP_TIMEOUT)
			rc = satisfied(p, r, true) ? 1 : -ETIMEDOUT;
		else if (step == MYE_STEP_EINTR && (p->flags & MYELON_F_EINTR))
			rc = -EINTR;
		else if (step == MYE_STEP_PARK)
			rc = park(p, r, deadline);
		if (rc == 0 && mye_take_interrupt(&p->interrupted))
			rc = -ECANCELED;
		if (rc == 0)
			rc = poll_burst(p, r, step == MYE_STEP_PARK ? 1 : e.burst,
			                step == MYE_STEP_ASK || step == MYE_STEP_PARK);
		if (rc == 0)
			rc = look(p, r, step, &e);
		if (rc)
			break;
	}
	mye_blocked_end(p, rc > 0, waited(&e));
	mye_episode_end(w, &e, rc > 0 ? (uint64_t)(p->hot.end - p->hot.next) : 0);
	return rc > 0 ? 0 : rc;
}

int mye_room_wait(struct mye_producer *p, uint32_t n, int64_t deadline, struct mye_guard *guard)
{
	struct room r = {.n = n, .guard = guard};

	r.need = p->hot.next + n - 1 - (int64_t)p->seg.header.window;
	return wait_for(p, &r, deadline);
}

int mye_consumed_wait(struct mye_producer *p, int64_t seq, int64_t deadline)
{
	struct room r = {.seq = seq, .need = seq, .exact = true};

	return wait_for(p, &r, deadline);
}
