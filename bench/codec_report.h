/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What `myelon bench codec` found, as a table and as JSON. */
#ifndef MYELON_BENCH_CODEC_REPORT_H
#define MYELON_BENCH_CODEC_REPORT_H

#include "codec_pair.h"
#include "limit.h"

#define BENCH_CODEC_ROWS (BENCH_FORMATS * BENCH_LIST_MAX)
#define BENCH_CODEC_GOAL 1.15 /* in place to raw */

/* One codec and number of records. */
struct bench_codec_row {
	const struct bench_format *format;
	uint32_t items;
	double bytes;           /* of a message, on average */
	const char *missing;    /* why it cannot be measured; NULL: it can */
	struct bench_options o; /* with the payload */
	struct bench_codec_pair pair[BENCH_CODEC_MODES];
	struct bench_series p50[BENCH_CODEC_MODES]; /* ns */
	struct bench_codec_result last[BENCH_CODEC_MODES];
	uint64_t messages[BENCH_CODEC_MODES]; /* of all rounds */
	uint64_t allocations[BENCH_CODEC_MODES];
};

struct bench_codec_report {
	const struct bench_options *o;
	struct bench_limit limit;
	struct bench_codec_row *row;
	unsigned int rows;
	bool verified;
};

/* Does the format have this mode for this shape? */
bool bench_codec_has(const struct bench_format *f, enum bench_codec_mode mode, uint32_t shape);

void bench_codec_json(const struct bench_codec_report *r);
void bench_codec_text(const struct bench_codec_report *r);

#endif
