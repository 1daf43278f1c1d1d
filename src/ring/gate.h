/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The gate: how far the producer may write (gate.c), and waiting for it to open (room.c). */
#ifndef MYE_RING_GATE_H
#define MYE_RING_GATE_H

#include "ring/ring.h"

/* Start from nothing: the next claim scans. For a new producer, also after a takeover. */
void mye_gate_reset(struct mye_producer *p);

/*
 * Make room for @p n more slots if the gate allows it; sets hot.end. @p whole: read the whole table,
 * not only the entries known to gate (somebody may have died between changing a state and raising the
 * generation). @return whether n fit.
 */
bool mye_gate_extend(struct mye_producer *p, uint32_t n, bool whole);

/* The lowest gating cursor from a scan of the whole table; published if nobody gates. */
int64_t mye_gate_minimum(struct mye_producer *p);

/* The cursor of entry @p i, or its last good value if it is out of range. */
int64_t mye_gate_cursor(struct mye_producer *p, uint32_t i);

/* The pseudo consumer stops gating. */
void mye_gate_end_hold(struct mye_producer *p);

/* Wait until n slots fit. @p guard: watch who is in the way, may be NULL. @return 0, -ETIMEDOUT,
 * -ECANCELED, -EINTR, -EPROTO (sentence set); with @p guard also what that returns. */
struct mye_guard;
int mye_room_wait(struct mye_producer *p, uint32_t n, int64_t deadline, struct mye_guard *guard);

/* Wait until every gating cursor is >= seq. @return as above. */
int mye_consumed_wait(struct mye_producer *p, int64_t seq, int64_t deadline);

/* join_generation + 1 and ring space: whoever changed the gating set, or found it changed. */
void mye_gating_changed(const struct mye_segment *seg);
/* Part of that, and of a change of the producer: wake the watches (peers.h). */
void mye_peers_changed(const struct mye_segment *seg);

/* Take the interrupt mark if it is set. */
static inline bool mye_take_interrupt(uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED) &&
	       /* Acquire: pairs with the store in interrupt(). */
	       __atomic_exchange_n(word, 0, __ATOMIC_ACQUIRE);
}

#endif
