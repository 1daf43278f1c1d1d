/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "sys/sys.h"

#define NS_PER_S 1000000000ll

int mye_timerfd_create(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static struct timespec to_timespec(int64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S),
	                         .tv_nsec = (long)(ns % NS_PER_S)};
}

int mye_timerfd_set(int fd, int64_t first, int64_t period)
{
	struct itimerspec its = {0};

	if (first != INT64_MAX) {
		/* All zero would disarm it. */
		its.it_value = to_timespec(first > 0 ? first : 1);
		its.it_interval = to_timespec(period > 0 ? period : 0);
	}
	return timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL) < 0 ? -errno : 0;
}

void mye_timerfd_clear(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}
