/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* From a description to the places in an archive: sizes, alignments and offsets, worked out once. */
#include "codec/rkyv.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"

/* Different types of one description. */
#define MOST 4096u

struct build {
	const struct myelon_rkyv_opts *o;
	const struct myelon_type *types[MOST]; /* types[i] has shape[i] */
	uint32_t count;
	uint32_t spreads; /* variants whose fields lie in the enum */
	uint32_t parts;
	struct mye_rkyv_shapes *out;
	uint32_t next_spread, next_part;
};

static bool has_fields(const struct myelon_type *t)
{
	return t->kind == MYELON_TYPE_STRUCT || t->kind == MYELON_TYPE_TUPLE;
}

static int64_t find(const struct build *b, const struct myelon_type *t)
{
	for (uint32_t i = 0; i < b->count; i++)
		if (b->types[i] == t)
			return i;
	return -1;
}

static int add(struct build *b, const struct myelon_type *t)
{
	if (!t || find(b, t) >= 0)
		return 0;
	if (b->count == MOST)
		return mye_fail(-EINVAL, "rkyv: the description has more than %u types", MOST);
	b->types[b->count++] = t;
	return 0;
}

/* All types that can be reached, each once. */
static int collect(struct build *b, const struct myelon_type *top)
{
	int rc = add(b, top);

	/* The bytes of BYTES, which have no element in a description. */
	if (rc == 0)
		rc = add(b, &myelon_u8);
	for (uint32_t i = 0; rc == 0 && i < b->count; i++) {
		const struct myelon_type *t = b->types[i];

		b->parts += t->fields ? t->count : 0;
		rc = add(b, t->element);
		for (uint32_t k = 0; rc == 0 && t->fields && k < t->count; k++) {
			const struct myelon_type *part = t->fields[k].type;

			rc = add(b, part);
			if (t->kind == MYELON_TYPE_ENUM && part && has_fields(part)) {
				b->spreads++;
				b->parts += part->count;
			}
		}
	}
	return rc;
}

static struct myelon_rkyv_shape *shape_of(struct build *b, const struct myelon_type *t)
{
	return t ? &b->out->shape[find(b, t)] : NULL;
}

/* Shape @s is of type @t, its parts not laid out yet. */
static void link_shape(struct build *b, struct myelon_rkyv_shape *s, const struct myelon_type *t)
{
	struct myelon_rkyv_part *parts = b->out->parts + b->next_part;

	*s = (struct myelon_rkyv_shape){.kind = t->kind, .count = t->count, .type = t};
	s->element = shape_of(b, t->kind == MYELON_TYPE_BYTES ? &myelon_u8 : t->element);
	if (!t->fields)
		return;
	s->parts = parts;
	s->rough = b->out->rough + b->next_part;
	b->next_part += t->count;
	for (uint32_t i = 0; i < t->count; i++)
		parts[i] = (struct myelon_rkyv_part){.shape = shape_of(b, t->fields[i].type),
		                                     .c_offset = t->fields[i].offset,
		                                     .name = t->fields[i].name};
}

static struct myelon_rkyv_part *parts_of(struct build *b, const struct myelon_rkyv_shape *s)
{
	return b->out->parts + (s->parts - b->out->parts);
}

static int too_large(const struct myelon_rkyv_shape *s)
{
	return mye_fail(-EINVAL, "rkyv: type %s: its archived size is more than 2 GiB",
	                s->type->name ? s->type->name : "array");
}

/* The parts one after the other from @pos on, as repr(C) has it. */
static int place_parts(struct build *b, struct myelon_rkyv_shape *s, uint64_t pos)
{
	struct myelon_rkyv_part *parts = parts_of(b, s);

	for (uint32_t i = 0; i < s->count; i++) {
		const struct myelon_rkyv_shape *p = parts[i].shape;

		if (!p)
			continue; /* not in a sound description */
		pos = mye_rkyv_align(pos, p->align);
		parts[i].offset = (uint32_t)pos;
		pos += p->size;
		if (pos > MYE_RKYV_MAX)
			return too_large(s);
		s->align = p->align > s->align ? p->align : s->align;
	}
	s->size = (uint32_t)mye_rkyv_align(pos, s->align);
	return 0;
}

static const struct myelon_rkyv_layout *layout_for(const struct build *b,
                                                   const struct myelon_type *t)
{
	for (uint32_t i = 0; b->o->layouts && i < b->o->layout_count; i++)
		if (b->o->layouts[i].type == t)
			return &b->o->layouts[i];
	return NULL;
}

static bool overlap(const struct myelon_rkyv_part *a, const struct myelon_rkyv_part *b)
{
	return (uint64_t)a->offset < (uint64_t)b->offset + b->shape->size &&
	       (uint64_t)b->offset < (uint64_t)a->offset + a->shape->size;
}

/* Where the caller says. */
static int place_as_told(struct build *b, struct myelon_rkyv_shape *s,
                         const struct myelon_rkyv_layout *l)
{
	struct myelon_rkyv_part *parts = parts_of(b, s);

	s->size = l->size;
	for (uint32_t i = 0; i < s->count; i++) {
		const struct myelon_rkyv_shape *p = parts[i].shape;
		bool bad = l->offsets[i] % p->align || (uint64_t)l->offsets[i] + p->size > l->size;

		parts[i].offset = l->offsets[i];
		for (uint32_t k = 0; !bad && k < i; k++)
			bad = overlap(&parts[i], &parts[k]);
		if (bad)
			return mye_fail(-EINVAL,
			                "rkyv options: layout of %s, field %s: offset %u is not "
			                "aligned, outside or over another field",
			                s->type->name, parts[i].name, l->offsets[i]);
		s->align = p->align > s->align ? p->align : s->align;
	}
	if (s->size % s->align || s->size > MYE_RKYV_MAX)
		return mye_fail(-EINVAL,
		                "rkyv options: layout of %s: its size is no multiple of %u",
		                s->type->name, s->align);
	return 0;
}

/* What is true of a struct because it is of all its parts. */
static void flag_fields(struct build *b, struct myelon_rkyv_shape *s, bool in_enum)
{
	uint32_t all = MYE_RKYV_PLAIN | MYE_RKYV_FLAT | MYE_RKYV_DENSE | MYE_RKYV_SURE |
	               MYELON_RKYV_LIKE_C_;
	uint16_t *rough = b->out->rough + (s->parts - b->out->parts);
	uint64_t bytes = 0;
	bool like_c = !in_enum && s->size == s->type->size;

	for (uint32_t i = 0; s->parts && i < s->count; i++) {
		const struct myelon_rkyv_part *p = &s->parts[i];

		all &= p->shape->flags;
		bytes += p->shape->size;
		like_c &= p->offset == p->c_offset;
		if (!(p->shape->flags & MYE_RKYV_PLAIN))
			rough[s->rough_count++] = (uint16_t)i;
	}
	if (!like_c)
		all &= ~(MYE_RKYV_DENSE | MYELON_RKYV_LIKE_C_);
	if (bytes != s->size)
		all &= ~MYE_RKYV_DENSE;
	s->flags = all;
}

static int lay(struct build *b, struct myelon_rkyv_shape *s);

static int lay_parts(struct build *b, const struct myelon_rkyv_shape *s)
{
	for (uint32_t i = 0; s->parts && i < s->count; i++) {
		const struct myelon_rkyv_shape *p = s->parts[i].shape;
		int rc = p ? lay(b, b->out->shape + (p - b->out->shape)) : 0;

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int lay_struct(struct build *b, struct myelon_rkyv_shape *s)
{
	const struct myelon_rkyv_layout *l = layout_for(b, s->type);
	int rc = lay_parts(b, s);

	s->align = 1;
	if (rc == 0)
		rc = l ? place_as_told(b, s, l) : place_parts(b, s, 0);
	if (rc == 0)
		flag_fields(b, s, false);
	return rc;
}

/* A variant: fields of its own after the tag, or one value. The place of fields is the enum. */
static int lay_variant(struct build *b, struct myelon_rkyv_part *v, uint32_t tag_bytes,
                       uint32_t *align, uint64_t *size)
{
	struct myelon_rkyv_shape *own;
	int rc;

	if (!has_fields(v->shape->type)) {
		v->offset = (uint32_t)mye_rkyv_align(tag_bytes, v->shape->align);
		*align = v->shape->align;
		*size = (uint64_t)v->offset + v->shape->size;
		return 0;
	}
	own = &b->out->shape[b->next_spread++];
	link_shape(b, own, v->shape->type);
	own->align = tag_bytes;
	rc = place_parts(b, own, tag_bytes);
	if (rc < 0)
		return rc;
	flag_fields(b, own, true);
	v->shape = own;
	*align = own->align;
	*size = own->size;
	return 0;
}

static int lay_enum(struct build *b, struct myelon_rkyv_shape *s)
{
	uint32_t tag_bytes = s->count < 256 ? 1 : 2, align = tag_bytes;
	struct myelon_rkyv_part *parts = parts_of(b, s);
	uint64_t size = tag_bytes;
	int rc = lay_parts(b, s);

	s->align = align;
	s->flags = MYE_RKYV_FLAT;
	for (uint32_t i = 0; rc == 0 && i < s->count; i++) {
		uint64_t need;

		if (!parts[i].shape)
			continue;
		rc = lay_variant(b, &parts[i], tag_bytes, &align, &need);
		if (rc < 0)
			break;
		s->align = align > s->align ? align : s->align;
		size = need > size ? need : size;
		s->flags &= parts[i].shape->flags;
	}
	size = mye_rkyv_align(size, s->align);
	if (rc == 0 && size > MYE_RKYV_MAX)
		return too_large(s);
	s->size = (uint32_t)size;
	return rc;
}

static int lay_element(struct build *b, struct myelon_rkyv_shape *s)
{
	struct myelon_rkyv_shape *e = b->out->shape + (s->element - b->out->shape);
	int rc = lay(b, e);
	uint64_t size;

	if (rc < 0)
		return rc;
	s->align = e->align;
	if (s->kind == MYELON_TYPE_ARRAY) {
		size = (uint64_t)s->count * e->size;
		s->flags = e->flags;
		if (e->size != e->type->size)
			s->flags &= ~(MYE_RKYV_DENSE | MYELON_RKYV_LIKE_C_);
	} else {
		s->offset = e->align;
		size = mye_rkyv_align((uint64_t)e->align + e->size, e->align);
		s->flags = e->flags & (MYE_RKYV_FLAT | MYE_RKYV_SURE);
	}
	if (size > MYE_RKYV_MAX)
		return too_large(s);
	s->size = (uint32_t)size;
	return 0;
}

static void lay_scalar(const struct build *b, struct myelon_rkyv_shape *s)
{
	s->size = s->type->size;
	s->align = s->type->align;
	s->flags = MYE_RKYV_FLAT | MYE_RKYV_SURE;
	if (s->kind == MYELON_TYPE_U128 || s->kind == MYELON_TYPE_I128)
		s->align = b->o->align128;
	if (s->kind == MYELON_TYPE_BOOL || s->kind == MYELON_TYPE_CHAR)
		return;
	s->flags |= MYE_RKYV_PLAIN | MYE_RKYV_DENSE;
	if (s->align == s->type->align)
		s->flags |= MYELON_RKYV_LIKE_C_;
}

/* Size, alignment and parts. Goes through what lies in the value only: never round in circles. */
static int lay(struct build *b, struct myelon_rkyv_shape *s)
{
	if (s->align)
		return 0;
	switch ((enum myelon_type_kind)s->kind) {
	case MYELON_TYPE_STRUCT:
	case MYELON_TYPE_TUPLE:
		return lay_struct(b, s);
	case MYELON_TYPE_ENUM:
		return lay_enum(b, s);
	case MYELON_TYPE_ARRAY:
	case MYELON_TYPE_OPTION:
		return lay_element(b, s);
	case MYELON_TYPE_STRING:
	case MYELON_TYPE_BYTES:
	case MYELON_TYPE_VECTOR:
	case MYELON_TYPE_MAP:
		s->size = 8;
		s->align = 4;
		return 0;
	case MYELON_TYPE_BOX:
		s->size = 4;
		s->align = 4;
		return 0;
	default:
		lay_scalar(b, s);
		return 0;
	}
}

static int check_layouts(const struct build *b)
{
	for (uint32_t i = 0; i < b->o->layout_count; i++) {
		const struct myelon_rkyv_layout *l = &b->o->layouts[i];

		if (!l->type || !has_fields(l->type) || find(b, l->type) < 0 ||
		    (l->type->count && !l->offsets))
			return mye_fail(
				-EINVAL,
				"rkyv options: layout %u is not of a struct or tuple of the "
				"description, or has no offsets",
				i);
	}
	return 0;
}

static int make(struct build *b)
{
	struct mye_rkyv_shapes *s = b->out;
	int rc = check_layouts(b);

	if (rc < 0)
		return rc;
	s->count = b->count + b->spreads;
	s->shape = calloc(s->count, sizeof(*s->shape));
	s->parts = calloc(b->parts + 1ul, sizeof(*s->parts));
	s->rough = calloc(b->parts + 1ul, sizeof(*s->rough));
	if (!s->shape || !s->parts || !s->rough)
		return mye_fail_static(-ENOMEM, "rkyv: no memory");
	b->next_spread = b->count;
	for (uint32_t i = 0; i < b->count; i++)
		link_shape(b, &s->shape[i], b->types[i]);
	for (uint32_t i = 0; rc == 0 && i < b->count; i++)
		rc = lay(b, &s->shape[i]);
	for (uint32_t i = 0; i < s->count; i++)
		s->align = s->shape[i].align > s->align ? s->shape[i].align : s->align;
	return rc;
}

int mye_rkyv_shapes_make(struct mye_rkyv_shapes *out, const struct myelon_type *type,
                         const struct myelon_rkyv_opts *o)
{
	struct build *b = calloc(1, sizeof(*b));
	int rc;

	*out = (struct mye_rkyv_shapes){.count = 0};
	if (!b)
		return mye_fail_static(-ENOMEM, "rkyv: no memory");
	b->o = o;
	b->out = out;
	rc = collect(b, type);
	if (rc == 0)
		rc = make(b);
	if (rc < 0)
		mye_rkyv_shapes_free(out);
	free(b);
	return rc;
}

void mye_rkyv_shapes_free(struct mye_rkyv_shapes *s)
{
	free(s->shape);
	free(s->parts);
	free(s->rough);
	*s = (struct mye_rkyv_shapes){.count = 0};
}
