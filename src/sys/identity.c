/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "segment/layout.h"
#include "sys/sys.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#define PIDFS_MAGIC 0x50494446

uint32_t mye_pid(void)
{
	return (uint32_t)getpid();
}

uint32_t mye_tid(void)
{
	return (uint32_t)syscall(SYS_gettid);
}

uint32_t mye_euid(void)
{
	return (uint32_t)geteuid();
}

const char *mye_env(const char *name)
{
	/* Nothing in a program that runs with more rights than its caller. */
	const char *value = secure_getenv(name);

	return value && *value ? value : NULL;
}

int mye_random(void *buf, size_t n)
{
	char *to = buf;
	ssize_t got;

	while (n) {
		got = getrandom(to, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		to += got;
		n -= (size_t)got;
	}
	return 0;
}

/* Before 6.9 all pidfds share one anonymous inode, which tells nothing. */
static uint64_t pidfd_inode(void)
{
	uint64_t ino = 0;
	struct statfs fs;
	struct stat st;
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (fd < 0)
		return 0;
	if (fstatfs(fd, &fs) == 0 && (uint64_t)fs.f_type == PIDFS_MAGIC && fstat(fd, &st) == 0)
		ino = st.st_ino;
	close(fd);
	return ino;
}

static void boot_id(uint64_t out[2])
{
	char text[64], digits[33];
	size_t n = 0;
	const char *at;

	out[0] = out[1] = 0;
	if (mye_read_text("/proc/sys/kernel/random/boot_id", text, sizeof(text)) < 0)
		return;
	for (at = text; *at && n < 32; at++)
		if (*at != '-')
			digits[n++] = *at;
	digits[n] = '\0';
	if (n != 32)
		return;
	out[1] = strtoull(digits + 16, NULL, 16);
	digits[16] = '\0';
	out[0] = strtoull(digits, NULL, 16);
}

void mye_identify(struct mye_identity *out)
{
	struct stat st;
	int pinned;

	memset(out, 0, sizeof(*out));
	out->pid = mye_pid();
	out->tid = mye_tid();
	out->uid = mye_euid();
	out->start_ticks = mye_start_ticks_of(out->pid);
	out->pidfd_ino = pidfd_inode();
	if (stat("/proc/self/ns/pid", &st) == 0)
		out->pidns = st.st_ino;
	boot_id(out->boot_id);
	mye_affinity(&pinned);
	out->cpu = pinned;
}
