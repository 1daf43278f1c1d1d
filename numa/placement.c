/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "numa/placement.h"
#include "sys/sys.h"

#define BATCH 256

int mye_numa_local(void)
{
	return mye_current_node();
}

/* Is the number in a list such as "0-3,8"? */
static bool in_list(const char *list, int number)
{
	char *end;
	long lo, hi;

	while (*list >= '0' && *list <= '9') {
		lo = hi = strtol(list, &end, 10);
		if (*end == '-')
			hi = strtol(end + 1, &end, 10);
		if (number >= lo && number <= hi)
			return true;
		list = *end == ',' ? end + 1 : end;
	}
	return false;
}

/* The nodes a cpuset leaves this process; true if that cannot be read. */
static bool allowed(int node)
{
	static const char key[] = "Mems_allowed_list:\t";
	char *text = mye_read_whole("/proc/self/status");
	char *at = text ? strstr(text, key) : NULL;
	bool yes = !at || in_list(at + sizeof(key) - 1, node);

	free(text);
	return yes;
}

int mye_numa_check(int node)
{
	char nodes[1024];

	if (mye_read_text("/sys/devices/system/node/has_memory", nodes, sizeof(nodes)) <= 0)
		strcpy(nodes, "0");
	if (node < 0 || node >= MYE_NUMA_NODES || !in_list(nodes, node))
		return mye_fail(-EINVAL,
		                "NUMA node %d has no memory: this machine has it on node %s", node,
		                nodes);
	if (!allowed(node))
		return mye_fail(-EINVAL,
		                "the cpuset of this process does not allow memory of NUMA node %d: "
		                "see Mems_allowed_list in /proc/self/status",
		                node);
	return 0;
}

/* Pages per node, as far as it matters. */
struct census {
	int first; /* a node that has some, -1: none */
	bool mixed;
	uint64_t wrong, all;
};

static void count_pages(struct census *c, int node, uint64_t pages, int want)
{
	if (!pages)
		return;
	c->all += pages;
	if (node < 0) /* a page that is not there */
		c->mixed = true;
	else if (c->first < 0)
		c->first = node;
	else if (c->first != node)
		c->mixed = true;
	if (node != want)
		c->wrong += pages;
}

static int ask_kernel(struct census *c, const char *at, size_t bytes, size_t page, int want)
{
	size_t left = bytes / page, n, i;
	int nodes[BATCH], rc;

	for (; left; left -= n, at += n * page) {
		n = left < BATCH ? left : BATCH;
		rc = mye_numa_query(at, page, n, nodes);
		if (rc)
			return rc;
		for (i = 0; i < n; i++)
			count_pages(c, nodes[i] < 0 ? -1 : nodes[i], 1, want);
	}
	return 0;
}

/* Lines "7f00aabb policy key=value ... N0=12 N1=4 ...", one for each mapping. */
static int read_maps(struct census *c, const void *at, size_t bytes, size_t page, int want)
{
	char *text = mye_read_whole("/proc/self/numa_maps"), *line, *next, *word, *save;
	unsigned long long begin, pages, from = (uintptr_t)at;
	bool found = false;
	int node;

	for (line = text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (sscanf(line, "%llx ", &begin) != 1 || begin < from || begin >= from + bytes)
			continue;
		for (word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
			if (sscanf(word, "N%d=%llu", &node, &pages) == 2) {
				count_pages(c, node, pages, want);
				found = true;
			}
		}
	}
	free(text);
	if (!found)
		return -ENOTSUP;
	/* What is not in the page table is not listed. */
	if (c->all < bytes / page)
		count_pages(c, -1, bytes / page - c->all, want);
	return 0;
}

int mye_numa_verify(const void *at, size_t bytes, size_t page, int want, uint64_t *wrong)
{
	struct census c = {.first = -1};

	if (ask_kernel(&c, at, bytes, page, want)) {
		c = (struct census){.first = -1};
		if (read_maps(&c, at, bytes, page, want)) {
			*wrong = MYE_NUMA_UNKNOWN;
			return -1;
		}
	}
	*wrong = c.wrong;
	return c.mixed ? -1 : c.first;
}
