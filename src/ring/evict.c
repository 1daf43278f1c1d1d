/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Eviction: the explicit act of an operator who does not want to wait for a consumer any longer.
 *
 *   1. raise hot.evicted, in the consumer's own line, to the generation that is meant;
 *   2. full fence;
 *   3. {generation, active} -> {generation, evicted}, by compare-and-swap: it no longer gates;
 *   4. raise join_generation, ring the producer's bell and the consumers'.
 *
 * Whoever reads bytes that were written because of 3 finds 1 before it trusts them (myelon_release()).
 * The flag names a generation because 3 may fail: then it means an owner that is gone, and nobody else.
 *
 * A dead consumer's lock is taken first, so that it cannot come back meanwhile. A living one keeps its
 * lock, and so its place, until it closes or dies. The cursor stays, for the next owner of the id to
 * resume from (acknowledge() in join.c); a joiner has none yet, it is back where it was before.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "liveness/lease.h"
#include "ring/gate.h"
#include "ring/join.h"
#include "segment/control.h"
#include "sys/sys.h"

#define ROUNDS 20 /* of about 1 ms: another evictor, or a joiner, may have the lock for a moment */

/* Whom we mean, as found. */
struct victim {
	uint32_t index;
	uint64_t word;
};

static bool gates(uint64_t word)
{
	return MYE_STATE_OF(word) == MYE_ENTRY_JOINING || MYE_STATE_OF(word) == MYE_ENTRY_ACTIVE;
}

static bool is_of(const struct mye_segment *seg, uint32_t index, const char *id, uint64_t *word)
{
	char have[MYE_ID_BYTES];

	/* Acquire: pairs with the compare-and-swaps of joiners and leavers; the id is of this word. */
	*word = __atomic_load_n(&seg->entries[index].slow.state, __ATOMIC_ACQUIRE);
	if (MYE_STATE_OF(*word) < MYE_ENTRY_JOINING || MYE_STATE_OF(*word) > MYE_ENTRY_EVICTED)
		return false;
	mye_entry_id(seg, index, have);
	return strcmp(have, id) == 0;
}

static int find(const struct mye_segment *seg, const char *id, struct victim *v)
{
	for (v->index = 0; v->index < seg->header.max_consumers; v->index++)
		if (is_of(seg, v->index, id, &v->word))
			return 0;
	return mye_fail(-ENOENT, "ring %s has no consumer %s: 'myelon info' lists those it has",
	                seg->place.name, id);
}

static void raise_flag(uint64_t *flag, uint64_t generation)
{
	uint64_t seen = __atomic_load_n(flag, __ATOMIC_RELAXED);

	mye_point();
	/* Only raised: what another evictor meant stays true. Ordered by the fence that follows. */
	while (seen < generation &&
	       !__atomic_compare_exchange_n(flag, &seen, generation, 0, __ATOMIC_RELAXED,
	                                    __ATOMIC_RELAXED))
		;
	mye_point();
}

/* Steps 1 to 3. @return 1, or 0: this generation gates no more. */
static int strike(const struct mye_segment *seg, const struct victim *v)
{
	struct mye_entry *e = &seg->entries[v->index];
	uint64_t word = v->word, generation = MYE_GEN_OF(word);

	raise_flag(&e->hot.evicted, generation);
	/* Pairs with the acquire fence of myelon_release(): flag, state, ceiling, slots. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	while (gates(word) && MYE_GEN_OF(word) == generation) {
		/* Who has not joined yet has read nothing that could be stale. */
		enum mye_entry_state to = MYE_STATE_OF(word) == MYE_ENTRY_ACTIVE
		                                  ? MYE_ENTRY_EVICTED
		                                  : MYE_ENTRY_RELEASED;

		/* Seq_cst: pairs with the producer's acquire load (relist), and the owner's own. A joiner
		   may become active under us: then it has seen the flag or will, and must go all the same. */
		if (__atomic_compare_exchange_n(&e->slow.state, &word, MYE_STATE(generation, to), 0,
		                                __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE)) {
			mye_point();
			return 1;
		}
	}
	return 0;
}

/* Nobody resumes an automatic id, so its place is free; as when it closes. We hold its lock. */
static void free_automatic(const struct mye_segment *seg, const struct victim *v)
{
	struct mye_entry *e = &seg->entries[v->index];
	uint64_t word = __atomic_load_n(&e->slow.state, __ATOMIC_RELAXED);

	if (!__atomic_load_n(&e->slow.automatic, __ATOMIC_RELAXED) || gates(word))
		return;
	__atomic_store_n(&e->slow.resume_from, MYE_NO_RESUME, __ATOMIC_RELAXED);
	mye_point();
	/* Release: pairs with the acquire loads of the state. */
	__atomic_compare_exchange_n(&e->slow.state, &word,
	                            MYE_STATE(MYE_GEN_OF(word), MYE_ENTRY_FREE), 0,
	                            __ATOMIC_RELEASE, __ATOMIC_RELAXED);
	mye_point();
}

/* The lock of the entry is ours. @return as strike(), or -EAGAIN: it is another one's by now. */
static int strike_dead(struct mye_segment *seg, const char *id, struct victim *v)
{
	int rc = 0;

	if (!is_of(seg, v->index, id, &v->word))
		return -EAGAIN;
	if (gates(v->word)) {
		__atomic_store_n(&seg->entries[v->index].slow.released_ns, mye_realtime(),
		                 __ATOMIC_RELAXED);
		rc = strike(seg, v);
	}
	free_automatic(seg, v);
	mye_lease_clear(seg, MYE_LEASE_ENTRY(v->index));
	return rc;
}

/* Nothing is left to be done. An automatic place may still be to be freed: its evictor was killed. */
static bool settled(const struct mye_segment *seg, const struct victim *v)
{
	return !gates(v->word) &&
	       !__atomic_load_n(&seg->entries[v->index].slow.automatic, __ATOMIC_RELAXED);
}

static int lives(const struct mye_segment *seg, const struct victim *v, const char *id)
{
	struct mye_identity who;

	mye_identity_read(&who, &seg->entries[v->index].about.who);
	if (mye_role_orphaned(&who))
		return mye_fail(-EBUSY,
		                "process %u of consumer %s of ring %s has ended, but its lock is "
		                "held: " MYE_ORPHANED,
		                who.pid, id, seg->place.name);
	return mye_fail(-EBUSY,
	                "consumer %s of ring %s is attached by process %u, which lives: end it, or "
	                "pass MYELON_F_FORCE to evict it all the same, and it loses what it has "
	                "not read",
	                id, seg->place.name, who.pid);
}

static int evict(struct mye_segment *seg, const char *id, bool force)
{
	for (int round = 1;; round++) {
		struct victim v = {0};
		int rc = find(seg, id, &v);

		if (rc < 0 || settled(seg, &v))
			return rc;
		rc = mye_role_take(seg, MYE_LOCK_ENTRY(v.index));
		if (rc == 0) {
			rc = strike_dead(seg, id, &v);
			mye_role_drop(seg, MYE_LOCK_ENTRY(v.index));
			if (rc != -EAGAIN)
				return rc;
		} else if (rc != -EBUSY) {
			return rc;
		} else if (!gates(v.word)) {
			return 0;
		} else if (force) {
			return strike(seg, &v);
		}
		if (round >= ROUNDS)
			return lives(seg, &v, id);
	}
}

static int check(const char *id, uint32_t flags)
{
	if (!id)
		return mye_fail_static(-EINVAL,
		                       "evict: the id is NULL: name the consumer to be evicted");
	if (flags & ~MYELON_F_FORCE)
		return mye_fail(-EINVAL,
		                "evict: flags has the bits 0x%x: only MYELON_F_FORCE is known",
		                flags & ~MYELON_F_FORCE);
	return mye_id_check(id);
}

int myelon_evict(const char *name, const char *id, uint32_t flags,
                 const struct myelon_dir_opts *opts)
{
	struct mye_attach want = {.role = MYE_ROLE_OPERATOR, .deadline = MYELON_TRY};
	struct myelon_dir_opts o;
	struct mye_segment seg;
	int rc = mye_dir_opts_read(&o, opts, MYELON_F_ANY_OWNER);

	if (rc == 0)
		rc = check(id, flags);
	if (rc < 0)
		return rc;
	want.flags = o.flags;
	want.shm_dir = o.shm_dir;
	want.hugetlb_dir = o.hugetlb_dir;
	rc = mye_segment_attach(&seg, name, &want);
	if (rc < 0)
		return rc;
	rc = evict(&seg, id, flags & MYELON_F_FORCE);
	if (rc != -EBUSY) {
		/* Also where there was nothing to do: whoever did it may have died before this. */
		mye_gating_changed(&seg);
		mye_ring_bell(&seg.shared->bell.doorbell, &seg.shared->bell.wake_ns);
	}
	mye_segment_leave(&seg);
	return rc;
}
