/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Who holds what, and when the files of a ring go. */
#include "segment_help.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kit.h"
#include "segment/control.h"

static char name[KIT_NAME];

static void setup(void)
{
	kit_ring_name(name, "life");
}

TestSuite(life, .init = setup);

Test(life, last_to_leave_removes_the_files_whoever_it_is)
{
	struct mye_segment p, a, b;

	cr_assert_eq(help_create(&p, name, NULL), 0);
	cr_assert_eq(help_attach(&a, name, MYE_ROLE_CONSUMER), 0);
	mye_segment_leave(&a);
	cr_assert_eq(help_files(), 2, "the producer is there");
	help_close(&p);
	cr_assert_eq(help_files(), 0);

	cr_assert_eq(help_create(&p, name, NULL), 0);
	cr_assert_eq(help_attach(&a, name, MYE_ROLE_CONSUMER), 0);
	cr_assert_eq(help_attach(&b, name, MYE_ROLE_CONSUMER), 0);
	help_close(&p);
	cr_assert_eq(help_files(), 2);
	mye_segment_leave(&b);
	cr_assert_eq(help_files(), 2);
	mye_segment_leave(&a);
	cr_assert_eq(help_files(), 0);
}

Test(life, ring_whose_producer_died_stays_for_the_next_one)
{
	struct mye_segment p, a;

	cr_assert_eq(help_create(&p, name, NULL), 0);
	cr_assert_eq(help_attach(&a, name, MYE_ROLE_CONSUMER), 0);
	help_die(&p);
	mye_segment_leave(&a);
	cr_assert_eq(help_files(), 2);
	cr_assert_eq(help_attach(&p, name, MYE_ROLE_PRODUCER), 0, "%s", myelon_last_error());
	help_close(&p);
	cr_assert_eq(help_files(), 0);
}

Test(life, roles_are_free_at_once_though_a_copy_of_the_descriptors_lives_on)
{
	struct myelon_ring_opts o = help_opts();
	struct mye_segment p, c;
	int copies[4];

	o.flags = MYELON_F_KEEP;
	cr_assert_eq(help_create(&p, name, &o), 0);
	cr_assert_eq(help_attach(&c, name, MYE_ROLE_CONSUMER), 0);
	cr_assert_eq(mye_role_take(&c, MYE_LOCK_ENTRY(3)), 0);
	/* As a child of posix_spawn has them until its exec. */
	copies[0] = dup(p.control_fd);
	copies[1] = dup(p.data_fd);
	copies[2] = dup(c.control_fd);
	copies[3] = dup(c.data_fd);
	mye_segment_leave(&c);
	help_close(&p);
	cr_assert_eq(help_attach(&p, name, MYE_ROLE_PRODUCER), 0, "%s", myelon_last_error());
	cr_assert_eq(mye_role_held(&p, MYE_LOCK_ENTRY(3)), 0);
	help_close(&p);
	cr_assert_eq(myelon_ring_remove(name, NULL), 0, "%s", myelon_last_error());
	cr_assert_eq(help_files(), 0);
	for (int i = 0; i < 4; i++)
		close(copies[i]);
}

static bool proc_mentions(const char *path, const char *text)
{
	char line[5000];
	FILE *f = fopen(path, "r");
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, text) != NULL;
	if (f)
		fclose(f);
	return found;
}

/* Neither a mapping nor a descriptor of anything in the shm directory. */
static int has_nothing(void *arg)
{
	char path[64], to[4400];

	(void)arg;
	if (proc_mentions("/proc/self/maps", kit_shm_dir()))
		return 1;
	for (int fd = 0; fd < 64; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, to, sizeof(to) - 1);
		to[n < 0 ? 0 : n] = '\0';
		if (strstr(to, kit_shm_dir()))
			return 2;
	}
	return 0;
}

static uint32_t enough;

static void *make_and_close(void *arg)
{
	struct mye_segment p, c;

	/* Relaxed: only a sign to end. */
	while (!__atomic_load_n(&enough, __ATOMIC_RELAXED)) {
		if (help_create(&p, name, NULL) < 0)
			return arg;
		if (help_attach(&c, name, MYE_ROLE_CONSUMER) < 0)
			return arg;
		mye_segment_leave(&c);
		help_close(&p);
	}
	return NULL;
}

Test(life, child_forked_while_another_thread_makes_a_ring_has_nothing_of_it)
{
	unsigned int rounds = help_scaled(300);
	struct kit_actor a;
	pthread_t thread;
	void *failed;

	cr_assert_eq(pthread_create(&thread, NULL, make_and_close, &a), 0);
	for (unsigned int i = 0; i < rounds; i++) {
		cr_assert_eq(kit_fork(&a, has_nothing, NULL), 0);
		cr_assert_eq(kit_wait(&a, 20), 0);
	}
	__atomic_store_n(&enough, 1, __ATOMIC_RELAXED);
	cr_assert_eq(pthread_join(thread, &failed), 0);
	cr_assert_null(failed, "%s", myelon_last_error());
	cr_assert_eq(help_files(), 0);
}

Test(life, kept_ring_stays_until_it_is_removed_by_name)
{
	struct myelon_ring_opts o = help_opts();
	struct mye_segment p;

	o.flags = MYELON_F_KEEP;
	cr_assert_eq(help_create(&p, name, &o), 0);
	help_close(&p);
	cr_assert_eq(help_files(), 2);
	cr_assert_eq(myelon_gc(NULL, NULL, NULL), 0);
	cr_assert_eq(help_files(), 2);
	cr_assert_eq(myelon_ring_remove(name, NULL), 0, "%s", myelon_last_error());
	cr_assert_eq(help_files(), 0);
}

Test(life, second_producer_is_busy_and_told_the_pid_until_the_first_is_gone)
{
	struct mye_segment p, q;
	char pid[32];

	snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
	cr_assert_eq(help_create(&p, name, NULL), 0);
	cr_assert_eq(help_attach(&q, name, MYE_ROLE_PRODUCER), -EBUSY);
	cr_assert(help_says(pid), "%s", myelon_last_error());
	help_die(&p);
	cr_assert_eq(help_attach(&q, name, MYE_ROLE_PRODUCER), 0);
	help_close(&q);
}

Test(life, entry_lock_excludes_a_second_handle_and_is_only_asked_for_by_others)
{
	struct mye_segment p, a, b;

	cr_assert_eq(help_create(&p, name, NULL), 0);
	cr_assert_eq(help_attach(&a, name, MYE_ROLE_CONSUMER), 0);
	cr_assert_eq(help_attach(&b, name, MYE_ROLE_CONSUMER), 0);
	cr_assert_eq(mye_role_take(&a, MYE_LOCK_ENTRY(0)), 0);
	cr_assert_eq(mye_role_take(&b, MYE_LOCK_ENTRY(0)), -EBUSY);
	cr_assert_eq(mye_role_held(&b, MYE_LOCK_ENTRY(0)), 1);
	cr_assert_eq(mye_role_held(&p, MYE_LOCK_ENTRY(0)), 1);
	cr_assert_eq(mye_role_held(&a, MYE_LOCK_PRODUCER), 1);
	mye_role_drop(&a, MYE_LOCK_ENTRY(0));
	cr_assert_eq(mye_role_held(&p, MYE_LOCK_ENTRY(0)), 0);
	cr_assert_eq(mye_role_take(&b, MYE_LOCK_ENTRY(0)), 0);
	help_die(&b);
	cr_assert_eq(mye_role_held(&p, MYE_LOCK_ENTRY(0)), 0);
	mye_segment_leave(&a);
	help_close(&p);
}

Test(life, observer_does_not_keep_a_ring_from_being_removed_and_notices)
{
	struct mye_segment p, o;

	cr_assert_eq(help_create(&p, name, NULL), 0);
	cr_assert_eq(help_attach(&o, name, MYE_ROLE_OBSERVER), 0, "%s", myelon_last_error());
	cr_assert(o.writable);
	cr_assert_eq(mye_segment_named(&o), 1);
	help_close(&p);
	cr_assert_eq(help_files(), 0);
	cr_assert_eq(mye_segment_named(&o), 0);
	cr_assert_eq(o.producer->slow.state, MYE_PRODUCER_CLOSED, "its mapping survives");
	cr_assert_eq(o.data[0], 0);
	mye_segment_leave(&o);
}

Test(life, observer_that_was_the_last_to_hold_a_closed_ring_removes_it)
{
	struct mye_segment p, o;
	uint32_t closed = MYE_PRODUCER_CLOSED;

	/* As if the last participant left while the observer was attaching. */
	cr_assert_eq(help_create(&p, name, NULL), 0);
	p.producer->slow.state = closed;
	help_die(&p);
	cr_assert_eq(help_files(), 2);
	cr_assert_eq(help_attach(&o, name, MYE_ROLE_OBSERVER), 0);
	cr_assert_eq(help_files(), 0);
	cr_assert_eq(mye_segment_named(&o), 0);
	mye_segment_leave(&o);
}

static int read_only_observer(void *arg)
{
	struct mye_segment o;

	(void)arg;
	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		return 1;
	if (help_attach(&o, name, MYE_ROLE_CONSUMER) != -EACCES)
		return 2;
	if (help_attach(&o, name, MYE_ROLE_OBSERVER) < 0)
		return 3;
	if (o.writable || o.producer->slow.state != MYE_PRODUCER_OPEN)
		return 4;
	if (mye_role_held(&o, MYE_LOCK_PRODUCER) != 1)
		return 5;
	mye_segment_leave(&o);
	return 0;
}

Test(life, observer_gets_by_with_permission_to_read)
{
	struct mye_segment p;
	struct kit_actor a;

	if (geteuid() != 0)
		kit_skip("root", "changing users needs root");
	cr_assert_eq(help_create(&p, name, NULL), 0);
	cr_assert_eq(chmod(kit_shm_dir(), 0755), 0);
	cr_assert_eq(fchmod(p.control_fd, 0644), 0);
	cr_assert_eq(fchmod(p.data_fd, 0644), 0);
	cr_assert_eq(kit_fork(&a, read_only_observer, NULL), 0);
	cr_assert_eq(kit_wait(&a, 10), 0);
	help_close(&p);
}

Test(life, attach_to_another_users_ring_needs_the_flag)
{
	struct mye_attach want = {.role = MYE_ROLE_CONSUMER, .flags = MYELON_F_ANY_OWNER};
	struct mye_segment p, c;

	if (geteuid() != 0)
		kit_skip("root", "changing owners needs root");
	cr_assert_eq(help_create(&p, name, NULL), 0);
	cr_assert_eq(fchown(p.control_fd, 65534, 65534), 0);
	cr_assert_eq(fchown(p.data_fd, 65534, 65534), 0);
	cr_assert_eq(help_attach(&c, name, MYE_ROLE_CONSUMER), -EPERM);
	cr_assert(help_says("65534") && help_says("MYELON_F_ANY_OWNER"), "%s", myelon_last_error());
	cr_assert_eq(mye_segment_attach(&c, name, &want), 0, "%s", myelon_last_error());
	mye_segment_leave(&c);
	cr_assert_eq(myelon_ring_remove(name, NULL), -EPERM);
	help_close(&p);
	myelon_gc(&MYELON_DIR_OPTS(.flags = MYELON_F_ANY_OWNER), NULL, NULL);
	cr_assert_eq(help_files(), 0);
}

Test(life, attach_without_a_ring_says_where_it_looked_and_for_how_long)
{
	struct mye_attach want = {.role = MYE_ROLE_CONSUMER};
	struct mye_segment c;
	int64_t begun = kit_now_ns();

	cr_assert_eq(mye_segment_attach(&c, name, &want), -ENOENT);
	cr_assert(help_says(kit_shm_dir()), "%s", myelon_last_error());
	want.deadline = begun + 30000000;
	cr_assert_eq(mye_segment_attach(&c, name, &want), -ENOENT);
	cr_assert_geq(kit_now_ns(), want.deadline);
	cr_assert(help_says(" s"), "%s", myelon_last_error());
	want.shm_dir = "/nonexistent/dir";
	cr_assert_eq(mye_segment_attach(&c, name, &want), -ENOTDIR);
	cr_assert(help_says("/nonexistent/dir"));
}

static int wait_for_it(void *arg)
{
	struct mye_attach want = {.role = MYE_ROLE_CONSUMER, .deadline = kit_deadline(20)};
	struct kit_page *page = kit_page_attach();
	struct mye_segment c;

	(void)arg;
	kit_set(page, 0, 1);
	if (mye_segment_attach(&c, name, &want) < 0)
		return 1;
	mye_segment_leave(&c);
	return 0;
}

Test(life, attach_waits_until_the_ring_appears)
{
	struct kit_page *page = kit_page_create();
	const struct timespec pause = {.tv_nsec = 20000000};
	struct mye_segment p;
	struct kit_actor a;

	cr_assert_eq(kit_fork(&a, wait_for_it, NULL), 0);
	cr_assert(kit_await(page, 0, 1, 10));
	nanosleep(&pause, NULL); /* mostly it waits by now; if not, the test proves less */
	cr_assert_eq(help_create(&p, name, NULL), 0);
	cr_assert_eq(kit_wait(&a, 20), 0);
	help_close(&p);
	kit_page_destroy(page);
}

Test(life, attach_waits_while_the_name_is_being_removed_and_then_finds_it_gone)
{
	struct mye_segment c;
	struct mye_place place;
	struct mye_control held;

	cr_assert_eq(help_dead(name, NULL), 0);
	cr_assert_eq(mye_place_resolve(&place, name, NULL, NULL), 0);
	cr_assert_eq(mye_control_open(&held, &place, true), 0);
	cr_assert_eq(mye_claim_name(&held, &place), 0);
	cr_assert_eq(help_attach(&c, name, MYE_ROLE_CONSUMER), -EBUSY, "a stuck remover");
	cr_assert(help_says("removes"), "%s", myelon_last_error());
	cr_assert_eq(mye_erase_ring(&held, &place, NULL, NULL), 2);
	mye_control_close(&held);
	cr_assert_eq(help_attach(&c, name, MYE_ROLE_CONSUMER), -ENOENT);
}

static int store_into(void *arg)
{
	struct mye_segment c;
	volatile char *at;

	if (help_attach(&c, name, MYE_ROLE_CONSUMER) < 0)
		return 1;
	at = arg ? (volatile char *)c.control + (uintptr_t)arg - 1 : (volatile char *)c.data;
	*at = 1;
	return 0;
}

Test(life, consumer_cannot_store_into_what_only_the_producer_writes)
{
	struct mye_segment p;
	struct kit_actor a;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	cr_assert_eq(help_create(&p, name, NULL), 0);
	for (uintptr_t at = 0; at < 4; at++) {
		uintptr_t arg = at == 3 ? 0 : at * page + 1;
		int rc;

		cr_assert_eq(kit_fork(&a, store_into, (void *)arg), 0);
		rc = kit_wait(&a, 10);
		cr_assert(at == 2 ? rc == 0 : rc == -SIGSEGV || rc == 1, "%d: %d", (int)at, rc);
	}
	help_close(&p);
}

Test(life, forced_removal_takes_the_name_and_the_last_to_leave_the_data)
{
	struct myelon_dir_opts force = MYELON_DIR_OPTS(.flags = MYELON_F_FORCE);
	struct mye_segment p, c;

	cr_assert_eq(help_create(&p, name, NULL), 0);
	cr_assert_eq(help_attach(&c, name, MYE_ROLE_CONSUMER), 0);
	cr_assert_eq(myelon_ring_remove(name, NULL), -EBUSY);
	cr_assert(help_says("producer pid"), "%s", myelon_last_error());
	cr_assert_eq(myelon_ring_remove(name, &force), 0);
	cr_assert_eq(help_files(), 1);
	cr_assert_eq(myelon_gc(NULL, NULL, NULL), 0, "they still use it");
	help_die(&p);
	mye_segment_leave(&c);
	cr_assert_eq(help_files(), 0);
	cr_assert_eq(myelon_ring_remove(name, NULL), -ENOENT);
}

static int close_without_descriptors(void *arg)
{
	struct mye_segment p, c;
	struct rlimit limit;

	(void)arg;
	if (help_create(&p, name, NULL) < 0 || help_attach(&c, name, MYE_ROLE_CONSUMER) < 0)
		return 1;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 2;
	limit.rlim_cur = limit.rlim_cur < 256 ? limit.rlim_cur : 256;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 2;
	while (dup(c.data_fd) >= 0)
		;
	/* One that came last and one that may write: each in turn. */
	help_close(&p);
	while (dup(c.dir_fd) >= 0)
		;
	mye_segment_leave(&c);
	return help_files() == 0 ? 0 : 3;
}

Test(life, last_to_leave_removes_the_files_with_no_descriptor_to_spare)
{
	struct kit_actor a;

	cr_assert_eq(kit_fork(&a, close_without_descriptors, NULL), 0);
	cr_assert_eq(kit_wait(&a, 20), 0);
	cr_assert_eq(help_files(), 0);
}

Test(life, ten_thousand_rings_leave_no_file_and_no_descriptor)
{
	int fds = kit_open_fds();
	struct mye_segment p, c, o;

	for (unsigned int i = 0; i < 10000; i++) {
		cr_assert_eq(help_create(&p, name, NULL), 0, "%s", myelon_last_error());
		cr_assert_eq(help_attach(&c, name, MYE_ROLE_CONSUMER), 0);
		if (i % 16 == 0) {
			cr_assert_eq(help_attach(&o, name, MYE_ROLE_OBSERVER), 0);
			mye_segment_leave(&o);
		}
		if (i % 2) {
			mye_segment_leave(&c);
			help_close(&p);
		} else {
			help_close(&p);
			mye_segment_leave(&c);
		}
	}
	cr_assert_eq(help_files(), 0);
	cr_assert_eq(kit_open_fds(), fds);
}
