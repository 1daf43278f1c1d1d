/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The ways to sleep of soak_wake: in the call, on a descriptor, in a wait set. */
#include "soak_wake.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

static int begin_fd(struct sleeping *s)
{
	struct epoll_event e = {.events = EPOLLIN | (s->how->how == HOW_EDGE ? EPOLLET : 0u)};

	s->fd = myelon_consumer_fd(s->c, &MYELON_FD_OPTS(.engine = s->how->engine));
	if (s->fd < 0 || s->how->how == HOW_POLL)
		return s->fd < 0 ? s->fd : 0;
	s->ep = epoll_create1(EPOLL_CLOEXEC);
	return s->ep < 0 || epoll_ctl(s->ep, EPOLL_CTL_ADD, s->fd, &e) < 0 ? -errno : 0;
}

static int begin_set(struct sleeping *s)
{
	int rc = myelon_waitset_create(
		&s->ws, &MYELON_WAITSET_OPTS(.engine = s->how->engine, .spin_ns = s->how->spin_ns));

	if (rc < 0)
		return rc;
	s->id = s->c ? myelon_waitset_add_consumer(s->ws, s->c, NULL, NULL)
	             : myelon_waitset_add_producer(s->ws, s->p, 0, NULL, NULL);
	return s->id < 0 ? s->id : 0;
}

int sleeping_begin(struct sleeping *s)
{
	s->fd = s->ep = -1;
	switch (s->how->how) {
	case HOW_CALL:
		return 0;
	case HOW_SET:
		return begin_set(s);
	case HOW_POLL:
	case HOW_LEVEL:
	case HOW_EDGE:
		break;
	}
	return begin_fd(s);
}

static enum myelon_engine engine(const struct sleeping *s)
{
	return s->ws ? myelon_waitset_engine(s->ws) : myelon_consumer_fd_engine(s->c);
}

static int until_ready(struct sleeping *s)
{
	struct pollfd one = {.fd = s->fd, .events = POLLIN};
	struct myelon_event event;
	struct epoll_event e;
	int rc;

	if (s->ws) {
		rc = myelon_waitset_wait(s->ws, &event, 1, MYELON_FOREVER);
		return rc < 0 ? rc : 0;
	}
	rc = s->ep < 0 ? poll(&one, 1, -1) : epoll_wait(s->ep, &e, 1, -1);
	return rc < 0 && errno != EINTR ? -errno : 0;
}

int sleeping_peek(struct sleeping *s, struct myelon_view *v)
{
	int rc = 0;

	if (s->how->how == HOW_CALL)
		return myelon_peek(s->c, MYELON_ALL, MYELON_FOREVER, v);
	/* A set says what there is; a descriptor is armed by the call that finds nothing. */
	if (s->ws)
		rc = until_ready(s);
	while (rc == 0 && (rc = myelon_peek(s->c, MYELON_ALL, MYELON_TRY, v)) == -EAGAIN)
		rc = until_ready(s);
	/* Once it is released, the producer may leave, and with it what it had taken over. */
	s->used = engine(s);
	return rc;
}

int sleeping_claim(struct sleeping *s, struct myelon_span *span)
{
	int rc;

	if (s->how->how == HOW_CALL)
		return myelon_claim(s->p, 1, MYELON_FOREVER, span);
	while ((rc = myelon_claim(s->p, 1, MYELON_TRY, span)) == -EAGAIN) {
		rc = myelon_waitset_want(s->ws, s->id, 1);
		if (rc == 0)
			rc = until_ready(s);
		if (rc < 0)
			break;
	}
	return rc;
}

void sleeping_count(struct sleeping *s)
{
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct myelon_waitset_stats set = {.size = sizeof(set)};

	if (s->c)
		myelon_consumer_stats(s->c, &stats);
	else
		myelon_producer_stats(s->p, &stats);
	if (s->ws)
		myelon_waitset_stats(s->ws, &set);
	s->parks = s->ws ? set.sleeps : stats.parks;
	s->lost = stats.caps_found + set.caps_found;
}

int sleeping_end(struct sleeping *s)
{
	int rc = 0;

	if (s->c && s->how->engine && s->used != (enum myelon_engine)s->how->engine) {
		printf("it was %s\n", myelon_engine_name(s->used));
		rc = SKIPPED;
	}
	if (s->ep >= 0)
		close(s->ep);
	if (s->ws)
		myelon_waitset_remove(s->ws, s->id);
	myelon_waitset_close(s->ws);
	return rc;
}
