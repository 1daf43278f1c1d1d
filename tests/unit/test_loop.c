/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A loop sleeps on words and descriptors at once, with either engine. */
#include "loop_kit.h"

#include <pthread.h>
#include <signal.h>

LOOP_TEST(word_raised_by_another_process_ends_the_sleep)
{
	struct mye_loop *l = loop_new(engine, 0);
	uint32_t *word = loop_words(1);
	pid_t pid;

	loop_ok(mye_loop_add_word(l, word, 7));
	loop_quiet(l);
	pid = fork();
	if (pid == 0) {
		usleep(20000);
		loop_ring(word);
		_exit(0);
	}
	cr_assert_eq(loop_next(l, NULL), 7);
	loop_quiet(l);
	mye_loop_close(l);
}

LOOP_TEST(change_between_listen_and_sleep_is_not_lost)
{
	struct mye_loop *l = loop_new(engine, 0);
	uint32_t *word = loop_words(2);

	loop_ok(mye_loop_add_word(l, word, 1));
	loop_ok(mye_loop_add_word(l, word + 1, 2));
	for (int i = 0; i < 100; i++) {
		loop_ok(mye_loop_listen(l));
		loop_ring(word + i % 2);
		cr_assert_eq(loop_next(l, NULL), i % 2 ? 2u : 1u);
	}
	mye_loop_close(l);
}

LOOP_TEST(each_of_200_words_is_reported_under_its_tag)
{
	struct mye_loop *l = loop_new(engine, 0);
	uint32_t *word = loop_words(200);

	for (uint64_t i = 0; i < 200; i++)
		loop_ok(mye_loop_add_word(l, word + i, 1000 + i));
	loop_quiet(l);
	for (uint64_t i = 0; i < 200; i += 3) {
		loop_ring(word + i);
		cr_assert_eq(loop_next(l, NULL), 1000 + i);
	}
	mye_loop_close(l);
}

LOOP_TEST(all_of_200_words_at_once_are_reported_once_each)
{
	struct mye_loop *l = loop_new(engine, MYE_LOOP_POLLABLE);
	uint32_t *word = loop_words(200);
	bool seen[200] = {false};

	for (uint64_t i = 0; i < 200; i++)
		loop_ok(mye_loop_add_word(l, word + i, i));
	loop_quiet(l);
	for (int i = 0; i < 200; i++)
		loop_ring(word + i);
	for (int i = 0; i < 200; i++) {
		uint64_t tag = loop_next(l, NULL);

		cr_assert_not(seen[tag]);
		seen[tag] = true;
	}
	loop_quiet(l);
	mye_loop_close(l);
}

LOOP_TEST(words_and_descriptors_are_reported_together)
{
	struct mye_loop *l = loop_new(engine, 0);
	uint32_t *word = loop_words(3), events;
	int fd = eventfd(0, EFD_CLOEXEC);

	loop_ok(mye_loop_add_word(l, word, 1));
	loop_ok(mye_loop_add_fd(l, fd, EPOLLIN, 2));
	loop_ok(mye_loop_add_word(l, word + 1, 3));
	loop_quiet(l);
	eventfd_write(fd, 1);
	cr_assert_eq(loop_next(l, &events), 2);
	cr_assert_eq(events, EPOLLIN);
	eventfd_read(fd, &(eventfd_t){0});
	loop_ring(word + 1);
	for (uint64_t tag = 2; tag == 2;)
		cr_assert_eq(tag = loop_next(l, &events), 3);
	cr_assert_eq(events, 0);
	loop_quiet(l);
	mye_loop_close(l);
	close(fd);
}

LOOP_TEST(descriptor_is_reported_as_long_as_it_is_ready)
{
	struct mye_loop *l = loop_new(engine, 0);
	int fd = eventfd(0, EFD_CLOEXEC);

	loop_ok(mye_loop_add_fd(l, fd, EPOLLIN, 5));
	eventfd_write(fd, 1);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(loop_next(l, NULL), 5);
	eventfd_read(fd, &(eventfd_t){0});
	loop_quiet(l);
	mye_loop_close(l);
	close(fd);
}
