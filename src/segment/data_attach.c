/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The data file of a ring that exists. Its path never comes out of shared memory. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/handle.h"
#include "base/text.h"
#include "hugepages/hugepages.h"
#include "segment/data.h"
#include "segment/map.h"
#include "sys/sys.h"

#define LOCK_TRIES 50 /* 1 ms apart: gc holds the lock while it reads a directory */

struct search {
	struct mye_segment *seg;
	bool writable;
	char name[300];
	uint32_t owner;
};

static int reject(const struct search *s, const char *dir, const char *what, uint64_t found,
                  uint64_t expected)
{
	return mye_fail(-EPROTO,
	                "data file %s/%s of ring '%s': %s is %" PRIu64 ", the ring says %" PRIu64
	                ": remove the ring and create it again",
	                dir, s->name, s->seg->place.name, what, found, expected);
}

static int check_file(const struct search *s, const char *dir, int fd)
{
	const struct mye_header *h = &s->seg->header;
	struct stat st;
	int rc = mye_fstat(fd, &st);

	if (rc)
		return mye_fail(rc, "cannot look at data file %s/%s: %s", dir, s->name,
		                myelon_strerror(rc));
	if (st.st_uid != s->owner)
		return reject(s, dir, "owner", st.st_uid, s->owner);
	if ((uint64_t)st.st_size != h->data_bytes)
		return reject(s, dir, "size", (uint64_t)st.st_size, h->data_bytes);
	if (h->backing == MYELON_BACKING_FILE) /* may be copied, and outlives a reboot */
		return 0;
	if ((uint64_t)st.st_dev != h->data_dev)
		return reject(s, dir, "device", st.st_dev, h->data_dev);
	if ((uint64_t)st.st_ino != h->data_ino)
		return reject(s, dir, "inode", st.st_ino, h->data_ino);
	return 0;
}

/* Shared, so that nobody removes it; and then look whether somebody had. */
static int lock_file(const struct search *s, const char *dir, int fd)
{
	struct stat st;
	int rc, tries;

	for (tries = 0;; tries++) {
		rc = mye_lock_set(fd, MYE_LOCK_DATA, MYE_LOCK_SHARED);
		if (rc != -EAGAIN || tries == LOCK_TRIES)
			break;
		mye_sleep_until(mye_now() + 1000000);
	}
	if (rc == -EAGAIN)
		return mye_fail(-EBUSY, "data file %s/%s of ring '%s' is being removed", dir,
		                s->name, s->seg->place.name);
	if (rc == 0)
		rc = mye_fstat(fd, &st);
	if (rc)
		return mye_fail(rc, "cannot lock data file %s/%s: %s", dir, s->name,
		                myelon_strerror(rc));
	if (st.st_nlink == 0)
		return mye_fail(-ENOENT, "data file %s/%s of ring '%s' was just removed", dir,
		                s->name, s->seg->place.name);
	return 0;
}

/* @return 0, -ENOENT without a sentence if it is not in there, or what is wrong with it. */
static int open_in(struct search *s, const char *dir, int dir_fd)
{
	int fd, rc;

	mye_fork_enter();
	fd = mye_fork_keep(mye_open_at(dir_fd, s->name, s->writable));
	mye_fork_leave();
	if (fd == -ENOENT)
		return fd;
	if (fd < 0)
		return mye_fail(fd, "cannot open data file %s/%s of ring '%s': %s", dir, s->name,
		                s->seg->place.name,
		                fd == -ELOOP ? "it is a symbolic link" : myelon_strerror(fd));
	rc = check_file(s, dir, fd);
	if (rc == 0)
		rc = lock_file(s, dir, fd);
	if (rc) {
		mye_fork_close(fd);
		return rc;
	}
	s->seg->data_fd = fd;
	mye_append(s->seg->data_dir, sizeof(s->seg->data_dir), "%s", dir);
	return 0;
}

static int open_in_mounts(struct search *s)
{
	struct mye_huge_mount *mounts = calloc(MYE_HUGE_MOUNTS + 1, sizeof(*mounts));
	uint64_t page = s->seg->header.data_page;
	const char *dir = s->seg->place.hugetlb_dir;
	int count = 0, more, i, dir_fd, rc = -ENOENT, here;

	if (!mounts)
		return mye_fail_static(-ENOMEM, "no memory for the list of mounts");
	if (dir[0] && mye_huge_mounts(dir, page, false, mounts, 1) == 1)
		count = 1;
	more = mye_huge_mounts(NULL, page, false, mounts + count, MYE_HUGE_MOUNTS);
	if (more > 0)
		count += more;
	/* A file of this name that is not it proves nothing about the next directory. */
	for (i = 0; i < count && rc; i++) {
		dir_fd = mye_fork_open_dir(mounts[i].dir);
		if (dir_fd < 0)
			continue;
		here = open_in(s, mounts[i].dir, dir_fd);
		if (here != -ENOENT)
			rc = here;
		if (here == 0)
			s->seg->data_dir_fd = dir_fd;
		else
			mye_fork_close(dir_fd);
	}
	free(mounts);
	return rc;
}

int mye_data_open(struct mye_segment *seg, bool writable)
{
	struct search s = {.seg = seg, .writable = writable};
	bool huge = seg->header.backing == MYELON_BACKING_HUGETLB;
	struct stat st;
	int rc = mye_fstat(seg->control_fd, &st);

	seg->data_fd = seg->data_dir_fd = -1;
	seg->data_dir[0] = '\0';
	if (rc)
		return mye_fail(rc, "cannot look at the control file of ring '%s': %s",
		                seg->place.name, myelon_strerror(rc));
	s.owner = st.st_uid;
	mye_data_name(s.name, sizeof(s.name), &seg->place, seg->header.nonce);
	rc = huge ? open_in_mounts(&s) : open_in(&s, seg->place.dir, seg->dir_fd);
	if (rc != -ENOENT)
		return rc;
	if (huge)
		return mye_fail(
			rc,
			"data file %s of ring '%s' is missing: is the hugetlbfs of %s pages "
			"it lies on mounted here, or given by hugetlb_dir?",
			s.name, seg->place.name, mye_bytes_text(seg->header.data_page).text);
	return mye_fail(rc, "data file %s/%s of ring '%s' is missing: create the ring again",
	                seg->place.dir, s.name, seg->place.name);
}

int mye_data_map(struct mye_segment *seg, bool writable)
{
	size_t bytes = seg->header.data_bytes, align = seg->header.data_page;
	uint64_t thp;
	void *map;
	int rc, i;

	if (seg->header.backing == MYELON_BACKING_SHM_THP) {
		thp = mye_huge_thp_size();
		if (thp && bytes >= thp)
			align = thp;
	}
	rc = mye_mirror_map(seg->data_fd, bytes, align, writable, &map);
	if (rc)
		return mye_fail(rc, "cannot map the data of ring '%s' (twice %s): %s",
		                seg->place.name, mye_bytes_text(bytes).text, myelon_strerror(rc));
	for (i = 0; i < MYE_MIRRORS && rc == 0; i++)
		rc = mye_populate((char *)map + (size_t)i * bytes, bytes, writable);
	if (rc) {
		mye_mirror_release(map, bytes);
		if (rc == -EFAULT)
			return mye_fail(-EPROTO,
			                "the data file of ring '%s' has holes or became short: "
			                "create the ring again",
			                seg->place.name);
		return mye_fail(rc, "cannot read in the data of ring '%s' (%s): %s",
		                seg->place.name, mye_bytes_text(bytes).text, myelon_strerror(rc));
	}
	seg->data = map;
	return 0;
}

void mye_data_unmap(struct mye_segment *seg)
{
	if (seg->data)
		mye_mirror_release(seg->data, seg->header.data_bytes);
	seg->data = NULL;
}
