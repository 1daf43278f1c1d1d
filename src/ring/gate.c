/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The gate: how far the producer may write.
 *
 * Two values. The shared ceiling is announced and only ever rises; the private limit is what is used.
 * To extend: scan the gating cursors, announce a ceiling, full fence, and only if the join generation
 * has not moved since the scan adopt the new limit. A joiner does the mirror image (join.c): either
 * it sees our ceiling and starts above what we may overwrite, or we see its entry and wait for it.
 */
#include "ring/gate.h"

#include <errno.h>

#include "base/error.h"
#include "sys/sys.h"

void mye_gate_reset(struct mye_producer *p)
{
	struct mye_gate *g = &p->gate;
	int64_t window = p->seg.header.window;

	/* Acquire is not needed: nobody else writes the producer page while we hold its lock. */
	g->ceiling = __atomic_load_n(&p->seg.producer->gate.ceiling, __ATOMIC_RELAXED);
	/* With nobody gating the last minimum counts; of a predecessor we know it was not below this. */
	g->gate = g->ceiling > window - 1 ? g->ceiling : window - 1;
	g->minimum = INT64_MAX;
	g->limit = p->hot.next - 1;
	g->step = window / 8 > 0 ? window / 8 : 1;
	p->soft_more = (uint32_t)window / 4;
	g->listed = false;
}

int64_t mye_gate_cursor(struct mye_producer *p, uint32_t i)
{
	struct mye_gate_entry *k = &p->gate.known[i];
	/* Acquire: pairs with the release store in myelon_release(): its reads are done. */
	int64_t cursor = __atomic_load_n(&p->seg.entries[i].hot.cursor, __ATOMIC_ACQUIRE);

	if (cursor >= -1 && cursor < p->hot.next) {
		k->last_good = cursor;
		return cursor;
	}
	if (k->bad != cursor || !k->alerted) {
		k->bad = cursor;
		k->alerted = true;
		p->alerts++;
		mye_warn("ring %s: cursor %lld of consumer %u is out of range; its last good value "
		         "%lld counts",
		         p->seg.place.name, (long long)cursor, i, (long long)k->last_good);
	}
	return k->last_good;
}

static bool gates(enum mye_entry_state st)
{
	return st == MYE_ENTRY_JOINING || st == MYE_ENTRY_ACTIVE || st == MYE_ENTRY_HOLD;
}

/* Read the whole table under @p generation. */
static void relist(struct mye_producer *p, uint64_t generation)
{
	struct mye_gate *g = &p->gate;
	uint32_t hold = MYE_HOLD_INDEX(&p->seg), active = 0;
	int64_t first = g->limit - (int64_t)p->seg.header.window;

	g->count = 0;
	g->holding = false;
	for (uint32_t i = 0; i <= hold; i++) {
		/* Acquire: pairs with the joiner's CAS; its provisional cursor is stored before. */
		uint64_t word = __atomic_load_n(&p->seg.entries[i].slow.state, __ATOMIC_ACQUIRE);
		enum mye_entry_state st = MYE_STATE_OF(word);
		struct mye_gate_entry *k = &g->known[i];

		if (!gates(st) || (st == MYE_ENTRY_HOLD) != (i == hold))
			continue;
		if (!k->seen || k->generation != MYE_GEN_OF(word)) {
			k->seen = true;
			k->alerted = false;
			k->generation = MYE_GEN_OF(word);
			k->last_good = first > -1 ? first : -1;
		}
		active += st == MYE_ENTRY_ACTIVE;
		g->holding |= st == MYE_ENTRY_HOLD;
		g->list[g->count++] = i;
	}
	g->active = active;
	g->generation = generation;
	g->listed = true;
}

void mye_gate_end_hold(struct mye_producer *p)
{
	struct mye_entry *e = &p->seg.entries[MYE_HOLD_INDEX(&p->seg)];
	uint64_t word = __atomic_load_n(&e->slow.state, __ATOMIC_RELAXED);

	if (MYE_STATE_OF(word) != MYE_ENTRY_HOLD)
		return;
	mye_point();
	/* Release: pairs with the acquire load of joiners choosing their start. */
	__atomic_store_n(&e->slow.state, MYE_STATE(MYE_GEN_OF(word), MYE_ENTRY_FREE),
	                 __ATOMIC_RELEASE);
	mye_point();
	__atomic_fetch_add(&p->seg.shared->join.generation, 1, __ATOMIC_SEQ_CST);
	p->gate.listed = false;
}

/* The lowest cursor of the listed entries, INT64_MAX: none is listed. */
static int64_t list_minimum(struct mye_producer *p)
{
	int64_t minimum = INT64_MAX;

	for (uint32_t k = 0; k < p->gate.count; k++) {
		int64_t cursor = mye_gate_cursor(p, p->gate.list[k]);

		if (cursor < minimum)
			minimum = cursor;
	}
	return minimum;
}

/* Have those come that the hold waits for? Who came and left again counts. */
static bool hold_is_over(const struct mye_producer *p)
{
	/* Acquire: pairs with the joiner's increment; its cursor is final and its entry gates. */
	uint64_t joined = __atomic_load_n(&p->seg.shared->join.joined, __ATOMIC_ACQUIRE);

	return p->gate.holding && p->hold_by_count &&
	       (joined >= p->hold_need || p->gate.active >= p->hold_need);
}

static uint64_t load_generation(const struct mye_producer *p)
{
	/* Acquire: pairs with the joiner's increment; the table is read after it. */
	return __atomic_load_n(&p->seg.shared->join.generation, __ATOMIC_ACQUIRE);
}

/* Scan the gating cursors; the whole table if asked to or if the gating set changed. */
static void scan(struct mye_producer *p, bool whole)
{
	struct mye_gate *g = &p->gate;
	int64_t window = p->seg.header.window, minimum, left = INT64_MAX;
	uint64_t now = load_generation(p);

	if (whole || !g->listed || now != g->generation) {
		/* Where they stand now is the last minimum if they all turn out to have left. */
		if (g->listed)
			left = list_minimum(p);
		relist(p, now);
	}
	if (hold_is_over(p)) {
		mye_gate_end_hold(p);
		relist(p, load_generation(p));
	}
	minimum = list_minimum(p);
	if (minimum == INT64_MAX && left != INT64_MAX && g->gate < left + window)
		g->gate = left + window;
	g->minimum = minimum;
	if (minimum != INT64_MAX)
		g->gate = minimum + window;
	else if (p->seg.header.unattended == MYELON_UNATTENDED_OVERWRITE)
		g->gate = p->hot.next - 1 + window;
	if (g->holding && g->gate > (int64_t)p->hold_max - 1)
		g->gate = (int64_t)p->hold_max - 1;
}

/* Announce a ceiling for @p need. @return false if the gating set moved: scan again. */
static bool announce(struct mye_producer *p, int64_t need)
{
	struct mye_gate *g = &p->gate;
	int64_t want = g->ceiling + g->step;

	if (want < need)
		want = need;
	if (want > g->gate)
		want = g->gate;
	if (want > g->ceiling) {
		g->ceiling = want;
		mye_point();
		/* Release: pairs with the acquire load of observers (overtaken?) and joiners. */
		__atomic_store_n(&p->seg.producer->gate.ceiling, want, __ATOMIC_RELEASE);
	}
	/* Store of the ceiling before load of the generation; pairs with the joiner's fence between
	   its increment and its load of the ceiling. Also before any store into the announced slots. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	mye_point();
	return __atomic_load_n(&p->seg.shared->join.generation, __ATOMIC_ACQUIRE) == g->generation;
}

static int64_t room_of(const struct mye_producer *p)
{
	int64_t room = p->gate.limit - p->hot.next + 1;

#ifdef MYE_SINGLE_MAP
	int64_t to_wrap = (int64_t)(p->hot.mask + 1 - ((uint64_t)p->hot.next & p->hot.mask));

	if (room > to_wrap)
		room = to_wrap;
#endif
	return room > 0 ? room : 0;
}

bool mye_gate_extend(struct mye_producer *p, uint32_t n, bool whole)
{
	struct mye_gate *g = &p->gate;
	int64_t need = p->hot.next + n - 1;

	if (g->limit < need) {
		if (whole || !g->listed || g->gate < need)
			scan(p, whole);
		if (g->gate < need)
			return false;
		if (g->ceiling < need && !announce(p, need)) {
			/* One rescan after a moved generation suffices: the ceiling is out. */
			scan(p, true);
			if (g->gate < need)
				return false;
		}
		if (g->limit < (g->gate < g->ceiling ? g->gate : g->ceiling))
			g->limit = g->gate < g->ceiling ? g->gate : g->ceiling;
	}
	p->hot.end = p->hot.next + room_of(p);
	p->hot.managed_end = p->managed_open ? p->hot.end : 0;
	return g->limit >= need;
}

int64_t mye_gate_minimum(struct mye_producer *p)
{
	scan(p, true);
	return p->gate.minimum == INT64_MAX ? p->hot.next - 1 : p->gate.minimum;
}
