/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon bench pingpong` */
#include "cli.h"
#include "commands.h"
#include "json.h"
#include "limit.h"
#include "machine.h"
#include "pair.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

/* A subject over all its rounds. */
struct subject {
	struct bench_pair pair;
	struct bench_series p50; /* ns */
	struct bench_series rate;
	struct bench_trips *all; /* of all rounds together */
	struct bench_pair_result last;
	double cpu_s[2];
	bool wrong;
};

enum { MAIN, OTHER, SUBJECTS }; /* OTHER: raw beside framed, or copied beside in place */

struct bench {
	const struct bench_options *o;
	struct bench_limit limit;
	struct bench_place place;
	struct subject subject[SUBJECTS];
	unsigned int subjects;
};

static uint64_t messages_for(const struct bench_options *o, size_t payload)
{
	uint64_t slowest = UINT64_MAX;
	enum myelon_wait waits[] = {bench_producer_wait(o), bench_consumer_wait(o, 0)};

	if (o->messages)
		return o->messages;
	/* A trip with a sleep in it takes so long that few fit into a round. */
	for (size_t i = 0; i < 2; i++) {
		uint64_t n = waits[i] == MYELON_WAIT_SLEEP   ? 100
		             : waits[i] == MYELON_WAIT_PARK  ? 1000
		             : waits[i] == MYELON_WAIT_YIELD ? 5000
		                                             : bench_trips_for(payload);

		slowest = n < slowest ? n : slowest;
	}
	return slowest < bench_trips_for(payload) ? slowest : bench_trips_for(payload);
}

static int prepare(struct bench *b, struct subject *s, bool framed, bool copy)
{
	const struct bench_options *o = b->o;
	struct bench_pair *p = &s->pair;

	bench_ring_plan(&p->ring, o, &b->place, framed);
	p->plan = bench_trip_plan(messages_for(o, o->payload), o->rate);
	p->depth = (unsigned int)o->depth;
	p->copy = copy;
	p->fragment = o->fragment;
	p->touched = o->touch == BENCH_TOUCH_LINE && o->payload > 64 ? 64 : o->payload;
	p->trips = bench_shared(sizeof(*p->trips));
	s->all = calloc(1, sizeof(*s->all));
	if (p->depth >= bench_ring_messages(&p->ring) && p->depth > 1)
		return bench_error("--depth %u needs a window of more messages than %u", p->depth,
		                   bench_ring_messages(&p->ring));
	return p->trips && s->all ? 0 : -1;
}

static int run_subject(struct subject *s)
{
	struct bench_pair *p = &s->pair;

	if (bench_pair_run(p, &s->last) < 0)
		return -1;
	bench_series_add(&s->p50, bench_trips_p50(p->trips));
	bench_series_add(&s->rate, s->last.msgs_per_s);
	bench_histogram_merge(&s->all->single, &p->trips->single);
	bench_histogram_merge(&s->all->intended, &p->trips->intended);
	s->cpu_s[0] += s->last.cpu_s[0];
	s->cpu_s[1] += s->last.cpu_s[1];
	s->wrong |= !s->last.verified;
	return 0;
}

/* In every second round all comes in the opposite order, so neighbours stay neighbours. */
static int run_round(struct bench *b, bool reversed)
{
	int rc = reversed ? 0 : bench_limit_round(&b->limit, false);

	for (unsigned int i = 0; rc == 0 && i < b->subjects; i++)
		rc = run_subject(&b->subject[reversed ? b->subjects - 1 - i : i]);
	if (rc == 0 && reversed)
		rc = bench_limit_round(&b->limit, true);
	return rc;
}

struct ratios {
	double bare;
	double line;
	double futex;
	double other; /* framed to raw, or the gain of in place over copied */
};

static struct ratios ratios_of(const struct bench *b)
{
	const struct bench_series *p50 = &b->subject[MAIN].p50;
	const struct bench_series *other = &b->subject[OTHER].p50;

	return (struct ratios){
		.bare = bench_series_ratio(p50, &b->limit.ring),
		.line = bench_series_ratio(p50, &b->limit.line),
		.futex = bench_series_ratio(p50, &b->limit.futex),
		.other = b->o->compare_copy ? bench_series_ratio(other, p50)
	                                    : bench_series_ratio(p50, other),
	};
}

static void report_json(const struct bench *b, bool verified)
{
	const struct subject *s = &b->subject[MAIN], *other = &b->subject[OTHER];
	struct ratios ratio = ratios_of(b);
	struct json j;

	json_begin(&j, stdout, false);
	json_object(&j, NULL);
	bench_report_head(&j, &s->pair.ring, &s->last.asker, 1, bench_trip_total(&s->pair.plan),
	                  s->p50.count);
	json_uint(&j, "depth", s->pair.depth);
	json_uint(&j, "touched", s->pair.touched);
	if (b->o->rate > 0)
		json_double(&j, "rate", b->o->rate);
	bench_limit_json(&b->limit, &j);
	bench_report_rtt(&j, s->all, b->o->rate > 0 ? NULL : &s->p50);
	bench_report_throughput(&j, bench_series_median(&s->rate), s->pair.ring.payload);
	bench_report_cpu(&j, s->cpu_s, 1);
	json_object(&j, "ratio");
	json_double(&j, "bare", ratio.bare);
	json_double(&j, "line", ratio.line);
	json_double(&j, "futex", ratio.futex);
	if (b->subjects == 2)
		json_double(&j, b->o->compare_copy ? "copied_to_in_place" : "raw", ratio.other);
	json_object_end(&j);
	if (b->subjects == 2) {
		json_object(&j, b->o->compare_copy ? "copied" : "raw");
		if (b->o->compare_copy)
			json_uint(&j, "fragment", other->pair.fragment);
		bench_report_rtt(&j, other->all, b->o->rate > 0 ? NULL : &other->p50);
		json_object_end(&j);
	}
	bench_report_handles(&j, &s->last.asker, &s->last.answerer);
	bench_machine_json(&j, b->o->cpus, 2);
	json_bool(&j, "verified", verified);
	json_object_end(&j);
	json_end(&j);
}

static void report_text(const struct bench *b, bool verified)
{
	const struct subject *s = &b->subject[MAIN];
	struct ratios ratio = ratios_of(b);

	bench_machine_print(b->o->cpus, 2);
	bench_limit_print(&b->limit);
	bench_print_ring(&s->pair.ring, &s->last.asker);
	if (b->o->rate > 0) {
		bench_print_spread("from the intended send time", &s->all->intended);
		bench_print_spread("from the actual send time", &s->all->single);
	} else {
		printf("  %-34s %12.1f ns    (%.1f .. %.1f)\n", "round trip, p50",
		       bench_series_median(&s->p50), bench_series_min(&s->p50),
		       bench_series_max(&s->p50));
		bench_print_spread("single round trips", &s->all->single);
	}
	if (b->subjects == 2)
		printf("  %-34s %12.1f ns\n",
		       b->o->compare_copy ? "copied in fragments, p50" : "raw, p50",
		       bench_series_median(&b->subject[OTHER].p50));
	printf("  %-34s %12.0f round trips/s\n", "throughput", bench_series_median(&s->rate));
	bench_print_ratio("to the bare ring", ratio.bare);
	bench_print_ratio("to the cache line", ratio.line);
	if (bench_consumer_wait(b->o, 0) == MYELON_WAIT_PARK)
		bench_print_ratio("to the futex", ratio.futex);
	if (b->subjects == 2)
		bench_print_ratio(b->o->compare_copy ? "in place is faster by" : "framed to raw",
		                  ratio.other);
	printf("  content: %s\n", verified ? "every message verified" : "WRONG");
}

static int open_bench(struct bench *b)
{
	const struct bench_options *o = b->o;
	struct bench_ring *r = &b->subject[MAIN].pair.ring;
	bool framed = o->layer == BENCH_FRAMED;

	b->subjects = framed ? 2 : 1;
	if (bench_place_open(&b->place, o) < 0 ||
	    prepare(b, &b->subject[MAIN], framed, false) < 0 ||
	    (framed && prepare(b, &b->subject[OTHER], o->compare_copy, o->compare_copy) < 0))
		return -1;
	if (bench_limit_open(&b->limit, o, bench_ring_bytes_each(r), bench_ring_messages(r)) < 0)
		return -1;
	return 0;
}

int bench_pingpong(const struct bench_options *o)
{
	struct bench *b = calloc(1, sizeof(*b));
	bool verified = true;
	int rc;

	if (!b)
		return cli_error(CLI_FAILURE, "bench: out of memory");
	b->o = o;
	rc = open_bench(b);
	for (uint64_t round = 0; rc == 0 && round < o->rounds; round++)
		rc = run_round(b, round % 2);
	for (unsigned int i = 0; i < b->subjects; i++)
		verified &= !b->subject[i].wrong;
	verified &= !b->limit.bare.wrong;
	if (rc == 0 && o->json)
		report_json(b, verified);
	else if (rc == 0)
		report_text(b, verified);
	bench_place_close(&b->place);
	bench_limit_close(&b->limit);
	for (unsigned int i = 0; i < SUBJECTS; i++) {
		bench_unshare(b->subject[i].pair.trips, sizeof(struct bench_trips));
		free(b->subject[i].all);
	}
	free(b);
	return bench_end(rc, verified);
}
