/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "codec/msgpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#ifdef MYE_HAVE_MSGPACK

#include "base/hash.h"
#include "base/opts.h"
#include "codec/type.h"
#include "codec/utf8.h"

#define FLAGS                                                                                      \
	(MYELON_MSGPACK_ARRAYS | MYELON_MSGPACK_NUMBERS | MYELON_MSGPACK_STR_AS_BYTES |            \
	 MYELON_MSGPACK_ROUND)

/* ---- has the description a form in msgpack? ---- */

/* The types from the top to a part of it. */
struct way {
	const struct myelon_type *type[MYE_TYPE_DEPTH + 1];
	uint32_t depth;
};

static int unsuited(const struct myelon_type *t, const char *field, const char *what)
{
	const char *name = t->name;

	if (!name)
		name = myelon_type_kind_name((enum myelon_type_kind)t->kind);
	return mye_fail(-EINVAL, "msgpack: type %s%s%s: %s", name, field ? ", field " : "",
	                field ? field : "", what);
}

static bool is_above(const struct way *w, const struct myelon_type *t)
{
	for (uint32_t i = 0; i < w->depth; i++)
		if (w->type[i] == t)
			return true;
	return false;
}

/* What is in the boxes; a box if they are in each other without an end. */
static const struct myelon_type *unboxed(const struct myelon_type *t)
{
	for (uint32_t i = 0; t->kind == MYELON_TYPE_BOX && i <= MYE_TYPE_DEPTH; i++)
		t = t->element;
	return t;
}

static const char *wrong_kind(const struct myelon_type *t)
{
	if (t->kind == MYELON_TYPE_U128 || t->kind == MYELON_TYPE_I128)
		return "msgpack has no integers of 128 bits";
	if (t->kind == MYELON_TYPE_OPTION && unboxed(t->element)->kind == MYELON_TYPE_OPTION)
		return "it is an option of an option, and msgpack has one nil for both";
	if (unboxed(t)->kind == MYELON_TYPE_BOX)
		return "the box contains itself without an end";
	return NULL;
}

static const char *wrong_name(const struct myelon_type *t, const char *name)
{
	size_t len = strlen(name);

	if (t->kind == MYELON_TYPE_TUPLE)
		return NULL;
	if (len > MYELON_MSGPACK_NAME_MAX)
		return "its name is longer than 255 bytes";
	return mye_utf8_good(name, len) < len ? "its name is not UTF-8" : NULL;
}

static int check_type(const struct myelon_type *t, struct way *w)
{
	const char *wrong = wrong_kind(t);
	int rc = wrong ? unsuited(t, NULL, wrong) : 0;

	if (rc < 0 || is_above(w, t))
		return rc;
	w->type[w->depth++] = t;
	if (t->element)
		rc = check_type(t->element, w);
	for (uint32_t i = 0; rc == 0 && t->fields && i < t->count; i++) {
		const struct myelon_field *f = &t->fields[i];

		wrong = wrong_name(t, f->name);
		if (wrong)
			return unsuited(t, f->name, wrong);
		rc = f->type ? check_type(f->type, w) : 0;
	}
	w->depth--;
	return rc;
}

/* ---- the codec ---- */

static void close_codec(struct myelon_codec *c)
{
	free((struct mye_msgpack *)(void *)c);
}

static int check(struct myelon_msgpack_opts *o)
{
	if (!o->depth)
		o->depth = MYE_VALUE_DEPTH;
	if (!o->memory)
		o->memory = UINT64_MAX;
	if (o->flags & ~FLAGS)
		return mye_fail(-EINVAL, "msgpack options: flags 0x%x are unknown",
		                o->flags & ~FLAGS);
	if (o->reserved)
		return mye_fail_static(-EINVAL, "msgpack options: reserved is not 0");
	if (o->depth > MYELON_MSGPACK_DEPTH_MAX)
		return mye_fail(-EINVAL, "msgpack options: depth is %u; at most %u is allowed",
		                o->depth, MYELON_MSGPACK_DEPTH_MAX);
	return 0;
}

/* Readers take every form, so the flags are not in it. */
static uint64_t schema_of(const struct myelon_type *type, uint64_t number)
{
	uint64_t h = mye_hash_text(MYE_HASH_BEGIN, number ? "msgpack number" : "msgpack");

	h = mye_hash_number(h, number ? number : myelon_type_hash(type));
	return h ? h : 1;
}

static struct mye_msgpack *make(const struct myelon_type *type, const struct myelon_msgpack_opts *o)
{
	struct mye_msgpack *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->memory = o->memory;
	m->flags = o->flags;
	m->depth = o->depth;
	m->codec = (struct myelon_codec){
		.size = sizeof(m->codec),
		.alignment = 1,
		.name = "msgpack",
		.schema = schema_of(type, o->schema),
		.object_size = type->size,
		.bound = mye_msgpack_bound,
		.encode = mye_msgpack_encode,
		.decode = mye_msgpack_decode,
		.close = close_codec,
		.type = type,
		.self = m,
	};
	return m;
}

int myelon_codec_msgpack(struct myelon_codec **out, const struct myelon_type *type,
                         const struct myelon_msgpack_opts *user)
{
	struct myelon_msgpack_opts o;
	struct way w = {.depth = 0};
	struct mye_msgpack *m;
	int rc;

	if (!out)
		return mye_fail_static(-EINVAL, "msgpack: out is NULL");
	*out = NULL;
	rc = mye_opts_read(&o, sizeof(o), sizeof(o), user, "msgpack options");
	if (rc == 0)
		rc = check(&o);
	if (rc == 0)
		rc = myelon_type_check(type);
	if (rc == 0)
		rc = check_type(type, &w);
	if (rc < 0)
		return rc;
	m = make(type, &o);
	if (!m)
		return mye_fail_static(-ENOMEM, "msgpack: no memory");
	*out = &m->codec;
	return 0;
}

#else

int myelon_codec_msgpack(struct myelon_codec **out, const struct myelon_type *type,
                         const struct myelon_msgpack_opts *opts)
{
	(void)type;
	(void)opts;
	if (out)
		*out = NULL;
	return mye_fail_static(-ENOTSUP, "msgpack: this library was built without msgpack-c; "
	                                 "install libmsgpack-dev and build it again with "
	                                 "-DMYELON_MSGPACK=ON");
}

#endif
