/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Where pages are, without the library: its file is mapped once more, and move_pages() and numa_maps
 * are asked about that mapping.
 */
#include "guest.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BATCH 512ul

void *guest_map(const char *path, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *at;

	if (fd < 0)
		FAIL("%s: %s", path, strerror(errno));
	at = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		FAIL("mmap of %s: %s", path, strerror(errno));
	close(fd);
	return at;
}

static void count(struct guest_census *census, int node, long pages)
{
	if (node < 0 || node >= NODES)
		FAIL("%ld pages are on node %d", pages, node);
	census->node[node] += pages;
	census->all += pages;
}

static void ask_move_pages(char *at, size_t bytes, size_t page, struct guest_census *census)
{
	size_t left = bytes / page, n, i;
	void *pages[BATCH];
	int where[BATCH];

	for (; left; left -= n) {
		n = left < BATCH ? left : BATCH;
		for (i = 0; i < n; i++, at += page) {
			/* What is not in the page table is nowhere. */
			(void)__atomic_load_n(at, __ATOMIC_RELAXED);
			pages[i] = at;
		}
		if (syscall(SYS_move_pages, 0, n, pages, NULL, where, 0) != 0)
			FAIL("move_pages: %s", strerror(errno));
		for (i = 0; i < n; i++)
			count(census, where[i], 1);
	}
}

/* The words "N0=12" of the mapping that begins at this address. */
static void read_numa_maps(const void *at, struct guest_census *census)
{
	FILE *f = fopen("/proc/self/numa_maps", "re");
	char line[1024], *word, *save;
	unsigned long begin, pages;
	int node;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx ", &begin) != 1 || begin != (uintptr_t)at)
			continue;
		for (word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save))
			if (sscanf(word, "N%d=%lu", &node, &pages) == 2)
				count(census, node, (long)pages);
	}
	if (f)
		fclose(f);
}

void guest_count(void *at, size_t bytes, size_t page, struct guest_census *census)
{
	struct guest_census maps = {.all = 0};

	*census = maps;
	ask_move_pages(at, bytes, page, census);
	read_numa_maps(at, &maps);
	for (int node = 0; node < NODES; node++)
		if (maps.node[node] != census->node[node])
			FAIL("node %d: %ld pages by numa_maps, %ld by move_pages", node,
			     maps.node[node], census->node[node]);
	CHECK_EQ(census->all, bytes / page);
}

struct guest_census guest_census_of(const struct myelon_ring_info *info)
{
	void *at = guest_map(info->data_path, info->data_bytes);
	struct guest_census census;

	guest_count(at, info->data_bytes, info->page_size, &census);
	munmap(at, info->data_bytes);
	return census;
}

struct guest_census guest_census_of_producer(struct myelon_producer *p,
                                             struct myelon_ring_info *info)
{
	*info = (struct myelon_ring_info)MYELON_RING_INFO_INIT;
	OK(myelon_producer_info(p, info));
	return guest_census_of(info);
}

void guest_all_on(struct myelon_producer *p, int node)
{
	struct myelon_ring_info info;
	struct guest_census census = guest_census_of_producer(p, &info);

	CHECK_EQ(census.node[node], census.all);
	CHECK_EQ(info.node_obtained, node);
}
