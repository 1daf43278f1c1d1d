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

#include "ring/handover.h"
#include "ring/ring.h"
#include "wait/keeper.h"

struct mye_descriptor {
	struct mye_consumer *c;
	enum myelon_engine engine; /* URING, DIRECT or PROXY: as chosen */
	int fd;      /* what the user waits for; the loop's with uring, else our eventfd */
	int cap_fd;  /* uring: readable once a second */
	int peer_fd; /* uring: pidfd of the producer, -1 */
	struct mye_loop *loop;
	uint64_t watched_epoch; /* whose producer peer_fd, the lease, or the keeper, watches */
	uint32_t lease;         /* uring: its word as it is watched; 0: it is not */
	int64_t dying_ns; /* uring: the pause between questions for its lock; 0: it is not dying */
	uint64_t refused_epoch; /* in which the handover by socket was tried */
	uint32_t offer;
	bool watched;
	bool hurried; /* uring: the timer is set for a question, not for the cap */

	/* Looking for a while before arming, where that brings something. */
	int64_t armed_ns; /* when it was armed last */
	int64_t spin_ns;  /* as asked for */
	int64_t cost_ns;  /* what arming and a wake cost, about */
	uint32_t spin_skip, spin_backoff;
	bool premature; /* the last arm found something at once */

	/* Shared with the keeper's thread, relaxed; what matters is ordered by the descriptor. */
	int64_t asleep_at;    /* next when it was armed, -1: it was not */
	uint32_t asleep_bell; /* the doorbell then: as long as it did not move nobody woke us */
	uint32_t ask;         /* the producer may be dead */
	uint32_t denied;      /* no barrier: caps are short */
	uint32_t caps, caps_found;

	/* On the keeper's thread. */
	struct mye_task bell, peer, word, cap;
	struct mye_handover link;
	int watch_fd;         /* pidfd, -1 */
	uint32_t watch_lease; /* the lease word as word watches it */
	int64_t pause_ns;     /* between questions for the lock of a dying producer; 0: it is not */
	bool suspect;         /* cap: a message is there and nobody rang; a moment later still? */
	int64_t cap_at;       /* the next cap; cap may be due earlier, for a question */
};

/*
 * Nothing is there to peek: clear the descriptor, announce, look again. @return > 0: something is
 * there now (the descriptor is readable again), 0: armed, negative as mye_consumer_look().
 */
int mye_descriptor_arm(struct mye_consumer *c);

/*
 * A call returns as if nothing were there, though it has not looked to the end: readable again, for
 * who waits for an edge.
 */
void mye_descriptor_again(const struct mye_consumer *c);

/* Before the handle leaves its ring. */
void mye_descriptor_close(struct mye_consumer *c);

/* Sleeps ended by the 1 s cap, and those after which there was something. */
void mye_descriptor_count(const struct mye_consumer *c, struct myelon_handle_stats *stats);

/* A message is there, and nobody has rung since we fell asleep. */
bool mye_descriptor_unheard(const struct mye_descriptor *d);

/* The proxy (descriptor_proxy.c), run on the keeper's thread with a descriptor. */
int mye_proxy_begin(void *arg);
int mye_proxy_end(void *arg);
/* Watch the producer of the present epoch: its process, or, where that cannot be seen, its lease. */
int mye_proxy_watch(void *arg);
/* Hand the eventfd over by socket. */
int mye_proxy_hand_over(void *arg);
/* There is no barrier: look every 1 ms from now on. */
int mye_proxy_shorten_cap(void *arg);

#endif
