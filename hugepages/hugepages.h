/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Huge pages: where they are mounted, what the pools hold, who limits them, and why there are
 * not enough. Internal; what tools may call is in <myelon/hugepages.h>. */
#ifndef MYE_HUGEPAGES_H
#define MYE_HUGEPAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MYE_HUGE_SIZES 8
#define MYE_HUGE_MOUNTS 16

struct mye_huge_mount {
	char dir[4096];
	uint64_t page_size;
	uint64_t limit; /* bytes it may hold (size=), UINT64_MAX: what the pool has */
	uint64_t left;  /* of these, bytes not taken */
	uint64_t dev;
	bool usable; /* this process may make files there */
};

struct mye_huge_pool {
	uint64_t page_size;
	uint64_t total, free, reserved, surplus, overcommit; /* pages; free includes reserved */
};

/* The tightest limits of the control groups of this process: those with the least room left. */
struct mye_huge_limit {
	uint64_t max, used;                   /* bytes that are touched; max UINT64_MAX: no limit */
	uint64_t reserved_max, reserved_used; /* bytes that are mapped */
	char group[256], reserved_group[256];
	const char *file, *reserved_file; /* of the group, behind hugetlb.<size>. */
};

/* The page sizes the kernel knows, smallest first. @return count (<= max), 0
 * without huge pages. */
int mye_huge_sizes(uint64_t *sizes, int max);

/* -EINVAL and a sentence that lists them, if the kernel lacks this size. */
int mye_huge_check_size(uint64_t page_size);

/* "2M", as the command's --size and the mount option pagesize= take it. */
struct mye_huge_size_text {
	char text[24];
};
struct mye_huge_size_text mye_huge_size_text(uint64_t page_size);

/*
 * Directories on hugetlbfs: only @p dir if given (-EINVAL and a sentence if it
 * is not on hugetlbfs), else those in /proc/self/mounts. @p page_size 0: any.
 * @p writable: only those in which this process may make files. @return count,
 * or negative errno.
 */
int mye_huge_mounts(const char *dir, uint64_t page_size, bool writable, struct mye_huge_mount *out,
                    int max);

/* @return 0, -ENOENT if the kernel lacks this size. @p node -1: the whole
 * machine. */
int mye_huge_pool(uint64_t page_size, int node, struct mye_huge_pool *out);

/* Pages that are free and not promised to anybody. Promises are not made per node, so a node has
 * no more of them than the machine. @return 0, -ENOENT. */
int mye_huge_spare(uint64_t page_size, int node, uint64_t *pages);

/* Directory of a pool's files. */
void mye_huge_pool_dir(char *buf, size_t cap, uint64_t page_size, int node);

/* @return true if a control group limits this page size. */
bool mye_huge_limit(uint64_t page_size, struct mye_huge_limit *out);

/*
 * Why @p bytes cannot be had on a mount (@p dir, may be NULL): what is in the way of the pool, the
 * mount's size= and the control groups, shortest first: "2 MiB pool has 3 free pages, 12 are
 * missing". To be asked when a failed attempt has given back what it got.
 */
void mye_huge_shortage(uint64_t page_size, int node, uint64_t bytes, const char *dir, char *buf,
                       size_t cap);

/* The same, and what helps: the command that adds pages, the file with the limit. */
void mye_huge_explain(uint64_t page_size, int node, uint64_t bytes, const char *dir, char *buf,
                      size_t cap);

/* Size of a transparent huge page, 0 without them. */
uint64_t mye_huge_thp_size(void);

/* Bytes of the mappings that begin in [at, at + bytes) which lie in transparent
 * huge pages; -1: unknown. */
int64_t mye_huge_thp_mapped(const void *at, size_t bytes);

#endif
