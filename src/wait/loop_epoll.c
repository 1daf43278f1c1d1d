/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The epoll engine. With words only, and few of them, the owner sleeps on them itself (futex_waitv).
 * Else helper threads do, and write event_fd, and the owner sleeps on epoll_fd. Either way it is the
 * owner who compares each word with the value it last reported.
 */
#include <errno.h>

#include "base/error.h"
#include "sys/sys.h"
#include "wait/loop_engine.h"

#define DIRECT_WORDS (MYE_FUTEX_WAITV_MAX - 1) /* one is for wakes */
#define LOOK_NS 10000000                       /* between looks at all words without futex_waitv */

static void remove_item(struct mye_loop *l, struct mye_loop_item *it)
{
	if (it->word)
		mye_helpers_remove(it);
	else
		mye_loop_set_remove(l, it);
}

/* From here on helpers sleep on the words. */
static int use_helpers(struct mye_loop *l)
{
	uint32_t i;
	int rc = mye_loop_set_open(l);

	for (i = 0; i < l->items && rc == 0; i++)
		if (l->item[i])
			rc = l->item[i]->word ? mye_helpers_add(l, l->item[i])
			                      : mye_loop_set_add(l, l->item[i]);
	if (rc < 0) {
		while (i-- > 0)
			if (l->item[i])
				remove_item(l, l->item[i]);
		mye_helpers_close(l);
		return rc;
	}
	l->helped = true;
	return 0;
}

static bool needs_helpers(const struct mye_loop *l)
{
	return l->flags & MYE_LOOP_POLLABLE || l->fds || l->words > DIRECT_WORDS;
}

int mye_loop_epoll_open(struct mye_loop *l)
{
	l->engine = MYELON_ENGINE_EPOLL;
	l->unread = l->fds;
	return needs_helpers(l) ? use_helpers(l) : 0;
}

void mye_loop_epoll_close(struct mye_loop *l)
{
	mye_helpers_close(l);
}

int mye_loop_epoll_add(struct mye_loop *l, struct mye_loop_item *it)
{
	if (!l->helped)
		return needs_helpers(l) ? use_helpers(l) : 0;
	return it->word ? mye_helpers_add(l, it) : mye_loop_set_add(l, it);
}

int mye_loop_epoll_change(struct mye_loop *l, struct mye_loop_item *it)
{
	return mye_loop_set_change(l, it);
}

void mye_loop_epoll_remove(struct mye_loop *l, struct mye_loop_item *it)
{
	remove_item(l, it);
}

/* Report words that changed. @return how many; @p more: not all were looked at. */
static int look(struct mye_loop *l, struct mye_loop_event *events, int max, bool *more)
{
	struct mye_loop_item *it;
	uint32_t value, i;
	int n = 0;

	*more = false;
	for (i = 0; i < l->items && n < max; i++) {
		/* Begin where the last look ended, for a word that changes all the time is not alone. */
		l->scan = l->scan + 1 < l->items ? l->scan + 1 : 0;
		it = l->item[l->scan];
		/* The bells a helper sleeps on it answers itself. */
		if (!it || !it->word || (mye_item_is_bell(it) && it->helper))
			continue;
		/* acquire: pairs with the release of whoever raises the word */
		value = __atomic_load_n(it->word, __ATOMIC_ACQUIRE);
		if (value == it->value)
			continue;
		it->value = value;
		if (mye_item_is_bell(it)) {
			mye_bell_tell(it->fd, it->told);
			continue;
		}
		events[n++] = (struct mye_loop_event){.tag = it->tag};
	}
	*more = i < l->items;
	return n;
}

/* The words, and the one of wakes. */
static unsigned int vector_of(const struct mye_loop *l, struct mye_futex *vector)
{
	unsigned int n = 0;

	vector[n++] = (struct mye_futex){.word = &l->wake_word, .value = l->wake_seen};
	for (uint32_t i = 0; i < l->items; i++)
		if (l->item[i] && n < MYE_FUTEX_WAITV_MAX)
			vector[n++] = (struct mye_futex){.word = l->item[i]->word,
			                                 .value = l->item[i]->value};
	return n;
}

static int wait_for_words(struct mye_loop *l, int64_t deadline)
{
	struct mye_futex vector[MYE_FUTEX_WAITV_MAX];
	int rc = mye_futex_waitv(vector, vector_of(l, vector), deadline);
	int64_t next;

	if (rc != -ENOSYS)
		return rc;
	next = mye_now() + LOOK_NS;
	rc = mye_futex_wait(&l->wake_word, l->wake_seen, next < deadline ? next : deadline);
	return rc == -ETIMEDOUT && next < deadline ? 0 : rc;
}

static int sleep_on_words(struct mye_loop *l, int64_t deadline, struct mye_loop_event *events,
                          int max)
{
	bool woken = mye_loop_take_wake(l), more;
	int n, rc = 0;

	for (;;) {
		n = look(l, events, max, &more);
		if (n || woken || deadline <= 0 || rc == -ETIMEDOUT)
			return n;
		if (rc == -EINTR)
			return rc;
		rc = wait_for_words(l, deadline);
		woken = mye_loop_take_wake(l);
		if (rc == -EFAULT)
			return mye_fail(rc, "the memory of a word is not there any more");
	}
}

/*
 * Helpers write event_fd if nobody has since it was drained (`poked`). Drained first, then `poked`
 * reset, then looked: a helper that found `poked` set had loaded the changed word before, so the look
 * finds it; one that finds it reset writes.
 */
static int drain_and_look(struct mye_loop *l, struct mye_loop_event *events, int max)
{
	bool more;
	int n;

	mye_event_drain(l->event_fd);
	/* acq_rel: pairs with the exchange of the helper */
	__atomic_exchange_n(&l->poked, 0, __ATOMIC_ACQ_REL);
	n = look(l, events, max, &more);
	if (more)
		mye_event_poke(l->event_fd);
	return n;
}

int mye_loop_epoll_sleep(struct mye_loop *l, int64_t deadline, struct mye_loop_event *events,
                         int max)
{
	bool woken;
	int n;

	if (!l->helped) {
		if (!needs_helpers(l))
			return sleep_on_words(l, deadline, events, max);
		/* The change of engine failed half-way. */
		n = use_helpers(l);
		if (n < 0)
			return n;
	}
	woken = mye_loop_take_wake(l);
	for (;;) {
		n = mye_loop_set_sleep(l, woken ? MYELON_TRY : deadline, events, max,
		                       drain_and_look);
		woken |= mye_loop_take_wake(l);
		if (woken && n == -EINTR)
			return 0;
		/* Else it was a helper, about what was reported before. */
		if (n || woken || deadline <= 0 ||
		    (deadline != MYELON_FOREVER && mye_now() >= deadline))
			return n;
	}
}

/* The helpers listen all the time. */
int mye_loop_epoll_arm(struct mye_loop *l)
{
	int rc = l->helped ? 0 : use_helpers(l);

	if (rc == 0)
		mye_loop_set_arm(l);
	return rc;
}
