/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Adding pages to a pool. The file takes an absolute number, so it is read, changed and written; two
 * who do that at once would take each other's pages away. They exclude each other by a lock on the
 * machine's file of the pool itself, for its nodes too, whose numbers the machine's contains: whoever
 * may write to it may lock it, no other file has to be agreed on, and the lock goes with its owner.
 * Against those who do not lock (echo, sysctl), and rings that take pages meanwhile, what was written
 * is looked at, and written again as long as the pool grows.
 */
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

#define ROUNDS 8
#define LOCK_WAIT_NS (30 * 1000000000ll) /* clearing 100 GiB takes that long */
#define LOCK_POLL_NS 2000000

struct reserve {
	uint64_t page, pages; /* wanted */
	int node;
	int lock_fd; /* the machine's file */
	int fd;      /* the file to write to: the same, or the node's */
	char file[200];
};

static const char *node_text(const struct reserve *r, char *buf, size_t cap, const char *before)
{
	buf[0] = '\0';
	if (r->node >= 0)
		snprintf(buf, cap, "%s%d", before, r->node);
	return buf;
}

static int not_permitted(const struct reserve *r, int err)
{
	char option[32];
	struct mye_huge_pool pool = {0};
	uint64_t spare;

	mye_huge_spare(r->page, r->node, &spare);
	mye_huge_pool(r->page, r->node, &pool);
	return mye_fail(-EPERM,
	                "adding to the pool of %s pages needs root or the capability "
	                "CAP_DAC_OVERRIDE%s: as root: myelon hugepages reserve --size %s --pages "
	                "%" PRIu64 "%s, or: echo %" PRIu64 " > %s",
	                mye_bytes_text(r->page).text,
	                err == -EROFS ? ", outside of this container (/sys is read-only here)" : "",
	                mye_huge_size_text(r->page).text, r->pages,
	                node_text(r, option, sizeof(option), " --node "),
	                pool.total + (r->pages > spare ? r->pages - spare : 0), r->file);
}

static int open_pool(uint64_t page_size, int node)
{
	char dir[160];
	int dir_fd, fd;

	mye_huge_pool_dir(dir, sizeof(dir), page_size, node);
	dir_fd = mye_open_dir(dir);
	if (dir_fd < 0)
		return dir_fd;
	fd = mye_open_at(dir_fd, "nr_hugepages", true);
	mye_close(dir_fd);
	return fd;
}

/* The permission is asked for when the file is opened, so the capability is needed no longer. */
static int open_files(struct reserve *r)
{
	int raised = mye_cap_raise(MYE_CAP_DAC_OVERRIDE);

	r->lock_fd = open_pool(r->page, -1);
	r->fd = r->node >= 0 && r->lock_fd >= 0 ? open_pool(r->page, r->node) : r->lock_fd;
	mye_cap_drop(MYE_CAP_DAC_OVERRIDE, raised);
	if (r->fd >= 0)
		return 0;
	if (r->fd == -EACCES || r->fd == -EPERM || r->fd == -EROFS)
		return not_permitted(r, r->fd);
	return mye_fail(r->fd, "cannot open %s: %s", r->file, myelon_strerror(r->fd));
}

static int lock(const struct reserve *r)
{
	int64_t until = mye_now() + LOCK_WAIT_NS;
	int rc;

	while ((rc = mye_lock_set(r->lock_fd, 0, MYE_LOCK_EXCLUSIVE)) == -EAGAIN &&
	       mye_now() < until)
		mye_sleep_until(mye_now() + LOCK_POLL_NS);
	if (rc == -EAGAIN)
		return mye_fail(
			-EBUSY,
			"somebody has been changing the pool of %s pages for %d s: try again "
			"later",
			mye_bytes_text(r->page).text, (int)(LOCK_WAIT_NS / 1000000000));
	if (rc)
		return mye_fail(rc, "cannot lock %s: %s", r->file, myelon_strerror(rc));
	return 0;
}

static uint64_t field_kib(const char *text, const char *field)
{
	const char *at = text ? strstr(text, field) : NULL;

	return at ? strtoull(at + strlen(field), NULL, 10) : 0;
}

/* What a node can give: free, or in its caches. */
static uint64_t node_kib(int node)
{
	static const char *const fields[] = {
		" MemFree:", " Active(file):", " Inactive(file):", " SReclaimable:"};
	uint64_t kib = 0;
	char path[96], *text;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
	text = mye_read_whole(path);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		kib += field_kib(text, fields[i]);
	free(text);
	return kib;
}

/* The kernel would not refuse: it takes all memory there is and then calls the OOM killer. */
static int check_memory(const struct reserve *r, uint64_t missing)
{
	char node[32], *text = mye_read_whole("/proc/meminfo");
	uint64_t kib = text ? field_kib(text, "MemAvailable:") : UINT64_MAX, here;

	free(text);
	here = r->node >= 0 ? node_kib(r->node) : kib;
	if (here < kib)
		kib = here;
	if (missing <= kib / (r->page / 1024))
		return 0;
	return mye_fail(-ENOSPC,
	                "%" PRIu64 " more pages of %s do not fit into memory%s, of which %s are "
	                "available: ask for fewer",
	                missing, mye_bytes_text(r->page).text,
	                node_text(r, node, sizeof(node), " of node "),
	                mye_bytes_text(kib * 1024).text);
}

static int fell_short(const struct reserve *r, uint64_t spare, uint64_t added)
{
	struct mye_huge_size_text size = mye_huge_size_text(r->page);
	char node[32], why[160];

	if (r->page >= 1ull << 30)
		snprintf(why, sizeof(why),
		         "pages of this size can mostly be had at boot only (kernel parameters "
		         "hugepagesz=%s hugepages=%" PRIu64 ")",
		         size.text, r->pages);
	else
		snprintf(why, sizeof(why),
		         "free memory is fragmented or short: echo 1 > /proc/sys/vm/compact_memory "
		         "and try again, or reserve at boot (hugepages=N)");
	return mye_fail(-ENOSPC,
	                "the kernel added %" PRIu64 " pages of %s%s, %" PRIu64 " are still missing "
	                "of %" PRIu64 " (those added stay): %s",
	                added, mye_bytes_text(r->page).text,
	                node_text(r, node, sizeof(node), " on node "), r->pages - spare, r->pages,
	                why);
}

static int grow(const struct reserve *r, uint64_t *spare)
{
	uint64_t first = 0, before = 0;
	struct mye_huge_pool pool;
	char text[32];
	int rc, round;

	for (round = 0;; round++) {
		rc = mye_huge_spare(r->page, r->node, spare);
		if (rc == 0)
			rc = mye_huge_pool(r->page, r->node, &pool);
		if (rc)
			return mye_fail(rc, "the pool behind %s is gone", r->file);
		if (round == 0)
			first = pool.total;
		if (*spare >= r->pages)
			return 0;
		if (round == ROUNDS || (round && pool.total <= before))
			return fell_short(r, *spare, pool.total > first ? pool.total - first : 0);
		before = pool.total;
		rc = check_memory(r, r->pages - *spare);
		if (rc)
			return rc;
		snprintf(text, sizeof(text), "%" PRIu64, pool.total + (r->pages - *spare));
		rc = mye_write_all(r->fd, text, strlen(text), 0);
		if (rc)
			return mye_fail(rc, "cannot write %s to %s: %s", text, r->file,
			                myelon_strerror(rc));
	}
}

static int check(struct reserve *r)
{
	struct mye_huge_pool pool;
	int rc = mye_huge_check_size(r->page);

	if (rc)
		return rc;
	if (r->node < -1)
		return mye_fail(-EINVAL, "node is %d: give a node, or -1 for any", r->node);
	if (mye_huge_pool(r->page, r->node, &pool))
		return mye_fail(-EINVAL,
		                "there is no pool of %s pages on node %d: 'myelon hugepages show' "
		                "lists them",
		                mye_bytes_text(r->page).text, r->node);
	mye_huge_pool_dir(r->file, sizeof(r->file), r->page, r->node);
	mye_append(r->file, sizeof(r->file), "/nr_hugepages");
	return 0;
}

int myelon_hugepage_reserve(uint64_t page_size, int node, uint64_t pages, uint64_t *got)
{
	struct reserve r = {
		.page = page_size, .pages = pages, .node = node, .lock_fd = -1, .fd = -1};
	uint64_t spare = 0;
	int rc;

	if (got)
		*got = 0;
	rc = check(&r);
	if (rc)
		return rc;
	mye_huge_spare(page_size, node, &spare);
	if (spare < pages) {
		rc = open_files(&r);
		if (rc == 0)
			rc = lock(&r);
		if (rc == 0)
			rc = grow(&r, &spare);
		if (r.fd != r.lock_fd)
			mye_close(r.fd);
		mye_close(r.lock_fd);
	}
	if (got)
		*got = spare;
	return rc;
}
