/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file type.h - a C struct as a table of fields, from which codecs write and read it.
 *
 * One description serves every codec that needs one (bincode.h, rkyv.h, flatbuffers.h, msgpack.h):
 *
 *     struct maybe_float { bool present; float value; };
 *     struct request {
 *         uint64_t id;
 *         struct myelon_vector tokens; // of uint32_t
 *         struct maybe_float top_p;
 *     };
 *     static const struct myelon_type tokens = MYELON_VECTOR_OF(&myelon_u32);
 *     static const struct myelon_type top_p = MYELON_OPTION_OF(&myelon_f32, struct maybe_float);
 *     static const struct myelon_field request_fields[] = {
 *         MYELON_FIELD(struct request, id, &myelon_u64),
 *         MYELON_FIELD(struct request, tokens, &tokens),
 *         MYELON_FIELD(struct request, top_p, &top_p),
 *     };
 *     static const struct myelon_type request = MYELON_STRUCT(struct request, request_fields);
 *
 * Fields are encoded in the order of the table, not of the struct; members that are not in it are left
 * zero by decode.
 *
 * Types may refer to themselves through VECTOR and BOX (an OPTION of a BOX is a pointer that may be
 * missing). How deep values may be nested is a limit of each codec.
 */
#ifndef MYELON_TYPE_H
#define MYELON_TYPE_H

#include <stddef.h>
#include <stdint.h>

#include <myelon/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What it is, and what stands for it in C. */
enum myelon_type_kind {
	MYELON_TYPE_BOOL = 1, /**< bool, one byte */
	MYELON_TYPE_U8 = 2,
	MYELON_TYPE_U16 = 3,
	MYELON_TYPE_U32 = 4,
	MYELON_TYPE_U64 = 5,
	MYELON_TYPE_U128 = 6, /**< unsigned __int128 */
	MYELON_TYPE_I8 = 7,
	MYELON_TYPE_I16 = 8,
	MYELON_TYPE_I32 = 9,
	MYELON_TYPE_I64 = 10,
	MYELON_TYPE_I128 = 11,
	MYELON_TYPE_F32 = 12,    /**< float */
	MYELON_TYPE_F64 = 13,    /**< double */
	MYELON_TYPE_CHAR = 14,   /**< uint32_t: a Unicode scalar value */
	MYELON_TYPE_STRING = 15, /**< struct myelon_text, UTF-8 */
	MYELON_TYPE_BYTES =
		16, /**< struct myelon_vector of uint8_t; where a codec tells them from numbers */
	MYELON_TYPE_VECTOR = 17, /**< struct myelon_vector of element */
	MYELON_TYPE_MAP =
		18, /**< the same; element is a STRUCT of two fields, key and value. Order is kept */
	MYELON_TYPE_ARRAY = 19,  /**< count elements in place */
	MYELON_TYPE_OPTION = 20, /**< struct { bool present; T value; } */
	MYELON_TYPE_BOX = 21,    /**< T *, never NULL */
	MYELON_TYPE_STRUCT = 22, /**< its fields, each at its offset */
	MYELON_TYPE_TUPLE = 23,  /**< the same, without names where a codec writes names */
	MYELON_TYPE_ENUM =
		24, /**< struct { uint32_t tag; union { ... } of; }: fields are the variants, tag the index of one */
};

/** A string. Not NUL-terminated; data may be anything if len is 0. */
struct myelon_text {
	const char *data;
	size_t len; /**< bytes */
};

/** A run of elements, each of the element type's size. */
struct myelon_vector {
	const void *data;
	size_t count; /**< elements */
};

struct myelon_field;

struct myelon_type {
	const char *name; /**< of a STRUCT, TUPLE or ENUM; else for messages, may be NULL */
	uint32_t kind;    /**< enum myelon_type_kind */
	uint32_t size;    /**< of the C value, bytes */
	uint32_t align;   /**< of the C value */
	uint32_t count;   /**< ARRAY: elements; STRUCT, TUPLE, ENUM: fields */
	const struct myelon_type *element; /**< VECTOR, MAP, ARRAY, OPTION, BOX */
	const struct myelon_field *fields; /**< STRUCT, TUPLE: in order; ENUM: variants */
	uint32_t offset;                   /**< OPTION: of the value */
	uint32_t flags;                    /**< MYELON_FIXED, MYELON_ENUM_U16, MYELON_ENUM_U32 */
};
/** FlatBuffers: a STRUCT of scalars, arrays and such structs is a struct there and not a table. */
#define MYELON_FIXED (1u << 0)
/** FlatBuffers: an ENUM without payloads is a ushort or uint there and not a ubyte. */
#define MYELON_ENUM_U16 (1u << 1)
#define MYELON_ENUM_U32 (1u << 2)

struct myelon_field {
	const char *name;
	const struct myelon_type *type; /**< ENUM: of what the variant carries, NULL: nothing */
	uint32_t offset;                /**< in the C struct */
	uint32_t number; /**< FlatBuffers: id of the field, value of the enum's variant */
	uint64_t preset; /**< FlatBuffers: default of a scalar field, as the bits of its C type */
};

#define MYELON_TYPES_MAX_FIELDS 1024u

/* The scalars. */
MYELON_API extern const struct myelon_type myelon_bool, myelon_u8, myelon_u16, myelon_u32,
	myelon_u64, myelon_u128, myelon_i8, myelon_i16, myelon_i32, myelon_i64, myelon_i128,
	myelon_f32, myelon_f64, myelon_char, myelon_string, myelon_bytes;

#ifdef __cplusplus
#define MYELON_ALIGNOF_(type) ((uint32_t)alignof(type))
#else
#define MYELON_ALIGNOF_(type) ((uint32_t) _Alignof(type))
#endif
#define MYELON_FIELDS_(fields) ((uint32_t)(sizeof(fields) / sizeof((fields)[0])))

/* Initialisers. @p fields are arrays, @p elem pointers to types, @p type C types. */
#define MYELON_FIELD(type, member, of)                                                             \
	{                                                                                          \
#member, (of), (uint32_t)offsetof(type, member), 0, 0                              \
	}
/** With the id FlatBuffers gives it (the others count from 0), and a default. */
#define MYELON_FIELD_ID(type, member, of, id, preset)                                              \
	{                                                                                          \
#member, (of), (uint32_t)offsetof(type, member), (id), (preset)                    \
	}
#define MYELON_STRUCT(type, fields)                                                                \
	{                                                                                          \
#type, MYELON_TYPE_STRUCT, (uint32_t)sizeof(type), MYELON_ALIGNOF_(type),          \
			MYELON_FIELDS_(fields), NULL, (fields), 0, 0                               \
	}
#define MYELON_FIXED_STRUCT(type, fields)                                                          \
	{                                                                                          \
#type, MYELON_TYPE_STRUCT, (uint32_t)sizeof(type), MYELON_ALIGNOF_(type),          \
			MYELON_FIELDS_(fields), NULL, (fields), 0, MYELON_FIXED                    \
	}
#define MYELON_TUPLE(type, fields)                                                                 \
	{                                                                                          \
#type, MYELON_TYPE_TUPLE, (uint32_t)sizeof(type), MYELON_ALIGNOF_(type),           \
			MYELON_FIELDS_(fields), NULL, (fields), 0, 0                               \
	}
#define MYELON_VECTOR_OF(elem)                                                                     \
	{                                                                                          \
		NULL, MYELON_TYPE_VECTOR, (uint32_t)sizeof(struct myelon_vector),                  \
			MYELON_ALIGNOF_(struct myelon_vector), 0, (elem), NULL, 0, 0               \
	}
#define MYELON_MAP_OF(pair)                                                                        \
	{                                                                                          \
		NULL, MYELON_TYPE_MAP, (uint32_t)sizeof(struct myelon_vector),                     \
			MYELON_ALIGNOF_(struct myelon_vector), 0, (pair), NULL, 0, 0               \
	}
/** @p type: of one element. */
#define MYELON_ARRAY_OF(elem, type, n)                                                             \
	{                                                                                          \
		NULL, MYELON_TYPE_ARRAY, (uint32_t)(sizeof(type) * (n)), MYELON_ALIGNOF_(type),    \
			(n), (elem), NULL, 0, 0                                                    \
	}
/** @p type: the struct with the members present and value. */
#define MYELON_OPTION_OF(elem, type)                                                               \
	{                                                                                          \
		NULL, MYELON_TYPE_OPTION, (uint32_t)sizeof(type), MYELON_ALIGNOF_(type), 0,        \
			(elem), NULL, (uint32_t)offsetof(type, value), 0                           \
	}
#define MYELON_BOX_OF(elem)                                                                        \
	{                                                                                          \
		NULL, MYELON_TYPE_BOX, (uint32_t)sizeof(void *), MYELON_ALIGNOF_(void *), 0,       \
			(elem), NULL, 0, 0                                                         \
	}
/** @p type: the struct with the tag first. */
#define MYELON_ENUM(type, variants)                                                                \
	{                                                                                          \
#type, MYELON_TYPE_ENUM, (uint32_t)sizeof(type), MYELON_ALIGNOF_(type),            \
			MYELON_FIELDS_(variants), NULL, (variants), 0, 0                           \
	}
/** A variant that carries @p member of the union; one that carries nothing. */
#define MYELON_VARIANT(type, label, member, of)                                                    \
	{                                                                                          \
		label, (of), (uint32_t)offsetof(type, member), 0, 0                                \
	}
#define MYELON_UNIT(label)                                                                         \
	{                                                                                          \
		label, NULL, 0, 0, 0                                                               \
	}

/**
 * Is the description sound: sizes and offsets inside each other, kinds and elements known, names
 * where they are needed, no type inside itself? Codecs check what they are made from.
 * @return 0; -EINVAL with a sentence that names the type and the field.
 */
MYELON_API int myelon_type_check(const struct myelon_type *type);

/** A hash of what is written (kinds, names, order, numbers, presets; not the C struct's offsets), never 0. For a
 * description that is sound. */
MYELON_API uint64_t myelon_type_hash(const struct myelon_type *type);

/** "bool", "u8" ... "struct", "enum"; NULL for an unknown value. */
MYELON_API const char *myelon_type_kind_name(enum myelon_type_kind kind);

#ifdef __cplusplus
}
#endif
#endif
