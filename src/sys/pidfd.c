/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Processes as descriptors, and whether a process is still the one that somebody wrote down. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "segment/layout.h"
#include "sys/sys.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#define PIDFS_MAGIC 0x50494446

/* Always close-on-exec. */
int mye_pidfd_open(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd >= 0)
		return fd;
	/* A filter says EPERM, an old kernel ENOSYS; nothing else asks for a permission. */
	return errno == ENOSYS || errno == EPERM ? -ENOTSUP : -errno;
}

uint64_t mye_pidfd_inode(int fd)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) == 0 && (uint64_t)fs.f_type == PIDFS_MAGIC && fstat(fd, &st) == 0)
		return st.st_ino;
	return 0;
}

int mye_pidfds_ended(const int *fds, bool *ended, int n)
{
	struct pollfd p[64];
	int found;

	for (int i = 0; i < n; i++)
		p[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	do {
		found = poll(p, (nfds_t)n, 0);
	} while (found < 0 && errno == EINTR);
	for (int i = 0; i < n; i++)
		ended[i] = found > 0 && p[i].revents != 0;
	return found < 0 ? 0 : found;
}

/* Field 22 of /proc/PID/stat; the name in field 2 may hold anything, so count from its end. */
uint64_t mye_start_ticks(uint32_t pid)
{
	char path[32], text[1024], *at;
	int field;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	else
		snprintf(path, sizeof(path), "/proc/self/stat");
	if (mye_read_text(path, text, sizeof(text)) < 0)
		return 0;
	at = strrchr(text, ')');
	for (field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

uint64_t mye_pid_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

/*
 * The inode is unique for the boot. Where there is none, the start time tells the two apart, but for a
 * pid that is used again within the same tick.
 */
static int same_process(const struct mye_identity *who, int fd)
{
	uint64_t ino = mye_pidfd_inode(fd), ticks;

	if (who->pidfd_ino && ino)
		return who->pidfd_ino == ino ? 0 : -ESRCH;
	ticks = mye_start_ticks(who->pid);
	if (!ticks || !who->start_ticks)
		return -EACCES;
	return ticks == who->start_ticks ? 0 : -ESRCH;
}

int mye_pidfd_of(const struct mye_identity *who)
{
	uint64_t boot[2];
	int fd, rc;

	mye_boot_id(boot);
	if (!who->pidns || who->pidns != mye_pid_namespace() || boot[0] != who->boot_id[0] ||
	    boot[1] != who->boot_id[1])
		return -EXDEV;
	if (who->pid == 0 || who->pid > INT32_MAX)
		return -ESRCH;
	fd = mye_pidfd_open((pid_t)who->pid);
	if (fd < 0)
		return fd;
	rc = same_process(who, fd);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

int mye_pidfd_take(int pidfd, int number)
{
	int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);

	return fd < 0 ? -errno : fd;
}

int mye_uid_of(uint32_t pid, uint32_t *uid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%u", pid);
	if (stat(path, &st) < 0)
		return -errno;
	*uid = st.st_uid;
	return 0;
}
