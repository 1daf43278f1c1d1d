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

static int mode_of(enum mye_numa_how how)
{
	return how == MYE_NUMA_BIND ? MPOL_BIND : MPOL_PREFERRED;
}

struct node_mask {
	unsigned long word[MYE_NUMA_NODES / WORD_BITS];
};

static struct node_mask only(int node)
{
	struct node_mask mask = {0};

	mask.word[(size_t)node / WORD_BITS] = 1ul << ((size_t)node % WORD_BITS);
	return mask;
}

int mye_numa_begin(int node, enum mye_numa_how how, struct mye_numa_saved *saved)
{
	struct node_mask mask;

	saved->valid = false;
	if (node < 0 || node >= MYE_NUMA_NODES)
		return -EINVAL;
	mask = only(node);
	memset(saved->mask, 0, sizeof(saved->mask));
	if (get_mempolicy(&saved->mode, saved->mask, MAX_NODE, NULL, 0) < 0)
		return denied();
	if (set_mempolicy(mode_of(how), mask.word, MAX_NODE) < 0)
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

int mye_numa_bind(void *at, size_t bytes, int node, enum mye_numa_how how)
{
	struct node_mask mask;

	if (node < 0 || node >= MYE_NUMA_NODES)
		return -EINVAL;
	mask = only(node);
	return mbind(at, bytes, mode_of(how), mask.word, MAX_NODE, 0) < 0 ? denied() : 0;
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
