/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon bench signal` */
#include "cli.h"
#include "commands.h"
#include "flow.h"
#include "json.h"
#include "limit.h"
#include "machine.h"
#include "report.h"

#include <stdlib.h>

enum { SINGLE, BATCH, SUBJECTS };

struct subject {
	struct bench_flow flow;
	struct bench_series rate;
	double cpu_s[1 + BENCH_ROLES_MAX];
	struct bench_role maker;
	struct bench_role reader; /* the first consumer */
};

struct bench {
	const struct bench_options *o;
	struct bench_limit limit;
	struct bench_place place;
	struct subject subject[SUBJECTS];
	unsigned int subjects;
	bool wrong;
};

static int run_subject(struct bench *b, struct subject *s)
{
	struct bench_flow_result r;

	if (bench_flow_run(&s->flow, &r) < 0)
		return -1;
	bench_series_add(&s->rate, r.msgs_per_s);
	for (uint32_t i = 0; i <= s->flow.consumers; i++)
		s->cpu_s[i] += r.crew->role[i].cpu_s;
	s->maker = r.crew->role[0];
	s->reader = r.crew->role[1];
	b->wrong |= !r.verified;
	return 0;
}

static int run_round(struct bench *b, bool reversed)
{
	int rc = reversed ? 0 : bench_limit_round(&b->limit, false);

	for (unsigned int i = 0; rc == 0 && i < b->subjects; i++)
		rc = run_subject(b, &b->subject[reversed ? b->subjects - 1 - i : i]);
	if (rc == 0 && reversed)
		rc = bench_limit_round(&b->limit, true);
	return rc;
}

static void report_json(const struct bench *b)
{
	const struct subject *s = &b->subject[SINGLE], *batch = &b->subject[BATCH];
	static const struct bench_trips nothing;
	struct json j;

	json_begin(&j, stdout, false);
	json_object(&j, NULL);
	bench_report_head(&j, &s->flow.ring, &s->maker, s->flow.consumers, s->flow.messages,
	                  s->rate.count);
	bench_limit_json(&b->limit, &j);
	bench_report_rtt(&j, &nothing, NULL);
	bench_report_throughput(&j, bench_series_median(&s->rate), s->flow.ring.payload);
	if (b->subjects == SUBJECTS) {
		json_object(&j, "batched");
		json_uint(&j, "batch", batch->flow.batch);
		bench_report_throughput(&j, bench_series_median(&batch->rate),
		                        batch->flow.ring.payload);
		json_object_end(&j);
	}
	bench_report_cpu(&j, s->cpu_s, s->flow.consumers);
	json_object(&j, "ratio");
	json_double(&j, "stream", bench_series_ratio(&s->rate, &b->limit.stream));
	if (b->subjects == SUBJECTS) {
		json_double(&j, "stream_batch",
		            bench_series_ratio(&batch->rate, &b->limit.stream_batch));
		json_double(&j, "batch_to_single", bench_series_ratio(&batch->rate, &s->rate));
	}
	json_object_end(&j);
	bench_report_handles(&j, &s->maker, &s->reader);
	bench_machine_json(&j, b->o->cpus, b->o->cpu_count);
	json_bool(&j, "verified", !b->wrong);
	json_object_end(&j);
	json_end(&j);
}

static void report_text(const struct bench *b)
{
	const struct subject *s = &b->subject[SINGLE], *batch = &b->subject[BATCH];
	char name[48];

	bench_machine_print(b->o->cpus, b->o->cpu_count);
	bench_limit_print(&b->limit);
	bench_print_ring(&s->flow.ring, &s->maker);
	bench_print_rate("published one by one", &s->rate);
	if (b->subjects == SUBJECTS) {
		(void)snprintf(name, sizeof(name), "published in batches of %u", batch->flow.batch);
		bench_print_rate(name, &batch->rate);
	}
	bench_print_ratio("one by one to the bare ring",
	                  bench_series_ratio(&s->rate, &b->limit.stream));
	if (b->subjects == SUBJECTS) {
		bench_print_ratio("batches to the bare ring",
		                  bench_series_ratio(&batch->rate, &b->limit.stream_batch));
		bench_print_ratio("batches to one by one",
		                  bench_series_ratio(&batch->rate, &s->rate));
	}
	printf("  content: %s\n", b->wrong ? "WRONG" : "every message verified");
}

static int open_bench(struct bench *b)
{
	const struct bench_options *o = b->o;
	struct bench_ring *r = &b->subject[SINGLE].flow.ring;

	/* A frame is published by itself. */
	b->subjects = o->layer == BENCH_FRAMED ? 1 : SUBJECTS;
	if (bench_place_open(&b->place, o) < 0)
		return -1;
	for (unsigned int i = 0; i < b->subjects; i++) {
		struct bench_flow *f = &b->subject[i].flow;

		bench_ring_plan(&f->ring, o, &b->place, o->layer == BENCH_FRAMED);
		f->consumers = (uint32_t)o->consumers;
		f->batch = i == BATCH ? (uint32_t)o->batch : 1;
		if (f->batch > f->ring.window)
			f->batch = f->ring.window;
		f->peek = (uint32_t)o->peek;
		f->messages = bench_flow_messages(o, f->consumers, 0);
	}
	bench_flow_note_few(&b->subject[0].flow);
	if (bench_limit_open(&b->limit, o, bench_ring_bytes_each(r), bench_ring_messages(r)) < 0)
		return -1;
	b->limit.near_stream = true;
	return 0;
}

int bench_signal(const struct bench_options *o)
{
	struct bench *b = calloc(1, sizeof(*b));
	bool verified;
	int rc;

	if (!b)
		return cli_error(CLI_FAILURE, "bench: out of memory");
	b->o = o;
	rc = open_bench(b);
	for (uint64_t round = 0; rc == 0 && round < o->rounds; round++)
		rc = run_round(b, round % 2);
	b->wrong |= b->limit.bare.wrong;
	if (rc == 0 && o->json)
		report_json(b);
	else if (rc == 0)
		report_text(b);
	bench_place_close(&b->place);
	bench_limit_close(&b->limit);
	verified = !b->wrong;
	free(b);
	return bench_end(rc, verified);
}
