/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Which rungs there are for what was asked, and why the one reached is the one. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "base/text.h"
#include "hugepages/hugepages.h"
#include "segment/data_rung.h"
#include "segment/map.h"
#include "sys/sys.h"

/* The climb down: what failed so far. */
struct ladder {
	struct mye_data *d;
	bool must;        /* huge pages or nothing: the ring is rounded up to a page */
	char missed[512]; /* "; "-separated short reasons */
	char extra[160];  /* of the rung reached */
	int error;        /* of the last rung tried, 0: none was */
};

static void miss(struct ladder *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void miss(struct ladder *l, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!strstr(l->missed, text)) /* the second try of a rung mostly fails like the first */
		mye_append(l->missed, sizeof(l->missed), "%s%s", l->missed[0] ? "; " : "", text);
}

static bool is_memfd(const struct ladder *l)
{
	return l->d->backing == MYELON_BACKING_MEMFD;
}

static int try_rung(struct ladder *l, const struct mye_rung *rung)
{
	int rc = mye_rung_build(l->d, rung, l->extra, sizeof(l->extra));

	l->error = rc;
	if (rc)
		miss(l, "%s", l->extra);
	return rc;
}

static int try_shm(struct ladder *l, uint32_t backing)
{
	struct mye_rung rung = {
		.backing = backing,
		.page = mye_page_size(),
		.unit = mye_page_size(),
		.dir = backing == MYELON_BACKING_MEMFD ? MYE_MEMFD_PLACE : l->d->place->dir,
		.place = MYE_NUMA_PREFER,
	};
	uint64_t thp;

	if (backing == MYELON_BACKING_SHM_THP && l->d->huge == MYELON_HUGE_REQUIRE) {
		thp = mye_huge_thp_size();
		if (!thp)
			return mye_fail_static(l->error = -ENOTSUP,
			                       "this kernel has no transparent huge pages");
		rung.unit = thp;
		rung.all_huge = true;
	}
	return try_rung(l, &rung);
}

/* Each mount with pages of this size; on the node asked, and if huge pages matter more than the node,
 * on another. */
static int try_mounts(struct ladder *l, uint64_t page, const struct mye_huge_mount *mounts,
                      int count)
{
	struct mye_data *d = l->d;
	struct mye_rung rung = {
		.backing = is_memfd(l) ? MYELON_BACKING_MEMFD : MYELON_BACKING_HUGETLB,
		.page = page,
		.unit = page,
		.place = MYE_NUMA_BIND,
	};
	int rc = -ENOENT, i;

	for (i = 0; i < count; i++) {
		rung.dir = mounts[i].dir;
		rc = try_rung(l, &rung);
		if (rc == 0 || rc == -EMSGSIZE)
			return rc;
	}
	if (!d->numa.count || d->numa.strict || !l->must)
		return rc;
	rung.place = MYE_NUMA_PREFER;
	for (i = 0; rc && i < count; i++) {
		rung.dir = mounts[i].dir;
		rc = try_rung(l, &rung);
	}
	return rc;
}

/* Where huge pages of this size may be taken; a memfd needs no mount. */
static int find_mounts(const struct ladder *l, uint64_t page, struct mye_huge_mount *mounts)
{
	if (!is_memfd(l))
		return mye_huge_mounts(l->d->place->hugetlb_dir, page, true, mounts,
		                       MYE_HUGE_MOUNTS);
	snprintf(mounts[0].dir, sizeof(mounts[0].dir), MYE_MEMFD_PLACE);
	return 1;
}

static int try_page_size(struct ladder *l, uint64_t page)
{
	struct mye_huge_mount *mounts = calloc(MYE_HUGE_MOUNTS, sizeof(*mounts));
	const char *dir = l->d->place->hugetlb_dir;
	struct mye_bytes_text size = mye_bytes_text(page);
	int count, rc;

	if (!mounts)
		return l->error = mye_fail_static(-ENOMEM, "no memory for the list of mounts");
	count = find_mounts(l, page, mounts);
	if (count > 0) {
		rc = try_mounts(l, page, mounts, count);
	} else if (count < 0) {
		rc = l->error = count;
		miss(l, "%s is not usable", dir);
	} else if (mye_huge_mounts(dir, page, false, mounts, 1) == 1) {
		miss(l, "%s is not writable", mounts[0].dir);
		rc = l->error =
			mye_fail(-EACCES, "this process may not make files in %s", mounts[0].dir);
	} else {
		miss(l, "no hugetlbfs of %s pages %s%s", size.text, dir[0] ? "at " : "is mounted",
		     dir);
		rc = l->error = mye_fail(-ENOSPC,
		                         "no hugetlbfs of %s pages is mounted%s%s: as root: mkdir "
		                         "-p /dev/hugepages && mount -t hugetlbfs -o mode=1777,"
		                         "pagesize=%" PRIu64 " none <directory>",
		                         size.text, dir[0] ? " at " : "", dir, page);
	}
	free(mounts);
	return rc;
}

/* Bytes of the ring with pages of this size. */
static int bytes_with(const struct mye_data *d, uint64_t page, uint64_t *bytes)
{
	uint64_t slots;
	int rc = mye_slots_for(d->slot_size, d->window, page, &slots);

	*bytes = rc ? 0 : slots * d->slot_size;
	return rc;
}

/* Is this page size worth a try? Rounding up is for the smallest size, or the one asked for. */
static bool fits(struct ladder *l, uint64_t page, bool round_up, uint64_t ring)
{
	if (page <= ring || round_up)
		return true;
	miss(l, "%s: ring smaller than page", mye_bytes_text(page).text);
	return false;
}

static int no_such_size(struct ladder *l, const uint64_t *sizes, int count)
{
	char have[128] = "none";
	int i;

	for (i = 0; i < count; i++) {
		if (i == 0)
			have[0] = '\0';
		mye_append(have, sizeof(have), "%s%s", i ? ", " : "",
		           mye_bytes_text(sizes[i]).text);
	}
	miss(l, "no huge pages of %s in this kernel", mye_bytes_text(l->d->page_size).text);
	return l->error = mye_fail(-EINVAL,
	                           "page_size is %" PRIu64 ", the kernel has huge pages of: %s",
	                           l->d->page_size, have);
}

static int try_hugetlb(struct ladder *l)
{
	uint64_t sizes[MYE_HUGE_SIZES], ring, asked = l->d->page_size;
	int count = mye_huge_sizes(sizes, MYE_HUGE_SIZES), i, tried = 0, rc = -ENOSPC;

	if (bytes_with(l->d, l->must && count ? sizes[0] : mye_page_size(), &ring))
		return l->error = -EMSGSIZE;
	for (i = 0; i < count; i++) {
		if (asked && sizes[i] != asked)
			continue;
		tried++;
		if (!fits(l, sizes[i], l->must && (i == 0 || asked), ring))
			continue;
		rc = try_page_size(l, sizes[i]);
		if (rc == 0 || rc == -EMSGSIZE)
			return rc;
	}
	if (!count) {
		miss(l, "this kernel has no huge pages");
		return l->error = mye_fail_static(-ENOTSUP, "this kernel has no huge pages");
	}
	return tried ? rc : no_such_size(l, sizes, count);
}

/* The sentence of the last rung is set; one that was not the only one names the others too. */
static int give_up(struct ladder *l, int rc)
{
	char last[400];

	if (l->d->huge != MYELON_HUGE_REQUIRE || !strchr(l->missed, ';'))
		return rc;
	snprintf(last, sizeof(last), "%s", myelon_last_error());
	return mye_fail(rc, "%s (tried: %s)", last, l->missed);
}

static int climb(struct ladder *l)
{
	struct mye_data *d = l->d;
	int rc;

	switch (d->backing) {
	case MYELON_BACKING_HUGETLB:
		return try_hugetlb(l);
	case MYELON_BACKING_SHM:
	case MYELON_BACKING_SHM_THP:
	case MYELON_BACKING_FILE:
		return try_shm(l, d->backing);
	default:
		break;
	}
	if (d->huge != MYELON_HUGE_OFF) {
		rc = try_hugetlb(l);
		if (rc == 0 || d->huge == MYELON_HUGE_REQUIRE || rc == -EMSGSIZE)
			return rc;
	}
	return try_shm(l, is_memfd(l) ? MYELON_BACKING_MEMFD : MYELON_BACKING_SHM);
}

/* What cannot be meant. */
static int check(struct mye_data *d)
{
	if (d->backing > MYELON_BACKING_MEMFD || d->huge > MYELON_HUGE_OFF)
		return mye_fail(-EINVAL,
		                "backing is %" PRIu32 " and huge %" PRIu32 ": no such value",
		                d->backing, d->huge);
	if (d->place->plain && d->backing == MYELON_BACKING_AUTO)
		d->backing = MYELON_BACKING_FILE;
	if (d->place->plain != (d->backing == MYELON_BACKING_FILE))
		return mye_fail(-EINVAL,
		                "backing is %s, but '%s' is %s: a path goes with a plain file, and "
		                "only with that",
		                myelon_backing_name(d->backing), d->place->name,
		                d->place->plain ? "a path" : "no path");
	if (d->huge == MYELON_HUGE_OFF &&
	    (d->backing == MYELON_BACKING_HUGETLB || d->backing == MYELON_BACKING_SHM_THP))
		return mye_fail(-EINVAL, "backing is %s, but huge is off",
		                myelon_backing_name(d->backing));
	if (d->huge == MYELON_HUGE_REQUIRE &&
	    (d->backing == MYELON_BACKING_SHM || d->backing == MYELON_BACKING_FILE))
		return mye_fail(-EINVAL,
		                "huge pages are required, but backing %s has none: use auto, "
		                "hugetlb, shm+thp or memfd",
		                myelon_backing_name(d->backing));
	if (d->numa.count > 1 && d->backing == MYELON_BACKING_SHM_THP)
		return mye_fail_static(-EINVAL,
		                       "interleave goes page by page in turn, and a transparent "
		                       "huge page gathers 512 of them on one node again: use "
		                       "backing hugetlb or shm");
	return 0;
}

/* "shm on node 0: no huge pages: 2 MiB pool has 0 free pages, 4 are missing". */
static void explain(struct ladder *l)
{
	struct mye_data *d = l->d;
	bool fell_back = d->backing_got == MYELON_BACKING_SHM ||
	                 (is_memfd(l) && d->data_page == mye_page_size());
	size_t cap = sizeof(d->reason);
	char where[80];
	uint64_t slots;
	int32_t node;

	snprintf(d->reason, cap, "%s", myelon_backing_name(d->backing_got));
	if (d->data_page > mye_page_size())
		mye_append(d->reason, cap, " %s", mye_bytes_text(d->data_page).text);
	node = mye_census_node(&d->census);
	if (node >= 0) {
		mye_append(d->reason, cap, " on node %d", (int)node);
	} else if (d->census.known) {
		mye_census_text(&d->census, where, sizeof(where));
		mye_append(d->reason, cap, " (%s)", where);
	}
	if (d->huge == MYELON_HUGE_OFF)
		mye_append(d->reason, cap, ", huge pages off as asked");
	if (mye_slots_for(d->slot_size, d->window, mye_page_size(), &slots) == 0 &&
	    slots < d->slots)
		mye_append(d->reason, cap, ", %" PRIu64 " slots to fill a page", d->slots);
	if (l->extra[0])
		mye_append(d->reason, cap, ", %s", l->extra);
	if (l->missed[0])
		mye_append(d->reason, cap, ": %s%s", fell_back ? "no huge pages: " : "", l->missed);
}

int mye_data_create(struct mye_data *d)
{
	struct ladder l = {.d = d};
	int rc;

	d->fd = d->dir_fd = -1;
	d->map = NULL;
	d->census = (struct mye_census){0};
	d->reason[0] = '\0';
	rc = check(d);
	if (rc)
		return rc;
	l.must = d->huge == MYELON_HUGE_REQUIRE || d->backing == MYELON_BACKING_HUGETLB;
	rc = climb(&l);
	if (rc)
		return give_up(&l, rc);
	explain(&l);
	return 0;
}

/* Only the name that is still ours. */
static void unlink_own(const struct mye_data *d)
{
	struct stat st;
	char name[300];
	int dir_fd = mye_open_dir(d->dir);

	if (dir_fd < 0)
		return;
	mye_data_name(name, sizeof(name), d->place, d->nonce);
	if (mye_stat_at(dir_fd, name, &st) == 0 && st.st_dev == d->dev && st.st_ino == d->ino)
		mye_unlink_at(dir_fd, name);
	mye_close(dir_fd);
}

void mye_data_discard(struct mye_data *d)
{
	if (d->map)
		mye_mirror_release(d->map, d->bytes);
	d->map = NULL;
	if (d->fd >= 0) {
		if (d->dir[0])
			unlink_own(d);
		mye_fork_close(d->fd);
		mye_fork_close(d->dir_fd);
	}
	d->fd = d->dir_fd = -1;
}
