/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What tools are told of a producer that waits for consumers: since when, and for which cursor. Shown
 * when a wait begins to sleep, or has polled for 10 ms; most waits are over before. A wait that ran into
 * its deadline and is made again at once goes on being the same.
 *
 * CLOCK_REALTIME, because whoever reads it may live in another time namespace, where CLOCK_MONOTONIC is
 * another one. A report only: nothing is decided by it.
 */
#ifndef MYE_RING_BLOCKED_H
#define MYE_RING_BLOCKED_H

#include "ring/ring.h"

/* At the begin of a wait for the cursor @p need: show it now if it is the last one made again. */
void mye_blocked_again(struct mye_producer *p, int64_t need);
/* Show it; it has lasted for @p waited_ns. Two stores if it is shown. */
void mye_blocked_show(struct mye_producer *p, int64_t need, int64_t waited_ns);
/* The end of a wait: it goes on (@p done), or gave up after @p waited_ns. */
void mye_blocked_end(struct mye_producer *p, bool done, int64_t waited_ns);

#endif
