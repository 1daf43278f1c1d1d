/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Page sizes and pools, of the machine and of its nodes. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <myelon/hugepages.h>

#include "base/error.h"
#include "base/text.h"
#include "hugepages/hugepages.h"
#include "sys/sys.h"

#define POOLS "/sys/kernel/mm/hugepages"
#define NODES "/sys/devices/system/node"
#define NODES_MAX 1024

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

int mye_huge_check_size(uint64_t page_size)
{
	uint64_t sizes[MYE_HUGE_SIZES];
	int count = mye_huge_sizes(sizes, MYE_HUGE_SIZES), i;
	char have[128] = "";

	for (i = 0; i < count; i++) {
		if (sizes[i] == page_size)
			return 0;
		mye_append(have, sizeof(have), "%s%s", i ? ", " : "",
		           mye_bytes_text(sizes[i]).text);
	}
	return mye_fail(-EINVAL,
	                "a huge page size of %" PRIu64 " bytes is asked for, but the kernel has: "
	                "%s",
	                page_size, count ? have : "no huge pages at all");
}

struct mye_huge_size_text mye_huge_size_text(uint64_t page_size)
{
	struct mye_huge_size_text out;
	uint64_t kib = page_size >> 10;

	if (kib && kib % (1 << 20) == 0)
		snprintf(out.text, sizeof(out.text), "%" PRIu64 "G", kib >> 20);
	else if (kib && kib % (1 << 10) == 0)
		snprintf(out.text, sizeof(out.text), "%" PRIu64 "M", kib >> 10);
	else
		snprintf(out.text, sizeof(out.text), "%" PRIu64 "K", kib);
	return out;
}

void mye_huge_pool_dir(char *buf, size_t cap, uint64_t page_size, int node)
{
	unsigned long long kib = page_size / 1024;

	if (node < 0)
		snprintf(buf, cap, POOLS "/hugepages-%llukB", kib);
	else
		snprintf(buf, cap, NODES "/node%d/hugepages/hugepages-%llukB", node, kib);
}

static int read_count(uint64_t page_size, int node, const char *file, uint64_t *out)
{
	char path[160], text[32];
	ssize_t n;

	mye_huge_pool_dir(path, sizeof(path), page_size, node);
	mye_append(path, sizeof(path), "/%s", file);
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
	if (node >= 0)
		return 0;
	read_count(page_size, node, "resv_hugepages", &out->reserved);
	read_count(page_size, node, "nr_overcommit_hugepages", &out->overcommit);
	return 0;
}

int mye_huge_spare(uint64_t page_size, int node, uint64_t *pages)
{
	struct mye_huge_pool pool;
	int rc = mye_huge_pool(page_size, -1, &pool);

	*pages = 0;
	if (rc)
		return rc;
	if (pool.free > pool.reserved)
		*pages = pool.free - pool.reserved;
	if (node < 0)
		return 0;
	rc = mye_huge_pool(page_size, node, &pool);
	if (rc || pool.free < *pages)
		*pages = pool.free;
	return rc;
}

static int tell(myelon_hugepage_pool_fn fn, void *ctx, uint64_t page_size, int node)
{
	struct myelon_hugepage_pool out = {.size = sizeof(out), .node = node};
	struct mye_huge_pool pool;

	if (mye_huge_pool(page_size, node, &pool))
		return 0;
	out.page_size = page_size;
	out.total = pool.total;
	out.free = pool.free;
	out.reserved = pool.reserved;
	out.surplus = pool.surplus;
	out.overcommit = pool.overcommit;
	return fn(ctx, &out);
}

/* Nodes need not be numbered without gaps. */
static int mark_node(void *ctx, const char *name)
{
	bool *present = ctx;
	int node, end = 0;

	if (sscanf(name, "node%d%n", &node, &end) == 1 && !name[end] && node >= 0 &&
	    node < NODES_MAX)
		present[node] = true;
	return 0;
}

int myelon_hugepage_pools(myelon_hugepage_pool_fn fn, void *ctx)
{
	uint64_t sizes[MYE_HUGE_SIZES];
	int count = mye_huge_sizes(sizes, MYE_HUGE_SIZES), i, node, rc = 0;
	bool present[NODES_MAX] = {false};
	int fd = mye_open_dir(NODES);

	if (fd >= 0)
		mye_each_name(fd, mark_node, present);
	mye_close(fd);
	for (i = 0; i < count && rc == 0; i++) {
		rc = tell(fn, ctx, sizes[i], -1);
		for (node = 0; node < NODES_MAX && rc == 0; node++)
			if (present[node])
				rc = tell(fn, ctx, sizes[i], node);
	}
	return rc;
}
