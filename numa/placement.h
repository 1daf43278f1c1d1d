/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Placement of memory on NUMA nodes, applied before the first touch and verified after it, page by
 * page. Works without libnuma and on machines without NUMA: then every node but 0 is refused, and says
 * so. Internal.
 */
#ifndef MYE_NUMA_PLACEMENT_H
#define MYE_NUMA_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <myelon/numa.h>

#define MYE_NUMA_NODES 1024
#define MYE_NODE_WORDS (MYE_NUMA_NODES / 64)

/* A set of nodes. */
struct mye_nodes {
	uint64_t word[MYE_NODE_WORDS];
};

static inline void mye_nodes_add(struct mye_nodes *set, int node)
{
	unsigned int n = (unsigned int)node % MYE_NUMA_NODES;

	set->word[n / 64] |= 1ull << n % 64;
}

static inline bool mye_nodes_has(const struct mye_nodes *set, int node)
{
	unsigned int n = (unsigned int)node;

	return n < MYE_NUMA_NODES && (set->word[n / 64] >> n % 64 & 1);
}

/* Where memory shall be. */
struct mye_numa_want {
	uint32_t mode; /* enum myelon_numa */
	bool strict;   /* a page elsewhere is an error */
	int32_t node;  /* the one node, -1: any or several */
	uint32_t count;
	struct mye_nodes nodes; /* empty: any */
};

/*
 * What an option means here and now: is the node there, has it memory, may this process use it?
 * @p mask: for INTERLEAVE, the nodes below 64, 0: all that this process may use.
 * @return 0, or -EINVAL with a sentence.
 */
int mye_numa_want(struct mye_numa_want *want, uint32_t mode, uint32_t node, uint32_t cpu,
                  uint64_t mask, bool strict);

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
 * How hard. BIND: there or nowhere; right for hugetlb, where the allocation then fails. PREFER:
 * elsewhere when the node is full; right for ordinary pages, where BIND would call the OOM killer.
 * Several nodes: in turns, whatever is said here.
 */
enum mye_numa_how { MYE_NUMA_PREFER, MYE_NUMA_BIND };

/*
 * Make the calling thread allocate as wanted: the policy under which a following fallocate, mmap and
 * populate must run (hugetlb reservation and fallocate follow the thread, not the mapping). Wanting
 * nothing changes nothing.
 * @return 0; -ENOTSUP when the kernel or a seccomp filter denies it.
 */
int mye_numa_begin(const struct mye_numa_want *want, enum mye_numa_how how,
                   struct mye_numa_saved *saved);
/* Put the policy back, if begin changed it. */
void mye_numa_end(const struct mye_numa_saved *saved);

/* The same policy for a mapping, so that later faults agree. @return 0, -ENOTSUP. */
int mye_numa_bind(void *at, size_t bytes, const struct mye_numa_want *want, enum mye_numa_how how);

/* Where the pages of a mapping are. */
struct mye_census {
	bool known;     /* somebody told */
	uint64_t pages; /* asked about */
	uint64_t node[MYELON_NUMA_NODES_MAX];
	uint64_t other; /* on nodes above those */
	uint64_t absent;
};

/* Count the pages of @p page bytes, by the kernel's word for each of them. */
void mye_numa_count(const void *at, size_t bytes, size_t page, struct mye_census *census);

/* The node that has all of them, -1: mixed or unknown. */
int32_t mye_census_node(const struct mye_census *census);

/* Pages that are not where they are wanted. In turns: also those of which a node has less than its
 * share. 0 if nothing was wanted. */
uint64_t mye_census_wrong(const struct mye_census *census, const struct mye_numa_want *want);

/* "node 0: 12, node 1: 4 pages" of what was counted. */
void mye_census_text(const struct mye_census *census, char *buf, size_t cap);

/* policy_*.c: the node of each page, -ENOENT in @p nodes for one that is not
 * there. @return 0, -ENOTSUP. */
int mye_numa_query(const void *at, size_t page, size_t count, int *nodes);
/* policy_*.c */
int mye_policy_begin(const struct mye_nodes *nodes, bool interleave, enum mye_numa_how how,
                     struct mye_numa_saved *saved);
int mye_policy_bind(void *at, size_t bytes, const struct mye_nodes *nodes, bool interleave,
                    enum mye_numa_how how);

#endif
