/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "hugepages/hugepages.h"
#include "kit.h"
#include "mount_kit.h"
#include "sys/sys.h"

#define HUGE (2ull << 20)

static bool kernel_has(uint64_t size)
{
	uint64_t sizes[MYE_HUGE_SIZES];
	int n = mye_huge_sizes(sizes, MYE_HUGE_SIZES), i;

	for (i = 0; i < n; i++)
		if (sizes[i] == size)
			return true;
	return false;
}

Test(hugepages, sizes_rise_and_each_has_a_pool)
{
	uint64_t sizes[MYE_HUGE_SIZES];
	int n = mye_huge_sizes(sizes, MYE_HUGE_SIZES), i;
	struct mye_huge_pool pool;

	for (i = 0; i < n; i++) {
		cr_assert_eq(sizes[i] & (sizes[i] - 1), 0);
		if (i)
			cr_assert_gt(sizes[i], sizes[i - 1]);
		cr_assert_eq(mye_huge_pool(sizes[i], -1, &pool), 0);
		cr_assert_leq(pool.free, pool.total);
	}
	cr_assert_eq(mye_huge_pool(12288, -1, &pool), -ENOENT);
	if (n > 1)
		cr_assert_eq(mye_huge_sizes(sizes, 1), 1);
}

Test(hugepages, shortage_names_the_missing_pages_and_the_command)
{
	char text[448], expected[160];
	struct mye_huge_pool pool;

	if (!kernel_has(HUGE))
		kit_skip("hugepages", "the kernel has no 2 MiB pages");
	cr_assert_eq(mye_huge_pool(HUGE, -1, &pool), 0);
	mye_huge_explain(HUGE, -1, (pool.free - pool.reserved + 7) * HUGE, NULL, text,
	                 sizeof(text));
	cr_assert_not_null(strstr(text, "2 MiB pool has "));
	cr_assert_not_null(strstr(text, " 7 are missing"), "%s", text);
	snprintf(expected, sizeof(expected),
	         "reserve --size 2M --pages %llu, or: echo %llu > "
	         "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
	         (unsigned long long)(pool.free - pool.reserved) + 7,
	         (unsigned long long)pool.total + 7);
	cr_assert_not_null(strstr(text, expected), "%s", text);
	mye_huge_shortage(HUGE, -1, (pool.free - pool.reserved + 7) * HUGE, NULL, text,
	                  sizeof(text));
	cr_assert_null(strstr(text, "echo"));
	mye_huge_explain(HUGE, 0, 1ull << 50, NULL, text, sizeof(text));
	cr_assert_not_null(strstr(text, " --node 0, or"), "%s", text);
	cr_assert_not_null(strstr(text, "/node0/hugepages/"), "%s", text);
	mye_huge_explain(12288, -1, 12288, NULL, text, sizeof(text));
	cr_assert_not_null(strstr(text, "no huge pages of 12 KiB"), "%s", text);
}

Test(hugepages, shortage_names_the_mount_that_is_too_small)
{
	char text[448], expected[640], dir[512];
	struct mye_huge_mount mount;

	if (!kit_hugepages_reserve(4))
		kit_skip("hugepages", "cannot get a pool of 2 MiB pages");
	atexit(kit_hugepages_restore);
	mount_private(dir, sizeof(dir), "tight", "hugetlbfs", "pagesize=2M,size=4M");
	cr_assert_eq(mye_huge_mounts(dir, 0, true, &mount, 1), 1);
	cr_assert_eq(mount.limit, 2 * HUGE);
	cr_assert_eq(mount.left, 2 * HUGE);
	mye_huge_shortage(HUGE, -1, 3 * HUGE, dir, text, sizeof(text));
	snprintf(expected, sizeof(expected), "mount %s holds 4 MiB (size=), 4 MiB left", dir);
	cr_assert_str_eq(text, expected);
	mye_huge_explain(HUGE, -1, 3 * HUGE, dir, text, sizeof(text));
	cr_assert_not_null(strstr(text, "larger size="), "%s", text);
	mye_huge_explain(HUGE, -1, 1ull << 50, dir, text, sizeof(text));
	cr_assert(strstr(text, " missing") && strstr(text, "; mount "), "both: %s", text);
	mye_huge_explain(HUGE, -1, 2 * HUGE, dir, text, sizeof(text));
	cr_assert_not_null(strstr(text, "for a moment: try again"), "none: %s", text);
}

Test(hugepages, size_is_written_as_the_command_and_the_kernel_read_it)
{
	cr_assert_str_eq(mye_huge_size_text(64 << 10).text, "64K");
	cr_assert_str_eq(mye_huge_size_text(HUGE).text, "2M");
	cr_assert_str_eq(mye_huge_size_text(512ull << 20).text, "512M");
	cr_assert_str_eq(mye_huge_size_text(16ull << 30).text, "16G");
}

Test(hugepages, mount_with_a_blank_in_its_path_is_found_by_its_page_size)
{
	struct mye_huge_mount mounts[MYE_HUGE_MOUNTS];
	char dir[512];
	bool found = false;
	int n, i;

	mount_private(dir, sizeof(dir), "with blank\tand tab", "hugetlbfs", "pagesize=2M");
	n = mye_huge_mounts(NULL, HUGE, true, mounts, MYE_HUGE_MOUNTS);
	for (i = 0; i < n; i++) {
		cr_assert_eq(mounts[i].page_size, HUGE);
		found |= strcmp(mounts[i].dir, dir) == 0;
	}
	cr_assert(found);
	n = mye_huge_mounts(NULL, 1ull << 30, true, mounts, MYE_HUGE_MOUNTS);
	for (i = 0; i < n; i++)
		cr_assert_str_neq(mounts[i].dir, dir);
}

Test(hugepages, directory_given_is_the_only_one_and_must_be_on_hugetlbfs)
{
	struct mye_huge_mount mounts[2];
	char dir[512], sub[600];

	cr_assert_eq(mye_huge_mounts(kit_shm_dir(), 0, true, mounts, 2), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), kit_shm_dir()));
	cr_assert_eq(mye_huge_mounts("/nowhere/at/all", 0, true, mounts, 2), -ENOENT);
	mount_private(dir, sizeof(dir), "huge", "hugetlbfs", "pagesize=2M");
	snprintf(sub, sizeof(sub), "%s/sub", dir);
	cr_assert_eq(mkdir(sub, 0700), 0);
	cr_assert_eq(mye_huge_mounts(sub, 0, true, mounts, 2), 1);
	cr_assert_str_eq(mounts[0].dir, sub);
	cr_assert_eq(mounts[0].page_size, HUGE);
	cr_assert_eq(mye_huge_mounts(sub, 1ull << 30, true, mounts, 2), 0);
}

Test(hugepages, directory_that_may_not_be_written_is_only_for_reading)
{
	struct mye_huge_mount mounts[1];
	char dir[512];

	mount_private(dir, sizeof(dir), "huge", "hugetlbfs", "pagesize=2M,mode=0755");
	cr_assert_eq(chmod(kit_tmp_dir(), 0711), 0);
	cr_assert_eq(seteuid(65534), 0);
	cr_assert_eq(mye_huge_mounts(dir, 0, true, mounts, 1), 0);
	cr_assert_eq(mye_huge_mounts(dir, 0, false, mounts, 1), 1);
	cr_assert_eq(seteuid(0), 0);
}

Test(hugepages, file_system_mounted_over_another_is_what_counts)
{
	struct mye_huge_mount mounts[MYE_HUGE_MOUNTS];
	char dir[512];
	int n, i;

	mount_private(dir, sizeof(dir), "covered", "hugetlbfs", "pagesize=2M");
	mount_private(dir, sizeof(dir), "covered", "tmpfs", "size=64k");
	n = mye_huge_mounts(NULL, 0, true, mounts, MYE_HUGE_MOUNTS);
	for (i = 0; i < n; i++)
		cr_assert_str_neq(mounts[i].dir, dir);
}
