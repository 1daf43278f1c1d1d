/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the files of ring_actor share. */
#ifndef MYELON_TEST_RING_ACTOR_H
#define MYELON_TEST_RING_ACTOR_H

#include "kit.h"

#include <myelon/myelon.h>

struct actor {
	struct kit_page *page;
	struct kit_result *r;
	const char *name;
	const char *back; /* the ring of the answers */
	const char *id;
	const char *end; /* close, hang or exit without closing */
	uint32_t wait;
	uint64_t index;
	uint64_t seed;
	uint64_t count; /* messages to publish or to read at most */
	uint64_t batch; /* claim up to this many, peek at most this many */
	uint64_t slot, window, backing, huge, fence, overwrite, wait_for, until, keep, open;
	uint64_t start;
	uint64_t deny;           /* membarrier is denied */
	uint64_t slow_us, every; /* pause this long after each so many messages */
	uint64_t deadline_ms;    /* of a claim; 0: none */
	uint64_t follow;         /* go on with the next producer */
	uint64_t depth;          /* of ping: requests under way */
	uint64_t pause;          /* attached, wait for this word before reading */
};

int actor_fail(const char *what, int rc);
void actor_slow(const struct actor *a, uint64_t done);
int actor_end(const struct actor *a);
int actor_ping(struct actor *a);
int actor_pong(struct actor *a);
int actor_observe(struct actor *a);

#endif
