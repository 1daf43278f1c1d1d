/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file msgpack.h - messages as MessagePack: for programs in Python, JavaScript, Go and others.
 *
 * What stands for what: STRUCT is a map of names to values, TUPLE, VECTOR and ARRAY are arrays, MAP is a map, STRING str,
 * BYTES bin, CHAR a str of one character, OPTION nil or the value, BOX what is in it. An ENUM is as in serde: the name
 * of a variant that carries nothing, else a map of one entry, the name and what it carries. Integers are written in
 * their shortest form, F32 as float 32, F64 as float 64.
 *
 * There is no reading in place: decode.
 */
#ifndef MYELON_MSGPACK_H
#define MYELON_MSGPACK_H

#include <stdint.h>

#include <myelon/codec.h>
#include <myelon/export.h>
#include <myelon/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Write a STRUCT as an array of its fields, as the Rust crate rmp-serde does unless it is told otherwise. */
#define MYELON_MSGPACK_ARRAYS (1u << 0)
/** Write variants as numbers, their places in the table, instead of names. */
#define MYELON_MSGPACK_NUMBERS (1u << 1)
/** Take str for BYTES too: what writers send that are older than bin. */
#define MYELON_MSGPACK_STR_AS_BYTES (1u << 2)
/** Take for F32 any number within its range, rounded, instead of only those that it holds exactly. */
#define MYELON_MSGPACK_ROUND (1u << 3)

#define MYELON_MSGPACK_DEPTH_MAX 1024u
/** Bytes of a field's or a variant's name. */
#define MYELON_MSGPACK_NAME_MAX 255u

struct myelon_msgpack_opts {
	uint32_t size;
	uint32_t flags;    /**< MYELON_MSGPACK_ARRAYS ... */
	uint32_t depth;    /**< vectors, maps and boxes inside each other, at most
	                        MYELON_MSGPACK_DEPTH_MAX; default 128 */
	uint32_t reserved; /**< 0 */
	uint64_t
		memory; /**< bytes of the arena that one message may take; 0: as many as the arena gives */
	uint64_t schema; /**< 0: made of the description; else of this number instead, for programs
	                      that know more or fewer fields of the same messages */
};
#define MYELON_MSGPACK_OPTS(...)                                                                   \
	((struct myelon_msgpack_opts){.size = sizeof(struct myelon_msgpack_opts), __VA_ARGS__})

/**
 * A codec for objects of @p type, which must stay as it is until the codec is closed.
 *
 * bound is exact. encode and bound do not allocate, and refuse with -EINVAL what cannot be written: text that is not
 * UTF-8, a CHAR that is no Unicode scalar value, an unknown variant, more than 2^32 - 1 elements or bytes, objects nested
 * deeper than the limit.
 *
 * decode takes what other writers send: fields as a map in any order, or as an array of all of them; variants by name or
 * number; integers of any width whose value fits; for floats, floats and integers of either width whose value is
 * exact. Keys that are no field's are skipped with their values. A field that is missing is an error unless it is an
 * OPTION, which is then not present. Refused: a field that is there twice, a value of another kind, bytes behind the
 * object. Equal keys of a MAP are kept as they came.
 *
 * What the object points to is taken from the arena. A count is compared with the bytes that are left before memory is
 * taken. After an error the object is not to be used.
 *
 * @param opts  NULL: all defaults.
 * @return 0; -EINVAL (options, or the description, with a sentence: U128, I128 and an option of an option cannot be
 * written); -E2BIG (options of a newer version); -ENOMEM; -ENOTSUP: the library was built without msgpack-c. End it with
 * myelon_codec_close().
 */
MYELON_API int myelon_codec_msgpack(struct myelon_codec **out, const struct myelon_type *type,
                                    const struct myelon_msgpack_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
