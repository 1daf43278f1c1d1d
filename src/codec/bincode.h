/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The codec: what its files share. */
#ifndef MYE_CODEC_BINCODE_H
#define MYE_CODEC_BINCODE_H

#include "codec/bincode_plan.h"

struct mye_bincode {
	struct myelon_codec codec;
	struct mye_bin_plan plan;
	uint64_t memory; /* of the arena, per message */
	uint32_t depth;
	bool refuse_trailing;
};

static inline const struct mye_bincode *mye_bincode_of(const struct myelon_codec *c)
{
	return c->self;
}

/* The functions of the codec's table. */
int64_t mye_bincode_bound(const struct myelon_codec *c, const void *object);
int64_t mye_bincode_encode(const struct myelon_codec *c, const void *object, void *buf, size_t cap);
int mye_bincode_decode(const struct myelon_codec *c, const void *data, size_t len, void *object,
                       struct myelon_arena *arena);

#endif
