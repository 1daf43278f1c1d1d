/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The consumer: attach, close, and the slow paths of peek and release. */
#include <myelon/consumer.h>

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "base/opts.h"
#include "ring/call.h"
#include "ring/gate.h"
#include "ring/join.h"
#include "ring/peer.h"
#include "sys/sys.h"

#define PREFETCH_BYTES 256
#define PREFETCH_POLLS 4
#define PARKED_POLLS 1000 /* what a sleep counts for: whoever slept did not follow closely */

static void handle_drop(struct mye_consumer *c)
{
	mye_segment_leave(&c->seg);
	mye_handle_free(c, sizeof(*c));
}

static void arm(struct mye_consumer *c, const struct mye_join *j, uint32_t flags)
{
	struct mye_entry *e = &c->seg.entries[j->index];

	mye_waiter_init(&c->waiter, j->wait, &c->seg, &e->slow.parked);
	mye_peer_init(&c->peer, &c->seg);
	c->index = j->index;
	c->flags = flags;
	mye_gather_init(&c->gather);
	c->lost = j->lost;
	mye_entry_id(&c->seg, j->index, c->id);
	c->hot.next = j->cursor + 1;
	c->hot.end = c->hot.held = c->hot.next;
	c->hot.data = c->seg.data;
	c->hot.mask = c->seg.header.slots - 1;
	c->hot.slot_size = c->seg.header.slot_size;
	c->hot.fence = c->waiter.full_fence;
	c->hot.cursor = &e->hot.cursor;
	c->hot.evicted = &e->hot.evicted;
	c->hot.generation = j->generation;
	c->hot.space_target = &c->seg.producer->space.space_target;
	c->magic = MYE_CONSUMER_MAGIC;
}

static int check_opts(const struct myelon_attach_opts *opts)
{
	int rc = mye_wait_check(opts->wait);

	if (rc < 0)
		return rc;
	if (opts->start > MYELON_START_RESUME)
		return mye_fail(-EINVAL, "start %u is unknown", opts->start);
	if (opts->start == MYELON_START_RESUME && !opts->id)
		return mye_fail_static(-EINVAL,
		                       "start resume needs an id: set the id of the consumer "
		                       "that is to go on");
	return opts->id ? mye_id_check(opts->id) : 0;
}

int mye_consumer_join(struct myelon_consumer **out, const char *name,
                      const struct myelon_attach_opts *user, enum myelon_kind kind)
{
	struct myelon_attach_opts opts;
	struct mye_attach want;
	struct mye_join j = {0};
	struct mye_consumer *c;
	int rc;

	if (!out)
		return mye_fail_static(-EINVAL, "consumer attach: the out pointer is NULL");
	*out = NULL;
	rc = mye_opts_read(&opts, sizeof(opts), MYE_ATTACH_OPTS_FIRST, user, "attach options");
	if (rc == 0)
		rc = check_opts(&opts);
	if (rc < 0)
		return rc;
	want = mye_attach_of(&opts, MYE_ROLE_CONSUMER, kind);
	c = mye_handle_alloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->bytes = sizeof(*c);
	c->seg.control_fd = c->seg.data_fd = c->seg.dir_fd = -1;
	rc = mye_segment_attach(&c->seg, name, &want);
	if (rc == 0) {
		j.id = opts.id;
		j.start = (enum myelon_start)opts.start;
		j.wait = (enum myelon_wait)opts.wait;
		j.deadline = want.deadline;
		/* Registered before the entry gates: from then on it is somebody's light side. */
		mye_membarrier_register();
		rc = mye_join_ring(&c->seg, &j);
	}
	if (rc < 0) {
		handle_drop(c);
		return rc;
	}
	arm(c, &j, opts.flags);
	*out = &c->hot;
	return 0;
}

int myelon_consumer_attach(struct myelon_consumer **out, const char *name,
                           const struct myelon_attach_opts *opts)
{
	return mye_consumer_join(out, name, opts, MYELON_KIND_RAW);
}

void myelon_consumer_close(struct myelon_consumer *hot)
{
	struct mye_consumer *c = mye_consumer_of(hot);

	if (!c)
		return;
	if (c->magic != MYE_CONSUMER_MAGIC) {
		mye_handle_free(c, sizeof(*c));
		return;
	}
	hot->end = hot->held = hot->next;
	c->magic = 0;
	mye_leave_ring(&c->seg, c->index, hot->generation, hot->next - 1);
	handle_drop(c);
}

static bool evicted(const struct mye_consumer *c)
{
	return __atomic_load_n(c->hot.evicted, __ATOMIC_RELAXED) >= c->hot.generation;
}

static int stale(const struct mye_consumer *c)
{
	return mye_fail(
		-ESTALE,
		"consumer %s was evicted from ring %s; what was read since the last peek may have "
		"been overwritten; close and attach again",
		c->id, c->seg.place.name);
}

static int64_t load_published(const struct mye_consumer *c)
{
	/* Acquire: pairs with the release store in myelon_publish(); the slots up to it are written. */
	return __atomic_load_n(&c->seg.producer->hot.published, __ATOMIC_ACQUIRE);
}

/* Is there something up to @p published that we have not? @return 1 with hot.end raised, 0, negative. */
static int look_at(struct mye_consumer *c, int64_t published)
{
	/* Unsigned: what is out of range wraps, and is out of range then too. */
	int64_t have = (int64_t)((uint64_t)published - (uint64_t)(c->hot.next - 1));

	if (__builtin_expect(__atomic_load_n(&c->interrupted, __ATOMIC_RELAXED), 0) &&
	    mye_take_interrupt(&c->interrupted))
		return mye_fail_static(-ECANCELED, "peek: interrupted");
	if (__builtin_expect(evicted(c), 0))
		return stale(c);
	if (have == 0)
		return 0;
	if (have < 0 || have > (int64_t)c->seg.header.slots) {
		c->alerts++;
		return mye_fail(
			-EPROTO,
			"ring %s: published is %lld, but we have read up to %lld of a ring of %llu "
			"slots; its producer is broken",
			c->seg.place.name, (long long)published, (long long)c->hot.next - 1,
			(unsigned long long)c->seg.header.slots);
	}
#ifdef MYE_SINGLE_MAP
	if (have > (int64_t)(c->hot.mask + 1 - ((uint64_t)c->hot.next & c->hot.mask)))
		have = (int64_t)(c->hot.mask + 1 - ((uint64_t)c->hot.next & c->hot.mask));
#endif
	c->hot.end = c->hot.next + have;
	return 1;
}

static int look(struct mye_consumer *c)
{
	return look_at(c, load_published(c));
}

/* Is the producer gone? @return 0: no, > 0: something came meanwhile, < 0: it is, all is read. */
static int verdict(struct mye_consumer *c)
{
	int v = mye_peer_ask(&c->peer, &c->seg), rc;

	if (v == 0)
		return 0;
	rc = look(c);
	return rc ? rc : mye_peer_confirm(&c->peer, &c->seg, v);
}

/* One turn of the sleep loop: bell, flag, barrier, check, sleep. Any return starts it from the top. */
static int park(struct mye_consumer *c, int64_t deadline)
{
	struct mye_shared_page *sh = c->seg.shared;
	/* Acquire: pairs with mye_ring_bell(): what the ringer did before is seen below. */
	uint32_t bell = __atomic_load_n(&sh->bell.doorbell, __ATOMIC_ACQUIRE);
	int rc, found;

	mye_point();
	/* Seq_cst: pairs with the publisher's exchange; with the barrier below the re-check sees
	   every publish whose publisher did not see the flag (docs/ordering.md). */
	__atomic_fetch_or(&sh->park.parked, MYE_PARKED_FUTEX, __ATOMIC_SEQ_CST);
	mye_point();
	mye_waiter_barrier(&c->waiter);
	rc = look(c);
	if (rc == 0 && mye_peer_changed(&c->peer, &c->seg))
		rc = verdict(c);
	if (rc)
		return rc;
	rc = mye_waiter_park(&c->waiter, &c->seg, &sh->bell.doorbell, bell, &sh->bell.wake_ns,
	                     deadline);
	if (rc == -EINTR && (c->flags & MYELON_F_EINTR))
		return mye_fail_static(-EINTR, "peek: a signal came");
	if (rc == -EFAULT)
		return mye_fail(-EPROTO, "ring %s: its control file was truncated",
		                c->seg.place.name);
	found = look(c);
	c->waiter.stats.caps_found += rc == 1 && found > 0;
	return found || !mye_peer_due(&c->peer) ? found : verdict(c);
}

/*
 * The slot that comes next is written before `published` is: fetching its first lines while polling
 * lets both transfers overlap. Not in the first polls, where a line that is just being written would be
 * taken from a producer close ahead.
 */
static void prefetch_next(const struct mye_consumer *c)
{
	const struct myelon_consumer *h = &c->hot;
	const unsigned char *slot = h->data + ((uint64_t)h->next & h->mask) * h->slot_size;
	uint32_t bytes = h->slot_size < PREFETCH_BYTES ? h->slot_size : PREFETCH_BYTES;

	for (uint32_t at = 0; at < bytes; at += 64)
		__builtin_prefetch(slot + at);
}

/*
 * Poll up to @p n times. The value found is the value used: a second load would take the line from the
 * producer once more. @return look_at()'s result; *polls counts.
 */
static int poll_burst(struct mye_consumer *c, uint32_t n, bool relax, uint32_t *polls)
{
	int64_t have = c->hot.next - 1, published = have;

	for (uint32_t i = 0; i < n && published == have; i++) {
		if (++*polls > PREFETCH_POLLS)
			prefetch_next(c);
		if (relax)
			mye_cpu_relax();
		published = load_published(c);
		if (__atomic_load_n(&c->interrupted, __ATOMIC_RELAXED))
			break;
	}
	return look_at(c, published);
}

/* Nothing is there. For a try call: is that because the producer is gone? */
static int try_verdict(struct mye_consumer *c)
{
	int rc = 0;

	if (mye_peer_changed(&c->peer, &c->seg) || mye_peer_due(&c->peer))
		rc = verdict(c);
	return rc ? rc : mye_fail_static(-EAGAIN, "peek: nothing is published that was not read");
}

static int wait_loop(struct mye_consumer *c, int64_t deadline, uint32_t *polls)
{
	struct mye_waiter *w = &c->waiter;
	struct mye_episode e;
	int rc = 0;

	w->stats.waits++;
	mye_episode_begin(&e, deadline);
	while (rc == 0) {
		enum mye_step step = mye_episode_step(w, &e, &c->seg);

		if (step == MYE_STEP_PARK) {
			*polls += PARKED_POLLS;
			rc = park(c, deadline);
			continue;
		}
		if (step == MYE_STEP_ASK ||
		    (step == MYE_STEP_POLL && e.steps > 1 && mye_peer_changed(&c->peer, &c->seg)))
			rc = verdict(c);
		else if (step == MYE_STEP_EINTR && (c->flags & MYELON_F_EINTR))
			rc = mye_fail_static(-EINTR, "peek: a signal came");
		if (rc == 0)
			rc = poll_burst(c, step == MYE_STEP_TIMEOUT ? 1 : e.burst,
			                w->strategy != MYELON_WAIT_SPIN, polls);
		if (rc == 0 && step == MYE_STEP_TIMEOUT && mye_peer_due(&c->peer))
			rc = verdict(c);
		if (rc == 0 && step == MYE_STEP_TIMEOUT)
			rc = mye_fail_static(-ETIMEDOUT, "peek: the deadline passed");
	}
	mye_episode_end(w, &e);
	return rc;
}

static int refill(struct mye_consumer *c, int64_t deadline)
{
	uint32_t polls = 1;
	int rc;

	if (c->gather.pauses) {
		c->waiter.stats.gathers++;
		for (uint32_t i = 0; i < c->gather.pauses; i++)
			mye_cpu_relax();
	}
	rc = look(c);
	if (rc == 0 && deadline == MYELON_TRY)
		return try_verdict(c);
	if (rc == 0)
		rc = wait_loop(c, deadline, &polls);
	if (rc > 0)
		mye_gather_note(&c->gather, polls, (uint32_t)(c->hot.end - c->hot.next));
	return rc;
}

int myelon_peek_slow(struct myelon_consumer *hot, uint32_t max, int64_t deadline)
{
	struct mye_consumer *c = mye_consumer_of(hot);
	int rc;

	if (c->magic != MYE_CONSUMER_MAGIC)
		return mye_opened_before_fork("peek");
	if (max == 0)
		return mye_fail_static(-EINVAL, "peek: 0 slots were asked for");
	rc = mye_call_begin(&c->in_call, "consumer");
	if (rc < 0)
		return rc;
	hot->held = hot->next;
	rc = refill(c, deadline);
	mye_call_end(&c->in_call);
	return rc;
}

int myelon_release_slow(struct myelon_consumer *hot, uint32_t n)
{
	struct mye_consumer *c = mye_consumer_of(hot);

	if (c->magic != MYE_CONSUMER_MAGIC)
		return mye_opened_before_fork("release");
	if (evicted(c)) {
		hot->end = hot->held = hot->next;
		return stale(c);
	}
	return mye_fail(-EINVAL, "release: %u slots, but the last peek gave %lld", n,
	                (long long)(hot->held - hot->next));
}

void myelon_consumer_wake(struct myelon_consumer *hot)
{
	struct mye_consumer *c = mye_consumer_of(hot);

	c->waiter.stats.wakes++;
	mye_ring_bell(&c->seg.shared->space.bell, &c->seg.shared->space.wake_ns);
}

int myelon_consumer_wait_producer(struct myelon_consumer *hot, int64_t deadline)
{
	struct mye_consumer *c = mye_consumer_of(hot);
	uint64_t epoch = c->peer.epoch;
	int rc;

	if (c->magic != MYE_CONSUMER_MAGIC)
		return mye_opened_before_fork("wait_producer");
	for (;;) {
		struct mye_shared_page *sh = c->seg.shared;
		/* Acquire: pairs with the bell of a new producer (announce_takeover). */
		uint32_t bell = __atomic_load_n(&sh->bell.doorbell, __ATOMIC_ACQUIRE);
		int v = mye_peer_ask(&c->peer, &c->seg);

		if (v == 0 || c->peer.epoch != epoch)
			return 0;
		if (mye_take_interrupt(&c->interrupted))
			return mye_fail_static(-ECANCELED, "wait_producer: interrupted");
		if (!mye_segment_named(&c->seg))
			return mye_fail(-ENOENT, "ring %s was removed; attach to a new one",
			                c->seg.place.name);
		if (deadline == MYELON_TRY || mye_now() >= deadline)
			return mye_fail(deadline == MYELON_TRY ? -EAGAIN : -ETIMEDOUT,
			                "ring %s: no new producer came", c->seg.place.name);
		/* A new producer rings unconditionally: no flag and so no barrier is needed. */
		c->waiter.park_begun_ns = mye_now();
		rc = mye_waiter_park(&c->waiter, &c->seg, &sh->bell.doorbell, bell,
		                     &sh->bell.wake_ns, deadline);
		if (rc == -EINTR && (c->flags & MYELON_F_EINTR))
			return mye_fail_static(-EINTR, "wait_producer: a signal came");
		if (rc == -EFAULT)
			return mye_fail_static(-EPROTO,
			                       "wait_producer: the control file was truncated");
	}
}
