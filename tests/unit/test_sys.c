/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The seam: what the rest of the library takes for granted of the kernel. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit.h"
#include "mount_kit.h"
#include "segment/layout.h"
#include "sys/sys.h"

#define MS 1000000ll

static int shm_dir(void)
{
	int fd = mye_open_dir(kit_shm_dir());

	cr_assert_geq(fd, 0);
	return fd;
}

static int new_file(int dir, const char *name, size_t bytes)
{
	int fd = mye_create_excl(dir, name, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(mye_truncate(fd, bytes), 0);
	return fd;
}

Test(clock, sleep_until_returns_at_or_after_the_deadline)
{
	int64_t until = mye_now() + 5 * MS;

	cr_assert_eq(mye_sleep_until(until), 0);
	cr_assert_geq(mye_now(), until);
	cr_assert_eq(mye_sleep_until(0), 0);
	cr_assert_eq(mye_sleep_until(mye_now() - 1), 0);
}

static void ignore(int sig)
{
	(void)sig;
}

Test(clock, sleep_that_a_signal_interrupts_returns_eintr)
{
	struct sigaction act = {.sa_handler = ignore};

	sigaction(SIGALRM, &act, NULL);
	alarm(1);
	cr_assert_eq(mye_sleep_until(kit_deadline(30)), -EINTR);
}

Test(futex, wait_with_another_value_returns_eagain_at_once)
{
	uint32_t word = 1;

	cr_assert_eq(mye_futex_wait(&word, 2, INT64_MAX), -EAGAIN);
}

Test(futex, wait_past_its_deadline_times_out)
{
	uint32_t word = 1;
	int64_t until = mye_now() + 2 * MS;

	cr_assert_eq(mye_futex_wait(&word, 1, until), -ETIMEDOUT);
	cr_assert_geq(mye_now(), until);
	cr_assert_eq(mye_futex_wait(&word, 1, 0), -ETIMEDOUT);
}

static int sleeper(void *arg)
{
	uint32_t *word = arg;
	int rc;

	do {
		rc = mye_futex_wait(word, 0, kit_deadline(20));
	} while (rc == 0 && !__atomic_load_n(word, __ATOMIC_ACQUIRE));
	return rc == 0 || rc == -EAGAIN ? 0 : 1;
}

Test(futex, wake_reaches_a_process_that_maps_the_file_elsewhere)
{
	int dir = shm_dir(), fd = mye_open_tmpfile(dir, 0600);
	uint32_t *word, *again;
	struct kit_actor a;

	cr_assert_eq(mye_truncate(fd, mye_page_size()), 0);
	word = mmap(NULL, mye_page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	again = mmap(NULL, mye_page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert_eq(kit_fork(&a, sleeper, again), 0);
	usleep(20000); /* mostly asleep by now; the test holds either way */
	__atomic_store_n(word, 1, __ATOMIC_RELEASE);
	cr_assert_geq(mye_futex_wake_all(word), 0);
	cr_assert_eq(kit_wait(&a, 20), 0);
}

Test(futex, word_of_a_page_that_is_gone_is_efault)
{
	uint32_t *word = mmap(NULL, mye_page_size(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(word, mye_page_size());
	cr_assert_eq(mye_futex_wait(word, 0, mye_now() + MS), -EFAULT);
}

Test(membarrier, works_after_registration_and_in_a_forked_child)
{
	pid_t child;
	int status, rc = mye_membarrier_register();

	if (rc == -ENOTSUP)
		kit_skip("membarrier", "the kernel has none or a filter denies it");
	cr_assert_eq(rc, 0);
	cr_assert_eq(mye_membarrier(), 0);
	child = fork();
	if (child == 0)
		_exit(mye_membarrier_register() || mye_membarrier());
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
}

static int denied_membarrier(void *arg)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = 4, .filter = code};

	(void)arg;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &prog))
		return 77;
	return mye_membarrier_register() != -ENOTSUP || mye_membarrier() != -ENOTSUP;
}

Test(membarrier, denied_by_a_filter_is_not_supported)
{
	struct kit_actor a;
	int rc;

	cr_assert_eq(kit_fork(&a, denied_membarrier, NULL), 0);
	rc = kit_wait(&a, 10);
	if (rc == 77)
		kit_skip("seccomp", "cannot install a filter");
	cr_assert_eq(rc, 0);
}

Test(lock, belongs_to_the_open_file_and_not_to_the_process)
{
	int dir = shm_dir(), a = new_file(dir, "f", 64), b = mye_open_at(dir, "f", true);

	cr_assert_eq(mye_lock_set(a, 1, MYE_LOCK_EXCLUSIVE), 0);
	cr_assert_eq(mye_lock_query(b, 1, MYE_LOCK_EXCLUSIVE), 1);
	cr_assert_eq(mye_lock_query(a, 1, MYE_LOCK_EXCLUSIVE), 0, "its own lock is no conflict");
	cr_assert_eq(mye_lock_set(b, 1, MYE_LOCK_EXCLUSIVE), -EAGAIN);
	cr_assert_eq(mye_lock_set(b, 2, MYE_LOCK_EXCLUSIVE), 0, "another byte is another lock");
	mye_close(mye_open_at(dir, "f", true));
	cr_assert_eq(mye_lock_query(b, 1, MYE_LOCK_SHARED), 1,
	             "closing another descriptor of the file does not drop it");
	mye_close(a);
	cr_assert_eq(mye_lock_set(b, 1, MYE_LOCK_EXCLUSIVE), 0);
	mye_close(b);
	cr_assert_eq(mye_unlink_at(dir, "f"), 0);
}

Test(lock, dup_of_the_descriptor_keeps_it_alive)
{
	int dir = shm_dir(), a = new_file(dir, "f", 64), copy = dup(a);
	int b = mye_open_at(dir, "f", true);

	cr_assert_eq(mye_lock_set(a, 0, MYE_LOCK_EXCLUSIVE), 0);
	mye_close(a);
	cr_assert_eq(mye_lock_query(b, 0, MYE_LOCK_SHARED), 1);
	mye_close(copy);
	cr_assert_eq(mye_lock_query(b, 0, MYE_LOCK_EXCLUSIVE), 0);
	cr_assert_eq(mye_unlink_at(dir, "f"), 0);
}

Test(lock, shared_ones_exclude_only_an_exclusive_one_and_upgrade_when_alone)
{
	int dir = shm_dir(), a = new_file(dir, "f", 64), b = mye_open_at(dir, "f", false);

	cr_assert_eq(mye_lock_set(a, 0, MYE_LOCK_SHARED), 0);
	cr_assert_eq(mye_lock_set(b, 0, MYE_LOCK_SHARED), 0, "a read-only descriptor may share");
	cr_assert_eq(mye_lock_query(b, 0, MYE_LOCK_EXCLUSIVE), 1, "and may ask");
	cr_assert_eq(mye_lock_set(a, 0, MYE_LOCK_EXCLUSIVE), -EAGAIN);
	cr_assert_eq(mye_lock_set(b, 0, MYE_LOCK_NONE), 0);
	cr_assert_eq(mye_lock_set(a, 0, MYE_LOCK_EXCLUSIVE), 0);
	cr_assert_eq(mye_unlink_at(dir, "f"), 0);
}

static int hold_lock(void *arg)
{
	struct kit_page *page = kit_page_attach();
	int dir = mye_open_dir(kit_shm_dir()), fd = mye_open_at(dir, "f", true);

	(void)arg;
	if (mye_lock_set(fd, 1, MYE_LOCK_EXCLUSIVE))
		return 1;
	kit_set(page, 0, 1);
	pause();
	return 0;
}

Test(lock, of_a_killed_process_becomes_free)
{
	struct kit_page *page = kit_page_create();
	int dir = shm_dir(), fd = new_file(dir, "f", 64);
	struct kit_actor a;
	int64_t until;

	cr_assert_eq(kit_fork(&a, hold_lock, NULL), 0);
	cr_assert(kit_await(page, 0, 1, 10));
	cr_assert_eq(mye_lock_query(fd, 1, MYE_LOCK_EXCLUSIVE), 1);
	cr_assert_eq(kit_kill(&a, SIGKILL), 0);
	cr_assert_eq(kit_wait(&a, 10), -SIGKILL);
	for (until = kit_deadline(10); mye_lock_set(fd, 1, MYE_LOCK_EXCLUSIVE) == -EAGAIN;)
		cr_assert_lt(mye_now(), until);
	cr_assert_eq(mye_unlink_at(dir, "f"), 0);
	kit_page_destroy(page);
}

Test(file, tmpfile_has_the_exact_mode_and_appears_only_when_linked)
{
	int dir = shm_dir(), fd;
	struct stat st;

	umask(077);
	fd = mye_open_tmpfile(dir, 0660);
	cr_assert_geq(fd, 0);
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0);
	cr_assert_eq(mye_link_fd(fd, dir, "f"), 0);
	cr_assert_eq(mye_stat_at(dir, "f", &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0660);
	cr_assert_eq(mye_link_fd(fd, dir, "f"), -EEXIST);
	cr_assert_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	cr_assert_eq(mye_unlink_at(dir, "f"), 0);
}

Test(file, open_refuses_what_is_not_a_regular_file)
{
	int dir = shm_dir();

	cr_assert_eq(mye_open_at(dir, "f", true), -ENOENT);
	cr_assert_eq(symlinkat("/etc/passwd", dir, "link"), 0);
	cr_assert_eq(mye_open_at(dir, "link", false), -ELOOP);
	cr_assert_eq(mkfifoat(dir, "fifo", 0600), 0);
	cr_assert_eq(mye_open_at(dir, "fifo", false), -EPROTO, "and does not hang");
	cr_assert_eq(mkdirat(dir, "dir", 0700), 0);
	cr_assert_eq(mye_open_at(dir, "dir", false), -EPROTO);
	unlinkat(dir, "link", 0);
	unlinkat(dir, "fifo", 0);
	unlinkat(dir, "dir", AT_REMOVEDIR);
}

Test(file, allocate_on_a_full_file_system_is_enospc_and_not_sigbus_later)
{
	char path[512];
	int dir, fd;

	mount_private(path, sizeof(path), "small", "tmpfs", "size=64k");
	dir = mye_open_dir(path);
	fd = mye_open_tmpfile(dir, 0600);
	cr_assert_eq(mye_truncate(fd, 1 << 20), 0, "a sparse file hides the shortage");
	cr_assert_eq(mye_allocate(fd, 1 << 20), -ENOSPC);
	cr_assert_eq(mye_allocate(fd, 16 << 10), 0);
}

Test(file, read_at_stops_at_the_end_and_write_all_writes_everything)
{
	int dir = shm_dir(), fd = mye_open_tmpfile(dir, 0600);
	char buf[16];

	cr_assert_eq(mye_write_all(fd, "0123456789", 10, 2), 0);
	cr_assert_eq(mye_read_at(fd, buf, sizeof(buf), 4), 8);
	cr_assert_eq(memcmp(buf, "23456789", 8), 0);
}

static int count_names(void *ctx, const char *name)
{
	int *left = ctx;

	cr_assert_neq(name[0], '.');
	return --*left == 0 ? 7 : 0;
}

Test(file, each_name_stops_at_non_zero_and_can_be_repeated)
{
	int dir = shm_dir(), i, left;
	char name[8];

	for (i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		mye_close(new_file(dir, name, 0));
	}
	left = 3;
	cr_assert_eq(mye_each_name(dir, count_names, &left), 7);
	left = 100;
	cr_assert_eq(mye_each_name(dir, count_names, &left), 0);
	cr_assert_eq(left, 95);
	for (i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		mye_unlink_at(dir, name);
	}
}

Test(file, whole_text_of_any_length_is_read)
{
	char *text = mye_read_whole("/proc/self/smaps");

	cr_assert_not_null(text);
	cr_assert_gt(strlen(text), 8192);
	free(text);
	cr_assert_null(mye_read_whole("/nowhere/at/all"));
}

Test(environment, empty_variable_counts_as_unset)
{
	setenv("MYELON_X", "", 1);
	cr_assert_null(mye_env("MYELON_X"));
	setenv("MYELON_X", "y", 1);
	cr_assert_str_eq(mye_env("MYELON_X"), "y");
}

Test(memory, reservation_is_aligned_and_fixed_mappings_of_one_file_are_the_same_bytes)
{
	size_t page = mye_page_size(), align = 2 << 20;
	int dir = shm_dir(), fd = mye_open_tmpfile(dir, 0600);
	unsigned char *at;
	void *out;

	cr_assert_eq(mye_truncate(fd, page), 0);
	cr_assert_eq(mye_reserve(2 * page, align, &out), 0);
	cr_assert_eq((uintptr_t)out % align, 0);
	at = out;
	cr_assert_eq(mye_map_fixed(at, page, fd, 0, MYE_MAP_WRITE), 0);
	cr_assert_eq(mye_map_fixed(at + page, page, fd, 0, MYE_MAP_WRITE), 0);
	at[3] = 99;
	cr_assert_eq(at[page + 3], 99);
	mye_unmap(at, 2 * page);
	cr_assert_eq(mye_reserve(SIZE_MAX - 100, align, &out), -EINVAL);
	cr_assert_eq(mye_reserve(page, 3 * page, &out), -EINVAL);
}

Test(memory, populate_past_the_end_of_a_file_is_efault_and_changes_no_byte)
{
	size_t page = mye_page_size();
	int dir = shm_dir(), fd = mye_open_tmpfile(dir, 0600);
	unsigned char *at;
	void *out;

	if (!mye_can_populate())
		kit_skip("kernel", "no MADV_POPULATE_WRITE");
	cr_assert_eq(mye_write_all(fd, "abc", 3, 0), 0);
	cr_assert_eq(mye_reserve(2 * page, page, &out), 0);
	cr_assert_eq(mye_map_fixed(out, 2 * page, fd, 0, MYE_MAP_WRITE), 0);
	cr_assert_eq(mye_populate(out, page, true), 0);
	at = out;
	cr_assert_eq(memcmp(at, "abc", 3), 0);
	cr_assert_eq(mye_populate(out, 2 * page, true), -EFAULT);
	cr_assert_eq(mye_populate(out, 2 * page, false), -EFAULT);
	mye_unmap(out, 2 * page);
}

Test(identity, names_this_process_in_this_boot)
{
	struct mye_identity a, b;

	mye_identify(&a);
	mye_identify(&b);
	cr_assert_eq(memcmp(&a, &b, sizeof(a)), 0);
	cr_assert_eq(a.pid, (uint32_t)getpid());
	cr_assert_eq(a.tid, (uint32_t)syscall(SYS_gettid));
	cr_assert_eq(a.uid, geteuid());
	cr_assert_neq(a.start_ticks, 0);
	cr_assert_neq(a.pidns, 0);
	cr_assert_neq(a.boot_id[0] | a.boot_id[1], 0);
}

Test(identity, random_bytes_differ)
{
	uint64_t a[2], b[2];

	cr_assert_eq(mye_random(a, sizeof(a)), 0);
	cr_assert_eq(mye_random(b, sizeof(b)), 0);
	cr_assert_neq(memcmp(a, b, sizeof(a)), 0);
}

Test(cpu, pinned_thread_counts_all_online_cpus_and_says_where_it_is)
{
	uint32_t all;
	cpu_set_t set;
	int pinned, cpu;
	bool quota;

	all = mye_usable_cpus(&pinned, &quota);
	cr_assert_geq(all, 1);
	cpu = sched_getcpu();
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	cr_assert_eq(sched_setaffinity(0, sizeof(set), &set), 0);
	cr_assert_geq(mye_usable_cpus(&pinned, NULL), all);
	cr_assert_eq(pinned, cpu);
	cr_assert_eq(mye_affinity(&pinned), 1);
	cr_assert_eq(pinned, cpu);
}

static void *link_later(void *arg)
{
	int dir = *(int *)arg, fd = mye_open_tmpfile(dir, 0600);

	mye_sleep_until(mye_now() + 20 * MS);
	mye_link_fd(fd, dir, "appears");
	mye_close(fd);
	return NULL;
}

Test(watch, linked_tmpfile_is_seen)
{
	int dir = shm_dir();
	int64_t until = kit_deadline(20);
	struct mye_watch *w;
	pthread_t thread;
	struct stat st;

	cr_assert_eq(mye_watch_open(&w, kit_shm_dir()), 0);
	pthread_create(&thread, NULL, link_later, &dir);
	while (mye_stat_at(dir, "appears", &st) == -ENOENT)
		cr_assert_eq(mye_watch_wait(w, until), 0);
	pthread_join(thread, NULL);
	mye_watch_close(w);
	cr_assert_eq(mye_unlink_at(dir, "appears"), 0);
}

Test(watch, times_out_at_the_deadline_and_needs_a_directory)
{
	int64_t until = mye_now() + 5 * MS;
	struct mye_watch *w;
	int rc;

	cr_assert_eq(mye_watch_open(&w, "/nowhere/at/all"), -ENOENT);
	cr_assert_eq(mye_watch_open(&w, kit_shm_dir()), 0);
	while ((rc = mye_watch_wait(w, until)) == 0)
		;
	cr_assert_eq(rc, -ETIMEDOUT);
	cr_assert_geq(mye_now(), until);
	mye_watch_close(w);
}

static int die_at_third_point(void *arg)
{
	int dir = *(int *)arg;

	mye_points_kill_in(3);
	mye_close(mye_create_excl(dir, "one", 0600)); /* points 1, 2, then 3 in close */
	return 0;
}

Test(points, process_dies_at_the_point_that_was_asked_for)
{
	int dir = shm_dir();
	struct kit_actor a;

	cr_assert_eq(kit_fork(&a, die_at_third_point, &dir), 0);
	cr_assert_eq(kit_wait(&a, 10), -SIGKILL);
	cr_assert_eq(mye_unlink_at(dir, "one"), 0);
	cr_assert_gt(mye_points_passed(), 0);
}

Test(memfd, seals_are_added_told_and_final)
{
	int fd = mye_memfd_create("sealed", 0), dir = shm_dir(), plain = new_file(dir, "f", 64);

	cr_assert_geq(fd, 0);
	cr_assert_eq(mye_truncate(fd, 4096), 0);
	cr_assert_eq(mye_seals_get(fd), 0);
	cr_assert_eq(mye_seals_add(fd, MYE_SEAL_SIZE), 0);
	cr_assert_eq(mye_truncate(fd, 8192), -EPERM);
	cr_assert_eq(mye_truncate(fd, 0), -EPERM);
	cr_assert_eq(mye_write_all(fd, "x", 1, 0), 0);
	cr_assert_eq(mye_seals_add(fd, MYE_SEAL_SEALS), 0);
	cr_assert_eq(mye_seals_get(fd), MYE_SEAL_SIZE | MYE_SEAL_SEALS);
	cr_assert_eq(mye_seals_add(fd, MYE_SEAL_WRITE), -EPERM);
	cr_assert_eq(mye_seals_add(plain, MYE_SEAL_SIZE), -EPERM, "it was not made to be sealed");
	mye_close(fd);
	cr_assert_eq(mye_seals_get(fd), -EBADF);
	cr_assert_eq(mye_unlink_at(dir, "f"), 0);
}

Test(memfd, opened_again_it_is_another_open_file_and_read_only)
{
	int fd = mye_memfd_create("again", 0), again = mye_reopen_readable(fd);

	cr_assert_geq(again, 0);
	cr_assert_eq(mye_truncate(fd, 4096), 0);
	cr_assert_eq(mye_write_all(again, "x", 1, 0), -EBADF);
	cr_assert_eq(mye_lock_set(fd, 0, MYE_LOCK_EXCLUSIVE), 0);
	cr_assert_eq(mye_lock_set(again, 0, MYE_LOCK_SHARED), -EAGAIN);
	mye_close(again);
	cr_assert_eq(mye_reopen_readable(again), -ENOENT);
	mye_close(fd);
}
