/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file flatbuffers_reader.h - reading a FlatBuffers message where it lies.
 *
 *     struct myelon_flat_table batch = myelon_flat_root(in.data, in.len);
 *     uint64_t step = myelon_flat_get_u64(&batch, 0, 0);
 *     struct myelon_flat_vector requests = myelon_flat_get_vector(&batch, 1, 4, 4);
 *     for (uint32_t i = 0; i < requests.count; i++) {
 *         struct myelon_flat_table r = myelon_flat_table_of(&requests, i);
 *         struct myelon_flat_vector tokens = myelon_flat_get_vector(&r, 1, sizeof(uint32_t), 4);
 *         sum(tokens.data, tokens.count);
 *     }
 *
 * Fields are named by their id in the schema; a union has two, the type's and then the value's.
 *
 * Nothing here fails. What is absent, and what would lie outside the message, is the default, a table without
 * fields, an empty vector or text, or NULL. So it is safe on any bytes, also on those that somebody changes
 * meanwhile: each number that leads somewhere is read once and checked. Which message is a sound one, the codec's
 * access says before. Values may change while they are read, and between two reads.
 *
 * For little-endian machines, as the format is.
 */
#ifndef MYELON_FLATBUFFERS_READER_H
#define MYELON_FLATBUFFERS_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <myelon/once.h>
#include <myelon/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Where a table is. All members are the library's. */
struct myelon_flat_table {
	const unsigned char *data; /* the message */
	uint32_t len;
	uint32_t at;     /* of the table */
	uint32_t vtable; /* where it is */
	uint32_t bytes;  /* of the vtable; 0: no table */
};

struct myelon_flat_vector {
	const void *
		data; /**< the elements: scalars and structs are read here; NULL if there are none */
	uint32_t count;
	uint32_t len; /* of the message, and where the elements begin: the library's */
	const unsigned char *message;
	uint32_t at;
	uint32_t size; /* of an element */
};

static inline struct myelon_flat_table myelon_flat_no_table_(void)
{
	struct myelon_flat_table t;

	t.data = NULL;
	t.len = t.at = t.vtable = t.bytes = 0;
	return t;
}

static inline struct myelon_flat_table myelon_flat_table_at_(const unsigned char *data,
                                                             uint32_t len, uint64_t at)
{
	struct myelon_flat_table t;
	int64_t vtable;

	if (at + 4 > len)
		return myelon_flat_no_table_();
	vtable = (int64_t)at - (int32_t)myelon_once_u32_(data + at);
	if (vtable < 0 || vtable + 4 > (int64_t)len)
		return myelon_flat_no_table_();
	t.data = data;
	t.len = len;
	t.at = (uint32_t)at;
	t.vtable = (uint32_t)vtable;
	t.bytes = myelon_once_u16_(data + vtable);
	return t.bytes <= len - t.vtable ? t : myelon_flat_no_table_();
}

/* Where the field lies, with @size bytes of it in the message; 0: nowhere. */
static inline uint32_t myelon_flat_field_(const struct myelon_flat_table *t, uint32_t slot,
                                          uint32_t size)
{
	uint64_t entry = 4 + 2 * (uint64_t)slot;
	uint32_t offset;

	if (entry + 2 > t->bytes)
		return 0;
	offset = myelon_once_u16_(t->data + t->vtable + entry);
	if (offset == 0 || (uint64_t)t->at + offset + size > t->len)
		return 0;
	return t->at + offset;
}

/* What the reference at @at, which is in the message, leads to, with 4 bytes of it; 0: nowhere. */
static inline uint32_t myelon_flat_follow_(const unsigned char *data, uint32_t len, uint32_t at)
{
	uint64_t to = (uint64_t)at + myelon_once_u32_(data + at);

	return to > at && to + 4 <= len ? (uint32_t)to : 0;
}

static inline uint32_t myelon_flat_follow_field_(const struct myelon_flat_table *t, uint32_t slot)
{
	uint32_t at = myelon_flat_field_(t, slot, 4);

	return at ? myelon_flat_follow_(t->data, t->len, at) : 0;
}

/** The root table of a message. */
static inline struct myelon_flat_table myelon_flat_root(const void *data, size_t len)
{
	const unsigned char *d = (const unsigned char *)data;

	if (len < 8 || len > INT32_MAX)
		return myelon_flat_no_table_();
	return myelon_flat_table_at_(d, (uint32_t)len, myelon_once_u32_(d));
}

/** Is there a table at all? */
static inline bool myelon_flat_is_table(const struct myelon_flat_table *t)
{
	return t->data != NULL;
}

/** Is the field in the message? */
static inline bool myelon_flat_has(const struct myelon_flat_table *t, uint32_t slot)
{
	return myelon_flat_field_(t, slot, 1) != 0;
}

/* myelon_flat_get_u8() ... myelon_flat_get_i64(): a number; @p preset: if it is absent. */
#define MYELON_FLAT_GET_(name, c_type, bits)                                                       \
	static inline c_type myelon_flat_get_##name(const struct myelon_flat_table *t,             \
	                                            uint32_t slot, c_type preset)                  \
	{                                                                                          \
		uint32_t at = myelon_flat_field_(t, slot, (bits) / 8);                             \
                                                                                                   \
		return at ? (c_type)myelon_once_u##bits##_(t->data + at) : preset;                 \
	}
MYELON_FLAT_GET_(u8, uint8_t, 8)
MYELON_FLAT_GET_(u16, uint16_t, 16)
MYELON_FLAT_GET_(u32, uint32_t, 32)
MYELON_FLAT_GET_(u64, uint64_t, 64)
MYELON_FLAT_GET_(i8, int8_t, 8)
MYELON_FLAT_GET_(i16, int16_t, 16)
MYELON_FLAT_GET_(i32, int32_t, 32)
MYELON_FLAT_GET_(i64, int64_t, 64)
#undef MYELON_FLAT_GET_

static inline bool myelon_flat_get_bool(const struct myelon_flat_table *t, uint32_t slot,
                                        bool preset)
{
	return myelon_flat_get_u8(t, slot, preset) != 0;
}

static inline float myelon_flat_get_f32(const struct myelon_flat_table *t, uint32_t slot,
                                        float preset)
{
	uint32_t bits, at = myelon_flat_field_(t, slot, 4);

	if (!at)
		return preset;
	bits = myelon_once_u32_(t->data + at);
	__builtin_memcpy(&preset, &bits, sizeof(preset));
	return preset;
}

static inline double myelon_flat_get_f64(const struct myelon_flat_table *t, uint32_t slot,
                                         double preset)
{
	uint32_t at = myelon_flat_field_(t, slot, 8);
	uint64_t bits;

	if (!at)
		return preset;
	bits = myelon_once_u64_(t->data + at);
	__builtin_memcpy(&preset, &bits, sizeof(preset));
	return preset;
}

/** A struct of @p size bytes, aligned to @p align in memory; NULL: absent. */
static inline const void *myelon_flat_get_struct(const struct myelon_flat_table *t, uint32_t slot,
                                                 uint32_t size, uint32_t align)
{
	uint32_t at = myelon_flat_field_(t, slot, size);

	return at && ((uintptr_t)(t->data + at) & (align - 1)) == 0 ? t->data + at : NULL;
}

static inline struct myelon_flat_table myelon_flat_get_table(const struct myelon_flat_table *t,
                                                             uint32_t slot)
{
	uint32_t at = myelon_flat_follow_field_(t, slot);

	return at ? myelon_flat_table_at_(t->data, t->len, at) : myelon_flat_no_table_();
}

/** @p slot: of the value; the type's is the one before. @return the type, 0: none. */
static inline uint8_t myelon_flat_get_union(const struct myelon_flat_table *t, uint32_t slot,
                                            struct myelon_flat_table *value)
{
	uint8_t type = slot ? myelon_flat_get_u8(t, slot - 1, 0) : 0;

	*value = type ? myelon_flat_get_table(t, slot) : myelon_flat_no_table_();
	return value->data ? type : 0;
}

static inline struct myelon_text myelon_flat_text_at_(const unsigned char *data, uint32_t len,
                                                      uint32_t at)
{
	struct myelon_text text;
	uint32_t bytes = at ? myelon_once_u32_(data + at) : 0;

	text.data = NULL;
	text.len = 0;
	if (at && bytes <= len - at - 4) {
		text.data = (const char *)data + at + 4;
		text.len = bytes;
	}
	return text;
}

/** Absent: data is NULL. */
static inline struct myelon_text myelon_flat_get_text(const struct myelon_flat_table *t,
                                                      uint32_t slot)
{
	return myelon_flat_text_at_(t->data, t->len, myelon_flat_follow_field_(t, slot));
}

/** Elements of @p size bytes, aligned to @p align in memory. Tables and texts: 4 and 4. */
static inline struct myelon_flat_vector myelon_flat_get_vector(const struct myelon_flat_table *t,
                                                               uint32_t slot, uint32_t size,
                                                               uint32_t align)
{
	struct myelon_flat_vector v;
	uint32_t at = myelon_flat_follow_field_(t, slot);
	uint32_t count = at ? myelon_once_u32_(t->data + at) : 0;

	v.data = NULL;
	v.count = 0;
	v.message = t->data;
	v.len = t->len;
	v.at = at + 4;
	v.size = size;
	if (count && (uint64_t)count * size <= t->len - v.at &&
	    ((uintptr_t)(t->data + v.at) & (align - 1)) == 0) {
		v.data = t->data + v.at;
		v.count = count;
	}
	return v;
}

/* What element @i of a vector of references leads to; 0: nowhere. */
static inline uint32_t myelon_flat_element_(const struct myelon_flat_vector *v, uint32_t i)
{
	if (i >= v->count || v->size != 4)
		return 0;
	return myelon_flat_follow_(v->message, v->len, v->at + 4 * i);
}

static inline struct myelon_flat_table myelon_flat_table_of(const struct myelon_flat_vector *v,
                                                            uint32_t i)
{
	uint32_t at = myelon_flat_element_(v, i);

	return at ? myelon_flat_table_at_(v->message, v->len, at) : myelon_flat_no_table_();
}

static inline struct myelon_text myelon_flat_text_of(const struct myelon_flat_vector *v, uint32_t i)
{
	return myelon_flat_text_at_(v->message, v->len, myelon_flat_element_(v, i));
}

#ifdef __cplusplus
}
#endif
#endif
