/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "hugepages/hugepages.h"
#include "sys/sys.h"

#define POOLS "/sys/kernel/mm/hugepages"
#define NODES "/sys/devices/system/node"

struct size_list {
	uint64_t *sizes;
	int count, max;
};

static int add_size(void *ctx, const char *name)
{
	struct size_list *list = ctx;
	unsigned long long kib;
	int i;

	if (sscanf(name, "hugepages-%llukB", &kib) != 1 || list->count == list->max)
		return 0;
	for (i = list->count++; i > 0 && list->sizes[i - 1] > kib * 1024; i--)
		list->sizes[i] = list->sizes[i - 1];
	list->sizes[i] = kib * 1024;
	return 0;
}

int mye_huge_sizes(uint64_t *sizes, int max)
{
	struct size_list list = {.sizes = sizes, .max = max};
	int fd = mye_open_dir(POOLS);

	if (fd < 0)
		return 0;
	mye_each_name(fd, add_size, &list);
	mye_close(fd);
	return list.count;
}

static void pool_path(char *buf, size_t cap, uint64_t page_size, int node, const char *file)
{
	unsigned long long kib = page_size / 1024;

	if (node < 0)
		snprintf(buf, cap, POOLS "/hugepages-%llukB/%s", kib, file);
	else
		snprintf(buf, cap, NODES "/node%d/hugepages/hugepages-%llukB/%s", node, kib, file);
}

static int read_count(uint64_t page_size, int node, const char *file, uint64_t *out)
{
	char path[160], text[32];
	ssize_t n;

	pool_path(path, sizeof(path), page_size, node, file);
	n = mye_read_text(path, text, sizeof(text));
	*out = n > 0 ? strtoull(text, NULL, 10) : 0;
	return n < 0 ? (int)n : 0;
}

int mye_huge_pool(uint64_t page_size, int node, struct mye_huge_pool *out)
{
	memset(out, 0, sizeof(*out));
	out->page_size = page_size;
	if (read_count(page_size, node, "nr_hugepages", &out->total))
		return -ENOENT;
	read_count(page_size, node, "free_hugepages", &out->free);
	read_count(page_size, node, "surplus_hugepages", &out->surplus);
	/* Reservations are not made per node. */
	if (node < 0)
		read_count(page_size, node, "resv_hugepages", &out->reserved);
	return 0;
}

/* @return pages to be added to the pool; 0: that is not it. */
static uint64_t shortage(uint64_t page_size, int node, uint64_t bytes, char *buf, size_t cap,
                         struct mye_huge_pool *pool)
{
	uint64_t need = (bytes + page_size - 1) / page_size, spare;
	struct mye_bytes_text size = mye_bytes_text(page_size);
	char of_node[32] = "";

	if (mye_huge_pool(page_size, node, pool)) {
		snprintf(buf, cap, "this kernel has no huge pages of %s", size.text);
		return 0;
	}
	if (node >= 0)
		snprintf(of_node, sizeof(of_node), " of node %d", node);
	spare = pool->free > pool->reserved ? pool->free - pool->reserved : 0;
	if (spare >= need) {
		snprintf(buf, cap,
		         "%s pool%s has %llu free pages and %llu are needed: a limit of the cgroup "
		         "or the mount is in the way",
		         size.text, of_node, (unsigned long long)spare, (unsigned long long)need);
		return 0;
	}
	snprintf(buf, cap, "%s pool%s has %llu free pages, %llu %s missing", size.text, of_node,
	         (unsigned long long)spare, (unsigned long long)(need - spare),
	         need - spare == 1 ? "is" : "are");
	return need - spare;
}

void mye_huge_shortage(uint64_t page_size, int node, uint64_t bytes, char *buf, size_t cap)
{
	struct mye_huge_pool pool;

	shortage(page_size, node, bytes, buf, cap, &pool);
}

void mye_huge_explain(uint64_t page_size, int node, uint64_t bytes, char *buf, size_t cap)
{
	struct mye_huge_pool pool;
	uint64_t missing = shortage(page_size, node, bytes, buf, cap, &pool);
	char path[160];

	if (!missing)
		return;
	pool_path(path, sizeof(path), page_size, node, "nr_hugepages");
	missing += pool.total;
	mye_append(buf, cap, ": echo %llu > %s", (unsigned long long)missing, path);
}
