/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the in-process tests of the ring share. Slot contents are kit_fill(RING_SEED, sequence). */
#ifndef MYELON_TEST_RING_KIT_H
#define MYELON_TEST_RING_KIT_H

#include "kit.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <myelon/myelon.h>

#define RING_SEED 0x5eedull
#define MS 1000000ll

/* A small ring in shm. */
#define RING(slot, win, ...)                                                                       \
	(&MYELON_RING_OPTS(.slot_size = (slot), .window = (win), .backing = MYELON_BACKING_SHM,    \
	                   .huge = MYELON_HUGE_OFF, __VA_ARGS__))
#define SMALL(...) RING(64, 8, __VA_ARGS__)
#define WITH(...) (&MYELON_ATTACH_OPTS(__VA_ARGS__))

#define cr_ok(expr)                                                                                \
	do {                                                                                       \
		int rc_ = (expr);                                                                  \
		cr_assert(rc_ == 0, "%s is %d: %s", #expr, rc_, myelon_last_error());              \
	} while (0)

static inline struct myelon_producer *ring_make(char name[KIT_NAME],
                                                const struct myelon_ring_opts *opts)
{
	struct myelon_producer *p = NULL;
	int rc;

	kit_ring_name(name, "ring");
	rc = myelon_producer_create(&p, name, opts);
	cr_assert(rc == 0 && p, "create: %d: %s", rc, myelon_last_error());
	return p;
}

static inline struct myelon_consumer *ring_join(const char *name,
                                                const struct myelon_attach_opts *opts)
{
	struct myelon_consumer *c = NULL;
	int rc = myelon_consumer_attach(&c, name, opts);

	cr_assert(rc == 0 && c, "attach: %d: %s", rc, myelon_last_error());
	return c;
}

/* Publish a batch of @n. @return as myelon_claim(MYELON_TRY). */
static inline int ring_push(struct myelon_producer *p, uint32_t n)
{
	struct myelon_span s;
	int rc = myelon_claim(p, n, MYELON_TRY, &s);

	if (rc < 0)
		return rc;
	cr_assert_eq(s.count, n);
	for (uint32_t i = 0; i < n; i++)
		kit_fill((char *)s.base + (size_t)i * p->slot_size, p->slot_size, RING_SEED,
		         (uint64_t)s.seq + i);
	cr_ok(myelon_publish(p, n));
	return 0;
}

/* Publish one by one until the ring is full. @return how many went in. */
static inline uint32_t ring_fill(struct myelon_producer *p)
{
	uint32_t n = 0;
	int rc;

	while ((rc = ring_push(p, 1)) == 0)
		n++;
	cr_assert_eq(rc, -EAGAIN);
	return n;
}

static inline void ring_check(const struct myelon_view *v, uint32_t slot_size)
{
	for (uint32_t i = 0; i < v->count; i++)
		cr_assert_eq(kit_check((const char *)v->base + (size_t)i * slot_size, slot_size,
		                       RING_SEED, (uint64_t)v->seq + i),
		             -1, "slot of sequence %lld has other bytes", (long long)v->seq + i);
}

/* Read exactly @n messages, the first of which is @first, and release them. */
static inline void ring_pull(struct myelon_consumer *c, int64_t first, uint32_t n)
{
	struct myelon_view v;

	while (n > 0) {
		int got = myelon_peek(c, n, MYELON_TRY, &v);

		cr_assert(got > 0, "peek: %d: %s", got, myelon_last_error());
		cr_assert_eq((uint32_t)got, v.count);
		cr_assert_eq(v.seq, first);
		ring_check(&v, c->slot_size);
		cr_ok(myelon_release(c, v.count));
		first += got;
		n -= (uint32_t)got;
	}
}

static inline void ring_expect_empty(struct myelon_consumer *c)
{
	struct myelon_view v;

	cr_assert_eq(myelon_peek(c, MYELON_ALL, MYELON_TRY, &v), -EAGAIN);
}

/* Nobody was killed or stopped, so no sleep may have ended at the cap with something to do. */
static inline void ring_close(struct myelon_producer *p, struct myelon_consumer *c)
{
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;

	if (p) {
		cr_ok(myelon_producer_stats(p, &s));
		cr_assert_eq(s.caps_found, 0);
	}
	if (c) {
		cr_ok(myelon_consumer_stats(c, &s));
		cr_assert_eq(s.caps_found, 0);
	}
	myelon_consumer_close(c);
	myelon_producer_close(p);
}

#endif
