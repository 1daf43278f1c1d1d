/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The io_uring engine: one request per item, which stays in the kernel until it is done. Requests are
 * made from `queue` with the next sleep or arm; what is done goes to `ready`, and when it was reported
 * back to `queue`. Polls are made once and again after each report: that is level-triggered, for one
 * that finds its descriptor ready is done at once.
 */
#include <errno.h>

#include <myelon/error.h>

#include <string.h>
#include <sys/epoll.h>

#include "base/error.h"
#include "base/handle.h"
#include "sys/sys.h"
#include "wait/loop_engine.h"

#define DATA_WAKE (UINT64_MAX - 1)
#define DATA_NONE UINT64_MAX
#define CANCEL_NS 1000000
#define CANCEL_ROUNDS 1000

static uint64_t data_of(const struct mye_loop *l, const struct mye_loop_item *it)
{
	return it == &l->wake_item ? DATA_WAKE : (uint64_t)it->generation << 32 | it->slot;
}

static void queue(struct mye_loop *l, struct mye_loop_item *it)
{
	it->state = MYE_ITEM_QUEUED;
	mye_items_append(&l->queue, it);
}

/* Why io_uring cannot be had, in the caller's sentence. */
static int refused(int rc)
{
	char text[16];

	switch (rc) {
	case -EMFILE:
	case -ENFILE:
		return mye_fail(-EMFILE, "no descriptor for an io_uring: %s", myelon_strerror(rc));
	case -ENOMEM:
		return mye_fail(-ENOMEM,
		                "no memory for an io_uring (before Linux 5.12 it counts as "
		                "locked memory: ulimit -l)");
	case -ENOPKG:
		return mye_fail(-ENOTSUP, "this library was built without liburing");
	case -EOPNOTSUPP:
	case -EINVAL:
		return mye_fail(
			-ENOTSUP,
			"io_uring of this kernel cannot wait for futexes: Linux 6.7 is needed");
	case -ENOSYS:
		return mye_fail(-ENOTSUP,
		                "this kernel has no io_uring, or a seccomp filter hides it");
	default:
		break;
	}
	if (rc == -EPERM &&
	    mye_read_text("/proc/sys/kernel/io_uring_disabled", text, sizeof(text)) > 0 &&
	    strcmp(text, "0") != 0)
		return mye_fail(-ENOTSUP,
		                "io_uring is denied: sysctl kernel.io_uring_disabled is %s", text);
	return mye_fail(-ENOTSUP,
	                "io_uring is denied by a seccomp filter, as container profiles do: %s",
	                myelon_strerror(rc));
}

static int open_ring(struct mye_loop *l)
{
	int event = l->flags & MYE_LOOP_POLLABLE ? l->event_fd : -1, rc;

	mye_fork_enter();
	rc = mye_fork_keep(mye_uring_open(&l->ring, event));
	if (rc < 0 && l->ring) {
		mye_uring_close(
			l->ring); /* its descriptor is closed: it found no place in the table */
		l->ring = NULL;
	}
	mye_fork_leave();
	return rc < 0 ? rc : 0;
}

static void close_ring(struct mye_loop *l)
{
	if (!l->ring)
		return;
	mye_fork_close(mye_uring_close(l->ring));
	l->ring = NULL;
}

/* What was in the kernel is to be asked for again. */
static void requeue_all(struct mye_loop *l)
{
	for (uint32_t i = 0; i < l->items; i++)
		if (l->item[i] && l->item[i]->state == MYE_ITEM_PENDING)
			queue(l, l->item[i]);
	if (l->wake_item.state == MYE_ITEM_PENDING)
		queue(l, &l->wake_item);
}

int mye_loop_uring_open(struct mye_loop *l)
{
	int rc = open_ring(l);

	if (rc < 0)
		return refused(rc);
	l->engine = MYELON_ENGINE_URING;
	l->wake_item = (struct mye_loop_item){.word = &l->wake_word, .fd = -1};
	queue(l, &l->wake_item);
	return 0;
}

/*
 * The kernel ends a ring some time after its descriptor was closed, and until then its polls hold the
 * files: whoever closes one after the loop would not close it. Best effort: it may be denied.
 */
static void let_go(struct mye_loop *l)
{
	int n = 0;

	for (uint32_t i = 0; i < l->items; i++) {
		struct mye_loop_item *it = l->item[i];

		if (!it || it->word || it->state != MYE_ITEM_PENDING)
			continue;
		if (mye_uring_cancel(l->ring, data_of(l, it), DATA_NONE) == -EAGAIN &&
		    mye_uring_submit(l->ring) == 0)
			mye_uring_cancel(l->ring, data_of(l, it), DATA_NONE);
		n++;
	}
	if (n)
		mye_uring_enter(l->ring, MYELON_TRY);
}

void mye_loop_uring_close(struct mye_loop *l)
{
	if (l->ring)
		let_go(l);
	close_ring(l);
	l->queue = l->ready = (struct mye_item_list){NULL, NULL};
	for (uint32_t i = 0; i < l->items; i++)
		if (l->item[i])
			l->item[i]->state = MYE_ITEM_IDLE;
}

/*
 * The ring belongs to the thread that made it, maybe one that ended: another takes its place. The old
 * one goes with its requests; words that changed differ from the value kept, descriptors are level
 * triggered, so nothing is lost.
 */
static int renew(struct mye_loop *l)
{
	close_ring(l);
	requeue_all(l);
	return open_ring(l) < 0 ? MYE_LOOP_GIVE_UP : 0;
}

/*
 * A ring whose completions write an eventfd does not poll: a completion that an eventfd's write brings
 * about may not write another at once, the kernel puts it off, and some (6.18) forget it from the
 * second time on. So descriptors of a pollable loop are in its epoll set, which is what others poll.
 */
static bool polls(const struct mye_loop *l)
{
	return !(l->flags & MYE_LOOP_POLLABLE) || (l->flags & MYE_LOOP_GIVEN);
}

int mye_loop_uring_add(struct mye_loop *l, struct mye_loop_item *it)
{
	if (!it->word && !polls(l))
		return mye_loop_set_add(l, it);
	queue(l, it);
	return 0;
}

static void complete(struct mye_loop *l, const struct mye_uring_done *done)
{
	struct mye_loop_item *it = NULL;
	uint32_t slot = (uint32_t)done->data;

	if (done->data == DATA_WAKE) {
		queue(l, &l->wake_item);
		return;
	}
	if (slot < l->items)
		it = l->item[slot];
	if (done->data == DATA_NONE || !it || it->state != MYE_ITEM_PENDING ||
	    it->generation != done->data >> 32)
		return;
	/* The thread that asked has ended, or a signal came. */
	if (done->result == -ECANCELED || done->result == -EINTR) {
		queue(l, it);
		return;
	}
	if (mye_item_is_bell(it) && done->result != -EFAULT) {
		/* acquire: pairs with the release of whoever raises the word */
		it->value = __atomic_load_n(it->word, __ATOMIC_ACQUIRE);
		mye_bell_tell(it->fd, it->told);
		queue(l, it);
		return;
	}
	it->came = 0;
	if (!it->word)
		it->came = done->result < 0 ? (uint32_t)EPOLLERR : (uint32_t)done->result;
	it->refused = it->word ? done->result == -EFAULT : done->result < 0;
	it->state = MYE_ITEM_READY;
	mye_items_append(&l->ready, it);
}

static void reap(struct mye_loop *l)
{
	struct mye_uring_done done[MYE_URING_REAP];
	int n;

	while ((n = mye_uring_reap(l->ring, done, MYE_URING_REAP)) > 0)
		for (int i = 0; i < n; i++)
			complete(l, &done[i]);
}

static int make_request(struct mye_loop *l, struct mye_loop_item *it)
{
	uint64_t data = data_of(l, it);

	if (it == &l->wake_item)
		return mye_uring_futex(l->ring, it->word, l->wake_seen, data);
	if (it->word)
		return mye_uring_futex(l->ring, it->word, it->value, data);
	return mye_uring_poll(l->ring, it->fd, it->events, data);
}

/* Requests for all that is queued; the last of them may wait for the next submit. */
static int make_requests(struct mye_loop *l)
{
	struct mye_loop_item *it;
	int rc;

	while ((it = l->queue.first)) {
		it->generation = ++l->generation;
		rc = make_request(l, it);
		if (rc == -EAGAIN) {
			rc = mye_uring_submit(l->ring);
			if (rc == -EAGAIN || rc == -EBUSY) {
				/* The kernel wants its completions reaped first. */
				reap(l);
				rc = mye_uring_enter(l->ring, MYELON_TRY);
			}
			if (rc < 0)
				return rc;
			continue;
		}
		mye_items_remove(&l->queue, it);
		it->state = MYE_ITEM_PENDING;
	}
	return 0;
}

/* Enter the kernel with what is queued. @return 0, -ETIMEDOUT, -EINTR, or MYE_LOOP_GIVE_UP. */
static int enter(struct mye_loop *l, int64_t deadline, bool wait)
{
	int rc;

	if (!l->ring)
		return MYE_LOOP_GIVE_UP;
	for (int i = 0; i < 3; i++) {
		rc = make_requests(l);
		if (rc == 0) {
			if (!wait)
				rc = mye_uring_submit(l->ring);
			else if (deadline > 0 || !mye_uring_is_idle(l->ring))
				rc = mye_uring_enter(l->ring, deadline);
		}
		if (rc == -EAGAIN || rc == -EBUSY) {
			reap(l);
			return 0;
		}
		if (rc != -EEXIST)
			break;
		rc = renew(l);
		if (rc < 0)
			return rc;
	}
	return rc == 0 || rc == -ETIMEDOUT || rc == -EINTR ? rc : MYE_LOOP_GIVE_UP;
}

static int report(struct mye_loop *l, struct mye_loop_event *events, int max)
{
	struct mye_loop_item *it;
	int n = 0;

	while (n < max && (it = l->ready.first)) {
		mye_items_remove(&l->ready, it);
		events[n++] = (struct mye_loop_event){.tag = it->tag, .events = it->came};
		if (it->refused) {
			it->state = MYE_ITEM_BROKEN;
			continue;
		}
		/* acquire: pairs with the release of whoever raises the word */
		if (it->word)
			it->value = __atomic_load_n(it->word, __ATOMIC_ACQUIRE);
		queue(l, it);
	}
	return n;
}

/* The kernel makes it readable for every completion after the drain; this is for what was reaped. */
static void poke_if_more(struct mye_loop *l)
{
	if (l->flags & MYE_LOOP_POLLABLE && l->ready.first)
		mye_event_poke(l->event_fd);
}

/*
 * Drained behind the reaping: making a completion visible signals once more, which would wake the
 * caller's loop in vain. What completes between the two is found by the look behind the drain; what
 * completes later makes it readable again.
 */
static int reap_and_drain(struct mye_loop *l)
{
	for (int i = 0; i < 2; i++) {
		if (enter(l, MYELON_TRY, true) == MYE_LOOP_GIVE_UP)
			return MYE_LOOP_GIVE_UP;
		reap(l);
		mye_event_drain(l->event_fd);
		if (mye_uring_is_idle(l->ring) || l->ready.first)
			break;
	}
	return 0;
}

static int drain_and_report(struct mye_loop *l, struct mye_loop_event *events, int max)
{
	int n = reap_and_drain(l);

	if (n < 0)
		return n;
	n = report(l, events, max);
	/* Drained, and not looked for since. */
	if (!mye_uring_is_idle(l->ring))
		mye_event_poke(l->event_fd);
	poke_if_more(l);
	return n;
}

static int sleep_on_set(struct mye_loop *l, int64_t deadline, struct mye_loop_event *events,
                        int max)
{
	if (l->queue.first && enter(l, MYELON_TRY, false) == MYE_LOOP_GIVE_UP)
		return MYE_LOOP_GIVE_UP;
	/* The kernel had no memory for some: look at them again soon. */
	if (l->queue.first)
		mye_event_poke(l->event_fd);
	return mye_loop_set_sleep(l, deadline, events, max, drain_and_report);
}

static int sleep_on_ring(struct mye_loop *l, int64_t deadline, struct mye_loop_event *events,
                         int max)
{
	int n, rc;

	if (l->flags & MYE_LOOP_POLLABLE && deadline <= 0)
		return drain_and_report(l, events, max);
	if (l->flags & MYE_LOOP_POLLABLE)
		mye_event_drain(l->event_fd);
	rc = enter(l, l->ready.first ? MYELON_TRY : deadline, true);
	if (rc == MYE_LOOP_GIVE_UP)
		return rc;
	reap(l);
	n = report(l, events, max);
	poke_if_more(l);
	return n || rc != -EINTR ? n : rc;
}

int mye_loop_uring_sleep(struct mye_loop *l, int64_t deadline, struct mye_loop_event *events,
                         int max)
{
	bool woken = mye_loop_take_wake(l);
	int n;

	for (;;) {
		int64_t until = woken ? MYELON_TRY : deadline;

		n = polls(l) || !l->fds ? sleep_on_ring(l, until, events, max)
		                        : sleep_on_set(l, until, events, max);
		if (n == MYE_LOOP_GIVE_UP)
			return n;
		woken |= mye_loop_take_wake(l);
		/* A caller that just sleeps again after a signal must not lose the wake. */
		if (n < 0)
			return woken && n == -EINTR ? 0 : n;
		if (n || woken || mye_loop_is_over(deadline))
			return n;
	}
}

int mye_loop_uring_arm(struct mye_loop *l)
{
	int rc = !l->ring || l->queue.first || !mye_uring_is_idle(l->ring)
	                 ? enter(l, MYELON_TRY, false)
	                 : 0;

	if (rc == MYE_LOOP_GIVE_UP)
		return rc;
	/* Not handed over: whoever polls shall come back. */
	if (l->queue.first)
		mye_event_poke(l->event_fd);
	poke_if_more(l);
	mye_loop_set_arm(l);
	return 0;
}

int mye_loop_uring_remove(struct mye_loop *l, struct mye_loop_item *it)
{
	uint64_t data = data_of(l, it);
	int rc = 0;

	mye_loop_set_remove(l, it);
	for (int i = 0; it->state == MYE_ITEM_PENDING; i++) {
		/* One request to cancel is enough, unless the queue is full. */
		if (i == 0) {
			rc = mye_uring_cancel(l->ring, data, DATA_NONE);
			if (rc == -EAGAIN && mye_uring_submit(l->ring) == 0)
				rc = mye_uring_cancel(l->ring, data, DATA_NONE);
		}
		if (rc == 0)
			rc = mye_uring_enter(l->ring, i ? mye_now() + CANCEL_NS : MYELON_TRY);
		if (rc == -ETIMEDOUT || rc == -EINTR || rc == -EAGAIN || rc == -EBUSY)
			rc = 0;
		if (rc == 0) {
			reap(l);
		} else if (rc != -EEXIST) {
			return MYE_LOOP_GIVE_UP;
		}
		if (rc == -EEXIST || i == CANCEL_ROUNDS) {
			it->state = MYE_ITEM_IDLE;
			return renew(l);
		}
	}
	if (it->state == MYE_ITEM_QUEUED)
		mye_items_remove(&l->queue, it);
	if (it->state == MYE_ITEM_READY)
		mye_items_remove(&l->ready, it);
	it->state = MYE_ITEM_IDLE;
	return 0;
}
