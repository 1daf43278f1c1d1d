/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One handle's part in a sleep over many things (descriptor consumers, wait sets). The order is that
 * of every sleep: listen to the bell, announce; once for all of them mye_sleepers_barrier(); look;
 * sleep. Any return from the sleep starts from the top: a wake carries no information.
 */
#ifndef MYE_RING_SLEEPER_H
#define MYE_RING_SLEEPER_H

#include "ring/ring.h"

/* What whoever has news raises and wakes. */
const uint32_t *mye_consumer_bell(const struct mye_consumer *c);
const uint32_t *mye_producer_bell(const struct mye_producer *p);

/* The next publish rings. @p flags: MYE_PARKED_*. After the bell was listened to, with acquire. */
void mye_consumer_announce(struct mye_consumer *c, uint32_t flags);
/* Does an announcement, by whomever, still stand? */
bool mye_consumer_announced(const struct mye_consumer *c);
/* Who releases past what @p n more slots need rings. Undone by withdraw, or the next claim that waits. */
void mye_producer_announce(struct mye_producer *p, uint32_t n);
void mye_producer_withdraw(struct mye_producer *p);

/*
 * Between announcing and looking; one for all sleepers. @p full_only: every one of them is of a ring
 * with full fences. @return false: membarrier was denied, so nobody sleeps longer than
 * MYE_NO_BARRIER_CAP_NS.
 */
bool mye_sleepers_barrier(bool full_only);
static inline bool mye_consumer_full_fence(const struct mye_consumer *c)
{
	return c->waiter.full_mode;
}
static inline bool mye_producer_full_fence(const struct mye_producer *p)
{
	return p->waiter.full_mode;
}

/*
 * Is there something to peek? Without a system call, unless @p ask: then the producer's lock is asked
 * for, which is due after a wake by its death and at each cap. Does not touch the hot part, so a
 * following myelon_peek() finds the same. @return how many slots, 0, or what peek would return:
 * -ECANCELED (the interrupt stays for peek to take), -ESTALE, -EPROTO, -EPIPE, -EOWNERDEAD.
 */
int mye_consumer_look(struct mye_consumer *c, bool ask);
/* The same, but says nothing of the producer's end: for who told it already, while the epoch is the same. */
int mye_consumer_news(struct mye_consumer *c);
/* The epoch now; one that look has not seen begins a new life. */
uint64_t mye_consumer_epoch_now(const struct mye_consumer *c);
/* Is there room for @p n slots? @return 1, 0, -ECANCELED (the interrupt stays for claim to take). */
int mye_producer_look(struct mye_producer *p, uint32_t n);

#endif
