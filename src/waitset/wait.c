/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The wait. Look at everything; spin while that pays; then the sleep of docs/ordering.md, once for all rings:
 * listen to the bells, announce, one barrier, look again, sleep. Any return starts from the top.
 *
 * Looking at rings takes no system call, polling descriptors does: while rings keep us busy descriptors
 * and timers have their turn every 16 waits or 50 us, and come first then, but never twice in a row.
 */
#include <errno.h>

#include "base/error.h"
#include "ring/call.h"
#include "sys/sys.h"
#include "waitset/set.h"

#define LOOP_EVENTS 64
#define DISPATCH_EVENTS 64
#define POLL_CALLS 16
#define POLL_NS 50000
#define SPIN_LOOKS 16 /* at handles, between two looks at the clock */

/* One wait, and what its sleep was like. */
struct wait {
	struct mye_batch batch;
	int64_t begun_ns;
	int64_t entry_ns; /* from listening to the sleep; 0: this is none */
	bool learned;     /* what this sleep cost */
	int woke;         /* events that ended it, but the timer of the descriptor's */
};

static void take_descriptor(struct myelon_waitset *ws, struct mye_source *s, uint32_t events,
                            struct mye_batch *b)
{
	if (s->kind == MYELON_EVENT_FD) {
		mye_batch_add(b, s, 1, events, 0);
		return;
	}
	mye_batch_add(b, s, 0, 0, 0);
	s->fd.done = true;
	ws->descriptors--;
	mye_loop_remove(ws->loop, (uint64_t)s->id);
}

/* A bell ended the sleep: look at that ring, which is where the news is; the others have their turn with the
 * next wait. */
static void take_bell(struct myelon_waitset *ws, struct mye_source *s, struct wait *w)
{
	const struct mye_shared_page *sh;
	uint64_t rung;

	if (!w->learned) {
		sh = s->kind == MYELON_EVENT_CONSUMER ? s->consumer.c->seg.shared
		                                      : s->producer.p->seg.shared;
		rung = s->kind == MYELON_EVENT_CONSUMER
		               ? __atomic_load_n(&sh->bell.wake_ns, __ATOMIC_RELAXED)
		               : __atomic_load_n(&sh->space.wake_ns, __ATOMIC_RELAXED);
		mye_spin_learn(&ws->spin, w->begun_ns, w->entry_ns, (int64_t)rung, mye_now());
		w->learned = true;
	}
	mye_ring_look(ws, s, &w->batch);
}

static void take_event(struct myelon_waitset *ws, const struct mye_loop_event *e, struct wait *w)
{
	struct mye_source *s;

	if ((e->tag & MYE_TAG_CLASS) == MYE_TAG_HOST) {
		mye_host_ended(ws, e->tag);
		return;
	}
	if ((e->tag & MYE_TAG_CLASS) == MYE_TAG_LEASE) {
		mye_host_lease_changed(ws, e->tag);
		return;
	}
	if (e->tag == MYE_TAG_TIMER) {
		w->woke--;
		(void)mye_timerfd_set(ws->timer_fd, INT64_MAX, 0);
		return;
	}
	s = mye_source_of(ws, (int64_t)e->tag);
	if (!s)
		return;
	if (s->kind == MYELON_EVENT_FD || s->kind == MYELON_EVENT_PROCESS)
		take_descriptor(ws, s, e->events, &w->batch);
	else if (w->entry_ns)
		take_bell(ws, s, w);
}

/*
 * What came is in the batch; of handles only after a sleep (entry_ns), else they are looked at anyway. No more
 * is taken out of the loop than fits: what it still has comes first the next time. @return 0 or negative.
 */
static int loop_sleep(struct myelon_waitset *ws, int64_t until, struct wait *w)
{
	struct mye_loop_event event[LOOP_EVENTS];
	int room = w->batch.max - w->batch.n, n;

	if (room == 0)
		return 0;
	n = mye_loop_sleep(ws->loop, until, event, room < LOOP_EVENTS ? room : LOOP_EVENTS);
	if (n < 0)
		return n == -EINTR ? 0 : n;
	w->woke += n;
	for (int i = 0; i < n; i++)
		take_event(ws, &event[i], w);
	return 0;
}

/* Timers and descriptors, in turns. */
static int look_at_others(struct myelon_waitset *ws, struct wait *w, int64_t now)
{
	int rc = 0;

	ws->calls = 0;
	ws->polled_ns = now;
	ws->timers_first = !ws->timers_first;
	if (ws->timers_first)
		mye_timers_due(ws, &w->batch, now);
	if (ws->descriptors + ws->watched > 0 || ws->pollable)
		rc = loop_sleep(ws, MYELON_TRY, w);
	if (!ws->timers_first)
		mye_timers_due(ws, &w->batch, now);
	if (now - ws->asked_ns >= MYE_CAP_NS)
		mye_hosts_ask(ws, now);
	return rc;
}

/* Everything that is ready, without a sleep. */
static int collect(struct myelon_waitset *ws, struct wait *w, bool try)
{
	bool exact = ws->timers.count + ws->descriptors > 0, due;
	int64_t now = exact ? mye_now() : mye_now_coarse();
	struct mye_batch *b = &w->batch;
	int rc = 0;

	due = !ws->others_first && (++ws->calls >= POLL_CALLS || now - ws->polled_ns >= POLL_NS);
	ws->others_first = due;
	mye_hosts_retry(ws, now);
	if (due)
		rc = look_at_others(ws, w, now);
	mye_rings_look(ws, b);
	if (rc < 0 || due)
		return rc;
	if (b->n == 0 && (try || ws->descriptors))
		return look_at_others(ws, w, now);
	if (ws->timers.count)
		mye_timers_due(ws, b, now);
	return 0;
}

/* Set all flags, one barrier, look at all. @return until when a sleep may last without losing anything. */
static int64_t get_ready(struct myelon_waitset *ws, struct wait *w, int64_t now)
{
	bool rings = ws->consumers + ws->wanting > 0;
	int64_t cap = INT64_MAX;

	mye_hosts_retry(ws, now);
	if (rings)
		cap = now + (mye_rings_announce(ws) ? MYE_CAP_NS : MYE_NO_BARRIER_CAP_NS);
	mye_rings_look(ws, &w->batch);
	return cap;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Nothing came for a second: so nothing should be there. */
static void at_cap(struct myelon_waitset *ws, struct wait *w, int64_t now)
{
	ws->stats.caps++;
	mye_hosts_ask(ws, now);
	if (w->batch.n > 0)
		return;
	mye_rings_look(ws, &w->batch);
	if (w->woke == 0 && w->batch.n > 0)
		ws->stats.caps_found++;
}

/*
 * The cap ended a sleep in which no bell rang: all announcements stand, or somebody died taking one. So
 * neither is made again nor a barrier called; some rings, in turn, are looked at, and those whose
 * producer is to be asked for. @return whether to sleep on: nothing was found.
 */
static bool cap_in_peace(struct myelon_waitset *ws, struct wait *w, int64_t now)
{
	ws->stats.caps++;
	/* The same ones, since they are near then. */
	ws->ask_next = ws->look_next;
	mye_hosts_ask(ws, now);
	if (mye_rings_look_in_turn(ws, &w->batch))
		return true;
	ws->stats.caps_found += w->batch.n > 0;
	return false;
}

static int sleep_once(struct myelon_waitset *ws, struct wait *w, int64_t deadline)
{
	int64_t now = mye_now(), begun = now, cap, until;
	bool short_cap;
	int rc = mye_loop_listen(ws->loop);

	if (rc < 0)
		return rc;
	cap = get_ready(ws, w, now);
	if (w->batch.n || __atomic_load_n(&ws->woken, __ATOMIC_RELAXED))
		return 0;
	until = least(least(deadline, mye_timers_next(ws)), ws->retry_at);
	ws->stats.sleeps++;
	w->entry_ns = mye_now() - begun;
	w->learned = false;
	w->woke = 0;
	short_cap = cap - begun != MYE_CAP_NS;
	for (;;) {
		rc = loop_sleep(ws, least(until, cap), w);
		w->entry_ns = 0;
		now = mye_now();
		if (rc < 0 || now < cap || short_cap || w->woke > 0 || w->batch.n > 0 ||
		    __atomic_load_n(&ws->woken, __ATOMIC_RELAXED) || !cap_in_peace(ws, w, now))
			break;
		cap = now + MYE_CAP_NS;
		until = least(until, ws->retry_at);
	}
	ws->polled_ns = now;
	mye_timers_due(ws, &w->batch, now);
	return rc;
}

/* @return 0 or negative. */
static int spin(struct myelon_waitset *ws, struct wait *w, int64_t deadline)
{
	int64_t budget = mye_spin_budget(ws), now = w->begun_ns, until;
	uint32_t looks = 1 + SPIN_LOOKS / (ws->rings.count + 1);
	int rc = 0;

	if (budget == 0)
		return 0;
	until = least(least(deadline, mye_timers_next(ws)),
	              now > INT64_MAX - budget ? INT64_MAX : now + budget);
	while (rc == 0 && w->batch.n == 0 && now < until &&
	       !__atomic_load_n(&ws->woken, __ATOMIC_RELAXED)) {
		for (uint32_t i = 0; i < looks && w->batch.n == 0; i++) {
			myelon_relax();
			mye_rings_look(ws, &w->batch);
		}
		now = mye_now();
		if (ws->descriptors && now - ws->polled_ns >= POLL_NS) {
			ws->polled_ns = now;
			rc = loop_sleep(ws, MYELON_TRY, w);
		}
	}
	ws->stats.spin_ns += (uint64_t)(now - w->begun_ns);
	mye_spin_judge(ws, w->batch.n > 0);
	return rc;
}

static int canceled(void)
{
	return mye_fail_static(-ECANCELED, "wait set: myelon_waitset_wake() was called");
}

static int wait_long(struct myelon_waitset *ws, struct wait *w, int64_t deadline)
{
	int rc;

	ws->stats.waits++;
	w->begun_ns = mye_now();
	rc = spin(ws, w, deadline);
	while (rc == 0 && w->batch.n == 0) {
		if (mye_set_woken(ws))
			return canceled();
		if (mye_now() >= deadline)
			return 0;
		rc = sleep_once(ws, w, deadline);
	}
	return w->batch.n ? w->batch.n : rc;
}

/* Nothing is ready: from now on the descriptor is readable as soon as something might be. */
static int arm(struct myelon_waitset *ws, struct wait *w)
{
	int64_t now = mye_now(), until;
	int rc = mye_loop_listen(ws->loop);

	if (rc < 0)
		return rc;
	ws->cap_at = get_ready(ws, w, now);
	mye_timers_due(ws, &w->batch, mye_now());
	if (w->batch.n)
		return w->batch.n;
	until = least(least(mye_timers_next(ws), ws->retry_at), ws->cap_at);
	rc = mye_timerfd_set(ws->timer_fd, until, 0);
	if (rc < 0)
		return mye_fail_static(rc, "the timer of the wait set's descriptor cannot be set");
	rc = mye_loop_arm(ws->loop);
	if (rc < 0)
		return rc;
	ws->armed = true;
	return mye_set_woken(ws) ? canceled() : 0;
}

/* The sleep of who has the descriptor. */
static int end_of_armed(struct myelon_waitset *ws, struct wait *w)
{
	int64_t now = mye_now();
	int rc = 0;

	ws->armed = false;
	if (ws->cap_at == INT64_MAX || now < ws->cap_at)
		return 0;
	rc = loop_sleep(ws, MYELON_TRY, w);
	at_cap(ws, w, now);
	return rc;
}

static int wait_begin(struct myelon_waitset *ws, struct wait *w, int64_t deadline)
{
	int rc = 0;

	if (mye_set_woken(ws))
		return canceled();
	if (ws->armed)
		rc = end_of_armed(ws, w);
	if (rc == 0 && w->batch.n == 0)
		rc = collect(ws, w, deadline == MYELON_TRY);
	if (w->batch.n || rc < 0)
		return w->batch.n ? w->batch.n : rc;
	if (deadline == MYELON_TRY)
		return ws->pollable ? arm(ws, w) : 0;
	return wait_long(ws, w, deadline);
}

int myelon_waitset_wait(struct myelon_waitset *ws, struct myelon_event *events, int max,
                        int64_t deadline)
{
	struct wait w = {.batch = {.event = events, .max = max}};
	int rc = mye_set_check(ws, "waitset wait");

	if (rc < 0)
		return rc;
	if (!events || max <= 0)
		return mye_fail(-EINVAL, "waitset wait: there is room for %d events",
		                events ? max : 0);
	rc = mye_call_begin(&ws->in_call, "wait set");
	if (rc < 0)
		return rc;
	rc = wait_begin(ws, &w, deadline);
	mye_call_end(&ws->in_call);
	return rc;
}

int myelon_waitset_dispatch(struct myelon_waitset *ws, int max, int64_t deadline)
{
	struct myelon_event events[DISPATCH_EVENTS] = {0};
	int called = 0, n, i;

	n = myelon_waitset_wait(ws, events, max < DISPATCH_EVENTS ? max : DISPATCH_EVENTS,
	                        deadline);
	if (n < 0)
		return n;
	for (i = 0; i < n; i++) {
		/* An earlier one of these may have removed it. */
		struct mye_source *s = mye_source_of(ws, events[i].id);

		if (!s || !s->fn)
			continue;
		called++;
		s->fn(&events[i], s->user);
	}
	/* Nothing was waited for: whoever has the descriptor must not take the 0 for that. */
	if (n > 0 && called == 0 && ws->pollable)
		mye_loop_wake(ws->loop);
	return called;
}
