/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where the pages are: the kernel's word for every single one of them. */
#include "numa/placement.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sys/sys.h"

#define BATCH 256

static void count_pages(struct mye_census *c, int node, uint64_t pages)
{
	if (node < 0)
		c->absent += pages;
	else if (node < MYELON_NUMA_NODES_MAX)
		c->node[node] += pages;
	else
		c->other += pages;
}

static int ask_kernel(struct mye_census *c, const char *at, size_t page)
{
	size_t left = c->pages, n;
	int nodes[BATCH], rc;

	for (; left; left -= n, at += n * page) {
		n = left < BATCH ? left : BATCH;
		rc = mye_numa_query(at, page, n, nodes);
		if (rc)
			return rc;
		for (size_t i = 0; i < n; i++)
			count_pages(c, nodes[i], 1);
	}
	return 0;
}

/* Lines "7f00aabb policy key=value ... N0=12 N1=4 ...", one for each mapping. */
static int read_maps(struct mye_census *c, const void *at, size_t bytes)
{
	char *text = mye_read_whole("/proc/self/numa_maps"), *line, *next, *word, *save;
	unsigned long long begin, pages, from = (uintptr_t)at;
	uint64_t seen = 0;
	int node;

	for (line = text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (sscanf(line, "%llx ", &begin) != 1 || begin < from || begin >= from + bytes)
			continue;
		for (word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
			if (sscanf(word, "N%d=%llu", &node, &pages) == 2) {
				count_pages(c, node, pages);
				seen += pages;
			}
		}
	}
	free(text);
	if (!seen)
		return -ENOTSUP;
	/* What is not in the page table is not listed. */
	if (seen < c->pages)
		count_pages(c, -1, c->pages - seen);
	return 0;
}

void mye_numa_count(const void *at, size_t bytes, size_t page, struct mye_census *c)
{
	*c = (struct mye_census){.pages = bytes / page, .known = true};
	if (ask_kernel(c, at, page) == 0)
		return;
	*c = (struct mye_census){.pages = bytes / page, .known = true};
	if (read_maps(c, at, bytes) == 0)
		return;
	*c = (struct mye_census){.pages = bytes / page};
}

int32_t mye_census_node(const struct mye_census *c)
{
	for (int32_t node = 0; c->known && c->pages && node < MYELON_NUMA_NODES_MAX; node++)
		if (c->node[node] == c->pages)
			return node;
	return -1;
}

uint64_t mye_census_wrong(const struct mye_census *c, const struct mye_numa_want *want)
{
	uint64_t outside = c->absent + c->other, lacking = 0, share;

	if (!want->count)
		return 0;
	share = c->pages / want->count;
	for (int node = 0; node < MYELON_NUMA_NODES_MAX; node++) {
		if (!mye_nodes_has(&want->nodes, node))
			outside += c->node[node];
		else if (c->node[node] < share)
			lacking += share - c->node[node];
	}
	/* A page that is outside is also lacking somewhere. */
	return outside > lacking ? outside : lacking;
}

void mye_census_text(const struct mye_census *c, char *buf, size_t cap)
{
	const char *sep = "";

	buf[0] = '\0';
	for (int node = 0; node < MYELON_NUMA_NODES_MAX; node++) {
		if (!c->node[node])
			continue;
		mye_append(buf, cap, "%snode %d: %llu", sep, node,
		           (unsigned long long)c->node[node]);
		sep = ", ";
	}
	if (c->other) {
		mye_append(buf, cap, "%sfurther nodes: %llu", sep, (unsigned long long)c->other);
		sep = ", ";
	}
	if (c->absent)
		mye_append(buf, cap, "%snowhere: %llu", sep, (unsigned long long)c->absent);
}
