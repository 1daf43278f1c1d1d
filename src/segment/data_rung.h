/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One way of making the data file; data.c chooses among them. */
#ifndef MYE_SEGMENT_DATA_RUNG_H
#define MYE_SEGMENT_DATA_RUNG_H

#include "numa/placement.h"
#include "segment/data.h"

struct mye_rung {
	uint32_t backing;        /* not AUTO */
	uint64_t page;           /* of the mapping */
	uint64_t unit;           /* bytes are rounded up to it */
	const char *dir;         /* where the file goes */
	enum mye_numa_how place; /* hugetlb: how strictly the node is meant */
	bool all_huge;           /* shm+thp: fail unless all of it is in huge pages */
};

/*
 * Make, allocate, place, map, populate, verify and link the file; on failure
 * nothing of it is left, the sentence is set, and @p why holds the short reason.
 * On success the out fields of @p d are set, but for the reason; @p why holds
 * what is to be added to it.
 */
int mye_rung_build(struct mye_data *d, const struct mye_rung *rung, char *why, size_t cap);

#endif
