/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The codec of rkyv archives: options, the table, and where reading in place begins. */
#include "codec/rkyv.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/opts.h"

struct rkyv {
	struct myelon_codec codec;
	struct mye_rkyv_shapes shapes;
};

static const struct myelon_rkyv_shape *top_of(const struct myelon_codec *c)
{
	return ((const struct rkyv *)c->self)->shapes.shape;
}

static int64_t bound(const struct myelon_codec *c, const void *object)
{
	return mye_rkyv_measure(top_of(c), object);
}

static int64_t encode(const struct myelon_codec *c, const void *object, void *buf, size_t cap)
{
	return mye_rkyv_write(top_of(c), object, buf, cap);
}

static int decode(const struct myelon_codec *c, const void *data, size_t len, void *object,
                  struct myelon_arena *arena)
{
	return mye_rkyv_read(top_of(c), data, len, object, arena);
}

static int access_in_place(const struct myelon_codec *c, const void *data, size_t len,
                           const void **root)
{
	int rc = mye_rkyv_read(top_of(c), data, len, NULL, NULL);

	if (rc == 0)
		*root = (const unsigned char *)data + len - top_of(c)->size;
	return rc;
}

struct myelon_rkyv myelon_rkyv_root(const struct myelon_inside *inside)
{
	const struct myelon_codec *c = inside ? inside->codec : NULL;
	const unsigned char *data;

	if (!c || c->access != access_in_place || inside->len < top_of(c)->size)
		return myelon_rkyv_nothing_();
	data = inside->data;
	return myelon_rkyv_place_(data + inside->len - top_of(c)->size, top_of(c), data, 0);
}

static void close_rkyv(struct myelon_codec *c)
{
	struct rkyv *r = (struct rkyv *)c;

	mye_rkyv_shapes_free(&r->shapes);
	free(r);
}

static bool has_128(const struct mye_rkyv_shapes *s)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (s->shape[i].kind == MYELON_TYPE_U128 || s->shape[i].kind == MYELON_TYPE_I128)
			return true;
	return false;
}

static uint64_t schema_of(const struct rkyv *r, const struct myelon_type *type,
                          const struct myelon_rkyv_opts *o)
{
	uint64_t h = mye_hash_text(MYE_HASH_BEGIN, "rkyv 0.7"), sum = 0;

	h = mye_hash_number(h, myelon_type_hash(type));
	h = mye_hash_number(h, has_128(&r->shapes) ? o->align128 : 0);
	/* The order of the table means nothing. */
	for (uint32_t i = 0; i < o->layout_count; i++) {
		const struct myelon_rkyv_layout *l = &o->layouts[i];
		uint64_t one = mye_hash_number(myelon_type_hash(l->type), l->size);

		for (uint32_t k = 0; k < l->type->count; k++)
			one = mye_hash_number(one, l->offsets[k]);
		sum += one;
	}
	h = mye_hash_number(h, sum);
	return h ? h : 1;
}

static int check(const struct myelon_type *type, struct myelon_rkyv_opts *o)
{
	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		return mye_fail_static(-ENOTSUP, "rkyv: this machine is not little-endian");
	if (!o->align128)
		o->align128 = 16;
	if (o->align128 != 8 && o->align128 != 16)
		return mye_fail(-EINVAL, "rkyv options: align128 is %u; 8 or 16 is needed",
		                o->align128);
	if (o->layout_count && !o->layouts)
		return mye_fail_static(-EINVAL, "rkyv options: layouts is NULL");
	return myelon_type_check(type);
}

int myelon_codec_rkyv(struct myelon_codec **out, const struct myelon_type *type,
                      const struct myelon_rkyv_opts *user)
{
	struct myelon_rkyv_opts o;
	struct rkyv *r;
	int rc;

	if (!out)
		return mye_fail_static(-EINVAL, "rkyv: out is NULL");
	*out = NULL;
	rc = mye_opts_read(&o, sizeof(o), sizeof(o), user, "rkyv options");
	if (rc == 0)
		rc = check(type, &o);
	if (rc < 0)
		return rc;
	r = calloc(1, sizeof(*r));
	if (!r)
		return mye_fail_static(-ENOMEM, "rkyv: no memory");
	rc = mye_rkyv_shapes_make(&r->shapes, type, &o);
	if (rc < 0) {
		free(r);
		return rc;
	}
	r->codec = (struct myelon_codec){
		.size = sizeof(r->codec),
		.alignment = r->shapes.align,
		.name = "rkyv",
		.schema = schema_of(r, type, &o),
		.object_size = type->size,
		.bound = bound,
		.encode = encode,
		.decode = decode,
		.access = access_in_place,
		.close = close_rkyv,
		.type = type,
		.self = r,
	};
	*out = &r->codec;
	return 0;
}
