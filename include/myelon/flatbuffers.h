/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file flatbuffers.h - the codec for FlatBuffers messages.
 *
 * myelon_codec_flatbuffers() writes objects of a described type (type.h) and reads what it, or any FlatBuffers
 * library, wrote by the same schema. Messages may also be built by hand (flatbuffers_builder.h) and are read in
 * place by flatbuffers_reader.h, or by code that flatc generated: the root of access is the root table.
 *
 * What a type is in the schema:
 *
 *     bool, u8 ... i64, f32, f64   bool, ubyte ... long, float, double; u128 and i128: refused
 *     char                         uint
 *     string                       string
 *     bytes                        [ubyte]
 *     struct, tuple                table; with MYELON_FIXED: struct
 *     vector, map                  vector; a map's elements are tables (or structs) of key and value, not sorted
 *     array                        vector of exactly so many; in a struct: array
 *     enum without payloads        enum: ubyte, or ushort, uint with MYELON_ENUM_U16, MYELON_ENUM_U32
 *     enum with payloads           union; a first variant that carries nothing is NONE, unless it has a number
 *     option of a scalar           scalar = null
 *     option of anything else      may be absent
 *     box                          what is in it
 *
 * Where FlatBuffers cannot hold it (a vector or array or union or option in a vector, an option in an option, an
 * option of a union, a root or a union's payload that is no table) it is the only field, "value", of a table.
 * A variant that carries nothing and is not NONE is a table without fields.
 *
 * Ids of fields are their numbers, or, if all numbers of a table are 0, their places, where a union takes two.
 * As in flatc, the number of a union field is that of its value, one above its type's. Values of an enum and types of
 * a union are the variants' numbers; if all are 0, their places, for a union from 1 on if there is no NONE.
 * A scalar that equals its preset is left out; the preset of an enum is the index of a variant.
 *
 * Absent scalars are their preset, absent strings, bytes, vectors and maps empty. All else that is not an option is
 * required, as by the attribute of that name. Fields, variants and enum values that the type does not know: fields are
 * passed over, the others refused.
 */
#ifndef MYELON_FLATBUFFERS_H
#define MYELON_FLATBUFFERS_H

#include <myelon/codec.h>
#include <myelon/flatbuffers_builder.h>
#include <myelon/flatbuffers_reader.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Strings may have any bytes; else they must be UTF-8. */
#define MYELON_FLATBUFFERS_ANY_TEXT (1u << 0)
/** Scalars are written even if they equal their preset. */
#define MYELON_FLATBUFFERS_PRESETS (1u << 1)

#define MYELON_FLATBUFFERS_DEPTH 64u
#define MYELON_FLATBUFFERS_TABLES 1000000u

struct myelon_flatbuffers_opts {
	uint32_t size;
	uint32_t flags;
	uint32_t depth;  /**< of tables in tables, at most 128; default MYELON_FLATBUFFERS_DEPTH */
	uint32_t tables; /**< of a message; one that is referred to twice counts twice; default
	                    MYELON_FLATBUFFERS_TABLES */
	uint64_t
		work; /**< bytes that verifying or decoding a message may look at; what is referred to twice
	                    counts twice; default: 64 MiB, or 16 times the message */
	const char *identifier; /**< 4 characters, written and required; NULL: none. Copied */
};
#define MYELON_FLATBUFFERS_OPTS(...)                                                               \
	((struct myelon_flatbuffers_opts){.size = sizeof(struct myelon_flatbuffers_opts),          \
	                                  __VA_ARGS__})

/**
 * @param type  must live as long as the codec.
 * @param opts  NULL: the defaults.
 * @return 0; -EINVAL (the type, with a sentence that names the field; options); -ENOMEM; -ENOTSUP (the
 * machine is not little-endian).
 */
MYELON_API int myelon_codec_flatbuffers(struct myelon_codec **out, const struct myelon_type *type,
                                        const struct myelon_flatbuffers_opts *opts);

struct flatcc_builder;

/**
 * A schema compiled by flatcc, as it is. The functions have the signatures that flatcc gives them:
 *
 *     myelon_codec_flatcc(&codec, &MYELON_FLATCC_OPTS(
 *         .name = "Batch", .schema = 7,
 *         .verify = Batch_verify_as_root, .error = flatcc_verify_error_string,
 *         .bytes = flatcc_builder_get_buffer_size, .copy = flatcc_builder_copy_buffer));
 *
 *     myelon_typed_send(tp, &builder, 0, MYELON_FOREVER);      a flatcc_builder_t, its buffer ended
 *
 *     myelon_typed_peek(tc, MYELON_FOREVER, &in, NULL);        Batch_as_root(in.data)
 *     myelon_typed_recv(tc, &bytes, &arena, MYELON_FOREVER, NULL);   Batch_as_root(bytes.data)
 *
 * The object of encode is the builder; that of decode a struct myelon_vector, a copy of the message that was verified
 * after it was copied. flatcc's readers do not check again what the verifier checked: where the producer is not
 * trusted, receive, and do not peek.
 */
struct myelon_flatcc_opts {
	uint32_t size;
	uint32_t flags;   /**< 0 */
	const char *name; /**< of the root table. Copied */
	uint64_t schema;  /**< to be changed with the schema, in any way */
	int (*verify)(const void *buf, size_t bufsiz); /**< 0: sound */
	const char *(*error)(int code);                /**< its codes in words; may be NULL */
	size_t (*bytes)(struct flatcc_builder *builder);
	/** @return NULL: it does not fit. */
	void *(*copy)(struct flatcc_builder *builder, void *buffer, size_t size);
};
#define MYELON_FLATCC_OPTS(...)                                                                    \
	((struct myelon_flatcc_opts){.size = sizeof(struct myelon_flatcc_opts), __VA_ARGS__})
/** @return 0, -EINVAL, -ENOMEM. */
MYELON_API int myelon_codec_flatcc(struct myelon_codec **out,
                                   const struct myelon_flatcc_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
