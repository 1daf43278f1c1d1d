/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The gather rule. A consumer that polls right at the producer's heels takes the cache line of
 * `published` away on every message; pausing before the poll lets the producer write several messages
 * first. Whether that pays depends on the machine, on which cores the two run on, and on the traffic,
 * so it is tried: one phase of polling at once, one of pausing first, and the faster one is kept.
 * A pause that brings fewer than 4 messages ends the trial there and then, and the next one waits twice
 * as long: ping-pong and slow streams pay one pause in thousands of refills.
 */
#include "wait/gather.h"

#include "sys/sys.h"

#define HOT_POLLS 24 /* a phase that polled more often per refill was waiting, not following */
#define HOT_FOUND 64 /* one that found more per refill has gathered by itself */
#define GAIN_NUM 9   /* gathering must be at least 9/8 as fast as polling at once */
#define GAIN_DEN 8
#define BACKOFF_MAX 1024 /* phases */
#define KEEP_PHASES 1024 /* then polling at once is measured again */

void mye_gather_init(struct mye_gather *g)
{
	*g = (struct mye_gather){.backoff = 1};
}

static void phase_begin(struct mye_gather *g, int64_t now)
{
	g->refills = 0;
	g->polls = 0;
	g->found = 0;
	g->begun_ns = now;
}

static void fail(struct mye_gather *g)
{
	g->pauses = 0;
	g->kept = 0;
	g->skip = g->backoff;
	if (g->backoff < BACKOFF_MAX)
		g->backoff *= 2;
	phase_begin(g, 0);
}

/* Is a found per @p ns better by the required gain than b found per @p b_ns? */
static bool faster(uint64_t a, int64_t ns, uint64_t b, int64_t b_ns)
{
	return (double)a * (double)b_ns * GAIN_DEN > (double)b * (double)ns * GAIN_NUM;
}

void mye_gather_phase(struct mye_gather *g)
{
	int64_t now = mye_now(), took = now - g->begun_ns;

	if (g->pauses) {
		if (!g->kept && !faster(g->found, took, g->plain_found, g->plain_ns)) {
			fail(g);
			return;
		}
		g->backoff = 1;
		if (++g->kept > KEEP_PHASES) {
			g->kept = 0;
			g->pauses = 0;
		}
	} else if (g->begun_ns && g->skip == 0 && g->polls <= HOT_POLLS * MYE_GATHER_PHASE &&
	           g->found <= HOT_FOUND * MYE_GATHER_PHASE) {
		g->plain_found = g->found;
		g->plain_ns = took;
		g->pauses = MYE_GATHER_PAUSES;
	} else if (g->skip) {
		g->skip--;
	}
	phase_begin(g, now);
}

void mye_gather_miss(struct mye_gather *g, uint32_t found)
{
	/* More than the one of a ping-pong came: where the cores are far apart, wait longer. */
	if (found > 1 && !g->kept && g->pauses < MYE_GATHER_LONG) {
		g->pauses = MYE_GATHER_LONG;
		phase_begin(g, mye_now());
	} else {
		fail(g);
	}
}
