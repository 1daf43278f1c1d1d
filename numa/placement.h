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

#define MYE_NUMA_NODES 1024

/* Number of the node the calling thread runs on. */
int mye_numa_local(void);

/* Is @p node there, does it have memory, and may this process use it? @return
 * 0, or -EINVAL with a sentence. */
int mye_numa_check(int node);

/* The calling thread's memory policy, to be put back. */
struct mye_numa_saved {
	int mode;
	bool valid;
	unsigned long mask[MYE_NUMA_NODES / 8 / sizeof(unsigned long)];
};

/*
 * Where pages may lie. BIND: on the node or nowhere; right for hugetlb, where
 * the allocation then fails. PREFER: elsewhere when the node is full; right for
 * ordinary pages, where BIND would call the OOM killer.
 */
enum mye_numa_how { MYE_NUMA_PREFER, MYE_NUMA_BIND };

/*
 * Make the calling thread allocate on @p node: the policy under which a
 * following fallocate, mmap and populate must run (hugetlb reservation and
 * fallocate follow the thread, not the mapping).
 * @return 0; -ENOTSUP when the kernel or a seccomp filter denies it.
 */
int mye_numa_begin(int node, enum mye_numa_how how, struct mye_numa_saved *saved);
/* Put the policy back, if begin changed it. */
void mye_numa_end(const struct mye_numa_saved *saved);

/* The same policy for a mapping, so that later faults agree. @return 0,
 * -ENOTSUP. */
int mye_numa_bind(void *at, size_t bytes, int node, enum mye_numa_how how);

#define MYE_NUMA_UNKNOWN UINT64_MAX

/*
 * Where are the pages? Counts pages of @p page bytes per node. @return the node
 * if all are on one, -1 if mixed or unknown; @p wrong: pages not on @p want,
 * MYE_NUMA_UNKNOWN if nobody tells.
 */
int mye_numa_verify(const void *at, size_t bytes, size_t page, int want, uint64_t *wrong);

/* policy_*.c: the node of each page, -ENOENT in @p nodes for one that is not
 * there. @return 0, -ENOTSUP. */
int mye_numa_query(const void *at, size_t page, size_t count, int *nodes);

#endif
