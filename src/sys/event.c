/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Sleeping for several things: eventfd, epoll, futex_waitv. */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sys/sys.h"

#define NS_PER_S 1000000000ll

/* Younger than the headers of some systems. */
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
#define WORD_32 2u /* FUTEX_32, FUTEX2_SIZE_U32: 32 bits, shared */

/* struct futex_waitv of the kernel. */
struct waiter {
	uint64_t value, address;
	uint32_t flags, reserved;
};

/* A filter that does not know a call answers EPERM, newer ones ENOSYS. */
static bool is_missing(int error)
{
	return error == ENOSYS || error == EPERM || error == EACCES;
}

int mye_event_open(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

void mye_event_poke(int fd)
{
	uint64_t one = 1;
	int saved = errno;
	ssize_t n;

	mye_point();
	/* Full means readable, which is all that is wanted. */
	do
		n = write(fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
	mye_point();
	errno = saved;
}

bool mye_event_drain(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

bool mye_is_eventfd(int fd)
{
	char path[64], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return !strcmp(target, "anon_inode:[eventfd]");
}

int mye_epoll_open(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int control(int epoll, int operation, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event e = {.events = events, .data = {.u64 = data}};

	return epoll_ctl(epoll, operation, fd, &e) < 0 ? -errno : 0;
}

int mye_epoll_add(int epoll, int fd, uint32_t events, uint64_t data)
{
	return control(epoll, EPOLL_CTL_ADD, fd, events, data);
}

int mye_epoll_change(int epoll, int fd, uint32_t events, uint64_t data)
{
	return control(epoll, EPOLL_CTL_MOD, fd, events, data);
}

int mye_epoll_remove(int epoll, int fd)
{
	return control(epoll, EPOLL_CTL_DEL, fd, 0, 0);
}

static int wait_in_two_steps(int epoll, struct epoll_event *events, int max,
                             const struct timespec *timeout)
{
	struct pollfd p = {.fd = epoll, .events = POLLIN};
	int rc = ppoll(&p, 1, timeout, NULL);

	/* epoll_wait() itself knows milliseconds only. */
	return rc > 0 ? epoll_wait(epoll, events, max, 0) : rc;
}

int mye_epoll_wait(int epoll, int64_t deadline, struct epoll_event *events, int max)
{
	static bool missing;
	struct timespec ts = {0}, *timeout = &ts;
	int64_t left;
	int rc;

	if (deadline == INT64_MAX) {
		timeout = NULL;
	} else if (deadline > 0) {
		left = deadline - mye_now();
		left = left < 0 ? 0 : left;
		ts.tv_sec = (time_t)(left / NS_PER_S);
		ts.tv_nsec = (long)(left % NS_PER_S);
	}
	if (timeout && !ts.tv_sec && !ts.tv_nsec) {
		rc = epoll_wait(epoll, events, max, 0);
	} else if (__atomic_load_n(&missing, __ATOMIC_RELAXED)) {
		rc = wait_in_two_steps(epoll, events, max, timeout);
	} else {
		rc = (int)syscall(SYS_epoll_pwait2, epoll, events, max, timeout, NULL, 0);
		if (rc < 0 && is_missing(errno)) {
			__atomic_store_n(&missing, true, __ATOMIC_RELAXED);
			rc = wait_in_two_steps(epoll, events, max, timeout);
		}
	}
	return rc < 0 ? -errno : rc;
}

/* A test build can do as if the kernel had none. */
static bool waitv_is_off(void)
{
#ifdef MYE_TEST_POINTS
	return getenv("MYELON_NO_WAITV") != NULL;
#else
	return false;
#endif
}

int mye_futex_waitv(const struct mye_futex *words, unsigned int n, int64_t deadline)
{
	static bool missing;
	struct waiter waiters[MYE_FUTEX_WAITV_MAX];
	struct timespec ts, *timeout = NULL;
	long rc;

	if (n > MYE_FUTEX_WAITV_MAX)
		return -EINVAL;
	if (__atomic_load_n(&missing, __ATOMIC_RELAXED) || waitv_is_off())
		return -ENOSYS;
	for (unsigned int i = 0; i < n; i++)
		waiters[i] =
			(struct waiter){.value = words[i].value,
		                        .address = (uintptr_t)words[i].word,
		                        .flags = WORD_32 | (words[i].own ? FUTEX_PRIVATE_FLAG : 0)};
	if (deadline != INT64_MAX) {
		if (deadline <= 0)
			return -ETIMEDOUT;
		ts.tv_sec = (time_t)(deadline / NS_PER_S);
		ts.tv_nsec = (long)(deadline % NS_PER_S);
		timeout = &ts;
	}
	rc = syscall(SYS_futex_waitv, waiters, n, 0, timeout, CLOCK_MONOTONIC);
	if (rc >= 0)
		return 0;
	if (is_missing(errno)) {
		__atomic_store_n(&missing, true, __ATOMIC_RELAXED);
		return -ENOSYS;
	}
	return -errno;
}
