/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What a watch sleeps on: the word `peers`, which every change of who is there raises; pidfds of those who
 * are; the producer's lease. All of them only say "look now".
 */
#include <errno.h>
#include <sys/epoll.h>

#include "base/error.h"
#include "base/handle.h"
#include "liveness/lease.h"
#include "ring/peers.h"
#include "sys/sys.h"

#define TAG_BELL 0
#define TAG_LEASE 1
#define TAG_TIMER 2
#define TAG_PLACE 3 /* + place */
#define EVENTS 16
#define LEASE_DEAF_NS 10000000

static int open_loop(struct mye_peers *w)
{
	int engine = mye_engine_from_env();

	if (engine < 0)
		return engine;
	/* Those of descriptors are none of a loop. */
	if (engine == MYELON_ENGINE_DIRECT || engine == MYELON_ENGINE_PROXY)
		engine = MYELON_ENGINE_AUTO;
	return mye_loop_open(&w->loop, (enum myelon_engine)engine, MYE_LOOP_POLLABLE);
}

int mye_peers_hear(struct mye_peers *w)
{
	int rc = open_loop(w);

	if (rc < 0)
		return rc;
	mye_fork_enter();
	rc = w->timer_fd = mye_fork_keep(mye_timerfd_create());
	mye_fork_leave();
	if (rc < 0)
		return mye_fail(rc, "the timer of a watch cannot be made: %s", myelon_strerror(rc));
	rc = mye_loop_add_fd(w->loop, w->timer_fd, EPOLLIN, TAG_TIMER);
	if (rc < 0)
		return rc;
	rc = mye_loop_add_word(w->loop, &w->seg.shared->space.peers, TAG_BELL);
	w->bell_on = rc == 0;
	return rc;
}

void mye_peers_hear_end(struct mye_peers *w)
{
	for (uint32_t i = 0; i < w->records; i++)
		mye_peers_unwatch(w, i);
	mye_loop_close(w->loop);
	w->loop = NULL;
	mye_fork_close(w->timer_fd);
	w->timer_fd = -1;
}

/* Failing to, it hears nothing of the word; then it is looked at each second, which tries again. */
void mye_peers_listen(struct mye_peers *w)
{
	if (!w->bell_on)
		w->bell_on = mye_loop_add_word(w->loop, &w->seg.shared->space.peers, TAG_BELL) == 0;
}

void mye_peers_deaf(struct mye_peers *w)
{
	if (w->bell_on)
		mye_loop_remove(w->loop, TAG_BELL);
	w->bell_on = false;
}

void mye_peers_unwatch(struct mye_peers *w, uint32_t place)
{
	struct mye_peer_record *r = &w->record[place];

	if (!r->watched)
		return;
	mye_loop_remove(w->loop, TAG_PLACE + place);
	mye_fork_close(r->pidfd);
	r->watched = false;
}

void mye_peers_watch(struct mye_peers *w, uint32_t place, const struct mye_identity *who)
{
	struct mye_peer_record *r = &w->record[place];
	int fd = mye_fork_open_pidfd(who);

	r->ended = fd == -ESRCH;
	r->unseen = fd < 0 && fd != -ESRCH;
	if (fd < 0)
		return;
	if (mye_loop_add_fd(w->loop, fd, EPOLLIN, TAG_PLACE + place) < 0) {
		mye_fork_close(fd);
		r->unseen = true;
		return;
	}
	r->pidfd = fd;
	r->watched = true;
}

static void lease_off(struct mye_peers *w)
{
	if (w->lease_on)
		mye_loop_remove(w->loop, TAG_LEASE);
	w->lease_on = false;
}

bool mye_peers_lease(struct mye_peers *w)
{
	uint32_t *word = &w->seg.shared->lease.lease[MYE_LEASE_PRODUCER], value;

	if (!w->seg.writable)
		return mye_lease_look(&w->seg, MYE_LEASE_PRODUCER) == MYE_LEASE_DYING;
	value = mye_lease_watch(&w->seg, MYE_LEASE_PRODUCER);
	if (w->lease_on && value != w->lease_value) {
		mye_lease_pass_on(&w->seg, MYE_LEASE_PRODUCER, w->lease_value);
		lease_off(w);
	}
	if (mye_lease_state_of(value) == MYE_LEASE_HELD && !w->lease_on) {
		if (w->now < w->lease_deaf_until) {
			mye_sooner(&w->due, w->lease_deaf_until);
		} else if (mye_loop_add_word(w->loop, word, TAG_LEASE) == 0) {
			w->lease_on = true;
			w->lease_value = value;
			/* What changed before it was added is no change to the loop. */
			value = __atomic_load_n(word, __ATOMIC_RELAXED);
		}
	}
	/* Who is heard of by its lease needs no looks. */
	if (w->lease_on && w->record[0].unseen) {
		w->record[0].unseen = false;
		w->record[0].ask_at = w->whole_at;
	}
	return mye_lease_state_of(value) == MYE_LEASE_DYING;
}

static void lease_changed(struct mye_peers *w)
{
	mye_lease_pass_on(&w->seg, MYE_LEASE_PRODUCER, w->lease_value);
	lease_off(w);
	/* Anybody may write there. */
	w->lease_deaf_until = mye_now() + LEASE_DEAF_NS;
}

static void hear(struct mye_peers *w, const struct mye_loop_event *e)
{
	struct mye_peer_record *r;

	switch (e->tag) {
	case TAG_BELL:
		return;
	case TAG_TIMER:
		mye_timerfd_clear(w->timer_fd);
		return;
	case TAG_LEASE:
		lease_changed(w);
		break;
	default:
		r = &w->record[e->tag - TAG_PLACE];
		mye_peers_unwatch(w, (uint32_t)(e->tag - TAG_PLACE));
		r->ended = true;
		r->ask_at = 0;
		break;
	}
	w->heard = true;
}

int mye_peers_sleep(struct mye_peers *w, int64_t deadline)
{
	struct mye_loop_event event[EVENTS];
	int n;

	w->poked = false;
	n = mye_loop_listen(w->loop);
	if (n == 0)
		n = mye_loop_sleep(w->loop, deadline < w->due ? deadline : w->due, event, EVENTS);
	for (int i = 0; i < n; i++)
		hear(w, &event[i]);
	return n < 0 ? n : 0;
}

int mye_peers_arm(struct mye_peers *w)
{
	int rc = mye_timerfd_set(w->timer_fd, w->over ? INT64_MAX : w->due, 0);

	if (rc == 0)
		rc = mye_loop_listen(w->loop);
	return rc == 0 ? mye_loop_arm(w->loop) : rc;
}

void mye_peers_poke(struct mye_peers *w)
{
	if (!w->poked)
		mye_loop_wake(w->loop);
	w->poked = true;
}
