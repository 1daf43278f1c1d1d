/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One item of a msgpack message: a scalar, or the head of what follows it. What it announces is compared with the bytes
 * that are left, and each byte is read once: the memory may be shared, and change.
 */
#ifndef MYE_CODEC_MSGPACK_ITEM_H
#define MYE_CODEC_MSGPACK_ITEM_H

#include <stddef.h>
#include <stdint.h>

#include "codec/path.h"

enum mye_mp_kind {
	MYE_MP_NIL,
	MYE_MP_BOOL,  /* n: 0, 1 */
	MYE_MP_UINT,  /* n */
	MYE_MP_MINUS, /* n: as an int64_t, below 0 */
	MYE_MP_F32,   /* n: its bits */
	MYE_MP_F64,   /* n: its bits */
	MYE_MP_STR,   /* n: bytes that follow and are there; as BIN, EXT */
	MYE_MP_BIN,
	MYE_MP_EXT,   /* n: with the byte of its type */
	MYE_MP_ARRAY, /* n: items that follow, not more than bytes are left */
	MYE_MP_MAP,   /* n: pairs of items; the same */
};

struct mye_mp_item {
	enum mye_mp_kind kind;
	uint64_t n;
	size_t at; /* byte of the message that it begins with */
};

struct mye_mp_reader {
	const unsigned char *begin;
	const unsigned char *at;
	const unsigned char *end;
	struct mye_path *path; /* where faults are told */
};

/* Each: 0, or -EBADMSG and the path tells the fault. */

/* The next item; the reader stands at what follows its head. */
int mye_mp_next(struct mye_mp_reader *r, struct mye_mp_item *item);
/* Pass by what follows the head of @item. */
int mye_mp_skip(struct mye_mp_reader *r, const struct mye_mp_item *item);

/* The bytes of STR, BIN or EXT, once. */
static inline const unsigned char *mye_mp_body(struct mye_mp_reader *r,
                                               const struct mye_mp_item *item)
{
	const unsigned char *body = r->at;

	r->at += item->n;
	return body;
}

/* "a bool" ... "a map" */
const char *mye_mp_name(enum mye_mp_kind kind);

#endif
