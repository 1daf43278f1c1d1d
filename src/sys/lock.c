/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Open-file-description locks. POSIX record locks are never used: closing any
 * descriptor of the file would drop them.
 */
#include <errno.h>
#include <fcntl.h>

#include "sys/sys.h"

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

static struct flock describe(int64_t byte, enum mye_lock kind)
{
	static const short types[] = {
		[MYE_LOCK_NONE] = F_UNLCK,
		[MYE_LOCK_SHARED] = F_RDLCK,
		[MYE_LOCK_EXCLUSIVE] = F_WRLCK,
	};

	/* l_pid must be 0. */
	return (struct flock){
		.l_type = types[kind], .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1};
}

int mye_lock_set(int fd, int64_t byte, enum mye_lock kind)
{
	struct flock lock = describe(byte, kind);
	int rc;

	mye_point();
	do {
		rc = fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
	} while (rc == -EINTR);
	mye_point();
	return rc == -EACCES ? -EAGAIN : rc;
}

void mye_lock_drop_all(int fd)
{
	struct flock lock = describe(0, MYE_LOCK_NONE);

	lock.l_len = 0; /* to the end */
	mye_point();
	fcntl(fd, F_OFD_SETLK, &lock);
	mye_point();
}

int mye_lock_query(int fd, int64_t byte, enum mye_lock kind)
{
	struct flock lock = describe(byte, kind);

	if (kind == MYE_LOCK_NONE)
		return -EINVAL;
	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return -errno;
	return lock.l_type != F_UNLCK;
}
