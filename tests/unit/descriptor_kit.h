/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the tests of descriptor consumers share: a ring with one, for each engine of this machine. */
#ifndef MYELON_TEST_DESCRIPTOR_KIT_H
#define MYELON_TEST_DESCRIPTOR_KIT_H

#include "ring_kit.h"

#include <poll.h>
#include <string.h>

#include <myelon/keeper.h>

static const enum myelon_engine engines[] = {MYELON_ENGINE_URING, MYELON_ENGINE_DIRECT,
                                             MYELON_ENGINE_PROXY};
#define ENGINES (sizeof(engines) / sizeof(engines[0]))
#define HANG_MS 20000

struct pair {
	char name[KIT_NAME];
	struct myelon_producer *p;
	struct myelon_consumer *c;
	int fd;
};

static inline int try_open(struct pair *t, enum myelon_engine engine)
{
	kit_ring_name(t->name, "fd");
	cr_assert_eq(myelon_producer_create(&t->p, t->name,
	                                    &MYELON_RING_OPTS(.slot_size = 8, .window = 64)),
	             0, "%s", myelon_last_error());
	cr_assert_eq(myelon_consumer_attach(&t->c, t->name, NULL), 0, "%s", myelon_last_error());
	t->fd = myelon_consumer_fd(t->c, &MYELON_FD_OPTS(.engine = engine));
	return t->fd;
}

static inline void close_pair(struct pair *t)
{
	myelon_consumer_close(t->c);
	myelon_producer_close(t->p);
}

static inline bool has(enum myelon_engine engine)
{
	struct pair t;
	bool there = try_open(&t, engine) >= 0;

	close_pair(&t);
	return there;
}

static inline void open_pair(struct pair *t, enum myelon_engine engine)
{
	cr_assert_geq(try_open(t, engine), 0, "%s: %s", myelon_engine_name(engine),
	              myelon_last_error());
}

/* The engines of this machine; without io_uring the test says so and goes on with the others. */
#define EACH_ENGINE(e)                                                                             \
	for (size_t i_ = 0; i_ < ENGINES; i_++)                                                    \
		for (enum myelon_engine e = engines[i_]; e && (has(e) || skip_engine(e)); e = 0)

static inline bool skip_engine(enum myelon_engine engine)
{
	if (engine != MYELON_ENGINE_URING || kit_required("uring"))
		cr_assert_fail("engine %s: %s", myelon_engine_name(engine), myelon_last_error());
	cr_log_warn("engine uring is not tested: %s", myelon_last_error());
	return false;
}

static inline void publish(struct pair *t, uint64_t value)
{
	struct myelon_span s;

	cr_assert_eq(myelon_claim(t->p, 1, MYELON_TRY, &s), 0);
	memcpy(s.base, &value, sizeof(value));
	cr_assert_eq(myelon_publish(t->p, 1), 0);
}

static inline bool readable(const struct pair *t, int ms)
{
	struct pollfd p = {.fd = t->fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

/* Reads one message. */
static inline int take(struct pair *t, uint64_t *value)
{
	struct myelon_view v;
	int n = myelon_peek(t->c, 1, MYELON_TRY, &v);

	if (n > 0) {
		memcpy(value, v.base, sizeof(*value));
		cr_assert_eq(myelon_release(t->c, 1), 0);
	}
	return n;
}

static inline void drain(struct pair *t)
{
	uint64_t value;
	int n;

	while ((n = take(t, &value)) > 0)
		;
	cr_assert_eq(n, -EAGAIN, "%s", myelon_last_error());
}

#endif
