/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What becomes of a consumer's descriptor: io_uring is denied later, fork, limits, a thousand of them. */
#include "descriptor_kit.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#ifndef SYS_io_uring_enter
#define SYS_io_uring_enter 426
#endif

static int lose_uring(void *arg)
{
	uint64_t value = 0;
	struct pair t;

	(void)arg;
	if (try_open(&t, MYELON_ENGINE_URING) < 0)
		return 1;
	publish(&t, 1);
	if (!readable(&t, HANG_MS) || take(&t, &value) != 1 || take(&t, &value) != -EAGAIN)
		return 2;
	if (kit_deny(SYS_io_uring_enter, EPERM) < 0)
		return 3;
	for (uint64_t i = 0; i < 100; i++) {
		publish(&t, i);
		if (!readable(&t, HANG_MS))
			return 4;
		while (take(&t, &value) != -EAGAIN)
			if (value != i)
				return 5;
	}
	if (myelon_consumer_fd_engine(t.c) != MYELON_ENGINE_DIRECT)
		return 6;
	close_pair(&t);
	return 0;
}

Test(descriptor, goes_on_without_io_uring_when_that_is_denied_later)
{
	struct kit_actor child;

	if (!has(MYELON_ENGINE_URING))
		kit_skip("uring", myelon_last_error());
	cr_assert_eq(kit_fork(&child, lose_uring, NULL), 0);
	cr_assert_eq(kit_wait(&child, 30), 0);
}

static int use_in_child(void *arg)
{
	struct pair *t = arg;
	struct pollfd p = {.fd = t->fd, .events = POLLIN};
	uint64_t value;
	struct pair own;

	if (myelon_consumer_fd(t->c, NULL) != -EPERM || take(t, &value) != -EPERM)
		return 1;
	if (poll(&p, 1, 0) != 1 || p.revents != POLLNVAL)
		return 2;
	myelon_consumer_close(t->c);
	myelon_producer_close(t->p);
	/* One of its own, keeper and all. */
	if (try_open(&own, MYELON_ENGINE_PROXY) < 0)
		return 3;
	publish(&own, 1);
	if (!readable(&own, HANG_MS) || take(&own, &value) != 1)
		return 4;
	close_pair(&own);
	return 0;
}

Test(descriptor, a_forked_child_has_none_and_may_make_its_own)
{
	EACH_ENGINE(e)
	{
		struct kit_actor child;
		struct pair t;

		open_pair(&t, e);
		cr_assert_eq(kit_fork(&child, use_in_child, &t), 0);
		cr_assert_eq(kit_wait(&child, 30), 0);
		publish(&t, 1);
		cr_assert(readable(&t, HANG_MS));
		drain(&t);
		close_pair(&t);
	}
}

Test(descriptor, the_descriptor_limit_is_an_error_and_leaves_nothing)
{
	EACH_ENGINE(e)
	{
		struct rlimit before, now;
		struct pair t;
		int fds, rc, tries = 0;

		kit_ring_name(t.name, "fd");
		cr_assert_eq(myelon_producer_create(&t.p, t.name, NULL), 0);
		cr_assert_eq(myelon_consumer_attach(&t.c, t.name, NULL), 0);
		fds = kit_open_fds();
		cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
		/* The numbers below may have gaps; one more each time until it fits. */
		for (now = before, now.rlim_cur = (rlim_t)fds;; now.rlim_cur++) {
			cr_assert_eq(setrlimit(RLIMIT_NOFILE, &now), 0);
			rc = myelon_consumer_fd(t.c, &MYELON_FD_OPTS(.engine = e));
			setrlimit(RLIMIT_NOFILE, &before);
			if (rc >= 0)
				break;
			cr_assert(rc == -EMFILE || (e == MYELON_ENGINE_URING && rc == -ENOTSUP),
			          "%d: %s", rc, myelon_last_error());
			cr_assert_eq(kit_open_fds(), fds);
			cr_assert_lt(++tries, 64);
		}
		cr_assert_gt(tries, 0);
		close_pair(&t);
	}
}

Test(descriptor, a_thousand_of_them_leave_no_descriptor_and_no_thread, .timeout = 120)
{
	EACH_ENGINE(e)
	{
		struct myelon_keeper_info info = {.size = sizeof(info)};
		int fds = kit_open_fds();

		for (int i = 0; i < 334; i++) {
			struct pair t;

			open_pair(&t, e);
			publish(&t, 1);
			drain(&t);
			close_pair(&t);
		}
		cr_assert_eq(kit_open_fds(), fds);
		myelon_keeper_info(&info);
		cr_assert_eq(info.running, 0);
		cr_assert_eq(info.proxies, 0);
	}
}
