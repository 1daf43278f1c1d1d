/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A table that says anything: a watch neither crashes nor calls a living one dead, and settles when it tells the truth again. */
#include "peers_kit.h"

#include <string.h>

#include "ring/peers.h"
#include "sys/sys.h"

TestSuite(peers_hostile, .timeout = 120);

static struct mye_entry *entry_of(struct myelon_consumer *c)
{
	return &mye_consumer_of(c)->seg.entries[mye_consumer_of(c)->index];
}

static void ring_bell(struct myelon_consumer *c)
{
	uint32_t *word = &mye_consumer_of(c)->seg.shared->space.peers;

	__atomic_fetch_add(word, 1, __ATOMIC_RELEASE);
	mye_futex_wake_all(word);
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 17;
}

Test(peers_hostile, entries_that_lie_make_nobody_die)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.max_consumers = 4));
	struct myelon_consumer *c = ring_join(name, WITH(.id = "x"));
	struct myelon_peers *w = peers_watch(name, WATCH(.progress_ns = MS));
	struct mye_entry *e = entry_of(c), truth = *e;
	struct myelon_peer_event event = MYELON_PEER_EVENT_INIT;
	uint64_t random = 1;

	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	peers_expect(w, MYELON_CHANGE_ATTACHED, "x");
	for (int i = 0; i < 3000; i++) {
		e->slow.state = i % 3 ? MYE_STATE(next_random(&random) % 8, next_random(&random))
		                      : next_random(&random);
		e->hot.cursor = (int64_t)(next_random(&random) << 17);
		e->hot.evicted = next_random(&random) % 8;
		e->slow.released_ns = next_random(&random) % 2;
		e->about.who.pid = (uint32_t)next_random(&random);
		e->about.who.pidns = i % 2 ? truth.about.who.pidns : next_random(&random);
		memset(e->about.id, (int)next_random(&random), sizeof(e->about.id));
		ring_bell(c);
		while (myelon_peers_next(w, &event, MYELON_TRY) == 0) {
			/* Only a generation that was replaced without a trace may be said to have died. */
			cr_assert_not_null(
				myelon_peer_change_name((enum myelon_peer_change)event.change));
			cr_assert_lt(strlen(event.id), sizeof(event.id));
			for (const char *at = event.id; *at; at++)
				cr_assert(*at >= ' ' && *at <= '~');
			cr_assert(event.cursor >= -1 && event.cursor <= event.published);
		}
	}
	*e = truth;
	e->slow.state = MYE_STATE(1ull << 40, MYE_ENTRY_ACTIVE);
	ring_bell(c);
	/* Perhaps the end of what was there before. */
	do
		event = peers_next(w);
	while (strcmp(event.id, "x") != 0);
	cr_assert(event.change == MYELON_CHANGE_ATTACHED || event.change == MYELON_CHANGE_REJOINED,
	          "%s", peers_say(&event));
	cr_assert_eq(event.generation, 1ull << 40);
	*e = truth;
	cr_ok(myelon_peers_close(w));
	ring_close(p, c);
}

Test(peers_hostile, one_who_lives_is_not_dead_whatever_its_pid_says)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "x"));
	struct mye_entry *e = entry_of(c);
	struct myelon_peer_event event = MYELON_PEER_EVENT_INIT;
	struct myelon_peers *w;

	e->about.who.pid = 0;
	w = peers_watch(name, NULL);
	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	peers_expect(w, MYELON_CHANGE_ATTACHED, "x");
	/* Such a process has ended, but the lock is held. */
	peers_expect(w, MYELON_CHANGE_DYING, "x");
	cr_assert_eq(myelon_peers_next(w, &event, myelon_deadline_after(1500 * MS)), -ETIMEDOUT);
	cr_ok(myelon_peers_close(w));
	ring_close(p, c);
}

Test(peers_hostile, lease_that_lies_says_dying_once)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_peer_event event = MYELON_PEER_EVENT_INIT;
	struct myelon_peers *w = peers_watch(name, NULL);
	uint32_t *lease = &mye_producer_of(p)->seg.shared->lease.lease[0];

	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	for (int i = 0; i < 200; i++) {
		__atomic_store_n(lease, i % 2 ? 12345 : MYE_ROBUST_DIED, __ATOMIC_RELEASE);
		mye_futex_wake_all(lease);
		__atomic_fetch_add(&mye_producer_of(p)->seg.shared->space.peers, 1,
		                   __ATOMIC_RELEASE);
		if (myelon_peers_next(w, &event, MYELON_TRY) == 0)
			cr_assert(event.change == MYELON_CHANGE_DYING && i == 0, "%s at %d",
			          peers_say(&event), i);
	}
	__atomic_store_n(lease, 0, __ATOMIC_RELEASE);
	cr_ok(myelon_peers_close(w));
	myelon_producer_close(p);
}

/* Who rings for nothing makes some hundred looks a second, not millions. */
Test(peers_hostile, bell_that_rings_for_nothing_is_not_listened_to)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "x"));
	struct myelon_peer_event event = MYELON_PEER_EVENT_INIT;
	struct myelon_peers *w = peers_watch(name, NULL);
	struct mye_peers *inside = (struct mye_peers *)(void *)w;
	int64_t begun, looked = 0, at = 0;

	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	peers_expect(w, MYELON_CHANGE_ATTACHED, "x");
	peers_expect_none(w);
	begun = kit_now_ns();
	while (kit_now_ns() - begun < 300 * MS) {
		ring_bell(c);
		cr_assert_eq(myelon_peers_next(w, &event, MYELON_TRY), -EAGAIN);
		/* Each look has a time of its own. */
		looked += inside->now != at;
		at = inside->now;
	}
	/* When it begins to listen again, and when it heard the next one. */
	cr_assert_leq(looked, 2 + 2 * (kit_now_ns() - begun) / (10 * MS), "%lld looks",
	              (long long)looked);
	cr_assert_geq(looked, 2);
	/* And news is heard all the same. */
	myelon_consumer_close(c);
	peers_expect(w, MYELON_CHANGE_DETACHED, "x");
	cr_ok(myelon_peers_close(w));
	myelon_producer_close(p);
}
