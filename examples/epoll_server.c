/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A ring and sockets in one epoll loop: whoever connects gets the numbers of hello_producer as text.
 *
 *     epoll_server [RING] [PORT] [edge]
 *
 * With "edge" the ring's descriptor is edge triggered. No thread is needed, and while nothing
 * happens the process sleeps.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <myelon/myelon.h>

enum { CLIENTS = 64 };

struct server {
	struct myelon_consumer *ring;
	int ring_fd, listener, epoll;
	int clients[CLIENTS], count;
	bool edge;
};

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int watch(struct server *s, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.fd = fd};

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? fail("epoll_ctl") : 0;
}

static int listen_on(struct server *s, int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
	                         .sin_port = htons((uint16_t)port),
	                         .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(at);

	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&at, size) < 0 ||
	    listen(s->listener, CLIENTS) < 0 ||
	    getsockname(s->listener, (struct sockaddr *)&at, &size) < 0)
		return fail("listen");
	printf("port %d\n", ntohs(at.sin_port));
	fflush(stdout);
	return watch(s, s->listener, EPOLLIN);
}

static void on_listener(struct server *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (s->count < CLIENTS && watch(s, fd, EPOLLRDHUP) == 0)
		s->clients[s->count++] = fd;
	else
		close(fd);
}

static void drop_client(struct server *s, int fd)
{
	for (int i = 0; i < s->count; i++)
		if (s->clients[i] == fd)
			s->clients[i] = s->clients[--s->count];
	close(fd); /* and out of the epoll set */
}

static void send_to_all(struct server *s, int64_t seq, uint64_t number)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%" PRId64 ": %" PRIu64 "\n", seq, number);

	/* From the last to the first: a client that is dropped gives its place to the last. */
	for (int i = s->count - 1; i >= 0; i--)
		if (send(s->clients[i], line, (size_t)n, MSG_NOSIGNAL) != n)
			drop_client(s, s->clients[i]); /* gone, or too slow for us */
}

/* @return what peek said last. */
static int on_ring(struct server *s)
{
	struct myelon_view v;
	int n;

	while ((n = myelon_peek(s->ring, 16, MYELON_TRY, &v)) > 0) {
		const unsigned char *slot = v.base;

		for (uint32_t i = 0; i < v.count; i++, slot += s->ring->slot_size)
			send_to_all(s, v.seq + i, *(const uint64_t *)(const void *)slot);
		n = myelon_release(s->ring, v.count);
		if (n < 0)
			break;
		/* Edge triggered: read until -EAGAIN, which arms the descriptor again. Level triggered we
		 * may stop here, so that the sockets get their turn: it stays readable. */
		if (!s->edge)
			return -EAGAIN;
	}
	return n;
}

static int serve(struct server *s)
{
	struct epoll_event ready[16];
	int rc = -EAGAIN;

	while (rc == -EAGAIN) {
		int n = epoll_wait(s->epoll, ready, 16, -1);

		if (n < 0 && errno != EINTR)
			return fail("epoll_wait");
		for (int i = 0; i < n; i++) {
			if (ready[i].data.fd == s->ring_fd)
				rc = on_ring(s);
			else if (ready[i].data.fd == s->listener)
				on_listener(s);
			else
				drop_client(s, ready[i].data.fd);
		}
	}
	return rc;
}

int main(int argc, char **argv)
{
	struct server s = {.edge = argc > 3 && strcmp(argv[3], "edge") == 0};
	int rc = 1;

	if (myelon_consumer_attach(&s.ring, argc > 1 ? argv[1] : "hello",
	                           &MYELON_ATTACH_OPTS(.timeout_ns = MYELON_FOREVER)) < 0) {
		fprintf(stderr, "%s\n", myelon_last_error());
		return 1;
	}
	s.ring_fd = myelon_consumer_fd(s.ring, NULL);
	s.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s.ring_fd >= 0 && watch(&s, s.ring_fd, s.edge ? EPOLLIN | EPOLLET : EPOLLIN) == 0 &&
	    listen_on(&s, argc > 2 ? atoi(argv[2]) : 0) == 0)
		rc = serve(&s);
	if (s.ring_fd < 0 || (rc < 0 && rc != -EPIPE))
		fprintf(stderr, "%s\n", myelon_last_error());
	while (s.count)
		drop_client(&s, s.clients[0]);
	myelon_consumer_close(s.ring); /* with its descriptor */
	return rc == -EPIPE ? 0 : 1;   /* the producer closed and everything was read */
}
