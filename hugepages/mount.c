/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Mounting hugetlbfs. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <myelon/hugepages.h>

#include "base/error.h"
#include "base/text.h"
#include "hugepages/hugepages.h"
#include "sys/sys.h"

/* For the calling user; as root for everybody, like a temporary directory. */
static void make_options(char *buf, size_t cap, uint64_t page_size)
{
	snprintf(buf, cap, "pagesize=%s", mye_huge_size_text(page_size).text);
	if (mye_euid() == 0)
		mye_append(buf, cap, ",mode=1777");
	else
		mye_append(buf, cap, ",uid=%" PRIu32 ",mode=0700", mye_euid());
}

static int stop(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return 1;
}

/* @return 0 if hugetlbfs may be mounted on the directory, 1 if it is already. */
static int look(const char *dir, int fd, uint64_t page_size)
{
	struct mye_huge_mount m;
	int rc = mye_is_mount_point(fd);

	if (rc < 0)
		return mye_fail(rc, "cannot look at %s: %s", dir, myelon_strerror(rc));
	if (rc == 1) {
		if (mye_huge_mounts(dir, 0, false, &m, 1) != 1)
			return mye_fail(-EEXIST,
			                "something other than hugetlbfs is mounted at %s: choose "
			                "another directory",
			                dir);
		if (m.page_size != page_size)
			return mye_fail(-EEXIST,
			                "hugetlbfs of %s pages is mounted at %s: choose another "
			                "directory for %s pages",
			                mye_bytes_text(m.page_size).text, dir,
			                mye_bytes_text(page_size).text);
		return 1;
	}
	if (mye_each_name(fd, stop, NULL) == 1)
		return mye_fail(-ENOTEMPTY,
		                "%s is not empty, and a mount would hide what is in it: choose an "
		                "empty or a new directory",
		                dir);
	return 0;
}

static int not_permitted(const char *dir, uint64_t page_size)
{
	char options[96];

	make_options(options, sizeof(options), page_size);
	return mye_fail(-EPERM,
	                "mounting hugetlbfs needs the capability CAP_SYS_ADMIN in the initial user "
	                "namespace: as root: myelon hugepages mount %s --size %s, or: mkdir -p %s "
	                "&& mount -t hugetlbfs -o %s none %s",
	                dir, mye_huge_size_text(page_size).text, dir, options, dir);
}

/* On what was looked at, and not on what has its name by now. */
static int mount_it(const char *dir, int fd, uint64_t page_size)
{
	char options[96], path[32];
	int raised, rc;

	make_options(options, sizeof(options), page_size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	raised = mye_cap_raise(MYE_CAP_SYS_ADMIN);
	rc = mye_mount("hugetlbfs", path, options);
	if (rc == -ENOENT) /* no /proc */
		rc = mye_mount("hugetlbfs", dir, options);
	mye_cap_drop(MYE_CAP_SYS_ADMIN, raised);
	if (rc == -EPERM || rc == -EACCES)
		return not_permitted(dir, page_size);
	if (rc)
		return mye_fail(rc, "cannot mount hugetlbfs (%s) at %s: %s", options, dir,
		                myelon_strerror(rc));
	return 0;
}

int myelon_hugepage_mount(const char *dir, uint64_t page_size)
{
	int rc, fd;
	bool made;

	if (!dir || !*dir)
		return mye_fail_static(-EINVAL, "no directory is given to mount hugetlbfs at");
	rc = mye_huge_check_size(page_size);
	if (rc)
		return rc;
	rc = mye_make_dir(dir, 0755);
	made = rc == 0;
	if (rc == -EACCES || rc == -EPERM || rc == -EROFS)
		return not_permitted(dir, page_size);
	if (rc == -ENOENT)
		return mye_fail(rc,
		                "cannot make the directory %s: the one it would be in is not there",
		                dir);
	if (rc && rc != -EEXIST)
		return mye_fail(rc, "cannot make the directory %s: %s", dir, myelon_strerror(rc));
	fd = mye_open_dir(dir);
	if (fd == -ENOTDIR)
		return mye_fail(fd, "%s is not a directory: choose another path", dir);
	if (fd < 0)
		return mye_fail(fd, "cannot open the directory %s: %s", dir, myelon_strerror(fd));
	rc = look(dir, fd, page_size);
	if (rc == 0)
		rc = mount_it(dir, fd, page_size);
	mye_close(fd);
	if (rc < 0 && made)
		mye_remove_dir(dir);
	return rc < 0 ? rc : 0;
}
