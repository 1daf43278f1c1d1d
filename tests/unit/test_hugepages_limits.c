/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Limits of control groups: real ones of version 2, and made-up trees of both versions. */
#include <libgen.h>

#include <myelon/myelon.h>

#include "cgroup_kit.h"
#include "mount_kit.h"

struct limits {
	struct myelon_hugepage_limit limit;
	int count;
};

static int take_limit(void *ctx, const struct myelon_hugepage_limit *limit)
{
	struct limits *l = ctx;

	l->count++;
	l->limit = *limit;
	return 0;
}

/* ---- real groups ---- */

struct job {
	char dir[512];
	char name[KIT_NAME];
	const char *verb; /* of the reason */
	const char *file; /* of the limit */
	uint64_t max, reserved_max;
};

static int in_the_group(void *arg)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	const struct job *job = arg;
	struct myelon_producer *p;
	struct limits l = {.count = 0};
	struct myelon_ring_opts o =
		MYELON_RING_OPTS(.slot_size = 64, .window = 65536, /* 4 MiB */
	                         .huge = MYELON_HUGE_REQUIRE, .hugetlb_dir = job->dir);
	char text[160];
	int rc;

	CHILD_CHECK(group_set("cgroup.procs", "0"), "%m");
	CHILD_CHECK(myelon_hugepage_limits(take_limit, &l) == 0 && l.count == 1, "%d", l.count);
	CHILD_CHECK(l.limit.page_size == MIB2 && l.limit.max == job->max &&
	                    l.limit.reserved_max == job->reserved_max,
	            "%llu %llu", (unsigned long long)l.limit.max,
	            (unsigned long long)l.limit.reserved_max);
	CHILD_CHECK(!strcmp(l.limit.group, group_name), "%s", l.limit.group);

	rc = myelon_producer_create(&p, job->name, &o);
	CHILD_CHECK(rc == -ENOSPC, "%d %s", rc, myelon_last_error());
	snprintf(text, sizeof(text), "control group %s may %s 2 MiB of 2 MiB pages, 0 bytes used",
	         group_name, job->verb);
	CHILD_CHECK(strstr(myelon_last_error(), text), "%s", myelon_last_error());
	CHILD_CHECK(strstr(myelon_last_error(), job->file), "%s", myelon_last_error());
	CHILD_CHECK(!strstr(myelon_last_error(), "missing"), "the pool is not it: %s",
	            myelon_last_error());

	o.huge = MYELON_HUGE_TRY;
	rc = myelon_producer_create(&p, job->name, &o);
	CHILD_CHECK(rc == 0, "%d %s", rc, myelon_last_error());
	rc = myelon_ring_describe(job->name, &MYELON_DIR_OPTS(.hugetlb_dir = job->dir), &info);
	CHILD_CHECK(rc == 0, "%d %s", rc, myelon_last_error());
	CHILD_CHECK(info.backing == MYELON_BACKING_SHM && strstr(info.reason, text), "%s",
	            info.reason);
	myelon_producer_close(p);

	o.huge = MYELON_HUGE_REQUIRE;
	o.window = 32768; /* 2 MiB: what the group may have */
	rc = myelon_producer_create(&p, job->name, &o);
	CHILD_CHECK(rc == 0, "%d %s", rc, myelon_last_error());
	myelon_producer_close(p);
	return 0;
}

static void run_job(struct job *job)
{
	struct kit_actor a;
	int64_t spare;

	kit_ring_name(job->name, "group");
	mount_private(job->dir, sizeof(job->dir), "huge", "hugetlbfs", "pagesize=2M");
	spare = pool_spare(MIB2);
	cr_assert_eq(kit_fork(&a, in_the_group, job), 0);
	cr_assert_eq(kit_wait(&a, 30), 0);
	cr_assert_eq(pool_spare(MIB2), spare, "all pages are back");
	cr_assert_eq(kit_dir_entries(job->dir), 0);
}

static void four_pages(void)
{
	if (!kit_hugepages_reserve(4))
		kit_skip("hugepages", "cannot get a pool of 2 MiB pages");
	atexit(kit_hugepages_restore);
}

Test(full_group, that_bites_at_the_touch_is_named_and_left_for_shared_memory)
{
	struct job job = {
		.verb = "use", .file = "hugetlb.2MB.max", .max = MIB2, .reserved_max = UINT64_MAX};

	four_pages();
	group_make();
	cr_assert(group_set("hugetlb.2MB.max", "2097152"));
	run_job(&job);
}

Test(full_group, that_bites_at_the_mapping_is_named_and_left_for_shared_memory)
{
	struct job job = {.verb = "map",
	                  .file = "hugetlb.2MB.rsvd.max",
	                  .max = UINT64_MAX,
	                  .reserved_max = MIB2};

	four_pages();
	group_make();
	cr_assert(group_set("hugetlb.2MB.rsvd.max", "2097152"));
	run_job(&job);
}

/* ---- made-up trees: what /proc/self/cgroup says and what is in /sys/fs/cgroup ---- */

static void put(const char *path, const char *text)
{
	char copy[300], dir[300], *at;
	FILE *f;

	snprintf(copy, sizeof(copy), "%s", path);
	snprintf(dir, sizeof(dir), "%s", dirname(copy));
	for (at = strchr(dir + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		mkdir(dir, 0700);
		*at = '/';
	}
	mkdir(dir, 0700);
	f = fopen(path, "we");
	cr_assert_not_null(f, "%s", path);
	cr_assert_gt(fprintf(f, "%s\n", text), 0);
	fclose(f);
}

static void pretend(const char *groups)
{
	char dir[512], path[600], target[64];

	if (pool_file(MIB2, "nr_hugepages") < 0)
		kit_skip("hugepages", "the kernel has no 2 MiB pages");
	mount_private(dir, sizeof(dir), "tree", "tmpfs", "size=1m");
	snprintf(path, sizeof(path), "%s/groups", dir);
	put(path, groups);
	snprintf(target, sizeof(target), "/proc/%d/cgroup", (int)getpid());
	if (mount(dir, "/sys/fs/cgroup", NULL, MS_BIND, NULL) ||
	    mount(path, target, NULL, MS_BIND, NULL))
		kit_skip("root", strerror(errno));
}

#define V2 "/sys/fs/cgroup/"

Test(limits, of_version_2_are_looked_for_upwards_and_the_least_room_counts)
{
	struct limits l = {.count = 0};

	pretend("1:cpu:/elsewhere\n0::/x/y");
	put(V2 "x/y/hugetlb.2MB.max", "max");
	put(V2 "x/y/hugetlb.2MB.current", "2097152");
	cr_assert_eq(myelon_hugepage_limits(take_limit, &l), 0);
	cr_assert_eq(l.count, 0, "max is no limit");

	put(V2 "x/y/hugetlb.2MB.max", "9223372036854771712");
	cr_assert_eq(myelon_hugepage_limits(take_limit, &l), 0);
	cr_assert_eq(l.count, 0, "nor is what the kernel counts to");

	put(V2 "x/y/hugetlb.2MB.max", "4194304"); /* room for 2 MiB */
	put(V2 "x/hugetlb.2MB.max", "16777216");  /* room for none */
	put(V2 "x/hugetlb.2MB.current", "16777216");
	put(V2 "x/y/hugetlb.2MB.rsvd.max", "6291456");
	put(V2 "x/y/hugetlb.2MB.rsvd.current", "4194304");
	cr_assert_eq(myelon_hugepage_limits(take_limit, &l), 0);
	cr_assert_eq(l.count, 1);
	cr_assert_eq(l.limit.size, sizeof(l.limit));
	cr_assert_eq(l.limit.page_size, MIB2);
	cr_assert_eq(l.limit.max, 16777216);
	cr_assert_eq(l.limit.used, 16777216);
	cr_assert_eq(l.limit.reserved_max, 6291456);
	cr_assert_eq(l.limit.reserved_used, 4194304);
	cr_assert_str_eq(l.limit.group, "/x");
}

Test(limits, in_a_container_are_those_of_the_root_it_sees)
{
	struct limits l = {.count = 0};

	pretend("0::/kubepods/pod1/2345");
	put(V2 "hugetlb.2MB.max", "0");
	put(V2 "hugetlb.2MB.current", "0");
	cr_assert_eq(myelon_hugepage_limits(take_limit, &l), 0);
	cr_assert_eq(l.count, 1);
	cr_assert_eq(l.limit.max, 0);
	cr_assert_str_eq(l.limit.group, "/");
}

Test(limits, of_version_1_are_read_from_its_hierarchy)
{
	struct limits l = {.count = 0};

	pretend("7:hugetlb,net_cls:/a/b\n3:cpu:/\n0::/");
	put(V2 "hugetlb,net_cls/a/b/hugetlb.2MB.limit_in_bytes", "9223372036854771712");
	put(V2 "hugetlb,net_cls/a/b/hugetlb.2MB.usage_in_bytes", "0");
	cr_assert_eq(myelon_hugepage_limits(take_limit, &l), 0);
	cr_assert_eq(l.count, 0);
	put(V2 "hugetlb,net_cls/a/hugetlb.2MB.limit_in_bytes", "8388608");
	put(V2 "hugetlb,net_cls/a/hugetlb.2MB.usage_in_bytes", "6291456");
	put(V2 "hugetlb,net_cls/a/hugetlb.2MB.rsvd.limit_in_bytes", "8388608");
	put(V2 "hugetlb,net_cls/a/hugetlb.2MB.rsvd.usage_in_bytes", "4194304");
	cr_assert_eq(myelon_hugepage_limits(take_limit, &l), 0);
	cr_assert_eq(l.count, 1);
	cr_assert_eq(l.limit.max, 8388608);
	cr_assert_eq(l.limit.used, 6291456);
	cr_assert_eq(l.limit.reserved_used, 4194304);
	cr_assert_str_eq(l.limit.group, "/a");
}
