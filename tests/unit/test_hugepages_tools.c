/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What tools may call: pools and mounts as they are, adding pages, mounting. */
#include <errno.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <myelon/myelon.h>

#include "hugepages_kit.h"
#include "mount_kit.h"
#include "sys/sys.h"

#define NOBODY 65534

struct pools {
	struct myelon_hugepage_pool pool[64];
	int count, stop_at;
};

static int collect_pool(void *ctx, const struct myelon_hugepage_pool *pool)
{
	struct pools *p = ctx;

	if (p->count < 64)
		p->pool[p->count] = *pool;
	return ++p->count == p->stop_at ? 77 : 0;
}

Test(hugepage_pools, are_what_the_kernel_says_the_machine_before_its_nodes_by_rising_size)
{
	struct pools p = {.count = 0};
	int i;

	pool_keep(MIB2); /* nobody changes them meanwhile */
	cr_assert_eq(myelon_hugepage_pools(collect_pool, &p), 0);
	cr_assert_geq(p.count, 2);
	for (i = 0; i < p.count; i++) {
		const struct myelon_hugepage_pool *q = &p.pool[i];

		cr_assert_eq(q->size, sizeof(*q));
		if (i && q->node < 0)
			cr_assert_gt(q->page_size, q[-1].page_size);
		else if (i)
			cr_assert(q->page_size == q[-1].page_size && q->node > q[-1].node);
		if (q->node >= 0)
			continue;
		cr_assert_eq((int64_t)q->total, pool_file(q->page_size, "nr_hugepages"));
		cr_assert_eq((int64_t)q->surplus, pool_file(q->page_size, "surplus_hugepages"));
		cr_assert_eq((int64_t)q->overcommit,
		             pool_file(q->page_size, "nr_overcommit_hugepages"));
		cr_assert_leq(q->reserved, q->free);
	}
	cr_assert_eq(p.pool[0].node, -1);
	p = (struct pools){.stop_at = 2};
	cr_assert_eq(myelon_hugepage_pools(collect_pool, &p), 77);
	cr_assert_eq(p.count, 2);
}

Test(hugepage_pools, tell_pages_that_the_kernel_may_add_by_itself)
{
	struct pools p = {.stop_at = 1};
	int64_t before;
	char text[32];

	pool_keep(MIB2);
	before = pool_file(MIB2, "nr_overcommit_hugepages");
	snprintf(text, sizeof(text), "%lld", (long long)before + 3);
	cr_assert(write_file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages",
	                     text));
	cr_assert_eq(myelon_hugepage_pools(collect_pool, &p), 77);
	snprintf(text, sizeof(text), "%lld", (long long)before);
	write_file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages", text);
	cr_assert_eq((int64_t)p.pool[0].overcommit, before + 3);
}

struct mounts {
	const char *dir;
	struct myelon_hugepage_mount found;
	int count;
};

static int take_mount(void *ctx, const struct myelon_hugepage_mount *mount)
{
	struct mounts *m = ctx;

	m->count++;
	if (!strcmp(mount->dir, m->dir))
		m->found = *mount;
	return 0;
}

Test(hugepage_mounts, tell_size_and_minimum_of_the_options)
{
	struct mounts m = {.count = 0};
	char dir[512], sub[600];

	if (!kit_hugepages_reserve(2))
		kit_skip("hugepages", "cannot get a pool of 2 MiB pages");
	atexit(kit_hugepages_restore);
	mount_private(dir, sizeof(dir), "huge", "hugetlbfs", "pagesize=2M,size=8M,min_size=4M");
	m.dir = dir;
	cr_assert_eq(myelon_hugepage_mounts(NULL, take_mount, &m), 0);
	cr_assert_eq(m.found.size, sizeof(m.found));
	cr_assert_eq(m.found.page_size, MIB2);
	cr_assert_eq(m.found.limit, 4 * MIB2);
	cr_assert_eq(m.found.min, 2 * MIB2);
	cr_assert_eq(m.found.usable, 1);

	snprintf(sub, sizeof(sub), "%s/sub", dir);
	cr_assert_eq(mkdir(sub, 0700), 0);
	m = (struct mounts){.dir = sub};
	cr_assert_eq(myelon_hugepage_mounts(sub, take_mount, &m), 0);
	cr_assert_eq(m.count, 1);
	cr_assert_eq(m.found.min, 2 * MIB2, "a directory of the mount has its options");
	cr_assert_eq(myelon_hugepage_mounts(kit_tmp_dir(), take_mount, &m), -EINVAL);
	cr_assert_eq(myelon_hugepage_mounts("/nowhere", take_mount, &m), -ENOENT);
}

Test(hugepage_mounts, without_options_have_what_the_pool_has)
{
	struct mounts m = {.count = 0};
	char dir[512];

	mount_private(dir, sizeof(dir), "plain", "hugetlbfs", "pagesize=2M,mode=0755");
	m.dir = dir;
	cr_assert_eq(chmod(kit_tmp_dir(), 0711), 0);
	cr_assert_eq(seteuid(NOBODY), 0);
	cr_assert_eq(myelon_hugepage_mounts(NULL, take_mount, &m), 0);
	cr_assert_eq(seteuid(0), 0);
	cr_assert_eq(m.found.limit, UINT64_MAX);
	cr_assert_eq(m.found.min, 0);
	cr_assert_eq(m.found.usable, 0, "not for this user");
}

Test(hugepage_reserve, adds_what_is_missing_and_no_more)
{
	uint64_t got = 0, more = 0;
	int64_t before;

	pool_keep(MIB2);
	before = pool_spare(MIB2);
	cr_assert_eq(myelon_hugepage_reserve(MIB2, -1, (uint64_t)before + 3, &got), 0, "%s",
	             myelon_last_error());
	cr_assert_geq((int64_t)got, before + 3);
	cr_assert_eq(pool_file(MIB2, "nr_hugepages"), kept_total + 3);
	cr_assert_eq(myelon_hugepage_reserve(MIB2, -1, got, &more), 0);
	cr_assert_eq(pool_file(MIB2, "nr_hugepages"), kept_total + 3, "they are there");
	cr_assert_eq(more, got);
	cr_assert_eq(myelon_hugepage_reserve(MIB2, 0, got + 1, &more), 0, "%s",
	             myelon_last_error());
	cr_assert_eq(more, got + 1);
	cr_assert_eq(myelon_hugepage_reserve(MIB2, -1, 0, NULL), 0);
}

Test(hugepage_reserve, of_more_than_memory_holds_is_refused_before_it_hurts)
{
	uint64_t got = 77;

	pool_keep(MIB2);
	cr_assert_eq(myelon_hugepage_reserve(MIB2, -1, 1ull << 40, &got), -ENOSPC);
	cr_assert_not_null(strstr(myelon_last_error(), "do not fit into memory"), "%s",
	                   myelon_last_error());
	cr_assert_eq(myelon_hugepage_reserve(MIB2, 0, UINT64_MAX, &got), -ENOSPC);
	cr_assert_eq(pool_file(MIB2, "nr_hugepages"), kept_total);
	cr_assert_eq((int64_t)got, pool_spare(MIB2));
}

Test(hugepage_reserve, of_a_size_or_node_that_is_not_there_names_it)
{
	if (pool_file(MIB2, "nr_hugepages") < 0)
		kit_skip("hugepages", "the kernel has no 2 MiB pages");
	cr_assert_eq(myelon_hugepage_reserve(3 << 20, -1, 1, NULL), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "3145728"), "%s", myelon_last_error());
	cr_assert_not_null(strstr(myelon_last_error(), "2 MiB"), "%s", myelon_last_error());
	cr_assert_eq(myelon_hugepage_reserve(MIB2, 999, 1, NULL), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "node 999"), "%s", myelon_last_error());
	cr_assert_eq(myelon_hugepage_reserve(MIB2, -2, 1, NULL), -EINVAL);
}

/* A pool of files, which does what it is told but has no pages: as if somebody took each at once. */
static void pretend_pool(bool read_only, const char *size)
{
	static const char *const files[] = {"nr_hugepages", "free_hugepages", "resv_hugepages",
	                                    "surplus_hugepages"};
	char dir[512], path[700];
	FILE *f;
	int i;

	mount_private(dir, sizeof(dir), "pools", "tmpfs", "size=64k");
	snprintf(path, sizeof(path), "%s/%s", dir, size);
	cr_assert_eq(mkdir(path, 0755), 0);
	for (i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", dir, size, files[i]);
		f = fopen(path, "we");
		cr_assert_not_null(f);
		fputs("0\n", f);
		fclose(f);
	}
	if (mount(dir, "/sys/kernel/mm/hugepages", NULL, MS_BIND, NULL) ||
	    (read_only &&
	     mount(NULL, "/sys/kernel/mm/hugepages", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL)))
		kit_skip("root", strerror(errno));
}

Test(hugepage_reserve, that_gets_fewer_pages_ends_and_says_how_many_and_why)
{
	uint64_t got = 77;

	pretend_pool(false, "hugepages-2048kB");
	cr_assert_eq(myelon_hugepage_reserve(MIB2, -1, 3, &got), -ENOSPC);
	cr_assert_eq(got, 0);
	cr_assert_not_null(strstr(myelon_last_error(), "3 are still missing of 3"), "%s",
	                   myelon_last_error());
	cr_assert_not_null(strstr(myelon_last_error(), "echo 1 > /proc/sys/vm/compact_memory"),
	                   "%s", myelon_last_error());
}

Test(hugepage_reserve, of_giant_pages_that_do_not_come_names_the_boot_parameters)
{
	pretend_pool(false, "hugepages-1048576kB");
	cr_assert_eq(myelon_hugepage_reserve(GIB, -1, 2, NULL), -ENOSPC);
	cr_assert_not_null(strstr(myelon_last_error(), "hugepagesz=1G hugepages=2"), "%s",
	                   myelon_last_error());
}

Test(hugepage_reserve, where_sys_is_read_only_says_so)
{
	pretend_pool(true, "hugepages-2048kB");
	cr_assert_eq(myelon_hugepage_reserve(MIB2, -1, 3, NULL), -EPERM);
	cr_assert_not_null(strstr(myelon_last_error(), "read-only here"), "%s",
	                   myelon_last_error());
	cr_assert_not_null(strstr(myelon_last_error(), "--size 2M --pages 3"), "%s",
	                   myelon_last_error());
}

Test(hugepage_pools, of_a_kernel_without_huge_pages_are_none)
{
	struct pools p = {.count = 0};
	char dir[512];

	mount_private(dir, sizeof(dir), "none", "tmpfs", "size=64k");
	if (mount(dir, "/sys/kernel/mm/hugepages", NULL, MS_BIND, NULL))
		kit_skip("root", strerror(errno));
	cr_assert_eq(myelon_hugepage_pools(collect_pool, &p), 0);
	cr_assert_eq(p.count, 0);
	cr_assert_eq(myelon_hugepage_limits(NULL, NULL), 0);
	cr_assert_eq(myelon_hugepage_reserve(MIB2, -1, 1, NULL), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "no huge pages at all"), "%s",
	                   myelon_last_error());
}

static int as_nobody(bool keep)
{
	if (prctl(PR_SET_KEEPCAPS, keep ? 1 : 0, 0, 0, 0) || setgroups(0, NULL) ||
	    setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		return -errno;
	return 0;
}

static int reserve_as_nobody(void *arg)
{
	uint64_t pages = *(uint64_t *)arg;
	char command[96];
	int rc;

	CHILD_CHECK(as_nobody(false) == 0, "%m");
	rc = myelon_hugepage_reserve(MIB2, -1, pages, NULL);
	CHILD_CHECK(rc == -EPERM, "%d %s", rc, myelon_last_error());
	CHILD_CHECK(strstr(myelon_last_error(), "CAP_DAC_OVERRIDE"), "%s", myelon_last_error());
	snprintf(command, sizeof(command),
	         "myelon hugepages reserve --size 2M --pages %llu, or: echo ",
	         (unsigned long long)pages);
	CHILD_CHECK(strstr(myelon_last_error(), command), "%s", myelon_last_error());
	CHILD_CHECK(strstr(myelon_last_error(), "hugepages-2048kB/nr_hugepages"), "%s",
	            myelon_last_error());
	rc = myelon_hugepage_reserve(MIB2, 0, pages, NULL);
	CHILD_CHECK(rc == -EPERM, "%d %s", rc, myelon_last_error());
	CHILD_CHECK(strstr(myelon_last_error(), " --node 0, or: echo "), "%s", myelon_last_error());
	return 0;
}

static int mount_as_nobody(void *arg)
{
	char missing[600];
	const char *dir = arg;
	int rc;

	CHILD_CHECK(as_nobody(false) == 0, "%m");
	rc = myelon_hugepage_mount(dir, MIB2);
	CHILD_CHECK(rc == -EPERM, "%d %s", rc, myelon_last_error());
	CHILD_CHECK(strstr(myelon_last_error(), "CAP_SYS_ADMIN"), "%s", myelon_last_error());
	CHILD_CHECK(strstr(myelon_last_error(), "as root: myelon hugepages mount "), "%s",
	            myelon_last_error());
	CHILD_CHECK(strstr(myelon_last_error(),
	                   "mount -t hugetlbfs -o pagesize=2M,uid=65534,mode=0700"),
	            "%s", myelon_last_error());
	snprintf(missing, sizeof(missing), "%s/made", dir);
	CHILD_CHECK(myelon_hugepage_mount(missing, MIB2) == -EPERM, "%s", myelon_last_error());
	CHILD_CHECK(access(missing, F_OK) != 0, "what was made is left");
	return 0;
}

Test(unprivileged, reserve_and_mount_are_eperm_with_the_capability_and_the_command)
{
	struct kit_actor a;
	uint64_t pages;
	char dir[512];

	pool_keep(MIB2);
	pages = (uint64_t)pool_spare(MIB2) + 5;
	cr_assert_eq(kit_fork(&a, reserve_as_nobody, &pages), 0);
	cr_assert_eq(kit_wait(&a, 20), 0);
	cr_assert_eq(pool_file(MIB2, "nr_hugepages"), kept_total);

	snprintf(dir, sizeof(dir), "%s/point", kit_tmp_dir());
	cr_assert_eq(chmod(kit_tmp_dir(), 0711), 0);
	cr_assert_eq(mkdir(dir, 0700), 0);
	cr_assert_eq(chown(dir, NOBODY, NOBODY), 0);
	cr_assert_eq(kit_fork(&a, mount_as_nobody, dir), 0);
	cr_assert_eq(kit_wait(&a, 20), 0);
}

static bool nothing_effective(void)
{
	FILE *f = fopen("/proc/thread-self/status", "re");
	unsigned long long bits = ~0ull;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &bits) == 1)
			break;
	if (f)
		fclose(f);
	return bits == 0;
}

static int with_permitted_only(void *arg)
{
	char path[600];
	struct stat st;
	uint64_t got = 0, pages = (uint64_t)pool_spare(MIB2) + 2;

	CHILD_CHECK(as_nobody(true) == 0, "%m");
	CHILD_CHECK(nothing_effective(), "the test itself");
	CHILD_CHECK(myelon_hugepage_reserve(MIB2, -1, pages, &got) == 0, "%s", myelon_last_error());
	CHILD_CHECK(got >= pages, "%llu", (unsigned long long)got);
	CHILD_CHECK(nothing_effective(), "reserve keeps the capability");
	snprintf(path, sizeof(path), "%s/made", (const char *)arg);
	CHILD_CHECK(myelon_hugepage_mount(path, MIB2) == 0, "%s", myelon_last_error());
	CHILD_CHECK(nothing_effective(), "mount keeps the capability");
	CHILD_CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0700 && st.st_uid == NOBODY,
	            "not for the caller: mode %o, uid %u", st.st_mode, st.st_uid);
	return 0;
}

Test(capability, that_is_only_permitted_is_raised_for_the_call_and_dropped)
{
	struct kit_actor a;
	char dir[512];

	if (mye_cap_raise(MYE_CAP_SYS_ADMIN) == -ENOTSUP)
		kit_skip("libcap", "built without it");
	pool_keep(MIB2);
	mount_private(dir, sizeof(dir), "apart", "tmpfs", "size=64k,mode=0777");
	cr_assert_eq(chmod(kit_tmp_dir(), 0711), 0);
	cr_assert_eq(kit_fork(&a, with_permitted_only, dir), 0);
	cr_assert_eq(kit_wait(&a, 20), 0);
}

Test(hugepage_mount, makes_the_directory_is_for_everybody_as_root_and_may_be_repeated)
{
	struct mounts m = {.count = 0};
	char dir[512], path[600];
	struct stat st;

	mount_private(dir, sizeof(dir), "apart", "tmpfs", "size=64k");
	snprintf(path, sizeof(path), "%s/huge", dir);
	cr_assert_eq(myelon_hugepage_mount(path, MIB2), 0, "%s", myelon_last_error());
	m.dir = path;
	cr_assert_eq(myelon_hugepage_mounts(path, take_mount, &m), 0);
	cr_assert_eq(m.found.page_size, MIB2);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 01777);
	cr_assert_eq(myelon_hugepage_mount(path, MIB2), 0, "%s", myelon_last_error());
	m = (struct mounts){.dir = path};
	cr_assert_eq(myelon_hugepage_mounts(NULL, take_mount, &m), 0);
	cr_assert_eq(umount(path), 0);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0755, "it was mounted once");
	if (pool_file(GIB, "nr_hugepages") < 0)
		return;
	cr_assert_eq(myelon_hugepage_mount(path, GIB), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_hugepage_mount(path, MIB2), -EEXIST);
	cr_assert_not_null(strstr(myelon_last_error(), "1 GiB"), "%s", myelon_last_error());
}

Test(hugepage_mount, refuses_what_is_no_empty_directory)
{
	char dir[512], path[600];
	int fd;

	mount_private(dir, sizeof(dir), "apart", "tmpfs", "size=64k");
	cr_assert_eq(myelon_hugepage_mount(dir, MIB2), -EEXIST, "%s", myelon_last_error());
	cr_assert_not_null(strstr(myelon_last_error(), "something other"), "%s",
	                   myelon_last_error());
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert_eq(myelon_hugepage_mount(path, MIB2), -ENOTDIR);
	cr_assert_not_null(strstr(myelon_last_error(), path), "%s", myelon_last_error());
	snprintf(path, sizeof(path), "%s/full/inner", dir);
	cr_assert_eq(myelon_hugepage_mount(path, MIB2), -ENOENT, "%s", myelon_last_error());
	path[strlen(path) - strlen("/inner")] = '\0';
	cr_assert_eq(mkdir(path, 0700), 0);
	strcat(path, "/inner");
	cr_assert_eq(mkdir(path, 0700), 0);
	path[strlen(path) - strlen("/inner")] = '\0';
	cr_assert_eq(myelon_hugepage_mount(path, MIB2), -ENOTEMPTY, "%s", myelon_last_error());
	cr_assert_eq(myelon_hugepage_mount("", MIB2), -EINVAL);
	cr_assert_eq(myelon_hugepage_mount(path, 12288), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "12288"), "%s", myelon_last_error());
}
