/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The data file: backings, shortages, the mirror, and what a killed creator leaves. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/handle.h"
#include "data_help.h"
#include "hugepages/hugepages.h"
#include "kit.h"
#include "mount_kit.h"
#include "segment/data.h"
#include "segment/map.h"
#include "sys/sys.h"

#define HUGE (2ull << 20)

static int count_in(const char *dir)
{
	return kit_dir_entries(dir);
}

Test(slots, are_the_smallest_power_of_two_that_fills_pages)
{
	uint64_t slots;

	cr_assert_eq(mye_slots_for(64, 1, 4096, &slots), 0);
	cr_assert_eq(slots, 64);
	cr_assert_eq(mye_slots_for(64, 1000, 4096, &slots), 0);
	cr_assert_eq(slots, 1024);
	cr_assert_eq(mye_slots_for(192, 8, 4096, &slots), 0);
	cr_assert_eq(slots, 64);
	cr_assert_eq(mye_slots_for(4096, 3, 4096, &slots), 0);
	cr_assert_eq(slots, 4);
	cr_assert_eq(mye_slots_for(1, 1, HUGE, &slots), 0);
	cr_assert_eq(slots, HUGE);
	cr_assert_eq(mye_slots_for(3, 1, HUGE, &slots), 0);
	cr_assert_eq(slots, HUGE);
}

Test(slots, that_cannot_be_mapped_are_refused_without_overflow)
{
	uint64_t slots;

	cr_assert_eq(mye_slots_for(UINT32_MAX, UINT32_MAX, 4096, &slots), -EMSGSIZE);
	cr_assert_eq(mye_slots_for(UINT32_MAX, 1, 1ull << 62, &slots), -EMSGSIZE);
	cr_assert_eq(mye_slots_for(0, 1, 4096, &slots), -EINVAL);
	cr_assert_eq(mye_slots_for(64, 0, 4096, &slots), -EINVAL);
	cr_assert_eq(mye_slots_for(64, 1, 3000, &slots), -EINVAL);
}

Test(nonce, carries_the_tag_of_its_directory)
{
	int here = mye_open_dir(kit_shm_dir()), there = mye_open_dir(kit_tmp_dir());
	uint64_t a[2], b[2];

	cr_assert_neq(mye_dir_tag(here), mye_dir_tag(there));
	cr_assert_eq(mye_nonce_make(here, a), 0);
	cr_assert_eq(mye_nonce_make(here, b), 0);
	cr_assert_eq(a[0] >> 32, mye_dir_tag(here));
	cr_assert_eq(a[0] >> 32, b[0] >> 32);
	cr_assert_neq(a[1], b[1]);
}

Test(shm, data_wraps_through_the_mirror_and_is_seen_by_an_attacher)
{
	size_t i;
	struct stat st;

	prepare();
	data.backing = MYELON_BACKING_SHM;
	cr_assert_eq(mye_data_create(&data), 0, "%s", myelon_last_error());
	cr_assert_eq(data.slots, 1024);
	cr_assert_eq(data.bytes, 65536);
	cr_assert_eq(data.backing_got, MYELON_BACKING_SHM);
	cr_assert_eq(strncmp(data.reason, "shm", 3), 0);
	for (i = 0; i < data.bytes; i++)
		data.map[i] = (unsigned char)(i * 31 >> 3);
	cr_assert_eq(memcmp(data.map, data.map + data.bytes, data.bytes), 0);
	data.map[2 * data.bytes - 1] = 200;
	cr_assert_eq(data.map[data.bytes - 1], 200);
	cr_assert_eq(mye_fstat(data.fd, &st), 0);
	cr_assert_eq((uint64_t)st.st_blocks * 512, data.bytes,
	             "allocated to the last page, and only once");

	prepare_attach();
	cr_assert_eq(mye_data_open(&seg, false), 0, "%s", myelon_last_error());
	cr_assert_eq(mye_data_map(&seg, false), 0, "%s", myelon_last_error());
	cr_assert_str_eq(seg.data_dir, place.dir);
	cr_assert_eq(memcmp(seg.data, data.map, 2 * data.bytes), 0);
	mye_data_unmap(&seg);
	mye_data_unmap(&seg);
	mye_fork_close(seg.data_fd);
	mye_data_discard(&data);
	cr_assert_eq(count_in(place.dir), 0);
}

static int write_to_it(void *arg)
{
	(void)arg;
	signal(SIGSEGV, SIG_DFL); /* a sanitizer may have its own */
	if (mye_data_open(&seg, false) || mye_data_map(&seg, false))
		return 1;
	*(volatile unsigned char *)seg.data = 1;
	return 0;
}

Test(shm, attacher_that_writes_faults)
{
	struct kit_actor a;

	prepare();
	cr_assert_eq(mye_data_create(&data), 0, "%s", myelon_last_error());
	prepare_attach();
	cr_assert_eq(kit_fork(&a, write_to_it, NULL), 0);
	cr_assert_eq(kit_wait(&a, 10), -SIGSEGV);
	mye_data_discard(&data);
}

static int touch_parents_map(void *arg)
{
	signal(SIGSEGV, SIG_DFL);
	return *(volatile unsigned char *)arg;
}

Test(shm, data_is_not_mapped_in_a_forked_child)
{
	struct kit_actor a;

	prepare();
	cr_assert_eq(mye_data_create(&data), 0, "%s", myelon_last_error());
	cr_assert_eq(kit_fork(&a, touch_parents_map, data.map), 0);
	cr_assert_eq(kit_wait(&a, 10), -SIGSEGV);
	mye_data_discard(&data);
}

Test(shm, file_has_the_mode_asked_for_and_is_locked_shared)
{
	char name[128];
	struct stat st;
	int dir, fd;

	prepare();
	data.mode = 0660;
	umask(077);
	cr_assert_eq(mye_data_create(&data), 0, "%s", myelon_last_error());
	mye_data_name(name, sizeof(name), &place, data.nonce);
	dir = mye_open_dir(place.dir);
	cr_assert_eq(mye_stat_at(dir, name, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0660);
	cr_assert_eq(strncmp(name, "myelon-data.", 12), 0);
	cr_assert_eq(strlen(name), 12 + 32);
	fd = mye_open_at(dir, name, true);
	cr_assert_eq(mye_lock_query(fd, MYE_LOCK_DATA, MYE_LOCK_EXCLUSIVE), 1);
	cr_assert_eq(mye_lock_query(fd, MYE_LOCK_DATA, MYE_LOCK_SHARED), 0);
	mye_data_discard(&data);
	cr_assert_eq(mye_lock_query(fd, MYE_LOCK_DATA, MYE_LOCK_EXCLUSIVE), 0);
}

Test(shm, full_directory_is_enospc_with_the_sizes_and_leaves_nothing)
{
	char dir[512];
	int fds;

	mount_private(dir, sizeof(dir), "full", "tmpfs", "size=1m");
	prepare();
	snprintf(place.dir, sizeof(place.dir), "%s", dir);
	data.backing = MYELON_BACKING_SHM;
	data.window = 65536; /* 4 MiB */
	fds = kit_open_fds();
	cr_assert_eq(mye_data_create(&data), -ENOSPC);
	cr_assert_not_null(strstr(myelon_last_error(), "4 MiB"), "%s", myelon_last_error());
	cr_assert_not_null(strstr(myelon_last_error(), dir), "%s", myelon_last_error());
	cr_assert_eq(count_in(dir), 0);
	cr_assert_eq(kit_open_fds(), fds);
	cr_assert_eq(data.fd, -1);
	cr_assert_null(data.map);
	data.backing = MYELON_BACKING_SHM_THP;
	cr_assert_eq(mye_data_create(&data), -ENOSPC, "%s", myelon_last_error());
	cr_assert_eq(kit_open_fds(), fds);
	data.backing = MYELON_BACKING_SHM;
	data.window = 8192;
	cr_assert_eq(mye_data_create(&data), 0, "what failed gave its pages back: %s",
	             myelon_last_error());
	mye_data_discard(&data);
}

Test(shm, thp_says_how_much_is_in_huge_pages)
{
	prepare();
	data.backing = MYELON_BACKING_SHM_THP;
	data.window = 65536; /* 4 MiB */
	cr_assert_eq(mye_data_create(&data), 0, "%s", myelon_last_error());
	cr_assert_eq(data.backing_got, MYELON_BACKING_SHM_THP);
	cr_assert_eq(data.data_page, mye_page_size());
	cr_assert_not_null(strstr(data.reason, "in huge pages"), "%s", data.reason);
	data.map[0] = 7;
	cr_assert_eq(data.map[data.bytes], 7);
	mye_data_discard(&data);
	cr_assert_eq(count_in(place.dir), 0);
}

Test(shm, page_sizes_larger_than_the_ring_are_skipped_and_named)
{
	uint64_t sizes[MYE_HUGE_SIZES];

	if (mye_huge_sizes(sizes, MYE_HUGE_SIZES) < 1)
		kit_skip("hugepages", "the kernel has no huge pages");
	prepare();
	cr_assert_eq(mye_data_create(&data), 0, "%s", myelon_last_error());
	cr_assert_eq(data.backing_got, MYELON_BACKING_SHM);
	cr_assert_not_null(strstr(data.reason, "ring smaller than page"), "%s", data.reason);
	mye_data_discard(&data);
	data.huge = MYELON_HUGE_OFF;
	cr_assert_eq(mye_data_create(&data), 0, "%s", myelon_last_error());
	cr_assert_not_null(strstr(data.reason, "off as asked"), "%s", data.reason);
	mye_data_discard(&data);
}

Test(options, that_contradict_each_other_are_refused)
{
	prepare();
	data.backing = MYELON_BACKING_FILE;
	cr_assert_eq(mye_data_create(&data), -EINVAL);
	data.backing = MYELON_BACKING_HUGETLB;
	data.huge = MYELON_HUGE_OFF;
	cr_assert_eq(mye_data_create(&data), -EINVAL);
	data.backing = MYELON_BACKING_SHM;
	data.huge = MYELON_HUGE_REQUIRE;
	cr_assert_eq(mye_data_create(&data), -EINVAL);
	data.backing = 77;
	cr_assert_eq(mye_data_create(&data), -EINVAL);
	prepare();
	place.plain = true;
	data.backing = MYELON_BACKING_SHM;
	cr_assert_eq(mye_data_create(&data), -EINVAL);
}

Test(file, lies_beside_the_control_file_and_does_not_replace_one)
{
	char path[512];
	struct stat st;
	int dir;

	prepare();
	snprintf(place.dir, sizeof(place.dir), "%s", kit_tmp_dir());
	strcpy(place.file, "ring");
	place.plain = true;
	cr_assert_eq(mye_data_create(&data), 0, "%s", myelon_last_error());
	cr_assert_eq(data.backing_got, MYELON_BACKING_FILE);
	dir = mye_open_dir(place.dir);
	cr_assert_eq(mye_stat_at(dir, "ring.data", &st), 0);
	cr_assert_eq((uint64_t)st.st_size, data.bytes);
	prepare_attach();
	seg.header.data_ino++; /* a plain file may have been copied */
	cr_assert_eq(mye_data_open(&seg, true), 0, "%s", myelon_last_error());
	mye_fork_close(seg.data_fd);
	mye_data_discard(&data);
	cr_assert_eq(mye_stat_at(dir, "ring.data", &st), -ENOENT);

	mye_close(mye_create_excl(dir, "ring.data", 0600));
	cr_assert_eq(mye_data_create(&data), -EEXIST);
	snprintf(path, sizeof(path), "%s/ring.data", kit_tmp_dir());
	cr_assert_not_null(strstr(myelon_last_error(), path), "%s", myelon_last_error());
	cr_assert_eq(mye_stat_at(dir, "ring.data", &st), 0, "it may be the user's");
	mye_unlink_at(dir, "ring.data");
}

/* @pages free ones of 2 MiB, and a hugetlbfs that only this test sees. */
static void huge_pool(unsigned int pages)
{
	char dir[512];

	if (!kit_hugepages_reserve(pages))
		kit_skip("hugepages", "cannot get a pool of 2 MiB pages");
	atexit(kit_hugepages_restore);
	mount_private(dir, sizeof(dir), "huge", "hugetlbfs", "pagesize=2M");
	prepare();
	snprintf(place.hugetlb_dir, sizeof(place.hugetlb_dir), "%s", dir);
}

static uint64_t free_pages(void)
{
	struct mye_huge_pool pool;

	cr_assert_eq(mye_huge_pool(HUGE, -1, &pool), 0);
	return pool.free - pool.reserved;
}

Test(hugetlb, ring_is_mirrored_costs_its_pages_once_and_is_found_by_an_attacher)
{
	uint64_t before;

	huge_pool(4);
	before = free_pages();
	data.window = 65536; /* 4 MiB */
	cr_assert_eq(mye_numa_want(&data.numa, MYELON_NUMA_LOCAL, 0, 0, 0, true), 0);
	cr_assert_eq(mye_data_create(&data), 0, "%s", myelon_last_error());
	cr_assert_eq(data.backing_got, MYELON_BACKING_HUGETLB, "%s", data.reason);
	cr_assert_eq(data.data_page, HUGE);
	cr_assert_eq(mye_census_node(&data.census), data.numa.node);
	cr_assert_eq(data.census.pages, 2);
	cr_assert_eq(strncmp(data.reason, "hugetlb 2 MiB on node ", 22), 0, "%s", data.reason);
	cr_assert_eq(before - free_pages(), 2);
	data.map[data.bytes] = 99;
	cr_assert_eq(data.map[0], 99);
	prepare_attach();
	cr_assert_eq(mye_data_open(&seg, false), 0, "%s", myelon_last_error());
	cr_assert_eq(mye_data_map(&seg, false), 0, "%s", myelon_last_error());
	cr_assert_eq(seg.data[data.bytes], 99);
	cr_assert_str_eq(seg.data_dir, place.hugetlb_dir);
	mye_data_unmap(&seg);
	mye_fork_close(seg.data_fd);

	seg.place.hugetlb_dir[0] = '\0';
	cr_assert_eq(mye_data_open(&seg, false), 0, "the mount table knows it too: %s",
	             myelon_last_error());
	mye_fork_close(seg.data_fd);
	mye_data_discard(&data);
	cr_assert_eq(free_pages(), before);
	kit_hugepages_restore();
}

Test(hugetlb, small_ring_is_rounded_up_only_when_huge_pages_are_required)
{
	huge_pool(1);
	data.huge = MYELON_HUGE_REQUIRE;
	cr_assert_eq(mye_data_create(&data), 0, "%s", myelon_last_error());
	cr_assert_eq(data.bytes, HUGE);
	cr_assert_eq(data.slots, HUGE / 64);
	cr_assert_not_null(strstr(data.reason, "32768 slots to fill a page"), "%s", data.reason);
	mye_data_discard(&data);
	data.huge = MYELON_HUGE_TRY;
	cr_assert_eq(mye_data_create(&data), 0, "%s", myelon_last_error());
	cr_assert_eq(data.backing_got, MYELON_BACKING_SHM);
	cr_assert_eq(data.slots, 1024);
	mye_data_discard(&data);
	kit_hugepages_restore();
}

Test(hugetlb, short_pool_falls_back_with_the_reason_or_fails_and_gives_all_pages_back)
{
	uint64_t before;
	int fds;

	huge_pool(2);
	before = free_pages();
	while (data.window * 64ull <= before * HUGE)
		data.window *= 2;
	fds = kit_open_fds();
	cr_assert_eq(mye_data_create(&data), 0, "%s", myelon_last_error());
	cr_assert_eq(data.backing_got, MYELON_BACKING_SHM);
	cr_assert_not_null(strstr(data.reason, "no huge pages: 2 MiB pool"), "%s", data.reason);
	cr_assert_not_null(strstr(data.reason, "are missing"), "%s", data.reason);
	mye_data_discard(&data);

	data.huge = MYELON_HUGE_REQUIRE;
	cr_assert_eq(mye_data_create(&data), -ENOSPC);
	cr_assert_not_null(strstr(myelon_last_error(), "nr_hugepages"), "%s", myelon_last_error());
	data.huge = MYELON_HUGE_TRY;
	data.backing = MYELON_BACKING_HUGETLB;
	cr_assert_eq(mye_data_create(&data), -ENOSPC);
	cr_assert_eq(free_pages(), before);
	cr_assert_eq(count_in(place.hugetlb_dir), 0);
	cr_assert_eq(kit_open_fds(), fds);
	kit_hugepages_restore();
}

Test(hugetlb, pages_that_only_the_touch_refuses_are_enospc_and_not_sigbus)
{
	char dir[512];

	if (!mye_can_populate())
		kit_skip("kernel", "no MADV_POPULATE_WRITE");
	huge_pool(4);
	/* The size of a mount is charged when a page is made. */
	mount_private(dir, sizeof(dir), "tight", "hugetlbfs", "pagesize=2M,size=2M");
	snprintf(place.hugetlb_dir, sizeof(place.hugetlb_dir), "%s", dir);
	data.window = 65536;
	data.huge = MYELON_HUGE_REQUIRE;
	cr_assert_eq(mye_data_create(&data), -ENOSPC, "%s", myelon_last_error());
	cr_assert_not_null(strstr(myelon_last_error(), "holds 2 MiB (size=), 2 MiB left"), "%s",
	                   myelon_last_error());
	cr_assert_eq(count_in(dir), 0);
	kit_hugepages_restore();
}

Test(hugetlb, directory_elsewhere_and_page_size_nobody_has_are_named)
{
	prepare();
	snprintf(place.hugetlb_dir, sizeof(place.hugetlb_dir), "%s", kit_tmp_dir());
	data.huge = MYELON_HUGE_REQUIRE;
	data.window = 65536;
	if (mye_data_create(&data) == -ENOTSUP)
		kit_skip("hugepages", "the kernel has no huge pages");
	cr_assert_eq(mye_data_create(&data), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), kit_tmp_dir()), "%s", myelon_last_error());
	data.page_size = 12288;
	cr_assert_eq(mye_data_create(&data), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "12288"), "%s", myelon_last_error());
}

/* Creates with the @n-th point as its last; exits 0 if there were fewer. */
static int create_and_die(void *arg)
{
	mye_points_kill_in(*(unsigned long *)arg);
	if (mye_data_create(&data))
		return 1;
	mye_points_kill_in(0);
	mye_data_discard(&data);
	return 0;
}

Test(crash, creator_killed_at_any_point_leaves_at_most_one_file_that_nobody_holds)
{
	char name[128];
	struct kit_actor a;
	unsigned long n = 0;
	int rc, fd, dir, left;

	do {
		n++;
		prepare();
		mye_data_name(name, sizeof(name), &place, data.nonce);
		cr_assert_eq(kit_fork(&a, create_and_die, &n), 0);
		kit_kill(&a, 0);
		rc = kit_wait(&a, 10);
		cr_assert(rc == 0 || rc == -SIGKILL, "point %lu: %d", n, rc);
		left = count_in(place.dir);
		dir = mye_open_dir(place.dir);
		fd = mye_open_at(dir, name, true);
		cr_assert_eq(left, fd >= 0, "point %lu", n);
		if (fd >= 0) {
			int64_t until = kit_deadline(10);

			while (mye_lock_query(fd, MYE_LOCK_DATA, MYE_LOCK_EXCLUSIVE) == 1)
				cr_assert_lt(mye_now(), until);
			cr_assert_eq(mye_unlink_at(dir, name), 0);
			mye_close(fd);
		}
		mye_close(dir);
	} while (rc);
	cr_assert_gt(n, 6);
}

Test(crash, without_tmpfiles_a_private_name_does_it_and_goes_away)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = 6, .filter = code};
	int dir;

	prepare();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &prog))
		kit_skip("seccomp", "cannot install a filter");
	dir = mye_open_dir(place.dir);
	cr_assert_eq(mye_open_tmpfile(dir, 0600), -EOPNOTSUPP);
	cr_assert_eq(mye_data_create(&data), 0, "%s", myelon_last_error());
	cr_assert_eq(count_in(place.dir), 1);
	prepare_attach();
	cr_assert_eq(mye_data_open(&seg, false), 0, "%s", myelon_last_error());
	mye_fork_close(seg.data_fd);
	mye_data_discard(&data);
	cr_assert_eq(count_in(place.dir), 0);
}
