/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Huge pages: where they are mounted, what the pools hold, and why there are
 * not enough. Internal. */
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
};

struct mye_huge_pool {
	uint64_t page_size;
	uint64_t total, free, reserved, surplus; /* pages; free includes reserved */
};

/* The page sizes the kernel knows, smallest first. @return count (<= max), 0
 * without huge pages. */
int mye_huge_sizes(uint64_t *sizes, int max);

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

/* Why @p bytes cannot be had: "2 MiB pool has 3 free pages, 12 are missing". */
void mye_huge_shortage(uint64_t page_size, int node, uint64_t bytes, char *buf, size_t cap);

/* The same, and the command that adds them. */
void mye_huge_explain(uint64_t page_size, int node, uint64_t bytes, char *buf, size_t cap);

/* Size of a transparent huge page, 0 without them. */
uint64_t mye_huge_thp_size(void);

/* Bytes of the mappings that begin in [at, at + bytes) which lie in transparent
 * huge pages; -1: unknown. */
int64_t mye_huge_thp_mapped(const void *at, size_t bytes);

#endif
