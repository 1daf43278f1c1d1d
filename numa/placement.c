/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What an option of placement means on this machine, and the policy that follows from it. */
#include "numa/placement.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <myelon/ring.h>

#include "base/error.h"
#include "numa/lists.h"
#include "sys/sys.h"

/* Nodes with memory, as a list. */
static void with_memory(char *list, size_t cap)
{
	if (mye_read_text("/sys/devices/system/node/has_memory", list, cap) <= 0)
		snprintf(list, cap, "0");
}

static bool is_online(int node)
{
	char online[1024];

	return mye_read_text("/sys/devices/system/node/online", online, sizeof(online)) > 0
	               ? mye_list_has(online, node)
	               : node == 0;
}

int mye_numa_check(int node)
{
	char have[1024], allowed[1024];

	with_memory(have, sizeof(have));
	if (node < 0 || !mye_list_has(have, node))
		return mye_fail(-EINVAL, "NUMA node %d %s: this machine has memory on node %s",
		                node, is_online(node) ? "has no memory" : "does not exist", have);
	if (node >= MYELON_NUMA_NODES_MAX)
		return mye_fail(-EINVAL,
		                "NUMA node %d is above 63, where pages are not counted one by one",
		                node);
	mye_allowed_nodes(allowed, sizeof(allowed));
	if (allowed[0] && !mye_list_has(allowed, node))
		return mye_fail(-EINVAL,
		                "the cpuset of this process does not allow memory of NUMA node %d, "
		                "only of %s (Mems_allowed_list in /proc/self/status)",
		                node, allowed);
	return 0;
}

static int one_node(struct mye_numa_want *want, int node)
{
	int rc = mye_numa_check(node);

	if (rc)
		return rc;
	want->node = node;
	want->count = 1;
	mye_nodes_add(&want->nodes, node);
	return 0;
}

static int node_of_cpu(struct mye_numa_want *want, uint32_t cpu)
{
	int node = cpu <= INT32_MAX ? mye_cpu_node((int)cpu) : -1;
	char online[1024];

	if (node < 0) {
		mye_online_cpus(online, sizeof(online));
		return mye_fail(-EINVAL, "there is no CPU %u: those online are %s", cpu, online);
	}
	if (mye_numa_check(node) == 0)
		return one_node(want, node);
	return mye_fail(-EINVAL, "CPU %u is on NUMA node %d, which has no memory for this process",
	                cpu, node);
}

struct nearest {
	int from, node;
	uint8_t distance;
};

static int nearer(void *ctx, const struct myelon_numa_node *n)
{
	struct nearest *near = ctx;
	uint8_t d = near->from < MYELON_NUMA_NODES_MAX ? n->distance[near->from] : 0;

	if (n->allowed && (near->node < 0 || (d && d < near->distance))) {
		near->node = n->node;
		near->distance = d;
	}
	return 0;
}

/* The node of the CPU we run on; if it has no memory for us and it need not be that, the nearest. */
static int local_node(struct mye_numa_want *want)
{
	struct nearest near = {.from = mye_current_node(), .node = -1};

	if (mye_numa_check(near.from) == 0)
		return one_node(want, near.from);
	if (want->strict)
		return mye_fail(
			-EINVAL,
			"the calling thread runs on NUMA node %d, which has no memory for this "
			"process: pin it elsewhere, name a node, or drop the strict flag",
			near.from);
	myelon_numa_nodes(nearer, &near);
	return one_node(want, near.node);
}

/* All nodes of the mask, each of which must do; without one, all that do. */
static int several(struct mye_numa_want *want, uint64_t mask)
{
	char have[1024], allowed[1024];
	int rc;

	with_memory(have, sizeof(have));
	mye_allowed_nodes(allowed, sizeof(allowed));
	for (int node = 0; node < MYELON_NUMA_NODES_MAX; node++) {
		if (mask && !(mask >> node & 1))
			continue;
		if (!mask &&
		    (!mye_list_has(have, node) || (allowed[0] && !mye_list_has(allowed, node))))
			continue;
		rc = mye_numa_check(node);
		if (rc)
			return rc;
		mye_nodes_add(&want->nodes, node);
		want->node = want->count++ ? -1 : node;
	}
	if (want->count)
		return 0;
	return mye_fail_static(-EINVAL, "no NUMA node below 64 has memory for this process");
}

int mye_numa_want(struct mye_numa_want *want, uint32_t mode, uint32_t node, uint32_t cpu,
                  uint64_t mask, bool strict)
{
	*want = (struct mye_numa_want){.mode = mode, .strict = strict, .node = -1};
	switch (mode) {
	case MYELON_NUMA_ANY:
		return 0;
	case MYELON_NUMA_LOCAL:
		return local_node(want);
	case MYELON_NUMA_NODE:
		return one_node(want, node <= INT32_MAX ? (int)node : -1);
	case MYELON_NUMA_CPU:
		return node_of_cpu(want, cpu);
	case MYELON_NUMA_INTERLEAVE:
		return several(want, mask);
	default:
		return mye_fail(-EINVAL, "option numa is %u: there is no such placement", mode);
	}
}

int mye_numa_begin(const struct mye_numa_want *want, enum mye_numa_how how,
                   struct mye_numa_saved *saved)
{
	saved->valid = false;
	return want->count ? mye_policy_begin(&want->nodes, want->count > 1, how, saved) : 0;
}

int mye_numa_bind(void *at, size_t bytes, const struct mye_numa_want *want, enum mye_numa_how how)
{
	return want->count ? mye_policy_bind(at, bytes, &want->nodes, want->count > 1, how) : 0;
}
