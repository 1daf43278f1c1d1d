/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The two processes of soak_wake: who publishes and who reads; either may be the one that sleeps. */
#include "soak_wake.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* ---- the publisher ---- */

static int produce(struct soak *s, struct myelon_producer *p)
{
	struct kit_result *me = &s->page->result[s->how->room ? SLEEPER : WAKER];
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct aim aim;

	aim_begin(&aim, s);
	for (uint64_t i = 0; i < s->count; i++) {
		struct myelon_span span;
		int rc;

		if (s->how->room) {
			myelon_producer_stats(p, &stats);
			if (stats.caps_found)
				return 0;
			soak_ready(me, i + 1, stats.parks);
		} else {
			soak_at(me, AT_CLAIM);
		}
		rc = myelon_claim(p, 1, MYELON_FOREVER, &span);
		if (rc < 0)
			return soak_fail("claim", rc);
		if (span.seq != (int64_t)i)
			kit_violation(me, "claim %llu got sequence %lld", (unsigned long long)i,
			              (long long)span.seq);
		kit_fill(span.base, SLOT, SEED, i);
		if (!s->how->room && !aim_wait(&aim, i + 1))
			return 1;
		rc = myelon_publish(p, 1);
		if (rc < 0)
			return soak_fail("publish", rc);
		if (!s->how->room)
			me->count = i + 1;
	}
	soak_at(me, AT_END);
	if (!s->how->room)
		me->value[2] = (uint64_t)aim.ns;
	return 0;
}

static void check_caps(struct kit_result *r, const struct myelon_handle_stats *stats)
{
	if (stats->caps_found)
		kit_violation(r, "%llu wakes were lost: found at the cap",
		              (unsigned long long)stats->caps_found);
}

int soak_publisher(void *arg)
{
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct soak *s = arg;
	struct myelon_producer *p;
	int rc;

	soak_pin(0);
	rc = myelon_producer_create(
		&p, s->name,
		&MYELON_RING_OPTS(.slot_size = SLOT, .window = s->how->window,
	                          .backing = MYELON_BACKING_SHM, .huge = MYELON_HUGE_OFF,
	                          .wait = s->how->room ? s->how->wait : MYELON_WAIT_ADAPTIVE,
	                          .wait_for = {.count = 1}));

	if (rc < 0)
		return soak_fail("create", rc);
	rc = produce(s, p);
	myelon_producer_stats(p, &stats);
	if (rc == 0 && !stats.caps_found)
		rc = myelon_producer_wait_consumed(p, (int64_t)s->count - 1, MYELON_FOREVER);
	check_caps(&s->page->result[s->how->room ? SLEEPER : WAKER], &stats);
	myelon_producer_close(p);
	return rc ? 1 : 0;
}

/* ---- ways to sleep ---- */

struct sleeping {
	struct myelon_consumer *c;
	const struct combination *how;
	int fd, ep;
};

static int watch_fd(struct sleeping *s)
{
	struct epoll_event e = {.events = EPOLLIN | (s->how->how == HOW_EDGE ? EPOLLET : 0u)};

	s->fd = myelon_consumer_fd(s->c, &MYELON_FD_OPTS(.engine = s->how->engine));
	if (s->fd < 0 || s->how->how == HOW_POLL)
		return s->fd < 0 ? s->fd : 0;
	s->ep = epoll_create1(EPOLL_CLOEXEC);
	return s->ep < 0 || epoll_ctl(s->ep, EPOLL_CTL_ADD, s->fd, &e) < 0 ? -errno : 0;
}

int sleeping_begin(struct sleeping **out, struct myelon_consumer *c, const struct combination *how)
{
	struct sleeping *s = calloc(1, sizeof(*s));
	int rc = 0;

	if (!s)
		return -ENOMEM;
	*s = (struct sleeping){.c = c, .how = how, .fd = -1, .ep = -1};
	*out = s;
	if (how->how != HOW_CALL)
		rc = watch_fd(s);
	return rc;
}

static int until_readable(struct sleeping *s)
{
	struct pollfd one = {.fd = s->fd, .events = POLLIN};
	struct epoll_event e;
	int rc = s->ep < 0 ? poll(&one, 1, -1) : epoll_wait(s->ep, &e, 1, -1);

	return rc < 0 && errno != EINTR ? -errno : 0;
}

int sleeping_peek(struct sleeping *s, struct myelon_view *v)
{
	int rc;

	if (s->how->how == HOW_CALL)
		return myelon_peek(s->c, MYELON_ALL, MYELON_FOREVER, v);
	while ((rc = myelon_peek(s->c, MYELON_ALL, MYELON_TRY, v)) == -EAGAIN) {
		rc = until_readable(s);
		if (rc < 0)
			break;
	}
	return rc;
}

int sleeping_end(struct sleeping *s)
{
	enum myelon_engine used = myelon_consumer_fd_engine(s->c);
	int rc = 0;

	if (s->how->how != HOW_CALL && used != (enum myelon_engine)s->how->engine) {
		printf("it was %s\n", myelon_engine_name(used));
		rc = SKIPPED;
	}
	if (s->ep >= 0)
		close(s->ep);
	free(s);
	return rc;
}

/* ---- the consumer ---- */

static void check(struct soak *s, struct kit_result *me, const struct myelon_view *v, uint64_t i)
{
	if (v->seq != (int64_t)i || v->count != 1)
		kit_violation(me, "%u messages from sequence %lld instead of %llu", v->count,
		              (long long)v->seq, (unsigned long long)i);
	if (kit_check(v->base, SLOT, SEED, i) != -1)
		kit_violation(me, "other bytes in sequence %llu", (unsigned long long)i);
	(void)s;
}

/* It sleeps for each message, until a wake is lost. */
static int consume_asleep(struct soak *s, struct myelon_consumer *c, struct sleeping *sleeping)
{
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct kit_result *me = &s->page->result[SLEEPER];

	for (uint64_t i = 0; i < s->count; i++) {
		struct myelon_view v;
		int rc;

		myelon_consumer_stats(c, &stats);
		if (stats.caps_found)
			return 0;
		soak_ready(me, i + 1, stats.parks);
		rc = sleeping_peek(sleeping, &v);
		if (rc < 0)
			return soak_fail("peek", rc);
		soak_at(me, AT_CHECK);
		check(s, me, &v, i);
		rc = myelon_release(c, v.count);
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
		check(s, me, &v, i);
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
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct soak *s = arg;
	struct sleeping *sleeping = NULL;
	struct myelon_consumer *c;
	int rc;

	soak_pin(1);
	rc = myelon_consumer_attach(
		&c, s->name,
		&MYELON_ATTACH_OPTS(.id = "reader", .timeout_ns = 30000000000,
	                            .wait = s->how->room ? MYELON_WAIT_ADAPTIVE : s->how->wait));

	if (rc < 0)
		return soak_fail("attach", rc);
	if (s->how->room)
		rc = consume_awake(s, c);
	else {
		rc = sleeping_begin(&sleeping, c, s->how);
		if (rc == -ENOTSUP) {
			soak_fail("descriptor", rc);
			return SKIPPED;
		}
		rc = rc < 0 ? soak_fail("descriptor", rc) : consume_asleep(s, c, sleeping);
		if (rc == 0)
			rc = sleeping_end(sleeping);
	}
	myelon_consumer_stats(c, &stats);
	check_caps(&s->page->result[s->how->room ? WAKER : SLEEPER], &stats);
	myelon_consumer_close(c);
	return rc;
}
