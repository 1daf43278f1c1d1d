/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* splitmix64 */
uint64_t object_random(struct object_rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static uint64_t below(struct object_rng *r, uint64_t n)
{
	return object_random(r) % n;
}

static void *room(struct myelon_arena *arena, size_t bytes, size_t align)
{
	void *p = myelon_arena_alloc(arena, bytes, align);

	if (!p) {
		fputs("object: the test's arena is too small\n", stderr);
		abort();
	}
	if (bytes)
		memset(p, 0, bytes);
	return p;
}

/* Small, large and extreme ones alike. */
static uint64_t number(struct object_rng *r)
{
	uint64_t n = object_random(r);

	switch (below(r, 4)) {
	case 0:
		return n >> below(r, 64);
	case 1:
		return 0 - (n >> below(r, 64));
	case 2:
		return below(r, 2) ? UINT64_MAX : 0;
	default:
		return n;
	}
}

static uint32_t scalar_value(struct object_rng *r)
{
	static const uint32_t most[] = {0x7f, 0x7ff, 0xffff, 0x10ffff};
	uint32_t c = (uint32_t)below(r, most[below(r, 4)] + 1ull);

	return c >= 0xd800 && c <= 0xdfff ? 0x2603 : c;
}

static size_t put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

static uint32_t how_many(struct object_rng *r)
{
	return (uint32_t)below(r, (r->most ? r->most : 8) + 1ull);
}

static void fill_text(struct myelon_text *t, struct object_rng *r, struct myelon_arena *arena)
{
	uint32_t n = how_many(r);
	char *to = room(arena, 4ull * n, 1);

	t->data = to;
	for (uint32_t i = 0; i < n; i++)
		t->len += put_utf8(to + t->len, scalar_value(r));
}

static void fill_float(const struct myelon_type *t, void *object, struct object_rng *r)
{
	double d = (double)(int64_t)number(r) / 256;
	float f = (float)d;

	if (t->kind == MYELON_TYPE_F32)
		memcpy(object, &f, sizeof(f));
	else
		memcpy(object, &d, sizeof(d));
}

static void fill(const struct myelon_type *t, unsigned char *object, struct object_rng *r,
                 struct myelon_arena *arena, uint32_t depth);

static void fill_vector(const struct myelon_type *t, struct myelon_vector *v, struct object_rng *r,
                        struct myelon_arena *arena, uint32_t depth)
{
	size_t size = t->kind == MYELON_TYPE_BYTES ? 1 : t->element->size;
	unsigned char *to;

	v->count = depth < (r->depth ? r->depth : 6) ? how_many(r) : 0;
	to = room(arena, v->count * size, t->kind == MYELON_TYPE_BYTES ? 1 : t->element->align);
	v->data = to;
	for (size_t i = 0; i < v->count; i++)
		fill(t->kind == MYELON_TYPE_BYTES ? &myelon_u8 : t->element, to + i * size, r,
		     arena, depth + 1);
}

static void fill_enum(const struct myelon_type *t, unsigned char *object, struct object_rng *r,
                      struct myelon_arena *arena, uint32_t depth)
{
	uint32_t tag = depth < (r->depth ? r->depth : 6) ? (uint32_t)below(r, t->count) : 0;

	memcpy(object, &tag, sizeof(tag));
	if (t->fields[tag].type)
		fill(t->fields[tag].type, object + t->fields[tag].offset, r, arena, depth);
}

static void fill(const struct myelon_type *t, unsigned char *object, struct object_rng *r,
                 struct myelon_arena *arena, uint32_t depth)
{
	uint64_t words[2] = {number(r), number(r)};
	bool deep = depth >= (r->depth ? r->depth : 6);
	uint32_t c;
	void *box;

	switch ((enum myelon_type_kind)t->kind) {
	case MYELON_TYPE_BOOL:
		*object = words[0] & 1;
		return;
	case MYELON_TYPE_F32:
	case MYELON_TYPE_F64:
		fill_float(t, object, r);
		return;
	case MYELON_TYPE_CHAR:
		c = scalar_value(r);
		memcpy(object, &c, sizeof(c));
		return;
	case MYELON_TYPE_STRING:
		fill_text((struct myelon_text *)(void *)object, r, arena);
		return;
	case MYELON_TYPE_BYTES:
	case MYELON_TYPE_VECTOR:
	case MYELON_TYPE_MAP:
		fill_vector(t, (struct myelon_vector *)(void *)object, r, arena, depth);
		return;
	case MYELON_TYPE_ARRAY:
		for (uint32_t i = 0; i < t->count; i++)
			fill(t->element, object + (size_t)i * t->element->size, r, arena, depth);
		return;
	case MYELON_TYPE_OPTION:
		*object = !deep && words[0] & 1;
		if (*object)
			fill(t->element, object + t->offset, r, arena, depth);
		return;
	case MYELON_TYPE_BOX:
		box = room(arena, t->element->size, t->element->align);
		memcpy(object, &box, sizeof(box));
		fill(t->element, box, r, arena, depth + 1);
		return;
	case MYELON_TYPE_STRUCT:
	case MYELON_TYPE_TUPLE:
		for (uint32_t i = 0; i < t->count; i++)
			fill(t->fields[i].type, object + t->fields[i].offset, r, arena, depth);
		return;
	case MYELON_TYPE_ENUM:
		fill_enum(t, object, r, arena, depth);
		return;
	default:
		memcpy(object, words, t->size);
	}
}

void object_fill(const struct myelon_type *type, void *object, struct object_rng *r,
                 struct myelon_arena *arena)
{
	memset(object, 0, type->size);
	fill(type, object, r, arena, 0);
}

static bool equal_vectors(const struct myelon_type *t, const struct myelon_vector *a,
                          const struct myelon_vector *b)
{
	const unsigned char *x = a->data, *y = b->data;

	if (a->count != b->count)
		return false;
	if (t->kind == MYELON_TYPE_BYTES)
		return a->count == 0 || memcmp(x, y, a->count) == 0;
	for (size_t i = 0; i < a->count; i++)
		if (!object_equal(t->element, x + i * t->element->size, y + i * t->element->size))
			return false;
	return true;
}

static bool equal_fields(const struct myelon_type *t, const unsigned char *x,
                         const unsigned char *y)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (!object_equal(t->fields[i].type, x + t->fields[i].offset,
		                  y + t->fields[i].offset))
			return false;
	return true;
}

static bool equal_enums(const struct myelon_type *t, const unsigned char *x, const unsigned char *y)
{
	const struct myelon_field *f;
	uint32_t tag;

	memcpy(&tag, x, sizeof(tag));
	if (memcmp(x, y, sizeof(tag)) != 0 || tag >= t->count)
		return false;
	f = &t->fields[tag];
	return !f->type || object_equal(f->type, x + f->offset, y + f->offset);
}

bool object_equal(const struct myelon_type *t, const void *a, const void *b)
{
	const unsigned char *x = a, *y = b;
	const struct myelon_text *s = a, *z = b;
	const void *p, *q;

	switch ((enum myelon_type_kind)t->kind) {
	case MYELON_TYPE_STRING:
		return s->len == z->len && (s->len == 0 || memcmp(s->data, z->data, s->len) == 0);
	case MYELON_TYPE_BYTES:
	case MYELON_TYPE_VECTOR:
	case MYELON_TYPE_MAP:
		return equal_vectors(t, a, b);
	case MYELON_TYPE_ARRAY:
		for (uint32_t i = 0; i < t->count; i++)
			if (!object_equal(t->element, x + (size_t)i * t->element->size,
			                  y + (size_t)i * t->element->size))
				return false;
		return true;
	case MYELON_TYPE_OPTION:
		return !*x == !*y &&
		       (!*x || object_equal(t->element, x + t->offset, y + t->offset));
	case MYELON_TYPE_BOX:
		memcpy(&p, x, sizeof(p));
		memcpy(&q, y, sizeof(q));
		return object_equal(t->element, p, q);
	case MYELON_TYPE_STRUCT:
	case MYELON_TYPE_TUPLE:
		return equal_fields(t, x, y);
	case MYELON_TYPE_ENUM:
		return equal_enums(t, x, y);
	default:
		return memcmp(x, y, t->size) == 0;
	}
}

static void put_extreme(struct object_rng *r, unsigned char *at, size_t left)
{
	static const uint64_t extremes[] = {0,          1,          0x7f,        0x80,
	                                    0xff,       0x7fffffff, 0x80000000,  0xfffffffc,
	                                    0xffffffff, UINT64_MAX, INT64_MAX,   1ull << 63,
	                                    1ull << 32, 0xfb,       0xfffffffbu, 0x10000};
	uint64_t v = extremes[below(r, sizeof(extremes) / sizeof(extremes[0]))];
	size_t n = 1ull << below(r, 4);

	memcpy(at, &v, n < left ? n : left);
}

size_t object_mangle(struct object_rng *r, unsigned char *bytes, size_t len)
{
	for (uint64_t times = 1 + below(r, 4); times > 0 && len > 0; times--) {
		size_t at = below(r, len), from = below(r, len), n;

		switch (below(r, 6)) {
		case 0:
			bytes[at] ^= (unsigned char)(1u << below(r, 8));
			break;
		case 1:
			bytes[at] = (unsigned char)object_random(r);
			break;
		case 2:
			put_extreme(r, bytes + at, len - at);
			break;
		case 3:
			n = len - (at > from ? at : from);
			memmove(bytes + at, bytes + from, n < 16 ? n : 16);
			break;
		case 4:
			put_extreme(r, bytes + (at & ~(size_t)3), len - (at & ~(size_t)3));
			break;
		default:
			len = below(r, 3) ? len : at;
		}
	}
	return len;
}
