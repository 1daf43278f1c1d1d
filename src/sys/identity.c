/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "segment/layout.h"
#include "sys/sys.h"

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

static uint64_t own_pidfd_inode(void)
{
	int fd = mye_pidfd_open((pid_t)mye_pid());
	uint64_t ino = fd < 0 ? 0 : mye_pidfd_inode(fd);

	if (fd >= 0)
		close(fd);
	return ino;
}

void mye_boot_id(uint64_t out[2])
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
	int pinned;

	memset(out, 0, sizeof(*out));
	out->pid = mye_pid();
	out->tid = mye_tid();
	out->uid = mye_euid();
	out->start_ticks = mye_start_ticks(0);
	out->pidfd_ino = own_pidfd_inode();
	out->pidns = mye_pid_namespace();
	mye_boot_id(out->boot_id);
	mye_affinity(&pinned);
	out->cpu = pinned;
}
