/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The nodes and CPUs of this machine, and what this process may use of them. */
#include <myelon/numa.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "numa/lists.h"
#include "sys/sys.h"

#define NODES "/sys/devices/system/node"
#define CPUS "/sys/devices/system/cpu"

/* "Node 0 MemTotal:  24650000 kB", and the same for MemFree. */
static uint64_t memory_of(const char *text, const char *key)
{
	const char *at = text ? strstr(text, key) : NULL;

	return at ? strtoull(at + strlen(key), NULL, 10) * 1024 : 0;
}

static void fill_memory(struct myelon_numa_node *n)
{
	char path[96], *text;

	snprintf(path, sizeof(path), NODES "/node%d/meminfo", n->node);
	text = mye_read_whole(path);
	if (!text) /* a kernel without NUMA */
		text = mye_read_whole("/proc/meminfo");
	n->memory_total = memory_of(text, "MemTotal:");
	n->memory_free = memory_of(text, "MemFree:");
	free(text);
}

/* "10 21 31": to each node that is online, in order. */
static void fill_distances(struct myelon_numa_node *n, const char *online)
{
	char path[96], text[1024], *at = text;
	int to;

	snprintf(path, sizeof(path), NODES "/node%d/distance", n->node);
	if (mye_read_text(path, text, sizeof(text)) <= 0) {
		n->distance[n->node] = 10;
		return;
	}
	for (to = mye_list_next(online, -1); to >= 0 && to < MYELON_NUMA_NODES_MAX;
	     to = mye_list_next(online, to)) {
		unsigned long d = strtoul(at, &at, 10);

		n->distance[to] = d > 255 ? 255 : (uint8_t)d;
	}
}

static void fill_node(struct myelon_numa_node *n, int node, const char *online)
{
	char path[96], allowed[1024], list[4096];

	*n = (struct myelon_numa_node){.size = sizeof(*n), .node = node};
	snprintf(path, sizeof(path), NODES "/node%d/cpulist", node);
	if (mye_read_text(path, list, sizeof(list)) < 0)
		mye_online_cpus(list, sizeof(list));
	n->cpus = mye_list_count(list);
	snprintf(n->cpu_list, sizeof(n->cpu_list), "%.*s", (int)sizeof(n->cpu_list) - 1, list);
	fill_memory(n);
	mye_allowed_nodes(allowed, sizeof(allowed));
	n->allowed = n->memory_total > 0 && (!allowed[0] || mye_list_has(allowed, node));
	fill_distances(n, online);
}

int myelon_numa_nodes(myelon_numa_node_fn fn, void *ctx)
{
	struct myelon_numa_node n;
	char online[1024];
	int rc = 0;

	if (mye_read_text(NODES "/online", online, sizeof(online)) <= 0)
		snprintf(online, sizeof(online), "0");
	for (int node = mye_list_next(online, -1); rc == 0 && node >= 0;
	     node = mye_list_next(online, node)) {
		if (node >= MYELON_NUMA_NODES_MAX)
			break;
		fill_node(&n, node, online);
		rc = fn(ctx, &n);
	}
	return rc;
}

/* Lists that hold for all CPUs, read once. */
struct lists {
	char online[1024], usable[1024], nohz[1024];
	/* By the kernel command line, by partitions (newer kernels sum them up), by our own. */
	char isolated[3][1024];
	struct mye_cpu_mask affinity;
};

static void read_list(const char *path, char *list, size_t cap)
{
	if (mye_read_text(path, list, cap) < 0)
		list[0] = '\0';
}

static void read_lists(struct lists *l)
{
	mye_online_cpus(l->online, sizeof(l->online));
	mye_allowed_cpus(l->usable, sizeof(l->usable));
	read_list(CPUS "/isolated", l->isolated[0], sizeof(l->isolated[0]));
	read_list("/sys/fs/cgroup/cpuset.cpus.isolated", l->isolated[1], sizeof(l->isolated[1]));
	mye_cgroup_isolated(l->isolated[2], sizeof(l->isolated[2]));
	read_list(CPUS "/nohz_full", l->nohz, sizeof(l->nohz));
	if (mye_affinity_get(&l->affinity))
		memset(&l->affinity, 0, sizeof(l->affinity));
}

static bool in_mask(const struct mye_cpu_mask *mask, int cpu)
{
	int bits = 8 * (int)sizeof(mask->word[0]);

	return cpu / bits < MYE_CPU_WORDS && (mask->word[cpu / bits] >> cpu % bits & 1);
}

static void fill_cpu(struct myelon_cpu *c, int cpu, const struct lists *l)
{
	char path[128], threads[256];

	*c = (struct myelon_cpu){.size = sizeof(*c), .cpu = cpu, .sibling = -1};
	c->node = mye_cpu_node(cpu);
	c->allowed = in_mask(&l->affinity, cpu);
	c->usable = mye_list_has(l->usable, cpu);
	for (int i = 0; i < 3; i++)
		c->isolated |= mye_list_has(l->isolated[i], cpu);
	c->nohz = mye_list_has(l->nohz, cpu);
	snprintf(path, sizeof(path), CPUS "/cpu%d/topology/thread_siblings_list", cpu);
	read_list(path, threads, sizeof(threads));
	for (int s = mye_list_next(threads, -1); s >= 0; s = mye_list_next(threads, s)) {
		if (s != cpu) {
			c->sibling = s;
			break;
		}
	}
	snprintf(path, sizeof(path), CPUS "/cpu%d/cpufreq/scaling_governor", cpu);
	read_list(path, c->governor, sizeof(c->governor));
}

int myelon_cpus(myelon_cpu_fn fn, void *ctx)
{
	struct myelon_cpu c;
	struct lists l;
	int rc = 0;

	read_lists(&l);
	for (int cpu = mye_list_next(l.online, -1); rc == 0 && cpu >= 0;
	     cpu = mye_list_next(l.online, cpu)) {
		fill_cpu(&c, cpu, &l);
		rc = fn(ctx, &c);
	}
	return rc;
}
