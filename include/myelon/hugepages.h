/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file hugepages.h - huge pages of this machine: sizes, pools, mounts, limits; adding some.
 *
 * A ring gets its huge pages by itself (ring.h, `huge` and `backing`); this is for those who prepare
 * a machine, and for tools. Sizes are bytes throughout. On a kernel without huge pages the functions
 * that list call nobody and return 0.
 *
 * Concurrency: any thread. What is told was true when it was read: pools change under everybody.
 */
#ifndef MYELON_HUGEPAGES_H
#define MYELON_HUGEPAGES_H

#include <stddef.h>
#include <stdint.h>

#include <myelon/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A pool of huge pages of one size, of the whole machine or of one NUMA node. */
struct myelon_hugepage_pool {
	uint32_t size;       /**< sizeof(struct myelon_hugepage_pool) */
	int32_t node;        /**< -1: the whole machine */
	uint64_t page_size;  /**< bytes */
	uint64_t total;      /**< pages, surplus included */
	uint64_t free;       /**< pages nobody has touched, reserved ones included */
	uint64_t reserved;   /**< of the free ones, promised to mappings; machine only, else 0 */
	uint64_t surplus;    /**< pages above what was asked for, given back when they are free */
	uint64_t overcommit; /**< pages the kernel may add by itself; machine only, else 0 */
};
/** Return non-zero to stop; that value is returned by the caller. */
typedef int (*myelon_hugepage_pool_fn)(void *ctx, const struct myelon_hugepage_pool *pool);

/** Call @p fn for each page size, smallest first: the machine's pool, then each node's.
 * @return 0 or fn's value. */
MYELON_API int myelon_hugepage_pools(myelon_hugepage_pool_fn fn, void *ctx);

/** A directory on hugetlbfs. */
struct myelon_hugepage_mount {
	uint32_t size;
	uint32_t usable;    /**< 1: this process may make files there */
	uint64_t page_size; /**< bytes */
	uint64_t limit;     /**< bytes the mount may hold (option size=), UINT64_MAX: the pool's */
	uint64_t min;       /**< bytes reserved for it at mount (min_size=) */
	char dir[256];
};
typedef int (*myelon_hugepage_mount_fn)(void *ctx, const struct myelon_hugepage_mount *mount);

/** Call @p fn for @p dir (NULL: for each hugetlbfs in /proc/self/mounts whose path fits).
 * @return 0; fn's value; -EINVAL (@p dir is not on hugetlbfs); -ENAMETOOLONG, -ENOENT, -EACCES. */
MYELON_API int myelon_hugepage_mounts(const char *dir, myelon_hugepage_mount_fn fn, void *ctx);

/** The tightest limits that control groups put on this process for one page size: of those of its
 * group and the groups above, the one with the least room left. */
struct myelon_hugepage_limit {
	uint32_t size;
	uint32_t reserved;
	uint64_t page_size;    /**< bytes */
	uint64_t max;          /**< bytes that may be touched, UINT64_MAX: no limit */
	uint64_t used;         /**< bytes, by the group that has the limit */
	uint64_t reserved_max; /**< the same for mappings (reservation) */
	uint64_t reserved_used;
	char group[256]; /**< the group of max (else of reserved_max), as a path under the mount */
};
typedef int (*myelon_hugepage_limit_fn)(void *ctx, const struct myelon_hugepage_limit *limit);

/** Call @p fn for each page size that a control group limits (cgroup v2 hugetlb.<size>.max and
 * .rsvd.max, v1 limit_in_bytes), here or further up. @return 0 or fn's value. */
MYELON_API int myelon_hugepage_limits(myelon_hugepage_limit_fn fn, void *ctx);

/**
 * Make at least @p pages pages of @p page_size free and not promised to anybody, on @p node
 * (-1: anywhere), by adding to the pool; never takes any away. Who adds at the same time adds to the
 * same pages: two who want 4 find 4, not 8. Asks for no more than fits into memory.
 *
 * Needs write permission on the pool's file, that is root or CAP_DAC_OVERRIDE in the initial user
 * namespace (CAP_SYS_ADMIN does not give it): one that is permitted but not effective is raised, by
 * the calling thread, to open the file and dropped after.
 * @param got  out: pages free now; may be NULL.
 * @return 0; -EPERM (the sentence names the capability and the exact command); -ENOSPC (the kernel
 * gave fewer, which stay: the sentence says how many, and why that happens); -EBUSY (somebody else
 * has been at it for 30 s); -EINVAL (no such size or node).
 */
MYELON_API int myelon_hugepage_reserve(uint64_t page_size, int node, uint64_t pages, uint64_t *got);

/**
 * Mount hugetlbfs of @p page_size at @p dir (made if it is missing, else empty), for the calling user
 * (mode 0700; as root 01777, so that everybody may use it). Is it mounted there already, with this
 * size, that is success. CAP_SYS_ADMIN that is permitted but not effective is raised for the call.
 * @return 0; -EPERM (the sentence names CAP_SYS_ADMIN and the exact command); -EEXIST (something
 * else is mounted there); -ENOTEMPTY (the mount would hide what is there); -EINVAL (no such size);
 * -ENOTDIR, -ENOENT, -EACCES, ...
 */
MYELON_API int myelon_hugepage_mount(const char *dir, uint64_t page_size);

#ifdef __cplusplus
}
#endif
#endif
