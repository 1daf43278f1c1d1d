/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "codec/bincode.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/opts.h"
#include "codec/type.h"

static void close_codec(struct myelon_codec *c)
{
	struct mye_bincode *b = (struct mye_bincode *)(void *)c;

	mye_bin_plan_free(&b->plan);
	free(b);
}

static int check(struct myelon_bincode_opts *o)
{
	if (!o->depth)
		o->depth = MYE_VALUE_DEPTH;
	if (!o->memory)
		o->memory = UINT64_MAX;
	if (o->encoding > MYELON_BINCODE_VARINT)
		return mye_fail(-EINVAL, "bincode options: encoding %u is unknown", o->encoding);
	if (o->trailing > MYELON_BINCODE_TRAILING_REFUSE)
		return mye_fail(-EINVAL, "bincode options: trailing %u is unknown", o->trailing);
	if (o->depth > MYELON_BINCODE_DEPTH_MAX)
		return mye_fail(-EINVAL, "bincode options: depth is %u; at most %u is allowed",
		                o->depth, MYELON_BINCODE_DEPTH_MAX);
	return 0;
}

static uint64_t schema_of(const struct myelon_type *type, uint32_t encoding)
{
	uint64_t h = mye_hash_text(MYE_HASH_BEGIN, "bincode 1");

	h = mye_hash_number(h, encoding);
	h = mye_hash_number(h, myelon_type_hash(type));
	return h ? h : 1;
}

static int make(struct mye_bincode *b, const struct myelon_type *type,
                const struct myelon_bincode_opts *o)
{
	uint32_t trailing = o->trailing;

	if (trailing == MYELON_BINCODE_TRAILING_DEFAULT)
		trailing = o->encoding == MYELON_BINCODE_FIXED ? MYELON_BINCODE_TRAILING_IGNORE
		                                               : MYELON_BINCODE_TRAILING_REFUSE;
	b->refuse_trailing = trailing == MYELON_BINCODE_TRAILING_REFUSE;
	b->depth = o->depth;
	b->memory = o->memory;
	b->codec = (struct myelon_codec){
		.size = sizeof(b->codec),
		.alignment = 1,
		.name = "bincode",
		.schema = schema_of(type, o->encoding),
		.object_size = type->size,
		.bound = mye_bincode_bound,
		.encode = mye_bincode_encode,
		.decode = mye_bincode_decode,
		.close = close_codec,
		.type = type,
		.self = b,
	};
	return mye_bin_plan_make(&b->plan, type, o->encoding);
}

int myelon_codec_bincode(struct myelon_codec **out, const struct myelon_type *type,
                         const struct myelon_bincode_opts *user)
{
	struct myelon_bincode_opts o;
	struct mye_bincode *b;
	int rc;

	if (!out)
		return mye_fail_static(-EINVAL, "bincode: out is NULL");
	*out = NULL;
	rc = mye_opts_read(&o, sizeof(o), sizeof(o), user, "bincode options");
	if (rc == 0)
		rc = check(&o);
	if (rc == 0)
		rc = myelon_type_check(type);
	if (rc < 0)
		return rc;
	b = calloc(1, sizeof(*b));
	if (!b)
		return mye_fail_static(-ENOMEM, "bincode: no memory");
	rc = make(b, type, &o);
	if (rc < 0) {
		free(b);
		return rc;
	}
	*out = &b->codec;
	return 0;
}
