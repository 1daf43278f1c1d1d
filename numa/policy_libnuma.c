/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The policy calls, through libnuma's thin wrappers. numa_available() is not
 * asked: older versions take a seccomp filter's EPERM for a yes. Each call says
 * for itself whether it is allowed.
 */
#include <errno.h>
#include <numaif.h>
#include <string.h>

#include "numa/placement.h"

/* The kernel takes one bit less than it is told. */
#define MAX_NODE (MYE_NUMA_NODES + 1)
#define WORD_BITS (8 * sizeof(unsigned long))

static int denied(void)
{
	return errno == EINVAL ? -EINVAL : -ENOTSUP;
}

static int mode_of(bool interleave, enum mye_numa_how how)
{
	if (interleave)
		return MPOL_INTERLEAVE;
	return how == MYE_NUMA_BIND ? MPOL_BIND : MPOL_PREFERRED;
}

/* The kernel's masks are of longs. */
struct node_mask {
	unsigned long word[MYE_NUMA_NODES / WORD_BITS];
};

static struct node_mask mask_of(const struct mye_nodes *nodes)
{
	struct node_mask mask = {0};

	for (size_t node = 0; node < MYE_NUMA_NODES; node++)
		if (mye_nodes_has(nodes, (int)node))
			mask.word[node / WORD_BITS] |= 1ul << node % WORD_BITS;
	return mask;
}

int mye_policy_begin(const struct mye_nodes *nodes, bool interleave, enum mye_numa_how how,
                     struct mye_numa_saved *saved)
{
	struct node_mask mask = mask_of(nodes);

	saved->valid = false;
	memset(saved->mask, 0, sizeof(saved->mask));
	if (get_mempolicy(&saved->mode, saved->mask, MAX_NODE, NULL, 0) < 0)
		return denied();
	if (set_mempolicy(mode_of(interleave, how), mask.word, MAX_NODE) < 0)
		return denied();
	saved->valid = true;
	return 0;
}

void mye_numa_end(const struct mye_numa_saved *saved)
{
	/* The default policy takes no nodes. */
	if (saved->valid)
		set_mempolicy(saved->mode, saved->mode == MPOL_DEFAULT ? NULL : saved->mask,
		              saved->mode == MPOL_DEFAULT ? 0 : MAX_NODE);
}

int mye_policy_bind(void *at, size_t bytes, const struct mye_nodes *nodes, bool interleave,
                    enum mye_numa_how how)
{
	struct node_mask mask = mask_of(nodes);

	return mbind(at, bytes, mode_of(interleave, how), mask.word, MAX_NODE, 0) < 0 ? denied()
	                                                                              : 0;
}

int mye_numa_query(const void *at, size_t page, size_t count, int *nodes)
{
	void *pages[256];
	size_t i;

	if (count > sizeof(pages) / sizeof(pages[0]))
		return -EINVAL;
	for (i = 0; i < count; i++)
		pages[i] = (void *)((uintptr_t)at + i * page);
	return move_pages(0, count, pages, NULL, nodes, 0) < 0 ? -ENOTSUP : 0;
}
