/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "ring/peer.h"

#include <errno.h>

#include "base/error.h"
#include "sys/sys.h"

#define DYING_FIRST_NS 50000
#define DYING_MAX_NS 20000000
#define FIRST_PART_NS 20000000

static uint64_t load_epoch(const struct mye_segment *seg)
{
	/* Acquire: pairs with the release store of a new producer (announce_takeover). */
	return __atomic_load_n(&seg->producer->slow.epoch, __ATOMIC_ACQUIRE);
}

static uint32_t load_state(const struct mye_segment *seg)
{
	/* Acquire: pairs with the release stores of close and takeover. */
	return __atomic_load_n(&seg->producer->slow.state, __ATOMIC_ACQUIRE);
}

bool mye_peer_closed(const struct mye_segment *seg, uint64_t epoch)
{
	return load_state(seg) == MYE_PRODUCER_CLOSED ||
	       __atomic_load_n(&seg->producer->hot.closed_epoch, __ATOMIC_RELAXED) ==
	               (uint32_t)epoch;
}

void mye_peer_init(struct mye_peer *peer, const struct mye_segment *seg)
{
	*peer = (struct mye_peer){.epoch = load_epoch(seg)};
}

void mye_peer_close(struct mye_peer *peer)
{
	mye_ending_close(&peer->ending);
}

bool mye_peer_changed(struct mye_peer *peer, const struct mye_segment *seg)
{
	return load_epoch(seg) != peer->epoch || load_state(seg) == MYE_PRODUCER_CLOSED ||
	       peer->verdict;
}

int mye_peer_ask(struct mye_peer *peer, const struct mye_segment *seg)
{
	uint64_t epoch = load_epoch(seg);

	if (epoch != peer->epoch) {
		peer->epoch = epoch;
		peer->verdict = 0;
	}
	if (peer->verdict)
		return peer->verdict;
	peer->asked_ns = mye_now();
	if (load_state(seg) == MYE_PRODUCER_CLOSED)
		return -EPIPE;
	if (mye_role_held(seg, MYE_LOCK_PRODUCER) != 0)
		return 0;
	return mye_peer_closed(seg, epoch) ? -EPIPE : -EOWNERDEAD;
}

int mye_peer_confirm(struct mye_peer *peer, const struct mye_segment *seg, int verdict)
{
	if (load_epoch(seg) != peer->epoch)
		return 0;
	peer->verdict = verdict;
	if (verdict == -EPIPE)
		return mye_fail_static(-EPIPE,
		                       "the producer closed the ring and everything was read");
	return mye_fail(
		verdict,
		"the producer of ring %s (pid %u) died and everything it published was read; "
		"wait for a new one, or close",
		seg->place.name, __atomic_load_n(&seg->producer->identity.pid, __ATOMIC_RELAXED));
}

bool mye_peer_due(const struct mye_peer *peer)
{
	return mye_now_coarse() - peer->asked_ns >= MYE_ASK_NS;
}

uint32_t mye_peer_lease(struct mye_segment *seg)
{
	return mye_lease_watch(seg, MYE_LEASE_PRODUCER);
}

int64_t mye_dying_pause(int64_t last)
{
	if (!last)
		return DYING_FIRST_NS;
	return 2 * last < DYING_MAX_NS ? 2 * last : DYING_MAX_NS;
}

static bool dying(const struct mye_peer *peer, uint32_t lease)
{
	return mye_lease_state_of(lease) == MYE_LEASE_DYING || peer->ended == peer->epoch;
}

bool mye_peer_to_ask(struct mye_peer *peer, const struct mye_segment *seg, uint32_t lease)
{
	return mye_peer_changed(peer, seg) || dying(peer, lease) || !peer->asked_ns;
}

/* Its process is to be watched from now on, if it can be. */
static void watch(struct mye_peer *peer, const struct mye_segment *seg)
{
	struct mye_identity who;

	if (peer->watched == peer->epoch &&
	    (!peer->ending.ring || mye_ending_is_ours(&peer->ending)))
		return;
	mye_identity_read(&who, &seg->producer->identity);
	if (mye_ending_open(&peer->ending, &who) == -ESRCH)
		peer->ended = peer->epoch;
	peer->watched = peer->epoch;
}

static void sleep_also_on(struct mye_waiter *w, const uint32_t *word, uint32_t value, bool own)
{
	w->watched[w->watching++] = (struct mye_futex){.word = word, .value = value, .own = own};
}

/* What the sleep is on beside the bell. @return when it is over in any case. */
static int64_t choose_way(struct mye_peer *peer, struct mye_waiter *w, struct mye_segment *seg,
                          uint32_t lease)
{
	if (dying(peer, lease)) {
		peer->dying_ns = mye_dying_pause(peer->dying_ns);
		return mye_now() + peer->dying_ns;
	}
	peer->dying_ns = 0;
	if (mye_lease_state_of(lease) == MYE_LEASE_HELD)
		sleep_also_on(w, &seg->shared->lease.lease[MYE_LEASE_PRODUCER], lease, false);
	if (peer->lasted != peer->epoch)
		return mye_now() + FIRST_PART_NS;
	if (peer->ending.ring)
		sleep_also_on(w, mye_ending_word(&peer->ending), 0, true);
	return MYELON_FOREVER;
}

/* What the sleep says of the producer. @p in_full: it lasted until the time that was chosen. */
static void learn(struct mye_peer *peer, bool in_full)
{
	if (in_full)
		peer->lasted = peer->epoch;
	if (mye_ending_came(&peer->ending)) {
		mye_ending_close(&peer->ending);
		/* Not always the present one: a predecessor that closed lives on for a while. */
		peer->ended = peer->watched;
	}
}

int mye_peer_park(struct mye_peer *peer, struct mye_waiter *w, struct mye_segment *seg,
                  uint32_t bell, uint32_t lease, int64_t deadline)
{
	struct mye_shared_page *sh = seg->shared;
	bool leased = mye_lease_state_of(lease) == MYE_LEASE_HELD;
	int64_t until;
	int rc;

	if (peer->lasted == peer->epoch && !dying(peer, lease))
		watch(peer, seg);
	until = choose_way(peer, w, seg, lease);
	rc = mye_waiter_park(w, seg, &sh->bell.doorbell, bell, &sh->bell.wake_ns,
	                     until < deadline ? until : deadline);
	w->watching = 0;
	if (leased)
		mye_lease_pass_on(seg, MYE_LEASE_PRODUCER, lease);
	learn(peer, rc == -ETIMEDOUT && until < deadline);
	return rc;
}
