/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The gate and the join handshake, one shared access per step, as src/ring/gate.c and src/ring/join.c
 * do it: a producer, a consumer that was there before, a joiner, the hold; deaths and successors of
 * the producer and the joiner; store buffers if asked for.
 */
#ifndef MYELON_TEST_JOIN_MODEL_H
#define MYELON_TEST_JOIN_MODEL_H

#include "explore.h"

enum join_start { JOIN_LATEST, JOIN_OLDEST, JOIN_DEFAULT };

enum join_bug {
	JOIN_AS_IS,
	JOIN_CURSOR_AFTER_STATE,  /* the entry gates and is announced before its cursor is stored */
	JOIN_NO_RECHECK,          /* the generation is not read again after announcing */
	JOIN_NO_CEILING,          /* nothing is announced, the joiner goes by published */
	JOIN_RESUME_JOINING,      /* whoever takes a joining entry over resumes it as it is */
	JOIN_BEYOND_GATE,         /* the ceiling goes up by whole steps, past the gate */
	JOIN_NO_PRODUCER_FENCE,   /* store buffers: none between ceiling and generation */
	JOIN_NO_JOINER_FENCE,     /* store buffers: none between generation and ceiling */
	JOIN_STALE_GATE,          /* the list is made anew, the gate is not */
	JOIN_CEILING_AFTER_RESET, /* a new producer trusts its predecessor's ceiling as its limit */
};

struct join_config {
	int window, slots, step, claim,
		total; /* claim: slots per claim; total: sequences published */
	enum join_start start;
	bool overwrite;      /* unattended */
	bool other;          /* another consumer is there from the start ... */
	bool other_detaches; /* ... and may detach, or be killed in the middle of it */
	bool reuse;          /* the joiner gets the entry of the other one, after that left */
	bool hold;           /* everything is kept until all consumers came */
	bool buffers;        /* store buffers (as TSO, and no atomic operation drains them) */
	int producer_deaths, joiner_deaths, joiner_leaves;
	enum join_bug bug;
};

void join_explore(const struct join_config *config, struct explore_result *result);

#endif
