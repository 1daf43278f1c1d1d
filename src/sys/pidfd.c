/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Processes as descriptors, and the descriptors of other processes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "segment/layout.h"
#include "sys/sys.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

uint64_t mye_start_ticks_of(uint32_t pid)
{
	char path[64], text[1024], *at;
	int field;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	if (mye_read_text(path, text, sizeof(text)) < 0)
		return 0;
	/* Field 22; the name in field 2 may hold anything, so count from its end. */
	at = strrchr(text, ')');
	for (field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

int mye_pidfd_open_pid(uint32_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);

	return fd < 0 ? -errno : fd;
}

/* Our view of the number: only in the same namespace does it mean the same process. */
static bool same_pidns(const struct mye_identity *who)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == who->pidns;
}

int mye_pidfd_open(const struct mye_identity *shared)
{
	struct mye_identity who = *shared;
	int fd;

	if (!who.pid || who.pid > INT32_MAX || !same_pidns(&who))
		return -ESRCH;
	fd = mye_pidfd_open_pid(who.pid);
	if (fd < 0)
		return fd;
	/* Looked at behind the open: the number cannot change its owner any more. */
	if (!who.start_ticks || mye_start_ticks_of(who.pid) != who.start_ticks) {
		close(fd);
		return -ESRCH;
	}
	return fd;
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
