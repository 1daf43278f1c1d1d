/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What gc takes and what it leaves alone; what list and describe say. */
#include "segment_help.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kit.h"
#include "mount_kit.h"
#include "segment/control.h"
#include "segment/data.h"

struct seen {
	int items, removed, busy, other;
	char text[4096];
};

static int count(void *ctx, const struct myelon_gc_item *item)
{
	struct seen *s = ctx;

	s->items++;
	s->removed += item->error == 0;
	s->busy += item->error == -EBUSY;
	s->other += item->error != 0 && item->error != -EBUSY;
	strncat(s->text, item->path, sizeof(s->text) - strlen(s->text) - 1);
	strncat(s->text, "\n", sizeof(s->text) - strlen(s->text) - 1);
	return 0;
}

static const char *in_shm(const char *file)
{
	static char path[4400];

	snprintf(path, sizeof(path), "%s/%s", kit_shm_dir(), file);
	return path;
}

static void data_path(const struct mye_segment *seg, char path[4400])
{
	char file[300];

	mye_data_name(file, sizeof(file), &seg->place, seg->header.nonce);
	snprintf(path, 4400, "%.4000s/%s", seg->data_dir, file);
}

Test(gc, removes_dead_rings_and_orphans_and_nothing_else)
{
	static const char *const foreign[] = {"other",
	                                      "myelon",
	                                      "myelon.",
	                                      "myelon..x",
	                                      "myelon.a b",
	                                      "myelon-data.",
	                                      "myelon-data.0123",
	                                      "myelon-data.0123456789abcdef0123456789abcdeg",
	                                      ".myelon-tmp.x"};
	struct mye_segment live, orphan;
	struct seen seen = {0};

	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		cr_assert_eq(help_file(in_shm(foreign[i]), "", 0600), 0);
	cr_assert_eq(help_create(&live, "live", NULL), 0);
	cr_assert_eq(help_dead("dead", NULL), 0);
	cr_assert_eq(help_create(&orphan, "orphan", NULL), 0);
	cr_assert_eq(unlink(help_path("orphan")), 0);
	help_die(&orphan);
	cr_assert_eq(help_file(in_shm(".myelon-tmp.0123456789abcdef0123456789abcdef"), "", 0600),
	             0);
	cr_assert_eq(help_file(in_shm("myelon.empty"), "", 0600), 0);

	cr_assert_eq(myelon_gc(NULL, count, &seen), 5, "%s", seen.text);
	cr_assert_eq(seen.removed, 5, "%s", seen.text);
	cr_assert_eq(seen.busy, 1, "%s", seen.text);
	cr_assert_eq(mye_segment_named(&live), 1);
	cr_assert_eq(help_files(), 2 + (int)(sizeof(foreign) / sizeof(foreign[0])));
	help_close(&live);
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		cr_assert_eq(unlink(in_shm(foreign[i])), 0);
	cr_assert_eq(help_files(), 0);
}

/* All by our user, unheld, and named like rings. */
Test(gc, leaves_what_never_was_a_ring_of_its_kind_and_says_so)
{
	static const char zeros[600];
	const uint32_t version = MYE_LAYOUT_VERSION + 1;
	struct seen seen = {0};
	char path[4300], data[4400], all[4096];

	cr_assert_eq(help_file(help_path("notes.txt"), "my notes, no ring at all", 0600), 0);
	cr_assert_eq(help_dead("newer", NULL), 0);
	cr_assert_eq(help_patch(help_path("newer"), offsetof(struct mye_header, version), &version,
	                        sizeof(version)),
	             0);
	snprintf(path, sizeof(path), "%s/plain", kit_tmp_dir());
	cr_assert_eq(help_dead(path, NULL), 0, "%s", myelon_last_error());
	snprintf(data, sizeof(data), "%s.data", path);
	/* Copied there by somebody who knows no better. */
	cr_assert_eq(help_peek(path, 0, all, sizeof(all)), 0);
	cr_assert_eq(help_file(help_path("plain"), "", 0600), 0);
	cr_assert_eq(help_patch(help_path("plain"), 0, all, sizeof(all)), 0);
	cr_assert_eq(help_file(help_path("zeros"), "", 0600), 0);
	cr_assert_eq(help_patch(help_path("zeros"), 0, zeros, sizeof(zeros)), 0);

	cr_assert_eq(myelon_gc(NULL, count, &seen), 1, "%s", seen.text);
	cr_assert_eq(seen.other, 3, "%s", seen.text);
	cr_assert_eq(help_files(), 4);
	cr_assert_not(help_exists(help_path("zeros")));
	/* By name they go. */
	cr_assert_eq(myelon_ring_remove("notes.txt", NULL), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_ring_remove("plain", NULL), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_ring_remove("newer", NULL), 0, "%s", myelon_last_error());
	cr_assert(help_exists(data));
	cr_assert_eq(myelon_gc(NULL, NULL, NULL), 1, "the data of the newer one");
	cr_assert_eq(help_files(), 0);
	cr_assert_eq(myelon_ring_remove(path, NULL), 0);
}

static int create_and_wait(void *arg)
{
	struct kit_page *page = kit_page_attach();
	struct mye_segment seg;

	(void)arg;
	if (help_create(&seg, "orphaned", NULL) < 0)
		return 1;
	kit_set(page, 0, 1);
	pause();
	return 0;
}

Test(gc, leaves_data_that_only_an_attached_consumer_holds)
{
	struct kit_page *page = kit_page_create();
	struct seen seen = {0};
	struct mye_segment c;
	struct kit_actor a;
	char data[4400];

	cr_assert_eq(kit_fork(&a, create_and_wait, NULL), 0);
	cr_assert(kit_await(page, 0, 1, 20));
	cr_assert_eq(help_attach(&c, "orphaned", MYE_ROLE_CONSUMER), 0, "%s", myelon_last_error());
	data_path(&c, data);
	kit_kill(&a, SIGKILL);
	kit_wait(&a, 20);
	cr_assert_eq(unlink(help_path("orphaned")), 0);
	cr_assert_eq(myelon_gc(NULL, count, &seen), 0, "%s", seen.text);
	cr_assert_eq(seen.busy, 1);
	cr_assert(help_exists(data));
	mye_segment_leave(&c);
	cr_assert_eq(help_files(), 0);
	kit_page_destroy(page);
}

Test(gc, leaves_huge_page_data_with_the_tag_of_another_shm_directory)
{
	struct myelon_dir_opts opts = MYELON_DIR_OPTS(0);
	char dir[4200], own[4400], other[4400];
	int fd = mye_open_dir(kit_shm_dir());
	uint32_t tag = mye_dir_tag(fd);

	mye_close(fd);
	/* No huge page is needed: the files are empty. */
	mount_private(dir, sizeof(dir), "huge", "hugetlbfs", NULL);
	opts.hugetlb_dir = dir;
	snprintf(own, sizeof(own), "%s/" MYE_DATA_PREFIX "%08x%024x", dir, tag, 1u);
	snprintf(other, sizeof(other), "%s/" MYE_DATA_PREFIX "%08x%024x", dir, tag ^ 2u, 1u);
	cr_assert_eq(mknod(own, S_IFREG | 0600, 0), 0);
	cr_assert_eq(mknod(other, S_IFREG | 0600, 0), 0);
	cr_assert_eq(myelon_gc(&opts, NULL, NULL), 1, "%s", myelon_last_error());
	cr_assert_not(help_exists(own));
	cr_assert(help_exists(other));
}

Test(gc, leaves_a_ring_that_only_a_consumer_uses)
{
	struct mye_segment p, c;

	cr_assert_eq(help_create(&p, "half", NULL), 0);
	cr_assert_eq(help_attach(&c, "half", MYE_ROLE_CONSUMER), 0);
	help_die(&p);
	cr_assert_eq(myelon_gc(NULL, NULL, NULL), 0);
	cr_assert_eq(mye_segment_named(&c), 1);
	help_die(&c);
	cr_assert_eq(myelon_gc(NULL, NULL, NULL), 2);
}

Test(gc, leaves_data_whose_creator_has_not_linked_its_control_file_yet)
{
	struct myelon_ring_opts o = help_opts();
	struct mye_segment seg;
	struct seen seen = {0};

	cr_assert_eq(mye_segment_build(&seg, "young", &o, MYELON_KIND_RAW, MYELON_FENCE_FULL), 0);
	cr_assert_eq(help_files(), 1);
	cr_assert_eq(myelon_gc(NULL, count, &seen), 0);
	cr_assert_eq(seen.busy, 1);
	cr_assert_eq(mye_segment_publish(&seg), 0);
	help_close(&seg);
	cr_assert_eq(help_files(), 0);
}

Test(gc, copy_of_a_control_file_does_not_cost_the_kept_ring_its_data)
{
	struct myelon_ring_opts o = help_opts();
	struct mye_header h;
	struct mye_segment seg;
	char data[4400], *all;
	size_t bytes;

	o.flags = MYELON_F_KEEP;
	cr_assert_eq(help_create(&seg, "kept", &o), 0);
	data_path(&seg, data);
	bytes = seg.header.control_bytes;
	help_close(&seg);
	all = calloc(1, bytes);
	cr_assert_eq(help_peek(help_path("kept"), 0, all, bytes), 0);
	cr_assert_eq(help_file(help_path("copy"), "", 0600), 0);
	memcpy(&h, all, sizeof(h));
	h.flags = 0;
	h.checksum = mye_header_checksum(&h);
	memcpy(all, &h, sizeof(h));
	cr_assert_eq(help_patch(help_path("copy"), 0, all, bytes), 0);
	free(all);
	cr_assert_eq(myelon_gc(NULL, NULL, NULL), 1);
	cr_assert_not(help_exists(help_path("copy")));
	cr_assert(help_exists(data));
	cr_assert_eq(myelon_ring_remove("kept", NULL), 0);
	cr_assert_eq(help_files(), 0);
}

Test(gc, hostile_files_of_another_user_lead_nowhere)
{
	struct mye_segment victim, forged;
	struct myelon_ring_opts o = help_opts();
	struct myelon_dir_opts any = MYELON_DIR_OPTS(.flags = MYELON_F_ANY_OWNER);
	struct mye_header h;
	char data[4400], link[4400], precious[4200];

	if (geteuid() != 0)
		kit_skip("root", "changing owners needs root");
	snprintf(precious, sizeof(precious), "%s/precious", kit_tmp_dir());
	cr_assert_eq(help_file(precious, "precious", 0600), 0);
	/* A kept ring of ours, in the sights of a dead ring of somebody else. */
	o.flags = MYELON_F_KEEP;
	cr_assert_eq(help_create(&victim, "victim", &o), 0);
	data_path(&victim, data);
	cr_assert_eq(help_create(&forged, "forged", NULL), 0);
	data_path(&forged, link);
	h = forged.header;
	memcpy(h.nonce, victim.header.nonce, sizeof(h.nonce));
	h.checksum = mye_header_checksum(&h);
	help_close(&victim);
	cr_assert_eq(help_patch(help_path("forged"), 0, &h, sizeof(h)), 0);
	cr_assert_eq(fchown(forged.control_fd, 65534, 65534), 0);
	help_die(&forged);
	/* Its data file is a link to what must not go, and so is a second ring. */
	cr_assert_eq(unlink(link), 0);
	cr_assert_eq(symlink(precious, link), 0);
	cr_assert_eq(symlink(precious, help_path("symlink")), 0);

	cr_assert_eq(myelon_gc(NULL, NULL, NULL), 0, "nothing here is ours and dead");
	cr_assert(help_exists(help_path("forged")));
	cr_assert_eq(myelon_gc(&any, NULL, NULL), 1);
	cr_assert_not(help_exists(help_path("forged")));
	cr_assert(help_exists(data));
	cr_assert(help_exists(precious));
	cr_assert(help_exists(link));
	cr_assert_eq(unlink(link), 0);
	cr_assert_eq(unlink(help_path("symlink")), 0);
	cr_assert_eq(myelon_ring_remove("victim", NULL), 0);
	cr_assert_eq(help_files(), 0);
}

Test(gc, of_one_shm_directory_leaves_the_data_of_another_alone)
{
	struct myelon_ring_opts o = help_opts();
	struct myelon_dir_opts elsewhere = MYELON_DIR_OPTS(0);
	struct mye_segment seg;
	char dir[4200], data[4400], moved[4700];

	/* Data of a kept ring of this directory, in a directory that another one's gc looks through. */
	snprintf(dir, sizeof(dir), "%s/elsewhere", kit_tmp_dir());
	cr_assert_eq(mkdir(dir, 0700), 0);
	o.flags = MYELON_F_KEEP;
	cr_assert_eq(help_create(&seg, "kept", &o), 0);
	data_path(&seg, data);
	help_close(&seg);
	elsewhere.shm_dir = dir;
	cr_assert_eq(myelon_gc(&elsewhere, NULL, NULL), 0);
	cr_assert(help_exists(data));
	/* At home a data file without a control file is an orphan whatever its tag. */
	snprintf(moved, sizeof(moved), "%s/%s", dir, strrchr(data, '/') + 1);
	cr_assert_eq(help_file(moved, "", 0600), 0);
	cr_assert_eq(myelon_gc(&elsewhere, NULL, NULL), 1);
	cr_assert_not(help_exists(moved));
	cr_assert_eq(myelon_ring_remove("kept", NULL), 0);
	cr_assert_eq(rmdir(dir), 0);
}

static int stop_at_first(void *ctx, const struct myelon_gc_item *item)
{
	(void)item;
	++*(int *)ctx;
	return 42;
}

Test(gc, stops_when_the_function_says_so_and_fails_on_a_missing_directory)
{
	struct myelon_dir_opts nowhere = MYELON_DIR_OPTS(.shm_dir = "/nonexistent");
	struct myelon_dir_opts odd = MYELON_DIR_OPTS(.flags = MYELON_F_FORCE);
	int calls = 0;

	cr_assert_eq(help_dead("a", NULL), 0);
	cr_assert_eq(help_dead("b", NULL), 0);
	cr_assert_eq(myelon_gc(NULL, stop_at_first, &calls), 42);
	cr_assert_eq(calls, 1);
	cr_assert_eq(myelon_gc(NULL, NULL, NULL), 2);
	cr_assert_eq(help_files(), 0);
	cr_assert_eq(myelon_gc(&nowhere, NULL, NULL), -ENOTDIR);
	cr_assert(help_says("/nonexistent"));
	cr_assert_eq(myelon_gc(&odd, NULL, NULL), -EINVAL);
}

static int keep_info(void *ctx, const struct myelon_ring_info *info)
{
	*(struct myelon_ring_info *)ctx = *info;
	return 0;
}

static int keep_entry(void *ctx, const struct myelon_consumer_entry *entry)
{
	((struct myelon_consumer_entry *)ctx)[entry->index] = *entry;
	return 0;
}

Test(describe, tells_words_locks_and_what_is_out_of_range_as_if_it_were_in)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT, listed;
	struct myelon_consumer_entry entry[4] = {{0}};
	struct mye_segment p, c;

	cr_assert_eq(help_create(&p, "told", NULL), 0);
	cr_assert_eq(help_attach(&c, "told", MYE_ROLE_CONSUMER), 0);
	cr_assert_eq(mye_role_take(&c, MYE_LOCK_ENTRY(1)), 0);
	p.producer->hot.published = 99;
	for (unsigned int i = 0; i < 4; i++) {
		c.entries[i].slow.state =
			MYE_STATE(1, i < 3 ? MYE_ENTRY_ACTIVE : MYE_ENTRY_RELEASED);
		memset(c.entries[i].about.id, 'a' + (int)i, sizeof(c.entries[i].about.id));
	}
	c.entries[0].hot.cursor = 89;
	c.entries[1].hot.cursor = INT64_MAX;
	c.entries[2].hot.cursor = INT64_MIN;
	c.entries[2].about.id[3] = '\n';
	cr_assert_eq(myelon_ring_describe("told", NULL, &info), 0, "%s", myelon_last_error());
	cr_assert_eq(info.published, 99);
	cr_assert_eq(info.minimum, -1);
	cr_assert_eq(info.consumers, 3);
	cr_assert_eq(info.producer_state, MYELON_PEER_ALIVE);
	cr_assert_eq(info.producer_pid, (int)getpid());
	cr_assert_eq(info.epoch, 1);
	cr_assert_str_eq(info.name, "told");
	cr_assert(help_exists(info.data_path));
	cr_assert_eq(myelon_ring_consumers("told", NULL, keep_entry, entry), 0);
	cr_assert_eq(entry[0].state, MYELON_PEER_DEAD);
	cr_assert_eq(entry[0].lag, 10);
	cr_assert_eq(entry[1].state, MYELON_PEER_ALIVE);
	cr_assert_eq(entry[1].lag, 0);
	cr_assert_eq(entry[2].lag, 100);
	cr_assert_eq(entry[2].id[3], '?');
	cr_assert_eq(entry[3].state, MYELON_PEER_ABSENT);
	cr_assert_eq(entry[3].gating, 0);
	p.producer->hot.published = INT64_MAX;
	cr_assert_eq(myelon_ring_consumers("told", NULL, keep_entry, entry), 0);
	cr_assert_eq(entry[2].lag, 1ull << 63);
	p.producer->hot.published = 99;
	cr_assert_eq(myelon_ring_list(NULL, keep_info, &listed), 0);
	cr_assert_eq(memcmp(&listed, &info, sizeof(info)), 0);
	help_die(&p);
	cr_assert_eq(myelon_ring_describe("told", NULL, &info), 0);
	cr_assert_eq(info.producer_state, MYELON_PEER_DEAD);
	help_die(&c);
	cr_assert_eq(myelon_gc(NULL, NULL, NULL), 2);
	cr_assert_eq(myelon_ring_describe("told", NULL, &info), -ENOENT);
}
