/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "codec_report.h"
#include "alloc.h"
#include "cli.h"
#include "json.h"
#include "machine.h"
#include "report.h"

#include <math.h>

static const char *const mode_keys[] = {"raw", "in_place", "owned"};
static const char *const shapes[] = {"records", "tokens"};

bool bench_codec_has(const struct bench_format *f, enum bench_codec_mode mode, uint32_t shape)
{
	if (shape == BENCH_TOKENS && f->bare)
		return false;
	return mode != BENCH_IN_PLACE || (shape == BENCH_RECORDS ? f->records : f->tokens);
}

static double ratio(const struct bench_codec_row *row, enum bench_codec_mode a,
                    enum bench_codec_mode b)
{
	return bench_series_ratio(&row->p50[a], &row->p50[b]);
}

/* The row with the highest ratio of in place to raw; NULL: none has any. */
static const struct bench_codec_row *worst_of(const struct bench_codec_report *r)
{
	const struct bench_codec_row *worst = NULL;

	for (unsigned int i = 0; i < r->rows; i++) {
		double now = ratio(&r->row[i], BENCH_IN_PLACE, BENCH_BYTES);

		if (!isnan(now) && (!worst || now > ratio(worst, BENCH_IN_PLACE, BENCH_BYTES)))
			worst = &r->row[i];
	}
	return worst;
}

static const struct bench_codec_row *measured(const struct bench_codec_report *r)
{
	for (unsigned int i = 0; i < r->rows; i++)
		if (!r->row[i].missing)
			return &r->row[i];
	return NULL;
}

static void json_mode(struct json *j, const struct bench_codec_row *row, enum bench_codec_mode m)
{
	const struct bench_series *s = &row->p50[m];

	if (s->count == 0) {
		json_null(j, mode_keys[m]);
		return;
	}
	json_object(j, mode_keys[m]);
	json_double(j, "rtt_p50_ns", bench_series_median(s));
	json_double(j, "p50_lowest_round", bench_series_min(s));
	json_double(j, "p50_highest_round", bench_series_max(s));
	json_uint(j, "messages", row->messages[m]);
	if (bench_alloc_counted())
		json_uint(j, "allocations", row->allocations[m]);
	else
		json_null(j, "allocations");
	json_object_end(j);
}

static void json_row(struct json *j, const struct bench_codec_row *row)
{
	json_object(j, NULL);
	json_string(j, "codec", row->format->name);
	json_uint(j, "records", row->items);
	json_string(j, "missing", row->missing);
	json_double(j, "bytes", row->missing ? NAN : row->bytes);
	for (int m = 0; m < BENCH_CODEC_MODES; m++)
		json_mode(j, row, (enum bench_codec_mode)m);
	json_object(j, "ratio");
	json_double(j, "in_place_to_raw", ratio(row, BENCH_IN_PLACE, BENCH_BYTES));
	json_double(j, "in_place_to_owned", ratio(row, BENCH_IN_PLACE, BENCH_OWNED));
	json_double(j, "owned_to_raw", ratio(row, BENCH_OWNED, BENCH_BYTES));
	json_object_end(j);
	json_object_end(j);
}

static void json_head(struct json *j, const struct bench_codec_report *r)
{
	const struct bench_codec_row *row = measured(r);
	const struct bench_role *maker = row ? &row->last[BENCH_BYTES].asker : NULL;
	char wait[192];

	json_string(j, "bench", "codec");
	json_string(j, "shape", shapes[r->o->shape]);
	json_string(j, "touch", r->o->touch == BENCH_TOUCH_ALL ? "all" : "line");
	json_string(j, "backing",
	            maker ? myelon_backing_name((enum myelon_backing)maker->backing) : NULL);
	json_string(j, "fence", maker && maker->fence == MYELON_FENCE_FULL ? "full" : "asym");
	json_string(j, "wait", bench_wait_text(r->o, wait, sizeof(wait)));
	json_uint(j, "rounds", r->o->rounds);
}

void bench_codec_json(const struct bench_codec_report *r)
{
	const struct bench_codec_row *worst = worst_of(r);
	struct json j;

	json_begin(&j, stdout, false);
	json_object(&j, NULL);
	json_head(&j, r);
	bench_limit_json(&r->limit, &j);
	json_object(&j, "ratio");
	json_double(&j, "in_place_to_raw_highest",
	            worst ? ratio(worst, BENCH_IN_PLACE, BENCH_BYTES) : NAN);
	json_double(&j, "in_place_to_raw_goal", BENCH_CODEC_GOAL);
	json_object_end(&j);
	json_array(&j, "rows");
	for (unsigned int i = 0; i < r->rows; i++)
		json_row(&j, &r->row[i]);
	json_array_end(&j);
	bench_machine_json(&j, r->o->cpus, 2);
	json_bool(&j, "verified", r->verified);
	json_object_end(&j);
	json_end(&j);
}

static void print_number(double v, int width, int decimals)
{
	if (isnan(v))
		printf(" %*s", width, "-");
	else
		printf(" %*.*f", width, decimals, v);
}

static void print_row(const struct bench_codec_row *row)
{
	printf("%7u %-15s", row->items, row->format->name);
	if (row->missing) {
		printf(" not here: %s\n", row->missing);
		return;
	}
	print_number(row->bytes, 8, 0);
	for (int m = 0; m < BENCH_CODEC_MODES; m++)
		print_number(bench_series_median(&row->p50[m]), 9, 0);
	print_number(ratio(row, BENCH_IN_PLACE, BENCH_BYTES), 8, 2);
	print_number(ratio(row, BENCH_IN_PLACE, BENCH_OWNED), 8, 2);
	print_number(ratio(row, BENCH_OWNED, BENCH_BYTES), 9, 2);
	printf("\n");
}

static void print_allocations(const struct bench_codec_report *r)
{
	static const char *const names[] = {"raw", "in place", "owned"};

	if (!bench_alloc_counted()) {
		printf("  allocations: they cannot be counted here\n");
		return;
	}
	for (int m = 0; m < BENCH_CODEC_MODES; m++) {
		uint64_t messages = 0, allocations = 0;

		for (unsigned int i = 0; i < r->rows; i++) {
			messages += r->row[i].messages[m];
			allocations += r->row[i].allocations[m];
		}
		printf("  allocations, %-8s %8llu in %llu messages\n", names[m],
		       (unsigned long long)allocations, (unsigned long long)messages);
	}
}

void bench_codec_text(const struct bench_codec_report *r)
{
	const struct bench_codec_row *worst = worst_of(r);
	char wait[192];

	bench_machine_print(r->o->cpus, 2);
	bench_limit_print(&r->limit);
	printf("codec: batches of %s both ways, %s, wait %s\n", shapes[r->o->shape],
	       r->o->touch == BENCH_TOUCH_ALL ? "the receiver adds up every field"
	                                      : "the receiver reads one field of each",
	       bench_wait_text(r->o, wait, sizeof(wait)));
	printf("%7s %-15s %8s %9s %9s %9s %8s %8s %9s\n", "RECORDS", "CODEC", "BYTES", "RAW ns",
	       "PLACE ns", "OWNED ns", "PLACE/RAW", "/OWNED", "OWNED/RAW");
	for (unsigned int i = 0; i < r->rows; i++)
		print_row(&r->row[i]);
	if (worst)
		printf("  in place to raw at most %.2f (%s, %u); the goal is %.2f\n",
		       ratio(worst, BENCH_IN_PLACE, BENCH_BYTES), worst->format->name, worst->items,
		       BENCH_CODEC_GOAL);
	print_allocations(r);
	printf("  content: %s\n", r->verified ? "every message verified" : "WRONG");
}
