/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Wakes, removal, descriptors for others to poll, threads and forks of a loop. */
#include "loop_kit.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

static struct mye_loop *woken_loop;

static void *wake_later(void *arg)
{
	usleep(20000);
	mye_loop_wake(arg);
	return NULL;
}

LOOP_TEST(wake_of_another_thread_ends_the_sleep)
{
	struct mye_loop *l = loop_new(engine, 0);
	uint32_t *word = loop_words(1);
	struct mye_loop_event e;
	pthread_t thread;

	loop_ok(mye_loop_add_word(l, word, 1));
	pthread_create(&thread, NULL, wake_later, l);
	cr_assert_eq(mye_loop_sleep(l, MYELON_FOREVER, &e, 1), 0);
	pthread_join(thread, NULL);
	/* One before the sleep is kept for it. */
	mye_loop_wake(l);
	cr_assert_eq(mye_loop_sleep(l, MYELON_FOREVER, &e, 1), 0);
	loop_quiet(l);
	mye_loop_close(l);
}

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

static void on_alarm(int sig)
{
	(void)sig;
	mye_loop_wake(woken_loop);
}

static void nothing(int sig)
{
	(void)sig;
}

static void alarm_every(int ms)
{
	struct itimerval t = {.it_value.tv_usec = ms * 1000, .it_interval.tv_usec = ms * 1000};

	setitimer(ITIMER_REAL, &t, NULL);
}

LOOP_TEST(wake_of_a_signal_handler_is_not_lost)
{
	struct mye_loop *l = loop_new(engine, 0);
	struct sigaction sa = {.sa_handler = on_alarm};
	struct mye_loop_event e;

	woken_loop = l;
	sigaction(SIGALRM, &sa, NULL);
	alarm_every(2);
	for (int i = 0; i < 50; i++) {
		int rc = mye_loop_sleep(l, MYELON_FOREVER, &e, 1);

		cr_assert(rc == 0 || rc == -EINTR);
	}
	alarm_every(0);
	mye_loop_close(l);
}

LOOP_TEST(signal_is_reported_as_eintr)
{
	struct mye_loop *l = loop_new(engine, 0);
	struct sigaction sa = {.sa_handler = nothing};
	uint32_t *word = loop_words(1);
	struct mye_loop_event e;
	int rc;

	sigaction(SIGALRM, &sa, NULL);
	loop_ok(mye_loop_add_word(l, word, 1));
	alarm_every(20);
	do
		rc = mye_loop_sleep(l, MYELON_FOREVER, &e, 1);
	while (rc == 0);
	cr_assert_eq(rc, -EINTR);
	alarm_every(0);
	mye_loop_close(l);
}

LOOP_TEST(sleep_lasts_until_its_deadline)
{
	struct mye_loop *l = loop_new(engine, 0);
	uint32_t *word = loop_words(1);
	struct mye_loop_event e;
	int fd = eventfd(0, EFD_CLOEXEC);

	loop_ok(mye_loop_add_word(l, word, 1));
	for (int i = 0; i < 20; i++) {
		int64_t deadline = kit_now_ns() + 1500000;

		if (i == 10)
			loop_ok(mye_loop_add_fd(l, fd, EPOLLIN, 2));
		cr_assert_eq(mye_loop_sleep(l, deadline, &e, 1), 0);
		cr_assert_geq(kit_now_ns(), deadline);
	}
	cr_assert_eq(mye_loop_sleep(l, MYELON_TRY, &e, 1), 0);
	cr_assert_eq(mye_loop_sleep(l, 1, &e, 1), 0);
	mye_loop_close(l);
	close(fd);
}

LOOP_TEST(removed_tag_is_not_reported_and_may_be_used_again)
{
	struct mye_loop *l = loop_new(engine, 0);
	uint32_t *word = loop_words(2);
	int fd = eventfd(0, EFD_CLOEXEC);

	for (int i = 0; i < 50; i++) {
		loop_ok(mye_loop_add_word(l, word, 1));
		loop_ok(mye_loop_add_fd(l, fd, EPOLLIN, 2));
		if (i % 3)
			loop_quiet(l);
		if (i % 2) {
			loop_ring(word);
			eventfd_write(fd, 1);
		}
		loop_ok(mye_loop_remove(l, 1));
		loop_ok(mye_loop_remove(l, 2));
		loop_ok(mye_loop_add_word(l, word + 1, 1));
		loop_quiet(l);
		loop_ring(word + 1);
		cr_assert_eq(loop_next(l, NULL), 1);
		loop_ok(mye_loop_remove(l, 1));
		if (i % 2)
			eventfd_read(fd, &(eventfd_t){0});
	}
	cr_assert_eq(mye_loop_remove(l, 1), -ENOENT);
	mye_loop_close(l);
	close(fd);
}

LOOP_TEST(memory_of_a_removed_word_may_go)
{
	struct mye_loop *l = loop_new(engine, MYE_LOOP_POLLABLE);

	for (int i = 0; i < 50; i++) {
		uint32_t *word = loop_words(1);

		loop_ok(mye_loop_add_word(l, word, 1));
		loop_ok(mye_loop_listen(l));
		loop_ok(mye_loop_arm(l));
		if (i % 2)
			loop_ring(word);
		loop_ok(mye_loop_remove(l, 1));
		munmap(word, sizeof(*word));
	}
	loop_quiet(l);
	mye_loop_close(l);
}

/* Does the other side of a pipe see that its writer, which was in a loop, was closed? */
static void let_go(enum myelon_engine engine, bool by_close)
{
	struct mye_loop *l = loop_new(engine, 0);
	struct pollfd p = {.events = POLLIN};
	int fds[2];

	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	p.fd = fds[0];
	loop_ok(mye_loop_add_fd(l, fds[1], EPOLLERR, 1));
	loop_quiet(l);
	if (by_close)
		mye_loop_close(l);
	else
		loop_ok(mye_loop_remove(l, 1));
	close(fds[1]);
	cr_assert_eq(poll(&p, 1, 0), 1);
	close(fds[0]);
	if (!by_close)
		mye_loop_close(l);
}

LOOP_TEST(removed_descriptor_is_let_go_at_once)
{
	let_go(engine, false);
}

LOOP_TEST(descriptors_are_let_go_when_the_loop_is_closed)
{
	let_go(engine, true);
}

LOOP_TEST(events_of_a_descriptor_can_be_changed)
{
	struct mye_loop *l = loop_new(engine, 0);
	uint32_t events;
	int fd = eventfd(0, EFD_CLOEXEC);

	loop_ok(mye_loop_add_fd(l, fd, EPOLLIN, 1));
	loop_quiet(l);
	loop_ok(mye_loop_change_fd(l, 1, EPOLLIN | EPOLLOUT));
	cr_assert_eq(loop_next(l, &events), 1);
	cr_assert_eq(events, EPOLLOUT);
	loop_ok(mye_loop_change_fd(l, 1, EPOLLIN));
	loop_quiet(l);
	cr_assert_eq(mye_loop_change_fd(l, 1, EPOLLIN | EPOLLET), -EINVAL);
	cr_assert_eq(mye_loop_change_fd(l, 9, EPOLLIN), -ENOENT);
	mye_loop_close(l);
	close(fd);
}

LOOP_TEST(nonsense_is_refused_with_a_sentence)
{
	struct mye_loop *l = loop_new(engine, 0), *other;
	uint32_t *word = loop_words(1);
	struct mye_loop_event e;
	int fd = eventfd(0, EFD_CLOEXEC), dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	loop_ok(mye_loop_add_word(l, word, 1));
	cr_assert_eq(mye_loop_add_word(l, word, 1), -EEXIST);
	cr_assert(strstr(myelon_last_error(), "tag 1"));
	cr_assert_eq(mye_loop_add_word(l, word, 1ull << 48), -EINVAL);
	loop_ok(mye_loop_add_fd(l, fd, EPOLLIN, 2));
	cr_assert_eq(mye_loop_add_fd(l, fd, EPOLLIN, 3), -EEXIST);
	cr_assert_eq(mye_loop_add_fd(l, dir, EPOLLIN, 3), -EPERM);
	cr_assert_eq(mye_loop_add_fd(l, 1000, EPOLLIN, 3), -EBADF);
	cr_assert_eq(mye_loop_add_fd(l, dir, EPOLLIN | EPOLLONESHOT, 3), -EINVAL);
	cr_assert_eq(mye_loop_sleep(l, MYELON_TRY, &e, 0), -EINVAL);
	cr_assert_eq(mye_loop_fd(l), -EINVAL);
	cr_assert_eq(mye_loop_open(&other, MYELON_ENGINE_PROXY, 0), -EINVAL);
	mye_loop_close(l);
	mye_loop_close(NULL);
	close(fd);
	close(dir);
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
	struct epoll_event want = {.events = EPOLLIN | trigger}, got;
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
			cr_assert_eq(epoll_wait(epoll, &got, 1, 20000), 1, "after %u", served);
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
	struct epoll_event want = {.events = EPOLLIN | EPOLLET}, got;
	int epoll = epoll_create1(EPOLL_CLOEXEC), fd = eventfd(1, EFD_CLOEXEC);
	struct mye_loop_event e;

	loop_ok(mye_loop_add_fd(l, fd, EPOLLIN, 2));
	cr_assert_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, mye_loop_fd(l), &want), 0);
	for (int i = 0; i < 5; i++) {
		loop_ok(mye_loop_arm(l));
		cr_assert_eq(epoll_wait(epoll, &got, 1, 10000), 1);
		cr_assert_eq(mye_loop_sleep(l, MYELON_TRY, &e, 1), 1);
	}
	mye_loop_close(l);
	close(epoll);
	close(fd);
}

struct turn {
	struct mye_loop *l;
	uint32_t *word;
	int fd;
	int got;
};

static void *take_turn(void *arg)
{
	struct turn *t = arg;
	struct mye_loop_event e;
	int64_t deadline = kit_deadline(10);

	mye_loop_listen(t->l);
	t->got = 0;
	while (t->got == 0 && kit_now_ns() < deadline)
		t->got = mye_loop_sleep(t->l, deadline, &e, 1);
	return NULL;
}

LOOP_TEST(loop_may_move_from_thread_to_thread)
{
	struct turn t = {.l = loop_new(engine, 0), .word = loop_words(2)};
	struct mye_loop_event e;
	pthread_t thread;

	t.fd = eventfd(0, EFD_CLOEXEC);
	loop_ok(mye_loop_add_word(t.l, t.word, 1));
	loop_ok(mye_loop_add_word(t.l, t.word + 1, 2));
	loop_ok(mye_loop_add_fd(t.l, t.fd, EPOLLIN, 3));
	loop_quiet(t.l);
	for (int i = 0; i < 20; i++) {
		/* Before, while it moves, and after. */
		if (i % 3 == 0)
			loop_ring(t.word + i % 2);
		pthread_create(&thread, NULL, take_turn, &t);
		if (i % 3 == 1)
			loop_ring(t.word + i % 2);
		if (i % 3 == 2) {
			usleep(5000);
			loop_ring(t.word + i % 2);
		}
		pthread_join(thread, NULL);
		cr_assert_eq(t.got, 1);
		if (i % 4 == 0)
			cr_assert_eq(mye_loop_sleep(t.l, MYELON_TRY, &e, 1), 0);
	}
	mye_loop_close(t.l);
	close(t.fd);
}

static void *arm(void *arg)
{
	struct turn *t = arg;
	struct mye_loop_event e;

	mye_loop_listen(t->l);
	while (mye_loop_sleep(t->l, MYELON_TRY, &e, 1) > 0)
		t->got++;
	mye_loop_arm(t->l);
	return NULL;
}

LOOP_TEST(loop_armed_by_a_thread_that_ended_is_readable_when_it_should)
{
	struct turn t = {.l = loop_new(engine, MYE_LOOP_POLLABLE), .word = loop_words(1)};
	pthread_t thread;

	loop_ok(mye_loop_add_word(t.l, t.word, 1));
	for (int i = 0; i < 20; i++) {
		t.got = 0;
		pthread_create(&thread, NULL, arm, &t);
		pthread_join(thread, NULL);
		if (i % 2)
			usleep(1000);
		loop_ring(t.word);
		cr_assert(loop_await_readable(t.l));
		while (t.got == 0)
			arm(&t);
	}
	mye_loop_close(t.l);
}

/* Open descriptors that are epoll sets, eventfds or rings. */
static int sleepers(void)
{
	char path[32], name[64];
	int count = 0;

	for (int fd = 0; fd < 256; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(path, name, sizeof(name) - 1);

		name[n > 0 ? n : 0] = 0;
		count += strncmp(name, "anon_inode:[", 12) == 0;
	}
	return count;
}

static int use_in_child(void *arg)
{
	struct turn *t = arg;
	struct mye_loop_event e;
	int bad = 0;

	bad += mye_loop_sleep(t->l, MYELON_TRY, &e, 1) != -EPERM;
	bad += mye_loop_listen(t->l) != -EPERM;
	bad += mye_loop_arm(t->l) != -EPERM;
	bad += mye_loop_fd(t->l) != -EPERM;
	bad += mye_loop_add_word(t->l, t->word, 9) != -EPERM;
	bad += mye_loop_remove(t->l, 1) != -EPERM;
	mye_loop_wake(t->l);
	mye_loop_close(t->l);
	bad += 10 * (sleepers() != t->fd);
	return bad;
}

LOOP_TEST(forked_child_can_do_nothing_and_the_parent_goes_on)
{
	int before = kit_open_fds();
	struct turn t = {.fd = sleepers(), .word = loop_words(1)};
	struct kit_actor a;

	t.l = loop_new(engine, MYE_LOOP_POLLABLE);

	loop_ok(mye_loop_add_word(t.l, t.word, 1));
	loop_quiet(t.l);
	cr_assert_gt(sleepers(), t.fd);
	cr_assert_eq(kit_fork(&a, use_in_child, &t), 0);
	cr_assert_eq(kit_wait(&a, 10), 0);
	loop_ring(t.word);
	cr_assert_eq(loop_next(t.l, NULL), 1);
	mye_loop_close(t.l);
	cr_assert_eq(kit_open_fds(), before);
}

LOOP_TEST(without_descriptors_open_fails_and_leaves_nothing)
{
	int before = kit_open_fds();
	struct rlimit old, few;
	struct mye_loop *l;
	int rc, ok = 0;

	getrlimit(RLIMIT_NOFILE, &old);
	for (rlim_t n = 3; n < (rlim_t)before + 8; n++) {
		few = (struct rlimit){n, old.rlim_max};
		setrlimit(RLIMIT_NOFILE, &few);
		rc = mye_loop_open(&l, engine, MYE_LOOP_POLLABLE);
		setrlimit(RLIMIT_NOFILE, &old);
		cr_assert(rc == 0 || rc == -EMFILE, "%d: %s", rc, myelon_last_error());
		if (rc == 0)
			mye_loop_close(l);
		ok += rc == 0;
		cr_assert_eq(kit_open_fds(), before);
	}
	cr_assert_gt(ok, 0);
	cr_assert_lt(ok, before + 5);
}

Test(loop, engine_is_chosen_by_the_environment)
{
	setenv("MYELON_ENGINE", "epoll", 1);
	cr_assert_eq(mye_engine_from_env(), MYELON_ENGINE_EPOLL);
	setenv("MYELON_ENGINE", "proxy", 1);
	cr_assert_eq(mye_engine_from_env(), MYELON_ENGINE_PROXY);
	setenv("MYELON_ENGINE", "", 1);
	cr_assert_eq(mye_engine_from_env(), MYELON_ENGINE_AUTO);
	setenv("MYELON_ENGINE", "kqueue", 1);
	cr_assert_eq(mye_engine_from_env(), -EINVAL);
	cr_assert(strstr(myelon_last_error(), "kqueue"));
	cr_assert(strstr(myelon_last_error(), "uring"));
}
