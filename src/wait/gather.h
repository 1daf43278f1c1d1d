/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Whether a consumer pauses before it polls, to gather several messages at once (gather.c). */
#ifndef MYE_WAIT_GATHER_H
#define MYE_WAIT_GATHER_H

#include <stdbool.h>
#include <stdint.h>

#define MYE_GATHER_PAUSES 32 /* about 1 us where a pause takes 30 ns, 0.3 us where it takes 10 */
#define MYE_GATHER_LONG 128
#define MYE_GATHER_PHASE 64 /* refills */
#define MYE_GATHER_FEW 4    /* messages that are too few for a pause */

struct mye_gather {
	uint32_t pauses;  /* out: pauses to make before the next refill looks */
	uint32_t refills; /* of this phase, and what they did */
	uint64_t polls;
	uint64_t found;
	int64_t begun_ns;     /* of this phase; 0: not timed */
	uint64_t plain_found; /* the phase without pauses that a trial is compared with */
	int64_t plain_ns;
	uint32_t kept; /* phases since gathering was found to pay */
	uint32_t skip; /* phases until the next trial */
	uint32_t backoff;
};

void mye_gather_init(struct mye_gather *g);

/* A pause brought too few; a phase is full. */
void mye_gather_miss(struct mye_gather *g, uint32_t found);
void mye_gather_phase(struct mye_gather *g);

/* A refill ended: it made @p polls and found @p found messages. */
static inline void mye_gather_note(struct mye_gather *g, uint32_t polls, uint32_t found)
{
	if (g->pauses && found < MYE_GATHER_FEW) {
		mye_gather_miss(g, found);
		return;
	}
	g->polls += polls;
	g->found += found;
	if (++g->refills >= MYE_GATHER_PHASE)
		mye_gather_phase(g);
}

#endif
