/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Under a seccomp filter that denies io_uring, from the start or later on. */
#include "loop_kit.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define SETUP 425
#define ENTER 426

/* Has @p call answer @p error in this thread and its children from now on. */
static void deny(unsigned int call, unsigned int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
		kit_skip("seccomp", strerror(errno));
}

static void denied_from_the_start(unsigned int error)
{
	struct mye_loop *l;
	uint32_t *word = loop_words(1);

	need_uring();
	deny(SETUP, error);
	cr_assert_eq(mye_loop_open(&l, MYELON_ENGINE_URING, 0), -ENOTSUP);
	cr_assert(strstr(myelon_last_error(), "seccomp"), "%s", myelon_last_error());
	loop_ok(mye_loop_open(&l, MYELON_ENGINE_AUTO, 0));
	cr_assert_eq(mye_loop_engine(l), MYELON_ENGINE_EPOLL);
	loop_ok(mye_loop_add_word(l, word, 1));
	loop_ring(word);
	cr_assert_eq(loop_next(l, NULL), 1);
	mye_loop_close(l);
}

Test(loop_denied, eperm_means_epoll_and_a_sentence)
{
	denied_from_the_start(EPERM);
}

Test(loop_denied, enosys_means_epoll_and_a_sentence)
{
	denied_from_the_start(ENOSYS);
}

Test(loop_denied, eacces_means_epoll_and_a_sentence)
{
	denied_from_the_start(EACCES);
}

/* The words and the descriptor of a loop that lost its ring. */
static void goes_on(struct mye_loop *l, uint32_t *word, int fd)
{
	for (int i = 0; i < 10; i++) {
		loop_ring(word + 1);
		cr_assert_eq(loop_next(l, NULL), 1);
		if (fd >= 0) {
			eventfd_write(fd, 1);
			cr_assert_eq(loop_next(l, NULL), 1000);
			eventfd_read(fd, &(eventfd_t){0});
		}
		mye_loop_wake(l);
		loop_quiet(l);
	}
	cr_assert_eq(mye_loop_engine(l), MYELON_ENGINE_EPOLL);
}

static void denied_half_way(uint64_t words, uint32_t flags, int fd)
{
	struct mye_loop *l = loop_new(need_uring(), flags);
	uint32_t *word = loop_words(words);

	for (uint64_t i = 0; i < words; i++)
		loop_ok(mye_loop_add_word(l, word + i, i));
	if (fd >= 0)
		loop_ok(mye_loop_add_fd(l, fd, EPOLLIN, 1000));
	loop_quiet(l);
	loop_ring(word); /* in the ring, and lost with it, but for the value */
	deny(ENTER, EPERM);
	cr_assert_eq(loop_next(l, NULL), 0);
	goes_on(l, word, fd);
	mye_loop_close(l);
}

Test(loop_denied, half_way_with_words)
{
	denied_half_way(2, 0, -1);
}

Test(loop_denied, half_way_with_many_words)
{
	denied_half_way(200, 0, -1);
}

Test(loop_denied, half_way_with_a_descriptor)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	denied_half_way(2, 0, fd);
	close(fd);
}

Test(loop_denied, half_way_when_pollable)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	denied_half_way(2, MYE_LOOP_POLLABLE, fd);
	close(fd);
}

static struct mye_loop *half_way_loop(uint32_t *word)
{
	struct mye_loop *l = loop_new(need_uring(), MYE_LOOP_POLLABLE);

	loop_ok(mye_loop_add_word(l, word, 1));
	loop_ok(mye_loop_add_word(l, word + 1, 2));
	loop_quiet(l);
	return l;
}

Test(loop_denied, polled_descriptor_outlives_the_ring)
{
	uint32_t *word = loop_words(2);
	struct mye_loop *l = half_way_loop(word);
	struct epoll_event want = {.events = EPOLLIN | EPOLLET};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct mye_loop_event e;

	cr_assert_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, mye_loop_fd(l), &want), 0);
	deny(ENTER, ENOSYS);
	for (int i = 0; i < 20; i++) {
		while (mye_loop_sleep(l, MYELON_TRY, &e, 1) > 0)
			;
		loop_ok(mye_loop_listen(l));
		loop_ok(mye_loop_arm(l));
		loop_ring(word + i % 2);
		do {
			cr_assert_eq(kit_epoll_one(epoll, 10000), 1);
		} while (mye_loop_sleep(l, MYELON_TRY, &e, 1) == 0);
		cr_assert_eq(e.tag, i % 2 ? 2u : 1u);
	}
	mye_loop_close(l);
	close(epoll);
}

Test(loop_denied, remove_and_change_go_on_too)
{
	uint32_t *word = loop_words(2);
	struct mye_loop *l = half_way_loop(word);
	int fd = eventfd(1, EFD_CLOEXEC);

	loop_ok(mye_loop_add_fd(l, fd, EPOLLIN, 3));
	cr_assert_eq(loop_next(l, NULL), 3);
	eventfd_read(fd, &(eventfd_t){0});
	loop_quiet(l);
	deny(ENTER, EPERM);
	loop_ok(mye_loop_change_fd(l, 3, EPOLLOUT));
	cr_assert_eq(loop_next(l, NULL), 3);
	loop_ok(mye_loop_remove(l, 3));
	loop_ok(mye_loop_remove(l, 1));
	loop_ring(word);
	loop_quiet(l);
	loop_ring(word + 1);
	cr_assert_eq(loop_next(l, NULL), 2);
	mye_loop_close(l);
	close(fd);
}
