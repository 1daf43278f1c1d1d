/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon hugepages show`: pools, mounts and limits, as tables or as JSON. */
#include <inttypes.h>
#include <stdio.h>

#include "cli.h"
#include "fmt.h"
#include "hugepages.h"

struct show {
	uint64_t only;  /* a page size, 0: all */
	struct json *j; /* NULL: a table */
	unsigned count; /* rows so far */
	uint64_t total; /* pages of all pools */
};

static bool shown(const struct show *s, uint64_t page_size)
{
	return !s->only || s->only == page_size;
}

static void number_or(struct json *j, const char *key, uint64_t value, bool known)
{
	if (known)
		json_uint(j, key, value);
	else
		json_null(j, key);
}

static void pool_json(struct json *j, const struct myelon_hugepage_pool *p)
{
	bool machine = p->node < 0;

	json_object(j, NULL);
	json_uint(j, "page_size", p->page_size);
	if (machine)
		json_null(j, "node");
	else
		json_int(j, "node", p->node);
	json_uint(j, "total", p->total);
	json_uint(j, "free", p->free);
	number_or(j, "reserved", p->reserved, machine);
	json_uint(j, "surplus", p->surplus);
	number_or(j, "overcommit", p->overcommit, machine);
	json_object_end(j);
}

static int one_pool(void *ctx, const struct myelon_hugepage_pool *p)
{
	struct show *s = ctx;
	char where[16] = "all";
	struct fmt size;

	if (!shown(s, p->page_size))
		return 0;
	if (p->node < 0)
		s->total += p->total;
	s->count++;
	if (s->j) {
		pool_json(s->j, p);
		return 0;
	}
	if (s->count == 1)
		printf("%-8s  %-5s  %8s  %8s  %8s  %8s  %10s\n", "POOL", "NODE", "TOTAL", "FREE",
		       "RESERVED", "SURPLUS", "OVERCOMMIT");
	fmt_bytes(&size, p->page_size);
	if (p->node >= 0) {
		snprintf(where, sizeof(where), "%" PRId32, p->node);
		printf("%-8s  %-5s  %8" PRIu64 "  %8" PRIu64 "  %8s  %8" PRIu64 "  %10s\n",
		       size.text, where, p->total, p->free, "-", p->surplus, "-");
	} else {
		printf("%-8s  %-5s  %8" PRIu64 "  %8" PRIu64 "  %8" PRIu64 "  %8" PRIu64
		       "  %10" PRIu64 "\n",
		       size.text, where, p->total, p->free, p->reserved, p->surplus, p->overcommit);
	}
	return 0;
}

static int one_mount(void *ctx, const struct myelon_hugepage_mount *m)
{
	struct show *s = ctx;
	struct fmt size, limit, min;

	if (!shown(s, m->page_size))
		return 0;
	s->count++;
	if (s->j) {
		json_object(s->j, NULL);
		json_string(s->j, "dir", m->dir);
		json_uint(s->j, "page_size", m->page_size);
		number_or(s->j, "limit", m->limit, m->limit != UINT64_MAX);
		json_uint(s->j, "min", m->min);
		json_bool(s->j, "usable", m->usable);
		json_object_end(s->j);
		return 0;
	}
	if (s->count == 1)
		printf("\n%-8s  %-10s  %-10s  %-8s  %s\n", "MOUNT", "LIMIT", "MINIMUM", "USABLE",
		       "DIRECTORY");
	printf("%-8s  %-10s  %-10s  %-8s  %s\n", fmt_bytes(&size, m->page_size),
	       m->limit == UINT64_MAX ? "the pool's" : fmt_bytes(&limit, m->limit),
	       m->min ? fmt_bytes(&min, m->min) : "-", m->usable ? "yes" : "no", m->dir);
	return 0;
}

static int one_limit(void *ctx, const struct myelon_hugepage_limit *l)
{
	struct show *s = ctx;
	bool touched = l->max != UINT64_MAX, mapped = l->reserved_max != UINT64_MAX;
	struct fmt size, max, used, map, map_used;

	if (!shown(s, l->page_size))
		return 0;
	s->count++;
	if (s->j) {
		json_object(s->j, NULL);
		json_uint(s->j, "page_size", l->page_size);
		number_or(s->j, "max", l->max, touched);
		number_or(s->j, "used", l->used, touched);
		number_or(s->j, "reserved_max", l->reserved_max, mapped);
		number_or(s->j, "reserved_used", l->reserved_used, mapped);
		json_string(s->j, "group", l->group);
		json_object_end(s->j);
		return 0;
	}
	if (s->count == 1)
		printf("\n%-8s  %-10s  %-10s  %-10s  %-10s  %s\n", "LIMIT", "USE AT MOST", "USED",
		       "MAP AT MOST", "MAPPED", "CONTROL GROUP");
	printf("%-8s  %-11s  %-10s  %-11s  %-10s  %s\n", fmt_bytes(&size, l->page_size),
	       touched ? fmt_bytes(&max, l->max) : "-", touched ? fmt_bytes(&used, l->used) : "-",
	       mapped ? fmt_bytes(&map, l->reserved_max) : "-",
	       mapped ? fmt_bytes(&map_used, l->reserved_used) : "-", l->group);
	return 0;
}

/* The directory given with --hugetlb-dir, else all. */
static int mounts(struct show *s)
{
	s->count = 0;
	return myelon_hugepage_mounts(cli_common.hugetlb_dir, one_mount, s);
}

int hugepages_table(uint64_t only)
{
	struct show s = {.only = only};
	int rc;

	myelon_hugepage_pools(one_pool, &s);
	if (s.count == 0) {
		puts(only ? "this kernel has no huge pages of this size"
		          : "this kernel has no huge pages");
		return 0;
	}
	if (s.total == 0)
		puts("no pages in the pools: myelon hugepages reserve --pages N, as root");
	rc = mounts(&s);
	if (rc)
		return rc;
	if (s.count == 0)
		puts("\nno mount: myelon hugepages mount DIR, as root");
	s.count = 0;
	myelon_hugepage_limits(one_limit, &s);
	if (s.count == 0)
		puts("\nno limit by a control group");
	return 0;
}

static int ignore(void *ctx, const struct myelon_hugepage_mount *m)
{
	(void)ctx;
	(void)m;
	return 0;
}

int hugepages_json(uint64_t only)
{
	struct json j;
	struct show s = {.only = only, .j = &j};
	int rc;

	/* A wrong directory is an error instead of JSON, not in the middle of it. */
	rc = myelon_hugepage_mounts(cli_common.hugetlb_dir, ignore, NULL);
	if (rc)
		return rc;
	json_begin(&j, stdout, false);
	json_object(&j, NULL);
	json_array(&j, "pools");
	myelon_hugepage_pools(one_pool, &s);
	json_array_end(&j);
	json_array(&j, "mounts");
	mounts(&s);
	json_array_end(&j);
	json_array(&j, "limits");
	myelon_hugepage_limits(one_limit, &s);
	json_array_end(&j);
	json_object_end(&j);
	json_end(&j);
	return 0;
}
