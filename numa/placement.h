/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Placement of memory on a NUMA node, applied before the first touch and
 * verified after it. Works without libnuma and on machines without NUMA: then
 * every node but 0 is refused, and says so. Internal.
 */
#ifndef MYE_NUMA_PLACEMENT_H
#define MYE_NUMA_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Number of the node the calling thread runs on. */
int mye_numa_local(void);

/* Is @p node there and does it have memory? @return 0, or -EINVAL with a
 * sentence. */
int mye_numa_check(int node);

/* The calling thread's memory policy, to be put back. */
struct mye_numa_saved {
	int mode;
	bool valid;
	unsigned long mask[16];
};

/*
 * Make the calling thread allocate on @p node: the policy under which a
 * following fallocate, mmap and populate must run (hugetlb reservation and
 * fallocate follow the thread, not the mapping).
 * @return 0; -ENOTSUP when the kernel or a seccomp filter denies it.
 */
int mye_numa_begin(int node, struct mye_numa_saved *saved);
void mye_numa_end(const struct mye_numa_saved *saved);

/* Bind a mapping, so that later faults agree. @return 0, -ENOTSUP. */
int mye_numa_bind(void *at, size_t bytes, int node);

/*
 * Where are the pages? Counts pages of @p page bytes per node. @return the node
 * if all are on one, -1 if mixed or unknown; @p wrong: pages not on @p want.
 */
int mye_numa_verify(const void *at, size_t bytes, size_t page, int want, uint64_t *wrong);

#endif
