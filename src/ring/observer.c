/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The observer: copies what is there and never gates. A slot s is intact iff s > ceiling - slots,
 * checked after the copy and an acquire fence: the producer announces the ceiling, with a full fence,
 * before it writes the first slot below it.
 */
#include <myelon/observer.h>

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "base/opts.h"
#include "numa/pinning.h"
#include "ring/call.h"
#include "ring/gate.h"
#include "ring/peer.h"
#include "sys/sys.h"

#define POLL_FIRST_NS 100000 /* with read-only files, which cannot announce a sleeper */
#define POLL_MAX_NS 10000000

static void handle_drop(struct mye_observer *o)
{
	mye_peer_close(&o->peer);
	mye_segment_leave(&o->seg);
	mye_handle_free(o, sizeof(*o));
}

#define SEQ_MAX (INT64_MAX / 2)
#define BROKEN (-2)

/* Kept in range, so that what is computed from a broken word cannot overflow. */
static int64_t load_ceiling(const struct mye_observer *o)
{
	/* Acquire: pairs with the release store in announce() (gate.c). */
	int64_t ceiling = __atomic_load_n(&o->seg.producer->gate.ceiling, __ATOMIC_ACQUIRE);

	return ceiling < -1 ? -1 : ceiling > SEQ_MAX ? SEQ_MAX : ceiling;
}

/* @return the last published sequence, or BROKEN: below anything an observer has seen. */
static int64_t load_published(const struct mye_observer *o)
{
	/* Acquire: pairs with the release store in myelon_publish(). */
	int64_t published = __atomic_load_n(&o->seg.producer->hot.published, __ATOMIC_ACQUIRE);

	return published < -1 || published > SEQ_MAX ? BROKEN : published;
}

/* The oldest sequence that is not overwritten, nor about to be. */
static int64_t oldest_intact(const struct mye_observer *o)
{
	int64_t s = load_ceiling(o) - (int64_t)o->seg.header.slots + 1;

	return s > 0 ? s : 0;
}

static int64_t framed_start(const struct mye_observer *o, int64_t lo)
{
	int64_t published = load_published(o);

	if (o->seg.header.kind != MYELON_KIND_FRAMED)
		return lo < published + 1 ? lo : published + 1;
	return mye_frame_start(&o->seg, lo, published);
}

uint64_t mye_observer_catch_up(struct mye_observer *o)
{
	int64_t to = framed_start(o, oldest_intact(o));
	uint64_t lost = 0;

	if (to > o->next) {
		lost = (uint64_t)(to - o->next);
		o->next = to;
		o->lost += lost;
	}
	return lost;
}

static int look_on(struct myelon_observer **out, const char *name,
                   const struct myelon_attach_opts *opts, enum myelon_kind kind)
{
	const struct mye_attach want = mye_attach_of(opts, MYE_ROLE_OBSERVER, kind);
	struct mye_observer *o = mye_handle_alloc(sizeof(*o));
	int rc;

	if (!o)
		return -ENOMEM;
	o->bytes = sizeof(*o);
	o->seg.control_fd = o->seg.data_fd = o->seg.dir_fd = -1;
	rc = mye_segment_attach(&o->seg, name, &want);
	if (rc < 0) {
		handle_drop(o);
		return rc;
	}
	mye_waiter_init(&o->waiter, (enum myelon_wait)opts->wait, &o->seg, NULL);
	mye_peer_init(&o->peer, &o->seg);
	o->flags = opts->flags;
	o->poll_ns = POLL_FIRST_NS;
	o->next = load_published(o) + 1;
	if (o->next < 0) {
		rc = mye_fail(-EPROTO,
		              "ring %s: what is published is out of range; remove the ring",
		              o->seg.place.name);
		handle_drop(o);
		return rc;
	}
	if (opts->start == MYELON_START_OLDEST)
		o->next = framed_start(o, oldest_intact(o));
	o->magic = MYE_OBSERVER_MAGIC;
	*out = (struct myelon_observer *)(void *)o;
	return 0;
}

int mye_observer_join(struct myelon_observer **out, const char *name,
                      const struct myelon_attach_opts *user, enum myelon_kind kind)
{
	struct myelon_attach_opts opts;
	struct mye_pinned pinned;
	int rc;

	if (!out)
		return mye_fail_static(-EINVAL, "observer attach: the out pointer is NULL");
	*out = NULL;
	rc = mye_opts_read(&opts, sizeof(opts), MYE_ATTACH_OPTS_FIRST, user, "attach options");
	if (rc == 0)
		rc = mye_wait_check(opts.wait);
	if (rc < 0)
		return rc;
	if (opts.id)
		return mye_fail_static(-EINVAL, "observer attach: an observer has no id");
	if (opts.start > MYELON_START_OLDEST)
		return mye_fail(-EINVAL, "observer attach: start %u is not latest or oldest",
		                opts.start);
	rc = mye_pin_begin(opts.pin, &pinned);
	return rc < 0 ? rc : mye_pin_end(&pinned, look_on(out, name, &opts, kind));
}

int myelon_observer_attach(struct myelon_observer **out, const char *name,
                           const struct myelon_attach_opts *opts)
{
	return mye_observer_join(out, name, opts, MYELON_KIND_RAW);
}

void myelon_observer_close(struct myelon_observer *hot)
{
	struct mye_observer *o = mye_observer_of(hot);

	if (!o)
		return;
	if (o->magic != MYE_OBSERVER_MAGIC) {
		mye_handle_free(o, sizeof(*o));
		return;
	}
	o->magic = 0;
	handle_drop(o);
}

/* @return slots published and not observed, 0, or negative. */
static int64_t look(struct mye_observer *o)
{
	int64_t published = load_published(o), have = published - (o->next - 1);

	if (mye_take_interrupt(&o->interrupted))
		return mye_fail_static(-ECANCELED, "observe: interrupted");
	if (have < 0)
		return mye_fail(-EPROTO,
		                "ring %s: what is published fell below %lld, which we have read; "
		                "its producer is broken",
		                o->seg.place.name, (long long)o->next - 1);
	return have;
}

static int64_t verdict(struct mye_observer *o)
{
	int v = mye_peer_ask(&o->peer, &o->seg);
	int64_t have;

	if (v == 0)
		return 0;
	have = look(o);
	return have ? have : mye_peer_confirm(&o->peer, &o->seg, v);
}

/* With a read-only control file nobody can be told that we sleep: poll, less and less often. */
static int64_t nap(struct mye_observer *o, int64_t deadline)
{
	int64_t until = mye_now() + o->poll_ns;

	o->poll_ns = o->poll_ns < POLL_MAX_NS ? o->poll_ns * 2 : POLL_MAX_NS;
	if (mye_sleep_until(until < deadline ? until : deadline) == -EINTR &&
	    (o->flags & MYELON_F_EINTR))
		return mye_fail_static(-EINTR, "observe: a signal came");
	return look(o);
}

/* As park() of a consumer. */
static int64_t park(struct mye_observer *o, int64_t deadline)
{
	struct mye_shared_page *sh = o->seg.shared;
	/* Acquire: pairs with mye_ring_bell(). */
	uint32_t bell = __atomic_load_n(&sh->bell.doorbell, __ATOMIC_ACQUIRE);
	uint32_t lease = mye_peer_lease(&o->seg);
	int64_t have;
	int rc;

	/* Seq_cst: pairs with the publisher's exchange of the flags. */
	__atomic_fetch_or(&sh->park.parked, MYE_PARKED_FUTEX, __ATOMIC_SEQ_CST);
	mye_waiter_barrier(&o->waiter);
	have = look(o);
	if (have == 0 && mye_peer_to_ask(&o->peer, &o->seg, lease))
		have = verdict(o);
	if (have)
		return have;
	rc = mye_peer_park(&o->peer, &o->waiter, &o->seg, bell, lease, deadline);
	if (rc == -EINTR && (o->flags & MYELON_F_EINTR))
		return mye_fail_static(-EINTR, "observe: a signal came");
	if (rc == -EFAULT)
		return mye_fail(-EPROTO, "ring %s: its control file was truncated",
		                o->seg.place.name);
	have = look(o);
	o->waiter.stats.caps_found += rc == 1 && have > 0;
	return have;
}

static int64_t try_verdict(struct mye_observer *o)
{
	int64_t rc = 0;

	if (mye_peer_changed(&o->peer, &o->seg) || mye_peer_due(&o->peer))
		rc = verdict(o);
	return rc ? rc : mye_fail_static(-EAGAIN, "observe: nothing new is published");
}

static int64_t wait_loop(struct mye_observer *o, int64_t deadline)
{
	struct mye_waiter *w = &o->waiter;
	struct mye_episode e;
	int64_t have = 0;

	w->stats.waits++;
	mye_episode_begin(&e, deadline);
	while (have == 0) {
		enum mye_step step = mye_episode_step(w, &e, &o->seg);

		if (step == MYE_STEP_PARK) {
			have = o->seg.writable ? park(o, deadline) : nap(o, deadline);
			if (have == 0 && mye_peer_due(&o->peer))
				have = verdict(o);
			continue;
		}
		if (step == MYE_STEP_ASK ||
		    (step == MYE_STEP_POLL && e.steps > 1 && mye_peer_changed(&o->peer, &o->seg)))
			have = verdict(o);
		else if (step == MYE_STEP_EINTR && (o->flags & MYELON_F_EINTR))
			have = mye_fail_static(-EINTR, "observe: a signal came");
		for (uint32_t i = 0; have == 0 && i < e.burst; i++) {
			have = look(o);
			if (have == 0 && w->strategy != MYELON_WAIT_SPIN)
				myelon_relax();
		}
		if (have == 0 && step == MYE_STEP_TIMEOUT && mye_peer_due(&o->peer))
			have = verdict(o);
		if (have == 0 && step == MYE_STEP_TIMEOUT)
			have = mye_fail_static(-ETIMEDOUT, "observe: the deadline passed");
	}
	mye_episode_end(w, &e, have > 0 ? (uint64_t)have : 0);
	o->poll_ns = POLL_FIRST_NS;
	return have;
}

int64_t mye_observer_wait(struct mye_observer *o, int64_t deadline)
{
	int64_t have = look(o);

	if (have == 0)
		have = deadline == MYELON_TRY ? try_verdict(o) : wait_loop(o, deadline);
	return have;
}

/* Copy slots a producer may be writing at the same time; the caller proves afterwards that it was not. */
static void copy_racy(void *to, const unsigned char *from, size_t bytes)
{
#ifdef MYE_SINGLE_MAP
	unsigned char *out = to;

	for (size_t i = 0; i < bytes; i++)
		out[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
#else
	memcpy(to, from, bytes);
#endif
}

int mye_observer_read(struct mye_observer *o, int64_t seq, size_t offset, void *buf, size_t bytes)
{
	const struct mye_header *h = &o->seg.header;
	uint64_t at = ((uint64_t)seq & (h->slots - 1)) * h->slot_size + offset;

#ifdef MYE_SINGLE_MAP
	if (at >= h->data_bytes)
		at -= h->data_bytes;
	if (at + bytes > h->data_bytes) {
		size_t first = h->data_bytes - at;

		copy_racy(buf, o->seg.data + at, first);
		copy_racy((unsigned char *)buf + first, o->seg.data, bytes - first);
	} else
#endif
		copy_racy(buf, o->seg.data + at, bytes);
	/* Acquire: the copy is done before the ceiling is read; pairs with the fence in announce(). */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return seq > load_ceiling(o) - (int64_t)h->slots ? 0 : -ESTALE;
}

/* Copy what is there from next on; drop from the front what was overwritten meanwhile. @return slots. */
static uint32_t copy_some(struct mye_observer *o, void *slots, uint32_t max, uint64_t *lost)
{
	size_t size = o->seg.header.slot_size;
	int64_t oldest, have;
	uint32_t n, gone = 0;

	*lost += mye_observer_catch_up(o);
	have = load_published(o) - (o->next - 1);
	if (have <= 0)
		return 0;
	n = have < (int64_t)max ? (uint32_t)have : max;
	if (n > o->seg.header.slots)
		n = (uint32_t)o->seg.header.slots;
	if (mye_observer_read(o, o->next, 0, slots, n * size) < 0) {
		oldest = oldest_intact(o);
		gone = oldest - o->next < (int64_t)n ? (uint32_t)(oldest - o->next) : n;
		memmove(slots, (char *)slots + gone * size, (n - gone) * size);
		o->next += gone;
		o->lost += gone;
		*lost += gone;
	}
	o->next += n - gone;
	return n - gone;
}

int myelon_observe(struct myelon_observer *hot, void *slots, uint32_t max, int64_t deadline,
                   int64_t *seq, uint64_t *lost)
{
	struct mye_observer *o = mye_observer_of(hot);
	uint64_t missed = 0;
	int64_t have;
	uint32_t n = 0;
	int rc;

	if (lost)
		*lost = 0;
	if (o->magic != MYE_OBSERVER_MAGIC)
		return mye_opened_before_fork("observe");
	if (max == 0 || max > INT32_MAX || !slots)
		return mye_fail_static(-EINVAL, "observe: no room for a slot was given");
	rc = mye_call_begin(&o->in_call, "observer");
	if (rc < 0)
		return rc;
	do {
		have = mye_observer_wait(o, deadline);
		if (have > 0)
			n = copy_some(o, slots, max, &missed);
	} while (have > 0 && n == 0);
	mye_call_end(&o->in_call);
	if (lost)
		*lost = missed;
	if (seq)
		*seq = o->next - n;
	return have < 0 ? (int)have : (int)n;
}
