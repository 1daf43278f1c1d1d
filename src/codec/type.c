/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Is a description of a C struct sound, and what is its hash? Both follow it from the top, at most MOST types. */
#include "codec/type.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"

#define MOST 65536u
#define IN_HASH (MYELON_FIXED | MYELON_ENUM_U16 | MYELON_ENUM_U32)

#define SCALAR(public_name, text, k, c)                                                            \
	const struct myelon_type public_name = {                                                   \
		.name = (text), .kind = MYELON_TYPE_##k, .size = sizeof(c), .align = _Alignof(c)}

SCALAR(myelon_bool, "bool", BOOL, bool);
SCALAR(myelon_u8, "u8", U8, uint8_t);
SCALAR(myelon_u16, "u16", U16, uint16_t);
SCALAR(myelon_u32, "u32", U32, uint32_t);
SCALAR(myelon_u64, "u64", U64, uint64_t);
SCALAR(myelon_u128, "u128", U128, unsigned __int128);
SCALAR(myelon_i8, "i8", I8, int8_t);
SCALAR(myelon_i16, "i16", I16, int16_t);
SCALAR(myelon_i32, "i32", I32, int32_t);
SCALAR(myelon_i64, "i64", I64, int64_t);
SCALAR(myelon_i128, "i128", I128, __int128);
SCALAR(myelon_f32, "f32", F32, float);
SCALAR(myelon_f64, "f64", F64, double);
SCALAR(myelon_char, "char", CHAR, uint32_t);
SCALAR(myelon_string, "string", STRING, struct myelon_text);
SCALAR(myelon_bytes, "bytes", BYTES, struct myelon_vector);

static const char *const kind_names[] = {
	[MYELON_TYPE_BOOL] = "bool",     [MYELON_TYPE_U8] = "u8",
	[MYELON_TYPE_U16] = "u16",       [MYELON_TYPE_U32] = "u32",
	[MYELON_TYPE_U64] = "u64",       [MYELON_TYPE_U128] = "u128",
	[MYELON_TYPE_I8] = "i8",         [MYELON_TYPE_I16] = "i16",
	[MYELON_TYPE_I32] = "i32",       [MYELON_TYPE_I64] = "i64",
	[MYELON_TYPE_I128] = "i128",     [MYELON_TYPE_F32] = "f32",
	[MYELON_TYPE_F64] = "f64",       [MYELON_TYPE_CHAR] = "char",
	[MYELON_TYPE_STRING] = "string", [MYELON_TYPE_BYTES] = "bytes",
	[MYELON_TYPE_VECTOR] = "vector", [MYELON_TYPE_MAP] = "map",
	[MYELON_TYPE_ARRAY] = "array",   [MYELON_TYPE_OPTION] = "option",
	[MYELON_TYPE_BOX] = "box",       [MYELON_TYPE_STRUCT] = "struct",
	[MYELON_TYPE_TUPLE] = "tuple",   [MYELON_TYPE_ENUM] = "enum",
};

const char *myelon_type_kind_name(enum myelon_type_kind kind)
{
	return (unsigned int)kind < sizeof(kind_names) / sizeof(kind_names[0]) ? kind_names[kind]
	                                                                       : NULL;
}

/* The way from the top to a type. */
struct path {
	const struct myelon_type *type[MYE_TYPE_DEPTH + 1];
	bool behind_pointer[MYE_TYPE_DEPTH + 1]; /* what follows it is not part of its C value */
	uint32_t depth;
	uint32_t seen;
};

static bool is_pointer(uint32_t kind)
{
	return kind == MYELON_TYPE_VECTOR || kind == MYELON_TYPE_MAP || kind == MYELON_TYPE_BOX;
}

/* How far up the same type is, 0: nowhere. */
static uint32_t find_up(const struct path *p, const struct myelon_type *t)
{
	for (uint32_t i = p->depth; i > 0; i--)
		if (p->type[i - 1] == t)
			return p->depth - i + 1;
	return 0;
}

static bool pointer_since(const struct path *p, uint32_t up)
{
	for (uint32_t i = p->depth - up; i < p->depth; i++)
		if (p->behind_pointer[i])
			return true;
	return false;
}

static const char *name_of(const struct myelon_type *t)
{
	const char *kind = myelon_type_kind_name((enum myelon_type_kind)t->kind);

	return t->name ? t->name : kind ? kind : "?";
}

static int bad(const struct myelon_type *t, const char *field, const char *what)
{
	return mye_fail(-EINVAL, "type %s%s%s: %s", name_of(t), field ? ", field " : "",
	                field ? field : "", what);
}

static bool size_is(const struct myelon_type *t, size_t size, size_t align)
{
	return t->size == size && t->align == align;
}

static int check(const struct myelon_type *t, struct path *p);

static int check_below(const struct myelon_type *t, const struct myelon_type *part, struct path *p)
{
	int rc;

	if (p->depth == MYE_TYPE_DEPTH)
		return bad(t, NULL, "types are nested too deep");
	p->type[p->depth] = t;
	p->behind_pointer[p->depth++] = is_pointer(t->kind);
	rc = check(part, p);
	p->depth--;
	return rc;
}

/* A part of the C value: at @p offset, inside it, aligned. */
static const char *misplaced(const struct myelon_type *t, const struct myelon_type *part,
                             uint64_t offset)
{
	if (!part)
		return "it has no type";
	if (offset + part->size > t->size)
		return "it does not lie inside the struct";
	if (part->align == 0 || offset % part->align || part->align > t->align)
		return "it is not aligned in the struct";
	return NULL;
}

static int check_fields(const struct myelon_type *t, struct path *p)
{
	bool variants = t->kind == MYELON_TYPE_ENUM;

	if (!t->name)
		return bad(t, NULL, "it has no name");
	if (t->count > MYELON_TYPES_MAX_FIELDS || (t->count && !t->fields) ||
	    (variants && t->count == 0))
		return bad(t, NULL,
		           "it must have a table of at most 1024 fields, an enum one at least");
	for (uint32_t i = 0; i < t->count; i++) {
		const struct myelon_field *f = &t->fields[i];
		const char *wrong = f->name ? NULL : "it has no name";
		int rc;

		if (!wrong && (f->type || !variants))
			wrong = misplaced(t, f->type, f->offset);
		if (!wrong && variants && f->type && f->offset < sizeof(uint32_t))
			wrong = "it overlaps the tag, which comes first";
		for (uint32_t k = 0; !wrong && k < i; k++)
			if (strcmp(t->fields[k].name, f->name) == 0)
				wrong = "there are two of this name";
		if (wrong)
			return bad(t, f->name ? f->name : "?", wrong);
		rc = f->type ? check_below(t, f->type, p) : 0;
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int check_element(const struct myelon_type *t, struct path *p)
{
	const char *wrong = NULL;

	if (!t->element)
		return bad(t, NULL, "it has no element type");
	if (t->kind == MYELON_TYPE_ARRAY && t->size != (uint64_t)t->count * t->element->size)
		wrong = "its size is not that of its elements";
	else if (t->kind == MYELON_TYPE_ARRAY || t->kind == MYELON_TYPE_OPTION)
		wrong = misplaced(t, t->element, t->kind == MYELON_TYPE_OPTION ? t->offset : 0);
	else if (t->kind == MYELON_TYPE_BOX && !size_is(t, sizeof(void *), _Alignof(void *)))
		wrong = "its size is not that of a pointer";
	else if ((t->kind == MYELON_TYPE_VECTOR || t->kind == MYELON_TYPE_MAP) &&
	         !size_is(t, sizeof(struct myelon_vector), _Alignof(struct myelon_vector)))
		wrong = "its size is not that of struct myelon_vector";
	if (!wrong && t->kind == MYELON_TYPE_OPTION && t->offset == 0)
		wrong = "the value overlaps present, which comes first";
	if (!wrong && t->kind == MYELON_TYPE_MAP &&
	    (t->element->count != 2 ||
	     (t->element->kind != MYELON_TYPE_STRUCT && t->element->kind != MYELON_TYPE_TUPLE)))
		wrong = "its element must be a struct or tuple of a key and a value";
	return wrong ? bad(t, NULL, wrong) : check_below(t, t->element, p);
}

static int check_scalar(const struct myelon_type *t)
{
	static const struct myelon_type *const scalars[] = {
		&myelon_bool, &myelon_u8,   &myelon_u16,    &myelon_u32,
		&myelon_u64,  &myelon_u128, &myelon_i8,     &myelon_i16,
		&myelon_i32,  &myelon_i64,  &myelon_i128,   &myelon_f32,
		&myelon_f64,  &myelon_char, &myelon_string, &myelon_bytes,
	};

	for (size_t i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++)
		if (scalars[i]->kind == t->kind)
			return size_is(t, scalars[i]->size, scalars[i]->align)
			               ? 0
			               : bad(t, NULL, "its size is not that of its kind");
	return bad(t, NULL, "its kind is unknown");
}

static int check(const struct myelon_type *t, struct path *p)
{
	uint32_t up = find_up(p, t);

	if (up && !pointer_since(p, up))
		return bad(t, NULL, "it is part of itself");
	if (up)
		return 0;
	if (++p->seen > MOST)
		return bad(t, NULL, "the description is too large");
	if (t->align == 0 || t->align > 16 || (t->align & (t->align - 1)) || t->size % t->align)
		return bad(t, NULL,
		           "its alignment is not 1, 2, 4, 8 or 16, or does not divide its size");
	switch ((enum myelon_type_kind)t->kind) {
	case MYELON_TYPE_STRUCT:
	case MYELON_TYPE_TUPLE:
	case MYELON_TYPE_ENUM:
		return check_fields(t, p);
	case MYELON_TYPE_VECTOR:
	case MYELON_TYPE_MAP:
	case MYELON_TYPE_ARRAY:
	case MYELON_TYPE_OPTION:
	case MYELON_TYPE_BOX:
		return check_element(t, p);
	default:
		return check_scalar(t);
	}
}

int myelon_type_check(const struct myelon_type *type)
{
	struct path p = {.depth = 0};

	if (!type)
		return mye_fail_static(-EINVAL, "type: it is NULL");
	return check(type, &p);
}

static uint64_t hash(uint64_t h, const struct myelon_type *t, struct path *p)
{
	uint32_t up = find_up(p, t);

	if (up)
		return mye_hash_number(mye_hash_number(h, 0), up);
	h = mye_hash_number(h, t->kind | (uint64_t)(t->flags & IN_HASH) << 32);
	h = mye_hash_number(h, t->count);
	p->type[p->depth++] = t;
	if (t->element)
		h = hash(h, t->element, p);
	for (uint32_t i = 0; t->fields && i < t->count; i++) {
		const struct myelon_field *f = &t->fields[i];

		h = mye_hash_text(h, f->name);
		h = mye_hash_number(mye_hash_number(h, f->number), f->preset);
		h = f->type ? hash(h, f->type, p) : mye_hash_number(h, 0);
	}
	p->depth--;
	return h;
}

uint64_t myelon_type_hash(const struct myelon_type *type)
{
	struct path p = {.depth = 0};
	uint64_t h = hash(MYE_HASH_BEGIN, type, &p);

	return h ? h : 1;
}
