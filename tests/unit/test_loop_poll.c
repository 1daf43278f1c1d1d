/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The descriptor of a loop, in somebody else's poll or epoll set. */
#include "loop_kit.h"

#include <sys/wait.h>

LOOP_TEST(wake_makes_the_descriptor_readable_and_the_sleep_drains_it)
{
	struct mye_loop *l = loop_new(engine, MYE_LOOP_POLLABLE);
	struct mye_loop_event e;

	loop_ok(mye_loop_arm(l));
	cr_assert_not(loop_readable(l));
	mye_loop_wake(l);
	cr_assert(loop_await_readable(l));
	cr_assert_eq(mye_loop_sleep(l, MYELON_TRY, &e, 1), 0);
	cr_assert_eq(mye_loop_sleep(l, MYELON_TRY, &e, 1), 0);
	loop_ok(mye_loop_arm(l));
	cr_assert_not(loop_readable(l));
	mye_loop_close(l);
}

LOOP_TEST(descriptor_stays_readable_while_something_is_unreported)
{
	struct mye_loop *l = loop_new(engine, MYE_LOOP_POLLABLE);
	uint32_t *word = loop_words(100);
	struct mye_loop_event e[7];
	int got = 0;

	for (uint64_t i = 0; i < 100; i++)
		loop_ok(mye_loop_add_word(l, word + i, i));
	loop_ok(mye_loop_listen(l));
	loop_ok(mye_loop_arm(l));
	for (int i = 0; i < 100; i++)
		loop_ring(word + i);
	while (got < 100) {
		cr_assert(loop_await_readable(l));
		int n = mye_loop_sleep(l, MYELON_TRY, e, 7);

		cr_assert_geq(n, 0);
		got += n;
	}
	/* A helper may still tell of what was reported. */
	for (int i = 0; i < 1000 && loop_readable(l); i++) {
		cr_assert_eq(mye_loop_sleep(l, MYELON_TRY, e, 7), 0);
		usleep(100);
	}
	loop_ok(mye_loop_arm(l));
	cr_assert_not(loop_readable(l));
	mye_loop_close(l);
}

/* The other side of a loop that is in somebody's epoll set. */
static void serve_in_epoll(enum myelon_engine engine, uint32_t trigger)
{
	struct mye_loop *l = loop_new(engine, MYE_LOOP_POLLABLE);
	struct epoll_event want = {.events = EPOLLIN | trigger};
	int epoll = epoll_create1(EPOLL_CLOEXEC), fd = eventfd(0, EFD_CLOEXEC), n;
	uint32_t *word = loop_words(1), served = 0;
	struct mye_loop_event e;
	struct kit_page *page = kit_page_create();
	/* Without futex_waitv a word takes up to 10 ms. */
	uint32_t total = getenv("MYELON_NO_WAITV") ? 50 : 2000;
	pid_t pid;

	loop_ok(mye_loop_add_word(l, word, 1));
	loop_ok(mye_loop_add_fd(l, fd, EPOLLIN, 2));
	cr_assert_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, mye_loop_fd(l), &want), 0);
	pid = fork();
	if (pid == 0) {
		for (uint32_t i = 1; i <= total; i++) {
			/* One at a time, through the word and the descriptor by turns. */
			if (i % 2)
				loop_ring(word);
			else
				eventfd_write(fd, 1);
			if (!kit_await(page, 0, i, 20))
				_exit(1);
		}
		_exit(0);
	}
	while (served < total) {
		loop_ok(mye_loop_listen(l));
		while ((n = mye_loop_sleep(l, MYELON_TRY, &e, 1)) > 0) {
			if (e.tag == 2)
				eventfd_read(fd, &(eventfd_t){0});
			kit_set(page, 0, ++served);
		}
		cr_assert_eq(n, 0);
		loop_ok(mye_loop_arm(l));
		if (served < total)
			cr_assert_eq(kit_epoll_one(epoll, 20000), 1, "after %u", served);
	}
	cr_assert_eq(waitpid(pid, &n, 0), pid);
	cr_assert_eq(n, 0);
	mye_loop_close(l);
	close(epoll);
	close(fd);
	kit_page_destroy(page);
}

LOOP_TEST(descriptor_works_in_a_level_triggered_set)
{
	serve_in_epoll(engine, 0);
}

LOOP_TEST(descriptor_works_in_an_edge_triggered_set)
{
	serve_in_epoll(engine, EPOLLET);
}

LOOP_TEST(descriptor_left_ready_makes_an_edge_again_when_armed)
{
	struct mye_loop *l = loop_new(engine, MYE_LOOP_POLLABLE);
	struct epoll_event want = {.events = EPOLLIN | EPOLLET};
	int epoll = epoll_create1(EPOLL_CLOEXEC), fd = eventfd(1, EFD_CLOEXEC);
	struct mye_loop_event e;

	loop_ok(mye_loop_add_fd(l, fd, EPOLLIN, 2));
	cr_assert_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, mye_loop_fd(l), &want), 0);
	for (int i = 0; i < 5; i++) {
		loop_ok(mye_loop_arm(l));
		cr_assert_eq(kit_epoll_one(epoll, 10000), 1);
		cr_assert_eq(mye_loop_sleep(l, MYELON_TRY, &e, 1), 1);
	}
	mye_loop_close(l);
	close(epoll);
	close(fd);
}
