/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

/* The C library's headers may be older than the kernel; these numbers are the same everywhere. */
enum {
	IO_URING_SETUP = 425,
	IO_URING_REGISTER = 427,
	PIDFD_OPEN = 434,
	PIDFD_GETFD = 438,
	WAIT_ON_SEVERAL = 449,
	WAKE_BY_SIZE = 454,
};
enum { URING_PROBE = 8, URING_FUTEX_WAIT = 51, URING_OPS = 64, URING_OP_SUPPORTED = 1 };

/* The query interrupts nobody. */
int probe_membarrier(void)
{
	const long needed =
		MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	if (commands < 0)
		return -errno;
	return (commands & needed) == needed ? 0 : -ENOSYS;
}

/* As struct io_uring_probe, which older headers lack. */
struct uring_ops {
	uint8_t last, count;
	uint16_t reserved[7];
	struct {
		uint8_t op, reserved;
		uint16_t flags;
		uint32_t more;
	} op[URING_OPS];
};

int probe_io_uring(void)
{
	unsigned char params[256] = {0}; /* struct io_uring_params is 120 bytes */
	struct uring_ops ops = {0};
	long fd = syscall(IO_URING_SETUP, 1, params);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (syscall(IO_URING_REGISTER, (int)fd, URING_PROBE, &ops, URING_OPS) < 0)
		rc = errno == EINVAL ? -EOPNOTSUPP : -errno;
	else if (!(ops.op[URING_FUTEX_WAIT].flags & URING_OP_SUPPORTED))
		rc = -EOPNOTSUPP;
	close((int)fd);
	return rc;
}

/* Nothing to wait for, and no word to wake: the kernel that knows the call says EINVAL. */
int probe_futex_waitv(void)
{
	if (syscall(WAIT_ON_SEVERAL, NULL, 0, 0, NULL, 0) >= 0 || errno == EINVAL)
		return 0;
	return -errno;
}

int probe_futex2(void)
{
	if (syscall(WAKE_BY_SIZE, NULL, 0, 0, ~0u) >= 0 || errno == EINVAL || errno == EFAULT)
		return 0;
	return -errno;
}

int probe_pidfd(void)
{
	long fd = syscall(PIDFD_OPEN, getpid(), 0);

	if (fd < 0)
		return -errno;
	close((int)fd);
	return 0;
}

/* In a child: take a descriptor of the process @pid. */
static int take_from(pid_t pid)
{
	long of = syscall(PIDFD_OPEN, pid, 0);

	if (of < 0)
		return errno;
	return syscall(PIDFD_GETFD, (int)of, STDERR_FILENO, 0) < 0 ? errno : 0;
}

int probe_pidfd_getfd(void)
{
	pid_t self = getpid(), child = fork();
	int status;

	if (child == 0)
		_exit(take_from(self));
	if (child < 0)
		return -errno;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (!WIFEXITED(status))
		return -EPERM; /* a filter that kills */
	/* Somebody closed our stderr, which is as good. */
	return WEXITSTATUS(status) == EBADF ? 0 : -WEXITSTATUS(status);
}

static int on_a_page(long (*call)(void *page, size_t bytes))
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	int rc;

	if (page == MAP_FAILED)
		return -errno;
	rc = call(page, bytes) < 0 ? -errno : 0;
	munmap(page, bytes);
	return rc;
}

/* The default policy, which it has. */
static long default_policy(void *page, size_t bytes)
{
	return syscall(SYS_mbind, page, bytes, 0, NULL, 0, 0);
}

int probe_mbind(void)
{
	return on_a_page(default_policy);
}

/* Where is it? Nothing is moved. */
static long where_is(void *page, size_t bytes)
{
	int node = -1;

	(void)bytes;
	return syscall(SYS_move_pages, 0, 1, &page, NULL, &node, 0);
}

int probe_move_pages(void)
{
	return on_a_page(where_is);
}

/* Asked for all, the kernel grants what the cpuset has; then back to what it was. */
void probe_cpus(struct doctor_set *cpus)
{
	size_t bytes = CPU_ALLOC_SIZE(DOCTOR_SET_BITS);
	cpu_set_t *before = CPU_ALLOC(DOCTOR_SET_BITS), *all = CPU_ALLOC(DOCTOR_SET_BITS);

	memset(cpus, 0, sizeof(*cpus));
	if (before && all && sched_getaffinity(0, bytes, before) == 0) {
		memset(all, 0xff, bytes);
		if (sched_setaffinity(0, bytes, all) < 0 || sched_getaffinity(0, bytes, all) < 0)
			memcpy(all, before, bytes);
		sched_setaffinity(0, bytes, before);
		for (unsigned i = 0; i < DOCTOR_SET_BITS; i++) {
			if (CPU_ISSET_S(i, bytes, all))
				doctor_set_add(cpus, i);
		}
	}
	CPU_FREE(before);
	CPU_FREE(all);
}
