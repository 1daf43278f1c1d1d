/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Processes that become other programs, or leave children that hold what they had open. */
#include "odd_cast.h"

#include <dirent.h>
#include <pthread.h>
#include <spawn.h>

#define HELD 49  /* word: a child holds a copy of everything */
#define LEAVE 57 /* word: it may end */

extern char **environ;

TestSuite(odd_exec, .timeout = 120);

static int become_another(const struct host *h)
{
	if (!kit_await(h->page, DONE, 1, 60))
		return 2;
	execlp("sleep", "sleep", "1000", (char *)NULL);
	return 127;
}

/* What an exec'ed process must not have: anything a handle opened. */
static int handles_open_in(pid_t pid)
{
	char path[64], link[512];
	const struct dirent *e;
	int found = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	cr_assert_not_null(dir);
	while ((e = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, link, sizeof(link) - 1);

		if (n < 0)
			continue;
		link[n] = '\0';
		if (strstr(link, "myelon") || strstr(link, kit_shm_dir()) ||
		    strstr(link, "io_uring") || strstr(link, "event") || strstr(link, "timerfd") ||
		    strstr(link, "pidfd")) {
			fprintf(stderr, "%s is open\n", link);
			found++;
		}
	}
	closedir(dir);
	return found;
}

static void await_exec(pid_t pid)
{
	int64_t deadline = kit_deadline(30);
	char path[64], name[32] = "";

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	while (strcmp(name, "sleep\n") != 0) {
		FILE *f = fopen(path, "re");

		cr_assert_lt(kit_now_ns(), deadline, "it stays '%s'", name);
		if (f && !fgets(name, sizeof(name), f))
			name[0] = '\0';
		if (f)
			fclose(f);
		cast_rest(1);
	}
}

static void exec_of_producer(uint32_t wait, uint32_t flags)
{
	struct myelon_producer *p;
	struct myelon_consumer *c;
	int64_t next = 0;

	odd_begin();
	host_start(1, &(struct host){.count = 3, .flags = flags, .then = become_another});
	c = odd_join("r", wait);
	cr_assert_eq(odd_read_on(c, &next, MYELON_TRY), -EAGAIN);
	kit_set(cast.page, DONE, 1);
	cr_assert_eq(odd_read_on(c, &next, kit_deadline(30)), -EOWNERDEAD);
	await_exec(cast.actor[1].pid);
	cr_assert(kit_running(&cast.actor[1]));
	cr_assert_eq(odd_info().producer_state, MYELON_PEER_DEAD);
	cr_assert_eq(handles_open_in(cast.actor[1].pid), 0);
	cr_assert_eq(myelon_producer_open(&p, cast.name, NULL), 0, "%s", myelon_last_error());
	cr_assert_eq(host_publish(p, 3), 0);
	cr_assert_eq(odd_read_on(c, &next, MYELON_TRY), -EAGAIN);
	cr_assert_eq(next, 6);
	myelon_producer_close(p);
	myelon_consumer_close(c);
	cast_kill(&cast, 1);
	odd_end();
}

Test(odd_exec, producer_that_became_another_program_is_dead_and_replaced_at_once)
{
	exec_of_producer(MYELON_WAIT_PARK, 0);
	exec_of_producer(MYELON_WAIT_PARK, MYELON_F_LEASE);
	exec_of_producer(MYELON_WAIT_SPIN_PAUSE, 0);
}

static void exec_of_consumer(uint32_t wait)
{
	const uint32_t total = 60;

	begin_ring(wait);
	kit_set(cast.page, ALLOW + 1, 3);
	member_start(1, &(struct member){.id = "w", .index = 1, .life = EXECS});
	cr_assert(kit_await(cast.page, READY + 1, 1, 30));
	for (uint32_t i = 0; i < WINDOW; i++)
		cr_assert_eq(send_plain(), 0);
	await_exec(cast.actor[1].pid);
	odd_becomes("w", MYELON_PEER_DEAD);
	cr_assert_eq(handles_open_in(cast.actor[1].pid), 0);
	/* Dead, and still in the way of plain calls and of managed ones. */
	REQUIRE(.progress_ns = 20 * MS, .grace_ns = HANG_NS);
	cr_assert_eq(send_all(3), 0);
	cr_assert_eq(send_until(kit_deadline(0.3)), -ETIMEDOUT);
	cr_assert_eq(heard.count, 1);
	cr_assert_eq(heard.last.cause, MYELON_CAUSE_DEAD);
	/* Its process lives; its id is free. */
	kit_set(cast.page, ALLOW + 1, ALL);
	kit_set(cast.page, READY + 1, 0);
	member_start(2, &(struct member){.id = "w", .index = 1, .end = total});
	cr_assert(kit_await(cast.page, READY + 1, 1, 30));
	cr_assert(kit_running(&cast.actor[1]));
	cr_assert_eq(odd_entry("w").state, MYELON_PEER_ALIVE);
	cr_assert_eq(odd_entry("w").pid, cast.actor[2].pid);
	cr_assert_eq(send_all(total - WINDOW - 3), 0, "%s", myelon_last_error());
	cr_assert_eq(kit_wait(&cast.actor[2], 30), 0, "%s", member_of(1)->text);
	cr_assert_eq(member_of(1)->violations, 0, "%s", member_of(1)->text);
	cr_assert_eq(member_of(1)->value[0], total);
	cr_assert_eq(heard.count, 1);
	cast_kill(&cast, 1);
	end_ring();
}

Test(odd_exec, consumer_that_became_another_program_is_dead_and_its_id_free)
{
	exec_of_consumer(MYELON_WAIT_PARK);
	exec_of_consumer(MYELON_WAIT_SPIN_PAUSE);
}

/* Everything there is, in one process that execs. */
static int open_much_and_exec(void *arg)
{
	static const uint32_t engines[] = {MYELON_ENGINE_URING, MYELON_ENGINE_DIRECT,
	                                   MYELON_ENGINE_PROXY};
	struct host *h = arg;
	struct myelon_observer *o;
	struct myelon_waitset *ws;
	struct myelon_producer *p;
	struct myelon_consumer *c;
	int rc;

	h->flags = MYELON_F_LEASE;
	rc = host_make(h, &p);
	for (size_t i = 0; rc == 0 && i < 3; i++) {
		rc = myelon_consumer_attach(&c, h->name, NULL);
		if (rc == 0 && myelon_consumer_fd(c, &MYELON_FD_OPTS(.engine = engines[i])) < 0 &&
		    engines[i] != MYELON_ENGINE_URING)
			return host_fail("fd", -1);
	}
	if (rc == 0)
		rc = myelon_observer_attach(&o, h->name, NULL);
	if (rc == 0)
		rc = myelon_consumer_attach(&c, h->name, NULL);
	if (rc == 0)
		rc = myelon_waitset_create(&ws, NULL);
	if (rc == 0)
		rc = (int)myelon_waitset_add_consumer(ws, c, NULL, NULL) < 0 ? -1 : 0;
	if (rc < 0)
		return host_fail("open", rc);
	kit_set(h->page, READY + h->index, 1);
	execlp("sleep", "sleep", "1000", (char *)NULL);
	return 127;
}

Test(odd_exec, no_descriptor_of_any_handle_survives_an_exec)
{
	struct host h = {.index = 1};

	odd_begin();
	h.page = cast.page;
	h.name = cast.name;
	cr_assert_eq(kit_fork(&cast.actor[1], open_much_and_exec, &h), 0);
	cr_assert(kit_await(cast.page, READY + 1, 1, 30));
	await_exec(cast.actor[1].pid);
	cr_assert_eq(handles_open_in(cast.actor[1].pid), 0);
	odd_producer_becomes(MYELON_PEER_DEAD);
	cr_assert_geq(myelon_gc(NULL, NULL, NULL), 1, "somebody still holds the files");
	cast_kill(&cast, 1);
	odd_end();
}

/* ---- children that hold the descriptors ---- */

static void hold_until_done(struct kit_page *page)
{
	kit_set(page, HELD, 1);
	while (!page->word[DONE])
		member_rest(500);
}

/* A child of fork(): its descriptors are closed before fork() returns in it. */
static int leave_forked(const struct host *h)
{
	if (fork() == 0) {
		hold_until_done(h->page);
		_exit(0);
	}
	return host_hang(h);
}

/* A child made by a system call of its own: no handler runs. */
static int leave_cloned(const struct host *h)
{
	if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0) {
		hold_until_done(h->page);
		_exit(0);
	}
	return host_hang(h);
}

/* A child as vfork() makes it, on a stack of its own: it has our memory, and our thread waits in the kernel until
 * it execs or ends. No handler runs. */
static pid_t vfork_to(int (*fn)(void *arg), void *arg)
{
	static _Alignas(16) unsigned char stack[65536];

	return clone(fn, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, arg);
}

static int become_true(void *page)
{
	if (page)
		hold_until_done(page);
	execlp("true", "true", (char *)NULL);
	_exit(127);
}

/* It takes its time before exec. */
static int leave_vforked(const struct host *h)
{
	vfork_to(become_true, h->page);
	return host_hang(h);
}

/* Whose child takes its time before the handler. */
static struct kit_page *in_the_window;

static void hold_in_the_window(void)
{
	if (in_the_window)
		hold_until_done(in_the_window);
}

/* A child of fork() whose handlers are not done when the parent is killed. Lives on afterwards. */
static int leave_forked_slowly(const struct host *h)
{
	in_the_window = h->page;
	if (fork() == 0) {
		kit_await(h->page, LEAVE, 1, 60);
		_exit(0);
	}
	return host_hang(h);
}

static int leave_spawned(const struct host *h)
{
	char *const argv[] = {"sleep", "5", NULL};
	pid_t pid;

	if (posix_spawnp(&pid, "sleep", NULL, NULL, argv, environ))
		return 3;
	kit_set(h->page, HELD, 1);
	return host_hang(h);
}

static void held_by_nobody(int (*then)(const struct host *h), uint32_t flags)
{
	struct myelon_producer *p;
	struct myelon_consumer *c;
	int64_t next = 0;

	odd_begin();
	host_start(1, &(struct host){.count = 3, .flags = flags, .then = then});
	cr_assert(kit_await(cast.page, HELD, 1, 30));
	c = odd_join("r", MYELON_WAIT_PARK);
	odd_kill_unreaped(1);
	cr_assert_eq(odd_info().producer_state, MYELON_PEER_DEAD);
	cr_assert_eq(myelon_producer_open(&p, cast.name, NULL), 0, "%s", myelon_last_error());
	cr_assert_eq(host_publish(p, 3), 0);
	cr_assert_eq(odd_read_on(c, &next, MYELON_TRY), -EAGAIN);
	cr_assert_eq(next, 6);
	kit_set(cast.page, DONE, 1);
	odd_reap(1);
	myelon_producer_close(p);
	myelon_consumer_close(c);
	odd_end();
}

Test(odd_exec, children_of_fork_and_posix_spawn_hold_no_role_of_a_killed_parent)
{
	held_by_nobody(leave_forked, 0);
	held_by_nobody(leave_forked, MYELON_F_LEASE);
	held_by_nobody(leave_spawned, 0);
	held_by_nobody(leave_spawned, MYELON_F_LEASE);
}

/* The role is held as long as the descriptor is open somewhere, and the sentence says why. */
static void held_by_a_child(int (*then)(const struct host *h), uint32_t flags)
{
	struct myelon_producer *p;
	struct myelon_consumer *c;
	int64_t next = 0;
	char pid[16];

	odd_begin();
	host_start(1, &(struct host){.count = 3, .flags = flags, .then = then});
	cr_assert(kit_await(cast.page, HELD, 1, 30));
	snprintf(pid, sizeof(pid), "%d", cast.actor[1].pid);
	c = odd_join("r", MYELON_WAIT_PARK);
	odd_kill_unreaped(1);
	odd_reap(1);
	cr_assert_eq(odd_read_on(c, &next, kit_deadline(0.3)), -ETIMEDOUT, "%s",
	             myelon_last_error());
	cr_assert_eq(next, 3);
	cr_assert_eq(myelon_producer_open(&p, cast.name, NULL), -EBUSY);
	cr_assert_not_null(strstr(myelon_last_error(), pid), "%s", myelon_last_error());
	cr_assert_not_null(strstr(myelon_last_error(), "ended"), "%s", myelon_last_error());
	kit_set(cast.page, DONE, 1);
	cr_assert_eq(odd_read_on(c, &next, kit_deadline(30)), -EOWNERDEAD);
	cr_assert_eq(myelon_producer_open(&p, cast.name, NULL), 0, "%s", myelon_last_error());
	kit_set(cast.page, LEAVE, 1);
	myelon_producer_close(p);
	myelon_consumer_close(c);
	odd_end();
}

Test(odd_exec, child_whose_fork_handlers_are_not_done_yet_keeps_the_role_until_they_are)
{
	/* Child handlers run in the order of registration, and ours is the first. */
	cr_assert_eq(pthread_atfork(NULL, NULL, hold_in_the_window), 0);
	held_by_a_child(leave_forked_slowly, 0);
	held_by_a_child(leave_forked_slowly, MYELON_F_LEASE);
}

Test(odd_exec, child_without_the_fork_handler_keeps_the_role_until_it_ends_and_that_is_told)
{
	held_by_a_child(leave_cloned, 0);
	held_by_a_child(leave_cloned, MYELON_F_LEASE);
	held_by_a_child(leave_vforked, 0);
	held_by_a_child(leave_vforked, MYELON_F_LEASE);
}

Test(odd_exec, id_whose_lock_a_child_of_its_dead_process_holds_is_busy_and_that_is_told)
{
	struct myelon_consumer *c;
	char pid[16];

	begin_ring(MYELON_WAIT_PARK);
	kit_set(cast.page, ALLOW + 1, 0);
	member_start(1, &(struct member){.id = "w", .index = 1, .life = LEAVES_A_COPY});
	cr_assert(kit_await(cast.page, COPIED, 1, 30));
	snprintf(pid, sizeof(pid), "%d", cast.actor[1].pid);
	odd_kill_unreaped(1);
	odd_reap(1);
	/* The copy lives for another 100 ms at most; seldom, it has ended already. */
	if (myelon_consumer_attach(&c, cast.name, &MYELON_ATTACH_OPTS(.id = "w")) == -EBUSY) {
		cr_assert_not_null(strstr(myelon_last_error(), pid), "%s", myelon_last_error());
		cr_assert_not_null(strstr(myelon_last_error(), "ended"), "%s", myelon_last_error());
		odd_becomes("w", MYELON_PEER_DEAD);
		c = odd_join("w", MYELON_WAIT_PARK);
	}
	myelon_consumer_close(c);
	end_ring();
}

/* ---- children that do no harm ---- */

static int spawn_true(void)
{
	char *const argv[] = {"true", NULL};
	pid_t pid;
	int status;

	if (posix_spawnp(&pid, "true", NULL, NULL, argv, environ))
		return -1;
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static int vfork_true(void)
{
	pid_t pid = vfork_to(become_true, NULL);
	int status;

	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

/* What a child that knows nothing of the fork handler may do with the parent's handles: nothing. */
static int use_in_clone(struct myelon_consumer *c)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	struct myelon_view v;
	int status;

	if (pid == 0) {
		int rc = send_plain();

		if (rc == -EPERM)
			rc = myelon_peek(c, 1, MYELON_FOREVER, &v);
		if (rc == -EPERM)
			rc = myelon_release(c, 1);
		_exit(rc == -EPERM && send_until(MYELON_TRY) == -EPERM ? 0 : 1);
	}
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

Test(odd_exec, children_of_vfork_and_posix_spawn_and_clone_do_not_harm_the_handles)
{
	struct myelon_consumer *c;
	int64_t next = 0;

	begin_ring(MYELON_WAIT_PARK);
	REQUIRE(.required.count = 1);
	c = odd_join("r", MYELON_WAIT_PARK);
	for (int i = 0; i < 20; i++) {
		struct myelon_span s;
		struct myelon_view v;

		cr_assert_eq(send_all(3), 0);
		/* In the middle of a claim and of a view. */
		cr_assert_eq(myelon_claim(ring, 2, MYELON_TRY, &s), 0);
		cr_assert_eq(myelon_peek(c, 1, MYELON_TRY, &v), 1);
		cr_assert_eq(vfork_true(), 0);
		cr_assert_eq(spawn_true(), 0);
		cr_assert_eq(use_in_clone(c), 0);
		cr_assert_eq(v.seq, next);
		cr_assert_eq(kit_check(v.base, SLOT, SEED, (uint64_t)next), -1);
		cr_assert_eq(myelon_release(c, 1), 0);
		next++;
		for (uint32_t k = 0; k < 2; k++)
			kit_fill((char *)s.base + (size_t)k * SLOT, SLOT, SEED,
			         (uint64_t)s.seq + k);
		cr_assert_eq(myelon_publish(ring, 2), 0);
		cr_assert_eq(odd_read_on(c, &next, MYELON_TRY), -EAGAIN);
		cr_assert_eq(next, 5 * (i + 1));
	}
	myelon_consumer_close(c);
	end_ring();
}
