/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Looking at the handles of a set, and announcing them all before a sleep. */
#include <errno.h>

#include "ring/gate.h"
#include "ring/sleeper.h"
#include "waitset/set.h"

/* The end of a producer is reported once; until a new epoch then only news counts. */
static int look_consumer(struct myelon_waitset *ws, struct mye_source *s)
{
	struct mye_set_consumer *own = &s->consumer;
	uint64_t epoch = mye_consumer_epoch_now(own->c);
	bool ask;
	int have;

	if (__builtin_expect(epoch != own->epoch, 0))
		mye_host_follow(ws, s, epoch);
	if (own->told == epoch)
		return mye_consumer_news(own->c);
	ask = own->ask;
	have = mye_consumer_look(own->c, ask);
	if (__builtin_expect(have == -EPIPE || have == -EOWNERDEAD, 0)) {
		if (own->told == own->c->peer.epoch)
			return 0;
		own->told = own->c->peer.epoch;
		mye_host_leave(ws, s);
		return have;
	}
	if (__builtin_expect(ask, 0) && have <= 0) {
		own->ask = false;
		if (have == 0 && own->dying)
			mye_host_later(ws, s);
	}
	return have;
}

/* Slots to be waited for. A message that was cut off is ended by one slot before anything else. */
static uint32_t need_of(const struct mye_set_producer *own)
{
	uint32_t n = own->want;

	if (own->framed && own->framed->below == 0 && n < own->p->seg.header.window)
		n++;
	return n;
}

/* Once: what is reported is not waited for any more. The interrupt was that of this wait. */
static int look_producer(struct myelon_waitset *ws, struct mye_source *s)
{
	struct mye_set_producer *own = &s->producer;
	int rc;

	if (own->want == 0)
		return 0;
	rc = mye_producer_look(own->p, need_of(own));
	if (rc == -ECANCELED && !mye_take_interrupt(&own->p->interrupted))
		rc = 0;
	if (rc) {
		own->want = 0;
		ws->wanting--;
		mye_producer_withdraw(own->p);
	}
	return rc;
}

void mye_ring_look(struct myelon_waitset *ws, struct mye_source *s, struct mye_batch *b)
{
	int rc;

	if (b->n >= b->max)
		return;
	rc = s->kind == MYELON_EVENT_CONSUMER ? look_consumer(ws, s) : look_producer(ws, s);
	if (rc == 0)
		return;
	mye_batch_add(b, s, rc, 0, 0);
	ws->next_ring = s->place + 1;
}

void mye_rings_look(struct myelon_waitset *ws, struct mye_batch *b)
{
	uint32_t count = ws->rings.count, at = ws->next_ring;

	for (uint32_t i = 0; i < count && b->n < b->max; i++, at++) {
		if (at >= count)
			at = 0;
		mye_ring_look(ws, ws->rings.at[at], b);
	}
}

#define LOOK_IN_TURN 4

bool mye_rings_look_in_turn(struct myelon_waitset *ws, struct mye_batch *b)
{
	uint32_t count = ws->rings.count, n = count < LOOK_IN_TURN ? count : LOOK_IN_TURN;
	bool standing = true;

	for (uint32_t i = 0; i < n && b->n < b->max; i++) {
		struct mye_source *s = ws->rings.at[(ws->look_next + i) % count];

		mye_ring_look(ws, s, b);
		if (s->kind == MYELON_EVENT_CONSUMER)
			standing &= mye_consumer_announced(s->consumer.c);
	}
	ws->look_next = count ? (ws->look_next + n) % count : 0;
	for (uint32_t i = 0; ws->asking && i < count && b->n < b->max; i++)
		if (ws->rings.at[i]->kind == MYELON_EVENT_CONSUMER && ws->rings.at[i]->consumer.ask)
			mye_ring_look(ws, ws->rings.at[i], b);
	ws->asking = false;
	return standing && b->n == 0;
}

bool mye_rings_announce(struct myelon_waitset *ws)
{
	if (ws->consumers + ws->wanting == 0)
		return true;
	/* Acquire: with listen's loads of the bells before it, pairs with mye_ring_bell(); who took an
	   announcement that we find below rings after that (docs/ordering.md). */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	for (uint32_t i = 0; i < ws->rings.count; i++) {
		struct mye_source *s = ws->rings.at[i];

		if (s->kind == MYELON_EVENT_CONSUMER)
			mye_consumer_announce(s->consumer.c, MYE_PARKED_FUTEX);
		else if (s->producer.want)
			mye_producer_announce(s->producer.p, need_of(&s->producer));
	}
	return mye_sleepers_barrier(ws->asymmetric == 0);
}
