/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A producer that sleeps until there is room (src/ring/room.c). Two models: two rings between two
 * processes, each the producer of one and the consumer of the other, with as many messages under way
 * as fit; and one ring with two consumers that release into store buffers.
 */
#ifndef MYELON_TEST_SPACE_MODEL_H
#define MYELON_TEST_SPACE_MODEL_H

#include "explore.h"

enum space_ask {
	SPACE_EXACT,         /* the need, from the first sleep on */
	SPACE_MORE_1_MS,     /* as it is: more than the need, for at most 1 ms */
	SPACE_MORE_FOR_EVER, /* broken: more than the need, without a limit */
};

struct rings_config {
	int window, more, under_way, messages;
	enum space_ask ask;
};

void rings_explore(const struct rings_config *config, struct explore_result *result);

enum release_bug {
	RELEASE_AS_IS,
	RELEASE_NO_BARRIER, /* the blocked producer does not call membarrier */
	RELEASE_LAST_RINGS, /* who passes the target rings only if the other has passed it */
	RELEASE_ONLY_AT, /* rings only if the new cursor is the target, not when it jumps over it */
	RELEASE_TARGET_LATE, /* the target is stored after the last look */
};

struct release_config {
	int window, messages, batch; /* batch: consumers release up to so many at once */
	enum release_bug bug;
};

void release_explore(const struct release_config *config, struct explore_result *result);

#endif
