/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Which table entry a joining consumer gets. Choosing happens under a lock of its own (the byte of the
 * hold entry), held until the entry says "joining", so that two processes with one new id cannot both
 * find it missing. What is chosen is owned by its own lock byte, not by what the entry says.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "ring/join.h"
#include "sys/sys.h"

void mye_entry_id(const struct mye_segment *seg, uint32_t i, char id[MYE_ID_BYTES])
{
	memcpy(id, seg->entries[i].about.id, MYE_ID_BYTES);
	id[MYE_ID_BYTES - 1] = '\0';
}

static enum mye_entry_state state_of(const struct mye_segment *seg, uint32_t i)
{
	/* Acquire: pairs with the CAS of joiners and leavers; the rest of the entry is seen. */
	return MYE_STATE_OF(__atomic_load_n(&seg->entries[i].slow.state, __ATOMIC_ACQUIRE));
}

/* The entry that carries @p id. @return its index, or -1. */
static int64_t find_id(const struct mye_segment *seg, const char *id)
{
	char have[MYE_ID_BYTES];

	for (uint32_t i = 0; i < seg->header.max_consumers; i++) {
		if (state_of(seg, i) == MYE_ENTRY_FREE)
			continue;
		mye_entry_id(seg, i, have);
		if (strcmp(have, id) == 0)
			return i;
	}
	return -1;
}

/* A dead automatic entry, owned now. @return its index, or -1. */
static int64_t adopt_automatic(const struct mye_segment *seg)
{
	for (uint32_t i = 0; i < seg->header.max_consumers; i++) {
		enum mye_entry_state st = state_of(seg, i);

		if ((st != MYE_ENTRY_ACTIVE && st != MYE_ENTRY_JOINING) ||
		    !__atomic_load_n(&seg->entries[i].slow.automatic, __ATOMIC_RELAXED) ||
		    mye_lock_set(seg->control_fd, MYE_LOCK_ENTRY(i), MYE_LOCK_EXCLUSIVE) < 0)
			continue;
		st = state_of(seg, i);
		if (st == MYE_ENTRY_ACTIVE || st == MYE_ENTRY_JOINING)
			return i;
		mye_role_drop(seg, MYE_LOCK_ENTRY(i));
	}
	return -1;
}

/* May the place of an id that is not here be given away? */
static bool left(enum mye_entry_state st)
{
	return st == MYE_ENTRY_RELEASED || st == MYE_ENTRY_EVICTED;
}

/* An entry nobody uses, owned now: a free one, else the one left longest ago. @return index, or -1. */
static int64_t take_unused(const struct mye_segment *seg)
{
	for (uint32_t i = 0; i < seg->header.max_consumers; i++) {
		if (state_of(seg, i) != MYE_ENTRY_FREE ||
		    mye_lock_set(seg->control_fd, MYE_LOCK_ENTRY(i), MYE_LOCK_EXCLUSIVE) < 0)
			continue;
		if (state_of(seg, i) == MYE_ENTRY_FREE)
			return i;
		mye_role_drop(seg, MYE_LOCK_ENTRY(i));
	}
	for (uint32_t tries = 0; tries < seg->header.max_consumers; tries++) {
		int64_t oldest = -1;
		uint64_t when = UINT64_MAX;

		for (uint32_t i = 0; i < seg->header.max_consumers; i++) {
			uint64_t at = __atomic_load_n(&seg->entries[i].slow.released_ns,
			                              __ATOMIC_RELAXED);

			if (!left(state_of(seg, i)) || at >= when ||
			    mye_role_held(seg, MYE_LOCK_ENTRY(i)) != 0)
				continue;
			when = at;
			oldest = i;
		}
		if (oldest < 0)
			return -1;
		if (mye_lock_set(seg->control_fd, MYE_LOCK_ENTRY(oldest), MYE_LOCK_EXCLUSIVE) < 0)
			continue;
		if (left(state_of(seg, (uint32_t)oldest)))
			return oldest;
		mye_role_drop(seg, MYE_LOCK_ENTRY(oldest));
	}
	return -1;
}

/* ad_<digits> belongs to automatic entries: else an automatic id could meet an explicit one. */
static bool automatic_name(const char *id)
{
	return strncmp(id, "ad_", 3) == 0 && id[3] && !id[3 + strspn(id + 3, "0123456789")];
}

/* Make the owned entry @p i the one of a new id: free it first, so that no resume point is inherited. */
static void write_id(struct mye_segment *seg, uint32_t i, const char *id)
{
	struct mye_entry *e = &seg->entries[i];
	uint64_t word = __atomic_load_n(&e->slow.state, __ATOMIC_RELAXED);
	size_t n;

	mye_point();
	/* Release: pairs with the acquire loads of the state; nobody reads the id of a free entry. */
	__atomic_store_n(&e->slow.state, MYE_STATE(MYE_GEN_OF(word), MYE_ENTRY_FREE),
	                 __ATOMIC_RELEASE);
	mye_point();
	__atomic_store_n(&e->slow.resume_from, MYE_NO_RESUME, __ATOMIC_RELAXED);
	__atomic_store_n(&e->slow.lost, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&e->slow.automatic, id == NULL, __ATOMIC_RELAXED);
	memset(e->about.id, 0, sizeof(e->about.id));
	if (id) {
		n = strlen(id);
		memcpy(e->about.id, id, n < MYE_ID_BYTES ? n : MYE_ID_BYTES - 1);
	} else {
		char digits[12];
		size_t at = sizeof(digits);

		do
			digits[--at] = (char)('0' + i % 10);
		while ((i /= 10) > 0);
		memcpy(e->about.id, "ad_", 3);
		memcpy(e->about.id + 3, digits + at, sizeof(digits) - at);
	}
	mye_point();
}

static int busy(const struct mye_segment *seg, uint32_t i, const char *id)
{
	struct mye_identity who;

	mye_identity_read(&who, &seg->entries[i].about.who);
	if (mye_role_orphaned(&who))
		return mye_fail(-EBUSY,
		                "ring %s: process %u of consumer %s has ended, but its lock is "
		                "held: " MYE_ORPHANED,
		                seg->place.name, who.pid, id);
	return mye_fail(-EBUSY,
	                "ring %s: consumer %s is attached by process %u; use another id, or end it",
	                seg->place.name, id, who.pid);
}

int mye_entry_take(struct mye_segment *seg, struct mye_join *j)
{
	int64_t i;

	if (j->id) {
		i = find_id(seg, j->id);
		if (i >= 0) {
			j->index = (uint32_t)i;
			if (mye_role_take(seg, MYE_LOCK_ENTRY(i)) < 0)
				return busy(seg, (uint32_t)i, j->id);
			/* Its owner may have left between the look and the lock. */
			if (state_of(seg, j->index) == MYE_ENTRY_FREE)
				write_id(seg, j->index, j->id);
			__atomic_store_n(&seg->entries[i].slow.automatic, 0, __ATOMIC_RELAXED);
			return 0;
		}
		if (automatic_name(j->id))
			return mye_fail(-EINVAL,
			                "ring %s: the id %s is of the automatic kind, and no such "
			                "consumer is known; choose another one",
			                seg->place.name, j->id);
		if (j->start == MYELON_START_RESUME)
			return mye_fail(-ENOENT,
			                "ring %s: consumer %s has never been here, so there is "
			                "nothing to resume; start at latest or oldest",
			                seg->place.name, j->id);
	} else {
		i = adopt_automatic(seg);
		if (i >= 0) {
			j->index = (uint32_t)i;
			return 0;
		}
	}
	i = take_unused(seg);
	if (i < 0)
		return mye_fail(
			-ENOSPC,
			"ring %s: all %u places for consumers are taken; end one, or create the "
			"ring with more max_consumers",
			seg->place.name, seg->header.max_consumers);
	j->index = (uint32_t)i;
	write_id(seg, (uint32_t)i, j->id);
	return 0;
}
