/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Numbers that mislead: a pid that is another process now, and pids of other namespaces. */
#include "odd_cast.h"

#include <linux/sched.h>
#include <poll.h>
#include <sys/prctl.h>

TestSuite(odd_pid, .timeout = 120);

/* ---- a pid that is used again ---- */

static pid_t stranger;
static int no_stranger; /* why not */

/* Another process under the number of a dead one, which has just been reaped. */
static void take_pid(pid_t pid)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&pid, .set_tid_size = 1};

	stranger = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (stranger == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		syscall(SYS_close_range, 3, ~0u, 0);
		for (;;)
			pause();
	}
	no_stranger = stranger < 0 ? errno : 0;
}

/* False: somebody else was faster. */
static bool took_pid(void)
{
	if (stranger > 0)
		return true;
	if (no_stranger == EPERM || no_stranger == ENOSYS || no_stranger == EINVAL)
		kit_skip("pid reuse", "no process can be made with a pid of our choice");
	cr_assert_eq(no_stranger, EEXIST, "%s", strerror(no_stranger));
	return false;
}

static void end_stranger(void)
{
	if (stranger <= 0)
		return;
	kill(stranger, SIGKILL);
	cr_assert_eq(waitpid(stranger, NULL, 0), stranger);
	stranger = 0;
}

static bool dead_consumer_reused(uint32_t wait)
{
	pid_t pid;
	bool took;

	begin_ring(wait);
	REQUIRE(.required.count = 1, .progress_ns = HANG_NS, .check_ns = 2 * MS,
	        .grace_ns = MYELON_NO_GRACE);
	member_join(1, "w", 3);
	cr_assert_eq(send_all(3), 0);
	pid = cast.actor[1].pid;
	cast_kill(&cast, 1);
	take_pid(pid);
	cr_assert_eq(odd_entry("w").state, MYELON_PEER_DEAD);
	cr_assert_eq(odd_entry("w").pid, pid);
	cr_assert_eq(send_all(100), -EOWNERDEAD, "%s", myelon_last_error());
	expect_failure(MYELON_CAUSE_DEAD, "w", failure().last_seq);
	cr_assert_eq(failure().pid, pid);
	cr_assert_eq(odd_caps(), 0, "found by a look at the cap");
	member_join(2, "w", ALL);
	cr_assert_eq(odd_entry("w").state, MYELON_PEER_ALIVE);
	REQUIRE(.required.count = 1, .progress_ns = HANG_NS);
	cr_assert_eq(send_all(50), 0, "%s", myelon_last_error());
	took = took_pid();
	end_stranger();
	cast_kill(&cast, 2);
	end_ring();
	return took;
}

static void until_it_took(bool (*round)(uint32_t), uint32_t wait)
{
	for (int i = 0; i < 10; i++)
		if (round(wait))
			return;
	cr_assert_fail("the pid was always taken by somebody else");
}

Test(odd_pid, consumer_whose_pid_is_somebody_elses_is_dead)
{
	until_it_took(dead_consumer_reused, MYELON_WAIT_PARK);
	until_it_took(dead_consumer_reused, MYELON_WAIT_SPIN_PAUSE);
}

/* Reads three; then a child that is in no process group of that number holds what is open. */
static int read_and_copy(void *arg)
{
	const struct member *m = arg;
	struct myelon_consumer *c;
	int rc = myelon_consumer_attach(&c, m->name, &MYELON_ATTACH_OPTS(.id = m->id));

	if (rc < 0)
		return member_fail(m, "attach", rc);
	kit_set(m->page, READY + m->index, 1);
	for (int i = 0; rc == 0 && i < 3; i++)
		rc = member_read(m, c);
	if (rc == 0 && syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0) {
		setpgid(0, 0);
		kit_set(m->page, COPIED, 1);
		while (!m->page->word[DONE])
			member_rest(500);
		_exit(0);
	}
	if (rc < 0)
		return member_fail(m, "read", rc);
	for (;;)
		pause();
}

static int end_copy_later(void *arg)
{
	cast_rest(100);
	kit_set(arg, DONE, 1);
	return 0;
}

/*
 * Its lock is still held when its pid is used again, so the producer goes to sleep. To watch the living
 * stranger would be to wait for the cap.
 */
static bool not_watched(uint32_t wait)
{
	struct member m = {.id = "w", .index = 1};
	pid_t pid;
	bool took;

	begin_ring(wait);
	REQUIRE(.required.count = 1, .progress_ns = HANG_NS, .check_ns = HANG_NS,
	        .grace_ns = MYELON_NO_GRACE);
	m.page = cast.page;
	m.name = cast.name;
	cr_assert_eq(kit_fork(&cast.actor[1], read_and_copy, &m), 0);
	cr_assert(kit_await(cast.page, READY + 1, 1, 30));
	cr_assert_eq(send_all(3), 0);
	cr_assert(kit_await(cast.page, COPIED, 1, 30));
	cr_assert_eq(send_all(WINDOW), 0);
	pid = cast.actor[1].pid;
	cast_kill(&cast, 1);
	take_pid(pid);
	cr_assert_eq(kit_fork(&cast.actor[2], end_copy_later, cast.page), 0);
	cr_assert_eq(send_all(100), -EOWNERDEAD, "%s", myelon_last_error());
	cr_assert_eq(odd_caps(), 0, "found by a look at the cap: the stranger was watched");
	cr_assert_eq(kit_wait(&cast.actor[2], 30), 0);
	took = took_pid();
	end_stranger();
	end_ring();
	return took;
}

Test(odd_pid, process_that_has_the_pid_now_is_not_watched_in_place_of_the_dead_one)
{
	until_it_took(not_watched, MYELON_WAIT_PARK);
}

/* A dead producer whose number lives, seen by those who come late, and by all ways to wait. */
static bool dead_producer_reused(uint32_t wait)
{
	struct pollfd fd = {.events = POLLIN};
	struct myelon_consumer *c, *d;
	struct myelon_producer *p;
	int64_t next = 0, also = 0, deadline = kit_deadline(30);
	pid_t pid;
	bool took;
	int rc;

	odd_begin();
	host_start(1, &(struct host){.count = 3});
	pid = cast.actor[1].pid;
	cast_kill(&cast, 1);
	take_pid(pid);
	cr_assert_eq(odd_info().producer_state, MYELON_PEER_DEAD);
	cr_assert_eq(odd_info().producer_pid, pid);
	c = odd_join("r", wait);
	d = odd_join("d", wait);
	fd.fd = myelon_consumer_fd(d, &MYELON_FD_OPTS(.engine = MYELON_ENGINE_DIRECT));
	cr_assert_geq(fd.fd, 0);
	cr_assert_eq(odd_read_on(c, &next, kit_deadline(30)), -EOWNERDEAD);
	while ((rc = odd_read_on(d, &also, MYELON_TRY)) == -EAGAIN)
		cr_assert(poll(&fd, 1, 30000) == 1 && kit_now_ns() < deadline);
	cr_assert_eq(rc, -EOWNERDEAD);
	cr_assert_eq(next, 3);
	cr_assert_eq(also, 3);
	cr_assert_eq(myelon_producer_open(&p, cast.name, NULL), 0, "%s", myelon_last_error());
	cr_assert_eq(host_publish(p, 2), 0);
	cr_assert_eq(odd_read_on(c, &next, MYELON_TRY), -EAGAIN);
	took = took_pid();
	end_stranger();
	/* The end of the stranger is nobody's. */
	cr_assert_eq(odd_read_on(c, &next, kit_deadline(0.05)), -ETIMEDOUT);
	cr_assert_eq(next, 5);
	myelon_producer_close(p);
	myelon_consumer_close(d);
	myelon_consumer_close(c);
	odd_end();
	return took;
}

Test(odd_pid, producer_whose_pid_is_somebody_elses_is_dead)
{
	until_it_took(dead_producer_reused, MYELON_WAIT_PARK);
	until_it_took(dead_producer_reused, MYELON_WAIT_SPIN_PAUSE);
}

static int in_set(struct myelon_waitset *ws)
{
	struct myelon_event e;
	int64_t deadline = kit_deadline(30);
	int rc;

	while ((rc = myelon_waitset_wait(ws, &e, 1, deadline)) == 1 && e.result >= 0)
		;
	cr_assert_eq(rc, 1, "%d: %s", rc, myelon_last_error());
	return e.result;
}

/* As above, with the lock still held when the set begins to watch. */
static bool not_watched_by_a_set(uint32_t wait)
{
	struct myelon_waitset *ws;
	struct myelon_consumer *c;
	int64_t next = 0;
	pid_t pid;
	bool took;

	odd_begin();
	host_start(1, &(struct host){.count = 3});
	c = odd_join("r", wait);
	cr_assert_eq(odd_read_on(c, &next, MYELON_TRY), -EAGAIN);
	pid = cast.actor[1].pid;
	cast_kill(&cast, 1);
	take_pid(pid);
	cr_assert_eq(myelon_waitset_create(&ws, NULL), 0);
	cr_assert_geq(myelon_waitset_add_consumer(ws, c, NULL, NULL), 0);
	cr_assert_eq(in_set(ws), -EOWNERDEAD);
	myelon_waitset_close(ws);
	took = took_pid();
	end_stranger();
	myelon_consumer_close(c);
	odd_end();
	return took;
}

Test(odd_pid, wait_set_is_told_of_a_producer_whose_pid_is_somebody_elses)
{
	until_it_took(not_watched_by_a_set, MYELON_WAIT_PARK);
}

/* ---- pid namespaces ---- */

/* Reads in a namespace of its own, whose first process it is. */
static int read_there(void *arg)
{
	return getpid() == 1 ? member_consume(arg) : 5;
}

/* Produces, supervised, in another; it is the first process there as well. */
static int publish_there(void *arg)
{
	struct host *h = arg;
	struct kit_result *r = &h->page->result[OUTSIDE + h->index];
	struct myelon_failure f = MYELON_FAILURE_INIT;
	int rc = host_make(h, &ring);

	if (rc == 0)
		rc = myelon_producer_require(
			ring, &MYELON_LIVENESS_OPTS(.required.count = 1, .progress_ns = HANG_NS,
		                                    .startup_ns = HANG_NS, .check_ns = 2 * MS,
		                                    .grace_ns = MYELON_NO_GRACE));
	if (rc < 0 || getpid() != 1)
		return host_fail("producer", rc);
	kit_set(h->page, READY + h->index, 1);
	while (rc == 0)
		rc = send();
	if (rc != -EOWNERDEAD || myelon_producer_failure(ring, &f) != 1)
		return host_fail("managed", rc);
	r->value[1] = (uint64_t)f.cause;
	r->value[2] = (uint64_t)f.pid;
	kit_set(h->page, DONE, 1);
	return host_hang(h);
}

Test(odd_pid, producer_and_consumer_of_two_namespaces_judge_each_other_right)
{
	struct member m = {.id = "w", .index = 2};
	struct host h = {.index = 1, .flags = MYELON_F_LEASE};
	struct myelon_consumer *c;
	struct myelon_producer *p;
	int64_t next = 0;

	need_namespace(CLONE_NEWPID, 0);
	odd_begin();
	m.page = h.page = cast.page;
	m.name = h.name = cast.name;
	kit_set(cast.page, ALLOW + 2, 3);
	elsewhere_start(1,
	                &(struct elsewhere){.flag = CLONE_NEWPID, .fn = publish_there, .arg = &h});
	cr_assert(kit_await(cast.page, READY + 1, 1, 30), "no producer");
	c = odd_join("here", MYELON_WAIT_PARK);
	elsewhere_start(2, &(struct elsewhere){.flag = CLONE_NEWPID, .fn = read_there, .arg = &m});
	cr_assert(kit_await(cast.page, READY + 2, 1, 30), "no consumer");
	/* Both are process 1 for themselves; for us they are others, and nobody here. */
	cr_assert_eq(odd_info().producer_pid, 1);
	cr_assert_eq(odd_info().producer_state, MYELON_PEER_ALIVE);
	cr_assert_eq(odd_entry("w").pid, 1);
	cr_assert_eq(odd_entry("w").state, MYELON_PEER_ALIVE);
	cr_assert_eq(odd_entry("here").pid, getpid());
	while (next < 3)
		cr_assert_eq(odd_read_on(c, &next, MYELON_TRY), -EAGAIN);
	elsewhere_kill(2);
	cr_assert_eq(odd_entry("w").state, MYELON_PEER_DEAD);
	while (!cast.page->word[DONE])
		cr_assert_eq(odd_read_on(c, &next, kit_deadline(0.01)), -ETIMEDOUT);
	cr_assert_eq(cast.page->result[OUTSIDE + 1].value[1], MYELON_CAUSE_DEAD);
	cr_assert_eq(cast.page->result[OUTSIDE + 1].value[2], 1);
	elsewhere_kill(1);
	cr_assert_eq(odd_read_on(c, &next, kit_deadline(30)), -EOWNERDEAD);
	cr_assert_eq(odd_info().producer_state, MYELON_PEER_DEAD);
	cr_assert_eq(myelon_producer_open(&p, cast.name, NULL), 0, "%s", myelon_last_error());
	member_join(3, "w", ALL);
	myelon_producer_close(p);
	cr_assert_eq(odd_read_on(c, &next, kit_deadline(30)), -EPIPE);
	cr_assert_eq(kit_wait(&cast.actor[3], 30), 0);
	myelon_consumer_close(c);
	odd_end();
}

/* A descriptor of a consumer whose pid is the producer's own number: it comes by socket. */
static int read_by_descriptor(void *arg)
{
	struct member *m = arg;
	struct kit_result *r = &m->page->result[m->index];
	struct pollfd fd = {.events = POLLIN};
	struct myelon_consumer *c;
	struct myelon_view v;
	int rc = myelon_consumer_attach(&c, m->name, &MYELON_ATTACH_OPTS(.id = m->id));

	if (rc < 0 || getpid() != 1)
		return member_fail(m, "attach", rc);
	fd.fd = myelon_consumer_fd(c, &MYELON_FD_OPTS(.engine = MYELON_ENGINE_DIRECT));
	if (fd.fd < 0)
		return member_fail(m, "fd", fd.fd);
	kit_set(m->page, READY + m->index, 1);
	for (;;) {
		while ((rc = myelon_peek(c, 1, MYELON_TRY, &v)) > 0) {
			if (kit_check(v.base, SLOT, SEED, (uint64_t)v.seq) >= 0 ||
			    myelon_release(c, 1) < 0)
				kit_violation(r, "content of %lld", (long long)v.seq);
			r->value[0] = myelon_consumer_fd_engine(c);
			r->count++;
		}
		if (rc == -EPIPE)
			break;
		if (rc != -EAGAIN)
			return member_fail(m, "peek", rc);
		if (poll(&fd, 1, 20000) != 1)
			return member_fail(m, "no wake", 0);
	}
	myelon_consumer_close(c);
	return 0;
}

static int publish_until_direct(void *arg)
{
	struct host *h = arg;
	const struct kit_result *r = &h->page->result[2];
	int64_t deadline = kit_deadline(30);
	struct myelon_producer *p;
	int rc = host_make(h, &p);

	if (rc < 0 || getpid() != 1)
		return host_fail("producer", rc);
	kit_set(h->page, READY + h->index, 1);
	if (!kit_await(h->page, READY + 2, 1, 30))
		return 2;
	while (rc == 0 && r->value[0] != MYELON_ENGINE_DIRECT && kit_now_ns() < deadline) {
		uint64_t at = r->count;

		rc = host_publish(p, 1);
		while (r->count == at && kit_now_ns() < deadline)
			member_rest(100);
	}
	if (rc == 0)
		rc = host_publish(p, 500);
	myelon_producer_close(p);
	return rc < 0 || kit_now_ns() >= deadline ? host_fail("publish", rc) : 0;
}

Test(odd_pid, descriptor_of_a_consumer_with_the_producers_own_pid_is_handed_over_by_socket)
{
	struct member m = {.id = "w", .index = 2};
	struct host h = {.index = 1};

	need_namespace(CLONE_NEWPID, 0);
	odd_begin();
	m.page = h.page = cast.page;
	m.name = h.name = cast.name;
	elsewhere_start(1, &(struct elsewhere){
				   .flag = CLONE_NEWPID, .fn = publish_until_direct, .arg = &h});
	cr_assert(kit_await(cast.page, READY + 1, 1, 30), "no producer");
	elsewhere_start(
		2, &(struct elsewhere){.flag = CLONE_NEWPID, .fn = read_by_descriptor, .arg = &m});
	cr_assert_eq(kit_wait(&cast.actor[1], 60), 0);
	cr_assert_eq(kit_wait(&cast.actor[2], 60), 0, "%s", member_of(2)->text);
	cr_assert_eq(member_of(2)->violations, 0, "%s", member_of(2)->text);
	cr_assert_geq(member_of(2)->count, 500);
	odd_end();
}
