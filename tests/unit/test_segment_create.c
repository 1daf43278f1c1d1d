/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Making rings: over whatever has the name already, and where there is no room or no right. */
#include "segment_help.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kit.h"
#include "segment/control.h"

static char name[KIT_NAME];
static struct myelon_ring_opts opts, replace;

static void setup(void)
{
	kit_ring_name(name, "create");
	opts = replace = help_opts();
	replace.flags = MYELON_F_REPLACE_DEAD;
}

TestSuite(create, .init = setup);

static bool says_pid(void)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
	return help_says(pid);
}

Test(create, fills_header_words_and_locks_before_the_name_appears)
{
	struct mye_segment seg;

	opts.buffer_until = 2;
	opts.schema = 77;
	cr_assert_eq(mye_segment_build(&seg, name, &opts, MYELON_KIND_FRAMED, MYELON_FENCE_ASYM), 0,
	             "%s", myelon_last_error());
	cr_assert_not(help_exists(help_path(name)));
	cr_assert_eq(seg.header.kind, MYELON_KIND_FRAMED);
	cr_assert_eq(seg.header.fence, MYELON_FENCE_ASYM);
	cr_assert_eq(seg.header.schema, 77);
	cr_assert_eq(seg.header.window, 64);
	cr_assert_eq(seg.header.slots * 64, seg.header.data_bytes);
	cr_assert_eq(seg.producer->hot.published, -1);
	cr_assert_eq(seg.producer->gate.ceiling, -1);
	cr_assert_eq(seg.producer->space.space_target, INT64_MAX);
	cr_assert_eq(seg.producer->slow.epoch, 1);
	cr_assert_eq(seg.producer->slow.state, MYE_PRODUCER_OPEN);
	cr_assert_eq(seg.producer->frame_marks[15], -1);
	cr_assert_eq(seg.producer->identity.pid, (uint32_t)getpid());
	cr_assert_eq(seg.producer->slow.hold_need, 2);
	cr_assert_eq(seg.producer->slow.hold_max, 64);
	cr_assert_eq(seg.entries[MYE_HOLD_INDEX(&seg)].slow.state, MYE_STATE(1, MYE_ENTRY_HOLD));
	cr_assert_eq(seg.entries[MYE_HOLD_INDEX(&seg)].hot.cursor, -1);
	cr_assert_eq(seg.entries[0].slow.state, 0);
	cr_assert_eq(mye_segment_publish(&seg), 0);
	cr_assert(help_exists(help_path(name)));
	cr_assert_eq(mye_segment_named(&seg), 1);
	help_close(&seg);
	cr_assert_eq(help_files(), 0);
}

Test(create, that_is_never_published_leaves_nothing)
{
	struct mye_segment seg;
	int fds = kit_open_fds();

	cr_assert_eq(mye_segment_build(&seg, name, &opts, MYELON_KIND_RAW, MYELON_FENCE_FULL), 0);
	mye_segment_leave(&seg);
	mye_segment_leave(&seg);
	cr_assert_eq(help_files(), 0);
	cr_assert_eq(kit_open_fds(), fds);
}

Test(create, over_a_live_ring_fails_and_names_the_producer)
{
	struct mye_segment old, new;

	cr_assert_eq(help_create(&old, name, NULL), 0);
	cr_assert_eq(help_create(&new, name, &opts), -EEXIST);
	cr_assert(says_pid(), "%s", myelon_last_error());
	cr_assert_eq(help_create(&new, name, &replace), -EEXIST);
	cr_assert(says_pid());
	cr_assert_eq(mye_segment_named(&old), 1);
	help_close(&old);
}

Test(create, over_a_dead_producers_ring_with_a_consumer_names_the_consumer_and_open)
{
	struct mye_segment old, consumer, new;

	cr_assert_eq(help_create(&old, name, NULL), 0);
	cr_assert_eq(help_attach(&consumer, name, MYE_ROLE_CONSUMER), 0);
	cr_assert_eq(mye_role_take(&consumer, MYE_LOCK_ENTRY(2)), 0);
	strcpy(consumer.entries[2].about.id, "worker_7");
	consumer.entries[2].about.who.pid = (uint32_t)getpid();
	help_die(&old);
	cr_assert_eq(help_create(&new, name, &replace), -EEXIST);
	cr_assert(help_says("worker_7") && says_pid(), "%s", myelon_last_error());
	cr_assert(help_says("myelon_producer_open"));
	cr_assert_eq(mye_segment_named(&consumer), 1);
	mye_segment_leave(&consumer);
	cr_assert_eq(help_files(), 2, "its producer never closed");
	cr_assert_eq(myelon_gc(NULL, NULL, NULL), 2);
}

Test(create, over_a_dead_ring_fails_and_names_the_ways_out)
{
	struct mye_segment new;

	cr_assert_eq(help_dead(name, NULL), 0);
	cr_assert_eq(help_create(&new, name, &opts), -EEXIST);
	cr_assert(help_says("MYELON_F_REPLACE_DEAD"), "%s", myelon_last_error());
	cr_assert(help_says("myelon_producer_open"));
	cr_assert(help_says("gc"));
	cr_assert_eq(help_create(&new, name, &replace), 0, "%s", myelon_last_error());
	cr_assert_eq(help_files(), 2, "the old data went too");
	help_close(&new);
	cr_assert_eq(help_files(), 0);
}

Test(create, over_garbage_replaces_it_only_if_nobody_holds_it)
{
	struct mye_segment new;
	int fd;

	cr_assert_eq(help_file(help_path(name), "garbage", 0600), 0);
	cr_assert_eq(help_create(&new, name, &opts), -EEXIST);
	fd = open(help_path(name), O_RDWR | O_CLOEXEC);
	cr_assert_eq(mye_lock_set(fd, MYE_LOCK_LIFE, MYE_LOCK_SHARED), 0);
	cr_assert_eq(help_create(&new, name, &replace), -EEXIST);
	close(fd);
	cr_assert_eq(help_create(&new, name, &replace), 0, "%s", myelon_last_error());
	help_close(&new);
	cr_assert_eq(help_files(), 0);
}

Test(create, never_follows_a_link_nor_replaces_a_directory)
{
	struct mye_segment new;
	char victim[4200];

	snprintf(victim, sizeof(victim), "%s/victim", kit_tmp_dir());
	cr_assert_eq(help_file(victim, "precious", 0600), 0);
	cr_assert_eq(symlink(victim, help_path(name)), 0);
	cr_assert_eq(help_create(&new, name, &replace), -EEXIST);
	cr_assert_eq(help_attach(&new, name, MYE_ROLE_PRODUCER), -EPROTO);
	cr_assert_eq(myelon_ring_remove(name, NULL), -EPROTO);
	cr_assert_eq(myelon_gc(NULL, NULL, NULL), 0);
	cr_assert(help_exists(victim));
	cr_assert_eq(unlink(help_path(name)), 0);
	cr_assert_eq(mkdir(help_path(name), 0700), 0);
	cr_assert_eq(help_create(&new, name, &replace), -EEXIST);
	cr_assert_eq(rmdir(help_path(name)), 0);
}

Test(create, over_a_users_own_file_at_a_path_never_touches_it)
{
	struct mye_segment new;
	char path[4200], text[16] = "";

	snprintf(path, sizeof(path), "%s/thesis", kit_tmp_dir());
	cr_assert_eq(help_file(path, "years of work", 0600), 0);
	replace.backing = MYELON_BACKING_FILE;
	cr_assert_eq(help_create(&new, path, &replace), -EEXIST);
	cr_assert(help_says("not a ring"), "%s", myelon_last_error());
	cr_assert_eq(myelon_ring_remove(path, NULL), -EPROTO);
	cr_assert_eq(help_peek(path, 0, text, 13), 0);
	cr_assert_str_eq(text, "years of work");
	cr_assert_eq(unlink(path), 0);
}

Test(create, plain_file_ring_survives_its_close_and_is_replaced_only_on_demand)
{
	struct mye_segment seg;
	char path[4200], data[4300];

	snprintf(path, sizeof(path), "%s/plain", kit_tmp_dir());
	snprintf(data, sizeof(data), "%s.data", path);
	cr_assert_eq(help_create(&seg, path, NULL), 0, "%s", myelon_last_error());
	memset(seg.data, 0x5a, 64);
	help_close(&seg);
	cr_assert(help_exists(path) && help_exists(data));
	cr_assert_eq(help_attach(&seg, path, MYE_ROLE_PRODUCER), 0, "%s", myelon_last_error());
	cr_assert_eq(seg.data[63], 0x5a);
	help_close(&seg);
	cr_assert_eq(help_create(&seg, path, NULL), -EEXIST);
	replace.backing = MYELON_BACKING_FILE;
	cr_assert_eq(help_create(&seg, path, &replace), 0, "%s", myelon_last_error());
	cr_assert_eq(seg.data[63], 0);
	help_close(&seg);
	cr_assert_eq(myelon_ring_remove(path, NULL), 0, "%s", myelon_last_error());
	cr_assert_not(help_exists(path));
	cr_assert_not(help_exists(data));
}

Test(create, data_without_its_ring_is_in_the_way_until_its_owner_removes_it)
{
	struct mye_segment seg;
	char path[4200], data[4300], text[8] = "", *all;
	size_t bytes;

	snprintf(path, sizeof(path), "%s/stray", kit_tmp_dir());
	snprintf(data, sizeof(data), "%s.data", path);
	cr_assert_eq(help_file(data, "slots", 0600), 0);
	cr_assert_eq(help_create(&seg, path, NULL), -EEXIST);
	cr_assert(help_says("stray.data"), "%s", myelon_last_error());
	replace.backing = MYELON_BACKING_FILE;
	cr_assert_eq(help_create(&seg, path, &replace), -EEXIST);
	cr_assert(help_says("stray.data") && help_says("yourself"), "%s", myelon_last_error());
	/* Nor is it taken for the data of a ring whose control file was copied there. */
	cr_assert_eq(help_create(&seg, name, NULL), 0);
	bytes = seg.header.control_bytes;
	all = calloc(1, bytes);
	cr_assert_eq(help_peek(help_path(name), 0, all, bytes), 0);
	help_close(&seg);
	cr_assert_eq(help_file(path, "", 0600), 0);
	cr_assert_eq(help_patch(path, 0, all, bytes), 0);
	free(all);
	cr_assert_eq(help_create(&seg, path, &replace), -EEXIST);
	cr_assert_eq(myelon_ring_remove(path, NULL), -EPROTO);
	cr_assert_eq(help_peek(data, 0, text, 5), 0);
	cr_assert_str_eq(text, "slots");
	cr_assert_eq(unlink(path) | unlink(data), 0);
	cr_assert_eq(help_create(&seg, path, &replace), 0, "%s", myelon_last_error());
	help_close(&seg);
	cr_assert_eq(myelon_ring_remove(path, NULL), 0);
}

Test(create, over_junk_of_another_user_is_refused_whatever_the_flags)
{
	struct mye_segment seg;

	if (geteuid() != 0)
		kit_skip("root", "changing owners needs root");
	cr_assert_eq(help_file(help_path(name), "garbage", 0600), 0);
	cr_assert_eq(chown(help_path(name), 65534, 65534), 0);
	replace.flags |= MYELON_F_ANY_OWNER;
	cr_assert_lt(help_create(&seg, name, &replace), 0);
	cr_assert(help_says("65534"), "%s", myelon_last_error());
	cr_assert(help_exists(help_path(name)));
	cr_assert_eq(unlink(help_path(name)), 0);
}

static void need_root(void)
{
	if (geteuid() != 0)
		kit_skip("root", "mounting and changing users needs root");
}

Test(create, in_a_full_shm_directory_is_enospc_and_leaves_nothing)
{
	struct mye_segment seg;
	char dir[4200];

	need_root();
	snprintf(dir, sizeof(dir), "%s/full", kit_tmp_dir());
	cr_assert_eq(mkdir(dir, 0700), 0);
	if (mount("none", dir, "tmpfs", 0, "size=32k") < 0)
		kit_skip("mount", "tmpfs cannot be mounted here");
	opts.shm_dir = dir;
	/* 32 KiB: first the data does not fit, then it does and the control file does not. */
	opts.window = 1024;
	cr_assert_eq(help_create(&seg, name, &opts), -ENOSPC);
	cr_assert(help_says(dir), "%s", myelon_last_error());
	cr_assert_eq(kit_dir_entries(dir), 0);
	opts.window = 64;
	opts.max_consumers = 1000;
	cr_assert_eq(help_create(&seg, name, &opts), -ENOSPC);
	cr_assert(help_says("control file") && help_says(dir), "%s", myelon_last_error());
	cr_assert_eq(kit_dir_entries(dir), 0);
	opts.max_consumers = 4;
	cr_assert_eq(help_create(&seg, name, &opts), 0, "%s", myelon_last_error());
	help_close(&seg);
	cr_assert_eq(kit_dir_entries(dir), 0);
	cr_assert_eq(umount(dir), 0);
}

Test(create, in_a_missing_or_read_only_directory_names_it)
{
	struct mye_segment seg;
	char dir[4200];

	opts.shm_dir = "/nonexistent/dir";
	cr_assert_eq(help_create(&seg, name, &opts), -ENOTDIR);
	cr_assert(help_says("/nonexistent/dir"));
	need_root();
	snprintf(dir, sizeof(dir), "%s/ro", kit_tmp_dir());
	cr_assert_eq(mkdir(dir, 0700), 0);
	if (mount("none", dir, "tmpfs", MS_RDONLY, NULL) < 0)
		kit_skip("mount", "tmpfs cannot be mounted here");
	opts.shm_dir = dir;
	cr_assert_eq(help_create(&seg, name, &opts), -EROFS);
	cr_assert(help_says(dir), "%s", myelon_last_error());
	cr_assert_eq(umount(dir), 0);
}

static int create_as_nobody(void *arg)
{
	struct mye_segment seg;

	(void)arg;
	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		return 1;
	if (help_create(&seg, name, &opts) != -EACCES)
		return 2;
	return help_says(kit_shm_dir()) ? 0 : 3;
}

Test(create, without_permission_is_eacces)
{
	struct kit_actor a;

	need_root();
	cr_assert_eq(kit_fork(&a, create_as_nobody, NULL), 0);
	cr_assert_eq(kit_wait(&a, 10), 0);
}

static int create_without_proc(void *arg)
{
	struct mye_segment seg, consumer;

	(void)arg;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    umount2("/proc", MNT_DETACH) < 0)
		return 77;
	if (help_create(&seg, name, NULL) < 0)
		return 1;
	if (help_files() != 2)
		return 2;
	if (help_attach(&consumer, name, MYE_ROLE_CONSUMER) < 0)
		return 3;
	help_close(&seg);
	mye_segment_leave(&consumer);
	return help_files() == 0 ? 0 : 4;
}

Test(create, without_proc_goes_through_a_private_name)
{
	struct kit_actor a;
	int rc;

	need_root();
	cr_assert_eq(kit_fork(&a, create_without_proc, NULL), 0);
	rc = kit_wait(&a, 10);
	if (rc == 77)
		kit_skip("mount", "no mount namespace of one's own here");
	cr_assert_eq(rc, 0);
}

Test(create, group_option_sets_the_mode_and_default_is_private)
{
	struct mye_segment seg;
	struct stat st;
	mode_t old = umask(077);

	cr_assert_eq(help_create(&seg, name, NULL), 0);
	cr_assert_eq(stat(help_path(name), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	help_close(&seg);
	opts.flags = MYELON_F_GROUP;
	cr_assert_eq(help_create(&seg, name, &opts), 0);
	cr_assert_eq(stat(help_path(name), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0660);
	help_close(&seg);
	umask(old);
}
