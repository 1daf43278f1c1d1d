/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A message that is decoded: what the walk and the scalars share. */
#ifndef MYE_CODEC_MSGPACK_DECODE_H
#define MYE_CODEC_MSGPACK_DECODE_H

#include <myelon/msgpack.h>

#include "codec/msgpack_item.h"
#include "codec/take.h"

struct mye_mp_decoder {
	struct mye_mp_reader r;
	struct mye_take take;
	uint32_t flags;
	uint32_t depth;
	uint32_t deeper; /* levels that are still allowed */
	struct mye_path path;
};

/* Each: -EBADMSG. There is another item than what is @needed, or one of another count. */
int mye_mp_wrong(struct mye_mp_decoder *d, const struct mye_mp_item *item, const char *needed)
	__attribute__((cold));
int mye_mp_wrong_count(struct mye_mp_decoder *d, const struct mye_mp_item *item, uint32_t needed)
	__attribute__((cold));

/* Into a BOOL, a number, a CHAR, a STRING, BYTES, zeroed before, from the item whose head was read. */
int mye_mp_scalar(struct mye_mp_decoder *d, const struct myelon_type *t,
                  const struct mye_mp_item *item, unsigned char *object);

#endif
