/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The codec: what its files share. */
#ifndef MYE_CODEC_MSGPACK_H
#define MYE_CODEC_MSGPACK_H

#include <myelon/msgpack.h>

struct mye_msgpack {
	struct myelon_codec codec;
	uint64_t memory; /* of the arena, per message */
	uint32_t flags;
	uint32_t depth;
};

static inline const struct mye_msgpack *mye_msgpack_of(const struct myelon_codec *c)
{
	return c->self;
}

/* The functions of the codec's table. */
int64_t mye_msgpack_bound(const struct myelon_codec *c, const void *object);
int64_t mye_msgpack_encode(const struct myelon_codec *c, const void *object, void *buf, size_t cap);
int mye_msgpack_decode(const struct myelon_codec *c, const void *data, size_t len, void *object,
                       struct myelon_arena *arena);

#endif
