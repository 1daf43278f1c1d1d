/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the tests of the loop share: every engine runs every test. */
#ifndef MYELON_TEST_LOOP_KIT_H
#define MYELON_TEST_LOOP_KIT_H

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <myelon/error.h>

#include "kit.h"
#include "sys/sys.h"
#include "wait/loop.h"

static inline enum myelon_engine need_uring(void)
{
	struct mye_loop *l;
	int rc = mye_loop_open(&l, MYELON_ENGINE_URING, 0);

	if (rc == -ENOTSUP)
		kit_skip("uring", myelon_last_error());
	cr_assert_eq(rc, 0, "%s", myelon_last_error());
	mye_loop_close(l);
	return MYELON_ENGINE_URING;
}

static inline enum myelon_engine need_old_kernel(void)
{
	setenv("MYELON_NO_WAITV", "1", 1);
	return MYELON_ENGINE_EPOLL;
}

/* A test with each engine; "old" is epoll without futex_waitv. */
#define LOOP_TEST(name)                                                                            \
	static void name(enum myelon_engine engine);                                               \
	Test(loop_uring, name)                                                                     \
	{                                                                                          \
		name(need_uring());                                                                \
	}                                                                                          \
	Test(loop_epoll, name)                                                                     \
	{                                                                                          \
		name(MYELON_ENGINE_EPOLL);                                                         \
	}                                                                                          \
	Test(loop_old, name)                                                                       \
	{                                                                                          \
		name(need_old_kernel());                                                           \
	}                                                                                          \
	static void name(enum myelon_engine engine)

#define loop_ok(call)                                                                              \
	do {                                                                                       \
		int rc_ = (call);                                                                  \
		cr_assert(rc_ >= 0, "%s: %d, %s", #call, rc_, myelon_last_error());                \
	} while (0)

static inline struct mye_loop *loop_new(enum myelon_engine engine, uint32_t flags)
{
	struct mye_loop *l;

	loop_ok(mye_loop_open(&l, engine, flags));
	cr_assert_eq(mye_loop_engine(l), engine);
	return l;
}

/* Words that forked children share. */
static inline uint32_t *loop_words(size_t n)
{
	uint32_t *w = mmap(NULL, n * sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	                   -1, 0);

	cr_assert_neq(w, MAP_FAILED);
	return w;
}

static inline void loop_ring(uint32_t *word)
{
	/* release: pairs with the acquire of the loop */
	__atomic_add_fetch(word, 1, __ATOMIC_RELEASE);
	mye_futex_wake_all(word);
}

/* One event, under a watchdog. @return its tag, and the events in *events. */
static inline uint64_t loop_next(struct mye_loop *l, uint32_t *events)
{
	struct mye_loop_event e = {0};
	int64_t deadline = kit_deadline(10);
	int n;

	do {
		loop_ok(mye_loop_listen(l));
		n = mye_loop_sleep(l, deadline, &e, 1);
		cr_assert(n >= 0 || n == -EINTR, "%d: %s", n, myelon_last_error());
	} while (n <= 0 && kit_now_ns() < deadline);
	cr_assert_eq(n, 1, "no event");
	if (events)
		*events = e.events;
	return e.tag;
}

/* Nothing is there: sleeps that end before their deadline were for nothing, and there are few. */
static inline void loop_quiet(struct mye_loop *l)
{
	struct mye_loop_event e;
	int64_t deadline = kit_now_ns() + 20000000;

	for (int i = 0; kit_now_ns() < deadline; i++) {
		cr_assert_lt(i, 10, "it does not sleep");
		loop_ok(mye_loop_listen(l));
		int n = mye_loop_sleep(l, deadline, &e, 1);

		/* The end of a ring interrupts a system call of the thread that had it. */
		cr_assert(n == 0 || n == -EINTR, "%d, tag %d, %s", n, (int)e.tag,
		          myelon_last_error());
	}
}

static inline bool loop_readable(struct mye_loop *l)
{
	struct pollfd p = {.fd = mye_loop_fd(l), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* Until it is, under a watchdog. */
static inline bool loop_await_readable(struct mye_loop *l)
{
	struct pollfd p = {.fd = mye_loop_fd(l), .events = POLLIN};
	int64_t deadline = kit_deadline(10);

	while (kit_now_ns() < deadline)
		if (poll(&p, 1, 100) == 1)
			return true;
	return false;
}

#endif
