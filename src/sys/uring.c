/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * io_uring over liburing, as far as waiting needs it. The ring belongs to the thread that made it
 * (SINGLE_ISSUER), and completions are made by that thread only when it asks (DEFER_TASKRUN): a wake
 * signals the registered eventfd in the context of the waker, and interrupts nobody's system call.
 */
#include <errno.h>
#include <stdlib.h>

#include "sys/sys.h"

#ifdef MYE_HAVE_LIBURING

#include <liburing.h>
#include <poll.h>

#define ENTRIES 64 /* as many can be queued between two enters; completions may be any number */
#define NS_PER_S 1000000000ll
#define FOREVER_S 3600

/* Younger than the headers of some systems. */
#define OP_FUTEX_WAIT 51
#define WORD_32 2 /* FUTEX2_SIZE_U32: 32 bits, shared */
#define MATCH_ANY 0xffffffffu

struct mye_uring {
	struct io_uring ring;
};

static int has_futex(struct io_uring *ring)
{
	static int known; /* 0: not asked yet; the kernel does not change */
	struct io_uring_probe *probe;
	int answer = __atomic_load_n(&known, __ATOMIC_RELAXED);

	if (!answer) {
		probe = io_uring_get_probe_ring(ring);
		if (!probe)
			return -ENOMEM;
		answer = io_uring_opcode_supported(probe, OP_FUTEX_WAIT) ? 1 : -EOPNOTSUPP;
		io_uring_free_probe(probe);
		__atomic_store_n(&known, answer, __ATOMIC_RELAXED);
	}
	return answer < 0 ? answer : 0;
}

/*
 * For ThreadSanitizer only: liburing maps and unmaps by system calls that it does not see, so a ring at
 * the place of one that another thread closed looks like the same memory. The kernel orders the two.
 */
static uint32_t unmapped;

static void unmap(struct mye_uring *r)
{
	/* Release: pairs with the acquire in mye_uring_open(). */
	__atomic_fetch_add(&unmapped, 1, __ATOMIC_RELEASE);
	io_uring_queue_exit(&r->ring);
	free(r);
}

int mye_uring_open(struct mye_uring **out, int event_fd)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
	                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL};
	struct mye_uring *r = malloc(sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	rc = io_uring_queue_init_params(ENTRIES, &r->ring, &params);
	if (rc < 0) {
		free(r);
		return rc;
	}
	/* Acquire: pairs with the release in unmap(), which came before its place was free. */
	(void)__atomic_load_n(&unmapped, __ATOMIC_ACQUIRE);
	rc = io_uring_ring_dontfork(&r->ring);
	if (rc == 0)
		rc = has_futex(&r->ring);
	if (rc == 0 && event_fd >= 0)
		rc = io_uring_register_eventfd(&r->ring, event_fd);
	if (rc < 0) {
		unmap(r);
		return rc;
	}
	*out = r;
	return r->ring.ring_fd;
}

/*
 * Without DEFER_TASKRUN: a completion interrupts the thread, wherever it sleeps. The position in the ring
 * of completions is the word: the kernel raises it when there is one.
 */
int mye_uring_open_ending(struct mye_uring **out, int pidfd)
{
	struct io_uring_params params = {0};
	struct mye_uring *r = malloc(sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	rc = io_uring_queue_init_params(1, &r->ring, &params);
	if (rc < 0) {
		free(r);
		return rc;
	}
	/* Acquire: pairs with the release in unmap(), which came before its place was free. */
	(void)__atomic_load_n(&unmapped, __ATOMIC_ACQUIRE);
	rc = io_uring_ring_dontfork(&r->ring);
	if (rc == 0)
		rc = mye_uring_poll(r, pidfd, POLLIN, 0);
	if (rc == 0)
		rc = mye_uring_submit(r);
	if (rc < 0) {
		unmap(r);
		return rc;
	}
	*out = r;
	return r->ring.ring_fd;
}

const uint32_t *mye_uring_ending(const struct mye_uring *r)
{
	return r->ring.cq.ktail;
}

int mye_uring_close(struct mye_uring *r)
{
	int fd = r->ring.ring_fd;

	r->ring.ring_fd = -1;
	unmap(r);
	return fd;
}

int mye_uring_futex(struct mye_uring *r, const uint32_t *word, uint32_t value, uint64_t data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->ring);

	if (!sqe)
		return -EAGAIN;
	/* By hand: liburing has a helper from 2.6 on. */
	io_uring_prep_rw(OP_FUTEX_WAIT, sqe, WORD_32, word, 0, value);
	sqe->addr3 = MATCH_ANY;
	sqe->user_data = data;
	return 0;
}

int mye_uring_poll(struct mye_uring *r, int fd, uint32_t events, uint64_t data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->ring);

	if (!sqe)
		return -EAGAIN;
	io_uring_prep_poll_add(sqe, fd, events);
	sqe->user_data = data;
	return 0;
}

int mye_uring_cancel(struct mye_uring *r, uint64_t which, uint64_t data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->ring);

	if (!sqe)
		return -EAGAIN;
	io_uring_prep_cancel64(sqe, which, 0);
	sqe->user_data = data;
	return 0;
}

bool mye_uring_is_idle(struct mye_uring *r)
{
	unsigned int flags = IO_URING_READ_ONCE(*r->ring.sq.kflags);

	/* The flag for work to do may stay behind when there is none any more. */
	return !(flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) &&
	       !io_uring_cq_ready(&r->ring) && !io_uring_sq_ready(&r->ring);
}

/* @return what is left, in *ts. */
static bool timeout_of(int64_t deadline, struct __kernel_timespec *ts)
{
	int64_t left;

	if (deadline == INT64_MAX) {
		/* Never none: with one, liburing returns after a signal. */
		*ts = (struct __kernel_timespec){.tv_sec = FOREVER_S};
		return true;
	}
	left = deadline - mye_now();
	if (deadline <= 0 || left <= 0)
		return false;
	ts->tv_sec = left / NS_PER_S;
	ts->tv_nsec = left % NS_PER_S;
	return true;
}

int mye_uring_submit(struct mye_uring *r)
{
	int rc = io_uring_submit(&r->ring);

	return rc < 0 ? rc : 0;
}

int mye_uring_enter(struct mye_uring *r, int64_t deadline)
{
	struct __kernel_timespec ts;
	struct io_uring_cqe *cqe = NULL;
	int rc;

	if (!timeout_of(deadline, &ts)) {
		rc = io_uring_submit_and_get_events(&r->ring);
		return rc < 0 ? rc : deadline > 0 ? -ETIMEDOUT : 0;
	}
	rc = io_uring_submit_and_wait_timeout(&r->ring, &cqe, 1, &ts, NULL);
	if (rc < 0 && rc != -ETIME)
		return rc;
	if (cqe || io_uring_sq_ready(&r->ring))
		return 0;
	/* The kernel tells what was submitted in the same call, and not how the wait ended. */
	return mye_now() < deadline ? -EINTR : -ETIMEDOUT;
}

int mye_uring_reap(struct mye_uring *r, struct mye_uring_done *done, int max)
{
	struct io_uring_cqe *cqes[MYE_URING_REAP];
	unsigned int n;

	if (max > MYE_URING_REAP)
		max = MYE_URING_REAP;
	/* Asks the kernel for more when it is empty and the kernel has more. */
	n = io_uring_peek_batch_cqe(&r->ring, cqes, (unsigned int)max);
	for (unsigned int i = 0; i < n; i++)
		done[i] =
			(struct mye_uring_done){.data = cqes[i]->user_data, .result = cqes[i]->res};
	io_uring_cq_advance(&r->ring, n);
	return (int)n;
}

#else

int mye_uring_open(struct mye_uring **out, int event_fd)
{
	(void)out;
	(void)event_fd;
	return -ENOPKG;
}

int mye_uring_open_ending(struct mye_uring **out, int pidfd)
{
	return mye_uring_open(out, pidfd);
}

const uint32_t *mye_uring_ending(const struct mye_uring *r)
{
	(void)r;
	return NULL;
}

int mye_uring_close(struct mye_uring *r)
{
	(void)r;
	return -1;
}

int mye_uring_futex(struct mye_uring *r, const uint32_t *word, uint32_t value, uint64_t data)
{
	(void)r;
	(void)word;
	(void)value;
	(void)data;
	return -ENOTSUP;
}

int mye_uring_poll(struct mye_uring *r, int fd, uint32_t events, uint64_t data)
{
	(void)r;
	(void)fd;
	(void)events;
	(void)data;
	return -ENOTSUP;
}

int mye_uring_cancel(struct mye_uring *r, uint64_t which, uint64_t data)
{
	(void)r;
	(void)which;
	(void)data;
	return -ENOTSUP;
}

bool mye_uring_is_idle(struct mye_uring *r)
{
	(void)r;
	return true;
}

int mye_uring_submit(struct mye_uring *r)
{
	(void)r;
	return -ENOTSUP;
}

int mye_uring_enter(struct mye_uring *r, int64_t deadline)
{
	(void)r;
	(void)deadline;
	return -ENOTSUP;
}

int mye_uring_reap(struct mye_uring *r, struct mye_uring_done *done, int max)
{
	(void)r;
	(void)done;
	(void)max;
	return 0;
}

#endif
