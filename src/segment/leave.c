/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Leaving a ring; whoever is last takes its files away. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "segment/control.h"
#include "segment/data.h"

/* The data, our own hold given up first. It is known by its inode if we had it open. A memfd has no
 * name. */
static void erase_data(struct mye_segment *seg)
{
	char name[sizeof(seg->place.file) + 8];
	struct mye_data_erase e = {
		.dir = seg->data_dir, .name = name, .owner = seg->owner, .shm_fd = -1};
	struct stat st;

	if (seg->header.backing == MYELON_BACKING_MEMFD)
		return;
	if (seg->data_fd < 0 || mye_fstat(seg->data_fd, &st) < 0) {
		mye_erase_data_of(&seg->place, seg->header.nonce, seg->owner, seg->dir_fd, NULL,
		                  NULL);
		return;
	}
	e.dev = st.st_dev;
	e.ino = st.st_ino;
	mye_data_name(name, sizeof(name), &seg->place, seg->header.nonce);
	mye_fork_close(seg->data_fd);
	seg->data_fd = -1;
	/* The descriptor just closed is all it takes: this process may have no other left. */
	mye_erase_data_in(&e, seg->data_dir_fd >= 0 ? seg->data_dir_fd : seg->dir_fd);
}

/* The word as it is in the file now: the mapping could fault if somebody truncated it. */
static bool closed(const struct mye_segment *seg)
{
	uint32_t state = MYE_PRODUCER_NONE;

	mye_read_at(seg->control_fd, &state, sizeof(state),
	            mye_producer_offset(&seg->header) +
	                    offsetof(struct mye_producer_page, slow.state));
	return state == MYE_PRODUCER_CLOSED;
}

/* Nobody but us, and it will not change any more: the exclusive lock on byte 0 is ours. */
static void remove_last(struct mye_segment *seg)
{
	if (mye_segment_named(seg)) {
		if ((seg->header.flags & MYELON_F_KEEP) || !closed(seg) ||
		    mye_unlink_at(seg->dir_fd, seg->place.file) < 0)
			return;
	}
	mye_erase_socket(seg->dir_fd, seg->header.nonce);
	/* Without its name (removed by force) the data is of no use to anybody either. */
	erase_data(seg);
}

/*
 * Two that leave together: each tries after it gave up its own hold, so the later one gets it. What
 * the ring is like is judged under the lock.
 */
void mye_segment_let_go(struct mye_segment *seg)
{
	/* First, or whoever removes the control file finds the data still held. */
	if (seg->data_fd >= 0)
		mye_lock_set(seg->data_fd, MYE_LOCK_DATA, MYE_LOCK_NONE);
	mye_lock_set(seg->control_fd, MYE_LOCK_LIFE, MYE_LOCK_NONE);
	if (seg->place.plain || !seg->writable)
		return;
	/* A producer that closes after this look leaves after it too, and tries itself. */
	if (mye_segment_named(seg) && ((seg->header.flags & MYELON_F_KEEP) || !closed(seg)))
		return;
	if (mye_lock_set(seg->control_fd, MYE_LOCK_LIFE, MYE_LOCK_EXCLUSIVE) < 0)
		return;
	remove_last(seg);
	mye_lock_set(seg->control_fd, MYE_LOCK_LIFE, MYE_LOCK_NONE);
}

/* Built, but never published. */
static void take_back(struct mye_segment *seg)
{
	if (seg->temp[0])
		mye_unlink_at(seg->dir_fd, seg->temp);
	if (seg->data_fd >= 0)
		erase_data(seg);
}

void mye_segment_leave(struct mye_segment *seg)
{
	if (!seg->open)
		return;
	mye_data_unmap(seg);
	mye_control_unmap(seg);
	if (seg->built && !seg->linked)
		take_back(seg);
	else if (seg->control_fd >= 0 && seg->joined)
		mye_segment_let_go(seg);
	/* These give up the roles, and whatever else is still held. */
	mye_fork_close(seg->control_fd);
	mye_fork_close(seg->data_fd);
	mye_fork_close(seg->data_dir_fd);
	mye_fork_close(seg->dir_fd);
	seg->dir_fd = seg->control_fd = seg->data_fd = seg->data_dir_fd = -1;
	seg->open = seg->joined = seg->linked = false;
}
