/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon bench broadcast`: one shape, or two that are compared, round about. */
#include "cli.h"
#include "commands.h"
#include "flow.h"
#include "json.h"
#include "limit.h"
#include "machine.h"
#include "report.h"

#include <stdlib.h>

#define VARIANTS_MAX (2 * BENCH_LIST_MAX)
#define FULL_WINDOW 1024u /* of a ring that is to be full */

/* One shape over all its rounds. */
struct variant {
	struct bench_flow flow;
	struct bench_series msgs;
	struct bench_series deliveries;
	struct bench_series each[BENCH_ROLES_MAX]; /* messages/s of each consumer */
	double cpu_s[BENCH_ROLES_MAX];
	uint64_t parks[BENCH_ROLES_MAX];
	uint64_t wrong[BENCH_ROLES_MAX];
	struct bench_role maker;
	struct bench_histogram *late; /* of all rounds and consumers */
};

struct bench {
	const struct bench_options *o;
	struct bench_limit limit;
	struct bench_place place;
	struct variant *variant;
	unsigned int variants;
	bool wrong;
};

static int run_variant(struct bench *b, struct variant *v)
{
	struct bench_flow_result r;

	if (bench_flow_run(&v->flow, &r) < 0)
		return -1;
	bench_series_add(&v->msgs, r.msgs_per_s);
	bench_series_add(&v->deliveries, r.deliveries_per_s);
	for (uint32_t i = 0; i <= v->flow.consumers; i++) {
		const struct bench_role *role = &r.crew->role[i];

		v->cpu_s[i] += role->cpu_s;
		v->parks[i] += role->parks;
		v->wrong[i] += role->wrong;
		if (i == 0)
			continue;
		bench_series_add(&v->each[i], (double)role->messages * 1e9 /
		                                      bench_ticks_ns(role->stop - role->start));
		if (v->late)
			bench_histogram_merge(v->late, &v->flow.late[i - 1]);
	}
	v->maker = r.crew->role[0];
	b->wrong |= !r.verified;
	return 0;
}

static int run_round(struct bench *b, bool reversed)
{
	int rc = reversed ? 0 : bench_limit_round(&b->limit, false);

	for (unsigned int i = 0; rc == 0 && i < b->variants; i++)
		rc = run_variant(b, &b->variant[reversed ? b->variants - 1 - i : i]);
	if (rc == 0 && reversed)
		rc = bench_limit_round(&b->limit, true);
	return rc;
}

static int add_variant(struct bench *b, uint32_t consumers, enum myelon_wait producer_wait,
                       uint64_t work_ns)
{
	const struct bench_options *o = b->o;
	struct variant *v = &b->variant[b->variants++];
	struct bench_flow *f = &v->flow;

	bench_ring_plan(&f->ring, o, &b->place, o->layer == BENCH_FRAMED);
	f->ring.consumers = consumers;
	f->ring.producer_wait = producer_wait;
	if (o->compare_producer_wait.count && !o->window)
		f->ring.window = FULL_WINDOW * bench_ring_slots_each(&f->ring);
	f->consumers = consumers;
	f->batch = o->batch < f->ring.window ? (uint32_t)o->batch : f->ring.window;
	f->peek = o->peek || work_ns == 0 ? (uint32_t)o->peek : 1;
	f->messages = bench_flow_messages(o, consumers, work_ns);
	f->work_ns = work_ns;
	f->rate = o->rate;
	bench_flow_note_few(f);
	if (o->rate > 0) {
		f->late = bench_shared(consumers * sizeof(*f->late));
		v->late = calloc(1, sizeof(*v->late));
		if (!f->late || !v->late)
			return -1;
	}
	return 0;
}

static int add_variants(struct bench *b)
{
	const struct bench_options *o = b->o;
	const struct bench_list *waits = &o->compare_producer_wait, *counts = &o->compare_consumers;
	enum myelon_wait wait = bench_producer_wait(o);
	uint32_t works = o->work.count ? o->work.count : 1;
	int rc = 0;

	for (uint32_t w = 0; rc == 0 && w < works; w++) {
		uint64_t ns = o->work.count ? o->work.value[w] : 0;

		for (uint32_t i = 0; rc == 0 && i < 2; i++) {
			if (waits->count)
				rc = add_variant(b, (uint32_t)o->consumers,
				                 (enum myelon_wait)waits->value[i], ns);
			else if (counts->count)
				rc = add_variant(b, (uint32_t)counts->value[i], wait, ns);
			else if (i == 0)
				rc = add_variant(b, (uint32_t)o->consumers, wait, ns);
		}
	}
	return rc;
}

/* Of the pairs that are compared: the k-th one's ratio. */
static double compared(const struct bench *b, unsigned int k)
{
	const struct variant *first = &b->variant[2 * k], *second = first + 1;

	/* park,spin-pause: how much of spinning is kept; 1,8: what becomes of one consumer's. */
	if (b->o->compare_producer_wait.count)
		return bench_series_ratio(&first->msgs, &second->msgs);
	return bench_series_ratio(&second->deliveries, &first->deliveries);
}

static bool comparing(const struct bench_options *o)
{
	return o->compare_producer_wait.count || o->compare_consumers.count;
}

static void variant_json(struct json *j, const struct variant *v)
{
	json_object(j, NULL);
	json_uint(j, "consumers", v->flow.consumers);
	json_string(j, "producer_wait", myelon_wait_name(v->flow.ring.producer_wait));
	json_uint(j, "work_ns", v->flow.work_ns);
	json_uint(j, "messages", v->flow.messages);
	json_uint(j, "window", v->flow.ring.window);
	json_double(j, "msgs_per_s", bench_series_median(&v->msgs));
	json_double(j, "deliveries_per_s", bench_series_median(&v->deliveries));
	bench_report_cpu(j, v->cpu_s, v->flow.consumers);
	json_uint(j, "producer_parks", v->parks[0]);
	json_array(j, "rows");
	for (uint32_t i = 1; i <= v->flow.consumers; i++) {
		json_object(j, NULL);
		json_string(j, "wait",
		            myelon_wait_name(bench_consumer_wait(v->flow.ring.o, i - 1)));
		json_double(j, "msgs_per_s", bench_series_median(&v->each[i]));
		json_double(j, "cpu_s", v->cpu_s[i]);
		json_uint(j, "parks", v->parks[i]);
		json_bool(j, "verified", v->wrong[i] == 0);
		json_object_end(j);
	}
	json_array_end(j);
	if (v->late)
		bench_report_spread(j, "latency_ns", v->late, NULL);
	json_object_end(j);
}

static void report_json(const struct bench *b)
{
	const struct variant *v = &b->variant[0];
	static const struct bench_trips nothing;
	struct json j;

	json_begin(&j, stdout, false);
	json_object(&j, NULL);
	bench_report_head(&j, &v->flow.ring, &v->maker, v->flow.consumers, v->flow.messages,
	                  v->msgs.count);
	if (b->o->rate > 0)
		json_double(&j, "rate", b->o->rate);
	bench_limit_json(&b->limit, &j);
	bench_report_rtt(&j, &nothing, NULL);
	bench_report_throughput(&j, bench_series_median(&v->msgs), v->flow.ring.payload);
	json_double(&j, "deliveries_per_s", bench_series_median(&v->deliveries));
	bench_report_cpu(&j, v->cpu_s, v->flow.consumers);
	json_object(&j, "ratio");
	json_double(&j, "deliveries_to_stream",
	            bench_series_ratio(&v->deliveries, &b->limit.stream));
	if (comparing(b->o)) {
		json_array(&j, b->o->compare_producer_wait.count ? "producer_wait"
		                                                 : "deliveries_by_consumers");
		for (unsigned int k = 0; k < b->variants / 2; k++)
			json_double(&j, NULL, compared(b, k));
		json_array_end(&j);
	}
	json_object_end(&j);
	json_array(&j, "variants");
	for (unsigned int i = 0; i < b->variants; i++)
		variant_json(&j, &b->variant[i]);
	json_array_end(&j);
	bench_machine_json(&j, b->o->cpus, b->o->cpu_count);
	json_bool(&j, "verified", !b->wrong);
	json_object_end(&j);
	json_end(&j);
}

static void variant_text(const struct variant *v)
{
	printf("%u consumers, producer waits by %s, work %llu ns, window %u\n", v->flow.consumers,
	       myelon_wait_name(v->flow.ring.producer_wait), (unsigned long long)v->flow.work_ns,
	       v->flow.ring.window);
	bench_print_rate("published", &v->msgs);
	bench_print_rate("delivered to all together", &v->deliveries);
	printf("  %-34s %12.2f s   %llu parks\n", "producer, CPU time", v->cpu_s[0],
	       (unsigned long long)v->parks[0]);
	for (uint32_t i = 1; i <= v->flow.consumers; i++)
		printf("  consumer %-3u %-21s %12.0f messages/s, CPU %.2f s, %llu parks, %s\n", i,
		       myelon_wait_name(bench_consumer_wait(v->flow.ring.o, i - 1)),
		       bench_series_median(&v->each[i]), v->cpu_s[i],
		       (unsigned long long)v->parks[i], v->wrong[i] ? "WRONG" : "verified");
	if (v->late)
		bench_print_spread("from the intended send time", v->late);
}

static void report_text(const struct bench *b)
{
	bench_machine_print(b->o->cpus, b->o->cpu_count);
	bench_limit_print(&b->limit);
	bench_print_ring(&b->variant[0].flow.ring, &b->variant[0].maker);
	for (unsigned int i = 0; i < b->variants; i++)
		variant_text(&b->variant[i]);
	bench_print_ratio("deliveries to the bare ring",
	                  bench_series_ratio(&b->variant[0].deliveries, &b->limit.stream));
	for (unsigned int k = 0; comparing(b->o) && k < b->variants / 2; k++) {
		const struct variant *first = &b->variant[2 * k], *second = first + 1;
		char name[64];

		if (b->o->compare_producer_wait.count)
			(void)snprintf(name, sizeof(name), "%s to %s at %llu ns",
			               myelon_wait_name(first->flow.ring.producer_wait),
			               myelon_wait_name(second->flow.ring.producer_wait),
			               (unsigned long long)first->flow.work_ns);
		else
			(void)snprintf(name, sizeof(name), "deliveries, %u to %u consumers",
			               second->flow.consumers, first->flow.consumers);
		bench_print_ratio(name, compared(b, k));
	}
}

static int open_bench(struct bench *b)
{
	const struct bench_ring *r;

	b->variant = calloc(VARIANTS_MAX, sizeof(*b->variant));
	if (!b->variant)
		return bench_error("out of memory");
	if (bench_place_open(&b->place, b->o) < 0 || add_variants(b) < 0)
		return -1;
	r = &b->variant[0].flow.ring;
	if (bench_limit_open(&b->limit, b->o, bench_ring_bytes_each(r), bench_ring_messages(r)) < 0)
		return -1;
	b->limit.near_stream = true;
	return 0;
}

static void close_bench(struct bench *b)
{
	bench_place_close(&b->place);
	bench_limit_close(&b->limit);
	for (unsigned int i = 0; i < b->variants; i++) {
		struct variant *v = &b->variant[i];

		bench_unshare(v->flow.late, v->flow.consumers * sizeof(*v->flow.late));
		free(v->late);
	}
	free(b->variant);
}

int bench_broadcast(const struct bench_options *o)
{
	struct bench b = {.o = o};
	int rc = open_bench(&b);

	for (uint64_t round = 0; rc == 0 && round < o->rounds; round++)
		rc = run_round(&b, round % 2);
	b.wrong |= b.limit.bare.wrong;
	if (rc == 0 && o->json)
		report_json(&b);
	else if (rc == 0)
		report_text(&b);
	close_bench(&b);
	return bench_end(rc, !b.wrong);
}
