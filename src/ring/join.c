/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The join handshake, the mirror image of the gate (gate.c). Every step is needed; tests/model explores
 * it exhaustively, with the variants that break.
 *
 *   1. store a provisional cursor, at or below anything that may still be overwritten safely;
 *   2. set the entry joining: from now on it gates;
 *   3. raise join_generation, full fence;
 *   4. read ceiling, then published: the producer either saw 2 or had announced this ceiling;
 *   5. raise the cursor to start - 1, start above what the ceiling allows to overwrite;
 *   6. active, by compare-and-swap.
 *
 * A joiner that dies in between is an ordinary dead consumer; whoever takes its entry over joins again.
 */
#include "ring/join.h"

#include <errno.h>

#include "base/error.h"
#include "liveness/lease.h"
#include "ring/gate.h"
#include "sys/sys.h"

#define TABLE_LOCK_NS 1000000000ll

/* Positions of the producer, read in this order and checked. */
struct where {
	int64_t ceiling;
	int64_t published;
};

static int read_where(const struct mye_segment *seg, struct where *at)
{
	/* Acquire, ceiling first: pairs with the producer's release stores (announce, publish). */
	at->ceiling = __atomic_load_n(&seg->producer->gate.ceiling, __ATOMIC_ACQUIRE);
	at->published = __atomic_load_n(&seg->producer->hot.published, __ATOMIC_ACQUIRE);
	if (at->ceiling < -1 || at->published < -1 || at->ceiling > INT64_MAX / 2 ||
	    at->published > INT64_MAX / 2)
		return mye_fail(
			-EPROTO,
			"ring %s: published %lld or ceiling %lld is out of range; remove the ring",
			seg->place.name, (long long)at->published, (long long)at->ceiling);
	return 0;
}

static int64_t max64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t oldest_of(const struct mye_segment *seg, const struct where *at)
{
	return max64(at->ceiling - (int64_t)seg->header.window + 1, 0);
}

static int table_lock(struct mye_segment *seg, int64_t deadline)
{
	int64_t until = max64(deadline, mye_now() + TABLE_LOCK_NS);

	while (mye_lock_set(seg->control_fd, MYE_LOCK_TABLE(seg), MYE_LOCK_EXCLUSIVE) < 0) {
		int64_t now = mye_now();

		if (now >= until)
			return mye_fail(
				-EBUSY,
				"ring %s: another process has been joining for too long; is one "
				"stopped in the middle?",
				seg->place.name);
		mye_sleep_until(now + 50000);
	}
	return 0;
}

/* Where the id of @p j left off + 1, or -1: it is new, or what is recorded cannot be. */
static int64_t left_off(const struct mye_segment *seg, const struct mye_join *j,
                        const struct where *at, bool known)
{
	int64_t resume =
		__atomic_load_n(&seg->entries[j->index].slow.resume_from, __ATOMIC_RELAXED);

	return known && resume >= -1 && resume <= at->published ? resume + 1 : -1;
}

/* The first sequence wanted by @p j. */
static int64_t wanted_start(const struct mye_segment *seg, const struct mye_join *j,
                            const struct where *at, int64_t from)
{
	/* Acquire: pairs with the release store that ends the hold. */
	uint64_t hold =
		__atomic_load_n(&seg->entries[MYE_HOLD_INDEX(seg)].slow.state, __ATOMIC_ACQUIRE);

	if (from >= 0 && (j->start == MYELON_START_RESUME || j->start == MYELON_START_DEFAULT))
		return from;
	if (j->start == MYELON_START_OLDEST ||
	    (j->start == MYELON_START_DEFAULT && MYE_STATE_OF(hold) == MYE_ENTRY_HOLD))
		return oldest_of(seg, at);
	return at->published + 1;
}

/* Where the join really starts: nothing that may be overwritten, and a frame start if frames are read. */
static int64_t intact_start(const struct mye_segment *seg, int64_t wanted, int64_t floor,
                            const struct where *at, bool at_boundary)
{
	int64_t start = max64(wanted, floor);

	if (seg->header.kind == MYELON_KIND_FRAMED && start <= at->published &&
	    !(at_boundary && start == wanted))
		start = mye_frame_start(seg, start, at->published);
	return start;
}

/* Steps 1 and 2. @return the generation of the entry, or 0: its state was changed under us. */
static uint64_t enter(struct mye_segment *seg, struct mye_join *j, uint64_t word, int64_t ceiling)
{
	struct mye_entry *e = &seg->entries[j->index];
	int64_t provisional = max64(-1, ceiling - (int64_t)seg->header.window);
	uint64_t gen = MYE_GEN_OF(word) + 1;
	int64_t stored = __atomic_load_n(&e->hot.cursor, __ATOMIC_RELAXED);

	/* A joiner never starts above the ceiling, so a stored cursor that does is none. */
	if (MYE_STATE_OF(word) == MYE_ENTRY_JOINING && stored <= ceiling)
		provisional = max64(provisional, stored);
	mye_point();
	__atomic_store_n(&e->hot.cursor, provisional, __ATOMIC_RELAXED);
	j->cursor = provisional;
	mye_point();
	/* Release: pairs with the producer's acquire load of the state (relist); the cursor goes first. */
	if (!__atomic_compare_exchange_n(&e->slow.state, &word, MYE_STATE(gen, MYE_ENTRY_JOINING),
	                                 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		return 0;
	mye_point();
	return gen;
}

/* Steps 3 to 6, after the table lock was given back. @counted: who had this id before came to its end. */
static int finish(struct mye_segment *seg, struct mye_join *j, bool known, bool counted)
{
	struct mye_entry *e = &seg->entries[j->index];
	uint64_t word = MYE_STATE(j->generation, MYE_ENTRY_JOINING);
	int64_t wanted, from, start;
	struct where at;
	int rc;

	/* Seq_cst: pairs with the producer's load of the generation after its fence (announce). */
	__atomic_fetch_add(&seg->shared->join.generation, 1, __ATOMIC_SEQ_CST);
	mye_point();
	/* Increment before loads: pairs with the producer's fence between ceiling and generation. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	rc = read_where(seg, &at);
	if (rc < 0)
		return rc;
	from = left_off(seg, j, &at, known);
	wanted = wanted_start(seg, j, &at, from);
	start = intact_start(seg, wanted, max64(oldest_of(seg, &at), j->cursor + 1), &at,
	                     from == wanted || wanted == at.published + 1);
	j->lost = from >= 0 && start > from ? (uint64_t)(start - from) : 0;
	j->cursor = start - 1;
	mye_point();
	/* Release: pairs with the producer's acquire load of cursors. */
	__atomic_store_n(&e->hot.cursor, j->cursor, __ATOMIC_RELEASE);
	__atomic_store_n(&e->slow.lost, j->lost, __ATOMIC_RELAXED);
	mye_point();
	/* Release: pairs with whoever waits for us to be active; our id and cursor are written. */
	if (!__atomic_compare_exchange_n(&e->slow.state, &word,
	                                 MYE_STATE(j->generation, MYE_ENTRY_ACTIVE), 0,
	                                 __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		return mye_fail(-EBUSY, "ring %s: evicted while joining; attach again",
		                seg->place.name);
	mye_point();
	/* Who came counts for the end of the hold, also if it has left again when that is looked at. Not
	   before it is active: who dies as a joiner starts anew, and the hold decides where. */
	if (!counted)
		/* Release: pairs with the acquire load in scan() (gate.c). */
		__atomic_fetch_add(&seg->shared->join.joined, 1, __ATOMIC_RELEASE);
	mye_gating_changed(seg);
	return 0;
}

/*
 * Entry of a dead owner that had finished its join: it gates all the time, so nothing was lost. Each
 * owner has a generation of its own: an evictor that meant the dead one must not hit us.
 * @return 0, -ERANGE: join anew from *word, -EPROTO.
 */
static int resume_active(struct mye_segment *seg, struct mye_join *j, uint64_t *word)
{
	struct mye_entry *e = &seg->entries[j->index];
	/* Acquire: pairs with the release stores of the dead owner; our copy may be old otherwise. */
	int64_t cursor = __atomic_load_n(&e->hot.cursor, __ATOMIC_ACQUIRE);
	uint64_t gen = MYE_GEN_OF(*word) + 1;
	struct where at;
	int rc = read_where(seg, &at);

	if (rc < 0)
		return rc;
	if (cursor < -1 || cursor > at.published) {
		mye_warn("ring %s: the cursor of consumer entry %u is out of range; joining anew",
		         seg->place.name, j->index);
		return -ERANGE;
	}
	mye_point();
	/* Acq_rel: pairs with the compare-and-swap of an evictor; if that was first we join anew. */
	if (!__atomic_compare_exchange_n(&e->slow.state, word, MYE_STATE(gen, MYE_ENTRY_ACTIVE), 0,
	                                 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return -ERANGE;
	mye_point();
	if (j->start == MYELON_START_LATEST && at.published > cursor) {
		j->lost = (uint64_t)(at.published - cursor);
		cursor = at.published;
		mye_point();
		/* Release: pairs with the producer's acquire load of cursors. */
		__atomic_store_n(&e->hot.cursor, cursor, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&e->slow.lost, j->lost, __ATOMIC_RELAXED);
	j->cursor = cursor;
	j->generation = gen;
	mye_gating_changed(seg);
	return 0;
}

/*
 * Entry of an owner that was evicted and is gone without having closed: do for it what it would have
 * done, while its cursor still says where it left off. @return the state.
 */
static uint64_t acknowledge(struct mye_segment *seg, uint32_t index, uint64_t word)
{
	struct mye_entry *e = &seg->entries[index];
	uint64_t left = MYE_STATE(MYE_GEN_OF(word), MYE_ENTRY_RELEASED);

	mye_point();
	__atomic_store_n(&e->slow.resume_from, __atomic_load_n(&e->hot.cursor, __ATOMIC_RELAXED),
	                 __ATOMIC_RELAXED);
	mye_point();
	/* Release: pairs with the acquire loads of the state; resume_from goes first. */
	return __atomic_compare_exchange_n(&e->slow.state, &word, left, 0, __ATOMIC_RELEASE,
	                                   __ATOMIC_ACQUIRE)
	               ? left
	               : word;
}

static void describe_owner(struct mye_segment *seg, const struct mye_join *j)
{
	struct mye_entry *e = &seg->entries[j->index];
	struct mye_identity me;

	mye_identify(&me);
	/* Before the identity: a producer must not find ours and think that the old mark is meant. */
	mye_lease_clear(seg, MYE_LEASE_ENTRY(j->index));
	mye_point();
	mye_identity_write(&e->about.who, &me);
	__atomic_store_n(&e->slow.attached_ns, mye_realtime(), __ATOMIC_RELAXED);
	__atomic_store_n(&e->slow.wait, j->wait, __ATOMIC_RELAXED);
	__atomic_store_n(&e->slow.engine, MYELON_ENGINE_AUTO, __ATOMIC_RELAXED);
	__atomic_store_n(&e->slow.armed, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&e->slow.parked, 0, __ATOMIC_RELAXED);
	mye_point();
}

/* A join that failed half way must not gate for ever. */
static void give_up(struct mye_segment *seg, const struct mye_join *j)
{
	struct mye_entry *e = &seg->entries[j->index];
	uint64_t word = MYE_STATE(j->generation, MYE_ENTRY_JOINING);

	/* Release: pairs with the acquire loads of the state. */
	__atomic_compare_exchange_n(&e->slow.state, &word, MYE_STATE(j->generation, MYE_ENTRY_FREE),
	                            0, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
	mye_gating_changed(seg);
}

int mye_join_ring(struct mye_segment *seg, struct mye_join *j)
{
	struct where at;
	uint64_t word;
	bool known, counted;
	int rc = table_lock(seg, j->deadline);

	if (rc < 0)
		return rc;
	rc = mye_entry_take(seg, j);
	if (rc < 0)
		goto unlock;
	describe_owner(seg, j);
	/* Acquire: pairs with the CAS of the previous owner or an evictor. */
	word = __atomic_load_n(&seg->entries[j->index].slow.state, __ATOMIC_ACQUIRE);
	if (MYE_STATE_OF(word) == MYE_ENTRY_ACTIVE) {
		rc = resume_active(seg, j, &word);
		if (rc != -ERANGE)
			goto unlock;
	}
	if (MYE_STATE_OF(word) == MYE_ENTRY_EVICTED)
		word = acknowledge(seg, j->index, word);
	rc = read_where(seg, &at);
	if (rc < 0)
		goto unlock;
	known = MYE_STATE_OF(word) != MYE_ENTRY_FREE;
	/* One that was active once has a place to resume from when it is no longer. */
	counted = MYE_STATE_OF(word) == MYE_ENTRY_ACTIVE ||
	          __atomic_load_n(&seg->entries[j->index].slow.resume_from, __ATOMIC_RELAXED) !=
	                  MYE_NO_RESUME;
	j->generation = enter(seg, j, word, at.ceiling);
	mye_role_drop(seg, MYE_LOCK_TABLE(seg));
	if (!j->generation)
		return mye_fail(-EBUSY, "ring %s: evicted while joining; attach again",
		                seg->place.name);
	rc = finish(seg, j, known, counted);
	if (rc < 0)
		give_up(seg, j);
	return rc;
unlock:
	mye_role_drop(seg, MYE_LOCK_TABLE(seg));
	return rc;
}

void mye_leave_ring(struct mye_segment *seg, uint32_t index, uint64_t generation, int64_t cursor)
{
	struct mye_entry *e = &seg->entries[index];
	bool automatic = __atomic_load_n(&e->slow.automatic, __ATOMIC_RELAXED);
	enum mye_entry_state left = automatic ? MYE_ENTRY_FREE : MYE_ENTRY_RELEASED;
	uint64_t word = MYE_STATE(generation, MYE_ENTRY_ACTIVE);

	mye_point();
	__atomic_store_n(&e->slow.resume_from, automatic ? MYE_NO_RESUME : cursor,
	                 __ATOMIC_RELAXED);
	__atomic_store_n(&e->slow.released_ns, mye_realtime(), __ATOMIC_RELAXED);
	mye_point();
	/* Release: pairs with the acquire loads of the state; resume_from goes first. */
	if (!__atomic_compare_exchange_n(&e->slow.state, &word, MYE_STATE(generation, left), 0,
	                                 __ATOMIC_RELEASE, __ATOMIC_ACQUIRE) &&
	    word == MYE_STATE(generation, MYE_ENTRY_EVICTED))
		/* Evicted meanwhile: acknowledge, so that the place can be used again. */
		__atomic_compare_exchange_n(&e->slow.state, &word, MYE_STATE(generation, left), 0,
		                            __ATOMIC_RELEASE, __ATOMIC_RELAXED);
	mye_point();
	mye_gating_changed(seg);
}
