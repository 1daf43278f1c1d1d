/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The hand-over of descriptors where there are no more descriptors, and between users of a group. */
#include "odd_cast.h"

#include <grp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <myelon/keeper.h>

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

#define WANTED 50 /* words: messages it is to publish */
#define SENT 51
#define QUIT 52
#define LIMIT 53   /* 1 + descriptors it may still open; 0: all */
#define LIMITED 54 /* the same, when it is done */
#define ADOPTED 55 /* of its keeper */
#define LOOPS 56
#define OWNER 60001
#define OTHER 60002
#define SHARED_GROUP 60010

TestSuite(odd_handover, .timeout = 120);

struct sender {
	struct kit_page *page;
	const char *name;
	uint32_t flags;
	bool deny;
	uid_t uid; /* 0: as we are */
};

static int become(uid_t uid)
{
	if (uid == 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(SHARED_GROUP, SHARED_GROUP, SHARED_GROUP) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return -errno;
	return kit_die_with_parent(getppid()) ? 0 : -ESRCH;
}

/* So that @p left numbers are free, which come after all that are in use. */
static int leave_descriptors(rlim_t all, uint32_t left)
{
	struct rlimit l = {.rlim_cur = all, .rlim_max = all};
	int free_fd = dup(0);

	if (free_fd < 0)
		return -errno;
	/* Numbers that were closed in between are filled. */
	for (int fd = free_fd + 1; fd < free_fd + 64; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			free_fd = -1;
	close(free_fd);
	if (free_fd < 0)
		return -EINVAL;
	l.rlim_cur = (rlim_t)free_fd + left;
	return setrlimit(RLIMIT_NOFILE, &l) < 0 ? -errno : 0;
}

static int limit(uint32_t wish)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return -errno;
	if (wish)
		return leave_descriptors(l.rlim_max, wish - 1);
	l.rlim_cur = l.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &l) < 0 ? -errno : 0;
}

static void fill_holes(void)
{
	int fd = dup(0), highest = fd;

	for (int i = fd; i < fd + 64; i++)
		if (fcntl(i, F_GETFD) >= 0)
			highest = i;
	while (fd >= 0 && fd < highest)
		fd = dup(0);
	close(fd);
}

static int obey(struct sender *s)
{
	struct myelon_keeper_info info = {.size = sizeof(info)};
	int rc;

	myelon_keeper_info(&info);
	s->page->word[LOOPS] = (uint32_t)info.loops;
	s->page->word[ADOPTED] = info.adopted;
	if (s->page->word[LIMIT] == s->page->word[LIMITED])
		return 0;
	fill_holes();
	rc = limit(s->page->word[LIMIT]);
	kit_set(s->page, LIMITED, s->page->word[LIMIT]);
	return rc;
}

static int send_and_obey(void *arg)
{
	struct sender *s = arg;
	struct myelon_producer *p;
	int rc = become(s->uid);

	if (rc < 0 || (s->deny && kit_deny(SYS_pidfd_getfd, EPERM) < 0))
		return host_fail("set-up", rc);
	rc = myelon_producer_create(
		&p, s->name,
		&MYELON_RING_OPTS(.slot_size = SLOT, .window = 256, .flags = s->flags,
	                          .backing = MYELON_BACKING_SHM, .huge = MYELON_HUGE_OFF));
	if (rc < 0)
		return host_fail("create", rc);
	kit_set(s->page, READY, 1);
	while (rc == 0 && !s->page->word[QUIT]) {
		uint32_t sent = s->page->word[SENT];

		for (; rc == 0 && sent < s->page->word[WANTED]; sent++)
			rc = host_publish(p, 1);
		kit_set(s->page, SENT, sent);
		if (rc == 0)
			rc = obey(s);
		member_rest(200);
	}
	myelon_producer_close(p);
	return rc < 0 ? host_fail("producer", rc) : 0;
}

static struct sender sender;

static void sender_begin(const struct sender *how)
{
	sender = *how;
	sender.page = cast.page;
	sender.name = cast.name;
	cr_assert_eq(kit_fork(&cast.actor[0], send_and_obey, &sender), 0);
	cr_assert(kit_await(cast.page, READY, 1, 30));
}

static void sender_end(void)
{
	kit_set(cast.page, QUIT, 1);
	cr_assert_eq(kit_wait(&cast.actor[0], 30), 0);
}

static void limit_to(uint32_t wish)
{
	int64_t deadline = kit_deadline(30);

	kit_set(cast.page, LIMIT, wish);
	while (cast.page->word[LIMITED] != wish) {
		cr_assert_lt(kit_now_ns(), deadline);
		cast_rest(1);
	}
}

/* The sender tells a moment later. */
static void expect_adopted(uint32_t n)
{
	int64_t deadline = kit_deadline(30);

	while (cast.page->word[ADOPTED] != n) {
		cr_assert_lt(kit_now_ns(), deadline, "%u are adopted", cast.page->word[ADOPTED]);
		cast_rest(1);
	}
}

struct ear {
	struct myelon_consumer *c;
	int64_t next;
	int fd;
};

static struct ear listen_with(const char *id)
{
	struct ear e = {.c = odd_join(id, MYELON_WAIT_PARK)};

	e.next = myelon_consumer_cursor(e.c) + 1;
	e.fd = myelon_consumer_fd(e.c, &MYELON_FD_OPTS(.engine = MYELON_ENGINE_DIRECT));
	cr_assert_geq(e.fd, 0, "%s", myelon_last_error());
	return e;
}

static void hear_all(struct ear *e)
{
	while (e->next < cast.page->word[WANTED]) {
		struct pollfd p = {.fd = e->fd, .events = POLLIN};

		cr_assert_eq(odd_read_on(e->c, &e->next, MYELON_TRY), -EAGAIN);
		if (e->next < cast.page->word[WANTED])
			cr_assert_eq(poll(&p, 1, 20000), 1, "no wake after %lld",
			             (long long)e->next);
	}
}

/* @p n more messages, one by one, to two listeners. */
static void talk(struct ear *a, struct ear *b, uint32_t n)
{
	while (n-- > 0) {
		kit_set(cast.page, WANTED, cast.page->word[WANTED] + 1);
		hear_all(a);
		if (b)
			hear_all(b);
	}
}

static bool is_direct(const struct ear *e)
{
	return myelon_consumer_fd_engine(e->c) == MYELON_ENGINE_DIRECT;
}

static void until_direct(struct ear *e, struct ear *other)
{
	int64_t deadline = kit_deadline(30);

	while (!is_direct(e)) {
		cr_assert_lt(kit_now_ns(), deadline, "it stays behind its keeper");
		talk(e, other, 1);
	}
}

/* With @p left free ones the second consumer's descriptor cannot be taken in. */
static void without_descriptors(uint32_t left)
{
	struct ear a, b;
	uint32_t loops;

	odd_begin();
	sender_begin(&(struct sender){.deny = true});
	a = listen_with("a");
	until_direct(&a, NULL);
	limit_to(1 + left);
	b = listen_with("b");
	talk(&b, &a, 50);
	cr_assert(is_direct(&a));
	cr_assert_not(is_direct(&b), "the limit has no effect");
	/* Nobody turns, though a connection waits all the time. */
	loops = cast.page->word[LOOPS];
	cast_rest(2500);
	cr_assert_leq(cast.page->word[LOOPS] - loops, 60, "%u turns",
	              cast.page->word[LOOPS] - loops);
	talk(&b, &a, 10);
	limit_to(0);
	until_direct(&b, &a);
	cr_assert(is_direct(&a));
	expect_adopted(2);
	talk(&a, &b, 50);
	sender_end();
	cr_assert_eq(odd_read_on(a.c, &a.next, kit_deadline(30)), -EPIPE);
	cr_assert_eq(odd_read_on(b.c, &b.next, kit_deadline(30)), -EPIPE);
	myelon_consumer_close(a.c);
	myelon_consumer_close(b.c);
	odd_end();
}

Test(odd_handover, without_a_descriptor_for_the_connection_it_waits_in_peace_and_goes_on_later)
{
	without_descriptors(0);
}

Test(odd_handover, without_a_descriptor_for_what_is_handed_over_it_waits_and_goes_on_later)
{
	without_descriptors(1);
}

/* ---- two users of one group ---- */

struct guest {
	struct kit_page *page;
	const char *name;
	uid_t uid;
};

/* Reads until the end, by its descriptor. */
static int read_as(void *arg)
{
	const struct guest *g = arg;
	struct kit_result *r = &g->page->result[1];
	struct myelon_consumer *c = NULL;
	struct pollfd p = {.events = POLLIN};
	struct myelon_view v;
	int rc = become(g->uid);

	if (rc == 0)
		rc = myelon_consumer_attach(
			&c, g->name, &MYELON_ATTACH_OPTS(.id = "g", .flags = MYELON_F_ANY_OWNER));
	if (rc < 0)
		return host_fail("attach", rc);
	p.fd = myelon_consumer_fd(c, &MYELON_FD_OPTS(.engine = MYELON_ENGINE_DIRECT));
	if (p.fd < 0)
		return host_fail("fd", p.fd);
	kit_set(g->page, READY + 1, 1);
	for (;;) {
		while ((rc = myelon_peek(c, 1, MYELON_TRY, &v)) > 0) {
			if (kit_check(v.base, SLOT, SEED, (uint64_t)v.seq) >= 0 ||
			    myelon_release(c, 1) < 0)
				kit_violation(r, "content of %lld", (long long)v.seq);
			r->count++;
			r->value[0] = myelon_consumer_fd_engine(c);
		}
		if (rc != -EAGAIN)
			break;
		if (poll(&p, 1, 20000) != 1)
			return host_fail("no wake", 0);
	}
	myelon_consumer_close(c);
	return rc == -EPIPE ? 0 : host_fail("peek", rc);
}

static void as_guest(uid_t host, uid_t uid, enum myelon_engine expected)
{
	const uint32_t total = 400;
	struct guest g = {.uid = uid};
	char above[280], dir[300];

	odd_begin();
	snprintf(above, sizeof(above), "%s", kit_shm_dir());
	snprintf(dir, sizeof(dir), "%s/g", above);
	cr_assert_eq(chmod(above, 0755), 0);
	cr_assert_eq(mkdir(dir, 0700), 0);
	cr_assert_eq(chown(dir, OWNER, SHARED_GROUP), 0);
	cr_assert_eq(chmod(dir, 02770), 0);
	setenv("MYELON_SHM_DIR", dir, 1);
	g.page = cast.page;
	g.name = cast.name;
	sender_begin(&(struct sender){.flags = MYELON_F_GROUP, .uid = host});
	cr_assert_eq(kit_fork(&cast.actor[1], read_as, &g), 0);
	cr_assert(kit_await(cast.page, READY + 1, 1, 30), "no guest");
	for (uint32_t i = 1; i <= total; i++) {
		int64_t deadline = kit_deadline(30);

		kit_set(cast.page, WANTED, i);
		while (cast.page->result[1].count < i) {
			cr_assert_lt(kit_now_ns(), deadline);
			member_rest(50);
		}
	}
	cr_assert_eq(cast.page->result[1].value[0], expected, "the engine is %s",
	             myelon_engine_name((enum myelon_engine)cast.page->result[1].value[0]));
	expect_adopted(expected == MYELON_ENGINE_DIRECT);
	cr_assert_eq(cast.page->result[1].violations, 0, "%s", cast.page->result[1].text);
	sender_end();
	cr_assert_eq(kit_wait(&cast.actor[1], 30), 0);
	cr_assert_eq(kit_dir_entries(dir), 0, "files are left");
	cr_assert_eq(rmdir(dir), 0);
	cr_assert_eq(setenv("MYELON_SHM_DIR", above, 1), 0);
	odd_end();
}

Test(odd_handover, descriptor_of_another_user_of_the_group_is_not_taken_and_the_proxy_wakes_it)
{
	if (geteuid() != 0)
		kit_skip("root", "only root can be two other users");
	as_guest(OWNER, OTHER, MYELON_ENGINE_PROXY);
	/* Who may take any descriptor does not take this one either. */
	as_guest(0, OTHER, MYELON_ENGINE_PROXY);
	as_guest(OWNER, OWNER, MYELON_ENGINE_DIRECT);
}
