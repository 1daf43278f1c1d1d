/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How a consumer comes to own a table entry and starts to gate (join.c, entry.c). */
#ifndef MYE_RING_JOIN_H
#define MYE_RING_JOIN_H

#include "ring/ring.h"

#define MYE_NO_RESUME INT64_MIN /* resume_from of an entry that has nothing to resume */

/* What a joiner wants. */
struct mye_join {
	const char *id; /* NULL: automatic */
	enum myelon_start start;
	enum myelon_wait wait;
	int64_t deadline; /* for the table lock */
	/* out */
	uint32_t index;
	uint64_t generation;
	int64_t cursor; /* the first message is cursor + 1 */
	uint64_t lost;  /* messages between where the id left off and there */
};

/* Own an entry and join with it. @return 0, -EBUSY, -ENOSPC, -ENOENT, -EPROTO. */
int mye_join_ring(struct mye_segment *seg, struct mye_join *j);

/* Stop gating: remember the cursor for a resume. Safe after an eviction. */
void mye_leave_ring(struct mye_segment *seg, uint32_t index, uint64_t generation, int64_t cursor);

/* The id of entry @p i, NUL-terminated copy. */
void mye_entry_id(const struct mye_segment *seg, uint32_t i, char id[MYE_ID_BYTES]);

/* entry.c: under the table lock, take the lock of the entry for j->id; fills j->index. */
int mye_entry_take(struct mye_segment *seg, struct mye_join *j);

#endif
