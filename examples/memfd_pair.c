/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A ring that only one process can read: its slots are in a memfd, whose descriptor the producer
 * leaves to the consumer it starts. Across sockets the descriptor is sent with SCM_RIGHTS.
 *
 *     memfd_pair [RING]
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <myelon/myelon.h>

static int fail(void)
{
	fprintf(stderr, "%s\n", myelon_last_error());
	return 1;
}

static int consume(const char *ring, int fd)
{
	struct myelon_consumer *c;
	struct myelon_view view;
	int n;

	if (myelon_consumer_attach(&c, ring, &MYELON_ATTACH_OPTS(.data_fd = MYELON_FD(fd))) < 0)
		return fail();
	close(fd); /* the ring is mapped */
	while ((n = myelon_peek(c, MYELON_ALL, MYELON_FOREVER, &view)) > 0) {
		const uint64_t *slot = view.base;

		for (uint32_t i = 0; i < view.count; i++)
			printf("%lld: %llu\n", (long long)view.seq + i,
			       (unsigned long long)slot[i * 8]);
		if (myelon_release(c, view.count) < 0)
			return fail();
	}
	/* -EPIPE: closed in order. A ring in a memfd ends with its producer, so there is no other. */
	if (n != -EPIPE)
		fail();
	myelon_consumer_close(c);
	return n == -EPIPE ? 0 : 1;
}

/* The consumer as a program of its own, with the descriptor left open for it. */
static pid_t start_consumer(const char *ring, int fd)
{
	char number[16];
	pid_t pid;

	snprintf(number, sizeof(number), "%d", fd);
	pid = fork();
	if (pid == 0) {
		/* Here and not before fork, or other children could inherit it too. */
		fcntl(fd, F_SETFD, 0);
		execl("/proc/self/exe", "memfd_pair", "--consume", ring, number, (char *)NULL);
		_exit(127);
	}
	return pid;
}

static int produce(struct myelon_producer *p)
{
	struct myelon_span span;

	for (uint64_t i = 0; i < 10; i++) {
		if (myelon_claim(p, 1, MYELON_FOREVER, &span) < 0)
			return fail();
		*(uint64_t *)span.base = i * i;
		myelon_publish(p, 1);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *ring = argc > 1 ? argv[1] : "pair";
	struct myelon_producer *p;
	int fd, rc, status = 1;
	pid_t pid;

	if (argc == 4 && strcmp(argv[1], "--consume") == 0)
		return consume(argv[2], atoi(argv[3]));
	/* Kept from the first message until the consumer has come. */
	if (myelon_producer_create(&p, ring,
	                           &MYELON_RING_OPTS(.window = 1024, .buffer_until = 1,
	                                             .backing = MYELON_BACKING_MEMFD)) < 0)
		return fail();
	fd = myelon_producer_data_fd(p);
	pid = fd < 0 ? -1 : start_consumer(ring, fd);
	if (fd < 0)
		fail();
	rc = pid < 0 ? 1 : produce(p);
	/* Not before it has come: who has no name cannot be found later. Then the memory stays as long
	 * as somebody has it mapped. */
	if (rc == 0 && myelon_producer_wait_consumed(p, 9, myelon_deadline_after(10000000000)) < 0)
		rc = fail();
	myelon_producer_close(p);
	if (fd >= 0)
		close(fd);
	if (pid > 0)
		waitpid(pid, &status, 0);
	return rc == 0 && status == 0 ? 0 : 1;
}
