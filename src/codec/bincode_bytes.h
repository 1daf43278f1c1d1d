/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The bytes of bincode 1.3: numbers, lengths and characters. The codec and the public writer and reader are made of
 * these. A put returns 0, or -EMSGSIZE and nothing was written. A get returns 0, or -EBADMSG and the reader stands at the
 * fault, and says which. Neither records a sentence.
 *
 * Input may be shared memory that changes: each byte is read once, and what was read is what is checked and used.
 */
#ifndef MYE_CODEC_BINCODE_BYTES_H
#define MYE_CODEC_BINCODE_BYTES_H

#include <myelon/bincode.h>

#include <errno.h>
#include <string.h>

#include "codec/utf8.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they are");

/* Of a varint: the largest that is one byte, and the marks before 2, 4, 8 and 16 bytes. */
#define MYE_BIN_ONE_MAX 250u
enum { MYE_BIN_MARK_16 = 251, MYE_BIN_MARK_32, MYE_BIN_MARK_64, MYE_BIN_MARK_128 };

#define MYE_BIN_LEN_WIDTH 8u
#define MYE_BIN_VARIANT_WIDTH 4u

/* Elements written as nothing cost a sender nothing. */
#define MYE_BIN_EMPTY_MAX 65536u

enum mye_bin_fault {
	MYE_BIN_SHORT = 1, /* need */
	MYE_BIN_MARK,      /* value */
	MYE_BIN_RANGE,     /* value */
	MYE_BIN_BOOL,      /* value */
	MYE_BIN_CHAR,
	MYE_BIN_TEXT,    /* value: good bytes */
	MYE_BIN_VARIANT, /* value, need: of how many */
	MYE_BIN_COUNT,   /* value, need: bytes of one at least */
	MYE_BIN_EMPTY,   /* value */
};

#define MYE_BIN_REASON 120
/* The fault of a reader as a sentence without an end. */
void mye_bin_reason(const struct myelon_bincode_reader *r, char buf[MYE_BIN_REASON]);

static inline struct myelon_bincode_writer mye_bin_writer(void *buf, size_t cap, uint32_t encoding)
{
	return (struct myelon_bincode_writer){
		.begin = buf,
		.at = buf,
		.end = buf ? (unsigned char *)buf + cap : NULL,
		.encoding = encoding,
	};
}

static inline struct myelon_bincode_reader mye_bin_reader(const void *data, size_t len,
                                                          uint32_t encoding)
{
	return (struct myelon_bincode_reader){
		.begin = data,
		.at = data,
		.end = data ? (const unsigned char *)data + len : NULL,
		.encoding = encoding,
	};
}

/* ---- numbers to bytes ---- */

static inline uint64_t mye_bin_zigzag(int64_t n)
{
	return (uint64_t)n << 1 ^ (uint64_t)(n >> 63);
}

static inline unsigned __int128 mye_bin_zigzag_wide(__int128 n)
{
	return (unsigned __int128)n << 1 ^ (unsigned __int128)(n >> 127);
}

/* What stands before a varint, 0: nothing, it is one byte itself; and the bytes behind that. By the bytes that the
 * number has, without branches: the width of the next number is anybody's guess. */
static inline uint32_t mye_bin_class(uint64_t n)
{
	uint64_t marked = n | (uint64_t)(n > MYE_BIN_ONE_MAX) << 8 | 1;

	return (63u - (uint32_t)__builtin_clzll(marked)) / 8;
}
static const uint8_t mye_bin_marks[8] = {
	0,
	MYE_BIN_MARK_16,
	MYE_BIN_MARK_32,
	MYE_BIN_MARK_32,
	MYE_BIN_MARK_64,
	MYE_BIN_MARK_64,
	MYE_BIN_MARK_64,
	MYE_BIN_MARK_64,
};
static const uint8_t mye_bin_behind[8] = {0, 2, 4, 4, 8, 8, 8, 8};

/* Of an unsigned number @width bytes wide. */
static inline uint32_t mye_bin_size(uint32_t encoding, uint64_t n, uint32_t width)
{
	return encoding == MYELON_BINCODE_FIXED || width == 1
	               ? width
	               : 1u + mye_bin_behind[mye_bin_class(n)];
}

static inline uint32_t mye_bin_size_wide(uint32_t encoding, unsigned __int128 n)
{
	if (encoding == MYELON_BINCODE_FIXED)
		return 16;
	return n >> 64 ? 17 : 1u + mye_bin_behind[mye_bin_class((uint64_t)n)];
}

/* NULL: it does not fit. */
static inline unsigned char *mye_bin_room(struct myelon_bincode_writer *w, size_t bytes)
{
	unsigned char *at = w->at;

	if ((size_t)(w->end - at) < bytes)
		return NULL;
	w->at = at + bytes;
	return at;
}

static inline int mye_bin_put_raw(struct myelon_bincode_writer *w, const void *from, size_t bytes)
{
	unsigned char *to = mye_bin_room(w, bytes);

	if (!to && bytes)
		return -EMSGSIZE;
	if (bytes)
		memcpy(to, from, bytes);
	return 0;
}

static inline void mye_bin_store(unsigned char *to, uint64_t n, uint32_t width)
{
	uint16_t two = (uint16_t)n;
	uint32_t four = (uint32_t)n;

	if (width == 1)
		*to = (unsigned char)n;
	else if (width == 2)
		memcpy(to, &two, sizeof(two));
	else if (width == 4)
		memcpy(to, &four, sizeof(four));
	else
		memcpy(to, &n, sizeof(n));
}

/* Where there is room for any, eight bytes are stored and the next number lies over those that are too many. */
static inline int mye_bin_put_varint(struct myelon_bincode_writer *w, uint64_t n)
{
	uint32_t class = mye_bin_class(n), behind = mye_bin_behind[class];
	size_t left = (size_t)(w->end - w->at);

	if (left <= behind)
		return -EMSGSIZE;
	*w->at = class ? mye_bin_marks[class] : (unsigned char)n;
	if (left > sizeof(n))
		mye_bin_store(w->at + 1, n, sizeof(n));
	else if (behind)
		mye_bin_store(w->at + 1, n, behind);
	w->at += 1 + (size_t)behind;
	return 0;
}

static inline int mye_bin_put_uint(struct myelon_bincode_writer *w, uint64_t n, uint32_t width)
{
	unsigned char *to;

	if (w->encoding != MYELON_BINCODE_FIXED && width > 1)
		return mye_bin_put_varint(w, n);
	to = mye_bin_room(w, width);
	if (!to)
		return -EMSGSIZE;
	mye_bin_store(to, n, width);
	return 0;
}

static inline int mye_bin_put_int(struct myelon_bincode_writer *w, int64_t n, uint32_t width)
{
	bool zigzag = w->encoding != MYELON_BINCODE_FIXED && width > 1;

	return mye_bin_put_uint(w, zigzag ? mye_bin_zigzag(n) : (uint64_t)n, width);
}

static inline int mye_bin_put_wide(struct myelon_bincode_writer *w, unsigned __int128 n)
{
	bool fixed = w->encoding == MYELON_BINCODE_FIXED;
	unsigned char *to;

	if (!fixed && !(n >> 64))
		return mye_bin_put_varint(w, (uint64_t)n);
	to = mye_bin_room(w, fixed ? sizeof(n) : 1 + sizeof(n));
	if (!to)
		return -EMSGSIZE;
	if (!fixed)
		*to++ = MYE_BIN_MARK_128;
	memcpy(to, &n, sizeof(n));
	return 0;
}

static inline int mye_bin_put_int_wide(struct myelon_bincode_writer *w, __int128 n)
{
	bool fixed = w->encoding == MYELON_BINCODE_FIXED;

	return mye_bin_put_wide(w, fixed ? (unsigned __int128)n : mye_bin_zigzag_wide(n));
}

/* A scalar value. */
static inline int mye_bin_put_char(struct myelon_bincode_writer *w, uint32_t c)
{
	unsigned char *to = mye_bin_room(w, mye_utf8_size(c));

	if (!to)
		return -EMSGSIZE;
	mye_utf8_put(to, c);
	return 0;
}

/* ---- bytes to numbers ---- */

static inline size_t mye_bin_left(const struct myelon_bincode_reader *r)
{
	return (size_t)(r->end - r->at);
}

static inline int mye_bin_bad(struct myelon_bincode_reader *r, enum mye_bin_fault fault,
                              uint64_t value, uint64_t need)
{
	r->fault = fault;
	r->value = value;
	r->need = need;
	return -EBADMSG;
}

/* After this the compiler does not know where the number came from, and cannot fetch it once more. */
static inline uint64_t mye_bin_load(const unsigned char *at, uint32_t width)
{
	uint16_t two;
	uint32_t four;
	uint64_t n;

	if (width == 1) {
		n = *at;
	} else if (width == 2) {
		memcpy(&two, at, sizeof(two));
		n = two;
	} else if (width == 4) {
		memcpy(&four, at, sizeof(four));
		n = four;
	} else {
		memcpy(&n, at, sizeof(n));
	}
	__asm__("" : "+r"(n));
	return n;
}

static inline int mye_bin_get_raw(struct myelon_bincode_reader *r, void *to, size_t bytes)
{
	if (mye_bin_left(r) < bytes)
		return mye_bin_bad(r, MYE_BIN_SHORT, 0, bytes);
	if (bytes)
		memcpy(to, r->at, bytes);
	r->at += bytes;
	return 0;
}

/* Of 64 bits. A number may stand in more bytes than it needs, as for Rust. Where there are nine bytes they are fetched
 * for any number, and what is not part of it is not looked at. */
static inline int mye_bin_get_varint(struct myelon_bincode_reader *r, uint64_t *n)
{
	static const uint64_t masks[] = {0, UINT16_MAX, UINT32_MAX, UINT64_MAX};
	static const uint8_t widths[] = {0, 2, 4, 8};
	size_t left = mye_bin_left(r);
	uint64_t first, number;
	uint32_t mark;

	if (left == 0)
		return mye_bin_bad(r, MYE_BIN_SHORT, 0, 1);
	first = mye_bin_load(r->at, 1);
	mark = first > MYE_BIN_ONE_MAX ? (uint32_t)first - MYE_BIN_ONE_MAX : 0;
	if (mark >= sizeof(widths))
		return mye_bin_bad(r, MYE_BIN_MARK, first, 0);
	if (left <= widths[mark])
		return mye_bin_bad(r, MYE_BIN_SHORT, 0, 1 + widths[mark]);
	if (left > sizeof(number))
		number = mye_bin_load(r->at + 1, sizeof(number)) & masks[mark];
	else
		number = mark ? mye_bin_load(r->at + 1, widths[mark]) : 0;
	*n = mark ? number : first;
	r->at += 1 + (size_t)widths[mark];
	return 0;
}

/* @width a constant where speed matters. */
static inline int mye_bin_get_uint(struct myelon_bincode_reader *r, uint32_t width, uint64_t *n)
{
	const unsigned char *at = r->at;
	int rc;

	if (r->encoding != MYELON_BINCODE_FIXED && width > 1) {
		rc = mye_bin_get_varint(r, n);
		if (rc == 0 && width < 8 && *n >> 8 * width) {
			r->at = at;
			rc = mye_bin_bad(r, MYE_BIN_RANGE, *n, 0);
		}
		return rc;
	}
	if (mye_bin_left(r) < width)
		return mye_bin_bad(r, MYE_BIN_SHORT, 0, width);
	*n = mye_bin_load(at, width);
	r->at += width;
	return 0;
}

/* The zigzag form of what fits into @width bytes fits too, and no other does. */
static inline int mye_bin_get_int(struct myelon_bincode_reader *r, uint32_t width, int64_t *n)
{
	uint64_t u;
	int rc = mye_bin_get_uint(r, width, &u);

	if (rc < 0)
		return rc;
	if (r->encoding != MYELON_BINCODE_FIXED && width > 1)
		*n = (int64_t)(u >> 1 ^ (0 - (u & 1)));
	else
		*n = (int64_t)(u << (64 - 8 * width)) >> (64 - 8 * width);
	return 0;
}

static inline int mye_bin_get_wide(struct myelon_bincode_reader *r, unsigned __int128 *n)
{
	bool fixed = r->encoding == MYELON_BINCODE_FIXED;
	size_t left = mye_bin_left(r);
	uint64_t low;
	int rc;

	if (!fixed && (left == 0 || mye_bin_load(r->at, 1) != MYE_BIN_MARK_128)) {
		rc = mye_bin_get_varint(r, &low);
		if (rc == 0)
			*n = low;
		return rc;
	}
	if (left < sizeof(*n) + !fixed)
		return mye_bin_bad(r, MYE_BIN_SHORT, 0, sizeof(*n) + !fixed);
	r->at += !fixed;
	return mye_bin_get_raw(r, n, sizeof(*n));
}

static inline int mye_bin_get_int_wide(struct myelon_bincode_reader *r, __int128 *n)
{
	unsigned __int128 u = 0;
	int rc = mye_bin_get_wide(r, &u);

	if (rc < 0)
		return rc;
	*n = r->encoding == MYELON_BINCODE_FIXED ? (__int128)u : (__int128)(u >> 1 ^ (0 - (u & 1)));
	return 0;
}

/* 0 or 1: of a bool, and before an Option. */
static inline int mye_bin_get_bool(struct myelon_bincode_reader *r, bool *v)
{
	uint64_t n;
	int rc = mye_bin_get_uint(r, 1, &n);

	if (rc < 0)
		return rc;
	if (n > 1) {
		r->at--;
		return mye_bin_bad(r, MYE_BIN_BOOL, n, 0);
	}
	*v = n;
	return 0;
}

static inline int mye_bin_get_variant(struct myelon_bincode_reader *r, uint32_t variants,
                                      uint32_t *index)
{
	const unsigned char *at = r->at;
	uint64_t n;
	int rc = mye_bin_get_uint(r, MYE_BIN_VARIANT_WIDTH, &n);

	if (rc < 0)
		return rc;
	if (n >= variants) {
		r->at = at;
		return mye_bin_bad(r, MYE_BIN_VARIANT, n, variants);
	}
	*index = (uint32_t)n;
	return 0;
}

/* How many elements follow, of at least @least bytes each: as many as can be there. */
static inline int mye_bin_get_count(struct myelon_bincode_reader *r, uint64_t least, size_t *count)
{
	uint64_t n;
	int rc = mye_bin_get_uint(r, MYE_BIN_LEN_WIDTH, &n);

	if (rc < 0)
		return rc;
	if (least == 0 && n > MYE_BIN_EMPTY_MAX)
		return mye_bin_bad(r, MYE_BIN_EMPTY, n, 0);
	if (least && n > mye_bin_left(r) / least)
		return mye_bin_bad(r, least == 1 ? MYE_BIN_SHORT : MYE_BIN_COUNT, n,
		                   least == 1 ? n : least);
	*count = (size_t)n;
	return 0;
}

int mye_bin_get_char(struct myelon_bincode_reader *r, uint32_t *c);

#endif
