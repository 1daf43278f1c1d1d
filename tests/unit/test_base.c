/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <myelon/log.h>
#include <myelon/ring.h>

#include "base/error.h"
#include "base/handle.h"
#include "base/opts.h"
#include "base/text.h"
#include "kit.h"
#include "sys/sys.h"

static void *last_error_of_new_thread(void *arg)
{
	(void)arg;
	return (void *)(uintptr_t)(strcmp(myelon_last_error(), "no error") == 0);
}

Test(error, sentence_belongs_to_the_thread_that_failed)
{
	pthread_t thread;
	void *fresh;

	cr_assert_str_eq(myelon_last_error(), "no error");
	cr_assert_eq(mye_fail(-EINVAL, "window is %d", 7), -EINVAL);
	cr_assert_str_eq(myelon_last_error(), "window is 7");
	pthread_create(&thread, NULL, last_error_of_new_thread, NULL);
	pthread_join(thread, &fresh);
	cr_assert_not_null(fresh);
	cr_assert_eq(mye_fail_static(-EAGAIN, "nothing"), -EAGAIN);
	cr_assert_str_eq(myelon_last_error(), "nothing");
}

Test(error, sentence_may_quote_the_one_before_and_is_cut_when_too_long)
{
	char big[2000];

	mye_fail(-EIO, "inner");
	mye_fail(-EIO, "outer: %s", myelon_last_error());
	cr_assert_str_eq(myelon_last_error(), "outer: inner");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	mye_fail(-EIO, "%s", big);
	cr_assert_eq(strlen(myelon_last_error()), 511);
}

Test(error, strerror_takes_either_sign_and_never_returns_null)
{
	int i;

	cr_assert_str_eq(myelon_strerror(-EOWNERDEAD), myelon_strerror(EOWNERDEAD));
	cr_assert_neq(strcmp(myelon_strerror(-EPIPE), myelon_strerror(-EOWNERDEAD)), 0);
	for (i = -5000; i < 5000; i++)
		cr_assert_not_null(myelon_strerror(i));
	cr_assert_not_null(myelon_strerror(INT32_MIN));
}

static void remember(void *ctx, enum myelon_log_level level, const char *message)
{
	cr_assert_eq(level, MYELON_LOG_WARNING);
	snprintf(ctx, 64, "%s", message);
}

Test(log, warning_goes_to_the_hook_and_nowhere_without_one)
{
	char got[64] = "";

	mye_warn("dropped %d", 1);
	myelon_set_log(remember, got);
	mye_warn("kept %d", 2);
	cr_assert_str_eq(got, "kept 2");
	myelon_set_log(NULL, NULL);
	mye_warn("dropped %d", 3);
	cr_assert_str_eq(got, "kept 2");
}

/* The library's struct, and the caller's: an older one, and a newer one. */
struct own {
	uint32_t size, a;
	uint64_t b, c;
};
struct older {
	uint32_t size, a;
	uint64_t b;
};
struct newer {
	uint32_t size, a;
	uint64_t b, c, d;
};

#define FIRST sizeof(struct older)

Test(options, null_means_all_defaults)
{
	struct own own;

	memset(&own, 0xff, sizeof(own));
	cr_assert_eq(mye_opts_read(&own, sizeof(own), FIRST, NULL, "opts"), 0);
	cr_assert_eq(own.size, sizeof(own));
	cr_assert_eq(own.a | own.b | own.c, 0);
}

Test(options, of_an_older_caller_leave_what_is_newer_at_its_default)
{
	struct {
		struct older user;
		uint64_t not_ours;
	} in = {.user = {.size = sizeof(in.user), .a = 1, .b = 2}, .not_ours = ~0ull};
	struct own own;

	cr_assert_eq(mye_opts_read(&own, sizeof(own), FIRST, &in.user, "opts"), 0);
	cr_assert_eq(own.a, 1);
	cr_assert_eq(own.b, 2);
	cr_assert_eq(own.c, 0);
}

Test(options, of_a_newer_caller_are_taken_if_the_unknown_part_is_zero)
{
	struct newer user = {.size = sizeof(user), .a = 1, .c = 3};
	struct own own;

	cr_assert_eq(mye_opts_read(&own, sizeof(own), FIRST, &user, "opts"), 0);
	cr_assert_eq(own.c, 3);
	user.d = 1ull << 63;
	cr_assert_eq(mye_opts_read(&own, sizeof(own), FIRST, &user, "the opts"), -E2BIG);
	cr_assert_not_null(strstr(myelon_last_error(), "the opts"));
}

Test(options, without_a_size_are_refused)
{
	struct own own, user = {.size = 0};

	cr_assert_eq(mye_opts_read(&own, sizeof(own), FIRST, &user, "opts"), -EINVAL);
	user.size = FIRST - 1;
	cr_assert_eq(mye_opts_read(&own, sizeof(own), FIRST, &user, "opts"), -EINVAL);
	user.size = 0xdeadbeef;
	cr_assert_eq(mye_opts_read(&own, sizeof(own), FIRST, &user, "opts"), -E2BIG);
}

Test(options, info_is_cut_to_what_the_caller_has_and_padded_with_zeros)
{
	struct own own = {.size = sizeof(own), .a = 1, .b = 2, .c = 3};
	struct {
		struct older user;
		uint64_t not_ours;
	} old = {.user.size = sizeof(old.user), .not_ours = 77};
	struct newer user;

	cr_assert_eq(mye_info_write(&old.user, &own, sizeof(own), "info"), 0);
	cr_assert_eq(old.user.b, 2);
	cr_assert_eq(old.user.size, sizeof(old.user));
	cr_assert_eq(old.not_ours, 77);
	memset(&user, 0xff, sizeof(user));
	user.size = sizeof(user);
	cr_assert_eq(mye_info_write(&user, &own, sizeof(own), "info"), 0);
	cr_assert_eq(user.c, 3);
	cr_assert_eq(user.d, 0);
	user.size = 0;
	cr_assert_eq(mye_info_write(&user, &own, sizeof(own), "info"), -EINVAL);
	cr_assert_eq(mye_info_write(NULL, &own, sizeof(own), "info"), -EINVAL);
}

struct fork_case {
	unsigned char *handle;
	size_t bytes;
	int fd, other;
};

static int child_sees_nothing(void *arg)
{
	struct fork_case *c = arg;
	size_t i;

	for (i = 0; i < c->bytes; i++)
		if (c->handle[i])
			return 1;
	if (fcntl(c->fd, F_GETFD) >= 0)
		return 2;
	return fcntl(c->other, F_GETFD) < 0 ? 3 : 0;
}

Test(handle, is_wiped_and_its_descriptors_are_closed_in_a_forked_child)
{
	struct fork_case c = {.bytes = 10000};
	struct kit_actor a;

	c.handle = mye_handle_alloc(c.bytes);
	cr_assert_not_null(c.handle);
	cr_assert_eq(c.handle[c.bytes - 1], 0);
	memset(c.handle, 0xaa, c.bytes);
	c.fd = open("/dev/null", O_RDONLY);
	c.other = open("/dev/null", O_RDONLY);
	cr_assert_eq(mye_fork_register(c.fd), 0);
	cr_assert_eq(kit_fork(&a, child_sees_nothing, &c), 0);
	cr_assert_eq(kit_wait(&a, 10), 0);
	cr_assert_eq(c.handle[5], 0xaa, "the parent keeps its own");
	cr_assert_geq(fcntl(c.fd, F_GETFD), 0);
	mye_fork_close(c.fd);
	cr_assert_lt(fcntl(c.fd, F_GETFD), 0);
	mye_handle_free(c.handle, c.bytes);
	mye_handle_free(NULL, c.bytes);
	mye_fork_close(-1);
}

static int child_is_alive(void *arg)
{
	(void)arg;
	pause();
	return 0;
}

Test(handle, lock_of_the_parent_does_not_live_on_in_a_forked_child)
{
	int dir = mye_open_dir(kit_shm_dir()), fd = mye_create_excl(dir, "f", 0600), asker;
	struct kit_actor a;

	cr_assert_eq(mye_fork_register(fd), 0);
	cr_assert_eq(mye_lock_set(fd, 1, MYE_LOCK_EXCLUSIVE), 0);
	cr_assert_eq(kit_fork(&a, child_is_alive, NULL), 0);
	asker = mye_open_at(dir, "f", false);
	cr_assert_eq(mye_lock_query(asker, 1, MYE_LOCK_EXCLUSIVE), 1);
	mye_fork_close(fd);
	/* The child handler may still be about to run. */
	for (int64_t until = kit_deadline(10); mye_lock_query(asker, 1, MYE_LOCK_EXCLUSIVE) != 0;)
		cr_assert_lt(mye_now(), until);
	cr_assert(kit_running(&a));
	kit_kill(&a, SIGKILL);
	kit_wait(&a, 10);
	cr_assert_eq(mye_unlink_at(dir, "f"), 0);
}

struct fork_thread {
	int fd, result;
	uint32_t forked;
};

static int child_lacks(void *arg)
{
	return fcntl(((struct fork_thread *)arg)->fd, F_GETFD) < 0 ? 0 : 1;
}

static void *fork_and_wait(void *arg)
{
	struct fork_thread *t = arg;
	struct kit_actor a;

	t->result = kit_fork(&a, child_lacks, t);
	/* Relaxed: only looked at. */
	__atomic_store_n(&t->forked, 1, __ATOMIC_RELAXED);
	if (t->result == 0)
		t->result = kit_wait(&a, 20);
	return NULL;
}

Test(handle, fork_of_another_thread_waits_until_what_was_opened_is_registered)
{
	const struct timespec pause = {.tv_nsec = 50000000};
	struct fork_thread t = {.fd = -1};
	pthread_t thread;

	mye_fork_enter();
	t.fd = open("/dev/null", O_RDONLY);
	cr_assert_eq(pthread_create(&thread, NULL, fork_and_wait, &t), 0);
	nanosleep(&pause, NULL); /* mostly it is about to fork by now */
	/* Relaxed: only looked at. */
	cr_assert_eq(__atomic_load_n(&t.forked, __ATOMIC_RELAXED), 0);
	cr_assert_eq(mye_fork_keep(t.fd), t.fd);
	mye_fork_leave();
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_assert_eq(t.result, 0, "%d", t.result);
	mye_fork_close(t.fd);
	cr_assert_eq(mye_fork_keep(-ENOENT), -ENOENT);
}

Test(handle, close_gives_up_the_locks_though_a_copy_of_the_descriptor_lives_on)
{
	int dir = mye_open_dir(kit_shm_dir()), fd = mye_create_excl(dir, "f", 0600), copy, asker;

	cr_assert_eq(mye_fork_register(fd), 0);
	cr_assert_eq(mye_lock_set(fd, 0, MYE_LOCK_SHARED), 0);
	cr_assert_eq(mye_lock_set(fd, 1000, MYE_LOCK_EXCLUSIVE), 0);
	copy = dup(fd); /* as a child of posix_spawn has until its exec */
	asker = mye_open_at(dir, "f", false);
	mye_fork_close(fd);
	cr_assert_eq(mye_lock_query(asker, 0, MYE_LOCK_EXCLUSIVE), 0);
	cr_assert_eq(mye_lock_query(asker, 1000, MYE_LOCK_EXCLUSIVE), 0);
	close(copy);
	cr_assert_eq(mye_unlink_at(dir, "f"), 0);
}

Test(handle, fork_table_that_is_full_says_so_and_has_room_again_after_a_close)
{
	int fd = open("/dev/null", O_RDONLY), last, i;

	/* The table does not look at the numbers; these are never open. */
	for (i = 0; i < 4096; i++)
		cr_assert_eq(mye_fork_register(100000 + i), 0);
	cr_assert_eq(mye_fork_register(fd), -EMFILE);
	mye_fork_close(100000 + 17);
	cr_assert_eq(mye_fork_register(fd), 0);
	last = fd;
	mye_fork_close(last);
}

Test(names, every_constant_has_one_and_unknown_values_have_none)
{
	int i;

	for (i = MYELON_WAIT_ADAPTIVE; i <= MYELON_WAIT_FD; i++)
		cr_assert_eq(myelon_wait_parse(myelon_wait_name((enum myelon_wait)i)), i);
	cr_assert_null(myelon_wait_name((enum myelon_wait)(MYELON_WAIT_FD + 1)));
	cr_assert_null(myelon_wait_name((enum myelon_wait) - 1));
	for (i = MYELON_ENGINE_AUTO; i <= MYELON_ENGINE_PROXY; i++)
		cr_assert_eq(myelon_engine_parse(myelon_engine_name((enum myelon_engine)i)), i);
	cr_assert_null(myelon_engine_name((enum myelon_engine)(MYELON_ENGINE_PROXY + 1)));
	cr_assert_eq(myelon_engine_parse("kqueue"), -EINVAL);
	cr_assert_eq(myelon_wait_parse("sometimes"), -EINVAL);
	cr_assert_eq(myelon_wait_parse(NULL), -EINVAL);
	for (i = MYELON_BACKING_AUTO; i <= MYELON_BACKING_MEMFD; i++)
		cr_assert_not_null(myelon_backing_name((enum myelon_backing)i));
	cr_assert_null(myelon_backing_name((enum myelon_backing)(MYELON_BACKING_MEMFD + 1)));
	for (i = MYELON_PEER_ABSENT; i <= MYELON_PEER_EVICTED; i++)
		cr_assert_not_null(myelon_peer_state_name((enum myelon_peer_state)i));
	cr_assert_null(myelon_peer_state_name((enum myelon_peer_state)(MYELON_PEER_EVICTED + 1)));
}

Test(deadline, saturates_and_is_never_try)
{
	int64_t now = myelon_now();

	cr_assert_geq(myelon_deadline_after(1000), now + 1000);
	cr_assert_eq(myelon_deadline_after(INT64_MAX), MYELON_FOREVER);
	cr_assert_neq(myelon_deadline_after(INT64_MIN), MYELON_TRY);
	cr_assert_gt(myelon_deadline_after(INT64_MIN), 0);
	cr_assert_leq(myelon_deadline_after(-1), myelon_now());
}

Test(text, bytes_are_named_in_the_unit_that_fits)
{
	char buf[8] = "ab";

	cr_assert_str_eq(mye_bytes_text(0).text, "0 bytes");
	cr_assert_str_eq(mye_bytes_text(1023).text, "1023 bytes");
	cr_assert_str_eq(mye_bytes_text(2 << 20).text, "2 MiB");
	cr_assert_str_eq(mye_bytes_text(3ull << 29).text, "1.5 GiB");
	cr_assert_str_eq(mye_bytes_text(UINT64_MAX).text, "16.0 EiB");
	mye_append(buf, sizeof(buf), "%d", 123456789);
	cr_assert_str_eq(buf, "ab12345");
	mye_append(buf, sizeof(buf), "x");
	cr_assert_str_eq(buf, "ab12345");
}
