/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "flow.h"
#include "cli.h"
#include "clock.h"
#include "limit.h"
#include "payload.h"

#include <string.h>

#define KIND 7
#define FRAMES 64u /* messages per peek of a framed consumer */

uint64_t bench_flow_messages(const struct bench_options *o, uint32_t consumers, uint64_t work_ns)
{
	uint64_t n = bench_stream_for(o->payload) / consumers;

	if (o->messages)
		return o->messages;
	/* About 50 ms of work, and always several windows. */
	if (work_ns && n > 50000000 / work_ns)
		n = 50000000 / work_ns;
	if (o->rate > 0 && (double)n > o->rate / 5)
		n = (uint64_t)(o->rate / 5);
	return n < 2000 ? 2000 : n;
}

void bench_flow_note_few(const struct bench_flow *f)
{
	uint32_t window = bench_ring_messages(&f->ring);

	if (f->rate > 0 || f->messages / 2 >= window)
		return;
	cli_note("bench %s: %llu messages are less than two windows of %u, so the rates are those "
	         "of filling and emptying the ring: use a larger --messages or a smaller --window",
	         f->ring.o->bench, (unsigned long long)f->messages, window);
}

/* Waits for the scheduled time of message @seq. */
static void wait_until_due(const struct bench_flow *f, uint64_t first, uint64_t seq)
{
	uint64_t due = first + bench_ns_ticks((double)seq * 1e9 / f->rate);

	while (bench_ticks() < due)
		bench_pause();
}

static int write_raw(struct bench_flow *f, uint64_t first)
{
	struct myelon_producer *p = f->out.raw;
	size_t payload = f->ring.payload, slot = f->ring.slot;
	uint32_t n;

	for (uint64_t seq = 0; seq < f->messages; seq += n) {
		struct myelon_span s;
		unsigned char *at;
		int rc;

		n = f->messages - seq < f->batch ? (uint32_t)(f->messages - seq) : f->batch;
		if (f->rate > 0)
			wait_until_due(f, first, seq + n - 1);
		rc = myelon_claim(p, n, MYELON_FOREVER, &s);
		if (rc < 0)
			return rc;
		at = s.base;
		for (uint32_t i = 0; i < n; i++, at += slot)
			bench_fill(at, payload, bench_first_word(1, seq + i));
		rc = myelon_publish(p, n);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int write_framed(struct bench_flow *f, uint64_t first)
{
	struct myelon_frame_producer *p = f->out.framed;
	size_t payload = f->ring.payload;

	for (uint64_t seq = 0; seq < f->messages; seq++) {
		void *buf;
		int rc;

		if (f->rate > 0)
			wait_until_due(f, first, seq);
		rc = myelon_frame_claim(p, payload, MYELON_FOREVER, &buf);
		if (rc < 0)
			return rc;
		bench_fill(buf, payload, bench_first_word(1, seq));
		rc = myelon_frame_commit(p, payload, KIND);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* What a consumer does beside reading. */
struct reading {
	struct bench_role *me;
	struct bench_histogram *late;
	uint64_t first; /* ticks at the start of the schedule */
	uint64_t warm;
	uint64_t next;
	uint64_t work; /* ticks */
};

static inline void one_message(const struct bench_flow *f, struct reading *r, const void *data)
{
	r->me->wrong += !bench_check(data, f->ring.payload, bench_first_word(1, r->next));
	if (r->late) {
		uint64_t due = r->first + bench_ns_ticks((double)r->next * 1e9 / f->rate);
		uint64_t now = bench_ticks();

		if (r->next > r->warm)
			bench_histogram_add(r->late,
			                    now > due ? (uint64_t)bench_ticks_ns(now - due) : 0);
	}
	if (r->work) {
		uint64_t end = bench_ticks() + r->work;

		while (bench_ticks() < end)
			;
	}
	r->next++;
}

static inline void after_peek(const struct bench_flow *f, struct reading *r)
{
	if (r->me->start == 0 && r->next > r->warm) {
		r->me->start = bench_ticks();
		r->me->messages = f->messages - r->next;
	}
}

/* Never so much that the time begins with nothing left to be timed. */
static uint32_t most_at_once(const struct bench_flow *f, uint32_t all)
{
	uint64_t quarter = f->messages / 4;

	if (f->peek && f->peek < all)
		all = f->peek;
	return quarter < all ? (uint32_t)quarter : all;
}

static int read_raw(struct bench_flow *f, struct reading *r)
{
	uint32_t most = most_at_once(f, MYELON_ALL);
	size_t slot = f->ring.slot;

	while (r->next < f->messages) {
		struct myelon_view v;
		const unsigned char *at;
		int n = myelon_peek(f->in.raw, most, MYELON_FOREVER, &v);

		if (n < 0)
			return n;
		r->me->wrong += v.seq != (int64_t)r->next;
		at = v.base;
		for (int i = 0; i < n; i++, at += slot)
			one_message(f, r, at);
		n = myelon_release(f->in.raw, (uint32_t)n);
		if (n < 0)
			return n;
		after_peek(f, r);
	}
	return 0;
}

static int read_framed(struct bench_flow *f, struct reading *r)
{
	uint32_t most = most_at_once(f, FRAMES);

	while (r->next < f->messages) {
		struct myelon_message m[FRAMES];
		int n = myelon_frame_peek_batch(f->in.framed, m, most, MYELON_FOREVER);

		if (n < 0)
			return n;
		for (int i = 0; i < n; i++) {
			r->me->wrong += m[i].len != f->ring.payload || m[i].kind != KIND;
			one_message(f, r, m[i].data);
		}
		n = myelon_frame_release(f->in.framed, (uint32_t)n);
		if (n < 0)
			return n;
		after_peek(f, r);
	}
	return 0;
}

static int play_producer(struct bench_flow *f, struct bench_crew *crew)
{
	struct bench_role *me = &crew->role[0];
	double cpu;
	int rc;

	if (bench_out_create(&f->out, &f->ring, "flow", me) < 0)
		return -1;
	bench_meet(crew, 0);
	cpu = bench_cpu_seconds();
	/* The first message publishes this to the consumers, who need it for the schedule. */
	me->start = bench_ticks();
	rc = f->ring.framed ? write_framed(f, me->start) : write_raw(f, me->start);
	if (rc < 0)
		return bench_library_fail(me, "a message could not be published");
	me->stop = bench_ticks();
	me->cpu_s = bench_cpu_seconds() - cpu;
	me->messages = f->messages;
	bench_meet(crew, 1);
	bench_out_close(&f->out, me);
	return 0;
}

/* Waits for it, so that what the producer wrote before is visible. */
static int first_message(struct bench_flow *f)
{
	struct myelon_message m;
	struct myelon_view v;

	return f->ring.framed ? myelon_frame_peek(f->in.framed, MYELON_FOREVER, &m)
	                      : myelon_peek(f->in.raw, 1, MYELON_FOREVER, &v);
}

static int play_consumer(struct bench_flow *f, struct bench_crew *crew, unsigned int role)
{
	struct bench_role *me = &crew->role[role];
	struct reading r = {.me = me, .warm = f->messages / 10};
	double cpu;
	int rc;

	if (f->late) {
		r.late = &f->late[role - 1];
		bench_populate(r.late, sizeof(*r.late));
	}
	r.work = bench_ns_ticks((double)f->work_ns);
	if (bench_in_attach(&f->in, &f->ring, "flow", bench_consumer_wait(f->ring.o, role - 1),
	                    me) < 0)
		return -1;
	bench_meet(crew, 0);
	cpu = bench_cpu_seconds();
	if (r.late) {
		if (first_message(f) < 0)
			return bench_library_fail(me, "a message could not be read");
		r.first = crew->role[0].start;
	}
	rc = f->ring.framed ? read_framed(f, &r) : read_raw(f, &r);
	if (rc < 0)
		return bench_library_fail(me, "a message could not be read");
	me->stop = bench_ticks();
	me->cpu_s = bench_cpu_seconds() - cpu;
	bench_meet(crew, 1);
	bench_in_close(&f->in, me);
	return 0;
}

static int play(struct bench_crew *crew, unsigned int role, void *arg)
{
	return role == 0 ? play_producer(arg, crew) : play_consumer(arg, crew, role);
}

int bench_flow_run(struct bench_flow *f, struct bench_flow_result *result)
{
	const struct bench_options *o = f->ring.o;
	const struct bench_cast cast = {.what = f->ring.framed ? "framed stream" : "raw stream",
	                                .roles = 1 + f->consumers,
	                                .play = play,
	                                .arg = f,
	                                .cpus = o->cpus,
	                                .cpu_count = o->cpu_count,
	                                .timeout_s = o->timeout_s};
	const struct bench_crew *crew;
	uint64_t start = UINT64_MAX, stop = 0;
	double delivered = 0, s;

	if (f->late)
		memset(f->late, 0, f->consumers * sizeof(*f->late));
	crew = bench_crew_run(&cast);
	bench_place_clear(f->ring.place);
	if (!crew)
		return -1;
	result->crew = crew;
	result->verified = true;
	for (uint32_t i = 1; i <= f->consumers; i++) {
		const struct bench_role *c = &crew->role[i];

		start = c->start && c->start < start ? c->start : start;
		stop = c->stop > stop ? c->stop : stop;
		delivered += (double)c->messages;
		result->verified &= c->wrong == 0;
	}
	s = bench_ticks_ns(stop - start) / 1e9;
	result->deliveries_per_s = delivered / s;
	result->msgs_per_s = delivered / f->consumers / s;
	return 0;
}
