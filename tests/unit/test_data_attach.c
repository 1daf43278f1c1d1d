/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where an attacher looks for the data file, and which ones it refuses. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/handle.h"
#include "data_help.h"
#include "kit.h"
#include "mount_kit.h"
#include "segment/map.h"
#include "sys/sys.h"

/* Creates, spoils the file with @spoil, and expects the attacher to refuse. */
static void refused(int expected, void (*spoil)(int dir, const char *name), const char *word)
{
	char name[128];
	int fds;

	prepare();
	cr_assert_eq(mye_data_create(&data), 0, "%s", myelon_last_error());
	prepare_attach();
	mye_data_name(name, sizeof(name), &place, data.nonce);
	spoil(seg.dir_fd, name);
	fds = kit_open_fds();
	cr_assert_eq(mye_data_open(&seg, false), expected, "%s", myelon_last_error());
	cr_assert_not_null(strstr(myelon_last_error(), word), "%s", myelon_last_error());
	cr_assert_eq(seg.data_fd, -1);
	cr_assert_eq(kit_open_fds(), fds);
	mye_data_discard(&data);
	mye_unlink_at(seg.dir_fd, name);
}

static void remove_it(int dir, const char *name)
{
	mye_unlink_at(dir, name);
}

static void shorten(int dir, const char *name)
{
	(void)dir;
	(void)name;
	mye_truncate(data.fd, data.bytes / 2);
}

static void replace_by_link(int dir, const char *name)
{
	mye_unlink_at(dir, name);
	cr_assert_eq(symlinkat("/dev/null", dir, name), 0);
}

static void replace_by_copy(int dir, const char *name)
{
	int fd;

	mye_unlink_at(dir, name);
	fd = mye_create_excl(dir, name, 0600);
	mye_truncate(fd, data.bytes);
	mye_close(fd);
}

static void give_away(int dir, const char *name)
{
	cr_assert_eq(fchownat(dir, name, 65534, 65534, 0), 0);
}

Test(attach, data_file_that_is_missing_is_enoent)
{
	refused(-ENOENT, remove_it, "missing");
}

Test(attach, data_file_that_is_short_is_eproto)
{
	refused(-EPROTO, shorten, "size is 32768");
}

Test(attach, symbolic_link_in_its_place_is_refused)
{
	refused(-ELOOP, replace_by_link, "symbolic link");
}

Test(attach, other_file_in_its_place_is_eproto)
{
	refused(-EPROTO, replace_by_copy, "inode");
}

Test(attach, file_of_another_owner_is_eproto)
{
	if (geteuid() != 0)
		kit_skip("root", "cannot give a file away");
	refused(-EPROTO, give_away, "owner");
}

Test(attach, file_cut_after_it_was_opened_is_eproto_and_not_sigbus)
{
	if (!mye_can_populate())
		kit_skip("kernel", "no MADV_POPULATE_READ");
	prepare();
	cr_assert_eq(mye_data_create(&data), 0, "%s", myelon_last_error());
	prepare_attach();
	cr_assert_eq(mye_data_open(&seg, false), 0);
	cr_assert_eq(mye_truncate(data.fd, 4096), 0);
	cr_assert_eq(mye_data_map(&seg, false), -EPROTO);
	mye_fork_close(seg.data_fd);
	mye_data_discard(&data);
}

Test(attach, file_that_is_being_removed_is_ebusy)
{
	char name[128];
	int fd;

	prepare();
	cr_assert_eq(mye_data_create(&data), 0, "%s", myelon_last_error());
	prepare_attach();
	mye_data_name(name, sizeof(name), &place, data.nonce);
	cr_assert_eq(mye_lock_set(data.fd, MYE_LOCK_DATA, MYE_LOCK_NONE), 0);
	fd = mye_open_at(seg.dir_fd, name, true);
	cr_assert_eq(mye_lock_set(fd, MYE_LOCK_DATA, MYE_LOCK_EXCLUSIVE), 0);
	cr_assert_eq(mye_data_open(&seg, false), -EBUSY);
	mye_data_discard(&data);
}

struct listed {
	int count;
	bool shm;
};

static int list_dir(void *ctx, const char *dir)
{
	struct listed *l = ctx;

	l->count++;
	l->shm |= strcmp(dir, place.dir) == 0;
	return 0;
}

static int stop_at_first(void *ctx, const char *dir)
{
	(void)dir;
	++*(int *)ctx;
	return 5;
}

Test(dirs, include_the_shm_directory_and_each_hugetlbfs_once)
{
	struct listed l = {0}, again = {0};
	char dir[512];
	int calls = 0;

	prepare();
	cr_assert_eq(mye_data_dirs(&place, list_dir, &l), 0);
	cr_assert(l.shm);
	mount_private(dir, sizeof(dir), "huge", "hugetlbfs", "pagesize=2M");
	snprintf(place.hugetlb_dir, sizeof(place.hugetlb_dir), "%s", dir);
	cr_assert_eq(mye_data_dirs(&place, list_dir, &again), 0);
	cr_assert_eq(again.count, l.count + 1);
	cr_assert_eq(mye_data_dirs(&place, stop_at_first, &calls), 5);
	cr_assert_eq(calls, 1);
}
