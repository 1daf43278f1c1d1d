/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One way at a rate: the producer sends by a schedule and each message says when it was meant to be
 * sent, so what delays one message counts for all that it delayed.
 */
#include "clock.h"
#include "wake.h"

#include <string.h>
#include <sys/prctl.h>

/* A timed sleep ends later than asked for: what is left before a message is spun. */
#define SPIN_NS 300000.0
#define LATEST 3 /* a rate that cannot be kept ends after so many times the planned time */
#define LAST (UINT64_C(1) << 63)

struct stamp {
	uint64_t due; /* ticks */
	uint64_t seq; /* and LAST */
	uint64_t check;
};

static uint64_t check_of(const struct stamp *s)
{
	return (s->due ^ s->seq) * UINT64_C(0x9e3779b97f4a7c15);
}

/* @return ticks now. */
static uint64_t wait_until(uint64_t due)
{
	uint64_t now = bench_ticks();

	while (now < due) {
		double left = bench_ticks_ns(due - now);

		if (left > 2 * SPIN_NS) {
			int64_t until = myelon_now() + (int64_t)(left - SPIN_NS);
			struct timespec at = {.tv_sec = until / 1000000000,
			                      .tv_nsec = until % 1000000000};

			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		} else {
			bench_pause();
		}
		now = bench_ticks();
	}
	return now;
}

static int send_stamp(struct bench_wake *w, uint64_t due, uint64_t seq)
{
	struct stamp stamp = {.due = due, .seq = seq};
	struct myelon_span s;
	int rc = myelon_claim(w->out.raw, 1, MYELON_FOREVER, &s);

	if (rc < 0)
		return rc;
	stamp.check = check_of(&stamp);
	memcpy(s.base, &stamp, sizeof(stamp));
	return myelon_publish(w->out.raw, 1);
}

/* Its CPU time is what claim and publish take, wakes included: waiting for the schedule is ours. */
static int produce(struct bench_wake *w, struct bench_role *me)
{
	double interval = 1e9 / w->rate / bench_clock.ns_per_tick;
	uint64_t total = (uint64_t)(w->rate * w->seconds), first, limit, now, busy = 0, seq = 0;

	(void)prctl(PR_SET_TIMERSLACK, 1UL);
	first = bench_ticks() + bench_ns_ticks(1e6);
	limit = first + bench_ns_ticks(w->seconds * LATEST * 1e9);
	for (bool last = false; !last; seq++) {
		uint64_t due = first + (uint64_t)((double)seq * interval);

		now = wait_until(due);
		last = seq + 1 >= total || now > limit;
		if (send_stamp(w, due, last ? seq | LAST : seq) < 0)
			return bench_library_fail(me, "a message could not be published");
		busy += bench_ticks() - now;
	}
	me->start = first;
	me->stop = bench_ticks();
	me->messages = seq;
	me->cpu_s = bench_ticks_ns(busy) / 1e9;
	return 0;
}

/* The first tenth warms up and is not counted. */
static int consume(struct bench_wake *w, struct bench_role *me)
{
	uint64_t warm = (uint64_t)(w->rate * w->seconds) / 10, next = 0, seq = 0;
	double cpu = bench_cpu_seconds();

	me->start = bench_ticks();
	while (!(seq & LAST)) {
		struct myelon_view v;
		const unsigned char *at;
		int n = bench_way_peek(&w->way, MYELON_ALL, &v);

		if (n < 0)
			return bench_library_fail(me, "a message could not be read");
		at = v.base;
		for (int i = 0; i < n; i++, at += w->ring.slot, next++) {
			uint64_t now = bench_ticks();
			struct stamp s;

			memcpy(&s, at, sizeof(s));
			seq = s.seq;
			me->wrong += (seq & ~LAST) != next || s.check != check_of(&s);
			if (next >= warm)
				bench_histogram_add(
					&w->trips->intended,
					now > s.due ? (uint64_t)bench_ticks_ns(now - s.due) : 0);
		}
		if (myelon_release(w->in.raw, v.count) < 0)
			return bench_library_fail(me, "a message could not be released");
	}
	me->stop = bench_ticks();
	me->cpu_s = bench_cpu_seconds() - cpu;
	return 0;
}

static int play(struct bench_crew *crew, unsigned int role, void *arg)
{
	struct bench_wake *w = arg;
	struct bench_role *me = &crew->role[role];
	int rc;

	if (role == 1)
		bench_populate(w->trips, sizeof(*w->trips));
	rc = role == 0 ? bench_wake_make(w, "there", me) : bench_wake_read(w, "there", me);
	if (rc < 0 || bench_wake_settle(w, crew, me) < 0)
		return -1;
	rc = role == 0 ? produce(w, me) : consume(w, me);
	if (rc < 0)
		return rc;
	bench_meet(crew, BENCH_MEET_END);
	bench_wake_close(w, me);
	return 0;
}

static double share(const struct bench_role *r)
{
	return r->cpu_s * 1e9 / bench_ticks_ns(r->stop - r->start);
}

int bench_wake_rate(struct bench_wake *w, double rate, double seconds,
                    struct bench_wake_result *result)
{
	const struct bench_options *o = w->ring.o;
	const struct bench_cast cast = {.what = bench_way_name(w->which),
	                                .roles = 2,
	                                .play = play,
	                                .arg = w,
	                                .cpus = o->cpus,
	                                .cpu_count = 2,
	                                .timeout_s =
	                                        o->timeout_s + (unsigned int)(seconds * LATEST)};
	const struct bench_crew *crew;

	w->rate = rate;
	w->seconds = seconds;
	memset(w->trips, 0, sizeof(*w->trips));
	crew = bench_crew_run(&cast);
	bench_place_clear(w->ring.place);
	if (!crew)
		return -1;
	result->cpu[0] = share(&crew->role[0]);
	result->cpu[1] = share(&crew->role[1]);
	result->achieved = (double)crew->role[0].messages * 1e9 /
	                   bench_ticks_ns(crew->role[0].stop - crew->role[0].start);
	result->verified = crew->role[1].wrong == 0;
	return 0;
}
