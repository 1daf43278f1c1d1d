/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "rkyv_walk.h"

#include <string.h>

static uint64_t sum_of(const void *data, size_t len)
{
	const unsigned char *c = data;
	uint64_t sum = len;

	for (size_t i = 0; i < len; i++)
		sum = sum * 31 + c[i];
	return sum;
}

/* All getters, also of other kinds: those give 0. */
static uint64_t numbers(struct myelon_rkyv v)
{
	double d = myelon_rkyv_f64(v);
	float f = myelon_rkyv_f32(v);

	return myelon_rkyv_u8(v) + myelon_rkyv_u16(v) + myelon_rkyv_u32(v) + myelon_rkyv_u64(v) +
	       (uint64_t)myelon_rkyv_i8(v) + (uint64_t)myelon_rkyv_i16(v) +
	       (uint64_t)myelon_rkyv_i32(v) + (uint64_t)myelon_rkyv_i64(v) +
	       myelon_rkyv_half(v, false) + myelon_rkyv_half(v, true) + myelon_rkyv_bool(v) +
	       myelon_rkyv_char(v) + sum_of(&d, sizeof(d)) + sum_of(&f, sizeof(f));
}

static uint64_t walk_list(struct myelon_rkyv v, uint64_t *budget)
{
	struct myelon_rkyv_list list = myelon_rkyv_list(v);
	struct myelon_vector run = myelon_rkyv_run(v);
	uint64_t sum = list.count;

	if (!list.shape)
		return 0;
	if (run.count)
		sum += sum_of(run.data, run.count * list.shape->size);
	for (uint32_t i = 0; i < list.count && *budget; i++)
		sum += rkyv_walk(myelon_rkyv_at(&list, i), budget);
	return sum;
}

uint64_t rkyv_walk(struct myelon_rkyv v, uint64_t *budget)
{
	struct myelon_text text;
	const void *object;
	uint64_t sum;

	if (myelon_rkyv_is_nothing(v) || !*budget)
		return 0;
	--*budget;
	text = myelon_rkyv_text(v);
	sum = numbers(v) + sum_of(text.data, text.len);
	object = myelon_rkyv_object(v);
	if (object && v.shape)
		sum += sum_of(object, v.shape->size);
	for (uint32_t i = 0; !myelon_rkyv_is_nothing(myelon_rkyv_field(v, i)); i++)
		sum += rkyv_walk(myelon_rkyv_field(v, i), budget);
	sum += walk_list(v, budget);
	sum += rkyv_walk(myelon_rkyv_some(v), budget);
	sum += rkyv_walk(myelon_rkyv_unbox(v), budget);
	return sum + rkyv_walk(myelon_rkyv_payload(v, myelon_rkyv_tag(v)), budget);
}

static bool is_text(struct myelon_rkyv v, const struct myelon_text *t)
{
	struct myelon_text got = myelon_rkyv_text(v);

	return got.len == t->len && (t->len == 0 || memcmp(got.data, t->data, t->len) == 0);
}

static bool is_list(struct myelon_rkyv v, const struct myelon_type *e, const unsigned char *items,
                    size_t count)
{
	struct myelon_rkyv_list list = myelon_rkyv_list(v);

	if (list.count != count)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct myelon_rkyv at = myelon_rkyv_at(&list, i);

		if (myelon_rkyv_element(v, i).at != at.at ||
		    !rkyv_is_object(at, e, items + (size_t)i * e->size))
			return false;
	}
	return myelon_rkyv_is_nothing(myelon_rkyv_at(&list, (uint32_t)count));
}

static bool is_fields(struct myelon_rkyv v, const struct myelon_type *t,
                      const unsigned char *object)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (!rkyv_is_object(myelon_rkyv_field(v, i), t->fields[i].type,
		                    object + t->fields[i].offset))
			return false;
	return myelon_rkyv_is_nothing(myelon_rkyv_field(v, t->count));
}

static bool is_variant(struct myelon_rkyv v, const struct myelon_type *t,
                       const unsigned char *object)
{
	const struct myelon_field *f;
	uint32_t tag;

	memcpy(&tag, object, sizeof(tag));
	f = &t->fields[tag];
	if (myelon_rkyv_tag(v) != tag)
		return false;
	return f->type ? rkyv_is_object(myelon_rkyv_payload(v, tag), f->type, object + f->offset)
	               : myelon_rkyv_is_nothing(myelon_rkyv_payload(v, tag));
}

static bool is_number(struct myelon_rkyv v, const struct myelon_type *t, const void *object)
{
	union {
		uint64_t half[2];
		unsigned char bytes[16];
		uint8_t u8;
		uint16_t u16;
		uint32_t u32;
		uint64_t u64;
		float f32;
		double f64;
	} got = {.half = {0}};

	switch ((enum myelon_type_kind)t->kind) {
	case MYELON_TYPE_BOOL:
		got.u8 = myelon_rkyv_bool(v);
		break;
	case MYELON_TYPE_U8:
		got.u8 = myelon_rkyv_u8(v);
		break;
	case MYELON_TYPE_I8:
		got.u8 = (uint8_t)myelon_rkyv_i8(v);
		break;
	case MYELON_TYPE_U16:
		got.u16 = myelon_rkyv_u16(v);
		break;
	case MYELON_TYPE_I16:
		got.u16 = (uint16_t)myelon_rkyv_i16(v);
		break;
	case MYELON_TYPE_U32:
		got.u32 = myelon_rkyv_u32(v);
		break;
	case MYELON_TYPE_I32:
		got.u32 = (uint32_t)myelon_rkyv_i32(v);
		break;
	case MYELON_TYPE_CHAR:
		got.u32 = myelon_rkyv_char(v);
		break;
	case MYELON_TYPE_U64:
		got.u64 = myelon_rkyv_u64(v);
		break;
	case MYELON_TYPE_I64:
		got.u64 = (uint64_t)myelon_rkyv_i64(v);
		break;
	case MYELON_TYPE_F32:
		got.f32 = myelon_rkyv_f32(v);
		break;
	case MYELON_TYPE_F64:
		got.f64 = myelon_rkyv_f64(v);
		break;
	default:
		got.half[0] = myelon_rkyv_half(v, false);
		got.half[1] = myelon_rkyv_half(v, true);
	}
	return memcmp(got.bytes, object, t->size) == 0;
}

bool rkyv_is_object(struct myelon_rkyv v, const struct myelon_type *t, const void *object)
{
	const struct myelon_vector *vector = object;
	const unsigned char *c = object;
	const void *box;

	if (myelon_rkyv_is_nothing(v) || myelon_rkyv_kind(v) != t->kind)
		return false;
	switch ((enum myelon_type_kind)t->kind) {
	case MYELON_TYPE_STRING:
		return is_text(v, object);
	case MYELON_TYPE_BYTES:
		return is_list(v, &myelon_u8, vector->data, vector->count);
	case MYELON_TYPE_VECTOR:
	case MYELON_TYPE_MAP:
		return is_list(v, t->element, vector->data, vector->count);
	case MYELON_TYPE_ARRAY:
		return is_list(v, t->element, object, t->count);
	case MYELON_TYPE_OPTION:
		return *c ? rkyv_is_object(myelon_rkyv_some(v), t->element, c + t->offset)
		          : myelon_rkyv_is_nothing(myelon_rkyv_some(v));
	case MYELON_TYPE_BOX:
		memcpy(&box, object, sizeof(box));
		return rkyv_is_object(myelon_rkyv_unbox(v), t->element, box);
	case MYELON_TYPE_STRUCT:
	case MYELON_TYPE_TUPLE:
		return is_fields(v, t, object);
	case MYELON_TYPE_ENUM:
		return is_variant(v, t, object);
	default:
		return is_number(v, t, object);
	}
}
