/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon bench codec` */
#include "alloc.h"
#include "cli.h"
#include "codec_report.h"
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct bench {
	struct bench_codec_report r;
	struct bench_place place;
	struct bench_content content[BENCH_LIST_MAX];
	struct myelon_codec *codec[BENCH_FORMATS];
	char missing[BENCH_FORMATS][200];
	struct bench_trips *trips; /* of the run under way */
};

static int make_codec(struct bench *b, uint64_t which)
{
	const struct bench_options *o = b->r.o;
	int rc = bench_formats[which].make(&b->codec[which], o->shape == BENCH_RECORDS
	                                                             ? &bench_records_type
	                                                             : &bench_tokens_type);

	if (rc == -ENOTSUP) {
		(void)snprintf(b->missing[which], sizeof(b->missing[which]), "%s",
		               myelon_last_error());
		return 0;
	}
	return rc < 0 ? bench_error("%s: %s", bench_formats[which].name, myelon_last_error()) : 0;
}

/* Encodes each batch once: how long they are, and how long they might be. */
static int measure(struct bench_codec_row *row, struct bench_content *c,
                   const struct myelon_codec *codec, uint32_t *bytes, size_t *most)
{
	*most = 0;
	row->bytes = 0;
	for (uint32_t k = 0; k < c->variants; k++) {
		const void *object =
			row->format->bare ? (const void *)&c->batch[k].items : &c->batch[k];
		int64_t bound = myelon_codec_bound(codec, object), n = -1;
		void *buf = bound < 0 ? NULL : aligned_alloc(64, ((size_t)bound + 64) / 64 * 64);

		if (buf)
			n = myelon_codec_encode(codec, object, buf, (size_t)bound);
		free(buf);
		if (n < 0)
			return bench_error("%s: a batch could not be encoded: %s",
			                   row->format->name, myelon_last_error());
		bytes[k] = (uint32_t)n;
		row->bytes += (double)n / c->variants;
		*most = (size_t)bound > *most ? (size_t)bound : *most;
	}
	return 0;
}

static int plan_row(struct bench *b, struct bench_codec_row *row, uint32_t count, uint64_t which)
{
	struct bench_codec_pair plan = {.trips = b->trips, .codec = b->codec[which]};
	uint64_t trips;
	size_t most;

	row->format = plan.format = &bench_formats[which];
	row->items = (uint32_t)b->r.o->records.value[count];
	if (!plan.codec) {
		row->missing = b->missing[which];
		return 0;
	}
	plan.content = &b->content[count];
	if (measure(row, plan.content, plan.codec, plan.bytes, &most) < 0)
		return -1;
	row->o = *b->r.o;
	row->o.payload = most;
	trips = row->o.messages ? row->o.messages : bench_trips_for(most);
	/* Each is timed by itself: they are long, and who else needs the CPU then spoils few of them. */
	plan.plan = bench_trip_plan_silent(trips, 0);
	bench_ring_plan(&plan.ring, &row->o, &b->place, true);
	for (int m = 0; m < BENCH_CODEC_MODES; m++) {
		row->pair[m] = plan;
		row->pair[m].mode = (enum bench_codec_mode)m;
		row->pair[m].ring.codec = m == BENCH_BYTES ? NULL : plan.codec;
	}
	return 0;
}

static int plan_all(struct bench *b)
{
	const struct bench_options *o = b->r.o;

	b->r.row = calloc(BENCH_CODEC_ROWS, sizeof(*b->r.row));
	if (!b->r.row)
		return bench_error("out of memory");
	for (uint32_t i = 0; i < o->codecs.count; i++)
		if (!b->codec[o->codecs.value[i]] && make_codec(b, o->codecs.value[i]) < 0)
			return -1;
	for (uint32_t k = 0; k < o->records.count; k++) {
		if (bench_content_open(&b->content[k], (enum bench_shape)o->shape,
		                       o->touch == BENCH_TOUCH_LINE,
		                       (uint32_t)o->records.value[k]) < 0)
			return -1;
		for (uint32_t i = 0; i < o->codecs.count && b->r.rows < BENCH_CODEC_ROWS; i++) {
			uint64_t which = o->codecs.value[i];

			if (!bench_codec_has(&bench_formats[which], BENCH_OWNED, o->shape))
				continue;
			if (plan_row(b, &b->r.row[b->r.rows++], k, which) < 0)
				return -1;
		}
	}
	return 0;
}

static int run_mode(struct bench *b, struct bench_codec_row *row, int m)
{
	if (row->missing || !bench_codec_has(row->format, (enum bench_codec_mode)m, b->r.o->shape))
		return 0;
	if (bench_codec_pair_run(&row->pair[m], &row->last[m]) < 0)
		return -1;
	bench_series_add(&row->p50[m], bench_trips_p50(b->trips));
	row->messages[m] += row->last[m].messages;
	row->allocations[m] += row->last[m].allocations;
	b->r.verified &= row->last[m].verified;
	return 0;
}

/* In every second round all comes in the opposite order. */
static int run_round(struct bench *b, bool reversed)
{
	unsigned int total = b->r.rows * BENCH_CODEC_MODES;
	int rc = bench_limit_round(&b->r.limit, reversed);

	for (unsigned int i = 0; rc == 0 && i < total; i++) {
		unsigned int k = reversed ? total - 1 - i : i;

		rc = run_mode(b, &b->r.row[k / BENCH_CODEC_MODES], (int)(k % BENCH_CODEC_MODES));
	}
	return rc;
}

static int open_bench(struct bench *b)
{
	/* Before the fork: a sanitizer's hook is set when it is asked. */
	(void)bench_alloc_counted();
	b->r.verified = true;
	b->trips = bench_shared(sizeof(*b->trips));
	if (!b->trips || bench_place_open(&b->place, b->r.o) < 0 || plan_all(b) < 0)
		return -1;
	return bench_limit_open(&b->r.limit, b->r.o, sizeof(struct bench_record),
	                        bench_window_for(sizeof(struct bench_record)));
}

static void close_bench(struct bench *b)
{
	bench_place_close(&b->place);
	bench_limit_close(&b->r.limit);
	bench_unshare(b->trips, sizeof(*b->trips));
	for (unsigned int i = 0; i < BENCH_LIST_MAX; i++)
		bench_content_close(&b->content[i]);
	for (unsigned int i = 0; i < BENCH_FORMATS; i++)
		myelon_codec_close(b->codec[i]);
	free(b->r.row);
}

int bench_codec(const struct bench_options *o)
{
	struct bench *b = calloc(1, sizeof(*b));
	bool verified;
	int rc;

	if (!b)
		return cli_error(CLI_FAILURE, "bench: out of memory");
	b->r.o = o;
	rc = open_bench(b);
	for (uint64_t round = 0; rc == 0 && round < o->rounds; round++)
		rc = run_round(b, round % 2);
	b->r.verified &= !b->r.limit.bare.wrong;
	if (rc == 0 && o->json)
		bench_codec_json(&b->r);
	else if (rc == 0)
		bench_codec_text(&b->r);
	verified = b->r.verified;
	close_bench(b);
	free(b);
	return bench_end(rc, verified);
}
