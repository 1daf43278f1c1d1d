/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The table of functions of the FlatBuffers codec. */
#include "codec/flat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/opts.h"

static void close_flat(struct myelon_codec *c)
{
	const struct mye_flat_codec *codec = mye_flat_codec_of(c);

	mye_flat_plan_free(codec->plan);
	free(c);
}

static int check(struct myelon_flatbuffers_opts *o)
{
	if (!o->depth)
		o->depth = MYELON_FLATBUFFERS_DEPTH;
	if (!o->tables)
		o->tables = MYELON_FLATBUFFERS_TABLES;
	if (o->flags & ~(MYELON_FLATBUFFERS_ANY_TEXT | MYELON_FLATBUFFERS_PRESETS))
		return mye_fail(-EINVAL, "flatbuffers options: flags 0x%x are unknown", o->flags);
	if (o->depth > MYE_VALUE_DEPTH)
		return mye_fail(-EINVAL, "flatbuffers options: depth is %u, more than %u", o->depth,
		                MYE_VALUE_DEPTH);
	if (o->identifier && strlen(o->identifier) != 4)
		return mye_fail(-EINVAL,
		                "flatbuffers options: the identifier \"%s\" has not 4 characters",
		                o->identifier);
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
	return mye_fail_static(-ENOTSUP, "flatbuffers: it is for little-endian machines");
#endif
	return 0;
}

static uint64_t schema_of(const struct myelon_type *type, const char *identifier)
{
	uint64_t h = mye_hash_text(MYE_HASH_BEGIN, "flatbuffers");

	h = mye_hash_number(h, myelon_type_hash(type));
	h = mye_hash_text(h, identifier ? identifier : "");
	return h ? h : 1;
}

static void fill(struct mye_flat_codec *f, const struct myelon_type *type,
                 const struct myelon_flatbuffers_opts *o)
{
	f->root = mye_flat_plan_root(f->plan);
	f->flags = o->flags;
	f->depth = o->depth;
	f->tables = o->tables;
	f->work = o->work;
	f->identified = o->identifier;
	if (o->identifier)
		memcpy(f->identifier, o->identifier, sizeof(f->identifier));
	f->codec = (struct myelon_codec){
		.size = sizeof(f->codec),
		.alignment = mye_flat_plan_align(f->plan),
		.name = "flatbuffers",
		.schema = schema_of(type, o->identifier),
		.object_size = type->size,
		.bound = mye_flat_bound,
		.encode = mye_flat_encode,
		.decode = mye_flat_decode,
		.access = mye_flat_access,
		.close = close_flat,
		.type = type,
		.self = f,
	};
}

int myelon_codec_flatbuffers(struct myelon_codec **out, const struct myelon_type *type,
                             const struct myelon_flatbuffers_opts *user)
{
	struct myelon_flatbuffers_opts o;
	struct mye_flat_codec *f;
	int rc;

	if (!out)
		return mye_fail_static(-EINVAL, "flatbuffers: out is NULL");
	*out = NULL;
	rc = mye_opts_read(&o, sizeof(o), sizeof(o), user, "flatbuffers options");
	if (rc == 0)
		rc = check(&o);
	if (rc == 0)
		rc = myelon_type_check(type);
	if (rc < 0)
		return rc;
	f = calloc(1, sizeof(*f));
	if (!f)
		return mye_fail_static(-ENOMEM, "flatbuffers: no memory");
	rc = mye_flat_plan(&f->plan, type);
	if (rc < 0) {
		free(f);
		return rc;
	}
	fill(f, type, &o);
	*out = &f->codec;
	return 0;
}
