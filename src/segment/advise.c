/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the places of a ring's participants cost them, seen together. */
#include <errno.h>

#include "base/error.h"
#include "numa/advice.h"
#include "segment/segment.h"

static int32_t cpu_of(const struct mye_segment *seg, uint32_t who)
{
	if (who == MYE_ADVISE_PRODUCER)
		return __atomic_load_n(&seg->producer->identity.cpu, __ATOMIC_RELAXED);
	return __atomic_load_n(&seg->entries[who].about.who.cpu, __ATOMIC_RELAXED);
}

static bool there(const struct mye_segment *seg, uint32_t who)
{
	uint64_t state;

	if (who == MYE_ADVISE_PRODUCER)
		return __atomic_load_n(&seg->producer->slow.state, __ATOMIC_RELAXED) ==
		       MYE_PRODUCER_OPEN;
	state = __atomic_load_n(&seg->entries[who].slow.state, __ATOMIC_RELAXED);
	return MYE_STATE_OF(state) == MYE_ENTRY_ACTIVE || MYE_STATE_OF(state) == MYE_ENTRY_JOINING;
}

static void compare(const struct mye_segment *seg, uint32_t who, uint32_t other,
                    struct myelon_advice *own)
{
	struct myelon_consumer_entry entry;

	if (who == other || !there(seg, other) || cpu_of(seg, other) != own->cpu)
		return;
	if (other == MYE_ADVISE_PRODUCER)
		mye_advice_add(own, MYELON_ADVICE_SHARED, "the producer is pinned to CPU %d, too",
		               own->cpu);
	else if (mye_segment_entry(seg, other, &entry))
		mye_advice_add(own, MYELON_ADVICE_SHARED, "consumer %s is pinned to CPU %d, too",
		               entry.id, own->cpu);
}

int mye_segment_advise(const struct mye_segment *seg, uint32_t who, struct myelon_advice *own)
{
	/* A CPU out of shared memory may be any number: advise says that there is none. */
	int rc =
		mye_advise(cpu_of(seg, who), seg->header.node_obtained, seg->header.data_page, own);

	if (rc || own->cpu < 0)
		return rc;
	compare(seg, who, MYE_ADVISE_PRODUCER, own);
	for (uint32_t i = 0; i < seg->header.max_consumers; i++)
		compare(seg, who, i, own);
	return 0;
}
