/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The bare cursor ring: as little as a ring between two processes can be. */
#include "bare.h"
#include "crew.h"
#include "payload.h"
#include "trips.h"

#include <stdatomic.h>
#include <string.h>

struct bare_ring {
	_Alignas(128) _Atomic int64_t published;
	_Alignas(128) _Atomic int64_t cursor;
	_Alignas(4096) unsigned char slots[];
};

struct ring_run {
	struct bare_ring *there;
	struct bare_ring *back; /* NULL: one way */
	size_t bytes;           /* of one of them */
	size_t payload;
	size_t slot;
	uint64_t mask;
	int64_t window;
	uint32_t batch;
	uint32_t depth;
	uint64_t messages;
	struct bench_trips *trips;
	struct bench_trip_plan plan;
	/* private to each process */
	int64_t gate;
	uint64_t wrong;
};

static inline void wait_for_room(struct ring_run *r, struct bare_ring *ring, int64_t last)
{
	while (last > r->gate + r->window) {
		/* Acquire: pairs with release(); the slots were read. */
		r->gate = atomic_load_explicit(&ring->cursor, memory_order_acquire);
		if (last <= r->gate + r->window)
			break;
		bench_pause();
	}
}

static inline void *slot_of(const struct ring_run *r, struct bare_ring *ring, int64_t seq)
{
	return ring->slots + ((uint64_t)seq & r->mask) * r->slot;
}

static inline void publish(struct bare_ring *ring, int64_t seq)
{
	/* Release: pairs with the loads in receive() and read_stream(). */
	atomic_store_explicit(&ring->published, seq, memory_order_release);
}

static inline void release(struct bare_ring *ring, int64_t seq)
{
	/* Release: pairs with wait_for_room(). */
	atomic_store_explicit(&ring->cursor, seq, memory_order_release);
}

static inline void send(struct ring_run *r, struct bare_ring *ring, int64_t seq, uint64_t seed)
{
	wait_for_room(r, ring, seq);
	bench_fill(slot_of(r, ring, seq), r->payload, bench_first_word(seed, (uint64_t)seq));
	publish(ring, seq);
}

static inline void receive(struct ring_run *r, struct bare_ring *ring, int64_t seq, uint64_t seed)
{
	/* Acquire: pairs with publish(). */
	while (atomic_load_explicit(&ring->published, memory_order_acquire) < seq)
		bench_pause();
	r->wrong += !bench_check(slot_of(r, ring, seq), r->payload,
	                         bench_first_word(seed, (uint64_t)seq));
}

static int ask_send(void *ctx, uint64_t seq)
{
	struct ring_run *r = ctx;

	send(r, r->there, (int64_t)seq, 1);
	return 0;
}

/* With one request at a time an answer is released while the next one is under way. */
static int ask_receive(void *ctx, uint64_t sequence)
{
	struct ring_run *r = ctx;
	int64_t seq = (int64_t)sequence;

	if (seq > 0)
		release(r->back, seq - 1);
	receive(r, r->back, seq, 2);
	return 0;
}

static int ask(void *ctx, uint64_t seq)
{
	ask_send(ctx, seq);
	return ask_receive(ctx, seq);
}

static int play_trips(struct bench_crew *crew, unsigned int role, void *arg)
{
	struct ring_run *r = arg;
	struct bench_role *me = &crew->role[role];
	int rc = 0;

	bench_populate(r->there, r->bytes);
	bench_populate(r->back, r->bytes);
	if (role == 0)
		bench_populate(r->trips, sizeof(*r->trips));
	bench_meet(crew, 0);
	me->messages = bench_trip_total(&r->plan);
	if (role == 0 && r->depth > 1) {
		rc = bench_trips_pipelined(r->trips, &r->plan, ask_send, ask_receive, r, r->depth,
		                           &me->start);
	} else if (role == 0) {
		rc = bench_trips_run(r->trips, &r->plan, ask, r, &me->start);
	} else {
		for (int64_t seq = 0; seq < (int64_t)me->messages; seq++) {
			receive(r, r->there, seq, 1);
			send(r, r->back, seq, 2);
			release(r->there, seq);
		}
	}
	me->wrong = r->wrong;
	return rc;
}

static void write_stream(struct ring_run *r)
{
	struct bare_ring *ring = r->there;
	int64_t end = (int64_t)r->messages, batch = r->batch;

	for (int64_t seq = 0; seq < end; seq += batch) {
		wait_for_room(r, ring, seq + batch - 1);
		for (int64_t i = seq; i < seq + batch; i++)
			bench_fill(slot_of(r, ring, i), r->payload,
			           bench_first_word(1, (uint64_t)i));
		publish(ring, seq + batch - 1);
	}
}

static void read_stream(struct ring_run *r, struct bench_role *me)
{
	struct bare_ring *ring = r->there;
	int64_t end = (int64_t)r->messages, next = 0, warm = end / 10, batch = r->batch;

	while (next < end) {
		/* Acquire: pairs with publish(). */
		int64_t last = atomic_load_explicit(&ring->published, memory_order_acquire);

		if (last < next) {
			bench_pause();
			continue;
		}
		/* Never so much that the time begins with nothing left to be timed. */
		last = last < next + end / 4 ? last : next + end / 4;
		for (; next <= last; next++) {
			r->wrong += !bench_check(slot_of(r, ring, next), r->payload,
			                         bench_first_word(1, (uint64_t)next));
			if (batch == 1 || (next + 1) % batch == 0)
				release(ring, next);
		}
		if (me->start == 0 && next > warm) {
			me->start = bench_ticks();
			me->messages = (uint64_t)(end - next);
		}
	}
	me->stop = bench_ticks();
}

static int play_stream(struct bench_crew *crew, unsigned int role, void *arg)
{
	struct ring_run *r = arg;
	struct bench_role *me = &crew->role[role];

	bench_populate(r->there, r->bytes);
	bench_meet(crew, 0);
	if (role == 0)
		write_stream(r);
	else
		read_stream(r, me);
	me->wrong = r->wrong;
	return 0;
}

static struct bare_ring *ring_new(const struct ring_run *r)
{
	struct bare_ring *ring = bench_shared(r->bytes);

	if (!ring)
		return NULL;
	atomic_init(&ring->published, -1);
	atomic_init(&ring->cursor, -1);
	return ring;
}

static void measure(struct ring_run *r, size_t payload, uint32_t window)
{
	uint64_t slots = 1;

	while (slots < window)
		slots *= 2;
	r->payload = payload;
	r->slot = (payload + BENCH_LINE - 1) / BENCH_LINE * BENCH_LINE;
	r->window = window;
	r->mask = slots - 1;
	r->bytes = sizeof(struct bare_ring) + slots * r->slot;
	r->gate = -1;
}

static const struct bench_crew *run(struct bench_bare *b, struct ring_run *r, const char *what,
                                    bench_play_fn play)
{
	const struct bench_cast cast = {.what = what,
	                                .roles = 2,
	                                .play = play,
	                                .arg = r,
	                                .cpus = b->cpus,
	                                .cpu_count = 2,
	                                .timeout_s = b->timeout_s};
	const struct bench_crew *crew = bench_crew_run(&cast);

	if (crew && (crew->role[0].wrong || crew->role[1].wrong))
		b->wrong = true;
	return crew;
}

int bench_bare_ring(struct bench_bare *b, size_t payload, uint32_t window, uint32_t depth,
                    uint64_t messages)
{
	struct ring_run r = {.trips = b->trips, .depth = depth};
	int rc = -1;

	measure(&r, payload, window);
	r.plan = bench_trip_plan(messages, 0);
	r.there = ring_new(&r);
	r.back = ring_new(&r);
	memset(b->trips, 0, sizeof(*b->trips));
	if (r.there && r.back && run(b, &r, "bare ring", play_trips))
		rc = 0;
	bench_unshare(r.there, r.bytes);
	bench_unshare(r.back, r.bytes);
	return rc;
}

int bench_bare_stream(struct bench_bare *b, size_t payload, uint32_t window, uint32_t batch,
                      uint64_t messages, double *rate)
{
	struct ring_run r = {.batch = batch};
	const struct bench_crew *crew;
	const struct bench_role *reader;

	measure(&r, payload, window);
	r.messages = (messages / batch + 1) * batch;
	r.there = ring_new(&r);
	if (!r.there)
		return -1;
	crew = run(b, &r, "bare ring, one way", play_stream);
	bench_unshare(r.there, r.bytes);
	if (!crew)
		return -1;
	reader = &crew->role[1];
	*rate = (double)reader->messages * 1e9 / bench_ticks_ns(reader->stop - reader->start);
	return 0;
}
