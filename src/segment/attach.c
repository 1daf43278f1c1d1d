/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Joining the two files of a ring that exists, or waiting until it does. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "segment/control.h"
#include "segment/data.h"

#define REMOVAL_NS 1000000000ll /* a removal that takes longer is stuck */

/* Outcome of one try that is not an error. */
#define AGAIN 1 /* the name changed under us: look again at once */

static bool only_looks(const struct mye_segment *seg)
{
	return seg->role == MYE_ROLE_OBSERVER || seg->role == MYE_ROLE_WATCHER;
}

static bool wants_data(const struct mye_segment *seg)
{
	return seg->role != MYE_ROLE_OPERATOR && seg->role != MYE_ROLE_WATCHER;
}

static int open_control(struct mye_segment *seg)
{
	struct stat st;
	int fd = mye_control_open_file(seg->dir_fd, &seg->place, true, &st);

	seg->writable = fd >= 0;
	/* They need no more than to read. */
	if (only_looks(seg) && (fd == -EACCES || fd == -EPERM || fd == -EROFS))
		fd = mye_control_open_file(seg->dir_fd, &seg->place, false, &st);
	if (fd < 0)
		return fd;
	seg->control_fd = fd;
	seg->control_dev = st.st_dev;
	seg->control_ino = st.st_ino;
	seg->owner = st.st_uid;
	return 0;
}

/* Byte 0 shared, and the name still leads here. @return 0, AGAIN, negative. */
static int hold(struct mye_segment *seg, int64_t deadline, const char *path)
{
	int64_t until = mye_now() + REMOVAL_NS;
	int rc = mye_share(seg->control_fd, MYE_LOCK_LIFE, deadline > until ? deadline : until);

	if (rc == -EBUSY)
		return mye_fail(rc, "%s is locked by a process that removes it: try again", path);
	if (rc < 0)
		return mye_fail(rc, "%s cannot be locked: %s", path, myelon_strerror(rc));
	return mye_segment_named(seg) ? 0 : AGAIN;
}

static int validate(struct mye_segment *seg, const char *path)
{
	struct stat st = {0};
	struct mye_header h = {0};
	int rc = mye_fstat(seg->control_fd, &st);

	if (rc == 0)
		rc = mye_header_read(seg->control_fd, &h, (uint64_t)st.st_size, path);
	if (rc < 0)
		return rc;
	if ((h.backing == MYELON_BACKING_FILE) != seg->place.plain)
		return mye_fail(-EPROTO,
		                "%s is damaged: header field backing is %u, which does not go "
		                "with where the file lies",
		                path, h.backing);
	seg->header = h;
	seg->joined = true;
	return 0;
}

static int check_demands(const struct mye_segment *seg, const struct mye_attach *want)
{
	const struct mye_header *h = &seg->header;

	if (want->kind && h->kind != want->kind)
		return mye_fail(-EPROTO,
		                "ring '%s' is %s, not %s: attach to it with the functions of "
		                "that kind",
		                seg->place.name, h->kind == MYELON_KIND_FRAMED ? "framed" : "raw",
		                want->kind == MYELON_KIND_FRAMED ? "framed" : "raw");
	if (want->slot_size && h->slot_size != want->slot_size)
		return mye_fail(-EINVAL,
		                "ring '%s' has slots of %u bytes, you asked for %u: use the "
		                "same slot_size on both sides",
		                seg->place.name, h->slot_size, want->slot_size);
	if (want->schema && h->schema != want->schema)
		return mye_fail(-EINVAL,
		                "ring '%s' has the schema 0x%016llx, you asked for 0x%016llx: "
		                "use the same message type on both sides",
		                seg->place.name, (unsigned long long)h->schema,
		                (unsigned long long)want->schema);
	return 0;
}

static int take_producer(struct mye_segment *seg)
{
	struct mye_identity who = {0};
	int rc = mye_role_take(seg, MYE_LOCK_PRODUCER);

	if (rc != -EBUSY)
		return rc;
	mye_read_at(seg->control_fd, &who, sizeof(who),
	            mye_producer_offset(&seg->header) +
	                    offsetof(struct mye_producer_page, identity));
	if (mye_role_orphaned(&who))
		return mye_fail(-EBUSY,
		                "ring '%s': its producer, pid %u, has ended, but its lock is "
		                "held: " MYE_ORPHANED,
		                seg->place.name, who.pid);
	return mye_fail(-EBUSY, "ring '%s' has a living producer, pid %u: close or kill it first",
	                seg->place.name, who.pid);
}

static int open_data(struct mye_segment *seg, const struct mye_attach *want)
{
	bool write = seg->role == MYE_ROLE_PRODUCER;
	int rc;

	if (seg->header.backing == MYELON_BACKING_MEMFD)
		return mye_memfd_map(seg, want->memfd);
	rc = mye_data_open(seg, write);
	if (rc == -ENOENT)
		return mye_fail(-EPROTO,
		                "ring '%s' has lost its data file: remove it and create it again",
		                seg->place.name);
	return rc < 0 ? rc : mye_data_map(seg, write);
}

/* @return 0, AGAIN, -ENOENT: there is no such name; else an error for good. */
static int try_once(struct mye_segment *seg, const struct mye_attach *want)
{
	char path[MYE_TEXT_MAX];
	struct stat st;
	int rc = open_control(seg);

	if (rc < 0)
		return rc;
	mye_place_path(&seg->place, path, sizeof(path));
	rc = mye_fstat(seg->control_fd, &st);
	if (rc == 0)
		rc = mye_owner_check(&st, want->flags, path);
	if (rc == 0)
		rc = hold(seg, want->deadline, path);
	if (rc == 0)
		rc = validate(seg, path);
	if (rc == 0)
		rc = check_demands(seg, want);
	if (rc == 0 && wants_data(seg))
		rc = mye_memfd_demand(seg, want);
	if (rc == 0 && seg->role == MYE_ROLE_PRODUCER)
		rc = take_producer(seg);
	if (rc == 0)
		rc = mye_control_map(seg);
	if (rc == 0 && wants_data(seg))
		rc = open_data(seg, want);
	/* The only "no such name" is that of the control file. */
	return rc == -ENOENT ? -EPROTO : rc;
}

static int not_there(const struct mye_segment *seg, int64_t waited_ns)
{
	if (waited_ns < 1000000)
		return mye_fail(-ENOENT, "there is no ring '%s': no file %s in %s", seg->place.name,
		                seg->place.file, seg->place.dir);
	return mye_fail(
		-ENOENT, "there is no ring '%s': no file %s appeared in %s within %lld.%03lld s",
		seg->place.name, seg->place.file, seg->place.dir,
		(long long)(waited_ns / 1000000000), (long long)(waited_ns / 1000000 % 1000));
}

/* Watch first, then look, then wait: what appears in between is seen. */
static int search(struct mye_segment *seg, const struct mye_attach *want)
{
	struct mye_watch *watch = NULL;
	int64_t begun = mye_now();
	int rc;

	for (;;) {
		rc = try_once(seg, want);
		if (rc == AGAIN) {
			mye_fork_close(seg->control_fd);
			seg->control_fd = -1;
			continue;
		}
		if (rc != -ENOENT)
			break;
		if (mye_now() >= want->deadline) {
			rc = not_there(seg, mye_now() - begun);
			break;
		}
		if (!watch) {
			rc = mye_watch_open(&watch, seg->place.dir);
			if (rc == 0)
				continue;
			rc = mye_fail(rc, "the directory %s cannot be watched: %s", seg->place.dir,
			              myelon_strerror(rc));
			break;
		}
		rc = mye_watch_wait(watch, want->deadline);
		if (rc == -EINTR && (want->flags & MYELON_F_EINTR)) {
			rc = mye_fail_static(-EINTR, "a signal came while the ring was waited for");
			break;
		}
	}
	mye_watch_close(watch);
	return rc;
}

/* @return 0, negative. The memfd is only needed until it is mapped. */
static int join(struct mye_segment *seg, const struct mye_attach *want)
{
	struct mye_attach own = *want;
	int rc = 0;

	own.memfd = -1;
	if (want->data_fd) {
		own.memfd = mye_memfd_take(want->data_fd);
		rc = own.memfd < 0 ? own.memfd : 0;
	}
	if (rc == 0)
		rc = mye_segment_open_dir(seg);
	if (rc == 0)
		rc = search(seg, &own);
	mye_fork_close(own.memfd);
	return rc;
}

int mye_segment_attach(struct mye_segment *seg, const char *name, const struct mye_attach *want)
{
	int rc;

	mye_segment_begin(seg, want->role);
	rc = mye_place_resolve(&seg->place, name, want->shm_dir, want->hugetlb_dir);
	if (rc == 0)
		rc = join(seg, want);
	if (rc < 0) {
		mye_segment_leave(seg);
		return rc;
	}
	/* A forgotten monitor must not keep a ring from being removed. */
	if (only_looks(seg)) {
		mye_segment_let_go(seg);
		seg->joined = false;
	}
	return 0;
}
