/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <sys/epoll.h>

#include "kit.h"

int kit_epoll_one(int epoll, int ms)
{
	struct epoll_event got;
	int n;

	do
		n = epoll_wait(epoll, &got, 1, ms);
	while (n < 0 && errno == EINTR);
	return n;
}
