/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon bench wake` */
#include "bare.h"
#include "cli.h"
#include "commands.h"
#include "wake_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TRIPS 200 /* per round */
#define SECONDS 0.4
#define SECONDS_MAX 1.5
#define SAMPLES 112 /* wanted, if they come within SECONDS_MAX */

struct bench {
	struct bench_wake_table table;
	struct bench_place place;
	struct bench_trips *trips; /* shared; of the run that ended last */
	struct bench_bare bare;
};

static void compare_with(struct bench_wake_row *r, enum bench_wake_base first,
                         enum bench_wake_base second, double bound)
{
	r->base[0] = first;
	r->base[1] = second;
	r->bound = bound;
}

/* A descriptor is waited for by epoll, and so is the eventfd it is compared with; a wait set has a single
 * sleep of the same kind beside it. */
static void choose_bases(struct bench_wake_row *r)
{
	switch (r->which) {
	case MYELON_WAIT_PARK:
		compare_with(r, BENCH_BASE_FUTEX, BENCH_BASE_NONE, 1.2);
		break;
	case BENCH_FD_URING:
	case BENCH_FD_DIRECT:
		compare_with(r, BENCH_BASE_EPOLL, BENCH_BASE_EVENTFD, 1.2);
		break;
	case BENCH_FD_PROXY:
		compare_with(r, BENCH_BASE_EPOLL, BENCH_BASE_EVENTFD, 2.2);
		break;
	case BENCH_SET_URING:
		compare_with(r, BENCH_BASE_FD_URING, BENCH_BASE_FUTEX, 1.3);
		break;
	case BENCH_SET_EPOLL:
		compare_with(r, BENCH_BASE_PARK, BENCH_BASE_FUTEX, 1.3);
		break;
	default:
		break;
	}
}

static int run_way(struct bench *b, unsigned int which, double *p50, double *sleeps)
{
	const struct bench_options *o = b->table.o;
	struct bench_wake w;

	bench_wake_plan(&w, o, &b->place, b->trips, which, (uint32_t)o->rings);
	if (bench_wake_trips(&w, which == MYELON_WAIT_SLEEP ? TRIPS / 4 : TRIPS, sleeps,
	                     &b->table.verified) < 0)
		return -1;
	*p50 = bench_trips_p50(b->trips);
	return 0;
}

static int run_base(struct bench *b, enum bench_wake_base base, struct bench_series *beside)
{
	double p50 = NAN, sleeps;
	int rc = 0;

	switch (base) {
	case BENCH_BASE_FUTEX:
		rc = bench_bare_futex(&b->bare, TRIPS);
		break;
	case BENCH_BASE_EVENTFD:
		rc = bench_bare_eventfd(&b->bare, TRIPS);
		break;
	case BENCH_BASE_EPOLL:
		rc = bench_bare_epoll(&b->bare, TRIPS);
		break;
	case BENCH_BASE_PARK:
		rc = run_way(b, MYELON_WAIT_PARK, &p50, &sleeps);
		break;
	case BENCH_BASE_FD_URING:
		rc = run_way(b, BENCH_FD_URING, &p50, &sleeps);
		break;
	default:
		return 0;
	}
	if (rc == 0 && isnan(p50)) {
		p50 = bench_trips_p50(b->trips);
		bench_series_add(&b->table.bare[base], p50);
	}
	if (rc == 0)
		bench_series_add(beside, p50);
	return rc;
}

static int run_subject(struct bench *b, struct bench_wake_row *r)
{
	double p50, sleeps;

	if (run_way(b, r->which, &p50, &sleeps) < 0)
		return -1;
	bench_series_add(&r->p50, p50);
	bench_series_add(&r->sleeps, sleeps);
	bench_histogram_merge(r->single, &b->trips->single);
	return 0;
}

/* Its bases are its neighbours in time: the first one the nearer. */
static int run_row(struct bench *b, struct bench_wake_row *r, bool reversed)
{
	int rc = 0;

	if (reversed)
		rc = run_subject(b, r);
	for (unsigned int i = 0; rc == 0 && i < 2; i++) {
		unsigned int which = reversed ? i : 1 - i;

		rc = run_base(b, r->base[which], &r->base_p50[which]);
	}
	if (rc == 0 && !reversed)
		rc = run_subject(b, r);
	return rc;
}

static int run_trips(struct bench *b)
{
	struct bench_wake_table *t = &b->table;

	for (uint64_t round = 0; round < t->o->rounds; round++)
		for (unsigned int i = 0; i < t->rows; i++)
			if (t->row[i].there && run_row(b, &t->row[i], round % 2) < 0)
				return -1;
	return 0;
}

static double seconds_for(const struct bench_options *o, double rate)
{
	double s = SAMPLES / rate;

	if (o->idle_ns)
		return (double)o->idle_ns / 1e9;
	return s < SECONDS ? SECONDS : s > SECONDS_MAX ? SECONDS_MAX : s;
}

static double percentile(const struct bench_histogram *h, double percent)
{
	double v = bench_histogram_percentile(h, percent);

	return v < 0 ? NAN : v;
}

static int run_cell(struct bench *b, struct bench_wake_row *r, unsigned int k)
{
	const struct bench_options *o = b->table.o;
	const struct bench_histogram *h = &b->trips->intended;
	struct bench_wake_cell *c = &r->cell[k];
	double rate = (double)o->rates.value[k];
	struct bench_wake w;

	bench_wake_plan(&w, o, &b->place, b->trips, r->which, (uint32_t)o->rings);
	if (bench_wake_rate(&w, rate, seconds_for(o, rate), &c->result) < 0)
		return -1;
	c->measured = true;
	c->p50 = percentile(h, 50);
	c->p99 = percentile(h, 99);
	c->max = h->total ? (double)h->max : NAN;
	b->table.verified &= c->result.verified;
	return 0;
}

static int run_rates(struct bench *b)
{
	struct bench_wake_table *t = &b->table;

	for (uint32_t k = 0; k < t->o->rates.count; k++) {
		for (unsigned int i = 0; i < t->rows; i++) {
			if (!t->row[i].there)
				continue;
			if (run_cell(b, &t->row[i], k) < 0)
				return -1;
			if (!t->o->json)
				bench_wake_print_cell(t, &t->row[i], k);
		}
	}
	return 0;
}

static int run_fanout(struct bench *b)
{
	struct bench_wake_table *t = &b->table;
	const char *reason;

	for (uint64_t round = 0; round < t->o->rounds; round++) {
		for (uint32_t i = 0; i < t->o->fanout.count; i++) {
			for (unsigned int k = 0; k < BENCH_FANOUTS; k++) {
				unsigned int by = round % 2 ? BENCH_FANOUTS - 1 - k : k;

				if (bench_fanout_known((enum bench_fanout_by)by, &reason) &&
				    bench_fanout_round(t->o, (enum bench_fanout_by)by,
				                       (uint32_t)t->o->fanout.value[i],
				                       &t->fanout[i][by]) < 0)
					return -1;
			}
		}
	}
	return 0;
}

/* 1: it exists here; 0, with the reason; -1 after an error message. */
static int probe(struct bench *b, unsigned int which, char *reason, size_t size)
{
	const struct bench_options *o = b->table.o;
	struct bench_wake w;

	bench_wake_plan(&w, o, &b->place, b->trips, which, (uint32_t)o->rings);
	return bench_wake_probe(&w, reason, size);
}

/* What cannot be had is not compared with. */
static int check_bases(struct bench *b, struct bench_wake_row *r)
{
	char reason[8];
	int rc = 1;

	if (r->there && r->base[0] == BENCH_BASE_FD_URING)
		rc = probe(b, BENCH_FD_URING, reason, sizeof(reason));
	if (rc == 0) {
		r->base[0] = r->base[1];
		r->base[1] = BENCH_BASE_NONE;
	}
	return rc < 0 ? -1 : 0;
}

static int open_rows(struct bench *b)
{
	struct bench_wake_table *t = &b->table;
	int rc;

	for (uint32_t i = 0; i < t->o->wait.count && t->rows < BENCH_WAYS; i++) {
		struct bench_wake_row *r = &t->row[t->rows++];

		r->which = (unsigned int)t->o->wait.value[i];
		r->single = calloc(1, sizeof(*r->single));
		if (!r->single)
			return bench_error("out of memory");
		rc = probe(b, r->which, r->reason, sizeof(r->reason));
		r->there = rc > 0;
		choose_bases(r);
		if (rc < 0 || check_bases(b, r) < 0)
			return -1;
	}
	return 0;
}

static int measure(struct bench *b)
{
	struct bench_wake_table *t = &b->table;
	int rc;

	if (t->o->fanout.count) {
		rc = run_fanout(b);
		if (rc == 0 && !t->o->json) {
			bench_wake_print_head(t);
			bench_wake_print_fanout(t);
		}
		return rc;
	}
	rc = open_rows(b);
	if (rc == 0 && !t->o->json)
		bench_wake_print_head(t);
	if (rc == 0)
		rc = run_trips(b);
	if (rc == 0 && !t->o->json) {
		bench_wake_print_trips(t);
		bench_wake_print_rate_head();
	}
	return rc == 0 ? run_rates(b) : rc;
}

int bench_wake(const struct bench_options *o)
{
	struct bench *b = calloc(1, sizeof(*b));
	bool verified;
	int rc;

	if (!b)
		return cli_error(CLI_FAILURE, "bench: out of memory");
	b->table.o = o;
	b->table.verified = true;
	b->trips = bench_shared(sizeof(*b->trips));
	b->bare = (struct bench_bare){.cpus = o->cpus,
	                              .timeout_s = o->timeout_s,
	                              .trips = b->trips,
	                              .silent = true,
	                              .silence_ns = (double)o->silence_ns};
	rc = b->trips && (!o->plot || bench_wake_plot_ready() == 0) ? bench_place_open(&b->place, o)
	                                                            : -1;
	if (rc == 0)
		rc = measure(b);
	b->table.verified &= !b->bare.wrong;
	if (rc == 0 && o->json)
		bench_wake_json(&b->table);
	if (rc == 0 && o->plot)
		rc = bench_wake_plot(&b->table, o->plot);
	bench_place_close(&b->place);
	bench_unshare(b->trips, sizeof(*b->trips));
	for (unsigned int i = 0; i < b->table.rows; i++)
		free(b->table.row[i].single);
	verified = b->table.verified;
	free(b);
	return bench_end(rc, verified);
}
