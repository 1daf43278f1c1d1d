/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Round trips of batches between two processes, each of which sends batches of its own. */
#ifndef MYELON_BENCH_CODEC_PAIR_H
#define MYELON_BENCH_CODEC_PAIR_H

#include "codec_format.h"
#include "crew.h"
#include "ends.h"
#include "trips.h"

enum bench_codec_mode {
	BENCH_BYTES,    /* as many bytes as the encoded message: copied into a frame, read there */
	BENCH_IN_PLACE, /* encoded into the ring, verified and read there */
	BENCH_OWNED,    /* encoded into the ring, decoded into an object and read there */
	BENCH_CODEC_MODES,
};

struct bench_codec_pair {
	struct bench_ring ring; /* both are alike */
	struct bench_trip_plan plan;
	struct bench_trips *trips; /* shared */
	enum bench_codec_mode mode;
	const struct bench_format *format;
	struct bench_content *content;
	const struct myelon_codec *codec;
	uint32_t bytes[BENCH_VARIANTS]; /* of each message */

	/* Private to each process. */
	struct bench_out out;
	struct bench_in in;
	struct myelon_arena arena;
	unsigned char *image; /* BENCH_BYTES: what is copied, one for each batch */
	size_t image_bytes;
	uint64_t image_sum[BENCH_VARIANTS];
	uint64_t wrong;
	bool holding; /* an answer that is not released yet */
};

struct bench_codec_result {
	uint64_t messages; /* both ways */
	uint64_t allocations;
	bool verified;
	struct bench_role asker;
};

/* One round; 0 or -1. The trips are in @p->trips. */
int bench_codec_pair_run(struct bench_codec_pair *p, struct bench_codec_result *result);

#endif
