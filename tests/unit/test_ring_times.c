/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a ring tells of times: since when somebody is there, and what a blocked producer waits for. */
#include "ring_kit.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ring/ring.h"
#include "segment/control.h"
#include "sys/sys.h"

#define YEAR (365ull * 86400 * 1000000000)

static struct mye_entry *entry_of(struct myelon_consumer *c)
{
	return &mye_consumer_of(c)->seg.entries[mye_consumer_of(c)->index];
}

static struct mye_producer_page *page_of(struct myelon_producer *p)
{
	return mye_producer_of(p)->seg.producer;
}

static struct myelon_ring_info info_of(const char *name)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;

	cr_ok(myelon_ring_describe(name, NULL, &info));
	return info;
}

static int keep_first(void *ctx, const struct myelon_consumer_entry *e)
{
	*(struct myelon_consumer_entry *)ctx = *e;
	return 1;
}

static struct myelon_consumer_entry first_of(const char *name)
{
	struct myelon_consumer_entry e = {0};

	cr_assert_eq(myelon_ring_consumers(name, NULL, keep_first, &e), 1);
	return e;
}

/* As if it had been killed: the entry stays as it is, the lock goes. */
static void die(struct myelon_consumer *c)
{
	struct mye_consumer *m = mye_consumer_of(c);

	mye_segment_leave(&m->seg);
	m->magic = 0;
	myelon_consumer_close(c);
}

Test(times, an_entry_tells_when_its_owner_attached_and_left)
{
	char name[KIT_NAME];
	uint64_t begin = mye_realtime(), joined, left;
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));
	struct myelon_consumer_entry e = first_of(name);

	cr_assert(info_of(name).producer_since_ns >= begin);
	cr_assert(e.attached_ns >= info_of(name).producer_since_ns);
	cr_assert(e.attached_ns <= mye_realtime());
	cr_assert_eq(e.left_ns, 0, "it is here");
	joined = e.attached_ns;
	myelon_consumer_close(c);
	e = first_of(name);
	cr_assert_eq(e.attached_ns, joined);
	cr_assert(e.left_ns >= joined && e.left_ns <= mye_realtime());
	left = e.left_ns;
	c = ring_join(name, WITH(.id = "a"));
	e = first_of(name);
	cr_assert(e.attached_ns >= left);
	cr_assert_eq(e.left_ns, 0, "it came back");
	/* Dead, nobody knows since when; evicted, that is written down. */
	die(c);
	cr_assert_eq(first_of(name).state, MYELON_PEER_DEAD);
	cr_assert_eq(first_of(name).left_ns, 0);
	joined = mye_realtime();
	cr_assert_eq(myelon_evict(name, "a", 0, NULL), 1);
	cr_assert(first_of(name).left_ns >= joined);
	ring_close(p, NULL);
}

Test(times, one_evicted_alive_has_no_time_at_which_it_left)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));

	myelon_consumer_close(c);
	c = ring_join(name, WITH(.id = "a"));
	cr_assert_eq(myelon_evict(name, "a", MYELON_F_FORCE, NULL), 1);
	cr_assert_eq(first_of(name).state, MYELON_PEER_EVICTED);
	cr_assert_eq(first_of(name).left_ns, 0, "the time it left before is not this one's");
	ring_close(p, c);
}

Test(times, a_producer_that_took_over_tells_when)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.flags = MYELON_F_KEEP));
	uint64_t before;

	page_of(p)->report.blocked_ns = mye_realtime();
	myelon_producer_close(p);
	cr_assert_eq(info_of(name).blocked_since_ns, 0, "who is gone does not wait");
	before = mye_realtime();
	cr_ok(myelon_producer_open(&p, name, NULL));
	cr_assert(info_of(name).producer_since_ns >= before);
	cr_assert_eq(page_of(p)->report.blocked_ns, 0, "it is not the new one who waited");
	myelon_producer_close(p);
	cr_ok(myelon_ring_remove(name, NULL));
}

struct claimer {
	struct myelon_producer *p;
	int rc;
};

static void *claim_one(void *arg)
{
	struct claimer *c = arg;
	struct myelon_span s;

	c->rc = myelon_claim(c->p, 1, MYELON_FOREVER, &s);
	return NULL;
}

static struct myelon_ring_info wait_until_blocked(const char *name)
{
	struct myelon_ring_info info = info_of(name);

	while (!info.blocked_since_ns) {
		mye_sleep_until(mye_now() + MS);
		info = info_of(name);
	}
	return info;
}

static void blocked_and_freed(enum myelon_wait wait)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.wait = wait));
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));
	struct myelon_consumer *fast = ring_join(name, WITH(.id = "b"));
	struct claimer claimer = {.p = p};
	struct myelon_ring_info info;
	struct myelon_consumer_entry e;
	pthread_t thread;
	uint64_t begin;

	cr_assert_eq(ring_fill(p), 8);
	ring_pull(fast, 0, 8);
	cr_assert_eq(info_of(name).blocked_since_ns, 0, "a claim that only tries does not wait");
	begin = mye_realtime();
	cr_assert_eq(pthread_create(&thread, NULL, claim_one, &claimer), 0);
	info = wait_until_blocked(name);
	cr_assert(info.blocked_since_ns >= begin && info.blocked_since_ns <= mye_realtime());
	cr_assert_eq(info.blocked_need, 0);
	e = first_of(name);
	cr_assert_str_eq(e.id, "a");
	cr_assert_eq(e.holds_up_since_ns, info.blocked_since_ns);
	/* Whoever comes back later holds it up since then. */
	__atomic_store_n(&entry_of(c)->slow.attached_ns, info.blocked_since_ns + 1,
	                 __ATOMIC_RELAXED);
	cr_assert_eq(first_of(name).holds_up_since_ns, info.blocked_since_ns + 1);
	ring_pull(c, 0, 1);
	pthread_join(thread, NULL);
	cr_ok(claimer.rc);
	cr_assert_eq(info_of(name).blocked_since_ns, 0, "it went on");
	cr_assert_eq(page_of(p)->report.blocked_ns, 0);
	cr_assert_eq(first_of(name).holds_up_since_ns, 0);
	cr_ok(myelon_cancel(p));
	myelon_consumer_close(fast);
	ring_close(p, c);
}

Test(times, a_parked_producer_tells_since_when_and_for_what)
{
	blocked_and_freed(MYELON_WAIT_PARK);
}

Test(times, a_spinning_producer_tells_since_when_and_for_what)
{
	blocked_and_freed(MYELON_WAIT_SPIN_PAUSE);
}

Test(times, a_claim_made_again_after_its_deadline_is_the_same_wait)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.wait = MYELON_WAIT_PARK));
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));
	struct mye_blocked *b = &mye_producer_of(p)->blocked;
	struct myelon_span s;
	uint64_t since;

	cr_assert_eq(ring_fill(p), 8);
	cr_assert_eq(myelon_claim(p, 1, myelon_deadline_after(MS), &s), -ETIMEDOUT);
	since = b->ns;
	cr_assert(since > 0);
	cr_assert_eq(page_of(p)->report.blocked_ns, 0, "nobody waits between the two");
	cr_assert_eq(myelon_claim(p, 1, myelon_deadline_after(MS), &s), -ETIMEDOUT);
	cr_assert_eq(b->ns, since);
	/* Long after, it is another wait. */
	b->left_ns -= 3600 * 1000 * MS;
	cr_assert_eq(myelon_claim(p, 1, myelon_deadline_after(MS), &s), -ETIMEDOUT);
	cr_assert(b->ns > since);
	/* As is one for other slots. */
	since = b->ns;
	ring_pull(c, 0, 1);
	cr_assert_eq(ring_fill(p), 1);
	cr_assert_eq(myelon_claim(p, 1, myelon_deadline_after(MS), &s), -ETIMEDOUT);
	cr_assert(b->ns > since);
	ring_close(p, c);
}

Test(times, who_waits_until_all_is_read_waits_for_consumers_too)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.wait = MYELON_WAIT_PARK));
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));

	cr_assert_eq(ring_fill(p), 8);
	cr_assert_eq(myelon_producer_wait_consumed(p, 7, myelon_deadline_after(MS)), -ETIMEDOUT);
	cr_assert_eq(page_of(p)->report.blocked_need, 7);
	ring_close(p, c);
}

Test(times, room_awaited_in_a_wait_set_is_shown)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));
	struct myelon_event event[1];
	struct myelon_waitset *ws;

	cr_assert_eq(ring_fill(p), 8);
	cr_ok(myelon_waitset_create(&ws, NULL));
	cr_assert(myelon_waitset_add_producer(ws, p, 1, NULL, NULL) >= 0);
	cr_assert_eq(myelon_waitset_wait(ws, event, 1, myelon_deadline_after(MS)), 0);
	cr_assert(info_of(name).blocked_since_ns > 0);
	cr_assert(first_of(name).holds_up_since_ns > 0);
	ring_pull(c, 0, 1);
	cr_assert_eq(myelon_waitset_wait(ws, event, 1, MYELON_FOREVER), 1);
	cr_assert_eq(page_of(p)->report.blocked_ns, 0);
	myelon_waitset_close(ws);
	ring_close(p, c);
}

Test(times, what_cannot_be_is_unknown)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));
	const uint64_t lies[] = {0, 1, mye_realtime() - YEAR, mye_realtime() + YEAR, UINT64_MAX};
	struct mye_producer_page *page = page_of(p);
	struct myelon_ring_info info;

	cr_assert_eq(ring_fill(p), 8);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		page->report.since_ns = page->report.blocked_ns = lies[i];
		page->report.blocked_need = 3;
		entry_of(c)->slow.attached_ns = lies[i];
		info = info_of(name);
		cr_assert_eq(info.producer_since_ns, 0);
		cr_assert_eq(info.blocked_since_ns, 0);
		cr_assert_eq(info.blocked_need, 0);
		cr_assert_eq(first_of(name).attached_ns, 0);
		cr_assert_eq(first_of(name).holds_up_since_ns, 0);
	}
	page->report.blocked_ns = mye_realtime();
	page->report.blocked_need = INT64_MAX;
	cr_assert_eq(info_of(name).blocked_need, 7, "not beyond what is published");
	page->report.blocked_need = INT64_MIN;
	cr_assert_eq(info_of(name).blocked_since_ns, 0, "everybody is there");
	ring_close(p, c);
}

Test(times, who_is_dead_is_counted)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *a = ring_join(name, WITH(.id = "a"));
	struct myelon_consumer *b = ring_join(name, WITH(.id = "b"));

	cr_assert_eq(info_of(name).dead_consumers, 0);
	die(a);
	cr_assert_eq(info_of(name).dead_consumers, 1);
	cr_assert_eq(info_of(name).consumers, 2);
	cr_assert_eq(myelon_evict(name, "a", 0, NULL), 1);
	cr_assert_eq(info_of(name).dead_consumers, 0);
	ring_close(p, b);
}

/* Tools look at a copy: what they saw as active may have left before they ask for its lock. */
Test(times, who_leaves_while_somebody_looks_is_not_dead)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));
	struct mye_segment copy = mye_producer_of(p)->seg;
	struct myelon_ring_info info;
	struct myelon_consumer_entry e;

	copy.role = MYE_ROLE_OBSERVER;
	copy.control = aligned_alloc(MYE_LINE, copy.header.control_bytes);
	cr_assert_not_null(copy.control);
	memcpy(copy.control, mye_producer_of(p)->seg.control, copy.header.control_bytes);
	mye_control_words(&copy);
	myelon_consumer_close(c);
	cr_assert(mye_segment_entry(&copy, 0, &e));
	cr_assert_eq(e.state, MYELON_PEER_ABSENT);
	cr_assert_eq(e.gating, 0);
	mye_segment_describe(&copy, &info);
	cr_assert_eq(info.dead_consumers, 0);
	cr_assert_eq(info.consumers, 0);
	free(copy.control);
	ring_close(p, NULL);
}

Test(times, callers_with_a_smaller_struct_are_served)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;

	info.size = offsetof(struct myelon_ring_info, producer_since_ns);
	info.producer_since_ns = 42;
	cr_ok(myelon_ring_describe(name, NULL, &info));
	cr_assert_eq(info.producer_since_ns, 42, "it is not theirs");
	cr_assert_eq(info.window, 8);
	ring_close(p, NULL);
}
