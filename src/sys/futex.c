/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sys/sys.h"

#define NS_PER_S 1000000000ll

/* Without FUTEX_PRIVATE_FLAG the kernel finds the word by file and offset, wherever it is mapped.
 * The bitset form takes an absolute CLOCK_MONOTONIC time. */
int mye_futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	struct timespec ts, *timeout = NULL;

	if (deadline != INT64_MAX) {
		if (deadline <= 0)
			return -ETIMEDOUT;
		ts.tv_sec = (time_t)(deadline / NS_PER_S);
		ts.tv_nsec = (long)(deadline % NS_PER_S);
		timeout = &ts;
	}
	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, timeout, NULL,
	            FUTEX_BITSET_MATCH_ANY) == 0)
		return 0;
	return -errno;
}

int mye_futex_wake_all(uint32_t *word)
{
	int saved = errno, rc;

	mye_point();
	rc = (int)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	if (rc < 0)
		rc = -errno;
	mye_point();
	errno = saved;
	return rc;
}
