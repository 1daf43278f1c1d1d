/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the tests of wait sets with several processes share. Children are forks that make their own handles. */
#ifndef MYELON_TEST_WAITSET_STAGE_H
#define MYELON_TEST_WAITSET_STAGE_H

#include "../unit/waitset_kit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STAGE_RINGS 128

struct stage {
	struct kit_page *page;
	enum myelon_engine engine;
	int64_t spin_ns;
	char stem[KIT_NAME - 8];
	int rings;
	long count;
	uint64_t random;
	struct myelon_waitset *ws;
	struct myelon_producer *p[STAGE_RINGS];
	struct myelon_consumer *c[STAGE_RINGS];
	int64_t next[STAGE_RINGS];
};

static inline void stage_begin(struct stage *s, enum myelon_engine engine, int rings, long count)
{
	char name[KIT_NAME];

	memset(s, 0, sizeof(*s));
	s->page = kit_page_create();
	cr_assert_not_null(s->page);
	s->engine = engine;
	s->rings = rings;
	s->count = count;
	s->random = 1;
	snprintf(s->stem, sizeof(s->stem), "%s", kit_ring_name(name, "set"));
}

static inline void stage_end(struct stage *s, bool killed)
{
	for (int i = 0; i < s->rings; i++) {
		myelon_consumer_close(s->c[i]);
		myelon_producer_close(s->p[i]);
	}
	if (killed)
		myelon_gc(NULL, NULL, NULL);
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0, "files are left");
	kit_page_destroy(s->page);
}

/* How often, times MYELON_TEST_SCALE. */
static inline long stage_count(long n)
{
	const char *text = getenv("MYELON_TEST_SCALE");
	long scale = text ? atol(text) : 1;

	return n * (scale > 0 ? scale : 1);
}

static inline uint32_t stage_random(struct stage *s)
{
	s->random = s->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(s->random >> 33);
}

/* Of up to @us: mostly none, sometimes spun, sometimes slept, so that every moment of a sleep is met. */
static inline void stage_delay(struct stage *s, uint32_t us)
{
	uint32_t kind = stage_random(s) % 4, ns = stage_random(s) % (us * 1000);
	int64_t end;

	if (kind == 0)
		return;
	if (kind == 1) {
		nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
		return;
	}
	for (end = kit_now_ns() + ns / 4; kit_now_ns() < end;)
		;
}

static inline char *stage_name(const struct stage *s, int i, char name[KIT_NAME])
{
	snprintf(name, KIT_NAME, "%s-%d", s->stem, i);
	return name;
}

static inline int child_fail(const char *what, int rc)
{
	fprintf(stderr, "%s: %d: %s\n", what, rc, myelon_last_error());
	return 1;
}

#define TRY_(expr)                                                                                 \
	do {                                                                                       \
		int rc_ = (expr);                                                                  \
		if (rc_ < 0)                                                                       \
			return child_fail(#expr, rc_);                                             \
	} while (0)

/* Rings first .. first + n - 1 are made here. */
static inline int stage_make(struct stage *s, int first, int n, uint32_t window)
{
	char name[KIT_NAME];

	for (int i = first; i < first + n; i++)
		TRY_(myelon_producer_create(&s->p[i], stage_name(s, i, name),
		                            RING(64, window, .wait = MYELON_WAIT_PARK)));
	return 0;
}

static inline int stage_attach(struct stage *s, int first, int n)
{
	char name[KIT_NAME];

	for (int i = first; i < first + n; i++) {
		TRY_(myelon_consumer_attach(&s->c[i], stage_name(s, i, name),
		                            WITH(.timeout_ns = 30000 * MS,
		                                 .start = MYELON_START_OLDEST,
		                                 .wait = MYELON_WAIT_PARK)));
		s->next[i] = myelon_consumer_cursor(s->c[i]) + 1;
	}
	return 0;
}

/* A set with consumers first .. first + n - 1; the event's user is a pointer into s->c. */
static inline int stage_set(struct stage *s, int first, int n)
{
	TRY_(myelon_waitset_create(
		&s->ws, &MYELON_WAITSET_OPTS(.engine = s->engine, .spin_ns = s->spin_ns)));
	for (int i = first; i < first + n; i++)
		TRY_(myelon_waitset_add_consumer(s->ws, s->c[i], NULL, &s->c[i]));
	return 0;
}

static inline int stage_ring(const struct stage *s, const struct myelon_event *e)
{
	return (int)((struct myelon_consumer **)e->user - s->c);
}

/* Read all of ring @i. @return how many, or -1: they were not what was sent. */
static inline long stage_pull(struct stage *s, int i)
{
	struct myelon_view v;
	long n = myelon_peek(s->c[i], MYELON_ALL, MYELON_TRY, &v);

	if (n < 0)
		return child_fail("peek", (int)n), -1;
	for (uint32_t k = 0; k < v.count; k++)
		if (v.seq + k != s->next[i]++ || kit_check((const char *)v.base + k * 64ull, 64,
		                                           RING_SEED, (uint64_t)v.seq + k) != -1)
			return child_fail("other bytes", 0), -1;
	return myelon_release(s->c[i], v.count) == 0 ? n : -1;
}

static inline int stage_push(struct stage *s, int i, int64_t deadline)
{
	struct myelon_span span;
	int rc = myelon_claim(s->p[i], 1, deadline, &span);

	if (rc < 0)
		return rc;
	kit_fill(span.base, 64, RING_SEED, (uint64_t)span.seq);
	return myelon_publish(s->p[i], 1);
}

#endif
