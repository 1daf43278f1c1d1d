/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sys/sys.h"

#define RETRY(result, call)                                                                        \
	do {                                                                                       \
		(result) = (call);                                                                 \
	} while ((result) < 0 && errno == EINTR)

static int result_of(int rc)
{
	return rc < 0 ? -errno : rc;
}

/*
 * Who opens a file by its name comes after who gave it the name; ThreadSanitizer has to be told, for the
 * words that were stored before it had one.
 */
#ifdef MYE_SINGLE_MAP
static uint32_t names_given;

static void order_before_link(void)
{
	/* Release: pairs with order_after_open(). */
	__atomic_fetch_add(&names_given, 1, __ATOMIC_RELEASE);
}

static void order_after_open(void)
{
	/* Acquire: pairs with order_before_link(). */
	__atomic_load_n(&names_given, __ATOMIC_ACQUIRE);
}
#else
static void order_before_link(void)
{
}

static void order_after_open(void)
{
}
#endif

/* A directory that may be searched but not read is good enough for known names. */
int mye_open_dir(const char *path)
{
	int fd;

	RETRY(fd, open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (fd < 0 && errno == EACCES)
		RETRY(fd, open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
	return result_of(fd);
}

/* O_NONBLOCK: what it is may have changed since the caller looked. */
static int reopen(int fd, int access)
{
	char path[40];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	RETRY(again, open(path, access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
	return result_of(again);
}

int mye_reopen_writable(int fd)
{
	return reopen(fd, O_RDWR);
}

int mye_reopen_readable(int fd)
{
	return reopen(fd, O_RDONLY);
}

/* Looked at before it is opened, because opening a device does something, and after, because the name
 * may have changed; O_NONBLOCK for a FIFO that came in between. */
int mye_open_at(int dirfd, const char *name, bool writable)
{
	int flags = (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	struct stat st;
	int fd;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	if (!S_ISREG(st.st_mode))
		return -EPROTO;
	RETRY(fd, openat(dirfd, name, flags));
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EPROTO;
	}
	order_after_open();
	return fd;
}

/* The umask may have taken bits away. */
static int set_mode(int fd, mode_t mode)
{
	int err;

	if (fchmod(fd, mode) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* The way to give it a name leads through /proc. */
int mye_open_tmpfile(int dirfd, mode_t mode)
{
	int fd;

	if (access("/proc/self/fd", X_OK) < 0)
		return -EOPNOTSUPP;
	RETRY(fd, openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
	if (fd < 0)
		/* What kernels and file systems without O_TMPFILE answer. */
		return errno == EISDIR || errno == ENOENT ? -EOPNOTSUPP : -errno;
	return set_mode(fd, mode);
}

int mye_create_excl(int dirfd, const char *name, mode_t mode)
{
	int fd;

	mye_point();
	RETRY(fd, openat(dirfd, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, mode));
	mye_point();
	return fd < 0 ? -errno : set_mode(fd, mode);
}

int mye_link_fd(int fd, int dirfd, const char *name)
{
	char path[40];
	int rc;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	mye_point();
	order_before_link();
	rc = result_of(linkat(AT_FDCWD, path, dirfd, name, AT_SYMLINK_FOLLOW));
	mye_point();
	return rc;
}

int mye_link_at(int dirfd, const char *from, const char *to)
{
	int rc;

	mye_point();
	order_before_link();
	rc = result_of(linkat(dirfd, from, dirfd, to, 0));
	mye_point();
	return rc;
}

int mye_unlink_at(int dirfd, const char *name)
{
	int rc;

	mye_point();
	rc = result_of(unlinkat(dirfd, name, 0));
	mye_point();
	return rc;
}

int mye_fstat(int fd, struct stat *st)
{
	return result_of(fstat(fd, st));
}

int mye_stat_at(int dirfd, const char *name, struct stat *st)
{
	return result_of(fstatat(dirfd, name, st, AT_SYMLINK_NOFOLLOW));
}

int mye_truncate(int fd, uint64_t bytes)
{
	int rc;

	if (bytes > INT64_MAX)
		return -EFBIG;
	mye_point();
	RETRY(rc, ftruncate(fd, (off_t)bytes));
	rc = result_of(rc);
	mye_point();
	return rc;
}

int mye_allocate(int fd, uint64_t bytes)
{
	int rc;

	if (bytes > INT64_MAX)
		return -EFBIG;
	mye_point();
	RETRY(rc, fallocate(fd, 0, 0, (off_t)bytes));
	rc = result_of(rc);
	mye_point();
	return rc;
}

int mye_write_all(int fd, const void *buf, size_t n, uint64_t off)
{
	const char *from = buf;
	ssize_t done;

	mye_point();
	while (n) {
		RETRY(done, pwrite(fd, from, n, (off_t)off));
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		from += done;
		off += (uint64_t)done;
		n -= (size_t)done;
	}
	mye_point();
	return 0;
}

ssize_t mye_read_at(int fd, void *buf, size_t n, uint64_t off)
{
	char *to = buf;
	size_t have = 0;
	ssize_t done;

	while (have < n) {
		RETRY(done, pread(fd, to + have, n - have, (off_t)(off + have)));
		if (done < 0)
			return -errno;
		if (done == 0)
			break;
		have += (size_t)done;
	}
	return (ssize_t)have;
}

int mye_sync(int fd)
{
	int rc;

	RETRY(rc, fsync(fd));
	return result_of(rc);
}

/* Closing may release a lock. EINTR is not retried: Linux has closed it by then. */
void mye_close(int fd)
{
	if (fd < 0)
		return;
	mye_point();
	close(fd);
	mye_point();
}

int mye_statfs(int fd, uint64_t *type, uint64_t *bsize, uint64_t *free_bytes)
{
	struct statfs fs;
	int rc;

	RETRY(rc, fstatfs(fd, &fs));
	if (rc < 0)
		return -errno;
	if (type)
		*type = (uint64_t)fs.f_type & 0xffffffffu;
	if (bsize)
		*bsize = (uint64_t)fs.f_bsize;
	if (free_bytes)
		*free_bytes = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	return 0;
}

bool mye_may_write(int dirfd)
{
	return faccessat(dirfd, ".", W_OK | X_OK, AT_EACCESS) == 0;
}

ssize_t mye_read_text(const char *path, char *buf, size_t cap)
{
	ssize_t n;
	int fd;

	if (!cap)
		return -EINVAL;
	RETRY(fd, open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY));
	if (fd < 0)
		return -errno;
	n = mye_read_at(fd, buf, cap - 1, 0);
	close(fd);
	if (n < 0)
		return n;
	if (n && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return n;
}

char *mye_read_whole(const char *path)
{
	size_t cap = 8192, len = 0;
	char *text = NULL, *more;
	ssize_t n;
	int fd;

	RETRY(fd, open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY));
	if (fd < 0)
		return NULL;
	for (;;) {
		more = realloc(text, cap);
		if (!more)
			break;
		text = more;
		n = mye_read_at(fd, text + len, cap - len - 1, len);
		if (n < 0)
			break;
		len += (size_t)n;
		if (len < cap - 1) {
			text[len] = '\0';
			close(fd);
			return text;
		}
		cap *= 2;
	}
	free(text);
	close(fd);
	return NULL;
}

int mye_write_text(const char *path, const char *text)
{
	size_t n = strlen(text);
	ssize_t done;
	int fd, rc = 0;

	RETRY(fd, open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY));
	if (fd < 0)
		return -errno;
	RETRY(done, write(fd, text, n));
	if (done < 0)
		rc = -errno;
	else if ((size_t)done != n)
		rc = -EIO;
	close(fd);
	return rc;
}

int mye_each_name(int dirfd, int (*fn)(void *ctx, const char *name), void *ctx)
{
	struct dirent *entry;
	int fd, rc = 0;
	DIR *dir;

	/* Of its own: the position of a directory belongs to the open file. */
	RETRY(fd, openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		rc = -errno;
		close(fd);
		return rc;
	}
	while (rc == 0) {
		errno = 0;
		entry = readdir(dir);
		if (!entry) {
			rc = -errno;
			break;
		}
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = fn(ctx, entry->d_name);
	}
	closedir(dir);
	return rc;
}
