/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file bincode.h - messages byte for byte as the Rust crate bincode 1.3 writes them.
 *
 * Two ways to use it: a codec made from a description (type.h), for typed handles; or a writer and a reader over
 * memory, one value after the other.
 *
 * What stands for what in Rust: STRUCT, TUPLE and ARRAY are structs, tuples and arrays (nothing but their parts),
 * VECTOR is Vec, MAP a map, BYTES what serde_bytes writes (the same bytes as Vec<u8>), OPTION Option, BOX Box, ENUM an
 * enum: the index of a variant is its place in the table. usize and isize are U64 and I64.
 *
 * There is no reading in place: decode. Messages are compared with what this machine knows of the type, not of the
 * sender's: bincode writes no names and no types.
 */
#ifndef MYELON_BINCODE_H
#define MYELON_BINCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <myelon/codec.h>
#include <myelon/export.h>
#include <myelon/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How integers are written. u8, i8, bool, f32 and f64 are the same in both. */
enum myelon_bincode_encoding {
	/** As wide as they are, little endian; lengths 8 bytes, variants 4. What bincode::serialize() writes. */
	MYELON_BINCODE_FIXED = 0,
	/** 1, 3, 5, 9 or 17 bytes, signed ones zigzag; lengths and variants too. What DefaultOptions::new() writes. */
	MYELON_BINCODE_VARINT = 1,
};

/** What decode does with bytes behind the object. */
enum myelon_bincode_trailing {
	/** As Rust: bincode::deserialize() (FIXED) ignores them, DefaultOptions::new() (VARINT) refuses them. */
	MYELON_BINCODE_TRAILING_DEFAULT = 0,
	MYELON_BINCODE_TRAILING_IGNORE = 1,
	MYELON_BINCODE_TRAILING_REFUSE = 2,
};

#define MYELON_BINCODE_DEPTH_MAX 1024u

struct myelon_bincode_opts {
	uint32_t size;
	uint32_t encoding; /**< enum myelon_bincode_encoding */
	uint32_t trailing; /**< enum myelon_bincode_trailing */
	uint32_t depth;    /**< vectors, maps and boxes inside each other, at most
	                        MYELON_BINCODE_DEPTH_MAX; default 128 */
	uint64_t
		memory; /**< bytes of the arena that one message may take; 0: as many as the arena gives */
};
#define MYELON_BINCODE_OPTS(...)                                                                   \
	((struct myelon_bincode_opts){.size = sizeof(struct myelon_bincode_opts), __VA_ARGS__})

/**
 * A codec for objects of @p type, which must stay as it is until the codec is closed.
 *
 * bound is exact. encode and bound do not allocate, and refuse with -EINVAL what Rust could not have: text that is not
 * UTF-8, a CHAR that is no Unicode scalar value, an unknown variant; and what decode would not take back: more than
 * 65,536 elements of a type that is written as nothing, objects nested deeper than the limit.
 *
 * decode fills the object and takes the rest from the arena; only what has at least one string, vector, map or box that
 * is not empty takes any. A count is compared with the bytes that are left before memory is taken. After an error the
 * object is not to be used.
 *
 * @param opts  NULL: all defaults.
 * @return 0; -EINVAL (options, or the description, with a sentence that names the field); -E2BIG (options of a newer
 * version); -ENOMEM. End it with myelon_codec_close().
 */
MYELON_API int myelon_codec_bincode(struct myelon_codec **out, const struct myelon_type *type,
                                    const struct myelon_bincode_opts *opts);

/**
 * Writes one value after the other into memory of the caller. It never allocates. After the first failure all calls
 * return its error and do nothing, so it is enough to look at myelon_bincode_written(). Members are the library's.
 *
 *     struct myelon_bincode_writer w;
 *     myelon_bincode_writer_init(&w, buf, sizeof(buf), MYELON_BINCODE_FIXED);
 *     myelon_bincode_put_u64(&w, id);
 *     myelon_bincode_put_len(&w, n);
 *     myelon_bincode_put_run(&w, MYELON_TYPE_U32, tokens, n);
 *     bytes = myelon_bincode_written(&w);
 *
 * Concurrency: one thread at a time; so with the reader.
 */
struct myelon_bincode_writer {
	unsigned char *begin;
	unsigned char *at;
	unsigned char *end;
	uint32_t encoding;
	int error;
};

MYELON_API void myelon_bincode_writer_init(struct myelon_bincode_writer *w, void *buf, size_t cap,
                                           enum myelon_bincode_encoding encoding);
/** Bytes written so far; or the first error. */
MYELON_API int64_t myelon_bincode_written(const struct myelon_bincode_writer *w);

/** Each: 0; -EMSGSIZE (it does not fit); -EINVAL (the value). */
MYELON_API int myelon_bincode_put_bool(struct myelon_bincode_writer *w, bool v);
MYELON_API int myelon_bincode_put_u8(struct myelon_bincode_writer *w, uint8_t v);
MYELON_API int myelon_bincode_put_u16(struct myelon_bincode_writer *w, uint16_t v);
MYELON_API int myelon_bincode_put_u32(struct myelon_bincode_writer *w, uint32_t v);
MYELON_API int myelon_bincode_put_u64(struct myelon_bincode_writer *w, uint64_t v);
MYELON_API int myelon_bincode_put_u128(struct myelon_bincode_writer *w, uint64_t low,
                                       uint64_t high);
MYELON_API int myelon_bincode_put_i8(struct myelon_bincode_writer *w, int8_t v);
MYELON_API int myelon_bincode_put_i16(struct myelon_bincode_writer *w, int16_t v);
MYELON_API int myelon_bincode_put_i32(struct myelon_bincode_writer *w, int32_t v);
MYELON_API int myelon_bincode_put_i64(struct myelon_bincode_writer *w, int64_t v);
/** Two's complement: @p high has the sign. */
MYELON_API int myelon_bincode_put_i128(struct myelon_bincode_writer *w, uint64_t low, int64_t high);
MYELON_API int myelon_bincode_put_f32(struct myelon_bincode_writer *w, float v);
MYELON_API int myelon_bincode_put_f64(struct myelon_bincode_writer *w, double v);
/** A Unicode scalar value. */
MYELON_API int myelon_bincode_put_char(struct myelon_bincode_writer *w, uint32_t c);
/** Elements of a vector, or pairs of a map, which follow. */
MYELON_API int myelon_bincode_put_len(struct myelon_bincode_writer *w, uint64_t count);
/** Length and UTF-8. */
MYELON_API int myelon_bincode_put_string(struct myelon_bincode_writer *w, const char *text,
                                         size_t len);
/** Length and bytes. */
MYELON_API int myelon_bincode_put_bytes(struct myelon_bincode_writer *w, const void *data,
                                        size_t len);
/** The index of an enum's variant; what it carries follows. */
MYELON_API int myelon_bincode_put_variant(struct myelon_bincode_writer *w, uint32_t index);
/** If @p present, the value follows. */
MYELON_API int myelon_bincode_put_option(struct myelon_bincode_writer *w, bool present);
/** @p count numbers of a C array (U8 to I64, F32, F64), without a length: the elements of an array, or of a vector whose
 * length was put before. */
MYELON_API int myelon_bincode_put_run(struct myelon_bincode_writer *w, enum myelon_type_kind kind,
                                      const void *numbers, size_t count);

/**
 * Reads one value after the other. What lies in memory may be anything, and may change meanwhile: numbers are read
 * once. After the first failure all calls return its error and give 0. Members are the library's.
 */
struct myelon_bincode_reader {
	const unsigned char *begin;
	const unsigned char *at;
	const unsigned char *end;
	uint32_t encoding;
	int error;
	uint32_t fault; /* what is wrong at at, and its numbers */
	uint32_t reserved;
	uint64_t need;
	uint64_t value;
};

MYELON_API void myelon_bincode_reader_init(struct myelon_bincode_reader *r, const void *data,
                                           size_t len, enum myelon_bincode_encoding encoding);
/** Bytes not read yet. */
MYELON_API size_t myelon_bincode_left(const struct myelon_bincode_reader *r);
/** Nothing failed and all was read: 0; the first error; -EBADMSG: bytes are left. */
MYELON_API int myelon_bincode_read_all(const struct myelon_bincode_reader *r);

/** Each: 0 and the value; -EBADMSG with a sentence: the end, or bytes that are no such value. */
MYELON_API int myelon_bincode_get_bool(struct myelon_bincode_reader *r, bool *v);
MYELON_API int myelon_bincode_get_u8(struct myelon_bincode_reader *r, uint8_t *v);
MYELON_API int myelon_bincode_get_u16(struct myelon_bincode_reader *r, uint16_t *v);
MYELON_API int myelon_bincode_get_u32(struct myelon_bincode_reader *r, uint32_t *v);
MYELON_API int myelon_bincode_get_u64(struct myelon_bincode_reader *r, uint64_t *v);
MYELON_API int myelon_bincode_get_u128(struct myelon_bincode_reader *r, uint64_t *low,
                                       uint64_t *high);
MYELON_API int myelon_bincode_get_i8(struct myelon_bincode_reader *r, int8_t *v);
MYELON_API int myelon_bincode_get_i16(struct myelon_bincode_reader *r, int16_t *v);
MYELON_API int myelon_bincode_get_i32(struct myelon_bincode_reader *r, int32_t *v);
MYELON_API int myelon_bincode_get_i64(struct myelon_bincode_reader *r, int64_t *v);
MYELON_API int myelon_bincode_get_i128(struct myelon_bincode_reader *r, uint64_t *low,
                                       int64_t *high);
MYELON_API int myelon_bincode_get_f32(struct myelon_bincode_reader *r, float *v);
MYELON_API int myelon_bincode_get_f64(struct myelon_bincode_reader *r, double *v);
MYELON_API int myelon_bincode_get_char(struct myelon_bincode_reader *r, uint32_t *c);
/** Elements that follow, each of at least @p least bytes: a count that cannot fit into what is left is -EBADMSG, so that
 * memory may be taken for it. 0: elements that may take no bytes, at most 65,536 of them. */
MYELON_API int myelon_bincode_get_len(struct myelon_bincode_reader *r, size_t least, size_t *count);
/** Where it lies: valid as long as the memory is, and as unchanging. It was UTF-8 when it was looked at. */
MYELON_API int myelon_bincode_get_string(struct myelon_bincode_reader *r, const char **text,
                                         size_t *len);
MYELON_API int myelon_bincode_get_bytes(struct myelon_bincode_reader *r, const void **data,
                                        size_t *len);
/** An index below @p variants. */
MYELON_API int myelon_bincode_get_variant(struct myelon_bincode_reader *r, uint32_t variants,
                                          uint32_t *index);
MYELON_API int myelon_bincode_get_option(struct myelon_bincode_reader *r, bool *present);
/** @p count numbers into a C array; on failure its content is undefined. */
MYELON_API int myelon_bincode_get_run(struct myelon_bincode_reader *r, enum myelon_type_kind kind,
                                      void *numbers, size_t count);

#ifdef __cplusplus
}
#endif
#endif
