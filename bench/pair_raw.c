/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "pair.h"
#include "payload.h"

static inline __attribute__((always_inline)) int send(struct bench_pair *p, uint64_t seq,
                                                      uint64_t seed)
{
	struct myelon_span s;
	int rc = myelon_claim(p->out.raw, 1, MYELON_FOREVER, &s);

	if (rc < 0)
		return rc;
	bench_fill(s.base, p->ring.payload, bench_first_word(seed, seq));
	return myelon_publish(p->out.raw, 1);
}

static inline __attribute__((always_inline)) int receive(struct bench_pair *p, uint64_t seq,
                                                         uint64_t seed)
{
	struct myelon_view v;
	int n = myelon_peek(p->in.raw, 1, MYELON_FOREVER, &v);

	if (n < 0)
		return n;
	p->wrong += !bench_check(v.base, p->ring.payload, bench_first_word(seed, seq)) ||
	            v.seq != (int64_t)seq;
	return 0;
}

static int ask_send(void *ctx, uint64_t seq)
{
	return send(ctx, seq, 1);
}

/* With one request at a time an answer is released while the next one is under way. */
static int ask_receive(void *ctx, uint64_t seq)
{
	struct bench_pair *p = ctx;

	if (p->holding && myelon_release(p->in.raw, 1) < 0)
		return -1;
	p->holding = true;
	return receive(p, seq, 2);
}

static int ask(void *ctx, uint64_t seq)
{
	int rc = ask_send(ctx, seq);

	return rc < 0 ? rc : ask_receive(ctx, seq);
}

int bench_pair_ask_raw(struct bench_pair *p, uint64_t *start)
{
	if (p->depth > 1)
		return bench_trips_pipelined(p->trips, &p->plan, ask_send, ask_receive, p, p->depth,
		                             start);
	return bench_trips_run(p->trips, &p->plan, ask, p, start);
}

/* Reply first, release after: the asker does not wait for our housekeeping. */
int bench_pair_answer_raw(struct bench_pair *p, uint64_t total)
{
	for (uint64_t seq = 0; seq < total; seq++)
		if (receive(p, seq, 1) < 0 || send(p, seq, 2) < 0 ||
		    myelon_release(p->in.raw, 1) < 0)
			return -1;
	return 0;
}
