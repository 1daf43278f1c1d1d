/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Names, ids and options: what is refused, and that the sentence says why. */
#include "segment_help.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

static struct mye_place place;

static int resolve(const char *name)
{
	return mye_place_resolve(&place, name, "/some/dir", NULL);
}

static char *repeat(char *buf, char c, size_t n)
{
	memset(buf, c, n);
	buf[n] = '\0';
	return buf;
}

Test(name, of_64_characters_is_resolved_and_65_are_too_long)
{
	char buf[5000];

	cr_assert_eq(resolve(repeat(buf, 'a', 64)), 0);
	cr_assert_str_eq(place.dir, "/some/dir");
	cr_assert_eq(strlen(place.file), 64 + strlen("myelon."));
	cr_assert_eq(resolve(repeat(buf, 'a', 65)), -ENAMETOOLONG);
	cr_assert(help_says("65"));
	cr_assert_eq(resolve(repeat(buf, 'a', 4999)), -ENAMETOOLONG);
}

Test(name, with_a_bad_character_is_refused_and_the_character_named)
{
	cr_assert_eq(resolve("a b"), -EINVAL);
	cr_assert(help_says("0x20"), "%s", myelon_last_error());
	cr_assert_eq(resolve("a:b"), -EINVAL);
	cr_assert(help_says("':'"));
	cr_assert_eq(resolve("\xc3\xa4"), -EINVAL);
	cr_assert(help_says("0xc3"));
	cr_assert_eq(resolve("a\n"), -EINVAL);
	cr_assert_eq(resolve(".a"), -EINVAL);
	cr_assert(help_says("dot"));
	cr_assert_eq(resolve(""), -EINVAL);
	cr_assert_eq(resolve(NULL), -EINVAL);
	cr_assert_eq(resolve("A.b-c_9"), 0);
}

Test(name, with_a_slash_is_a_path_whose_last_part_follows_the_rule)
{
	char buf[600];

	cr_assert_eq(resolve("/a/b/ring"), 0);
	cr_assert(place.plain);
	cr_assert_str_eq(place.dir, "/a/b");
	cr_assert_str_eq(place.file, "ring");
	cr_assert_str_eq(place.name, "/a/b/ring");
	cr_assert_eq(resolve("/ring"), 0);
	cr_assert_str_eq(place.dir, "/");
	cr_assert_eq(resolve("./ring"), 0);
	cr_assert_str_eq(place.dir, ".");
	cr_assert_eq(resolve("a/"), -EINVAL);
	cr_assert_eq(resolve("/a/.."), -EINVAL);
	cr_assert_eq(resolve("/a/.ring"), -EINVAL);
	cr_assert_eq(resolve("/a/ri ng"), -EINVAL);
	cr_assert_eq(resolve("/a/ring.data"), -EINVAL, "it is the data file of /a/ring");
	cr_assert_eq(resolve("/a/myelon.ring"), -EINVAL, "gc would take it for a ring by name");
	cr_assert_eq(resolve("/a/myelon-data.0"), -EINVAL, "and this for data");
	cr_assert_eq(resolve("/a/myelon"), 0);
	memset(buf, '/', sizeof(buf));
	strcpy(buf + 400, "ring");
	cr_assert_eq(resolve(buf), -ENAMETOOLONG);
}

Test(name, id_follows_the_same_rule)
{
	char buf[100];

	cr_assert_eq(mye_id_check("worker_0"), 0);
	cr_assert_eq(mye_id_check(repeat(buf, 'x', 64)), 0);
	cr_assert_eq(mye_id_check(repeat(buf, 'x', 65)), -ENAMETOOLONG);
	cr_assert_eq(mye_id_check("a/b"), -EINVAL);
	cr_assert_eq(mye_id_check(""), -EINVAL);
	cr_assert_eq(mye_id_check(NULL), -EINVAL);
}

Test(name, directory_comes_from_option_then_environment)
{
	cr_assert_eq(mye_place_resolve(&place, "x", NULL, "/huge"), 0);
	cr_assert_str_eq(place.dir, kit_shm_dir());
	cr_assert_str_eq(place.hugetlb_dir, "/huge");
	unsetenv("MYELON_SHM_DIR");
	cr_assert_eq(mye_place_resolve(&place, "x", NULL, NULL), 0);
	cr_assert_str_eq(place.dir, "/dev/shm");
}

/* One option changed from a set that works; what the sentence must name. */
static void refused(struct myelon_ring_opts o, enum myelon_kind kind, int error, const char *named)
{
	struct mye_segment seg;
	int before = help_files();
	int rc = mye_segment_build(&seg, "options", &o, kind, MYELON_FENCE_FULL);

	cr_assert_eq(rc, error, "%s: %d: %s", named, rc, myelon_last_error());
	cr_assert(help_says(named), "%s is not in: %s", named, myelon_last_error());
	cr_assert_eq(help_files(), before);
}

#define REFUSED(kind, error, named, ...)                                                           \
	do {                                                                                       \
		struct myelon_ring_opts o = help_opts();                                           \
		__VA_ARGS__;                                                                       \
		refused(o, kind, error, named);                                                    \
	} while (0)

Test(options, out_of_range_are_refused_by_name)
{
	REFUSED(MYELON_KIND_RAW, -EINVAL, "slot_size", o.slot_size = 3);
	REFUSED(MYELON_KIND_RAW, -EINVAL, "slot_size", o.slot_size = 48);
	REFUSED(MYELON_KIND_RAW, -EINVAL, "slot_size", o.slot_size = 65);
	REFUSED(MYELON_KIND_FRAMED, -EINVAL, "slot_size", o.slot_size = 8);
	REFUSED(MYELON_KIND_FRAMED, -EINVAL, "window", o.window = 1);
	REFUSED((enum myelon_kind)3, -EINVAL, "kind", (void)o);
	REFUSED(MYELON_KIND_RAW, -EINVAL, "window", o.window = (1u << 30) + 1);
	REFUSED(MYELON_KIND_RAW, -EINVAL, "max_consumers", o.max_consumers = 1025);
	REFUSED(MYELON_KIND_RAW, -EINVAL, "backing", o.backing = 9);
	REFUSED(MYELON_KIND_RAW, -EINVAL, "backing", o.backing = MYELON_BACKING_FILE);
	REFUSED(MYELON_KIND_RAW, -EINVAL, "huge", o.huge = 3);
	REFUSED(MYELON_KIND_RAW, -EINVAL, "huge", o.huge = MYELON_HUGE_REQUIRE);
	REFUSED(MYELON_KIND_RAW, -EINVAL, "unattended", o.unattended = 2);
	REFUSED(MYELON_KIND_RAW, -EINVAL, "fence", o.fence = 3);
	REFUSED(MYELON_KIND_RAW, -EINVAL, "wait", o.wait = 6);
	REFUSED(MYELON_KIND_RAW, -EINVAL, "numa", o.numa = 5);
	REFUSED(MYELON_KIND_RAW, -EINVAL, "flags", o.flags = 1u << 31);
	REFUSED(MYELON_KIND_RAW, -EINVAL, "page_size", o.page_size = 3000000);
	REFUSED(MYELON_KIND_RAW, -EINVAL, "buffer_until", o.buffer_until = 5);
	REFUSED(MYELON_KIND_RAW, -EINVAL, "buffer_max", o.buffer_max = 65);
	REFUSED(MYELON_KIND_RAW, -EINVAL, "wait_for", o.wait_for.count = 5);
	REFUSED(MYELON_KIND_RAW, -EINVAL, "wait_for",
	        (o.wait_for.prefix_count = UINT32_MAX, o.wait_for.id_count = UINT32_MAX));
	REFUSED(MYELON_KIND_RAW, -EINVAL, "wait_timeout_ns", o.wait_timeout_ns = -1);
}

Test(options, sizes_that_overflow_are_refused_before_anything_is_made)
{
	REFUSED(MYELON_KIND_RAW, -EMSGSIZE, "4294967232",
	        (o.slot_size = UINT32_MAX - 63, o.window = 1u << 30));
	REFUSED(MYELON_KIND_RAW, -EMSGSIZE, "1073741824",
	        (o.slot_size = 1u << 16, o.window = 1u << 30));
}

Test(options, path_takes_only_a_plain_file)
{
	struct myelon_ring_opts o = help_opts();
	struct mye_segment seg;
	char path[4200];

	snprintf(path, sizeof(path), "%s/ring", kit_tmp_dir());
	cr_assert_eq(mye_segment_build(&seg, path, &o, MYELON_KIND_RAW, MYELON_FENCE_FULL),
	             -EINVAL);
	cr_assert(help_says("path"));
	o.backing = MYELON_BACKING_AUTO;
	cr_assert_eq(mye_segment_build(&seg, path, &o, MYELON_KIND_RAW, MYELON_FENCE_FULL), 0, "%s",
	             myelon_last_error());
	cr_assert_eq(seg.header.backing, MYELON_BACKING_FILE);
	mye_segment_leave(&seg);
	cr_assert_not(help_exists(path));
}
