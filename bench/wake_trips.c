/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Round trips of a way to wait: two rings, and both sides wait in the same way. */
#include "payload.h"
#include "wake.h"

#include <string.h>

static int send(struct bench_wake *w, uint64_t seq, uint64_t seed)
{
	struct myelon_span s;
	int rc = myelon_claim(w->out.raw, 1, MYELON_FOREVER, &s);

	if (rc < 0)
		return rc;
	bench_fill(s.base, w->ring.payload, bench_first_word(seed, seq));
	return myelon_publish(w->out.raw, 1);
}

static int receive(struct bench_wake *w, uint64_t seq, uint64_t seed)
{
	struct myelon_view v;
	int n = bench_way_peek(&w->way, 1, &v);

	if (n < 0)
		return n;
	w->wrong += !bench_check(v.base, w->ring.payload, bench_first_word(seed, seq));
	return 0;
}

/* An answer is released while the next request is under way, as in pingpong. */
static int ask(void *ctx, uint64_t seq)
{
	struct bench_wake *w = ctx;
	int rc = send(w, seq, 1);

	if (rc == 0 && seq > 0)
		rc = myelon_release(w->in.raw, 1);
	return rc < 0 ? rc : receive(w, seq, 2);
}

static int answer(struct bench_wake *w, uint64_t seq)
{
	int rc = receive(w, seq, 1);

	if (rc < 0)
		return rc;
	bench_be_silent_in_trip(w->trips, &w->plan);
	rc = send(w, seq, 2);
	return rc < 0 ? rc : myelon_release(w->in.raw, 1);
}

static int answer_all(struct bench_wake *w)
{
	for (uint64_t seq = 0; seq < bench_trip_total(&w->plan); seq++)
		if (answer(w, seq) < 0)
			return -1;
	return 0;
}

static int play(struct bench_crew *crew, unsigned int role, void *arg)
{
	static const char *const stems[] = {"there", "back"};
	struct bench_wake *w = arg;
	struct bench_role *me = &crew->role[role];
	uint64_t before, slept;
	int rc;

	if (role == 0)
		bench_populate(w->trips, sizeof(*w->trips));
	if (bench_wake_make(w, stems[role], me) < 0 || bench_wake_read(w, stems[!role], me) < 0 ||
	    bench_wake_settle(w, crew, me) < 0)
		return -1;
	before = bench_way_sleeps(&w->way);
	rc = role == 0 ? bench_trips_run(w->trips, &w->plan, ask, w, &me->start) : answer_all(w);
	if (rc < 0)
		return bench_library_fail(me, "a message could not be moved");
	me->wrong = w->wrong;
	slept = bench_way_sleeps(&w->way) - before;
	bench_meet(crew, BENCH_MEET_END);
	bench_wake_close(w, me);
	me->waits = slept;
	return 0;
}

int bench_wake_trips(struct bench_wake *w, uint64_t messages, double *sleeps, bool *verified)
{
	const struct bench_options *o = w->ring.o;
	const struct bench_cast cast = {.what = bench_way_name(w->which),
	                                .roles = 2,
	                                .play = play,
	                                .arg = w,
	                                .cpus = o->cpus,
	                                .cpu_count = 2,
	                                .timeout_s = o->timeout_s};
	const struct bench_crew *crew;

	w->plan = bench_trip_plan_silent(messages, (double)o->silence_ns);
	memset(w->trips, 0, sizeof(*w->trips));
	crew = bench_crew_run(&cast);
	bench_place_clear(w->ring.place);
	if (!crew)
		return -1;
	*sleeps = (double)(crew->role[0].waits + crew->role[1].waits) /
	          (double)bench_trip_total(&w->plan);
	*verified &= crew->role[0].wrong == 0 && crew->role[1].wrong == 0;
	return 0;
}
