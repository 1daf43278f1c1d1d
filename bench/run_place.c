/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * `myelon bench place`: what it costs where producer, consumer and memory are, and what the size of
 * the pages costs a ring that is larger than the reach of the translation caches.
 */
#include "cli.h"
#include "commands.h"
#include "flow.h"
#include "json.h"
#include "limit.h"
#include "machine.h"
#include "pair.h"
#include "report.h"
#include "touch.h"

#include <stdlib.h>
#include <string.h>

#define NODES_MAX 4 /* 64 combinations */
#define KINDS 3

struct node {
	int node;
	int cpu[2]; /* -1: it has none for us, or only one */
	bool memory;
};

struct combination {
	const struct node *producer, *consumer, *memory;
	struct bench_options o; /* with the CPUs of the two */
	struct bench_pair pair;
	struct bench_flow flow;
	struct bench_series rtt; /* ns */
	struct bench_series rate;
};

/* Rings of one kind of pages. */
struct kind {
	const char *name;
	uint32_t backing;
	struct bench_touch_run touch;
	struct bench_flow flow;
	struct bench_series pass, at_random, rate;
	uint64_t page_size;
	char missing[160]; /* why it is not there; "": it is */
	char reason[160];
};

struct bench {
	const struct bench_options *o;
	struct bench_limit limit;
	struct bench_place place;
	struct node nodes[NODES_MAX];
	unsigned int node_count;
	struct combination *all;
	unsigned int count;
	struct kind kind[KINDS];
	bool wrong;
};

static int see_node(void *ctx, const struct myelon_numa_node *n)
{
	struct bench *b = ctx;
	struct node *to = &b->nodes[b->node_count];

	if (b->node_count == NODES_MAX)
		return 1;
	*to = (struct node){.node = n->node, .cpu = {-1, -1}, .memory = n->allowed != 0};
	b->node_count++;
	return 0;
}

static int see_cpu(void *ctx, const struct myelon_cpu *c)
{
	struct bench *b = ctx;

	for (unsigned int i = 0; c->allowed && i < b->node_count; i++) {
		struct node *n = &b->nodes[i];

		if (n->node == c->node && n->cpu[1] < 0)
			n->cpu[n->cpu[0] < 0 ? 0 : 1] = c->cpu;
	}
	return 0;
}

/* --cpus wins where there is one node; a node with a single CPU cannot have both. */
static bool choose_cpus(const struct bench *b, struct combination *c)
{
	int consumer = c->producer == c->consumer ? c->consumer->cpu[1] : c->consumer->cpu[0];

	c->o = *b->o;
	c->o.cpu_count = 2;
	if (b->node_count == 1)
		return true;
	c->o.cpus[0] = c->producer->cpu[0];
	c->o.cpus[1] = consumer;
	return c->o.cpus[0] >= 0 && consumer >= 0;
}

static int plan_combination(struct bench *b, struct combination *c)
{
	struct bench_pair *p = &c->pair;

	bench_ring_plan(&p->ring, &c->o, &b->place, b->o->layer == BENCH_FRAMED);
	p->ring.node = c->memory->node;
	p->plan = bench_trip_plan(bench_trips_for(c->o.payload), 0);
	p->depth = 1;
	p->touched = c->o.payload;
	p->trips = bench_shared(sizeof(*p->trips));
	c->flow.ring = p->ring;
	c->flow.consumers = c->flow.batch = 1;
	c->flow.messages = bench_flow_messages(&c->o, 1, 0);
	return p->trips ? 0 : -1;
}

static int plan_combinations(struct bench *b)
{
	unsigned int n = b->node_count;

	b->all = calloc((size_t)n * n * n, sizeof(*b->all));
	if (!b->all)
		return bench_error("out of memory");
	for (unsigned int i = 0; i < n * n * n; i++) {
		struct combination *c = &b->all[b->count];

		c->producer = &b->nodes[i / n / n];
		c->consumer = &b->nodes[i / n % n];
		c->memory = &b->nodes[i % n];
		if (!c->memory->memory || !choose_cpus(b, c))
			continue;
		if (plan_combination(b, c) < 0)
			return -1;
		b->count++;
	}
	return 0;
}

static void plan_kind(struct bench *b, struct kind *k, const char *name, uint32_t backing)
{
	struct bench_ring *r = &k->touch.ring;

	k->name = name;
	k->backing = backing;
	bench_ring_plan(r, b->o, &b->place, false);
	r->backing = backing;
	r->payload = BENCH_SLOT;
	r->slot = BENCH_SLOT;
	r->window = (uint32_t)(b->o->ring_bytes / BENCH_SLOT);
	r->producer_wait = MYELON_WAIT_SPIN_PAUSE;
	k->touch.touches = 200000;
	k->flow.ring = *r;
	k->flow.consumers = 1;
	k->flow.batch = 64;
	k->flow.messages = 4 * (uint64_t)r->window;
}

/* Can rings of this kind be had at all? Tried once, here, so that a shortage is a line and no end. */
static void try_kind(struct bench *b, struct kind *k)
{
	struct myelon_ring_opts o =
		MYELON_RING_OPTS(.slot_size = BENCH_SLOT, .window = k->touch.ring.window,
	                         .backing = k->backing, .hugetlb_dir = bench_place_hugetlb(),
	                         .shm_dir = bench_place_shm(&b->place));
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct myelon_producer *p;
	char name[BENCH_NAME];

	bench_place_name(&b->place, "try", name);
	if (myelon_producer_create(&p, name, &o) < 0) {
		(void)snprintf(k->missing, sizeof(k->missing), "%.*s", (int)sizeof(k->missing) - 1,
		               myelon_last_error());
		return;
	}
	if (myelon_producer_info(p, &info) == 0) {
		k->page_size = info.page_size;
		memcpy(k->reason, info.reason, sizeof(k->reason));
	}
	myelon_producer_close(p);
	bench_place_clear(&b->place);
}

static int run_kind(struct bench *b, struct kind *k)
{
	struct bench_touch_result t;
	struct bench_flow_result f;

	if (k->missing[0])
		return 0;
	if (bench_touch_measure(&k->touch, &t) < 0 || bench_flow_run(&k->flow, &f) < 0)
		return -1;
	bench_series_add(&k->pass, t.pass_ns);
	bench_series_add(&k->at_random, t.touch_ns);
	bench_series_add(&k->rate, f.msgs_per_s);
	b->wrong |= !t.verified || !f.verified;
	return 0;
}

static int run_combination(struct bench *b, struct combination *c)
{
	struct bench_pair_result p;
	struct bench_flow_result f;

	if (bench_pair_run(&c->pair, &p) < 0 || bench_flow_run(&c->flow, &f) < 0)
		return -1;
	bench_series_add(&c->rtt, bench_trips_p50(c->pair.trips));
	bench_series_add(&c->rate, f.msgs_per_s);
	b->wrong |= !p.verified || !f.verified;
	return 0;
}

/* All subjects in turn; in every second round in the opposite order. */
static int run_round(struct bench *b, bool reversed)
{
	unsigned int total = b->count + KINDS;
	int rc = reversed ? 0 : bench_limit_round(&b->limit, false);

	for (unsigned int i = 0; rc == 0 && i < total; i++) {
		unsigned int k = reversed ? total - 1 - i : i;

		rc = k < b->count ? run_combination(b, &b->all[k])
		                  : run_kind(b, &b->kind[k - b->count]);
	}
	if (rc == 0 && reversed)
		rc = bench_limit_round(&b->limit, true);
	return rc;
}

static void json_place(struct json *j, const struct bench *b)
{
	json_array(j, "places");
	for (unsigned int i = 0; i < b->count; i++) {
		const struct combination *c = &b->all[i];

		json_object(j, NULL);
		json_int(j, "producer_node", c->producer->node);
		json_int(j, "consumer_node", c->consumer->node);
		json_int(j, "memory_node", c->memory->node);
		json_int(j, "producer_cpu", c->o.cpus[0]);
		json_int(j, "consumer_cpu", c->o.cpus[1]);
		json_double(j, "rtt_p50_ns", bench_series_median(&c->rtt));
		json_double(j, "msgs_per_s", bench_series_median(&c->rate));
		json_double(j, "rtt_to_first", bench_series_ratio(&c->rtt, &b->all[0].rtt));
		json_double(j, "stream_to_first", bench_series_ratio(&c->rate, &b->all[0].rate));
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_kinds(struct json *j, const struct bench *b)
{
	const struct kind *small = &b->kind[0];

	json_array(j, "pages");
	for (unsigned int i = 0; i < KINDS; i++) {
		const struct kind *k = &b->kind[i];

		json_object(j, NULL);
		json_string(j, "backing", k->name);
		json_string(j, "missing", k->missing[0] ? k->missing : NULL);
		json_uint(j, "page_size", k->page_size);
		json_string(j, "reason", k->reason);
		json_double(j, "pass_ns", bench_series_median(&k->pass));
		json_double(j, "random_touch_ns", bench_series_median(&k->at_random));
		json_double(j, "msgs_per_s", bench_series_median(&k->rate));
		json_double(j, "pass_gain", bench_series_ratio(&small->pass, &k->pass));
		json_double(j, "random_touch_gain",
		            bench_series_ratio(&small->at_random, &k->at_random));
		json_double(j, "stream_gain", bench_series_ratio(&k->rate, &small->rate));
		json_object_end(j);
	}
	json_array_end(j);
}

static void report_json(const struct bench *b)
{
	struct json j;

	json_begin(&j, stdout, false);
	json_object(&j, NULL);
	json_string(&j, "bench", "place");
	json_string(&j, "layer", bench_layer_name(b->o->layer == BENCH_FRAMED));
	json_uint(&j, "payload", b->o->payload);
	json_uint(&j, "rounds", b->o->rounds);
	json_uint(&j, "ring_bytes", b->o->ring_bytes);
	bench_limit_json(&b->limit, &j);
	json_object(&j, "ratio");
	json_double(&j, "bare", bench_series_ratio(&b->all[0].rtt, &b->limit.ring));
	json_double(&j, "stream", bench_series_ratio(&b->all[0].rate, &b->limit.stream));
	json_object_end(&j);
	json_place(&j, b);
	json_kinds(&j, b);
	bench_machine_json(&j, b->o->cpus, b->o->cpu_count);
	json_bool(&j, "verified", !b->wrong);
	json_object_end(&j);
	json_end(&j);
}

static void report_text(const struct bench *b)
{
	const struct kind *small = &b->kind[0];

	bench_machine_print(b->o->cpus, b->o->cpu_count);
	bench_limit_print(&b->limit);
	printf("%8s %8s %6s %14s %14s %8s %8s\n", "PRODUCER", "CONSUMER", "MEMORY", "ROUND TRIP ns",
	       "STREAM M/s", "x TRIP", "x STREAM");
	for (unsigned int i = 0; i < b->count; i++) {
		const struct combination *c = &b->all[i];

		printf("%8d %8d %6d %14.1f %14.2f %8.2f %8.2f\n", c->producer->node,
		       c->consumer->node, c->memory->node, bench_series_median(&c->rtt),
		       bench_series_median(&c->rate) / 1e6,
		       bench_series_ratio(&c->rtt, &b->all[0].rtt),
		       bench_series_ratio(&c->rate, &b->all[0].rate));
	}
	printf("\nring of %llu MiB, slots of 64 bytes\n%-8s %10s %16s %12s %8s %8s %8s\n",
	       (unsigned long long)(b->o->ring_bytes >> 20), "PAGES", "PASS ns", "RANDOM TOUCH ns",
	       "STREAM M/s", "x PASS", "x TOUCH", "x STREAM");
	for (unsigned int i = 0; i < KINDS; i++) {
		const struct kind *k = &b->kind[i];

		if (k->missing[0]) {
			printf("%-8s not to be had: %s\n", k->name, k->missing);
			continue;
		}
		printf("%-8s %10.2f %16.2f %12.2f %8.2f %8.2f %8.2f\n", k->name,
		       bench_series_median(&k->pass), bench_series_median(&k->at_random),
		       bench_series_median(&k->rate) / 1e6,
		       bench_series_ratio(&small->pass, &k->pass),
		       bench_series_ratio(&small->at_random, &k->at_random),
		       bench_series_ratio(&k->rate, &small->rate));
	}
	for (unsigned int i = 0; i < KINDS; i++)
		if (!b->kind[i].missing[0])
			printf("  %-8s %s\n", b->kind[i].name, b->kind[i].reason);
	printf("  content: %s\n", b->wrong ? "WRONG" : "every message verified");
}

static int open_bench(struct bench *b)
{
	if (bench_place_open(&b->place, b->o) < 0)
		return -1;
	(void)myelon_numa_nodes(see_node, b);
	(void)myelon_cpus(see_cpu, b);
	if (plan_combinations(b) < 0)
		return -1;
	plan_kind(b, &b->kind[0], "4K", MYELON_BACKING_SHM);
	plan_kind(b, &b->kind[1], "THP", MYELON_BACKING_SHM_THP);
	plan_kind(b, &b->kind[2], "hugetlb", MYELON_BACKING_HUGETLB);
	for (unsigned int i = 0; i < KINDS; i++)
		try_kind(b, &b->kind[i]);
	if (b->count == 0)
		return bench_error("there is no node with memory and two CPUs for this process");
	if (bench_limit_open(&b->limit, b->o, bench_ring_bytes_each(&b->all[0].pair.ring),
	                     bench_ring_messages(&b->all[0].pair.ring)) < 0)
		return -1;
	b->limit.near_stream = true;
	return 0;
}

int bench_run_place(const struct bench_options *o)
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
	if (rc == 0 && o->json)
		report_json(b);
	else if (rc == 0)
		report_text(b);
	b->wrong |= b->limit.bare.wrong;
	bench_place_close(&b->place);
	bench_limit_close(&b->limit);
	for (unsigned int i = 0; i < b->count; i++)
		bench_unshare(b->all[i].pair.trips, sizeof(*b->all[i].pair.trips));
	verified = !b->wrong;
	free(b->all);
	free(b);
	return bench_end(rc, verified);
}
