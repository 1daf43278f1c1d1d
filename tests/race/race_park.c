/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Two rings between two threads, both sides parking, with as many messages under way as fit or one at
 * a time, random delays: nobody waits for ever, and no sleep ends at its cap with something to do.
 */
#include "race.h"

#include <unistd.h>

#include "ring/ring.h"

#define SLOT 64

struct table {
	char there[KIT_NAME], back[KIT_NAME]; /* ring names */
	uint32_t window, under_way;
	enum myelon_fence fence;
	enum myelon_wait wait;
	int64_t total;
};

struct side {
	const struct table *table;
	const char *who;
	struct myelon_producer *out;
	struct myelon_consumer *in;
	int64_t sent, received;
	uint64_t random;
};

/* Most of the time not at all, so that either side is the faster one by turns. */
static void dawdle(struct side *s)
{
	uint32_t n = race_random(&s->random) % 64;

	if (n == 0) {
		int64_t until = myelon_now() + race_random(&s->random) % 200000;

		while (myelon_now() < until)
			;
	}
}

static bool send_one(struct side *s)
{
	struct myelon_span span;

	dawdle(s);
	if (RACE_OK(myelon_claim(s->out, 1, MYELON_FOREVER, &span)) < 0)
		return false;
	race_fill(span.base, SLOT, s->sent++);
	return RACE_OK(myelon_publish(s->out, 1)) == 0;
}

static bool receive_one(struct side *s)
{
	struct myelon_view v = {0};

	dawdle(s);
	if (RACE_OK(myelon_peek(s->in, 1, MYELON_FOREVER, &v)) < 0)
		return false;
	if (v.seq != s->received)
		race_fail("%s: sequence %lld, expected %lld", s->who, (long long)v.seq,
		          (long long)s->received);
	race_check(v.base, SLOT, v.seq, s->who);
	s->received++;
	return RACE_OK(myelon_release(s->in, 1)) == 0;
}

static void check_stats(const struct side *s)
{
	struct myelon_handle_stats out = MYELON_HANDLE_STATS_INIT, in = MYELON_HANDLE_STATS_INIT;

	myelon_producer_stats(s->out, &out);
	myelon_consumer_stats(s->in, &in);
	if (out.caps_found || in.caps_found)
		race_fail("%s, window %u: %llu wakes of the producer, %llu of the consumer lost",
		          s->who, s->table->window, (unsigned long long)out.caps_found,
		          (unsigned long long)in.caps_found);
}

static bool create(struct side *s, const char *name)
{
	const struct table *t = s->table;

	return RACE_OK(myelon_producer_create(
		       &s->out, name,
		       &MYELON_RING_OPTS(.slot_size = SLOT, .window = t->window, .fence = t->fence,
	                                 .wait = t->wait, .backing = MYELON_BACKING_SHM,
	                                 .buffer_until = 1))) == 0;
}

static bool attach(struct side *s, const char *name)
{
	return RACE_OK(myelon_consumer_attach(
		       &s->in, name,
		       &MYELON_ATTACH_OPTS(.id = s->who, .wait = s->table->wait,
	                                   .timeout_ns = RACE_ATTACH_NS))) == 0;
}

static void leave(struct side *s)
{
	if (s->out && s->in)
		check_stats(s);
	myelon_producer_close(s->out);
	myelon_consumer_close(s->in);
}

static void *asker_run(void *arg)
{
	struct side s = {.table = arg, .who = "asker", .random = 1};
	const struct table *t = arg;
	bool go = create(&s, t->there) && attach(&s, t->back);

	while (go && s.received < t->total && !race_failed())
		go = s.sent < t->total && s.sent - s.received < t->under_way ? send_one(&s)
		                                                             : receive_one(&s);
	leave(&s);
	return NULL;
}

static void *answerer_run(void *arg)
{
	struct side s = {.table = arg, .who = "answerer", .random = 2};
	const struct table *t = arg;
	bool go = create(&s, t->back) && attach(&s, t->there);

	while (go && s.sent < t->total && !race_failed())
		go = receive_one(&s) && send_one(&s);
	if (go)
		RACE_OK(myelon_producer_wait_consumed(s.out, t->total - 1, MYELON_FOREVER));
	leave(&s);
	return NULL;
}

static void ping_pong(uint32_t window, uint32_t under_way, enum myelon_fence fence,
                      enum myelon_wait wait)
{
	struct table t = {.window = window,
	                  .under_way = under_way,
	                  .fence = fence,
	                  .wait = wait,
	                  .total = race_count(2000, 1000)};
	pthread_t thread[2];

	kit_ring_name(t.there, "there");
	kit_ring_name(t.back, "back");
	race_start(&thread[0], asker_run, &t);
	race_start(&thread[1], answerer_run, &t);
	race_join(thread[0]);
	race_join(thread[1]);
}

static void *claim_run(void *arg)
{
	struct myelon_producer *p = arg;
	struct myelon_span span;

	RACE_OK(myelon_claim(p, 1, MYELON_FOREVER, &span));
	return NULL;
}

/*
 * A release that gives what is needed, but less than what was asked for, does not ring. The producer
 * finds it after 1 ms, and must not pay that again and again.
 */
static void soft_sleep_that_ran_out_is_remembered(void)
{
	struct table t = {.window = 8, .fence = MYELON_FENCE_AUTO, .wait = MYELON_WAIT_PARK};
	struct side s = {.table = &t, .who = "lonely", .random = 1};
	struct myelon_view v = {0};
	pthread_t thread;

	kit_ring_name(t.there, "soft");
	if (!create(&s, t.there) || !attach(&s, t.there))
		return;
	while (s.sent < t.window)
		send_one(&s);
	race_start(&thread, claim_run, s.out);
	while (!__atomic_load_n(&mye_producer_of(s.out)->seg.producer->slow.parked,
	                        __ATOMIC_RELAXED))
		usleep(50);
	if (RACE_OK(myelon_peek(s.in, 1, MYELON_TRY, &v)) == 1)
		RACE_OK(myelon_release(s.in, 1));
	race_join(thread);
	if (mye_producer_of(s.out)->exact_episodes == 0)
		race_fail("the next blocked claim would wait for more than it needs again");
	leave(&s);
}

static void release_some(struct side *s, uint32_t n)
{
	struct myelon_view v = {0};

	if (RACE_OK(myelon_peek(s->in, n, MYELON_TRY, &v)) == (int)n)
		RACE_OK(myelon_release(s->in, n));
}

/*
 * The consumer frees some of what is asked for, and no more: the next sleep asks for half of that, so
 * that it is reached. @return false: the release came too early or too late for the sleep to see it.
 */
static bool asked_for_less(int attempt)
{
	struct table t = {.window = 32, .fence = MYELON_FENCE_AUTO, .wait = MYELON_WAIT_PARK};
	struct side s = {.table = &t, .who = "slow", .random = 1};
	struct mye_producer *p;
	pthread_t thread;
	char name[16];
	bool seen;

	snprintf(name, sizeof(name), "less%d", attempt);
	kit_ring_name(t.there, name);
	if (!create(&s, t.there) || !attach(&s, t.there))
		return true; /* and told */
	p = mye_producer_of(s.out);
	if (p->soft_more != 8)
		race_fail("the first sleep asks for %u more, not for a quarter", p->soft_more);
	while (s.sent < t.window)
		send_one(&s);
	race_start(&thread, claim_run, s.out);
	while (!__atomic_load_n(&p->seg.producer->slow.parked, __ATOMIC_RELAXED))
		usleep(50);
	release_some(&s, 5);
	race_join(thread);
	seen = p->exact_episodes == 0 && p->soft_more != 8;
	if (seen && p->soft_more != 2)
		race_fail("the next sleep would ask for %u more, not for half of 4", p->soft_more);
	leave(&s);
	return seen;
}

static void soft_sleep_that_got_something_asks_for_less(void)
{
	for (int attempt = 0; attempt < 200; attempt++)
		if (asked_for_less(attempt))
			return;
	race_fail("in 200 sleeps of 1 ms no release was seen: it would never ask for less");
}

int main(void)
{
	static const uint32_t windows[] = {1, 2, 4, 16};

	race_watchdog(50);
	soft_sleep_that_ran_out_is_remembered();
	soft_sleep_that_got_something_asks_for_less();
	for (int i = 0; i < 4; i++) {
		enum myelon_fence fence = i % 2 ? MYELON_FENCE_FULL : MYELON_FENCE_AUTO;
		enum myelon_fence other = i % 2 ? MYELON_FENCE_AUTO : MYELON_FENCE_FULL;

		ping_pong(windows[i], 1, fence, MYELON_WAIT_PARK);
		ping_pong(windows[i], 2 * windows[i] + 1, fence, MYELON_WAIT_PARK);
		ping_pong(windows[i], 2 * windows[i] + 1, other, MYELON_WAIT_PARK);
		ping_pong(windows[i], 2 * windows[i] + 1, fence, MYELON_WAIT_ADAPTIVE);
	}
	return race_result();
}
