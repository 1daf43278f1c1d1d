/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "wake_table.h"
#include "json.h"
#include "machine.h"
#include "report.h"

#include <math.h>
#include <stdio.h>

const char *const bench_wake_base_names[BENCH_BASES] = {
	[BENCH_BASE_FUTEX] = "futex",         [BENCH_BASE_EVENTFD] = "eventfd",
	[BENCH_BASE_EPOLL] = "eventfd_epoll", [BENCH_BASE_PARK] = "park",
	[BENCH_BASE_FD_URING] = "fd/uring",
};

const char *bench_wake_rate_text(uint64_t rate, char buf[24])
{
	double r = (double)rate;

	(void)snprintf(buf, 24, "%g%s/s",
	               rate >= 1000000 ? r / 1e6
	               : rate >= 1000  ? r / 1e3
	                               : r,
	               rate >= 1000000 ? "M"
	               : rate >= 1000  ? "k"
	                               : "");
	return buf;
}

static double ratio_of(const struct bench_wake_row *r, unsigned int i)
{
	return r->base[i] ? bench_series_ratio(&r->p50, &r->base_p50[i]) : NAN;
}

/* What a round trip takes beyond its base, ns. */
static double added_by(const struct bench_wake_row *r)
{
	struct bench_series more = {.count = r->p50.count};

	for (unsigned int i = 0; i < more.count; i++)
		more.value[i] = r->p50.value[i] - r->base_p50[0].value[i];
	return bench_series_median(&more);
}

static void print_us(double ns, int width)
{
	if (isnan(ns))
		printf(" %*s", width, "-");
	else
		printf(" %*.2f", width, ns / 1e3);
}

void bench_wake_print_head(const struct bench_wake_table *t)
{
	bench_machine_print(t->o->cpus, t->o->cpu_count);
	printf("wake: messages of %u bytes, %u rings in a wait set\n", (unsigned int)t->o->payload,
	       (unsigned int)t->o->rings);
	for (unsigned int i = 0; i < t->rows; i++)
		if (!t->row[i].there)
			printf("  skipped: %s: %s\n", bench_way_name(t->row[i].which),
			       t->row[i].reason);
	(void)fflush(stdout);
}

static void print_trips_row(const struct bench_wake_row *r)
{
	double p99 = bench_histogram_percentile(r->single, 99);

	printf("  %-12s", bench_way_name(r->which));
	print_us(bench_series_median(&r->p50), 10);
	print_us(p99 < 0 ? NAN : p99, 10);
	printf(" %7.2f", bench_series_median(&r->sleeps));
	for (unsigned int i = 0; i < 2; i++) {
		double ratio = ratio_of(r, i);

		if (isnan(ratio))
			continue;
		if (i == 0)
			print_us(added_by(r), 8);
		printf("%s%.2f x %s", i ? ", " : "   ", ratio, bench_wake_base_names[r->base[i]]);
		if (i == 0)
			printf(" (at most %.1f%s)", r->bound, ratio > r->bound ? ": MORE" : "");
	}
	putchar('\n');
}

void bench_wake_print_trips(const struct bench_wake_table *t)
{
	printf("round trips with %.0f us of silence before each message, us (median of %u "
	       "rounds)\n",
	       (double)t->o->silence_ns / 1e3, (unsigned int)t->o->rounds);
	printf("  %-12s %10s %10s %7s %8s   ratio, of the same round\n", "", "p50", "p99", "sleeps",
	       "added");
	for (unsigned int b = BENCH_BASE_FUTEX; b <= BENCH_BASE_EPOLL; b++) {
		if (t->bare[b].count == 0)
			continue;
		printf("  bare %-15s", bench_wake_base_names[b]);
		printf(" %2.2f  (%.2f .. %.2f)\n", bench_series_median(&t->bare[b]) / 1e3,
		       bench_series_min(&t->bare[b]) / 1e3, bench_series_max(&t->bare[b]) / 1e3);
	}
	for (unsigned int i = 0; i < t->rows; i++)
		if (t->row[i].there)
			print_trips_row(&t->row[i]);
	(void)fflush(stdout);
}

void bench_wake_print_rate_head(void)
{
	printf("one way at a rate: latency from the intended time, us; CPU time, %% of one CPU\n");
	printf("  %-8s %-12s %10s %10s %10s %10s %10s\n", "rate", "", "p50", "p99", "max",
	       "consumer", "publish");
	(void)fflush(stdout);
}

void bench_wake_print_cell(const struct bench_wake_table *t, const struct bench_wake_row *r,
                           unsigned int rate)
{
	const struct bench_wake_cell *c = &r->cell[rate];
	uint64_t wanted = t->o->rates.value[rate];
	char text[24];

	printf("  %-8s %-12s", bench_wake_rate_text(wanted, text), bench_way_name(r->which));
	print_us(c->p50, 10);
	print_us(c->p99, 10);
	print_us(c->max, 10);
	printf(" %10.2f %10.2f", c->result.cpu[1] * 100, c->result.cpu[0] * 100);
	if (c->result.achieved < 0.95 * (double)wanted)
		printf("   only %s", bench_wake_rate_text((uint64_t)c->result.achieved, text));
	putchar('\n');
	(void)fflush(stdout);
}

void bench_wake_print_fanout(const struct bench_wake_table *t)
{
	bool known[BENCH_FANOUTS];
	const char *reason;

	printf("waking n sleeping processes, us: until the calls have returned / until the last "
	       "one runs\n  (median of %u rounds)\n  %6s",
	       (unsigned int)t->o->rounds, "n");
	for (unsigned int by = 0; by < BENCH_FANOUTS; by++) {
		known[by] = bench_fanout_known((enum bench_fanout_by)by, &reason);
		printf(" %18s", bench_fanout_names[by]);
	}
	putchar('\n');
	for (uint32_t i = 0; i < t->o->fanout.count; i++) {
		printf("  %6u", (unsigned int)t->o->fanout.value[i]);
		for (unsigned int by = 0; by < BENCH_FANOUTS; by++) {
			const struct bench_fanout *f = &t->fanout[i][by];

			if (known[by])
				printf(" %8.2f /%8.2f", bench_series_median(&f->call) / 1e3,
				       bench_series_median(&f->last) / 1e3);
			else
				printf(" %18s", "-");
		}
		putchar('\n');
	}
	if (!bench_fanout_known(BENCH_BY_SUBMISSION, &reason))
		printf("  skipped: io_uring: %s\n", reason);
}

static void json_trips(struct json *j, const struct bench_wake_row *r)
{
	json_object(j, NULL);
	json_string(j, "wait", bench_way_name(r->which));
	json_bool(j, "available", r->there);
	json_string(j, "reason", r->there ? NULL : r->reason);
	if (r->there && r->p50.count) {
		bench_report_spread(j, "rtt_ns", r->single, &r->p50);
		json_double(j, "sleeps_per_trip", bench_series_median(&r->sleeps));
		if (r->base[0])
			json_double(j, "added_ns", added_by(r));
		json_object(j, "ratio");
		for (unsigned int i = 0; i < 2; i++)
			if (r->base[i])
				json_double(j, bench_wake_base_names[r->base[i]], ratio_of(r, i));
		json_object_end(j);
		if (r->base[0])
			json_double(j, "bound", r->bound);
	}
	json_object_end(j);
}

static void json_cell(struct json *j, const struct bench_wake_row *r, uint64_t rate,
                      const struct bench_wake_cell *c)
{
	json_object(j, NULL);
	json_uint(j, "rate", rate);
	json_string(j, "wait", bench_way_name(r->which));
	json_double(j, "achieved", c->result.achieved);
	json_object(j, "latency_ns");
	json_double(j, "p50", c->p50);
	json_double(j, "p99", c->p99);
	json_double(j, "max", c->max);
	json_object_end(j);
	json_object(j, "cpu_percent");
	json_double(j, "consumer", c->result.cpu[1] * 100);
	json_double(j, "publish", c->result.cpu[0] * 100);
	json_object_end(j);
	json_object_end(j);
}

static void json_fanout(struct json *j, const struct bench_wake_table *t)
{
	const char *reason;

	json_array(j, "fanout");
	for (uint32_t i = 0; i < t->o->fanout.count; i++) {
		json_object(j, NULL);
		json_uint(j, "sleepers", t->o->fanout.value[i]);
		for (unsigned int by = 0; by < BENCH_FANOUTS; by++) {
			const struct bench_fanout *f = &t->fanout[i][by];

			if (!bench_fanout_known((enum bench_fanout_by)by, &reason))
				continue;
			json_object(j, bench_fanout_names[by]);
			json_double(j, "call_ns", bench_series_median(&f->call));
			json_double(j, "last_ns", bench_series_median(&f->last));
			json_object_end(j);
		}
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_limit(struct json *j, const struct bench_wake_table *t)
{
	json_object(j, "limit");
	json_double(j, "futex_rtt_p50_ns", bench_series_median(&t->bare[BENCH_BASE_FUTEX]));
	json_double(j, "eventfd_rtt_p50_ns", bench_series_median(&t->bare[BENCH_BASE_EVENTFD]));
	json_double(j, "eventfd_epoll_rtt_p50_ns", bench_series_median(&t->bare[BENCH_BASE_EPOLL]));
	json_object_end(j);
}

void bench_wake_json(const struct bench_wake_table *t)
{
	struct json j;

	json_begin(&j, stdout, false);
	json_object(&j, NULL);
	json_string(&j, "bench", "wake");
	json_uint(&j, "payload", t->o->payload);
	json_uint(&j, "rings", t->o->rings);
	json_uint(&j, "rounds", t->o->rounds);
	json_int(&j, "silence_ns", t->o->silence_ns);
	json_limit(&j, t);
	json_array(&j, "round_trips");
	for (unsigned int i = 0; i < t->rows; i++)
		json_trips(&j, &t->row[i]);
	json_array_end(&j);
	json_array(&j, "rates");
	for (uint32_t k = 0; k < t->o->rates.count; k++)
		for (unsigned int i = 0; i < t->rows; i++)
			if (t->row[i].cell[k].measured)
				json_cell(&j, &t->row[i], t->o->rates.value[k], &t->row[i].cell[k]);
	json_array_end(&j);
	json_fanout(&j, t);
	json_object(&j, "ratio");
	for (unsigned int i = 0; i < t->rows; i++)
		if (t->row[i].there && t->row[i].base[0])
			json_double(&j, bench_way_name(t->row[i].which), ratio_of(&t->row[i], 0));
	json_object_end(&j);
	bench_machine_json(&j, t->o->cpus, t->o->cpu_count);
	json_bool(&j, "verified", t->verified);
	json_object_end(&j);
	json_end(&j);
}
