/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "plain.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

typedef void (*each_fn)(const struct myelon_type *type, unsigned char *object);

static void each(const struct myelon_type *t, unsigned char *object, each_fn fn);

static void each_element(const struct myelon_type *t, unsigned char *first, size_t count,
                         each_fn fn)
{
	for (size_t i = 0; i < count; i++)
		each(t->element, first + i * t->element->size, fn);
}

static void each_variant(const struct myelon_type *t, unsigned char *object, each_fn fn)
{
	uint32_t tag;

	memcpy(&tag, object, sizeof(tag));
	if (t->fields[tag].type)
		each(t->fields[tag].type, object + t->fields[tag].offset, fn);
}

/* Parts before the whole. */
static void each(const struct myelon_type *t, unsigned char *object, each_fn fn)
{
	struct myelon_vector v;
	unsigned char *box;

	switch ((enum myelon_type_kind)t->kind) {
	case MYELON_TYPE_VECTOR:
	case MYELON_TYPE_MAP:
		memcpy(&v, object, sizeof(v));
		/* The tests' own memory. */
		each_element(t, (unsigned char *)(uintptr_t)v.data, v.count, fn);
		break;
	case MYELON_TYPE_ARRAY:
		each_element(t, object, t->count, fn);
		break;
	case MYELON_TYPE_OPTION:
		if (*object)
			each(t->element, object + t->offset, fn);
		break;
	case MYELON_TYPE_BOX:
		memcpy(&box, object, sizeof(box));
		each(t->element, box, fn);
		break;
	case MYELON_TYPE_STRUCT:
	case MYELON_TYPE_TUPLE:
		for (uint32_t i = 0; i < t->count; i++)
			each(t->fields[i].type, object + t->fields[i].offset, fn);
		break;
	case MYELON_TYPE_ENUM:
		each_variant(t, object, fn);
		break;
	default:
		break;
	}
	fn(t, object);
}

static void few_digits(const struct myelon_type *t, unsigned char *object)
{
	double d;
	float f;

	if (t->kind == MYELON_TYPE_F32) {
		memcpy(&f, object, sizeof(f));
		f = floorf(f * 16) / 16;
		memcpy(object, &f, sizeof(f));
	} else if (t->kind == MYELON_TYPE_F64) {
		memcpy(&d, object, sizeof(d));
		d = floor(d * 16) / 16;
		memcpy(object, &d, sizeof(d));
	}
}

static void nothing_empty(const struct myelon_type *t, unsigned char *object)
{
	static const unsigned char zero[sizeof(double)];
	struct myelon_text text;

	if (t->kind == MYELON_TYPE_OPTION && t->element->kind == MYELON_TYPE_STRING) {
		memcpy(&text, object + t->offset, sizeof(text));
		*object = *object && text.len > 0;
	}
	/* -0: the sign in the last byte and nothing else. */
	if ((t->kind == MYELON_TYPE_F32 || t->kind == MYELON_TYPE_F64) &&
	    object[t->size - 1] == 0x80 && memcmp(object, zero, t->size - 1) == 0)
		object[t->size - 1] = 0;
}

void plain_floats(const struct myelon_type *type, void *object)
{
	each(type, object, few_digits);
}

void plain_absent(const struct myelon_type *type, void *object)
{
	each(type, object, nothing_empty);
}
