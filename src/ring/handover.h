/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Handing a consumer's eventfd to the producer over a UNIX socket, where the producer may not take it
 * by itself (pidfd_getfd: another PID namespace, another user, a container profile).
 *
 * The socket lies beside the control file, named after the ring's nonce; the producer's keeper listens.
 * A client sends one packet with its descriptor within 1 s, then keeps the connection: its end tells
 * both sides that the other is gone. Everything here runs on the keeper's thread, but for serve and stop.
 */
#ifndef MYE_RING_HANDOVER_H
#define MYE_RING_HANDOVER_H

#include "segment/segment.h"
#include "wait/keeper.h"

struct mye_adoption;
struct mye_handover_server;

/* A consumer's side. */
struct mye_handover {
	struct mye_task task;
	int fd; /* connection, -1 */
	void (*ended)(struct mye_handover *h);
};

/* @return 0: sent, taken or not; negative: nobody listens, or it is not the ring's producer. */
int mye_handover_offer(struct mye_handover *h, const struct mye_segment *seg, uint32_t index,
                       uint32_t offer, int event_fd);
void mye_handover_withdraw(struct mye_handover *h);

/* The producer's side. @return 0, or negative with a sentence: offers stay refused. */
int mye_handover_serve(struct mye_handover_server **out, struct mye_adoption *a,
                       const struct mye_segment *seg);
void mye_handover_stop(struct mye_handover_server *s); /* NULL is allowed */

#endif
