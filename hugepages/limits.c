/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What control groups leave this process. There are two accounts: of pages that are touched, which
 * bites when a page is populated, and of pages that are mapped ("rsvd"), which bites in mmap.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <myelon/hugepages.h>

#include "hugepages/hugepages.h"
#include "sys/sys.h"

/* The kernel counts in pages and says "no limit" as the largest multiple of one, or as "max". */
#define NO_LIMIT (1ull << 62)

struct account {
	uint64_t max, used;
	char *group;
	size_t cap;
	const char *file;
};

struct search {
	char size[32]; /* as in the names of the files: "2MB" */
	struct account touched, mapped;
};

static bool read_bytes(const char *dir, const char *size, const char *file, uint64_t *out)
{
	char path[4300], text[32];

	snprintf(path, sizeof(path), "%s/hugetlb.%s.%s", dir, size, file);
	if (mye_read_text(path, text, sizeof(text)) <= 0)
		return false;
	*out = strncmp(text, "max", 3) == 0 ? UINT64_MAX : strtoull(text, NULL, 10);
	return true;
}

static uint64_t room(uint64_t max, uint64_t used)
{
	return max > used ? max - used : 0;
}

/* The least room is what is met first; of two with the same, the smaller group. */
static void look(struct account *a, const char *dir, const char *group, const char *size,
                 const char *max_file, const char *used_file)
{
	uint64_t max, used = 0;

	if (!read_bytes(dir, size, max_file, &max) || max >= NO_LIMIT)
		return;
	read_bytes(dir, size, used_file, &used);
	if (a->max != UINT64_MAX && room(max, used) >= room(a->max, a->used))
		return;
	a->max = max;
	a->used = used;
	a->file = max_file;
	snprintf(a->group, a->cap, "%s", group);
}

static int one_group(void *ctx, const char *dir, const char *group, bool unified)
{
	struct search *s = ctx;

	if (unified) {
		look(&s->touched, dir, group, s->size, "max", "current");
		look(&s->mapped, dir, group, s->size, "rsvd.max", "rsvd.current");
	} else {
		look(&s->touched, dir, group, s->size, "limit_in_bytes", "usage_in_bytes");
		look(&s->mapped, dir, group, s->size, "rsvd.limit_in_bytes", "rsvd.usage_in_bytes");
	}
	return 0;
}

bool mye_huge_limit(uint64_t page_size, struct mye_huge_limit *out)
{
	struct search s = {
		.touched = {UINT64_MAX, 0, out->group, sizeof(out->group), NULL},
		.mapped = {UINT64_MAX, 0, out->reserved_group, sizeof(out->reserved_group), NULL},
	};

	memset(out, 0, sizeof(*out));
	snprintf(s.size, sizeof(s.size), "%sB", mye_huge_size_text(page_size).text);
	mye_each_cgroup("hugetlb", one_group, &s);
	out->max = s.touched.max;
	out->used = s.touched.used;
	out->file = s.touched.file;
	out->reserved_max = s.mapped.max;
	out->reserved_used = s.mapped.used;
	out->reserved_file = s.mapped.file;
	return out->max != UINT64_MAX || out->reserved_max != UINT64_MAX;
}

int myelon_hugepage_limits(myelon_hugepage_limit_fn fn, void *ctx)
{
	uint64_t sizes[MYE_HUGE_SIZES];
	int count = mye_huge_sizes(sizes, MYE_HUGE_SIZES), i, rc = 0;
	struct mye_huge_limit limit;

	for (i = 0; i < count && rc == 0; i++) {
		struct myelon_hugepage_limit out = {.size = sizeof(out), .page_size = sizes[i]};

		if (!mye_huge_limit(sizes[i], &limit))
			continue;
		out.max = limit.max;
		out.used = limit.used;
		out.reserved_max = limit.reserved_max;
		out.reserved_used = limit.reserved_used;
		memcpy(out.group, limit.max != UINT64_MAX ? limit.group : limit.reserved_group,
		       sizeof(out.group));
		rc = fn(ctx, &out);
	}
	return rc;
}
