/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon bench limit` */
#include "commands.h"
#include "json.h"
#include "limit.h"
#include "machine.h"
#include "options.h"

static void report(const struct bench_options *o, const struct bench_limit *l)
{
	struct json j;

	if (!o->json) {
		bench_machine_print(o->cpus, 2);
		bench_limit_print(l);
		printf("  %-34s %12.2f\n", "bare ring to cache line",
		       bench_series_ratio(&l->ring, &l->line));
		return;
	}
	json_begin(&j, stdout, false);
	json_object(&j, NULL);
	json_string(&j, "bench", "limit");
	json_uint(&j, "payload", l->payload);
	json_uint(&j, "window", l->window);
	json_uint(&j, "rounds", l->line.count);
	bench_limit_json(l, &j);
	json_object(&j, "ratio");
	json_double(&j, "bare_to_line", bench_series_ratio(&l->ring, &l->line));
	json_double(&j, "batch_to_stream", bench_series_ratio(&l->stream_batch, &l->stream));
	json_object_end(&j);
	bench_machine_json(&j, o->cpus, 2);
	json_bool(&j, "verified", !l->bare.wrong);
	json_object_end(&j);
	json_end(&j);
}

int bench_limit(const struct bench_options *o)
{
	struct bench_limit l;
	uint32_t window = o->window ? (uint32_t)o->window : bench_window_for(o->payload);
	int rc = bench_limit_open(&l, o, o->payload, window);

	for (uint64_t round = 0; rc == 0 && round < o->rounds; round++)
		rc = bench_limit_round(&l, round % 2);
	if (rc == 0)
		report(o, &l);
	bench_limit_close(&l);
	return bench_end(rc, !l.bare.wrong);
}
