/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the tests of wait sets share: each runs with both engines. */
#ifndef MYELON_TEST_WAITSET_KIT_H
#define MYELON_TEST_WAITSET_KIT_H

#include "ring_kit.h"

#include <sys/epoll.h>
#include <unistd.h>

/* The body of a test that gets `engine`. */
#define BOTH(name)                                                                                 \
	static void name(enum myelon_engine engine);                                               \
	Test(uring, name)                                                                          \
	{                                                                                          \
		set_need(MYELON_ENGINE_URING);                                                     \
		name(MYELON_ENGINE_URING);                                                         \
	}                                                                                          \
	Test(epoll, name)                                                                          \
	{                                                                                          \
		name(MYELON_ENGINE_EPOLL);                                                         \
	}                                                                                          \
	static void name(enum myelon_engine engine)

static inline void set_need(enum myelon_engine engine)
{
	struct myelon_waitset *ws;
	int rc = myelon_waitset_create(&ws, &MYELON_WAITSET_OPTS(.engine = engine));

	if (rc == -ENOTSUP)
		kit_skip("uring", myelon_last_error());
	cr_assert_eq(rc, 0, "create: %d: %s", rc, myelon_last_error());
	myelon_waitset_close(ws);
}

static inline struct myelon_waitset *set_make(enum myelon_engine engine)
{
	struct myelon_waitset *ws = NULL;

	cr_ok(myelon_waitset_create(&ws, &MYELON_WAITSET_OPTS(.engine = engine)));
	cr_assert_eq(myelon_waitset_engine(ws), engine);
	return ws;
}

/* Nobody was killed or stopped in these tests. */
static inline void set_close(struct myelon_waitset *ws)
{
	struct myelon_waitset_stats stats = {.size = sizeof(stats)};

	cr_ok(myelon_waitset_stats(ws, &stats));
	cr_assert_eq(stats.caps_found, 0, "a sleep ended at the cap and found something");
	myelon_waitset_close(ws);
}

static inline uint32_t set_sources(struct myelon_waitset *ws)
{
	struct myelon_waitset_stats stats = {.size = sizeof(stats)};

	cr_ok(myelon_waitset_stats(ws, &stats));
	return stats.sources;
}

static inline int set_id(int id)
{
	cr_assert_geq(id, 0, "add: %d: %s", id, myelon_last_error());
	return id;
}

/* Wait for exactly one event, of @id. */
static inline struct myelon_event set_one(struct myelon_waitset *ws, int id)
{
	struct myelon_event ev[4];
	int n = myelon_waitset_wait(ws, ev, 4, kit_deadline(20));

	cr_assert_eq(n, 1, "wait: %d: %s", n, n < 0 ? myelon_last_error() : "");
	cr_assert_eq(ev[0].id, id);
	return ev[0];
}

static inline void set_none(struct myelon_waitset *ws)
{
	struct myelon_event ev[4];
	int n = myelon_waitset_wait(ws, ev, 4, MYELON_TRY);

	cr_assert_eq(n, 0, "wait: %d, event of %d: %d", n, ev[0].id, ev[0].result);
}

#endif
