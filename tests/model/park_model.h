/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Parking: a publisher with a store buffer (the light side), consumers that announce themselves and
 * sleep on a doorbell (the heavy side), as src/ring/consumer.c and producer.c do it.
 */
#ifndef MYELON_TEST_PARK_MODEL_H
#define MYELON_TEST_PARK_MODEL_H

#include "explore.h"

enum park_fence {
	PARK_ASYM,         /* the sleeper's membarrier drains the publisher's buffer */
	PARK_FULL,         /* both sides fence */
	PARK_UNREGISTERED, /* membarrier does not reach the publisher, which fences itself */
	PARK_LIGHT_ONLY,   /* broken: neither membarrier nor the publisher's fence */
};

enum park_bug {
	PARK_AS_IS,
	PARK_INNER_LOOP, /* a return from the sleep goes back to sleep without announcing again */
	PARK_LATE_BELL,  /* the doorbell is read just before the sleep */
	PARK_NO_CHECK,   /* announces and sleeps without looking again */
	PARK_FLAG_LAST, /* the publisher takes the flags after the wake call, not before the bell */
};

struct park_config {
	int messages, consumers; /* consumers: 1 or 2 */
	int interrupts;          /* returns from a sleep without a wake, in all */
	enum park_fence fence;
	enum park_bug bug;
};

void park_explore(const struct park_config *config, struct explore_result *result);

#endif
