/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file rkyv.h - archives of the Rust crate rkyv 0.7: written, verified, read in place, decoded.
 *
 *     myelon_codec_rkyv(&codec, &batch_type, NULL);
 *     ...
 *     myelon_typed_peek(tc, MYELON_FOREVER, &in, &meta);
 *     struct myelon_rkyv batch = myelon_rkyv_root(&in);
 *     struct myelon_rkyv_list requests = myelon_rkyv_list(myelon_rkyv_field(batch, 1));
 *     for (uint32_t i = 0; i < requests.count; i++) {
 *         struct myelon_rkyv request = myelon_rkyv_at(&requests, i);
 *         uint64_t id = myelon_rkyv_u64(myelon_rkyv_field(request, 0));
 *         struct myelon_vector tokens = myelon_rkyv_run(myelon_rkyv_field(request, 1));
 *         const uint32_t *token = tokens.data;
 *
 * The archives are those of rkyv 0.7 as it is by default (size_32, no archive_le or archive_be, native bytes of a
 * little-endian machine): byte for byte what rkyv::to_bytes() writes. What stands for what:
 *
 * - STRUCT, TUPLE: a struct with #[derive(Archive)] and #[archive_attr(repr(C))], or any with the crate's feature
 *   "strict". Without it the compiler chooses the order of the archived fields, differently from version to version;
 *   then say where they are (struct myelon_rkyv_layout). A tuple of Rust itself is such a struct, too.
 * - ENUM: an enum with #[derive(Archive)]. A variant that carries a STRUCT or TUPLE is a variant with these fields:
 *   V { a: A, b: B } or V(A, B). For a variant that carries a struct, V(S), describe a TUPLE of one field.
 * - VECTOR: Vec. MAP: a Vec of pairs; archived hash maps and B-trees are not read. ARRAY: [T; N]. OPTION: Option.
 *   BOX: Box. STRING: String. BYTES: Vec<u8>. CHAR: char.
 *
 * Places in an archive are struct myelon_rkyv, small and passed by value. They stay valid as long as the message. An
 * accessor that is given another kind of thing than it is for gives nothing (a place for which
 * myelon_rkyv_is_nothing() is true), 0, or an empty text; so do the accessors for nothing. Each checks again what it
 * follows: whatever a sender writes into a message after it was verified, nothing outside of the message is read, and
 * no walk is endless. Values may then be any of their type; a text may be no UTF-8.
 *
 * Concurrency: as codec.h; places may be read by many threads.
 */
#ifndef MYELON_RKYV_H
#define MYELON_RKYV_H

#include <stdbool.h>
#include <string.h>

#include <myelon/codec.h>
#include <myelon/once.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Where rustc put the fields of an archived struct or tuple without repr(C): its own offset_of!() values. */
struct myelon_rkyv_layout {
	const struct myelon_type *type; /**< a STRUCT or TUPLE of the description */
	const uint32_t *offsets;        /**< one per field */
	uint32_t size;                  /**< of the archived struct */
	uint32_t reserved;
};

struct myelon_rkyv_opts {
	uint32_t size;
	uint32_t
		align128; /**< of u128 and i128: 16 (default), or 8 as rustc before 1.77 on x86-64 */
	const struct myelon_rkyv_layout *layouts; /**< copied; may be NULL */
	uint32_t layout_count;
	uint32_t reserved;
};
#define MYELON_RKYV_OPTS(...)                                                                      \
	((struct myelon_rkyv_opts){.size = sizeof(struct myelon_rkyv_opts), __VA_ARGS__})

/** Vectors and boxes in each other, in a message. */
#define MYELON_RKYV_DEPTH 128u

/**
 * A codec of archives of @p type, which must live as long.
 * Values are refused by encode (-EINVAL) if Rust would not take them: text that is not UTF-8, characters that are
 * none, tags without variant, boxes without value. An archive has at most 2 GiB (-EMSGSIZE).
 * @return 0; -EINVAL (the type or an option); -ENOMEM; -ENOTSUP (not on a little-endian machine).
 */
MYELON_API int myelon_codec_rkyv(struct myelon_codec **out, const struct myelon_type *type,
                                 const struct myelon_rkyv_opts *opts);

struct myelon_rkyv_part;

/* How a type lies in an archive. The members are the library's; here for the inline functions. */
struct myelon_rkyv_shape {
	uint32_t kind; /* enum myelon_type_kind */
	uint32_t size; /* archived */
	uint32_t align;
	uint32_t count;  /* ARRAY: elements; STRUCT, TUPLE, ENUM: parts */
	uint32_t offset; /* OPTION: of the value */
	uint32_t flags;  /* MYELON_RKYV_LIKE_C_ and the codec's own */
	const struct myelon_rkyv_shape *element;
	const struct myelon_rkyv_part *parts;
	const struct myelon_type *type;
	const uint16_t *rough; /* indices of the parts that have to be verified */
	uint32_t rough_count;
	uint32_t reserved;
};
/* An object of C can be read right here. */
#define MYELON_RKYV_LIKE_C_ (1u << 0)

struct myelon_rkyv_part {
	const struct myelon_rkyv_shape *shape; /* ENUM: NULL if the variant carries nothing */
	uint32_t offset;                       /* archived */
	uint32_t c_offset;
	const char *name;
};

/** A place in an archive. The members are the library's. */
struct myelon_rkyv {
	const unsigned char *at;
	const struct myelon_rkyv_shape *shape; /* NULL: nothing */
	const unsigned char *data; /* of the message; all that is pointed to is in data..at */
	uint32_t depth;
};

/** The elements of a vector, map or array. */
struct myelon_rkyv_list {
	const unsigned char *first;
	const struct myelon_rkyv_shape *shape; /* of an element */
	const unsigned char *data;
	uint32_t count; /**< to be read only */
	uint32_t depth;
};

/** The object that @p inside, from myelon_typed_peek() or myelon_codec_access(), begins with. Nothing, if its codec
 * is not one of myelon_codec_rkyv(). */
MYELON_API struct myelon_rkyv myelon_rkyv_root(const struct myelon_inside *inside);

static inline bool myelon_rkyv_is_nothing(struct myelon_rkyv v)
{
	return !v.shape || !v.at;
}

/** enum myelon_type_kind; 0 for nothing. */
static inline uint32_t myelon_rkyv_kind(struct myelon_rkyv v)
{
	return v.shape ? v.shape->kind : 0;
}

static inline struct myelon_rkyv myelon_rkyv_place_(const unsigned char *at,
                                                    const struct myelon_rkyv_shape *shape,
                                                    const unsigned char *data, uint32_t depth)
{
	struct myelon_rkyv v;

	v.at = at;
	v.shape = shape;
	v.data = data;
	v.depth = depth;
	return v;
}

static inline struct myelon_rkyv myelon_rkyv_nothing_(void)
{
	return myelon_rkyv_place_(NULL, NULL, NULL, 0);
}

/* What a pointer at v.at leads to lies before it: bytes of it, aligned; else NULL. */
static inline const unsigned char *myelon_rkyv_follow_(struct myelon_rkyv v, int32_t offset,
                                                       uint64_t bytes, uint32_t align)
{
	int64_t here = v.at - v.data, to = here + offset;

	if (to < 0 || to > here || bytes > (uint64_t)(here - to) || ((uint64_t)to & (align - 1)))
		return NULL;
	return v.data + to;
}

/** STRUCT, TUPLE: the field with this index in the description. */
static inline struct myelon_rkyv myelon_rkyv_field(struct myelon_rkyv v, uint32_t i)
{
	uint32_t kind = myelon_rkyv_kind(v);

	if ((kind != MYELON_TYPE_STRUCT && kind != MYELON_TYPE_TUPLE) || i >= v.shape->count)
		return myelon_rkyv_nothing_();
	return myelon_rkyv_place_(v.at + v.shape->parts[i].offset, v.shape->parts[i].shape, v.data,
	                          v.depth);
}

/* Numbers, each for its own kind only. */
/* NOLINTBEGIN(bugprone-macro-parentheses) c is a type */
#define MYELON_RKYV_NUMBER_(name, c, kind_, bits)                                                  \
	static inline c myelon_rkyv_##name(struct myelon_rkyv v)                                   \
	{                                                                                          \
		uint##bits##_t raw;                                                                \
		c number = 0;                                                                      \
                                                                                                   \
		if (myelon_rkyv_kind(v) == MYELON_TYPE_##kind_) {                                  \
			raw = myelon_once_u##bits##_(v.at);                                        \
			memcpy(&number, &raw, sizeof(number));                                     \
		}                                                                                  \
		return number;                                                                     \
	}
MYELON_RKYV_NUMBER_(u8, uint8_t, U8, 8)
MYELON_RKYV_NUMBER_(u16, uint16_t, U16, 16)
MYELON_RKYV_NUMBER_(u32, uint32_t, U32, 32)
MYELON_RKYV_NUMBER_(u64, uint64_t, U64, 64)
MYELON_RKYV_NUMBER_(i8, int8_t, I8, 8)
MYELON_RKYV_NUMBER_(i16, int16_t, I16, 16)
MYELON_RKYV_NUMBER_(i32, int32_t, I32, 32)
MYELON_RKYV_NUMBER_(i64, int64_t, I64, 64)
MYELON_RKYV_NUMBER_(f32, float, F32, 32)
MYELON_RKYV_NUMBER_(f64, double, F64, 64)
/* NOLINTEND(bugprone-macro-parentheses) */
#undef MYELON_RKYV_NUMBER_

/** U128, I128: the low and the high half of the bits. */
static inline uint64_t myelon_rkyv_half(struct myelon_rkyv v, bool high)
{
	uint32_t kind = myelon_rkyv_kind(v);

	if (kind != MYELON_TYPE_U128 && kind != MYELON_TYPE_I128)
		return 0;
	return myelon_once_u64_(v.at + (high ? 8 : 0));
}

static inline bool myelon_rkyv_bool(struct myelon_rkyv v)
{
	return myelon_rkyv_kind(v) == MYELON_TYPE_BOOL && myelon_once_u8_(v.at) != 0;
}

/** CHAR: a Unicode scalar value; U+FFFD if it is none any more. */
static inline uint32_t myelon_rkyv_char(struct myelon_rkyv v)
{
	uint32_t c = myelon_rkyv_kind(v) == MYELON_TYPE_CHAR ? myelon_once_u32_(v.at) : 0;

	return c < 0xd800 || (c > 0xdfff && c <= 0x10ffff) ? c : 0xfffd;
}

/** STRING, where it lies. */
static inline struct myelon_text myelon_rkyv_text(struct myelon_rkyv v)
{
	struct myelon_text none = {NULL, 0}, text = none;
	int32_t offset;

	if (myelon_rkyv_kind(v) != MYELON_TYPE_STRING)
		return none;
	/* 7 bytes and a length, or the length and the way to the bytes, which is negative. */
	offset = (int32_t)myelon_once_u32_(v.at + 4);
	if (offset >= 0) {
		text.data = (const char *)v.at;
		text.len = (uint32_t)offset >> 24;
		return text.len <= 7 ? text : none;
	}
	text.len = myelon_once_u32_(v.at);
	text.data = (const char *)myelon_rkyv_follow_(v, offset, text.len, 1);
	return text.data ? text : none;
}

/** VECTOR, MAP, BYTES, ARRAY: its elements; else none. */
static inline struct myelon_rkyv_list myelon_rkyv_list(struct myelon_rkyv v)
{
	struct myelon_rkyv_list list = {NULL, NULL, NULL, 0, 0}, none = list;

	switch (myelon_rkyv_kind(v)) {
	case MYELON_TYPE_ARRAY:
		list.first = v.at;
		list.count = v.shape->count;
		list.depth = v.depth;
		break;
	case MYELON_TYPE_VECTOR:
	case MYELON_TYPE_MAP:
	case MYELON_TYPE_BYTES:
		list.count = myelon_once_u32_(v.at + 4);
		list.first = myelon_rkyv_follow_(v, (int32_t)myelon_once_u32_(v.at),
		                                 (uint64_t)list.count * v.shape->element->size,
		                                 v.shape->element->align);
		list.depth = v.depth + 1;
		if (!list.first || list.depth > MYELON_RKYV_DEPTH)
			return none;
		break;
	default:
		return none;
	}
	list.shape = v.shape->element;
	list.data = v.data;
	return list;
}

/** Element @p i of a list. */
static inline struct myelon_rkyv myelon_rkyv_at(const struct myelon_rkyv_list *list, uint32_t i)
{
	if (i >= list->count)
		return myelon_rkyv_nothing_();
	return myelon_rkyv_place_(list->first + (size_t)i * list->shape->size, list->shape,
	                          list->data, list->depth);
}

/** Element @p i, when only one is wanted. */
static inline struct myelon_rkyv myelon_rkyv_element(struct myelon_rkyv v, uint32_t i)
{
	struct myelon_rkyv_list list = myelon_rkyv_list(v);

	return myelon_rkyv_at(&list, i);
}

/**
 * VECTOR, MAP, BYTES, ARRAY: its elements as an array of C, where they lie. For elements that are numbers or
 * consist of nothing else, and lie in the archive as in C; else, and for none, {NULL, 0}. No bool and char: C
 * relies on their values. Members of C structs that the description does not name are anything.
 */
static inline struct myelon_vector myelon_rkyv_run(struct myelon_rkyv v)
{
	struct myelon_rkyv_list list = myelon_rkyv_list(v);
	struct myelon_vector run = {NULL, 0};

	if (list.count && list.shape->flags & MYELON_RKYV_LIKE_C_) {
		run.data = list.first;
		run.count = list.count;
	}
	return run;
}

/** The same for one object: numbers, structs and arrays of them; else NULL. */
static inline const void *myelon_rkyv_object(struct myelon_rkyv v)
{
	return v.shape && v.shape->flags & MYELON_RKYV_LIKE_C_ ? v.at : NULL;
}

/** OPTION: the value; nothing, if there is none. */
static inline struct myelon_rkyv myelon_rkyv_some(struct myelon_rkyv v)
{
	if (myelon_rkyv_kind(v) != MYELON_TYPE_OPTION || myelon_once_u8_(v.at) == 0)
		return myelon_rkyv_nothing_();
	return myelon_rkyv_place_(v.at + v.shape->offset, v.shape->element, v.data, v.depth);
}

/** BOX: what is in it. */
static inline struct myelon_rkyv myelon_rkyv_unbox(struct myelon_rkyv v)
{
	const unsigned char *to;

	if (myelon_rkyv_kind(v) != MYELON_TYPE_BOX || v.depth >= MYELON_RKYV_DEPTH)
		return myelon_rkyv_nothing_();
	to = myelon_rkyv_follow_(v, (int32_t)myelon_once_u32_(v.at), v.shape->element->size,
	                         v.shape->element->align);
	if (!to)
		return myelon_rkyv_nothing_();
	return myelon_rkyv_place_(to, v.shape->element, v.data, v.depth + 1);
}

/** ENUM: index of the variant; UINT32_MAX, if it is none of them. */
static inline uint32_t myelon_rkyv_tag(struct myelon_rkyv v)
{
	uint32_t tag;

	if (myelon_rkyv_kind(v) != MYELON_TYPE_ENUM)
		return UINT32_MAX;
	/* As wide as rkyv makes it for so many. */
	tag = v.shape->count < 256 ? myelon_once_u8_(v.at) : myelon_once_u16_(v.at);
	return tag < v.shape->count ? tag : UINT32_MAX;
}

/** ENUM: what the variant @p tag, from myelon_rkyv_tag(), carries; nothing, if it carries nothing. */
static inline struct myelon_rkyv myelon_rkyv_payload(struct myelon_rkyv v, uint32_t tag)
{
	if (myelon_rkyv_kind(v) != MYELON_TYPE_ENUM || tag >= v.shape->count)
		return myelon_rkyv_nothing_();
	return myelon_rkyv_place_(v.at + v.shape->parts[tag].offset, v.shape->parts[tag].shape,
	                          v.data, v.depth);
}

/* Exported twins of the inline functions, for other languages. */
MYELON_API bool myelon_rkyv_is_nothing_fn(struct myelon_rkyv v);
MYELON_API uint32_t myelon_rkyv_kind_fn(struct myelon_rkyv v);
MYELON_API struct myelon_rkyv myelon_rkyv_field_fn(struct myelon_rkyv v, uint32_t i);
MYELON_API uint8_t myelon_rkyv_u8_fn(struct myelon_rkyv v);
MYELON_API uint16_t myelon_rkyv_u16_fn(struct myelon_rkyv v);
MYELON_API uint32_t myelon_rkyv_u32_fn(struct myelon_rkyv v);
MYELON_API uint64_t myelon_rkyv_u64_fn(struct myelon_rkyv v);
MYELON_API int8_t myelon_rkyv_i8_fn(struct myelon_rkyv v);
MYELON_API int16_t myelon_rkyv_i16_fn(struct myelon_rkyv v);
MYELON_API int32_t myelon_rkyv_i32_fn(struct myelon_rkyv v);
MYELON_API int64_t myelon_rkyv_i64_fn(struct myelon_rkyv v);
MYELON_API float myelon_rkyv_f32_fn(struct myelon_rkyv v);
MYELON_API double myelon_rkyv_f64_fn(struct myelon_rkyv v);
MYELON_API uint64_t myelon_rkyv_half_fn(struct myelon_rkyv v, bool high);
MYELON_API bool myelon_rkyv_bool_fn(struct myelon_rkyv v);
MYELON_API uint32_t myelon_rkyv_char_fn(struct myelon_rkyv v);
MYELON_API struct myelon_text myelon_rkyv_text_fn(struct myelon_rkyv v);
MYELON_API struct myelon_rkyv_list myelon_rkyv_list_fn(struct myelon_rkyv v);
MYELON_API struct myelon_rkyv myelon_rkyv_at_fn(const struct myelon_rkyv_list *list, uint32_t i);
MYELON_API struct myelon_rkyv myelon_rkyv_element_fn(struct myelon_rkyv v, uint32_t i);
MYELON_API struct myelon_vector myelon_rkyv_run_fn(struct myelon_rkyv v);
MYELON_API const void *myelon_rkyv_object_fn(struct myelon_rkyv v);
MYELON_API struct myelon_rkyv myelon_rkyv_some_fn(struct myelon_rkyv v);
MYELON_API struct myelon_rkyv myelon_rkyv_unbox_fn(struct myelon_rkyv v);
MYELON_API uint32_t myelon_rkyv_tag_fn(struct myelon_rkyv v);
MYELON_API struct myelon_rkyv myelon_rkyv_payload_fn(struct myelon_rkyv v, uint32_t tag);

#ifdef __cplusplus
}
#endif
#endif
