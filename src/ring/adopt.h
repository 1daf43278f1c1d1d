/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The descriptors of sleeping consumers that a producer holds and writes. An offer (a number in the
 * entry that changes with every new descriptor) is answered once per epoch: taken, or refused.
 */
#ifndef MYE_RING_ADOPT_H
#define MYE_RING_ADOPT_H

#include "ring/ring.h"

/* After the doorbell was raised: wake who announced to sleep on a descriptor. @return whether
 * somebody is left who must be woken by the doorbell. */
bool mye_adopted_wake(struct mye_producer *p);

/* From the server: @p fd for that offer, owned from here on. @return 0 or negative. */
int mye_adopt(struct mye_adoption *a, uint32_t index, uint32_t offer, int fd);
/* Its owner is gone. */
void mye_adopted_drop(struct mye_adoption *a, uint32_t index, uint32_t offer);

/* The producer leaves: tell all, give everything back. */
void mye_adoption_close(struct mye_producer *p);

#endif
