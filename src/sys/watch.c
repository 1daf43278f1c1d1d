/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "sys/sys.h"

#define NS_PER_MS 1000000ll
#define NS_PER_S (1000 * NS_PER_MS)
#define POLL_FIRST NS_PER_MS
#define POLL_LAST (50 * NS_PER_MS)
/* Some file systems report nothing of what others do: look now and then all the same. */
#define REPORT_CAP NS_PER_S

struct mye_watch {
	int fd; /* inotify, or -1: polling */
	int64_t pause_ns;
};

int mye_watch_open(struct mye_watch **out, const char *dir)
{
	struct mye_watch *w = malloc(sizeof(*w));
	int rc = 0;

	if (!w)
		return -ENOMEM;
	w->pause_ns = POLL_FIRST;
	w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->fd >= 0 && inotify_add_watch(w->fd, dir,
	                                    IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM |
	                                            IN_ONLYDIR) < 0) {
		rc = -errno;
		close(w->fd);
		w->fd = -1;
	}
	/* Out of watches, or not allowed: polling does it too. */
	if (rc == -ENOENT || rc == -ENOTDIR || rc == -EACCES || rc == -ELOOP) {
		free(w);
		return rc;
	}
	*out = w;
	return 0;
}

/* Whatever happened, the caller looks for itself. */
static void drain(int fd)
{
	char buf[4096];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
}

int mye_watch_wait(struct mye_watch *w, int64_t deadline)
{
	struct pollfd pfd = {.fd = w->fd, .events = POLLIN};
	int64_t now = mye_now(), left, pause = w->fd >= 0 ? REPORT_CAP : w->pause_ns;
	struct timespec ts;
	int rc;

	if (now >= deadline)
		return -ETIMEDOUT;
	left = deadline - now;
	if (pause > left)
		pause = left;
	ts.tv_sec = (time_t)(pause / NS_PER_S);
	ts.tv_nsec = (long)(pause % NS_PER_S);
	rc = ppoll(&pfd, w->fd >= 0, &ts, NULL);
	if (rc < 0)
		return -errno;
	if (rc > 0)
		drain(w->fd);
	if (w->fd < 0 && w->pause_ns < POLL_LAST) {
		w->pause_ns *= 2;
		if (w->pause_ns > POLL_LAST)
			w->pause_ns = POLL_LAST;
	}
	return 0;
}

void mye_watch_close(struct mye_watch *w)
{
	if (!w)
		return;
	if (w->fd >= 0)
		close(w->fd);
	free(w);
}
