/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How a consumer of storm waits: in the call, in a wait set, on a descriptor. */
#include "storm.h"

#include <errno.h>
#include <poll.h>

static int begin_set(struct me *m, struct storm_wait *w)
{
	static const uint32_t engines[] = {MYELON_ENGINE_AUTO, MYELON_ENGINE_URING,
	                                   MYELON_ENGINE_EPOLL};
	int64_t spin = storm_one_in(&m->random, 2) ? MYELON_NO_SPIN : 0;
	uint32_t engine = engines[storm_below(&m->random, 3)];
	int rc = myelon_waitset_create(&w->ws,
	                               &MYELON_WAITSET_OPTS(.engine = engine, .spin_ns = spin));

	if (rc == -ENOTSUP)
		rc = myelon_waitset_create(&w->ws, NULL);
	if (rc == 0)
		rc = myelon_waitset_add_consumer(w->ws, w->c, NULL, NULL);
	return rc < 0 ? rc : 0;
}

static int begin_fd(struct me *m, struct storm_wait *w)
{
	static const uint32_t engines[] = {MYELON_ENGINE_AUTO, MYELON_ENGINE_URING,
	                                   MYELON_ENGINE_DIRECT, MYELON_ENGINE_PROXY};
	int64_t spin = storm_one_in(&m->random, 2) ? MYELON_NO_SPIN : 0;

	w->fd = myelon_consumer_fd(
		w->c,
		&MYELON_FD_OPTS(.engine = engines[storm_below(&m->random, 4)], .spin_ns = spin));
	if (w->fd == -ENOTSUP)
		w->fd = myelon_consumer_fd(w->c, NULL);
	return w->fd < 0 ? w->fd : 0;
}

int storm_wait_begin(struct me *m, struct storm_wait *w, struct myelon_consumer *c)
{
	int rc = 0;

	*w = (struct storm_wait){.way = (enum way)storm_below(&m->random, WAYS), .c = c, .fd = -1};
	if (w->way == WAY_SET)
		rc = begin_set(m, w);
	else if (w->way == WAY_FD)
		rc = begin_fd(m, w);
	return rc < 0 ? storm_bad(m->log, "way %u: %d: %s", w->way, rc, myelon_last_error()) : 0;
}

int64_t storm_wait(struct me *m, struct storm_wait *w)
{
	if (w->way != WAY_CALL)
		return MYELON_TRY;
	switch (storm_below(&m->random, 8)) {
	case 0:
		return MYELON_TRY;
	case 1:
		return myelon_deadline_after(3000000);
	default:
		return MYELON_FOREVER;
	}
}

void storm_wait_idle(struct me *m, struct storm_wait *w)
{
	struct pollfd one = {.fd = w->fd, .events = POLLIN};
	struct myelon_event e = {0};

	(void)m;
	if (w->way == WAY_SET)
		myelon_waitset_wait(w->ws, &e, 1, MYELON_FOREVER);
	else if (w->way == WAY_FD)
		poll(&one, 1, -1);
}

void storm_wait_end(struct storm_wait *w)
{
	myelon_waitset_close(w->ws);
	w->ws = NULL;
}
