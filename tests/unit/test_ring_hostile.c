/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Shared words that hold anything: nobody crashes, hangs or overwrites what is not read. */
#include "ring_kit.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ring/ring.h"

static struct mye_entry *entry_of(struct myelon_consumer *c)
{
	return &mye_consumer_of(c)->seg.entries[mye_consumer_of(c)->index];
}

static struct mye_producer_page *page_of(struct myelon_producer *p)
{
	return mye_producer_of(p)->seg.producer;
}

static uint64_t alerts(struct myelon_producer *p)
{
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;

	cr_ok(myelon_producer_stats(p, &s));
	return s.alerts;
}

static const int64_t wild[] = {INT64_MAX, INT64_MIN, -5, -2, INT64_MAX / 2 + 1, 1ll << 40};

#define WILD (sizeof(wild) / sizeof(wild[0]))

static void set(int64_t *word, int64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

Test(cursor, out_of_range_counts_as_its_last_good_value_and_alerts)
{
	for (size_t i = 0; i <= WILD; i++) {
		char name[KIT_NAME];
		struct myelon_producer *p = ring_make(name, SMALL());
		struct myelon_consumer *c = ring_join(name, NULL);
		int64_t *cursor = &entry_of(c)->hot.cursor;
		uint64_t before;

		cr_assert_eq(ring_fill(p), 8);
		ring_pull(c, 0, 3);
		cr_ok(ring_push(p, 1));
		if (i == WILD)
			ring_fill(p);
		before = alerts(p);
		cr_assert_eq(before, 0);
		/* The last one is just above what is published. */
		set(cursor, i < WILD ? wild[i] : myelon_producer_published(p) + 1);
		cr_assert_eq(ring_fill(p), i < WILD ? 2 : 0, "never beyond the last good cursor");
		cr_assert_gt(alerts(p), before);
		before = alerts(p);
		cr_assert_eq(ring_push(p, 1), -EAGAIN);
		cr_assert_leq(alerts(p), before + 1, "one alert per value, not per look");
		set(cursor, 2);
		ring_pull(c, 3, 8);
		cr_assert_eq(ring_fill(p), 8);
		ring_pull(c, 11, 8);
		ring_close(p, c);
	}
}

Test(cursor, out_of_range_at_first_sight_opens_nothing)
{
	for (size_t i = 0; i < WILD; i++) {
		char name[KIT_NAME];
		struct myelon_producer *p = ring_make(name, SMALL());
		struct myelon_consumer *good = ring_join(name, NULL), *bad;

		cr_assert_eq(ring_fill(p), 8);
		ring_pull(good, 0, 8);
		bad = ring_join(name, WITH(.start = MYELON_START_LATEST));
		set(&entry_of(bad)->hot.cursor, wild[i]);
		cr_assert_leq(ring_fill(p), 8, "a window beyond what was allowed before");
		cr_assert_gt(alerts(p), 0);
		myelon_consumer_close(bad);
		ring_pull(good, 8, (uint32_t)(myelon_producer_published(p) - 7));
		cr_assert_eq(ring_fill(p), 8);
		ring_close(p, good);
	}
}

Test(cursor, of_a_dead_consumer_is_checked_before_it_is_resumed)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));
	struct mye_consumer *m = mye_consumer_of(c);

	cr_ok(ring_push(p, 4));
	set(&entry_of(c)->hot.cursor, INT64_MAX);
	/* As if it had been killed: the entry stays active, the lock goes. */
	mye_segment_leave(&m->seg);
	m->magic = 0;
	c = ring_join(name, WITH(.id = "a"));
	cr_assert_leq(myelon_consumer_cursor(c), 3);
	cr_ok(ring_push(p, 1));
	ring_pull(c, myelon_consumer_cursor(c) + 1, (uint32_t)(4 - myelon_consumer_cursor(c)));
	ring_close(p, c);
}

Test(cursor, of_a_joiner_that_died_is_checked_before_its_join_is_redone)
{
	for (size_t i = 0; i < WILD; i++) {
		char name[KIT_NAME];
		struct myelon_producer *p = ring_make(name, SMALL());
		struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));
		struct mye_consumer *m = mye_consumer_of(c);
		int64_t first;

		cr_ok(ring_push(p, 4));
		set(&entry_of(c)->hot.cursor, wild[i]);
		entry_of(c)->slow.state = MYE_STATE(c->generation, MYE_ENTRY_JOINING);
		mye_segment_leave(&m->seg);
		m->magic = 0;
		c = ring_join(name, WITH(.id = "a", .start = MYELON_START_OLDEST));
		first = myelon_consumer_cursor(c) + 1;
		cr_assert(first >= 0 && first <= 4, "%lld", (long long)first);
		ring_fill(p);
		ring_pull(c, first, (uint32_t)(myelon_producer_published(p) - first + 1));
		ring_close(p, c);
	}
}

Test(published, out_of_range_is_eproto_for_consumers)
{
	for (size_t i = 0; i < WILD; i++) {
		char name[KIT_NAME];
		struct myelon_producer *p = ring_make(name, SMALL());
		struct myelon_consumer *c = ring_join(name, NULL);
		struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;
		struct myelon_view v;

		cr_ok(ring_push(p, 3));
		ring_pull(c, 0, 2);
		set(&page_of(p)->hot.published, wild[i]);
		cr_assert_eq(myelon_peek(c, 1, MYELON_TRY, &v), 1, "what it had seen before");
		cr_ok(myelon_release(c, 1));
		cr_assert_eq(myelon_peek(c, 1, MYELON_TRY, &v), -EPROTO);
		cr_assert_eq(myelon_peek(c, 1, MYELON_FOREVER, &v), -EPROTO);
		(void)myelon_consumer_lag(c);
		cr_ok(myelon_consumer_stats(c, &s));
		cr_assert_gt(s.alerts, 0);
		set(&page_of(p)->hot.published, 2);
		ring_expect_empty(c);
		ring_close(p, c);
	}
}

Test(published, out_of_range_is_no_trap_for_observers)
{
	for (size_t i = 0; i < WILD; i++) {
		char name[KIT_NAME];
		struct myelon_producer *p = ring_make(name, SMALL());
		struct myelon_observer *o;
		unsigned char buf[64 * 64];
		int rc;

		cr_ok(myelon_observer_attach(&o, name, NULL));
		cr_ok(ring_push(p, 3));
		set(&page_of(p)->hot.published, wild[i]);
		for (int k = 0; k < 3; k++) {
			rc = myelon_observe(o, buf, 64, MYELON_TRY, NULL, NULL);
			cr_assert(rc == -EPROTO || rc >= 0, "%d", rc);
			(void)myelon_observer_lag(o);
		}
		set(&page_of(p)->hot.published, 2);
		myelon_observer_close(o);
		ring_close(p, NULL);
	}
}

Test(ceiling, out_of_range_is_eproto_for_joiners_and_no_trap_for_observers)
{
	for (size_t i = 0; i < WILD; i++) {
		char name[KIT_NAME];
		struct myelon_producer *p = ring_make(name, SMALL());
		struct myelon_consumer *c;
		struct myelon_observer *o;
		unsigned char buf[64];
		int rc;

		cr_ok(ring_push(p, 3));
		cr_ok(myelon_observer_attach(&o, name, WITH(.start = MYELON_START_OLDEST)));
		set(&page_of(p)->gate.ceiling, wild[i]);
		rc = myelon_consumer_attach(&c, name, WITH(.start = MYELON_START_OLDEST));
		if (wild[i] == 1ll << 40) {
			/* Possible, but far from what is published. */
			if (rc == 0)
				myelon_consumer_close(c);
		} else {
			cr_assert_eq(rc, -EPROTO);
			cr_assert_neq(myelon_last_error()[0], '\0');
		}
		for (int k = 0; k < 5; k++) {
			rc = myelon_observe(o, buf, 1, MYELON_TRY, NULL, NULL);
			cr_assert(rc == 1 || rc == -EAGAIN || rc == -EPROTO, "%d", rc);
		}
		myelon_observer_close(o);
		ring_close(p, NULL);
	}
}

Test(takeover, words_that_do_not_fit_together_are_eproto)
{
	for (size_t i = 0; i < 2 * WILD; i++) {
		char name[KIT_NAME];
		struct myelon_producer *p = ring_make(name, SMALL()), *q;
		struct myelon_consumer *c = ring_join(name, NULL);
		struct mye_producer *m = mye_producer_of(p);

		cr_ok(ring_push(p, 3));
		set(i < WILD ? &page_of(p)->hot.published : &page_of(p)->gate.ceiling,
		    wild[i % WILD]);
		/* As if it had been killed. */
		mye_segment_leave(&m->seg);
		m->magic = 0;
		cr_assert_eq(myelon_producer_open(&q, name, NULL), -EPROTO);
		cr_assert_null(q);
		myelon_consumer_close(c);
		cr_assert_geq(myelon_gc(NULL, NULL, NULL), 1);
		cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0);
	}
}

Test(entry, that_is_still_joining_gates)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, NULL), *keep = ring_join(name, NULL);
	uint64_t *state = &entry_of(c)->slow.state;

	__atomic_store_n(state, MYE_STATE(c->generation, MYE_ENTRY_JOINING), __ATOMIC_SEQ_CST);
	cr_assert_eq(ring_fill(p), 8);
	ring_pull(keep, 0, 8);
	cr_assert_eq(ring_fill(p), 0);
	cr_assert_eq(myelon_producer_minimum(p), -1);
	__atomic_store_n(state, MYE_STATE(c->generation, MYE_ENTRY_ACTIVE), __ATOMIC_SEQ_CST);
	ring_pull(c, 0, 8);
	cr_assert_eq(ring_fill(p), 8);
	myelon_consumer_close(keep);
	ring_pull(c, 8, 8);
	ring_close(p, c);
}

Test(words, wild_bells_generations_targets_and_epochs_stop_nobody)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, NULL);
	struct mye_shared_page *sh = mye_producer_of(p)->seg.shared;

	for (int64_t i = 0; i < 200; i++) {
		sh->bell.doorbell = (uint32_t)i * 2654435761u;
		sh->bell.wake_ns = (uint64_t)wild[i % 6];
		sh->space.bell = UINT32_MAX - (uint32_t)i;
		sh->space.wake_ns = (uint64_t)wild[(i + 1) % 6];
		sh->join.generation = (uint64_t)wild[(i + 2) % 6];
		sh->park.parked = (uint32_t)i * 3;
		set(&page_of(p)->space.space_target, wild[(i + 3) % 6]);
		page_of(p)->slow.epoch = (uint64_t)i * 0x9e3779b97f4a7c15ull;
		page_of(p)->slow.state = MYE_PRODUCER_OPEN + 9 * (uint32_t)i;
		cr_assert_eq(ring_fill(p), 8);
		ring_pull(c, i * 8, 8);
		ring_expect_empty(c);
	}
	page_of(p)->slow.state = MYE_PRODUCER_OPEN;
	ring_close(p, c);
}

Test(words, wild_entries_neither_gate_nor_break_the_tools)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.max_consumers = 4));
	struct myelon_consumer *c = ring_join(name, NULL), *d;
	struct mye_entry *e = mye_consumer_of(c)->seg.entries;
	int64_t cursor;

	for (int i = 1; i < 4; i++) {
		memset(e[i].about.id, 'x', sizeof(e[i].about.id));
		e[i].slow.resume_from = wild[i];
		e[i].slow.wait = 99;
		e[i].hot.cursor = wild[i];
		e[i].slow.state = MYE_STATE(7, i == 1 ? 6 : i == 2 ? 0xff : MYE_ENTRY_HOLD);
	}
	cr_assert_eq(ring_fill(p), 8);
	ring_pull(c, 0, 8);
	cr_assert_eq(ring_fill(p), 8);
	cr_ok(myelon_producer_info(p, &info));
	cr_assert_eq(info.consumers, 1);
	cr_assert_eq(myelon_producer_cursor(p, "y", &cursor), -ENOENT);
	(void)myelon_consumer_attach(&d, name, WITH(.id = "y"));
	myelon_consumer_close(d);
	ring_pull(c, 8, 8);
	ring_close(p, c);
}

Test(evicted, generation_ends_the_handle_at_the_next_release)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));
	unsigned char buf[64];
	struct myelon_view v;
	int rc;

	cr_ok(ring_push(p, 4));
	cr_assert_eq(myelon_peek(c, 4, MYELON_TRY, &v), 4);
	cr_ok(myelon_release(c, 1));
	__atomic_store_n(&entry_of(c)->hot.evicted, c->generation - 1, __ATOMIC_RELEASE);
	cr_ok(myelon_release(c, 1));
	__atomic_store_n(&entry_of(c)->hot.evicted, c->generation, __ATOMIC_RELEASE);
	cr_assert_eq(myelon_release(c, 1), -ESTALE);
	cr_assert_not_null(strstr(myelon_last_error(), "evicted"));
	rc = myelon_consume_copy(c, buf, 1, MYELON_TRY);
	cr_assert_eq(rc, -ESTALE, "%d", rc);
	while ((rc = myelon_peek(c, MYELON_ALL, MYELON_TRY, &v)) > 0)
		cr_assert_eq(myelon_release(c, (uint32_t)rc), -ESTALE);
	cr_assert_eq(rc, -ESTALE);
	cr_assert_eq(myelon_peek(c, 1, MYELON_FOREVER, &v), -ESTALE);
	myelon_consumer_close(c);
	c = ring_join(name, WITH(.id = "a"));
	cr_assert_eq(ring_fill(p) > 0, true);
	ring_close(p, c);
}

Test(evicted, tombstone_is_acknowledged_by_closing)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));
	struct mye_entry *e = entry_of(c);
	struct myelon_view v;

	cr_assert_eq(ring_fill(p), 8);
	cr_assert_eq(myelon_peek(c, 4, MYELON_TRY, &v), 4);
	/* What an evictor does. */
	__atomic_store_n(&e->slow.resume_from, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&e->hot.evicted, c->generation, __ATOMIC_SEQ_CST);
	__atomic_store_n(&e->slow.state, MYE_STATE(c->generation, MYE_ENTRY_EVICTED),
	                 __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&mye_producer_of(p)->seg.shared->join.generation, 1, __ATOMIC_SEQ_CST);
	cr_assert_eq(
		myelon_consumer_attach(&(struct myelon_consumer *){NULL}, name, WITH(.id = "a")),
		-EBUSY, "its owner has not acknowledged");
	cr_assert_eq(myelon_release(c, 4), -ESTALE);
	myelon_consumer_close(c);
	cr_assert_neq(MYE_STATE_OF(mye_producer_of(p)->seg.entries[0].slow.state),
	              MYE_ENTRY_EVICTED);
	c = ring_join(name, WITH(.id = "a", .start = MYELON_START_LATEST));
	cr_assert_eq(ring_fill(p), 8);
	ring_pull(c, 8, 8);
	ring_close(p, c);
}

Test(descriptor, an_eventfd_of_the_application_is_not_written_for_an_entry_that_names_it)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, NULL);
	struct mye_shared_page *sh = mye_producer_of(p)->seg.shared;
	int own = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct mye_entry *e = entry_of(c);
	uint64_t count;

	cr_assert_geq(own, 0);
	e->slow.wake_fd = own;
	__atomic_store_n(&e->slow.offer, 7, __ATOMIC_SEQ_CST);
	__atomic_store_n(&e->slow.armed, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&sh->park.parked, MYE_PARKED_FD, __ATOMIC_SEQ_CST);
	cr_ok(ring_push(p, 1));
	cr_assert_eq(e->slow.armed, 0, "the entry was looked at");
	cr_assert_eq(read(own, &count, sizeof(count)), -1);
	close(own);
	myelon_consumer_close(c);
	myelon_producer_close(p);
}

/* The flag taken and the bell raised, but not yet woken: as if it were stopped in between. */
static void publish_half(struct myelon_producer *p)
{
	struct mye_shared_page *sh = mye_producer_of(p)->seg.shared;

	__atomic_store_n(&sh->park.parked, 0, __ATOMIC_SEQ_CST);
	cr_ok(ring_push(p, 1));
	__atomic_fetch_add(&sh->bell.doorbell, 1, __ATOMIC_SEQ_CST);
}

Test(descriptor, a_publisher_stopped_before_it_wakes_leaves_no_descriptor_asleep, .timeout = 60)
{
	const enum myelon_engine engines[] = {MYELON_ENGINE_PROXY, MYELON_ENGINE_DIRECT};

	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
		char name[KIT_NAME];
		struct myelon_producer *p =
			ring_make(name, &MYELON_RING_OPTS(.slot_size = 64, .window = 64));
		struct myelon_consumer *c = ring_join(name, NULL);
		struct pollfd ready = {.events = POLLIN};
		struct myelon_view v;

		ready.fd = myelon_consumer_fd(c, &MYELON_FD_OPTS(.engine = engines[i]));
		cr_assert_geq(ready.fd, 0);
		cr_assert_eq(myelon_peek(c, 1, MYELON_TRY, &v), -EAGAIN);
		usleep(100000); /* the keeper sleeps by then, or hears the bell and the test proves less */
		publish_half(p);
		while (poll(&ready, 1, 20000) < 0)
			cr_assert_eq(errno, EINTR);
		cr_assert(ready.revents, "%s", myelon_engine_name(engines[i]));
		cr_assert_eq(myelon_peek(c, 1, MYELON_TRY, &v), 1);
		myelon_consumer_close(c);
		myelon_producer_close(p);
	}
}
