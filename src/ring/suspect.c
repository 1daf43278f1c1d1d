/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The look at who is in the way. What counts is what was seen at looks of a blocked producer: a cursor
 * that is where it was at a look progress_ns ago is stalled, and its consumer had something to read all
 * the time, or it would not be in the way.
 */
#include <errno.h>
#include <string.h>

#include "ring/gate.h"
#include "ring/guard.h"
#include "ring/join.h"
#include "sys/sys.h"

#define DYING_FIRST_NS 50000
#define DYING_MAX_NS 20000000

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
	s->opened_ns = 0;
}

/* When somebody must look again at a suspect that is not to be judged now. */
static void schedule(struct mye_guard *g, struct mye_suspect *s, int64_t now)
{
	int64_t at = INT64_MAX;

	if (!s->opened_ns)
		at = s->since_ns + g->progress_ns;
	else if (g->on_failure == MYELON_ON_FAILURE_FAIL)
		at = s->opened_ns + g->grace_ns;
	if (s->unseen && !s->opened_ns)
		sooner(&at, now + g->check_ns);
	if (s->dead)
		s->dying = false;
	if (s->dying) {
		s->retry_ns = s->retry_ns ? 2 * s->retry_ns : DYING_FIRST_NS;
		if (s->retry_ns > DYING_MAX_NS)
			s->retry_ns = DYING_MAX_NS;
		sooner(&at, now + s->retry_ns);
		sooner(&g->look_at, now + s->retry_ns);
	}
	sooner(&g->wake_at, at);
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

static int look_at_entry(struct mye_producer *p, struct mye_guard *g, uint32_t i, int64_t cursor,
                         int64_t now, bool parking)
{
	uint64_t word = state_word(p, i);
	struct mye_suspect *s = &g->entry[i];
	char id[MYE_ID_BYTES];
	int rc = 0;

	if (MYE_STATE_OF(word) != MYE_ENTRY_ACTIVE && MYE_STATE_OF(word) != MYE_ENTRY_JOINING)
		return 0;
	mye_entry_id(&p->seg, i, id);
	follow(g, s, id, cursor, now);
	/* Watched before it is asked for: an end in between is an event. */
	if (parking)
		mye_guard_watch(p, g, i);
	s->dead = is_dead(p, i, word);
	if (s->dead || now - s->since_ns >= g->progress_ns) {
		s->who.pid = __atomic_load_n(&p->seg.entries[i].about.who.pid, __ATOMIC_RELAXED);
		rc = mye_guard_judge(p, g, s, s->dead ? MYELON_CAUSE_DEAD : MYELON_CAUSE_STALLED,
		                     now);
	}
	schedule(g, s, now);
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
		if (!gates_as(p, g->name[i]))
			rc = look_at_missing(p, g, &g->missing[i], g->name[i], now);
	if (rc == 0 && p->gate.active < g->required.count)
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
	return rc;
}
