/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Slots in a memfd: no name, so nothing to find, to remove or to attack; whoever shall read them is
 * handed a descriptor. It is sealed before the ring has a name: its size is final, and the only way to
 * write is the mapping the producer already has. So it cannot be taken over: it ends with its producer.
 *
 * No lock lies on it. What the lock on byte 0 of a data file is for, that gc does not remove it,
 * cannot happen to a memfd; and without locks descriptors of it may be sent and inherited.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/handle.h"
#include "segment/data.h"
#include "sys/sys.h"

int mye_memfd_make(const char *ring, uint64_t page)
{
	char name[128];
	int fd;

	snprintf(name, sizeof(name), "myelon.%.100s", ring);
	mye_fork_enter();
	fd = mye_fork_keep(mye_memfd_create(name, page > mye_page_size() ? page : 0));
	mye_fork_leave();
	return fd;
}

int mye_memfd_seal(int fd, bool *writes)
{
	int rc = mye_seals_add(fd, MYE_SEAL_SIZE | MYE_SEAL_WRITE | MYE_SEAL_SEALS);

	*writes = rc == 0;
	if (rc == -EINVAL) /* before 5.1 */
		rc = mye_seals_add(fd, MYE_SEAL_SIZE | MYE_SEAL_SEALS);
	/* Where writing is not sealed, at least a stranger's reopening is read-only. */
	return rc ? rc : mye_chmod(fd, 0444);
}

int mye_memfd_demand(const struct mye_segment *seg, const struct mye_attach *want)
{
	const struct mye_header *h = &seg->header;
	bool memfd = h->backing == MYELON_BACKING_MEMFD;

	if (memfd && want->role == MYE_ROLE_PRODUCER)
		return mye_fail(-ENOTSUP,
		                "ring '%s' cannot be taken over: a memfd ring ends with its "
		                "producer; create a new one",
		                seg->place.name);
	if (memfd && want->memfd < 0)
		return mye_fail(-EINVAL,
		                "the slots of ring '%s' are in a memfd of process %u: pass its "
		                "descriptor in data_fd (myelon_producer_data_fd() there)",
		                seg->place.name, h->creator_pid);
	if (!memfd && want->memfd >= 0)
		return mye_fail(-EINVAL,
		                "data_fd is given, but the slots of ring '%s' are in a file (%s): "
		                "leave it out",
		                seg->place.name, myelon_backing_name(h->backing));
	return 0;
}

static int no_memfd(int fd, const char *what)
{
	return mye_fail(-EINVAL,
	                "descriptor %d (data_fd) is no memfd, but %s: pass one made by "
	                "myelon_producer_data_fd()",
	                fd, what);
}

static const char *kind_of(mode_t mode)
{
	return S_ISDIR(mode)    ? "a directory"
	       : S_ISSOCK(mode) ? "a socket"
	       : S_ISFIFO(mode) ? "a pipe"
	                        : "a device or the like";
}

/* Opening anything else again could wait, or do something. */
static int look(int fd)
{
	struct stat st;
	int rc = mye_fstat(fd, &st);

	if (rc)
		return mye_fail(rc, "descriptor %d (data_fd) is not open: %s", fd,
		                myelon_strerror(rc));
	if (!S_ISREG(st.st_mode))
		return no_memfd(fd, kind_of(st.st_mode));
	if (st.st_nlink > 0)
		return no_memfd(fd, "a file with a name");
	rc = mye_seals_get(fd);
	if (rc == -EBADF)
		return no_memfd(fd, "opened with O_PATH");
	return rc < 0 ? no_memfd(fd, "a file that cannot be sealed") : 0;
}

/* Of our own, before anything else is opened: so that the number is not that of another file by the
 * time it is looked at, whatever other threads do or the caller has closed. */
static int open_again(int fd)
{
	int own;

	mye_fork_enter();
	own = mye_fork_keep(mye_reopen_readable(fd));
	mye_fork_leave();
	if (own == -ENOENT)
		return mye_fail(-ENOTSUP,
		                "the memfd on descriptor %d cannot be opened again: /proc is not "
		                "mounted",
		                fd);
	if (own < 0)
		return mye_fail(own, "the memfd on descriptor %d cannot be opened again: %s", fd,
		                myelon_strerror(own));
	return own;
}

int mye_memfd_take(int32_t data_fd)
{
	int rc;

	if (data_fd < 0)
		return mye_fail(-EINVAL, "data_fd is %d: it must be MYELON_FD(descriptor)",
		                (int)data_fd);
	rc = look(data_fd - 1);
	return rc ? rc : open_again(data_fd - 1);
}

static int mismatch(const struct mye_segment *seg, const char *what, uint64_t found,
                    uint64_t expected)
{
	return mye_fail(
		-EINVAL,
		"the descriptor in data_fd is not the memfd of ring '%s': its %s is %" PRIu64
		", the ring says %" PRIu64 ": pass the one its producer (pid %u) gave",
		seg->place.name, what, found, expected, seg->header.creator_pid);
}

static int check(const struct mye_segment *seg, int fd)
{
	const struct mye_header *h = &seg->header;
	uint64_t page = 0;
	struct stat st;
	int seals = mye_seals_get(fd), rc = mye_fstat(fd, &st);

	if (rc == 0)
		rc = seals < 0 ? seals : mye_statfs(fd, NULL, &page, NULL);
	if (rc)
		return mye_fail(rc, "the descriptor in data_fd cannot be looked at: %s",
		                myelon_strerror(rc));
	if (!((unsigned int)seals & MYE_SEAL_SIZE))
		return mye_fail(-EPROTO,
		                "the memfd in data_fd for ring '%s' is unsealed: its owner could "
		                "truncate it under us; it must have the seals shrink and grow",
		                seg->place.name);
	if ((uint64_t)st.st_size != h->data_bytes)
		return mismatch(seg, "size", (uint64_t)st.st_size, h->data_bytes);
	if (page != h->data_page)
		return mismatch(seg, "page size", page, h->data_page);
	if ((uint64_t)st.st_dev != h->data_dev)
		return mismatch(seg, "device", st.st_dev, h->data_dev);
	if ((uint64_t)st.st_ino != h->data_ino)
		return mismatch(seg, "inode", st.st_ino, h->data_ino);
	return 0;
}

int mye_memfd_map(struct mye_segment *seg, int fd)
{
	int rc = check(seg, fd);

	if (rc)
		return rc;
	seg->data_fd = fd;
	rc = mye_data_map(seg, false);
	/* The mapping holds the memory; there is no lock to keep. */
	seg->data_fd = -1;
	return rc;
}

int mye_memfd_hand_over(const struct mye_segment *seg)
{
	int fd;

	if (seg->header.backing != MYELON_BACKING_MEMFD)
		return mye_fail(-EINVAL,
		                "the slots of ring '%s' are in a file (%s), which attach finds by "
		                "itself: only a ring in a memfd is handed over",
		                seg->place.name, myelon_backing_name(seg->header.backing));
	fd = mye_reopen_readable(seg->data_fd);
	if (fd == -ENOENT)
		return mye_fail(
			-ENOTSUP,
			"the memfd of ring '%s' cannot be opened again: /proc is not mounted",
			seg->place.name);
	if (fd < 0)
		return mye_fail(fd, "the memfd of ring '%s' cannot be opened again: %s",
		                seg->place.name, myelon_strerror(fd));
	return fd;
}
