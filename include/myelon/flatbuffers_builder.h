/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file flatbuffers_builder.h - building a FlatBuffers message by hand, straight into memory of the ring.
 *
 * It is written from the front, each table before what it refers to: a field that refers to something gives a
 * reference (where it lies in the message), and the table, text or vector it shall lead to is written later, with
 * that reference. One table is open at a time. Nothing is allocated, nothing is moved.
 *
 *     myelon_typed_claim(tp, room, MYELON_FOREVER, &buf);
 *     myelon_flat_begin(&b, buf, room, NULL);
 *     myelon_flat_table(&b, MYELON_FLAT_ROOT, 2);
 *     myelon_flat_add_u64(&b, 0, step, 0);
 *     ref = myelon_flat_add_ref(&b, 1);
 *     myelon_flat_table_end(&b);
 *     ref = myelon_flat_refs(&b, ref, n);
 *     for (i = 0; i < n; i++) {
 *         myelon_flat_table(&b, ref + 4 * i, 4);
 *         ...
 *     }
 *     len = myelon_flat_end(&b);
 *     if (len < 0)
 *         myelon_typed_cancel(tp);
 *     else
 *         myelon_typed_commit(tp, len, kind);
 *
 * Fields are named by their id in the schema; a union has two, the type's and then the value's.
 *
 * Errors stick: after the first, calls do nothing, and end returns it. Concurrency: one thread at a time.
 */
#ifndef MYELON_FLATBUFFERS_BUILDER_H
#define MYELON_FLATBUFFERS_BUILDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <myelon/export.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MYELON_FLAT_ROOT 0u         /**< the reference to the root table */
#define MYELON_FLAT_MAX_SLOTS 2048u /**< of a table */
#define MYELON_FLAT_VTABLES 8u      /* that are remembered, to be used again */

/** All members are the library's. */
struct myelon_flat_builder {
	unsigned char *buf;
	uint32_t cap;
	uint32_t at;      /* bytes written */
	uint32_t table;   /* the open one; 0: none */
	uint32_t slots;   /* it may have; 0 after an error */
	uint32_t used;    /* slots up to the last that is set */
	uint32_t pending; /* references that lead nowhere yet */
	int32_t err;
	uint32_t next; /* place in vtables */
	const char *wrong;
	struct {
		uint32_t at, bytes;
	} vtables[MYELON_FLAT_VTABLES];
	uint16_t vtable[2 + MYELON_FLAT_MAX_SLOTS]; /* of the open table */
};

/**
 * @param buf         16-byte aligned, as memory of the ring is.
 * @param cap         its bytes; the first 2 GiB are used.
 * @param identifier  4 characters, or NULL: none.
 */
MYELON_API void myelon_flat_begin(struct myelon_flat_builder *b, void *buf, size_t cap,
                                  const char *identifier);

/** @return bytes of the message; -EMSGSIZE: it does not fit; -EINVAL: the calls were wrong, with a sentence;
 * -ENOTSUP: not a little-endian machine. */
MYELON_API int64_t myelon_flat_end(struct myelon_flat_builder *b);

/** Begin the table that @p ref leads to. @p slots: ids its fields may have. */
MYELON_API void myelon_flat_table(struct myelon_flat_builder *b, uint32_t ref, uint32_t slots);
MYELON_API void myelon_flat_table_end(struct myelon_flat_builder *b);

/** @p len bytes; a NUL is added. */
MYELON_API void myelon_flat_text(struct myelon_flat_builder *b, uint32_t ref, const char *data,
                                 size_t len);

/** A vector of scalars or structs, @p size bytes each, aligned to @p align (at most 16).
 * @return where the elements are to be written, all of them; NULL after an error. */
MYELON_API void *myelon_flat_vector(struct myelon_flat_builder *b, uint32_t ref, size_t count,
                                    uint32_t size, uint32_t align);

/** A vector of tables or texts. @return the reference of the first; the others are 4 apart. */
MYELON_API uint32_t myelon_flat_refs(struct myelon_flat_builder *b, uint32_t ref, size_t count);

/* Where no field can be: record why. @return NULL. */
MYELON_API void *myelon_flat_no_place_(struct myelon_flat_builder *b, uint32_t slot,
                                       uint64_t bytes);

/* Room for a field of the open table. */
static inline void *myelon_flat_place_(struct myelon_flat_builder *b, uint32_t slot, uint32_t size,
                                       uint32_t align)
{
	uint32_t at = (b->at + align - 1) & ~(align - 1);

	if (slot >= b->slots || b->vtable[2 + slot] || (uint64_t)at + size > b->cap ||
	    (uint64_t)at + size - b->table > UINT16_MAX)
		return myelon_flat_no_place_(b, slot, (uint64_t)at + size);
	while (b->at < at)
		b->buf[b->at++] = 0;
	b->vtable[2 + slot] = (uint16_t)(at - b->table);
	if (b->used <= slot)
		b->used = slot + 1;
	b->at = at + size;
	return b->buf + at;
}

/* myelon_flat_add_u8() ... myelon_flat_add_f64(): a scalar, left out if it is @p preset, bit for bit.
 * myelon_flat_put_u8() ...: one that is always there. */
#define MYELON_FLAT_ADD_(name, c_type)                                                             \
	static inline void myelon_flat_put_##name(struct myelon_flat_builder *b, uint32_t slot,    \
	                                          c_type value)                                    \
	{                                                                                          \
		void *to = myelon_flat_place_(b, slot, sizeof(value), sizeof(value));              \
                                                                                                   \
		if (to)                                                                            \
			__builtin_memcpy(to, &value, sizeof(value));                               \
	}                                                                                          \
	static inline void myelon_flat_add_##name(struct myelon_flat_builder *b, uint32_t slot,    \
	                                          c_type value, c_type preset)                     \
	{                                                                                          \
		if (__builtin_memcmp(&value, &preset, sizeof(value)) != 0)                         \
			myelon_flat_put_##name(b, slot, value);                                    \
	}
MYELON_FLAT_ADD_(bool, bool)
MYELON_FLAT_ADD_(u8, uint8_t)
MYELON_FLAT_ADD_(u16, uint16_t)
MYELON_FLAT_ADD_(u32, uint32_t)
MYELON_FLAT_ADD_(u64, uint64_t)
MYELON_FLAT_ADD_(i8, int8_t)
MYELON_FLAT_ADD_(i16, int16_t)
MYELON_FLAT_ADD_(i32, int32_t)
MYELON_FLAT_ADD_(i64, int64_t)
MYELON_FLAT_ADD_(f32, float)
MYELON_FLAT_ADD_(f64, double)
#undef MYELON_FLAT_ADD_

/** A field that leads to a table, text or vector, which must be written after the table has ended.
 * @return the reference. */
static inline uint32_t myelon_flat_add_ref(struct myelon_flat_builder *b, uint32_t slot)
{
	unsigned char *to = (unsigned char *)myelon_flat_place_(b, slot, 4, 4);

	if (!to)
		return 0;
	__builtin_memset(to, 0, 4);
	b->pending++;
	return (uint32_t)(to - b->buf);
}

/** A struct, aligned to @p align (at most 16). @return where its @p size bytes are to be written; NULL
 * after an error. */
static inline void *myelon_flat_add_struct(struct myelon_flat_builder *b, uint32_t slot,
                                           uint32_t size, uint32_t align)
{
	return myelon_flat_place_(b, slot, size, align);
}

/** A union. @p slot: of the value, the type is put into the one before. @p type: not 0 (leave the field out).
 * @return the reference for the value. */
static inline uint32_t myelon_flat_add_union(struct myelon_flat_builder *b, uint32_t slot,
                                             uint8_t type)
{
	uint32_t ref = myelon_flat_add_ref(b, slot);

	myelon_flat_put_u8(b, slot - 1, type);
	return ref;
}

#ifdef __cplusplus
}
#endif
#endif
