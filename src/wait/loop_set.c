/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The epoll set of a loop: what others poll, what the epoll engine sleeps on. */
#include <errno.h>
#include <sys/epoll.h>

#include <myelon/error.h>

#include "base/error.h"
#include "base/handle.h"
#include "sys/sys.h"
#include "wait/loop_engine.h"

#define BATCH 64
#define DATA_EVENT_FD UINT64_MAX /* of an item: its slot */

int mye_loop_set_open(struct mye_loop *l)
{
	int epoll, event, rc = 0;

	if (l->epoll_fd >= 0)
		return 0;
	mye_fork_enter();
	epoll = mye_fork_keep(mye_epoll_open());
	event = epoll < 0 ? epoll : mye_fork_keep(mye_event_open());
	mye_fork_leave();
	if (event >= 0)
		rc = mye_epoll_add(epoll, event, EPOLLIN, DATA_EVENT_FD);
	if (event < 0 || rc < 0) {
		mye_fork_close(epoll);
		mye_fork_close(event);
		rc = event < 0 ? event : rc;
		rc = rc == -ENFILE ? -EMFILE : rc;
		return mye_fail(rc, "no descriptors for a loop: %s", myelon_strerror(rc));
	}
	l->epoll_fd = epoll;
	/* seq_cst: pairs with the load in mye_loop_wake(), see there. */
	__atomic_store_n(&l->event_fd, event, __ATOMIC_SEQ_CST);
	return 0;
}

static int checked(int rc, int fd)
{
	return rc < 0 ? mye_fail(rc, "epoll refuses descriptor %d: %s", fd, myelon_strerror(rc))
	              : 0;
}

int mye_loop_set_add(struct mye_loop *l, struct mye_loop_item *it)
{
	int rc = 0;

	if (!it->in_set)
		rc = mye_epoll_add(l->epoll_fd, it->fd, it->events, it->slot);
	it->in_set = rc == 0;
	return checked(rc, it->fd);
}

int mye_loop_set_change(struct mye_loop *l, struct mye_loop_item *it)
{
	return checked(mye_epoll_change(l->epoll_fd, it->fd, it->events, it->slot), it->fd);
}

void mye_loop_set_remove(struct mye_loop *l, struct mye_loop_item *it)
{
	if (it->in_set)
		mye_epoll_remove(l->epoll_fd, it->fd);
	it->in_set = false;
}

/*
 * There is room for one more than @p max, so a batch with nothing but event_fd in it means that no
 * descriptor is ready. When both are, descriptors and words have the first choice by turns; what has
 * no room is ready still.
 */
int mye_loop_set_sleep(struct mye_loop *l, int64_t deadline, struct mye_loop_event *events, int max,
                       mye_loop_words_fn words)
{
	struct epoll_event found[BATCH];
	bool told = false;
	int count, ready = 0, first, n = 0, rc;

	max = max < BATCH ? max : BATCH - 1;
	count = mye_epoll_wait(l->epoll_fd, deadline, found, max + 1);
	if (count < 0)
		return count == -EINTR ? count
		                       : mye_fail(count, "epoll_wait: %s", myelon_strerror(count));
	for (int i = 0; i < count; i++) {
		if (found[i].data.u64 == DATA_EVENT_FD)
			told = true;
		else
			found[ready++] = found[i];
	}
	l->words_first = !l->words_first;
	if (told && l->words_first) {
		n = words(l, events, max);
		told = false;
	}
	l->unread = ready > 0;
	/* What has no room goes to the end of the kernel's list: it must not be the same ones each time round. */
	l->turn += 0x9e3779b9u;
	first = ready > 0 && n >= 0 && ready > max - n ? (int)(l->turn >> 16) % ready : 0;
	for (int i = 0; i < ready && n >= 0 && n < max; i++) {
		const struct epoll_event *e = &found[(first + i) % ready];

		events[n++] = (struct mye_loop_event){.tag = l->item[e->data.u64]->tag,
		                                      .events = e->events};
	}
	if (!told || n == max)
		return n;
	rc = words(l, events + n, max - n);
	return rc < 0 ? rc : n + rc;
}

/*
 * What is ready still, or was not reported, makes no edge for who waits for edges of epoll_fd: so make
 * one.
 */
void mye_loop_set_arm(struct mye_loop *l)
{
	if (l->unread)
		mye_event_poke(l->event_fd);
}
