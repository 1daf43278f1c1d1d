/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* File systems as a whole, and the directories they are mounted on. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sys/sys.h"

#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x2000
#endif

int mye_make_dir(const char *path, mode_t mode)
{
	return mkdir(path, mode) < 0 ? -errno : 0;
}

int mye_remove_dir(const char *path)
{
	return rmdir(path) < 0 ? -errno : 0;
}

int mye_is_mount_point(int dirfd)
{
	struct statx stx;
	struct stat here, above;

	if (statx(dirfd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) == 0 &&
	    stx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT)
		return stx.stx_attributes & STATX_ATTR_MOUNT_ROOT ? 1 : 0;
	/* Before 5.8: a bind mount of the same file system is not seen. */
	if (fstat(dirfd, &here) < 0 || fstatat(dirfd, "..", &above, 0) < 0)
		return -errno;
	return here.st_dev != above.st_dev || here.st_ino == above.st_ino;
}

int mye_mount(const char *type, const char *dir, const char *options)
{
	return mount(type, dir, type, MS_NOSUID | MS_NODEV, options) < 0 ? -errno : 0;
}

int mye_fs_blocks(int fd, uint64_t *total, uint64_t *left)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	*total = (uint64_t)fs.f_blocks;
	*left = (uint64_t)fs.f_bavail;
	return 0;
}
