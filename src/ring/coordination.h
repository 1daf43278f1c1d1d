/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Waiting for consumers to be there. */
#ifndef MYE_RING_COORDINATION_H
#define MYE_RING_COORDINATION_H

#include "ring/ring.h"

#define MYE_WAIT_FOR_DEFAULT_NS 15000000000ll

bool mye_wait_for_empty(const struct myelon_wait_for *whom);
/* A copy that is the library's: every id by its name, those of the prefix too, and once. */
struct mye_whom {
	size_t bytes; /* of this allocation */
	struct myelon_wait_for list;
};
/* @return NULL: no memory (sentence set). */
struct mye_whom *mye_whom_copy(const struct myelon_wait_for *whom);
void mye_whom_free(struct mye_whom *whom); /* NULL is allowed */

/* Names and counts in range? @return 0, -EINVAL, -ENAMETOOLONG. */
int mye_wait_for_check(const struct myelon_wait_for *whom, uint32_t max_consumers);
/* The id of one that is missing, "" if a number of any id is, or none. */
void mye_wait_for_first_missing(const struct mye_producer *p, const struct myelon_wait_for *whom,
                                char *id, size_t cap);
int mye_wait_for(struct mye_producer *p, const struct myelon_wait_for *whom, int64_t deadline);

#endif
