/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Framed round trips: built and read in place, or copied in and out in fragments. */
#include "pair.h"
#include "payload.h"

#include <string.h>

#define KIND 7

static inline __attribute__((always_inline)) int send(struct bench_pair *p, uint64_t seq,
                                                      uint64_t seed)
{
	void *buf;
	int rc = myelon_frame_claim(p->out.framed, p->ring.payload, MYELON_FOREVER, &buf);

	if (rc < 0)
		return rc;
	bench_fill(buf, p->touched, bench_first_word(seed, seq));
	return myelon_frame_commit(p->out.framed, p->ring.payload, KIND);
}

static inline __attribute__((always_inline)) int receive(struct bench_pair *p, uint64_t seq,
                                                         uint64_t seed)
{
	struct myelon_message m;
	int n = myelon_frame_peek(p->in.framed, MYELON_FOREVER, &m);

	if (n < 0)
		return n;
	p->wrong += m.len != p->ring.payload || m.kind != KIND || !m.borrowed ||
	            !bench_check(m.data, p->touched, bench_first_word(seed, seq));
	return 0;
}

static int ask_send(void *ctx, uint64_t seq)
{
	return send(ctx, seq, 1);
}

static int ask_receive(void *ctx, uint64_t seq)
{
	struct bench_pair *p = ctx;

	if (p->holding && myelon_frame_release(p->in.framed, 1) < 0)
		return -1;
	p->holding = true;
	return receive(p, seq, 2);
}

static int ask(void *ctx, uint64_t seq)
{
	int rc = ask_send(ctx, seq);

	return rc < 0 ? rc : ask_receive(ctx, seq);
}

int bench_pair_ask_framed(struct bench_pair *p, uint64_t *start)
{
	if (p->depth > 1)
		return bench_trips_pipelined(p->trips, &p->plan, ask_send, ask_receive, p, p->depth,
		                             start);
	return bench_trips_run(p->trips, &p->plan, ask, p, start);
}

int bench_pair_answer_framed(struct bench_pair *p, uint64_t total)
{
	for (uint64_t seq = 0; seq < total; seq++)
		if (receive(p, seq, 1) < 0 || send(p, seq, 2) < 0 ||
		    myelon_frame_release(p->in.framed, 1) < 0)
			return -1;
	return 0;
}

static int copy_in(struct bench_pair *p, uint64_t seq, uint64_t seed)
{
	size_t payload = p->ring.payload;

	bench_fill(p->mine, p->touched, bench_first_word(seed, seq));
	for (size_t at = 0; at < payload; at += p->fragment) {
		size_t n = payload - at < p->fragment ? payload - at : p->fragment;
		int rc = myelon_frame_send(p->out.framed, p->mine + at, n, KIND, MYELON_FOREVER);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int copy_out(struct bench_pair *p, uint64_t seq, uint64_t seed)
{
	size_t payload = p->ring.payload;
	struct myelon_message m;

	for (size_t at = 0; at < payload; at += p->fragment) {
		size_t n = payload - at < p->fragment ? payload - at : p->fragment;
		int rc = myelon_frame_peek(p->in.framed, MYELON_FOREVER, &m);

		if (rc < 0)
			return rc;
		if (m.len == n)
			memcpy(p->got + at, m.data, n);
		else
			p->wrong++;
		rc = myelon_frame_release(p->in.framed, 1);
		if (rc < 0)
			return rc;
	}
	p->wrong += !bench_check(p->got, p->touched, bench_first_word(seed, seq));
	return 0;
}

static int ask_copy(void *ctx, uint64_t seq)
{
	int rc = copy_in(ctx, seq, 1);

	return rc < 0 ? rc : copy_out(ctx, seq, 2);
}

int bench_pair_ask_copy(struct bench_pair *p, uint64_t *start)
{
	return bench_trips_run(p->trips, &p->plan, ask_copy, p, start);
}

int bench_pair_answer_copy(struct bench_pair *p, uint64_t total)
{
	for (uint64_t seq = 0; seq < total; seq++)
		if (copy_out(p, seq, 1) < 0 || copy_in(p, seq, 2) < 0)
			return -1;
	return 0;
}
