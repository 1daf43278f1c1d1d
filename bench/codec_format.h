/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The codecs that `myelon bench codec` compares, and how each is read in place. */
#ifndef MYELON_BENCH_CODEC_FORMAT_H
#define MYELON_BENCH_CODEC_FORMAT_H

#include "codec_content.h"

#define BENCH_FORMATS 6u

struct bench_format {
	const char *name;
	/* 0, or a negative errno: the library knows why. */
	int (*make)(struct myelon_codec **out, const struct myelon_type *type);
	/* The sum of a batch where it lies; NULL: the format is only decoded. */
	uint64_t (*records)(const struct myelon_inside *in, bool line);
	uint64_t (*tokens)(const struct myelon_inside *in, bool line);
	bool bare; /* its object is the vector of records: no step, no requests */
};

extern const struct bench_format bench_formats[BENCH_FORMATS];

#endif
