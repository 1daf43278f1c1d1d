/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "liveness/ending.h"

#include <errno.h>

#include "base/handle.h"
#include "segment/layout.h"
#include "wait/loop.h"

/* Of the calling thread, and of no other one that ever was. */
static uint64_t this_thread(void)
{
	static _Thread_local uint64_t own;
	static uint64_t last;

	if (!own)
		own = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
	return own;
}

static int open_ring(struct mye_ending *e, int pidfd)
{
	int rc;

	mye_fork_enter();
	rc = mye_fork_keep(mye_uring_open_ending(&e->ring, pidfd));
	if (rc < 0 && e->ring) {
		mye_uring_close(e->ring); /* its descriptor found no place in the table */
		e->ring = NULL;
	}
	mye_fork_leave();
	return rc < 0 ? rc : 0;
}

int mye_ending_open(struct mye_ending *e, const struct mye_identity *who)
{
	int pidfd, rc;

	mye_ending_close(e);
	if (mye_identity_is_own(who))
		return -EDEADLK;
	if (mye_engine_from_env() == MYELON_ENGINE_EPOLL)
		return -ENOTSUP;
	pidfd = mye_fork_open_pidfd(who);
	if (pidfd < 0)
		return pidfd;
	rc = open_ring(e, pidfd);
	mye_fork_close(pidfd);
	e->thread = this_thread();
	return rc;
}

void mye_ending_close(struct mye_ending *e)
{
	if (!e->ring)
		return;
	mye_fork_close(mye_uring_close(e->ring));
	e->ring = NULL;
}

bool mye_ending_is_ours(const struct mye_ending *e)
{
	return e->ring && e->thread == this_thread();
}

const uint32_t *mye_ending_word(const struct mye_ending *e)
{
	return mye_uring_ending(e->ring);
}

bool mye_ending_came(const struct mye_ending *e)
{
	return e->ring && __atomic_load_n(mye_ending_word(e), __ATOMIC_RELAXED) != 0;
}
