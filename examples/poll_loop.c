/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Two rings, stdin and a timer in a plain poll(2) loop, which ends when both producers have closed:
 *
 *     poll_loop [RING] [RING]
 *
 * Any other loop that waits for descriptors (libuv, GLib, asyncio) takes the rings in the same way.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <myelon/myelon.h>

enum { RINGS = 2, STDIN = RINGS, TIMER, FDS };

static int open_ring(struct myelon_consumer **c, struct pollfd *fd, const char *name)
{
	if (myelon_consumer_attach(c, name, &MYELON_ATTACH_OPTS(.timeout_ns = MYELON_FOREVER)) < 0)
		return -1;
	fd->fd = myelon_consumer_fd(*c, NULL);
	fd->events = POLLIN;
	return fd->fd;
}

/* Everything there is. @return -EAGAIN: there will be more, and poll() says when. */
static int read_ring(struct myelon_consumer *c, const char *name, uint64_t *seen)
{
	struct myelon_view v;
	int n;

	while ((n = myelon_peek(c, MYELON_ALL, MYELON_TRY, &v)) > 0) {
		const unsigned char *slot = v.base;

		for (uint32_t i = 0; i < v.count; i++, slot += c->slot_size)
			printf("%s %" PRId64 ": %" PRIu64 "\n", name, v.seq + i,
			       *(const uint64_t *)(const void *)slot);
		*seen += v.count;
		n = myelon_release(c, v.count);
		if (n < 0)
			break;
	}
	return n;
}

static void read_stdin(struct pollfd *fd)
{
	char text[256];
	ssize_t n = read(fd->fd, text, sizeof(text));

	if (n > 0)
		printf("stdin: %.*s%s", (int)n, text, text[n - 1] == '\n' ? "" : "\n");
	else
		fd->fd = -1; /* poll() passes over it */
}

static int loop(struct myelon_consumer **rings, struct pollfd *fds, char **names)
{
	uint64_t seen = 0, ticks;
	int open = RINGS;

	while (open > 0) {
		fflush(stdout);
		if (poll(fds, FDS, -1) < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < RINGS; i++) {
			int rc = fds[i].revents ? read_ring(rings[i], names[i], &seen) : -EAGAIN;

			if (rc == -EPIPE) { /* the producer closed and everything was read */
				fds[i].fd = -1;
				open--;
			} else if (rc != -EAGAIN) {
				return rc;
			}
		}
		if (fds[STDIN].revents)
			read_stdin(&fds[STDIN]);
		if (fds[TIMER].revents && read(fds[TIMER].fd, &ticks, sizeof(ticks)) > 0)
			printf("timer: %" PRIu64 " numbers so far\n", seen);
	}
	return 0;
}

int main(int argc, char **argv)
{
	static char first[] = "left", second[] = "right";
	char *names[RINGS] = {argc > 1 ? argv[1] : first, argc > 2 ? argv[2] : second};
	const struct itimerspec every = {{0, 500000000}, {0, 500000000}};
	struct pollfd fds[FDS] = {
		[STDIN] = {.fd = STDIN_FILENO, .events = POLLIN}, [TIMER] = {.events = POLLIN}};
	struct myelon_consumer *rings[RINGS] = {NULL, NULL};
	int rc = 0;

	fds[TIMER].fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	timerfd_settime(fds[TIMER].fd, 0, &every, NULL);
	for (int i = 0; i < RINGS && rc >= 0; i++)
		rc = open_ring(&rings[i], &fds[i], names[i]);
	if (rc >= 0)
		rc = loop(rings, fds, names);
	if (rc < 0)
		fprintf(stderr, "%s\n", myelon_last_error());
	for (int i = 0; i < RINGS; i++)
		myelon_consumer_close(rings[i]);
	close(fds[TIMER].fd);
	return rc < 0 ? 1 : 0;
}
