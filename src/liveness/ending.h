/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The end of a process as a word: what a reader sleeps on beside its doorbell, and the lease if there is one.
 * Only an event, as everywhere: the verdict is the lock.
 *
 * The word is in an io_uring with one request, a poll of the process's pidfd, which stays in the kernel over many
 * sleeps: a sleep costs one word more in its futex_waitv, and nothing is asked for again after a wake. It
 * works in the thread that opened it; another one opens its own. What it costs is one descriptor, two pages
 * and what the kernel keeps of them, so it is opened only for who sleeps for long.
 *
 * When the process ends, or a watch is closed, the kernel interrupts the system call that the thread is in, once:
 * sleeps on futexes go on by themselves, an epoll_wait() of the application may return EINTR.
 */
#ifndef MYE_LIVENESS_ENDING_H
#define MYE_LIVENESS_ENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "sys/sys.h"

struct mye_ending {
	struct mye_uring *ring; /* NULL: closed */
	uint64_t thread;        /* that opened it */
};

/*
 * Watch the process @p who, from the calling thread. What was watched before is not any more. @return 0; -ESRCH: it
 * has ended; another negative errno: it cannot be watched (our own, another pid namespace, no io_uring, no
 * descriptor).
 */
int mye_ending_open(struct mye_ending *e, const struct mye_identity *who);
void mye_ending_close(struct mye_ending *e);

/* Can the calling thread sleep on it? */
bool mye_ending_is_ours(const struct mye_ending *e);
/* 0 until the process has ended. In memory of this process alone. */
const uint32_t *mye_ending_word(const struct mye_ending *e);
bool mye_ending_came(const struct mye_ending *e);

#endif
