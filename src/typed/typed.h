/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Typed handles inside: a framed handle, a codec, and perhaps a stamp in front of every message. */
#ifndef MYE_TYPED_TYPED_H
#define MYE_TYPED_TYPED_H

#include <stdbool.h>

#include <myelon/typed.h>

#define MYE_TYPED_PRODUCER_MAGIC 0x70747931u
#define MYE_TYPED_CONSUMER_MAGIC 0x63747931u

/* In front of a payload where the ring has stamps. 16 bytes, as the payload's alignment. */
struct mye_stamp {
	uint64_t sent_ns;  /* CLOCK_MONOTONIC of the sender */
	uint64_t reserved; /* 0 */
};

struct myelon_typed_producer {
	uint32_t magic;
	size_t prefix; /* bytes in front of each message: of a stamp, or 0 */
	struct myelon_frame_producer *frames;
	const struct myelon_codec *codec;
	unsigned char *memory; /* for messages longer than a frame */
	size_t room;
};

struct myelon_typed_consumer {
	uint32_t magic;
	size_t prefix;
	struct myelon_frame_consumer *frames;
	const struct myelon_codec *codec;
};

/* What a ring's header says of messages of @p codec with or without stamps. */
uint64_t mye_typed_schema(const struct myelon_codec *codec, bool stamps);

/*
 * Try @p join with the plain schema, then with that of stamps. @return as join; of two failures the first one's
 * sentence stays.
 */
int mye_typed_join(int (*join)(void *ctx, uint64_t schema), void *ctx,
                   const struct myelon_codec *codec, size_t *prefix);

/* -EINVAL (NULL) or -EPERM. */
int mye_typed_not_open(const void *handle) __attribute__((cold));

#endif
