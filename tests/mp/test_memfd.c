/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Rings in a memfd between processes: the descriptor goes through a socket, and processes die. */
#include "kit.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <myelon/myelon.h>

#define SEED 0x6d656d6664ull
#define SLOT 128
#define READERS 3
#define PRODUCER 0 /* index of its result; the readers' follow */

/* One test; children inherit it. */
static struct {
	struct kit_page *page;
	char name[KIT_NAME];
	int socket[READERS][2]; /* [0]: the producer's end */
	uint64_t count;         /* messages; 0: until killed */
	uint32_t wait;
	struct kit_actor producer, reader[READERS];
} w;

static int send_fd(int sock, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = control,
	                     .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(sock, &msg, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static int recv_fd(int sock)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = control,
	                     .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	int fd;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -EIO;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return -EBADMSG;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static int failed(struct kit_result *r, const char *what, int rc)
{
	kit_violation(r, "%s: %d: %s", what, rc, myelon_last_error());
	return 1;
}

static int produce(void *arg)
{
	struct kit_result *r = &w.page->result[PRODUCER];
	struct myelon_producer *p;
	struct myelon_span s;
	int rc, fd;

	(void)arg;
	rc = myelon_producer_create(
		&p, w.name,
		&MYELON_RING_OPTS(.slot_size = SLOT, .window = 64, .wait = w.wait,
	                          .backing = MYELON_BACKING_MEMFD, .buffer_until = READERS));
	if (rc < 0)
		return failed(r, "create", rc);
	fd = myelon_producer_data_fd(p);
	if (fd < 0)
		return failed(r, "data_fd", fd);
	for (int i = 0; i < READERS; i++)
		if ((rc = send_fd(w.socket[i][0], fd)) < 0)
			return failed(r, "send", rc);
	close(fd);
	for (uint64_t i = 0; w.count == 0 || i < w.count; i++) {
		rc = myelon_claim(p, 1, MYELON_FOREVER, &s);
		if (rc < 0)
			return failed(r, "claim", rc);
		kit_fill(s.base, SLOT, SEED, i);
		myelon_publish(p, 1);
		r->count = i + 1;
	}
	myelon_producer_close(p);
	return 0;
}

/* Reads until there is nothing to come: count is the sequence reached, value[0] why it ended, value[1]
 * where it began. */
static int read_all(struct kit_result *r, struct myelon_consumer *c)
{
	struct myelon_view v;
	int rc;

	r->value[1] = (uint64_t)(myelon_consumer_cursor(c) + 1);
	r->count = r->value[1];
	while ((rc = myelon_peek(c, MYELON_ALL, MYELON_FOREVER, &v)) > 0) {
		for (uint32_t i = 0; i < v.count; i++)
			if (kit_check((const char *)v.base + (size_t)i * SLOT, SLOT, SEED,
			              (uint64_t)v.seq + i) >= 0)
				kit_violation(r, "slot of %lld", (long long)v.seq + i);
		if (myelon_release(c, v.count) < 0)
			return failed(r, "release", -1);
		r->count += v.count;
	}
	r->value[0] = (uint64_t)-rc;
	return 0;
}

static int attach(struct kit_result *r, struct myelon_consumer **c, int index, int fd)
{
	char id[16];
	int rc;

	snprintf(id, sizeof(id), "reader_%d", index);
	rc = myelon_consumer_attach(
		c, w.name, &MYELON_ATTACH_OPTS(.id = id, .data_fd = MYELON_FD(fd), .wait = w.wait));
	return rc < 0 ? failed(r, "attach", rc) : 0;
}

/* Receives the descriptor, attaches and drops it at once. */
static int consume(void *arg)
{
	int index = (int)(intptr_t)arg, fd = recv_fd(w.socket[index][1]), rc;
	struct kit_result *r = &w.page->result[1 + index];
	struct myelon_consumer *c;

	if (fd < 0)
		return failed(r, "receive", fd);
	rc = attach(r, &c, index, fd);
	close(fd);
	if (rc == 0)
		rc = read_all(r, c);
	if (rc == 0)
		myelon_consumer_close(c);
	return rc;
}

static void begin(uint64_t count, uint32_t wait)
{
	memset(&w, 0, sizeof(w));
	w.page = kit_page_create();
	cr_assert_not_null(w.page);
	kit_ring_name(w.name, "memfd");
	w.count = count;
	w.wait = wait;
	for (int i = 0; i < READERS; i++)
		cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, w.socket[i]), 0);
	cr_assert_eq(kit_fork(&w.producer, produce, NULL), 0);
}

static void start_reader(int i, int (*fn)(void *))
{
	cr_assert_eq(kit_fork(&w.reader[i], fn, (void *)(intptr_t)i), 0);
}

static void no_violations(void)
{
	for (int i = 0; i <= READERS; i++)
		cr_assert_eq(w.page->result[i].violations, 0, "%s", w.page->result[i].text);
}

static void until_read(int i, uint64_t more)
{
	uint64_t want = w.page->result[1 + i].count + more;
	int64_t deadline = kit_deadline(30);

	while (w.page->result[1 + i].count < want) {
		no_violations();
		cr_assert_lt(kit_now_ns(), deadline, "reader %d does not get on", i);
		usleep(1000);
	}
}

static int64_t published(void)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;

	cr_assert_eq(myelon_ring_describe(w.name, NULL, &info), 0, "%s", myelon_last_error());
	cr_assert_eq(info.backing, MYELON_BACKING_MEMFD);
	return info.published;
}

static void end(int files)
{
	no_violations();
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), files);
	cr_assert_eq(myelon_gc(NULL, NULL, NULL), files, "%s", myelon_last_error());
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0);
	kit_page_destroy(w.page);
}

static void stream(uint32_t wait)
{
	begin(20000, wait);
	for (int i = 0; i < READERS; i++)
		start_reader(i, consume);
	cr_assert_eq(kit_wait(&w.producer, 60), 0, "%s", w.page->result[PRODUCER].text);
	for (int i = 0; i < READERS; i++) {
		cr_assert_eq(kit_wait(&w.reader[i], 60), 0, "%s", w.page->result[1 + i].text);
		cr_assert_eq(w.page->result[1 + i].count, 20000);
		cr_assert_eq(w.page->result[1 + i].value[0], EPIPE);
	}
	end(0);
}

Test(memfd, descriptor_sent_through_a_socket_opens_the_stream_and_nothing_is_left)
{
	stream(MYELON_WAIT_PARK);
	stream(MYELON_WAIT_ADAPTIVE);
}

Test(memfd, producer_killed_leaves_all_it_published_to_be_read_and_a_name_for_gc)
{
	begin(0, MYELON_WAIT_ADAPTIVE);
	for (int i = 0; i < READERS; i++)
		start_reader(i, consume);
	until_read(0, 1000);
	kit_kill(&w.producer, SIGKILL);
	cr_assert_eq(kit_wait(&w.producer, 30), -SIGKILL);
	for (int i = 0; i < READERS; i++) {
		cr_assert_eq(kit_wait(&w.reader[i], 60), 0, "%s", w.page->result[1 + i].text);
		cr_assert_eq(w.page->result[1 + i].value[0], EOWNERDEAD);
		cr_assert_eq(w.page->result[1 + i].count, (uint64_t)published() + 1);
	}
	end(1);
}

/* Keeps the memfd open and mapped after its end, as a stopped or slow reader would. */
static int consume_late(void *arg)
{
	int index = (int)(intptr_t)arg, fd = recv_fd(w.socket[index][1]), rc;
	struct kit_result *r = &w.page->result[1 + index];
	struct myelon_consumer *c;

	if (fd < 0)
		return failed(r, "receive", fd);
	rc = attach(r, &c, index, fd);
	close(fd);
	kit_set(w.page, (unsigned int)index, 1);
	if (rc == 0 && !kit_await(w.page, READERS, 1, 60))
		rc = failed(r, "await", 0);
	if (rc == 0)
		rc = read_all(r, c);
	if (rc == 0)
		myelon_consumer_close(c);
	return rc;
}

Test(memfd, memory_outlives_its_producer_while_somebody_has_it_mapped)
{
	begin(0, MYELON_WAIT_PARK);
	for (int i = 0; i < READERS; i++)
		start_reader(i, consume_late);
	for (unsigned int i = 0; i < READERS; i++)
		cr_assert(kit_await(w.page, i, 1, 30));
	/* Full: the producer waits for the readers, and dies there. */
	while (published() < 63)
		usleep(1000);
	kit_kill(&w.producer, SIGKILL);
	cr_assert_eq(kit_wait(&w.producer, 30), -SIGKILL);
	cr_assert_eq(myelon_gc(NULL, NULL, NULL), 0, "readers hold it");
	kit_set(w.page, READERS, 1);
	for (int i = 0; i < READERS; i++) {
		cr_assert_eq(kit_wait(&w.reader[i], 60), 0, "%s", w.page->result[1 + i].text);
		cr_assert_eq(w.page->result[1 + i].count, 64);
		cr_assert_eq(w.page->result[1 + i].value[0], EOWNERDEAD);
	}
	end(1);
}

/* The descriptor the test has received on behalf of its readers, as a supervisor does. */
static int kept;

static int consume_kept(void *arg)
{
	int index = (int)(intptr_t)arg, rc;
	struct kit_result *r = &w.page->result[1 + index];
	struct myelon_consumer *c;

	rc = attach(r, &c, index, kept);
	return rc ? rc : read_all(r, c);
}

Test(memfd, supervisor_that_keeps_the_descriptor_starts_killed_readers_again)
{
	uint64_t read;

	begin(0, MYELON_WAIT_ADAPTIVE);
	kept = recv_fd(w.socket[0][1]);
	cr_assert_geq(kept, 0);
	for (int i = 0; i < READERS; i++)
		start_reader(i, consume_kept);
	for (int round = 0; round < 5; round++) {
		until_read(1, 500);
		kit_kill(&w.reader[0], SIGKILL);
		cr_assert_eq(kit_wait(&w.reader[0], 30), -SIGKILL);
		read = w.page->result[1].count;
		w.page->result[1].value[1] = UINT64_MAX;
		start_reader(0, consume_kept);
		until_read(0, 100);
		cr_assert_leq(w.page->result[1].value[1], read + 64, "nothing is skipped");
		cr_assert_geq(w.page->result[1].value[1], read, "what was released is not again");
	}
	kit_kill(&w.reader[0], SIGKILL);
	cr_assert_eq(kit_wait(&w.reader[0], 30), -SIGKILL);
	kit_kill(&w.producer, SIGKILL);
	cr_assert_eq(kit_wait(&w.producer, 30), -SIGKILL);
	/* Now that it is dead, too. */
	start_reader(0, consume_kept);
	for (int i = 0; i < READERS; i++) {
		cr_assert_eq(kit_wait(&w.reader[i], 60), 0, "%s", w.page->result[1 + i].text);
		cr_assert_eq(w.page->result[1 + i].value[0], EOWNERDEAD);
	}
	for (int i = 0; i < READERS; i++)
		cr_assert_eq(w.page->result[1 + i].count, (uint64_t)published() + 1);
	close(kept);
	end(1);
}

/* A stranger's memfd of the right size, cut as soon as it was sent. */
static int cheat(void *arg)
{
	int fd = memfd_create("cheat", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)arg;
	if (ftruncate(fd, 64 * SLOT) || send_fd(w.socket[0][0], fd) || ftruncate(fd, 0))
		return 1;
	return 0;
}

Test(memfd, descriptor_whose_sender_can_truncate_it_is_refused_and_no_sigbus)
{
	struct kit_actor cheater;
	struct myelon_consumer *c;
	int fd, real;

	begin(0, MYELON_WAIT_PARK);
	real = recv_fd(w.socket[0][1]);
	cr_assert_geq(real, 0);
	cr_assert_eq(kit_fork(&cheater, cheat, NULL), 0);
	fd = recv_fd(w.socket[0][1]);
	cr_assert_geq(fd, 0);
	cr_assert_eq(
		myelon_consumer_attach(&c, w.name, &MYELON_ATTACH_OPTS(.data_fd = MYELON_FD(fd))),
		-EPROTO);
	cr_assert(strstr(myelon_last_error(), "unsealed"), "%s", myelon_last_error());
	cr_assert_eq(kit_wait(&cheater, 30), 0);
	cr_assert_eq(ftruncate(real, 0), -1, "the real one cannot be cut");
	kit_kill(&w.producer, SIGKILL);
	cr_assert_eq(kit_wait(&w.producer, 30), -SIGKILL);
	close(fd);
	close(real);
	end(1);
}
