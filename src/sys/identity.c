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

void mye_identity_read(struct mye_identity *out, const struct mye_identity *shared)
{
	*out = (struct mye_identity){
		.pid = __atomic_load_n(&shared->pid, __ATOMIC_RELAXED),
		.tid = __atomic_load_n(&shared->tid, __ATOMIC_RELAXED),
		.start_ticks = __atomic_load_n(&shared->start_ticks, __ATOMIC_RELAXED),
		.pidns = __atomic_load_n(&shared->pidns, __ATOMIC_RELAXED),
		.pidfd_ino = __atomic_load_n(&shared->pidfd_ino, __ATOMIC_RELAXED),
		.boot_id = {__atomic_load_n(&shared->boot_id[0], __ATOMIC_RELAXED),
	                    __atomic_load_n(&shared->boot_id[1], __ATOMIC_RELAXED)},
		.cpu = __atomic_load_n(&shared->cpu, __ATOMIC_RELAXED),
		.uid = __atomic_load_n(&shared->uid, __ATOMIC_RELAXED),
	};
}

void mye_identity_write(struct mye_identity *shared, const struct mye_identity *who)
{
	__atomic_store_n(&shared->pid, who->pid, __ATOMIC_RELAXED);
	__atomic_store_n(&shared->tid, who->tid, __ATOMIC_RELAXED);
	__atomic_store_n(&shared->start_ticks, who->start_ticks, __ATOMIC_RELAXED);
	__atomic_store_n(&shared->pidns, who->pidns, __ATOMIC_RELAXED);
	__atomic_store_n(&shared->pidfd_ino, who->pidfd_ino, __ATOMIC_RELAXED);
	__atomic_store_n(&shared->boot_id[0], who->boot_id[0], __ATOMIC_RELAXED);
	__atomic_store_n(&shared->boot_id[1], who->boot_id[1], __ATOMIC_RELAXED);
	__atomic_store_n(&shared->cpu, who->cpu, __ATOMIC_RELAXED);
	__atomic_store_n(&shared->uid, who->uid, __ATOMIC_RELAXED);
}

bool mye_identity_is_own(const struct mye_identity *who)
{
	return who->pid == mye_pid() && who->pidns == mye_pid_namespace() &&
	       who->start_ticks == mye_start_ticks(0);
}

bool mye_identity_same(const struct mye_identity *a, const struct mye_identity *b)
{
	return a->pid == b->pid && a->start_ticks == b->start_ticks && a->pidns == b->pidns &&
	       a->pidfd_ino == b->pidfd_ino;
}
