/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A consumer in somebody's event loop: a descriptor that is readable when there is something to peek.
 *
 * Engines (docs/waiting.md):
 * - uring: an io_uring futex wait on the doorbell signals the eventfd. One wake, nothing handed over.
 * - direct: the eventfd is offered in the consumer's entry; the producer takes it over and writes it.
 * - proxy: our keeper sleeps on the doorbell and writes the eventfd.
 * With direct the proxy never goes away: it hears every bell that is rung for other reasons (close,
 * takeover, interrupt), and messages as long as the offer was not taken in the present epoch.
 */
#ifndef MYE_RING_DESCRIPTOR_H
#define MYE_RING_DESCRIPTOR_H

#include "ring/ring.h"

/*
 * Nothing is there to peek: clear the descriptor, announce, look again. @return > 0: something is
 * there now (the descriptor is readable again), 0: armed, negative as mye_consumer_look().
 */
int mye_descriptor_arm(struct mye_consumer *c);

/* Before the handle leaves its ring. */
void mye_descriptor_close(struct mye_consumer *c);

/* Sleeps ended by the 1 s cap, and those after which there was something. */
void mye_descriptor_count(const struct mye_consumer *c, struct myelon_handle_stats *stats);

#endif
