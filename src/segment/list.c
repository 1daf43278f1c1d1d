/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Looking at rings without joining them: a copy of the control file is read, no
 * lock is taken (who holds what is only asked), and nothing is mapped.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "base/opts.h"
#include "segment/control.h"
#include "segment/data.h"

int mye_dir_opts_read(struct myelon_dir_opts *own, const struct myelon_dir_opts *user,
                      uint32_t flags)
{
	int rc = mye_opts_read(own, sizeof(*own), sizeof(*own), user, "directory options");

	if (rc == 0 && (own->flags & ~flags))
		return mye_fail(-EINVAL,
		                "directory options: flags has the bits 0x%x, which this "
		                "function does not know",
		                own->flags & ~flags);
	return rc;
}

/* A segment that looks at a private copy. */
static void drop_copy(struct mye_segment *seg, struct mye_control *c)
{
	free(seg->control);
	mye_control_close(c);
}

static int copy_words(struct mye_segment *seg, const struct mye_control *c, const char *path)
{
	size_t bytes = c->header.control_bytes;
	ssize_t n;

	seg->control = aligned_alloc(MYE_LINE, bytes);
	if (!seg->control)
		return mye_fail(-ENOMEM, "no memory for a copy of %s (%zu bytes)", path, bytes);
	n = mye_read_at(c->fd, seg->control, bytes, 0);
	if (n < 0)
		return mye_fail((int)n, "%s cannot be read: %s", path, myelon_strerror((int)n));
	if ((size_t)n < bytes)
		return mye_fail(-EPROTO, "%s was truncated to %zd bytes while it was read", path,
		                n);
	mye_control_words(seg);
	return 0;
}

static int find_data(void *ctx, const char *dir)
{
	struct mye_segment *seg = ctx;
	char name[sizeof(seg->place.file) + 8];
	int fd = mye_fork_open_dir(dir), rc;
	struct stat st;

	if (fd < 0)
		return 0;
	mye_data_name(name, sizeof(name), &seg->place, seg->header.nonce);
	rc = mye_stat_at(fd, name, &st);
	mye_fork_close(fd);
	if (rc < 0 || !S_ISREG(st.st_mode) || st.st_uid != seg->owner)
		return 0;
	memcpy(seg->data_dir, dir, strlen(dir) + 1);
	return 1;
}

/* Both must be zeroed or filled by this; drop_copy() in any case. */
static int read_copy(struct mye_segment *seg, struct mye_control *c, const struct mye_place *place)
{
	char path[MYE_TEXT_MAX];
	int rc = mye_control_open(c, place, false);

	memset(seg, 0, sizeof(*seg));
	seg->place = *place;
	seg->role = MYE_ROLE_OBSERVER;
	seg->data_fd = -1;
	if (rc == -ENOENT)
		return mye_fail(rc, "there is no ring '%s': no file %s in %s", place->name,
		                place->file, place->dir);
	if (rc == 0)
		rc = c->valid;
	if (rc < 0)
		return rc;
	mye_place_path(place, path, sizeof(path));
	seg->header = c->header;
	seg->control_fd = c->fd;
	seg->dir_fd = c->dir_fd;
	seg->owner = c->st.st_uid;
	rc = copy_words(seg, c, path);
	/* Not opened: a lock on it, however short, could keep the last participant from removing it. */
	if (rc == 0 && place->plain)
		find_data(seg, place->dir);
	else if (rc == 0 && seg->header.backing != MYELON_BACKING_MEMFD)
		mye_data_dirs(place, find_data, seg);
	return rc;
}

/* The same by name and the caller's options; drop_copy() in any case. */
static int read_named(struct mye_segment *seg, struct mye_control *c, const char *name,
                      const struct myelon_dir_opts *opts)
{
	struct myelon_dir_opts o;
	struct mye_place place = {0};
	int rc = mye_dir_opts_read(&o, opts, MYELON_F_ANY_OWNER);

	memset(seg, 0, sizeof(*seg));
	*c = (struct mye_control){.dir_fd = -1, .fd = -1};
	if (rc == 0)
		rc = mye_place_resolve(&place, name, o.shm_dir, o.hugetlb_dir);
	return rc < 0 ? rc : read_copy(seg, c, &place);
}

int myelon_ring_describe(const char *name, const struct myelon_dir_opts *opts,
                         struct myelon_ring_info *info)
{
	struct myelon_ring_info own;
	struct mye_segment seg;
	struct mye_control c;
	int rc = read_named(&seg, &c, name, opts);

	if (rc == 0) {
		mye_segment_describe(&seg, &own);
		rc = mye_info_write(info, &own, sizeof(own), "ring info");
	}
	drop_copy(&seg, &c);
	return rc;
}

int myelon_ring_consumers(const char *name, const struct myelon_dir_opts *opts,
                          myelon_consumer_fn fn, void *ctx)
{
	struct myelon_consumer_entry entry;
	struct mye_segment seg;
	struct mye_control c;
	int rc;

	if (!fn)
		return mye_fail_static(-EINVAL,
		                       "the function to be called for each consumer is NULL");
	rc = read_named(&seg, &c, name, opts);
	for (uint32_t i = 0; rc == 0 && i < seg.header.max_consumers; i++)
		if (mye_segment_entry(&seg, i, &entry))
			rc = fn(ctx, &entry);
	drop_copy(&seg, &c);
	return rc;
}

/* The index of a consumer's entry. */
static int find_id(const struct mye_segment *seg, const char *id, uint32_t *index)
{
	struct myelon_consumer_entry entry;

	for (uint32_t i = 0; i < seg->header.max_consumers; i++) {
		if (!mye_segment_entry(seg, i, &entry) || strcmp(entry.id, id) != 0)
			continue;
		*index = i;
		return 0;
	}
	return mye_fail(-ENOENT, "ring %s has no consumer %s", seg->place.name, id);
}

int myelon_ring_advice(const char *name, const struct myelon_dir_opts *opts, const char *id,
                       struct myelon_advice *advice)
{
	uint32_t who = MYE_ADVISE_PRODUCER;
	struct myelon_advice own;
	struct mye_segment seg;
	struct mye_control c;
	int rc = read_named(&seg, &c, name, opts);

	if (rc == 0 && id)
		rc = find_id(&seg, id, &who);
	if (rc == 0)
		rc = mye_segment_advise(&seg, who, &own);
	if (rc == 0)
		rc = mye_info_write(advice, &own, sizeof(own), "advice");
	drop_copy(&seg, &c);
	return rc;
}

struct listing {
	const struct myelon_dir_opts *opts;
	const char *dir;
	myelon_ring_fn fn;
	void *ctx;
};

static int list_one(void *ctx, const char *file)
{
	struct listing *l = ctx;
	struct myelon_ring_info info;
	struct mye_place place = {0};
	struct mye_segment seg = {0};
	struct mye_control c = {0};
	int rc;

	if (!mye_place_of_file(&place, l->dir, l->opts->hugetlb_dir, file))
		return 0;
	rc = read_copy(&seg, &c, &place);
	if (rc == 0) {
		mye_segment_describe(&seg, &info);
	} else {
		memset(&info, 0, sizeof(info));
		info.size = sizeof(info);
		memcpy(info.name, place.name, sizeof(info.name));
		snprintf(info.reason, sizeof(info.reason), "%.159s", myelon_last_error());
	}
	drop_copy(&seg, &c);
	/* Removed since the directory was read: no ring, and no damaged one either. */
	return rc == -ENOENT ? 0 : l->fn(l->ctx, &info);
}

int myelon_ring_list(const struct myelon_dir_opts *opts, myelon_ring_fn fn, void *ctx)
{
	struct myelon_dir_opts o;
	struct mye_place place = {0};
	struct listing l = {.opts = &o, .dir = place.dir, .fn = fn, .ctx = ctx};
	int dir_fd, rc = mye_dir_opts_read(&o, opts, MYELON_F_ANY_OWNER);

	if (rc == 0 && !fn)
		rc = mye_fail_static(-EINVAL, "the function to be called for each ring is NULL");
	/* Any name does: only the directories of the place matter here. */
	if (rc == 0)
		rc = mye_place_resolve(&place, "x", o.shm_dir, o.hugetlb_dir);
	if (rc < 0)
		return rc;
	dir_fd = mye_fork_open_dir(place.dir);
	if (dir_fd < 0)
		return mye_dir_failed(dir_fd, place.dir);
	rc = mye_each_name(dir_fd, list_one, &l);
	mye_fork_close(dir_fd);
	return rc;
}
