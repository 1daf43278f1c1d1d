/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "liveness/lease.h"

#include <errno.h>

#include "base/error.h"
#include "base/handle.h"
#include "segment/map.h"
#include "wait/keeper.h"

static_assert(MYE_CONTROL_ROOM >= MYE_ROBUST_DISTANCE, "the entry is inside the reservation");
static_assert(MYE_ROBUST_DISTANCE >= 3 * 65536, "in front of the mapping for every page unit");
static_assert(offsetof(struct mye_shared_page, lease) % 8 == 0, "entries are aligned");

static uint32_t *word_of(const struct mye_segment *seg, unsigned int index)
{
	return &seg->shared->lease.lease[index % MYE_LEASE_WORDS];
}

static int installed(void *arg)
{
	(void)arg;
	return mye_robust_installed();
}

bool mye_lease_available(void)
{
	return mye_keeper_is_thread() && mye_keeper_call(installed, NULL) > 0;
}

/* Memory for the kernel's entry of a word: one page of the room in front of the control file. */
static int make_entry(const uint32_t *word)
{
	uintptr_t at = (uintptr_t)word - MYE_ROBUST_DISTANCE;
	size_t page = mye_page_size();
	void *start = (void *)(at & ~(uintptr_t)(page - 1));
	int rc;

	mye_fork_enter();
	rc = mye_map_fixed(start, page, -1, 0, MYE_MAP_WRITE | MYE_MAP_PRIVATE);
	if (rc == 0)
		rc = mye_dontfork(start, page);
	mye_fork_leave();
	return rc;
}

static void count(void)
{
	__atomic_store_n(&mye_keeper_counts()->leases, mye_robust_held(), __ATOMIC_RELAXED);
}

static int own(void *arg)
{
	int rc = mye_robust_own(arg);

	count();
	return rc;
}

static int disown(void *arg)
{
	mye_robust_disown(arg);
	count();
	return 0;
}

static int take(uint32_t *word)
{
	int rc;

	if (!mye_keeper_is_thread())
		return mye_fail_static(-ENOTSUP,
		                       "no lease: the application drives the keeper, which must be "
		                       "a thread of its own");
	if (!mye_lease_available())
		return mye_fail_static(-ENOTSUP, "no lease: set_robust_list is refused");
	rc = make_entry(word);
	if (rc == 0)
		rc = mye_keeper_call(own, word);
	return rc < 0 ? mye_fail(rc, "no lease: %s",
	                         rc == -ENOSPC ? "this process has 2000 already"
	                                       : myelon_strerror(rc))
	              : 0;
}

int mye_lease_take(struct mye_segment *seg, unsigned int index)
{
	int rc;

	if (index >= MYE_LEASE_WORDS)
		return mye_fail(-ENOSPC,
		                "no lease: only the first %u consumer entries can have one, this "
		                "is entry %u",
		                MYE_LEASE_ENTRIES, index / 2 - 1);
	rc = mye_keeper_hold();
	if (rc < 0)
		return rc;
	rc = take(word_of(seg, index));
	if (rc < 0)
		mye_keeper_drop();
	return rc;
}

void mye_lease_release(struct mye_segment *seg, unsigned int index)
{
	mye_keeper_call(disown, word_of(seg, index));
	mye_keeper_drop();
}

void mye_lease_clear(struct mye_segment *seg, unsigned int index)
{
	uint32_t *word = word_of(seg, index);

	if (index >= MYE_LEASE_WORDS)
		return;
	mye_point();
	/* Release: pairs with the acquire load in mye_lease_watch(). */
	if (__atomic_exchange_n(word, 0, __ATOMIC_RELEASE))
		mye_futex_wake_all(word);
}

enum mye_lease_state mye_lease_look(const struct mye_segment *seg, unsigned int index)
{
	if (index >= MYE_LEASE_WORDS)
		return MYE_LEASE_NONE;
	return mye_lease_state_of(__atomic_load_n(word_of(seg, index), __ATOMIC_RELAXED));
}

uint32_t mye_lease_watch(struct mye_segment *seg, unsigned int index)
{
	uint32_t *word = word_of(seg, index);
	uint32_t value = __atomic_load_n(word, __ATOMIC_RELAXED);

	if (__builtin_expect(value == 0, 1) || !seg->writable || index >= MYE_LEASE_WORDS)
		return 0;
	/* Acquire: pairs with the release stores of own, disown and clear. What is not somebody's must
	   not get the bit: only the owner's death or release takes it away. */
	while (mye_lease_state_of(value) == MYE_LEASE_HELD && !(value & MYE_ROBUST_WAITERS))
		if (__atomic_compare_exchange_n(word, &value, value | MYE_ROBUST_WAITERS, false,
		                                __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
			value |= MYE_ROBUST_WAITERS;
	return value;
}

void mye_lease_pass_on(struct mye_segment *seg, unsigned int index, uint32_t value)
{
	uint32_t *word = word_of(seg, index);

	if (index < MYE_LEASE_WORDS && __atomic_load_n(word, __ATOMIC_RELAXED) != value)
		mye_futex_wake_all(word);
}
