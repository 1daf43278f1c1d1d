/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The two processes of soak_wake: who publishes and who reads; either may be the one that sleeps. */
#include "soak_wake.h"

#include <errno.h>

/* ---- the publisher ---- */

static int publish(struct kit_result *me, struct myelon_producer *p, struct myelon_span *span,
                   uint64_t i)
{
	int rc;

	if (span->seq != (int64_t)i)
		kit_violation(me, "claim %llu got sequence %lld", (unsigned long long)i,
		              (long long)span->seq);
	kit_fill(span->base, SLOT, SEED, i);
	rc = myelon_publish(p, 1);
	return rc < 0 ? soak_fail("publish", rc) : 0;
}

static int produce_awake(struct soak *s, struct myelon_producer *p)
{
	struct kit_result *me = &s->page->result[WAKER];
	struct aim aim;

	aim_begin(&aim, s);
	for (uint64_t i = 0; i < s->count; i++) {
		struct myelon_span span;
		int rc;

		soak_at(me, AT_CLAIM);
		rc = myelon_claim(p, 1, MYELON_FOREVER, &span);
		if (rc < 0)
			return soak_fail("claim", rc);
		if (!aim_wait(&aim, i + 1) || publish(me, p, &span, i) != 0)
			return 1;
		me->count = i + 1;
	}
	soak_at(me, AT_END);
	me->value[2] = (uint64_t)aim.ns;
	return 0;
}

/* It sleeps for each slot, until a wake is lost. */
static int produce_asleep(struct soak *s, struct sleeping *sleeping)
{
	struct kit_result *me = &s->page->result[SLEEPER];

	for (uint64_t i = 0; i < s->count; i++) {
		struct myelon_span span;
		int rc;

		sleeping_count(sleeping);
		if (sleeping->lost)
			return 0;
		soak_ready(me, i + 1, sleeping->parks);
		rc = sleeping_claim(sleeping, &span);
		if (rc < 0)
			return soak_fail("claim", rc);
		soak_at(me, AT_CHECK);
		if (publish(me, sleeping->p, &span, i) != 0)
			return 1;
	}
	soak_at(me, AT_END);
	return 0;
}

/* As the sleeper: run @fn, and say whether a wake was lost. @return an exit code. */
static int asleep(struct soak *s, struct sleeping *sleeping,
                  int (*fn)(struct soak *, struct sleeping *))
{
	struct kit_result *me = &s->page->result[SLEEPER];
	int rc = sleeping_begin(sleeping);

	if (rc < 0) {
		soak_fail("begin", rc);
		return rc == -ENOTSUP ? SKIPPED : 1;
	}
	rc = fn(s, sleeping);
	sleeping_count(sleeping);
	if (sleeping->lost)
		kit_violation(me, "%llu wakes were lost: found at the cap",
		              (unsigned long long)sleeping->lost);
	return rc ? rc : sleeping_end(sleeping);
}

int soak_publisher(void *arg)
{
	struct soak *s = arg;
	struct sleeping sleeping = {.how = s->how};
	int rc;

	soak_pin(0);
	rc = myelon_producer_create(
		&sleeping.p, s->name,
		&MYELON_RING_OPTS(.slot_size = SLOT, .window = s->how->window,
	                          .backing = MYELON_BACKING_SHM, .huge = MYELON_HUGE_OFF,
	                          .wait = s->how->room ? s->how->wait : MYELON_WAIT_ADAPTIVE,
	                          .wait_for = {.count = 1}));

	if (rc < 0)
		return soak_fail("create", rc);
	rc = s->how->room ? asleep(s, &sleeping, produce_asleep) : produce_awake(s, sleeping.p);
	if (rc == 0 && !s->page->result[SLEEPER].violations)
		rc = myelon_producer_wait_consumed(sleeping.p, (int64_t)s->count - 1,
		                                   MYELON_FOREVER);
	myelon_producer_close(sleeping.p);
	return rc == 0 || rc == SKIPPED ? rc : 1;
}

/* ---- the consumer ---- */

static void check(struct kit_result *me, const struct myelon_view *v, uint64_t i)
{
	if (v->seq != (int64_t)i || v->count != 1)
		kit_violation(me, "%u messages from sequence %lld instead of %llu", v->count,
		              (long long)v->seq, (unsigned long long)i);
	if (kit_check(v->base, SLOT, SEED, i) != -1)
		kit_violation(me, "other bytes in sequence %llu", (unsigned long long)i);
}

/* It sleeps for each message, until a wake is lost. */
static int consume_asleep(struct soak *s, struct sleeping *sleeping)
{
	struct kit_result *me = &s->page->result[SLEEPER];

	for (uint64_t i = 0; i < s->count; i++) {
		struct myelon_view v;
		int rc;

		sleeping_count(sleeping);
		if (sleeping->lost)
			return 0;
		soak_ready(me, i + 1, sleeping->parks);
		rc = sleeping_peek(sleeping, &v);
		if (rc < 0)
			return soak_fail("peek", rc);
		soak_at(me, AT_CHECK);
		check(me, &v, i);
		rc = myelon_release(sleeping->c, v.count);
		if (rc < 0)
			return soak_fail("release", rc);
	}
	soak_at(me, AT_END);
	return 0;
}

/* It releases while the producer falls asleep. */
static int consume_awake(struct soak *s, struct myelon_consumer *c)
{
	struct kit_result *me = &s->page->result[WAKER];
	struct aim aim;
	int rc;

	aim_begin(&aim, s);
	for (uint64_t i = 0; i < s->count; i++) {
		struct myelon_view v;

		soak_at(me, AT_CLAIM);
		rc = myelon_peek(c, 1, MYELON_FOREVER, &v);
		if (rc < 0)
			return soak_fail("peek", rc);
		check(me, &v, i);
		/* The producer needs this slot for its message i + window. */
		if (i + s->how->window < s->count && !aim_wait(&aim, i + s->how->window + 1))
			return 1;
		rc = myelon_release(c, 1);
		if (rc < 0)
			return soak_fail("release", rc);
		me->count = i + 1;
	}
	soak_at(me, AT_END);
	me->value[2] = (uint64_t)aim.ns;
	return 0;
}

int soak_consumer(void *arg)
{
	struct soak *s = arg;
	struct sleeping sleeping = {.how = s->how};
	int rc;

	soak_pin(1);
	rc = myelon_consumer_attach(
		&sleeping.c, s->name,
		&MYELON_ATTACH_OPTS(.id = "reader", .timeout_ns = 30000000000,
	                            .wait = s->how->room ? MYELON_WAIT_ADAPTIVE : s->how->wait));
	if (rc < 0)
		return soak_fail("attach", rc);
	rc = s->how->room ? consume_awake(s, sleeping.c) : asleep(s, &sleeping, consume_asleep);
	myelon_consumer_close(sleeping.c);
	return rc;
}
