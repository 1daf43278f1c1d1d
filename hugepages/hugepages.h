/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Huge pages: where they are mounted, what the pools hold, and why there are
 * not enough. Internal. */
#ifndef MYE_HUGEPAGES_H
#define MYE_HUGEPAGES_H

#include <stddef.h>
#include <stdint.h>

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
 * Directories on hugetlbfs that this process may write, @p dir first if given
 * (it must be on hugetlbfs: -EINVAL), else those in /proc/self/mounts; @p
 * page_size 0: any. @return count, or negative errno.
 */
int mye_huge_mounts(const char *dir, uint64_t page_size, struct mye_huge_mount *out, int max);

/* @return 0, -ENOENT if the kernel lacks this size. @p node -1: the whole
 * machine. */
int mye_huge_pool(uint64_t page_size, int node, struct mye_huge_pool *out);

/* A sentence why @p bytes cannot be had, with how many pages are missing and
 * the command that adds them. */
void mye_huge_explain(uint64_t page_size, int node, uint64_t bytes, char *buf, size_t cap);

#endif
