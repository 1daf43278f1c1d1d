/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Descriptor consumers with a producer in another process: its death, the handover of descriptors
 * where the producer may not take them, and what else may lie or knock at its socket.
 */
#include "../unit/ring_kit.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <myelon/keeper.h>

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#define HANG_MS 20000

enum { READY, WANTED, SENT, QUIT };

/* The producer's process: publishes as many messages as word WANTED says. */
struct sender {
	struct kit_page *page;
	char name[KIT_NAME];
	bool open;       /* take over */
	bool deny_getfd; /* it may not take descriptors */
	struct kit_actor actor;
};

static int send_all(void *arg)
{
	struct sender *s = arg;
	struct myelon_keeper_info info = {.size = sizeof(info)};
	struct myelon_producer *p;
	uint32_t sent = 0;
	int rc;

	if (s->deny_getfd && kit_deny(SYS_pidfd_getfd, EPERM) < 0)
		return 3;
	rc = s->open ? myelon_producer_open(&p, s->name, NULL)
	             : myelon_producer_create(&p, s->name,
	                                      &MYELON_RING_OPTS(.slot_size = 64, .window = 256));
	if (rc < 0) {
		fprintf(stderr, "producer: %s\n", myelon_last_error());
		return 2;
	}
	kit_set(s->page, READY, 1);
	while (!s->page->word[QUIT]) {
		while (sent < s->page->word[WANTED]) {
			rc = ring_push(p, 1);
			if (rc == -EAGAIN)
				break;
			if (rc < 0)
				return 4;
			kit_set(s->page, SENT, ++sent);
		}
		myelon_keeper_info(&info);
		s->page->result[0].value[0] = info.refused;
		s->page->result[0].value[2] = (uint64_t)kit_open_fds();
		s->page->result[0].value[1] = info.adopted; /* last: who sees it sees the others */
		usleep(200);
	}
	myelon_producer_close(p);
	return 0;
}

static void sender_start(struct sender *s)
{
	for (int i = READY; i <= QUIT; i++)
		s->page->word[i] = 0;
	cr_assert_eq(kit_fork(&s->actor, send_all, s), 0);
	cr_assert(kit_await(s->page, READY, 1, 20));
}

static void sender_begin(struct sender *s, bool deny)
{
	*s = (struct sender){.page = kit_page_create(), .deny_getfd = deny};
	cr_assert_not_null(s->page);
	kit_ring_name(s->name, "fdmp");
	sender_start(s);
}

static void sender_end(struct sender *s)
{
	kit_set(s->page, QUIT, 1);
	cr_assert_eq(kit_wait(&s->actor, 20), 0);
	kit_page_destroy(s->page);
}

struct reader {
	struct myelon_consumer *c;
	int fd;
	int64_t next;
};

static bool reader_begin(struct reader *r, const char *name, enum myelon_engine engine)
{
	r->c = ring_join(name, NULL);
	r->next = 0;
	r->fd = myelon_consumer_fd(r->c, &MYELON_FD_OPTS(.engine = engine));
	if (r->fd >= 0)
		return true;
	if (engine != MYELON_ENGINE_URING || kit_required("uring"))
		cr_assert_fail("%s: %s", myelon_engine_name(engine), myelon_last_error());
	cr_log_warn("engine uring is not tested: %s", myelon_last_error());
	myelon_consumer_close(r->c);
	return false;
}

static bool readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

/* One turn of an event loop. @return what ended it: -EAGAIN, -EPIPE, ... */
static int turn(struct reader *r)
{
	struct myelon_view v;
	int n;

	cr_assert(readable(r->fd, HANG_MS), "no wake after message %ld, engine %s", (long)r->next,
	          myelon_engine_name(myelon_consumer_fd_engine(r->c)));
	while ((n = myelon_peek(r->c, MYELON_ALL, MYELON_TRY, &v)) > 0) {
		r->next = v.seq + n;
		ring_check(&v, 64);
		cr_ok(myelon_release(r->c, v.count));
	}
	return n;
}

static void read_until(struct sender *s, struct reader *r, int64_t next)
{
	kit_set(s->page, WANTED, s->page->word[WANTED] + (uint32_t)(next - r->next));
	while (r->next < next)
		cr_assert_eq(turn(r), -EAGAIN, "%s", myelon_last_error());
}

static const enum myelon_engine engines[] = {MYELON_ENGINE_URING, MYELON_ENGINE_DIRECT,
                                             MYELON_ENGINE_PROXY};

Test(descriptor_mp, death_of_the_producer_is_an_event_and_a_new_one_is_heard, .timeout = 120)
{
	for (size_t e = 0; e < 3; e++) {
		struct myelon_handle_stats stats = {.size = sizeof(stats)};
		struct sender s;
		struct reader r;
		int rc;

		sender_begin(&s, false);
		if (!reader_begin(&r, s.name, engines[e])) {
			sender_end(&s);
			continue;
		}
		read_until(&s, &r, 10);
		cr_assert_eq(kit_kill(&s.actor, SIGKILL), 0);
		while ((rc = turn(&r)) == -EAGAIN)
			;
		cr_assert_eq(rc, -EOWNERDEAD, "%s", myelon_last_error());
		kit_wait(&s.actor, 20);
		s.open = true;
		sender_start(&s);
		kit_set(s.page, WANTED, 20);
		while (r.next < 30)
			turn(&r);
		myelon_consumer_stats(r.c, &stats);
		cr_assert_eq(stats.caps_found, 0);
		sender_end(&s);
		while ((rc = turn(&r)) == -EAGAIN)
			;
		cr_assert_eq(rc, -EPIPE);
		myelon_consumer_close(r.c);
	}
}

/* Where the ring's socket is, or would be: named after the nonce, as its data is. */
static const char *socket_path(const struct sender *s)
{
	struct myelon_ring_info info = {.size = sizeof(info)};
	static char path[500];
	const char *nonce;

	cr_ok(myelon_ring_describe(s->name, NULL, &info));
	nonce = strstr(info.data_path, "myelon-data.");
	cr_assert_not_null(nonce, "%s", info.data_path);
	snprintf(path, sizeof(path), "%s/myelon-sock.%s", kit_shm_dir(), nonce + 12);
	return path;
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static void expect_direct(struct sender *s, struct reader *r)
{
	int64_t next = r->next;

	for (int i = 0; i < 2000 && myelon_consumer_fd_engine(r->c) != MYELON_ENGINE_DIRECT; i++)
		read_until(s, r, ++next);
	cr_assert_eq(myelon_consumer_fd_engine(r->c), MYELON_ENGINE_DIRECT);
}

Test(descriptor_mp, is_handed_over_by_socket_where_the_producer_may_not_take_it, .timeout = 60)
{
	const char *path;
	struct sender s;
	struct reader r;
	int rc;

	sender_begin(&s, true);
	path = socket_path(&s);
	cr_assert_not(is_there(path));
	reader_begin(&r, s.name, MYELON_ENGINE_DIRECT);
	expect_direct(&s, &r);
	cr_assert(is_there(path));
	read_until(&s, &r, r.next + 1000);
	sender_end(&s);
	while ((rc = turn(&r)) == -EAGAIN)
		;
	cr_assert_eq(rc, -EPIPE);
	cr_assert_not(is_there(path));
	myelon_consumer_close(r.c);
}

Test(descriptor_mp, the_socket_of_a_killed_producer_is_replaced_and_collected, .timeout = 60)
{
	const char *path;
	struct sender s;
	struct reader r;

	sender_begin(&s, true);
	path = socket_path(&s);
	reader_begin(&r, s.name, MYELON_ENGINE_DIRECT);
	expect_direct(&s, &r);
	kit_kill(&s.actor, SIGKILL);
	kit_wait(&s.actor, 20);
	cr_assert(is_there(path));
	while (turn(&r) == -EAGAIN)
		;
	s.open = true;
	sender_start(&s);
	expect_direct(&s, &r);
	kit_kill(&s.actor, SIGKILL);
	kit_wait(&s.actor, 20);
	cr_assert(is_there(path));
	cr_assert_geq(myelon_gc(NULL, NULL, NULL), 0); /* r still uses the ring */
	cr_assert(is_there(path));
	myelon_consumer_close(r.c);
	cr_assert_geq(myelon_gc(NULL, NULL, NULL), 1);
	cr_assert_not(is_there(path));
	kit_page_destroy(s.page);
}

static int knock(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%.107s", path);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* With @p n times @p attached. */
static void send_rubbish(int fd, size_t bytes, int attached, unsigned int n)
{
	unsigned char junk[256];
	struct iovec iov = {.iov_base = junk, .iov_len = bytes};
	char room[CMSG_SPACE(2 * sizeof(int))] = {0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	memset(junk, 0xa5, sizeof(junk));
	if (n > 0) {
		const int both[] = {attached, attached};
		struct cmsghdr *c;

		m.msg_control = room;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), both, n * sizeof(int));
	}
	sendmsg(fd, &m, MSG_NOSIGNAL);
}

static void await_value(struct sender *s, int which, uint64_t least)
{
	int64_t until = kit_deadline(20);

	while (s->page->result[0].value[which] < least && kit_now_ns() < until)
		usleep(1000);
	cr_assert_geq(s->page->result[0].value[which], least);
}

Test(descriptor_mp, rubbish_silence_and_crowds_at_the_socket_disturb_nobody, .timeout = 120)
{
	struct pollfd ends = {.events = POLLIN};
	const char *path;
	int fds[400], silent;
	uint64_t open_before;
	struct sender s;
	struct reader r;

	if (strlen(kit_shm_dir()) > 50)
		kit_skip("shm dir", "its path is too long for this test's own socket address");
	sender_begin(&s, true);
	path = socket_path(&s);
	reader_begin(&r, s.name, MYELON_ENGINE_DIRECT);
	expect_direct(&s, &r);
	await_value(&s, 1, 1);
	open_before = s.page->result[0].value[2];
	silent = knock(path);
	cr_assert_geq(silent, 0);
	for (int i = 0; i < 50; i++) {
		int fd = knock(path), junk = eventfd(0, EFD_CLOEXEC);

		send_rubbish(fd, 40, junk, (unsigned int)i % 3);
		send_rubbish(fd, (size_t)i % 3 * 100, -1, 0);
		close(junk);
		if (i % 2)
			close(fd);
		read_until(&s, &r, r.next + 1);
	}
	await_value(&s, 0, 50);
	for (int i = 0; i < 400; i++)
		fds[i] = knock(path);
	read_until(&s, &r, r.next + 100);
	cr_assert_eq(myelon_consumer_fd_engine(r.c), MYELON_ENGINE_DIRECT);
	/* The silent one is dropped: its connection ends. */
	ends.fd = silent;
	cr_assert_eq(poll(&ends, 1, HANG_MS), 1);
	close(silent);
	for (int i = 0; i < 400; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	for (int64_t until = kit_deadline(20);
	     s.page->result[0].value[2] > open_before && kit_now_ns() < until;)
		usleep(1000);
	cr_assert_leq(s.page->result[0].value[2], open_before);
	sender_end(&s);
	myelon_consumer_close(r.c);
}

Test(descriptor_mp, a_stale_socket_is_replaced, .timeout = 60)
{
	struct sender s;
	struct reader r;

	sender_begin(&s, true);
	cr_assert_eq(mknod(socket_path(&s), S_IFSOCK | 0600, 0), 0);
	reader_begin(&r, s.name, MYELON_ENGINE_DIRECT);
	expect_direct(&s, &r);
	sender_end(&s);
	myelon_consumer_close(r.c);
}

Test(descriptor_mp, something_else_under_the_name_leaves_the_proxy_at_work, .timeout = 60)
{
	const char *path;
	struct sender s;
	struct reader r;

	sender_begin(&s, true);
	path = socket_path(&s);
	cr_assert_eq(mknod(path, S_IFREG | 0600, 0), 0);
	reader_begin(&r, s.name, MYELON_ENGINE_DIRECT);
	read_until(&s, &r, 500);
	cr_assert_eq(myelon_consumer_fd_engine(r.c), MYELON_ENGINE_PROXY);
	sender_end(&s);
	myelon_consumer_close(r.c);
	cr_assert_eq(unlink(path), 0);
}

Test(descriptor_mp, a_directory_too_deep_for_a_socket_address_does_not_matter, .timeout = 60)
{
	char dir[400], part[60];
	struct sender s;
	struct reader r;

	memset(part, 'd', sizeof(part) - 1);
	part[sizeof(part) - 1] = '\0';
	snprintf(dir, sizeof(dir), "%s/%s", kit_shm_dir(), part);
	cr_assert_eq(mkdir(dir, 0700), 0);
	strcat(strcat(dir, "/"), part);
	cr_assert_eq(mkdir(dir, 0700), 0);
	setenv("MYELON_SHM_DIR", dir, 1);
	sender_begin(&s, true);
	cr_assert_gt(strlen(socket_path(&s)), 108);
	reader_begin(&r, s.name, MYELON_ENGINE_DIRECT);
	expect_direct(&s, &r);
	sender_end(&s);
	myelon_consumer_close(r.c);
	cr_assert_eq(kit_dir_entries(dir), 0);
	cr_assert_eq(rmdir(dir), 0);
	*strrchr(dir, '/') = '\0';
	cr_assert_eq(rmdir(dir), 0);
}

enum { SQUAT = 20, SQUATTING, VISITORS, GIFTS };

/* Listens under the ring's name before its producer does. */
static int squat(void *arg)
{
	struct sender *s = arg;
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), fd;
	char room[CMSG_SPACE(sizeof(int))], bytes[64];
	struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	struct pollfd p = {.fd = listener, .events = POLLIN};

	if (setresuid(60002, 60002, 60002) < 0 || !kit_await(s->page, SQUAT, 1, 20))
		return 1;
	snprintf(at.sun_path, sizeof(at.sun_path), "%.107s", s->page->result[1].text);
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    chmod(at.sun_path, 0777) < 0 || listen(listener, 16) < 0)
		return 2;
	kit_set(s->page, SQUATTING, 1);
	while (!s->page->word[QUIT]) {
		struct msghdr m = {.msg_iov = &iov,
		                   .msg_iovlen = 1,
		                   .msg_control = room,
		                   .msg_controllen = sizeof(room)};

		if (poll(&p, 1, 10) != 1)
			continue;
		fd = accept(listener, NULL, NULL);
		kit_set(s->page, VISITORS, s->page->word[VISITORS] + 1);
		if (recvmsg(fd, &m, 0) > 0 && CMSG_FIRSTHDR(&m))
			kit_set(s->page, GIFTS, s->page->word[GIFTS] + 1);
		close(fd);
	}
	return unlink(at.sun_path);
}

Test(descriptor_mp, a_socket_of_another_user_under_the_name_is_given_nothing, .timeout = 60)
{
	struct kit_actor squatter;
	char dir[300];
	struct sender s = {.page = kit_page_create(), .deny_getfd = true};
	struct reader r;

	if (geteuid() != 0)
		kit_skip("root", "only root can be two other users");
	if (strlen(kit_shm_dir()) > 50)
		kit_skip("shm dir", "its path is too long for this test's own socket address");
	snprintf(dir, sizeof(dir), "%s/s", kit_shm_dir());
	cr_assert_eq(chmod(kit_shm_dir(), 0777), 0); /* to take the directory away again */
	cr_assert_eq(mkdir(dir, 0700), 0);
	cr_assert_eq(chmod(dir, 01777), 0);
	setenv("MYELON_SHM_DIR", dir, 1);
	cr_assert_eq(kit_fork(&squatter, squat, &s), 0);
	cr_assert_eq(setresuid(60001, 60001, 60001), 0);
	kit_ring_name(s.name, "fdmp");
	sender_start(&s);
	snprintf(s.page->result[1].text, sizeof(s.page->result[1].text), "%.190s", socket_path(&s));
	kit_set(s.page, SQUAT, 1);
	cr_assert(kit_await(s.page, SQUATTING, 1, 20));
	reader_begin(&r, s.name, MYELON_ENGINE_DIRECT);
	read_until(&s, &r, 500);
	cr_assert_eq(myelon_consumer_fd_engine(r.c), MYELON_ENGINE_PROXY);
	cr_assert(kit_await(s.page, VISITORS, 1, 20), "nobody came: this proves nothing");
	cr_assert_eq(s.page->word[GIFTS], 0);
	kit_set(s.page, QUIT, 1);
	cr_assert_eq(kit_wait(&s.actor, 20), 0);
	cr_assert_eq(kit_wait(&squatter, 20), 0);
	myelon_consumer_close(r.c);
	cr_assert_eq(kit_dir_entries(dir), 0);
	cr_assert_eq(rmdir(dir), 0);
}

_Noreturn static int sleep_on_descriptor(void *arg)
{
	struct sender *s = arg;
	struct reader r;

	reader_begin(&r, s->name, MYELON_ENGINE_DIRECT);
	kit_set(s->page, 10, 1);
	for (;;) {
		turn(&r);
		s->page->word[11] = (uint32_t)r.next;
	}
}

Test(descriptor_mp, consumers_killed_while_asleep_or_awake_cost_the_producer_nothing,
     .timeout = 120)
{
	for (int deny = 0; deny < 2; deny++) {
		struct kit_actor actor;
		struct sender s;
		uint64_t fds = 0;

		sender_begin(&s, deny);
		for (int i = 0; i < 40; i++) {
			s.page->word[10] = 0;
			cr_assert_eq(kit_fork(&actor, sleep_on_descriptor, &s), 0);
			cr_assert(kit_await(s.page, 10, 1, 20));
			for (int k = 0; k < 5; k++) {
				kit_set(s.page, WANTED, s.page->word[WANTED] + 1);
				usleep((useconds_t)(i * 20));
			}
			kit_kill(&actor, SIGKILL);
			kit_wait(&actor, 20);
			cr_assert(kit_await(s.page, SENT, s.page->word[WANTED], 20));
			if (i == 10)
				fds = s.page->result[0].value[2];
		}
		usleep(10000);
		cr_assert_leq(s.page->result[0].value[2], fds + 4);
		sender_end(&s);
	}
}
