/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Why huge pages cannot be had. Four can say no: the pool, the size= of the mount, and two limits of
 * control groups; the kernel answers ENOMEM or a fault whoever it was, so all are looked at.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "hugepages/hugepages.h"
#include "sys/sys.h"

struct shortage {
	uint64_t page, pages, bytes; /* needed */
	int node;
	const char *dir;
	bool help;
	char *buf;
	size_t cap;
};

/* Paths of groups can be long, and their end tells most. */
static const char *end_of(const char *group)
{
	size_t len = strlen(group);

	return len > 80 ? group + len - 80 : group;
}

static void next(struct shortage *s)
{
	if (s->buf[0])
		mye_append(s->buf, s->cap, "; ");
}

struct node_text {
	char text[32];
};

static struct node_text of_node(int node)
{
	struct node_text t = {""};

	if (node >= 0)
		snprintf(t.text, sizeof(t.text), " of node %d", node);
	return t;
}

static void pool(struct shortage *s)
{
	struct mye_bytes_text size = mye_bytes_text(s->page);
	char option[32] = "", dir[160];
	struct mye_huge_pool all, here;
	uint64_t spare, missing;

	if (mye_huge_spare(s->page, s->node, &spare) || spare >= s->pages ||
	    mye_huge_pool(s->page, -1, &all) || mye_huge_pool(s->page, s->node, &here))
		return;
	if (s->node >= 0)
		snprintf(option, sizeof(option), " --node %d", s->node);
	missing = s->pages - spare;
	next(s);
	mye_append(s->buf, s->cap, "%s pool%s has %" PRIu64 " free pages, %" PRIu64 " %s missing",
	           size.text, of_node(s->node).text, spare, missing, missing == 1 ? "is" : "are");
	if (!s->help)
		return;
	if (all.overcommit > all.surplus)
		mye_append(s->buf, s->cap, " and could not be added by overcommit");
	mye_huge_pool_dir(dir, sizeof(dir), s->page, s->node);
	mye_append(s->buf, s->cap,
	           ": as root: myelon hugepages reserve --size %s --pages %" PRIu64
	           "%s, or: echo %" PRIu64 " > %s/nr_hugepages",
	           mye_huge_size_text(s->page).text, s->pages, option, here.total + missing, dir);
}

static void mount(struct shortage *s)
{
	struct mye_huge_mount m;

	if (!s->dir || mye_huge_mounts(s->dir, s->page, false, &m, 1) != 1 || m.left >= s->bytes)
		return;
	next(s);
	mye_append(s->buf, s->cap, "mount %s holds %s (size=), %s left", s->dir,
	           mye_bytes_text(m.limit).text, mye_bytes_text(m.left).text);
	if (s->help)
		mye_append(s->buf, s->cap, ": mount it anew with a larger size=, or use another");
}

static void account(struct shortage *s, const char *what, const char *group, const char *file,
                    uint64_t max, uint64_t used)
{
	if (max == UINT64_MAX || (max > used && max - used >= s->bytes))
		return;
	next(s);
	mye_append(s->buf, s->cap, "control group %s may %s %s of %s pages, %s used", end_of(group),
	           what, mye_bytes_text(max).text, mye_bytes_text(s->page).text,
	           mye_bytes_text(used).text);
	if (s->help)
		mye_append(s->buf, s->cap, ": raise its hugetlb.%sB.%s",
		           mye_huge_size_text(s->page).text, file);
}

static void say(struct shortage *s)
{
	struct mye_huge_limit limit;
	uint64_t spare;

	s->buf[0] = '\0';
	if (mye_huge_spare(s->page, -1, &spare)) {
		mye_append(s->buf, s->cap, "this kernel has no huge pages of %s",
		           mye_bytes_text(s->page).text);
		return;
	}
	pool(s);
	mount(s);
	if (mye_huge_limit(s->page, &limit)) {
		account(s, "use", limit.group, limit.file, limit.max, limit.used);
		account(s, "map", limit.reserved_group, limit.reserved_file, limit.reserved_max,
		        limit.reserved_used);
	}
	if (s->buf[0])
		return;
	mye_huge_spare(s->page, s->node, &spare);
	mye_append(s->buf, s->cap,
	           "%s pool%s has %" PRIu64 " free pages now, %" PRIu64
	           " are needed: somebody had them for a moment",
	           mye_bytes_text(s->page).text, of_node(s->node).text, spare, s->pages);
	if (s->help)
		mye_append(s->buf, s->cap, ": try again");
}

void mye_huge_shortage(uint64_t page_size, int node, uint64_t bytes, const char *dir, char *buf,
                       size_t cap)
{
	struct shortage s = {
		page_size, (bytes + page_size - 1) / page_size, bytes, node, dir, false, buf, cap};

	say(&s);
}

void mye_huge_explain(uint64_t page_size, int node, uint64_t bytes, const char *dir, char *buf,
                      size_t cap)
{
	struct shortage s = {
		page_size, (bytes + page_size - 1) / page_size, bytes, node, dir, true, buf, cap};

	say(&s);
}
