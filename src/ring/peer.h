/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Whether the producer is still there, for consumers and observers. One verdict: its lock. Its state
 * word only says whether it left in order.
 */
#ifndef MYE_RING_PEER_H
#define MYE_RING_PEER_H

#include "liveness/lease.h"
#include "ring/ring.h"

void mye_peer_init(struct mye_peer *peer, const struct mye_segment *seg);
void mye_peer_close(struct mye_peer *peer);

/*
 * Did the producer of @p epoch close in order? Asked again when its lock is found free: who closes says so first. Not
 * by the state alone: a successor changes that before the epoch.
 */
bool mye_peer_closed(const struct mye_segment *seg, uint64_t epoch);

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

/* Dying takes as long as giving the memory back does. @return how long until the lock is asked for again,
 * after a pause of @p last, 0: none. */
int64_t mye_dying_pause(int64_t last);

/*
 * A sleep that the producer's death ends. lease: between the load of the bell and the announcement. With a lease
 * it is on that word, too. The first part of a sleep is short; if it passes without news it was no moment of a
 * stream, and from then on the end of the producer's process is a word as well (ending.h), also beside a lease: of
 * which the kernel wakes one sleeper, who may be stopped. Where neither is to be had the lock is asked for at each
 * cap.
 *
 * to_ask: may it be dead, and the lock is to be asked for before the sleep: it is dying by either word, or was never
 * asked for. park: as mye_waiter_park() on the doorbell; short, and shorter than @p deadline, while the producer
 * is dying.
 */
uint32_t mye_peer_lease(struct mye_segment *seg);
bool mye_peer_to_ask(struct mye_peer *peer, const struct mye_segment *seg, uint32_t lease);
int mye_peer_park(struct mye_peer *peer, struct mye_waiter *w, struct mye_segment *seg,
                  uint32_t bell, uint32_t lease, int64_t deadline);

#endif
