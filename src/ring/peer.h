/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Whether the producer is still there, for consumers and observers. One verdict: its lock. Its state
 * word only says whether it left in order.
 */
#ifndef MYE_RING_PEER_H
#define MYE_RING_PEER_H

#include "ring/ring.h"

void mye_peer_init(struct mye_peer *peer, const struct mye_segment *seg);

/* Cheap, without a system call: may there be a verdict? True if the producer closed or the epoch moved. */
bool mye_peer_changed(struct mye_peer *peer, const struct mye_segment *seg);

/*
 * Ask. @return 0: alive, or a new epoch began; -EPIPE closed in order; -EOWNERDEAD. The caller then
 * looks at published once more and confirms: only if nothing is new and the epoch did not move is it
 * an answer.
 */
int mye_peer_ask(struct mye_peer *peer, const struct mye_segment *seg);
/* @return the verdict if it still holds (kept for later calls, sentence set), 0 if the epoch moved. */
int mye_peer_confirm(struct mye_peer *peer, const struct mye_segment *seg, int verdict);

/*
 * Is it time to ask again: 10 ms after the last time, in whichever call that was? Asked before every
 * answer that says "nothing there", so that it does not depend on how long a call may wait.
 */
bool mye_peer_due(const struct mye_peer *peer);

#endif
