/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Inside the rkyv codec: how types lie in archives, writing, and reading. */
#ifndef MYE_CODEC_RKYV_H
#define MYE_CODEC_RKYV_H

#include <myelon/rkyv.h>

#include "codec/type.h"

/* flags of a shape, besides MYELON_RKYV_LIKE_C_ */
#define MYE_RKYV_PLAIN (1u << 1) /* numbers only: any bytes are a value */
#define MYE_RKYV_FLAT (1u << 2)  /* points to nothing */
#define MYE_RKYV_DENSE (1u << 3) /* the same bytes as in C, all of them described */
#define MYE_RKYV_SURE                                                                              \
	(1u << 4) /* flat, without enums: nothing to be found out before it is written */

#define MYE_RKYV_INLINE 7u     /* bytes of the longest string without a pointer */
#define MYE_RKYV_MAX INT32_MAX /* bytes of an archive: what a pointer reaches */

/* All that was made of a description; shape[0] is the top. */
struct mye_rkyv_shapes {
	struct myelon_rkyv_shape *shape;
	struct myelon_rkyv_part *parts;
	uint16_t *rough;
	uint32_t count;
	uint32_t align; /* the largest */
};

/* @type is sound. @return 0, -EINVAL, -ENOMEM. */
int mye_rkyv_shapes_make(struct mye_rkyv_shapes *out, const struct myelon_type *type,
                         const struct myelon_rkyv_opts *o);
void mye_rkyv_shapes_free(struct mye_rkyv_shapes *s);

/* Bytes of the archive of @object. -EINVAL, -EMSGSIZE. */
int64_t mye_rkyv_measure(const struct myelon_rkyv_shape *top, const void *object);
int64_t mye_rkyv_write(const struct myelon_rkyv_shape *top, const void *object, void *buf,
                       size_t cap);

/* Verify, and if @object is not NULL fill it. @return 0, -EBADMSG, -ENOMEM. */
int mye_rkyv_read(const struct myelon_rkyv_shape *top, const void *data, size_t len, void *object,
                  struct myelon_arena *arena);

/* For the sizes of numbers without a call. */
static inline void mye_rkyv_copy(unsigned char *to, const unsigned char *from, uint32_t size)
{
	switch (size) {
	case 1:
		memcpy(to, from, 1);
		break;
	case 2:
		memcpy(to, from, 2);
		break;
	case 4:
		memcpy(to, from, 4);
		break;
	case 8:
		memcpy(to, from, 8);
		break;
	default:
		memcpy(to, from, size);
	}
}

static inline uint64_t mye_rkyv_align(uint64_t pos, uint32_t align)
{
	return (pos + align - 1) & ~(uint64_t)(align - 1);
}

#endif
