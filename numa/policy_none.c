/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Built without libnuma: memory is not placed, but where it lies can still be read from
 * /proc/self/numa_maps. */
#include <errno.h>

#include "numa/placement.h"

int mye_policy_begin(const struct mye_nodes *nodes, bool interleave, enum mye_numa_how how,
                     struct mye_numa_saved *saved)
{
	(void)nodes;
	(void)interleave;
	(void)how;
	saved->valid = false;
	return -ENOTSUP;
}

void mye_numa_end(const struct mye_numa_saved *saved)
{
	(void)saved;
}

int mye_policy_bind(void *at, size_t bytes, const struct mye_nodes *nodes, bool interleave,
                    enum mye_numa_how how)
{
	(void)at;
	(void)bytes;
	(void)nodes;
	(void)interleave;
	(void)how;
	return -ENOTSUP;
}

int mye_numa_query(const void *at, size_t page, size_t count, int *nodes)
{
	(void)at;
	(void)page;
	(void)count;
	(void)nodes;
	return -ENOTSUP;
}
