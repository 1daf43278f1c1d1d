/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Requests over one ring, answers over another; both may be full, both ends may sleep. */
#include "ring_actor.h"

#include <errno.h>
#include <string.h>

struct ends {
	struct myelon_producer *out;
	struct myelon_consumer *in;
};

static int open_ends(struct actor *a, struct ends *e, const char *out, const char *in)
{
	int rc = myelon_producer_create(
		&e->out, out,
		&MYELON_RING_OPTS(.slot_size = (uint32_t)a->slot, .window = (uint32_t)a->window,
	                          .backing = MYELON_BACKING_SHM, .huge = MYELON_HUGE_OFF,
	                          .fence = (uint32_t)a->fence, .wait = a->wait));

	if (rc == 0)
		rc = myelon_consumer_attach(&e->in, in,
		                            &MYELON_ATTACH_OPTS(.wait = a->wait,
		                                                .start = MYELON_START_OLDEST,
		                                                .timeout_ns = 60000000000ll));
	return rc;
}

static void close_ends(struct actor *a, struct ends *e)
{
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;

	myelon_producer_stats(e->out, &s);
	a->r->bytes = s.caps_found;
	myelon_consumer_stats(e->in, &s);
	a->r->bytes += s.caps_found;
	myelon_producer_close(e->out);
	myelon_consumer_close(e->in);
}

static int answer(struct actor *a, struct ends *e, uint64_t seq)
{
	struct myelon_view v;
	int rc = myelon_peek(e->in, 1, MYELON_FOREVER, &v);

	if (rc < 0)
		return rc;
	if ((uint64_t)v.seq != seq || kit_check(v.base, e->in->slot_size, a->seed, seq) != -1)
		kit_violation(a->r, "answer %llu", (unsigned long long)seq);
	a->r->count = seq + 1;
	return myelon_release(e->in, 1);
}

int actor_ping(struct actor *a)
{
	struct ends e;
	struct myelon_span s;
	uint64_t sent = 0, got = 0;
	int rc = open_ends(a, &e, a->name, a->back);

	while (rc == 0 && got < a->count) {
		if (sent < a->count && sent - got < a->depth) {
			rc = myelon_claim(e.out, 1, MYELON_FOREVER, &s);
			if (rc < 0)
				break;
			kit_fill(s.base, e.out->slot_size, a->seed, sent++);
			rc = myelon_publish(e.out, 1);
		} else {
			rc = answer(a, &e, got++);
		}
	}
	if (rc < 0)
		return actor_fail("ping", rc);
	close_ends(a, &e);
	return actor_end(a);
}

/* All requests that are there, answered one by one; batch: released together after that. */
static int answer_all(struct actor *a, struct ends *e)
{
	struct myelon_view v;
	int n = myelon_peek(e->in, MYELON_ALL, MYELON_FOREVER, &v), rc = 0;

	for (int i = 0; rc == 0 && i < n; i++) {
		rc = myelon_publish_copy(e->out,
		                         (const char *)v.base + (size_t)i * e->in->slot_size, 1,
		                         MYELON_FOREVER);
		if (rc == 0 && !a->batch)
			rc = myelon_release(e->in, 1);
		a->r->count++;
	}
	if (n > 0 && rc == 0 && a->batch)
		rc = myelon_release(e->in, v.count);
	return n < 0 ? n : rc;
}

int actor_pong(struct actor *a)
{
	struct ends e;
	int rc = open_ends(a, &e, a->back, a->name);

	while (rc == 0)
		rc = answer_all(a, &e);
	if (rc != -EPIPE)
		return actor_fail("pong", rc);
	close_ends(a, &e);
	return actor_end(a);
}
