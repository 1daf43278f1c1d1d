/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <sys/timerfd.h>

#include "sys/sys.h"

#define NS_PER_S 1000000000ll

int mye_timerfd_create(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int mye_timerfd_set(int fd, int64_t at)
{
	struct itimerspec when = {.it_value = {0}};

	if (at != INT64_MAX) {
		/* All zero would be never. */
		if (at < 1)
			at = 1;
		when.it_value.tv_sec = (time_t)(at / NS_PER_S);
		when.it_value.tv_nsec = (long)(at % NS_PER_S);
	}
	return timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL) == 0 ? 0 : -errno;
}
