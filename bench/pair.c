/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "pair.h"

#include <stdlib.h>
#include <string.h>

/* All is there before the first message. */
static int open_ends(struct bench_pair *p, struct bench_crew *crew, unsigned int role)
{
	struct bench_role *me = &crew->role[role];

	if (bench_ends_open(&p->out, &p->in, &p->ring, role, me) < 0)
		return -1;
	if (p->copy) {
		p->mine = calloc(1, p->ring.payload);
		p->got = calloc(1, p->ring.payload);
		if (!p->mine || !p->got)
			return bench_fail(me, "no memory for a message of %zu bytes",
			                  p->ring.payload);
		/* Present before it is measured. */
		memset(p->mine, 1, p->ring.payload);
		memset(p->got, 1, p->ring.payload);
	}
	return 0;
}

static int measure(struct bench_pair *p, unsigned int role, struct bench_role *me)
{
	uint64_t total = bench_trip_total(&p->plan);

	if (role == 0)
		return p->copy          ? bench_pair_ask_copy(p, &me->start)
		       : p->ring.framed ? bench_pair_ask_framed(p, &me->start)
		                        : bench_pair_ask_raw(p, &me->start);
	return p->copy          ? bench_pair_answer_copy(p, total)
	       : p->ring.framed ? bench_pair_answer_framed(p, total)
	                        : bench_pair_answer_raw(p, total);
}

static int play(struct bench_crew *crew, unsigned int role, void *arg)
{
	struct bench_pair *p = arg;
	struct bench_role *me = &crew->role[role];
	double cpu;

	if (role == 0)
		bench_populate(p->trips, sizeof(*p->trips));
	if (open_ends(p, crew, role) < 0)
		return -1;
	bench_meet(crew, 0);
	cpu = bench_cpu_seconds();
	if (measure(p, role, me) < 0)
		return bench_library_fail(me, "a message could not be moved");
	me->stop = bench_ticks();
	me->cpu_s = bench_cpu_seconds() - cpu;
	me->messages = bench_trip_total(&p->plan);
	me->wrong = p->wrong;
	bench_meet(crew, 1);
	bench_in_close(&p->in, me);
	bench_out_close(&p->out, me);
	free(p->mine);
	free(p->got);
	return 0;
}

int bench_pair_run(struct bench_pair *p, struct bench_pair_result *result)
{
	const struct bench_options *o = p->ring.o;
	const struct bench_cast cast = {.what = p->ring.framed ? "framed round trips"
	                                                       : "raw round trips",
	                                .roles = 2,
	                                .play = play,
	                                .arg = p,
	                                .cpus = o->cpus,
	                                .cpu_count = 2,
	                                .timeout_s = o->timeout_s};
	const struct bench_crew *crew;
	uint64_t measured = p->plan.groups * BENCH_GROUP + p->plan.singles;

	memset(p->trips, 0, sizeof(*p->trips));
	crew = bench_crew_run(&cast);
	bench_place_clear(p->ring.place);
	if (!crew)
		return -1;
	result->asker = crew->role[0];
	result->answerer = crew->role[1];
	result->msgs_per_s =
		(double)measured * 1e9 / bench_ticks_ns(crew->role[0].stop - crew->role[0].start);
	result->cpu_s[0] = crew->role[0].cpu_s;
	result->cpu_s[1] = crew->role[1].cpu_s;
	result->verified = crew->role[0].wrong == 0 && crew->role[1].wrong == 0;
	return 0;
}
