/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The look at who is in the way. What counts is what was seen at looks of a blocked producer: a cursor
 * that is where it was at a look progress_ns ago is stalled, and its consumer had something to read all
 * the time, or it would not be in the way.
 *
 * Time in which the producer itself did not run as planned counts for nothing: if it was stopped, its
 * consumers mostly were, too (the job, the container, the machine). That shows only between two looks, so
 * none is planned later than a quarter of progress_ns.
 */
#include <errno.h>
#include <string.h>

#include "liveness/lease.h"
#include "ring/coordination.h"
#include "ring/gate.h"
#include "ring/guard.h"
#include "ring/join.h"
#include "ring/peer.h"
#include "sys/sys.h"

#define ASK_NS 50000000     /* of whom an exec would not be heard */
#define STOPPED_NS 20000000 /* a delay that is shorter is no stop */

static int64_t max64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void sooner(int64_t *at, int64_t when)
{
	if (when < *at)
		*at = when;
}

/* Somebody's window closes when it is not in the way any more, or moved; or another id is there now. */
static void follow(const struct mye_guard *g, struct mye_suspect *s, const char *id, int64_t cursor,
                   int64_t now)
{
	bool same = s->round + 1 == g->round && strcmp(s->id, id) == 0;

	s->round = g->round;
	if (same && s->cursor == cursor)
		return;
	if (strcmp(s->id, id) != 0)
		memcpy(s->id, id, MYE_ID_BYTES);
	s->cursor = cursor;
	s->since_ns = now;
	s->opened_ns = s->retry_ns = 0;
}

/* A look later than planned by more than that was made by a producer that was stopped. */
static int64_t slack(int64_t ns)
{
	return max64(ns / 2, STOPPED_NS);
}

static void shift(struct mye_suspect *s, uint32_t n, int64_t since, int64_t opened)
{
	for (uint32_t i = 0; i < n; i++) {
		s[i].since_ns += since;
		if (s[i].opened_ns)
			s[i].opened_ns += opened;
	}
}

/*
 * Take away what does not count of the time since the last look. Between two calls nothing was planned:
 * there a part of it counts, so that calls which come seldom find out in the end.
 */
static void discount(struct mye_guard *g, int64_t now)
{
	int64_t gap = now - g->looked_ns, since = 0, opened = 0;

	if (!g->planned_ns) {
		since = max64(gap - slack(g->progress_ns), 0);
		opened = max64(gap - slack(g->grace_ns), 0);
	} else if (now - g->planned_ns > slack(g->progress_ns)) {
		since = opened = gap;
	}
	if (!g->looked_ns || (since == 0 && opened == 0))
		return;
	shift(g->missing, g->names + 1, since, opened);
	shift(g->entry, g->entries, since, opened);
}

/* The next question for a lock that is not free yet. */
static int64_t retry(struct mye_guard *g, struct mye_suspect *s, int64_t now)
{
	s->retry_ns = mye_dying_pause(s->retry_ns);
	sooner(&g->look_at, now + s->retry_ns);
	return now + s->retry_ns;
}

/* When somebody must look again at a suspect that is not to be judged now. */
static void schedule(struct mye_guard *g, struct mye_suspect *s, int64_t now)
{
	int64_t at = INT64_MAX;

	if (!s->opened_ns)
		at = s->since_ns + g->progress_ns;
	else if (g->on_failure == MYELON_ON_FAILURE_FAIL)
		/* With the grace over it is dying or back: until its lock is free, or progress_ns over. */
		at = now - s->opened_ns < g->grace_ns ? s->opened_ns + g->grace_ns
		                                      : retry(g, s, now);
	if (at != INT64_MAX)
		sooner(&at, now + max64(g->progress_ns / 4, g->check_ns));
	sooner(&g->wake_at, at);
}

/* The same of one that is there: how much of its end is heard in a sleep? */
static void schedule_entry(struct mye_guard *g, struct mye_suspect *s, int64_t now)
{
	schedule(g, s, now);
	if (!s->opened_ns && !s->leased)
		sooner(&g->wake_at, now + (s->in_loop ? max64(g->check_ns, ASK_NS) : g->check_ns));
}

static uint64_t state_word(const struct mye_producer *p, uint32_t i)
{
	/* Acquire: pairs with the CAS of joiners and leavers; the rest of the entry is seen. */
	return __atomic_load_n(&p->seg.entries[i].slow.state, __ATOMIC_ACQUIRE);
}

/* Its lock is free and it has not left: who leaves says so before it gives up the lock. */
static bool is_dead(const struct mye_producer *p, uint32_t i, uint64_t word)
{
	return mye_role_held(&p->seg, MYE_LOCK_ENTRY(i)) == 0 && state_word(p, i) == word;
}

static bool lease_marked(const struct mye_producer *p, uint32_t i)
{
	return mye_lease_look(&p->seg, MYE_LEASE_ENTRY(i)) == MYE_LEASE_DYING;
}

bool mye_guard_marked(const struct mye_producer *p, const struct mye_guard *g)
{
	for (uint32_t i = 0; i < g->entries && i < MYE_LEASE_ENTRIES; i++)
		if (g->entry[i].round == g->round && !g->entry[i].dying && !g->entry[i].dead &&
		    lease_marked(p, i))
			return true;
	return false;
}

static enum myelon_cause cause_of(const struct mye_guard *g, const struct mye_suspect *s,
                                  int64_t now)
{
	if (s->dead)
		return MYELON_CAUSE_DEAD;
	if (s->dying)
		return MYELON_CAUSE_DYING;
	return now - s->since_ns >= g->progress_ns ? MYELON_CAUSE_STALLED : MYELON_CAUSE_NONE;
}

static int look_at_entry(struct mye_producer *p, struct mye_guard *g, uint32_t i, int64_t cursor,
                         int64_t now, bool parking)
{
	uint64_t word = state_word(p, i);
	struct mye_suspect *s = &g->entry[i];
	char id[MYE_ID_BYTES];
	enum myelon_cause cause;
	bool ended;
	int rc = 0;

	if (MYE_STATE_OF(word) != MYE_ENTRY_ACTIVE && MYE_STATE_OF(word) != MYE_ENTRY_JOINING)
		return 0;
	mye_entry_id(&p->seg, i, id);
	follow(g, s, id, cursor, now);
	mye_guard_meet(p, g, i);
	/* Watched before it is asked for: an end in between is an event. */
	if (parking)
		mye_guard_watch(p, g, i);
	/* The lease before the lock: what is free by now is dead. */
	ended = s->ended || lease_marked(p, i);
	s->dead = is_dead(p, i, word);
	s->dying = ended && !s->dead && state_word(p, i) == word;
	cause = cause_of(g, s, now);
	if (cause != MYELON_CAUSE_NONE)
		rc = mye_guard_judge(p, g, s, cause, now);
	schedule_entry(g, s, now);
	return rc;
}

static bool gates_as(const struct mye_producer *p, const char *name)
{
	char id[MYE_ID_BYTES];

	for (uint32_t k = 0; k < p->gate.count; k++) {
		if (p->gate.list[k] == MYE_HOLD_INDEX(&p->seg))
			continue;
		mye_entry_id(&p->seg, p->gate.list[k], id);
		if (strcmp(id, name) == 0)
			return true;
	}
	return false;
}

/* What is left of one that is not there: its last sequence. */
static int64_t last_of(const struct mye_producer *p, const char *name)
{
	char id[MYE_ID_BYTES];

	for (uint32_t i = 0; *name && i < p->seg.header.max_consumers; i++) {
		if (MYE_STATE_OF(state_word(p, i)) == MYE_ENTRY_FREE)
			continue;
		mye_entry_id(&p->seg, i, id);
		if (strcmp(id, name) == 0)
			return __atomic_load_n(&p->seg.entries[i].hot.cursor, __ATOMIC_RELAXED);
	}
	return -1;
}

static int look_at_missing(struct mye_producer *p, struct mye_guard *g, struct mye_suspect *s,
                           const char *name, int64_t now)
{
	char id[MYE_ID_BYTES] = "";
	int rc = 0;

	memcpy(id, name, strnlen(name, MYE_ID_BYTES - 1));
	follow(g, s, id, last_of(p, name), now);
	if (now - s->since_ns >= g->progress_ns)
		rc = mye_guard_judge(p, g, s, MYELON_CAUSE_MISSING, now);
	schedule(g, s, now);
	return rc;
}

static int look_for_required(struct mye_producer *p, struct mye_guard *g, int64_t now)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < g->names; i++)
		if (!gates_as(p, g->whom->list.ids[i]))
			rc = look_at_missing(p, g, &g->missing[i], g->whom->list.ids[i], now);
	if (rc == 0 && p->gate.active < g->whom->list.count)
		rc = look_at_missing(p, g, &g->missing[g->names], "", now);
	return rc;
}

int mye_guard_look(struct mye_producer *p, struct mye_guard *g, int64_t need, int64_t now,
                   bool parking)
{
	int rc;

	mye_gate_minimum(p);
	g->generation = p->gate.generation;
	g->round++;
	discount(g, now);
	g->look_at = now + g->check_ns;
	g->wake_at = INT64_MAX;
	rc = look_for_required(p, g, now);
	for (uint32_t k = 0; rc == 0 && k < p->gate.count; k++) {
		uint32_t i = p->gate.list[k];
		int64_t cursor;

		if (i == MYE_HOLD_INDEX(&p->seg))
			continue;
		cursor = mye_gate_cursor(p, i);
		if (cursor < need)
			rc = look_at_entry(p, g, i, cursor, now, parking);
	}
	g->looked_ns = now;
	g->planned_ns =
		max64(g->look_at, g->wake_at < now + MYE_CAP_NS ? g->wake_at : now + MYE_CAP_NS);
	return rc;
}
