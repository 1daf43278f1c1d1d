/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "segment_help.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/handle.h"
#include "kit.h"
#include "segment/control.h"
#include "segment/data.h"

unsigned int help_scaled(unsigned int n)
{
	const char *text = getenv("MYELON_TEST_SCALE");
	double scaled = text ? strtod(text, NULL) * n : n;

	return scaled < 1 ? 1 : (unsigned int)scaled;
}

struct myelon_ring_opts help_opts(void)
{
	return MYELON_RING_OPTS(.slot_size = 64, .window = 64, .max_consumers = 4,
	                        .backing = MYELON_BACKING_SHM, .huge = MYELON_HUGE_OFF);
}

int help_create(struct mye_segment *seg, const char *name, const struct myelon_ring_opts *opts)
{
	struct myelon_ring_opts o = opts ? *opts : help_opts();
	int rc;

	if (!opts && strchr(name, '/'))
		o.backing = MYELON_BACKING_FILE;
	rc = mye_segment_build(seg, name, &o, MYELON_KIND_RAW, MYELON_FENCE_FULL);
	if (rc < 0)
		return rc;
	rc = mye_segment_publish(seg);
	if (rc < 0)
		mye_segment_leave(seg);
	return rc;
}

int help_attach(struct mye_segment *seg, const char *name, enum mye_role role)
{
	struct mye_attach want = {.role = role};

	return mye_segment_attach(seg, name, &want);
}

void help_close(struct mye_segment *seg)
{
	__atomic_store_n(&seg->producer->slow.state, MYE_PRODUCER_CLOSED, __ATOMIC_RELEASE);
	mye_segment_leave(seg);
}

void help_die(struct mye_segment *seg)
{
	mye_data_unmap(seg);
	mye_control_unmap(seg);
	mye_fork_close(seg->control_fd);
	mye_fork_close(seg->data_fd);
	mye_fork_close(seg->data_dir_fd);
	mye_fork_close(seg->dir_fd);
	memset(seg, 0, sizeof(*seg));
}

int help_dead(const char *name, const struct myelon_ring_opts *opts)
{
	struct mye_segment seg;
	int rc = help_create(&seg, name, opts);

	if (rc == 0)
		help_die(&seg);
	return rc;
}

const char *help_path(const char *name)
{
	static char path[4400];

	snprintf(path, sizeof(path), "%s/myelon.%s", kit_shm_dir(), name);
	return path;
}

int help_patch(const char *path, size_t offset, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (pwrite(fd, bytes, n, (off_t)offset) != (ssize_t)n)
		rc = -EIO;
	close(fd);
	return rc;
}

int help_peek(const char *path, size_t offset, void *bytes, size_t n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (pread(fd, bytes, n, (off_t)offset) != (ssize_t)n)
		rc = -EIO;
	close(fd);
	return rc;
}

int help_file(const char *path, const char *text, unsigned int mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode), rc = 0;

	if (fd < 0)
		return -errno;
	if (fchmod(fd, mode) < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		rc = -errno;
	close(fd);
	return rc;
}

bool help_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

int help_files(void)
{
	return kit_dir_entries(kit_shm_dir());
}

bool help_says(const char *part)
{
	return strstr(myelon_last_error(), part) != NULL;
}
