/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "codec/msgpack_item.h"

#include <errno.h>

#include "codec/bincode_bytes.h"

const char *mye_mp_name(enum mye_mp_kind kind)
{
	static const char *const names[] = {
		[MYE_MP_NIL] = "nil",         [MYE_MP_BOOL] = "a bool",
		[MYE_MP_UINT] = "an integer", [MYE_MP_MINUS] = "a negative integer",
		[MYE_MP_F32] = "a float 32",  [MYE_MP_F64] = "a float 64",
		[MYE_MP_STR] = "a str",       [MYE_MP_BIN] = "a bin",
		[MYE_MP_EXT] = "an ext",      [MYE_MP_ARRAY] = "an array",
		[MYE_MP_MAP] = "a map",
	};

	return names[kind];
}

/* Of the first bytes from 0xc0 to 0xdf. */
#define FORM_FIRST 0xc0u
#define FORM_LAST 0xdfu
#define NEVER_USED 0xc1u
#define TRUE 0xc3u
#define FIX_EXT 0xd4u

/* What the first byte says, and how many bytes wide the number is that follows it. INT is a signed one. */
#define INT MYE_MP_MINUS
static const struct form {
	uint8_t kind;
	uint8_t width;
} forms[FORM_LAST - FORM_FIRST + 1] = {
	{MYE_MP_NIL, 0},  {MYE_MP_NIL, 0}, {MYE_MP_BOOL, 0}, {MYE_MP_BOOL, 0},  {MYE_MP_BIN, 1},
	{MYE_MP_BIN, 2},  {MYE_MP_BIN, 4}, {MYE_MP_EXT, 1},  {MYE_MP_EXT, 2},   {MYE_MP_EXT, 4},
	{MYE_MP_F32, 4},  {MYE_MP_F64, 8}, {MYE_MP_UINT, 1}, {MYE_MP_UINT, 2},  {MYE_MP_UINT, 4},
	{MYE_MP_UINT, 8}, {INT, 1},        {INT, 2},         {INT, 4},          {INT, 8},
	{MYE_MP_EXT, 0},  {MYE_MP_EXT, 0}, {MYE_MP_EXT, 0},  {MYE_MP_EXT, 0},   {MYE_MP_EXT, 0},
	{MYE_MP_STR, 1},  {MYE_MP_STR, 2}, {MYE_MP_STR, 4},  {MYE_MP_ARRAY, 2}, {MYE_MP_ARRAY, 4},
	{MYE_MP_MAP, 2},  {MYE_MP_MAP, 4},
};

static size_t left(const struct mye_mp_reader *r)
{
	return (size_t)(r->end - r->at);
}

static __attribute__((cold)) int cut_off(struct mye_mp_reader *r, uint64_t need)
{
	return mye_path_fail(r->path, -EBADMSG, "%llu byte%s needed at byte %zu, %zu %s left",
	                     (unsigned long long)need, need == 1 ? "" : "s",
	                     (size_t)(r->at - r->begin), left(r), left(r) == 1 ? "is" : "are");
}

static __attribute__((cold)) int too_many(struct mye_mp_reader *r, const struct mye_mp_item *item)
{
	return mye_path_fail(r->path, -EBADMSG, "%s of %llu at byte %zu: only %zu %s left",
	                     mye_mp_name(item->kind), (unsigned long long)item->n, item->at,
	                     left(r), left(r) == 1 ? "byte is" : "bytes are");
}

/* All that @item announces must be able to be there. */
static int announced(struct mye_mp_reader *r, const struct mye_mp_item *item)
{
	switch (item->kind) {
	case MYE_MP_STR:
	case MYE_MP_BIN:
	case MYE_MP_EXT:
		return item->n > left(r) ? cut_off(r, item->n) : 0;
	case MYE_MP_ARRAY:
		return item->n > left(r) ? too_many(r, item) : 0;
	case MYE_MP_MAP:
		return item->n > left(r) / 2 ? too_many(r, item) : 0;
	default:
		return 0;
	}
}

/* The number that follows the first byte: big endian. */
static uint64_t number(struct mye_mp_reader *r, uint32_t width)
{
	uint64_t n = __builtin_bswap64(mye_bin_load(r->at, width)) >> (64 - 8 * width);

	r->at += width;
	return n;
}

/* The first byte is one of forms[]. */
static int longer(struct mye_mp_reader *r, uint32_t first, struct mye_mp_item *item)
{
	const struct form *f = &forms[first - FORM_FIRST];
	uint32_t shift = 64 - 8 * f->width;

	if (first == NEVER_USED)
		return mye_path_fail(r->path, -EBADMSG, "byte %zu is 0xc1, which begins nothing",
		                     item->at);
	item->kind = (enum mye_mp_kind)f->kind;
	if (left(r) < f->width)
		return cut_off(r, f->width);
	if (f->width)
		item->n = number(r, f->width);
	else if (item->kind == MYE_MP_BOOL)
		item->n = first == TRUE;
	else if (item->kind == MYE_MP_EXT)
		item->n = 1ull << (first - FIX_EXT);
	if (item->kind == MYE_MP_EXT)
		item->n++;
	if (item->kind == INT) {
		int64_t value = (int64_t)(item->n << shift) >> shift;

		item->n = (uint64_t)value;
		item->kind = value < 0 ? MYE_MP_MINUS : MYE_MP_UINT;
	}
	return announced(r, item);
}

int mye_mp_next(struct mye_mp_reader *r, struct mye_mp_item *item)
{
	uint32_t first;

	if (r->at == r->end)
		return cut_off(r, 1);
	first = (uint32_t)mye_bin_load(r->at, 1);
	*item = (struct mye_mp_item){.n = first, .at = (size_t)(r->at - r->begin)};
	r->at++;
	if (first < 0x80) {
		item->kind = MYE_MP_UINT;
		return 0;
	}
	if (first > FORM_LAST) {
		item->kind = MYE_MP_MINUS;
		item->n = (uint64_t)(int8_t)first;
		return 0;
	}
	if (first >= FORM_FIRST)
		return longer(r, first, item);
	item->kind = first < 0x90 ? MYE_MP_MAP : first < 0xa0 ? MYE_MP_ARRAY : MYE_MP_STR;
	item->n = first & (item->kind == MYE_MP_STR ? 0x1f : 0x0f);
	return announced(r, item);
}

/* Without recursion: however deep it is, it is so many more items, and each has a byte at least. */
int mye_mp_skip(struct mye_mp_reader *r, const struct mye_mp_item *item)
{
	struct mye_mp_item i = *item;
	uint64_t more = 0;

	for (;;) {
		if (i.kind == MYE_MP_ARRAY)
			more += i.n;
		else if (i.kind == MYE_MP_MAP)
			more += 2 * i.n;
		else if (i.kind == MYE_MP_STR || i.kind == MYE_MP_BIN || i.kind == MYE_MP_EXT)
			r->at += i.n;
		if (more == 0)
			return 0;
		if (mye_mp_next(r, &i) < 0)
			return -EBADMSG;
		more--;
	}
}
