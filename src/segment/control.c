/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Opening, judging and mapping a control file. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "segment/control.h"
#include "segment/map.h"

int mye_dir_failed(int rc, const char *dir)
{
	/* -ENOENT means that there is no such ring, which only who could look may say. */
	if (rc == -ENOENT || rc == -ENOTDIR)
		return mye_fail(-ENOTDIR,
		                "there is no directory %s: create it, or name another one", dir);
	return mye_fail(rc, "the directory %s cannot be opened: %s", dir, myelon_strerror(rc));
}

/* Not allowed: whose is it? */
static int denied(int rc, int dir_fd, const struct mye_place *place, const char *path)
{
	struct stat st;

	if (mye_stat_at(dir_fd, place->file, &st) < 0)
		return mye_fail(rc, "%s cannot be opened: %s", path, myelon_strerror(rc));
	return mye_fail(rc,
	                "%s belongs to user %u and has mode %04o: run as that user, or create it "
	                "with MYELON_F_GROUP",
	                path, (unsigned int)st.st_uid, (unsigned int)st.st_mode & 07777);
}

int mye_control_open_file(int dir_fd, const struct mye_place *place, bool writable, struct stat *st)
{
	char path[MYE_TEXT_MAX];
	int fd, rc;

	mye_fork_enter();
	fd = mye_fork_keep(mye_open_at(dir_fd, place->file, writable));
	mye_fork_leave();
	if (fd == -ENOENT)
		return fd;
	mye_place_path(place, path, sizeof(path));
	if (fd == -ELOOP || fd == -EPROTO)
		return mye_fail(-EPROTO, "%s is not a regular file, so it is no ring", path);
	if (fd == -EACCES)
		return denied(fd, dir_fd, place, path);
	if (fd < 0)
		return mye_fail(fd, "%s cannot be opened%s: %s", path,
		                writable ? " for writing" : "", myelon_strerror(fd));
	rc = mye_fstat(fd, st);
	if (rc < 0) {
		mye_fork_close(fd);
		return mye_fail(rc, "%s cannot be looked at: %s", path, myelon_strerror(rc));
	}
	return fd;
}

int mye_control_open(struct mye_control *c, const struct mye_place *place, bool writable)
{
	static const struct mye_header zero;
	char path[MYE_TEXT_MAX];
	struct mye_header raw = {0};

	memset(c, 0, sizeof(*c));
	c->fd = -1;
	c->dir_fd = mye_fork_open_dir(place->dir);
	if (c->dir_fd < 0)
		return mye_dir_failed(c->dir_fd, place->dir);
	c->fd = mye_control_open_file(c->dir_fd, place, writable, &c->st);
	if (c->fd < 0) {
		int rc = c->fd;

		mye_fork_close(c->dir_fd);
		c->dir_fd = -1;
		return rc;
	}
	mye_place_path(place, path, sizeof(path));
	c->valid = mye_header_read(c->fd, &raw, (uint64_t)c->st.st_size, path);
	if (c->valid == 0 && (raw.backing == MYELON_BACKING_FILE) != place->plain)
		c->valid = mye_fail(-EPROTO,
		                    "%s is damaged: header field backing is %u, which does "
		                    "not go with where the file lies",
		                    path, raw.backing);
	c->magic = raw.magic == MYE_MAGIC;
	c->blank = c->valid == -EPROTO && memcmp(&raw, &zero, sizeof(raw)) == 0;
	c->file = c->magic && raw.backing == MYELON_BACKING_FILE;
	c->foreign = c->magic && raw.version != MYE_LAYOUT_VERSION;
	if (c->valid == 0)
		c->header = raw;
	else
		memcpy(c->header.nonce, raw.nonce, sizeof(raw.nonce));
	return 0;
}

void mye_control_close(struct mye_control *c)
{
	mye_fork_close(c->fd);
	mye_fork_close(c->dir_fd);
	c->fd = c->dir_fd = -1;
}

int mye_owner_check(const struct stat *st, uint32_t flags, const char *path)
{
	if (st->st_uid == mye_euid() || st->st_uid == 0 || (flags & MYELON_F_ANY_OWNER))
		return 0;
	return mye_fail(-EPERM,
	                "%s belongs to user %u, not to you or root: pass MYELON_F_ANY_OWNER if "
	                "you trust it",
	                path, (unsigned int)st->st_uid);
}

bool mye_name_leads_to(int dir_fd, const char *file, uint64_t dev, uint64_t ino)
{
	struct stat st;

	return mye_stat_at(dir_fd, file, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

int mye_segment_named(const struct mye_segment *seg)
{
	return mye_name_leads_to(seg->dir_fd, seg->place.file, seg->control_dev, seg->control_ino);
}

#ifdef MYE_SINGLE_MAP

static int map_all(struct mye_segment *seg)
{
	size_t bytes = seg->header.control_bytes;
	void *at;
	int rc = mye_map_shared(seg->control_fd, bytes, seg->writable, &at);

	if (rc < 0)
		return rc;
	seg->control = at;
	return mye_populate(at, bytes, false);
}

void mye_control_unmap(struct mye_segment *seg)
{
	mye_map_release(seg->control, seg->header.control_bytes);
	seg->control = NULL;
	seg->producer = NULL;
	seg->shared = NULL;
	seg->entries = NULL;
}

#else

static int map_part(struct mye_segment *seg, size_t from, size_t to, bool write)
{
	unsigned char *at = seg->control + from;

	return from == to ? 0
	                  : mye_map_fixed(at, to - from, seg->control_fd, from,
	                                  write ? MYE_MAP_WRITE : 0);
}

static int populate_part(struct mye_segment *seg, size_t from, size_t to, bool write)
{
	return from == to ? 0 : mye_populate(seg->control + from, to - from, write);
}

/* Pages that only others write are read-only: a stray store faults in its author. */
static int map_all(struct mye_segment *seg)
{
	size_t bytes = seg->header.control_bytes, unit = seg->header.page_unit;
	size_t fixed = seg->role == MYE_ROLE_PRODUCER ? unit : 2 * unit;
	void *at;
	int rc = mye_reserve(MYE_CONTROL_ROOM + bytes, unit, &at);

	if (rc < 0)
		return rc;
	seg->control = (unsigned char *)at + MYE_CONTROL_ROOM;
	if (!seg->writable)
		fixed = bytes;
	mye_fork_enter();
	rc = map_part(seg, 0, fixed, false);
	if (rc == 0)
		rc = map_part(seg, fixed, bytes, true);
	if (rc == 0)
		rc = mye_dontfork(at, MYE_CONTROL_ROOM + bytes);
	if (rc < 0)
		mye_control_unmap(seg);
	mye_fork_leave();
	if (rc == 0)
		rc = populate_part(seg, 0, fixed, false);
	return rc == 0 ? populate_part(seg, fixed, bytes, true) : rc;
}

void mye_control_unmap(struct mye_segment *seg)
{
	if (seg->control)
		mye_unmap(seg->control - MYE_CONTROL_ROOM,
		          MYE_CONTROL_ROOM + seg->header.control_bytes);
	seg->control = NULL;
	seg->producer = NULL;
	seg->shared = NULL;
	seg->entries = NULL;
}

#endif

void mye_control_words(struct mye_segment *seg)
{
	const struct mye_header *h = &seg->header;

	seg->producer = (struct mye_producer_page *)(void *)(seg->control + mye_producer_offset(h));
	seg->shared = (struct mye_shared_page *)(void *)(seg->control + mye_shared_offset(h));
	seg->entries = (struct mye_entry *)(void *)(seg->control + mye_entry_offset(h, 0));
}

int mye_control_map(struct mye_segment *seg)
{
	size_t bytes = seg->header.control_bytes;
	int rc = map_all(seg);

	if (rc < 0) {
		mye_control_unmap(seg);
		if (rc == -EFAULT)
			return mye_fail(-EPROTO,
			                "the control file of ring '%s' was truncated while it "
			                "was being mapped: remove the ring",
			                seg->place.name);
		return mye_fail(rc,
		                "the control file of ring '%s' (%zu bytes) cannot be mapped: %s",
		                seg->place.name, bytes, myelon_strerror(rc));
	}
	mye_control_words(seg);
	return 0;
}
