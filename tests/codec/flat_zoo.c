/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "flat_zoo.h"

#include <myelon/flatbuffers.h>

#include "zoo.h"

#define DEPTH 8u
#define MOST 64u /* of a vector of references: references may be shared */

static uint32_t few(uint32_t count)
{
	return count < MOST ? count : MOST;
}

static uint64_t bytes(const void *data, size_t len)
{
	const unsigned char *c = data;
	uint64_t sum = len;

	for (size_t i = 0; i < len; i++)
		sum = sum * 31 + c[i];
	return sum;
}

static uint64_t text(struct myelon_text t)
{
	return bytes(t.data, t.len);
}

static uint64_t vector(const struct myelon_flat_table *t, uint32_t slot, uint32_t size,
                       uint32_t align)
{
	struct myelon_flat_vector v = myelon_flat_get_vector(t, slot, size, align);

	return bytes(v.data, (size_t)v.count * size);
}

static uint64_t texts(const struct myelon_flat_table *t, uint32_t slot)
{
	struct myelon_flat_vector v = myelon_flat_get_vector(t, slot, 4, 4);
	uint64_t sum = v.count;

	for (uint32_t i = 0; i < few(v.count); i++)
		sum += text(myelon_flat_text_of(&v, i));
	return sum;
}

static uint64_t shape(const struct myelon_flat_table *t, uint32_t slot)
{
	struct myelon_flat_table value;
	uint64_t sum = myelon_flat_get_union(t, slot, &value);

	if (sum == SHAPE_CIRCLE)
		return sum + (myelon_flat_get_f64(&value, 0, 0) > 1);
	if (sum == SHAPE_NAMED)
		sum += text(myelon_flat_get_text(&value, 0)) + myelon_flat_get_u32(&value, 1, 0);
	return sum;
}

static uint64_t node(const struct myelon_flat_table *t, uint32_t depth)
{
	struct myelon_flat_vector children = myelon_flat_get_vector(t, 1, 4, 4);
	struct myelon_flat_table next = myelon_flat_get_table(t, 2);
	uint64_t sum = myelon_flat_get_u32(t, 0, 0);

	for (uint32_t i = 0; depth && i < few(children.count); i++) {
		struct myelon_flat_table child = myelon_flat_table_of(&children, i);

		sum += node(&child, depth > 4 ? depth - 4 : 0);
	}
	return depth && myelon_flat_is_table(&next) ? sum + node(&next, depth - 1) : sum;
}

static uint64_t numbers(const struct myelon_flat_table *t)
{
	return (uint64_t)myelon_flat_get_bool(t, 0, false) + myelon_flat_get_u8(t, 1, 0) +
	       myelon_flat_get_u16(t, 2, 0) + myelon_flat_get_u32(t, 3, 0) +
	       myelon_flat_get_u64(t, 4, 0) + (uint64_t)myelon_flat_get_i8(t, 5, 0) +
	       (uint64_t)myelon_flat_get_i16(t, 6, 0) + (uint64_t)myelon_flat_get_i32(t, 7, 0) +
	       (uint64_t)myelon_flat_get_i64(t, 8, 0) + (myelon_flat_get_f32(t, 9, 0) > 1) +
	       (myelon_flat_get_f64(t, 10, 0) > 1) + myelon_flat_get_u32(t, 11, 0);
}

static uint64_t lists(const struct myelon_flat_table *t)
{
	struct myelon_flat_vector shapes = myelon_flat_get_vector(t, 23, 4, 4);
	struct myelon_flat_vector map = myelon_flat_get_vector(t, 24, 4, 4);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < few(shapes.count); i++) {
		struct myelon_flat_table value = myelon_flat_table_of(&shapes, i);

		sum += shape(&value, 1);
	}
	for (uint32_t i = 0; i < few(map.count); i++) {
		struct myelon_flat_table pair = myelon_flat_table_of(&map, i);

		sum += text(myelon_flat_get_text(&pair, 0)) +
		       (uint64_t)myelon_flat_get_i64(&pair, 1, 0);
	}
	return sum;
}

uint64_t flat_read_zoo(const void *data, size_t len)
{
	struct myelon_flat_table t = myelon_flat_root(data, len);
	struct myelon_flat_table tree = myelon_flat_get_table(&t, 25);
	const struct point *origin = myelon_flat_get_struct(&t, 20, sizeof(*origin), 4);
	uint64_t sum = numbers(&t) + text(myelon_flat_get_text(&t, 12));

	sum += vector(&t, 13, 1, 1) + vector(&t, 14, 4, 4) + texts(&t, 15) +
	       vector(&t, 16, sizeof(struct point), 4);
	sum += myelon_flat_has(&t, 17) + myelon_flat_get_u64(&t, 17, 0);
	sum += text(myelon_flat_get_text(&t, 18)) + vector(&t, 19, 2, 2);
	sum += origin ? bytes(origin, sizeof(*origin)) : 0;
	return sum + shape(&t, 22) + lists(&t) + node(&tree, DEPTH);
}

uint64_t flat_read_batch(const void *data, size_t len)
{
	struct myelon_flat_table t = myelon_flat_root(data, len);
	struct myelon_flat_vector requests = myelon_flat_get_vector(&t, 1, 4, 4);
	uint64_t sum = myelon_flat_get_u64(&t, 0, 0);

	for (uint32_t i = 0; i < few(requests.count); i++) {
		struct myelon_flat_table r = myelon_flat_table_of(&requests, i);
		struct myelon_flat_table s = myelon_flat_get_table(&r, 2);

		sum += myelon_flat_get_u64(&r, 0, 0) + vector(&r, 1, 4, 4) + vector(&r, 3, 4, 4);
		sum += (myelon_flat_get_f32(&s, 0, 0) > 1) + (myelon_flat_get_f32(&s, 1, 0) > 1);
		sum += myelon_flat_get_u32(&s, 2, 0) + myelon_flat_get_u64(&s, 3, 0) + texts(&s, 4);
	}
	return sum;
}
