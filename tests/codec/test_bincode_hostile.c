/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* bincode: input that is cut, mangled, made to take memory or stack, or that changes while it is read. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <myelon/bincode.h>
#include <myelon/error.h>

#include "object.h"
#include "scribble.h"
#include "zoo.h"

static struct myelon_codec *codec_with(const struct myelon_type *type,
                                       struct myelon_bincode_opts opts)
{
	struct myelon_codec *c;

	cr_assert_eq(myelon_codec_bincode(&c, type, &opts), 0, "%s", myelon_last_error());
	return c;
}

static struct myelon_codec *codec_of(const struct myelon_type *type, uint32_t encoding)
{
	return codec_with(type, MYELON_BINCODE_OPTS(.encoding = encoding));
}

/* Decode from memory of just this size; an arena of ARENA bytes must do. */
static int decode(struct myelon_codec *c, const void *bytes, size_t len)
{
	unsigned char object[1024] __attribute__((aligned(16)));
	unsigned char *copy = malloc(len + 1);
	struct myelon_arena a;
	int rc;

	cr_assert_leq(c->object_size, sizeof(object));
	myelon_arena_init(&a, NULL, 0, ARENA);
	memcpy(copy + 1, bytes, len);
	rc = myelon_codec_decode(c, copy + 1, len, object, &a);
	cr_assert_leq(a.taken, ARENA);
	myelon_arena_free(&a);
	free(copy);
	return rc;
}

static void expect_broken(struct myelon_codec *c, const void *bytes, size_t len, const char *says)
{
	int rc = decode(c, bytes, len);

	cr_assert_eq(rc, -EBADMSG, "%d", rc);
	cr_assert(strstr(myelon_last_error(), says), "'%s' does not say '%s'", myelon_last_error(),
	          says);
}

static size_t encode_random(struct myelon_codec *c, struct object_rng *r, unsigned char *buf,
                            size_t cap)
{
	unsigned char object[1024] __attribute__((aligned(16)));
	struct myelon_arena a;
	int64_t n;

	myelon_arena_init(&a, NULL, 0, 16 << 20);
	object_fill(c->type, object, r, &a);
	n = myelon_codec_encode(c, object, buf, cap);
	cr_assert_geq(n, 0, "%s", myelon_last_error());
	myelon_arena_free(&a);
	return (size_t)n;
}

Test(bincode_hostile, a_message_cut_at_any_byte_is_broken)
{
	struct object_rng r = {.state = 7, .depth = 3, .most = 4};
	unsigned char buf[65536];

	for (uint32_t encoding = 0; encoding < 2; encoding++) {
		struct myelon_codec *c = codec_of(&zoo_type, encoding);

		for (int i = 0; i < 5; i++) {
			size_t len = encode_random(c, &r, buf, sizeof(buf));

			cr_assert_eq(decode(c, buf, len), 0);
			for (size_t cut = 0; cut < len; cut++)
				expect_broken(c, buf, cut, "bincode: zoo.");
		}
		myelon_codec_close(c);
	}
}

Test(bincode_hostile, mangled_messages_never_hurt, .timeout = 120)
{
	struct object_rng r = {.state = 8, .depth = 3, .most = 4};
	static unsigned char good[65536], bad[65536];
	int taken = 0;

	for (uint32_t encoding = 0; encoding < 2; encoding++) {
		struct myelon_codec *c = codec_of(&zoo_type, encoding);
		size_t len = 0;

		for (int i = 0; i < 20000; i++) {
			int rc;

			if (i % 100 == 0)
				len = encode_random(c, &r, good, sizeof(good));
			memcpy(bad, good, len);
			rc = decode(c, bad, object_mangle(&r, bad, len));
			cr_assert(rc == 0 || rc == -EBADMSG, "%d: %s", rc, myelon_last_error());
			taken += rc == 0;
		}
		myelon_codec_close(c);
	}
	/* Some changes make another sound message: both ends of decode were reached. */
	cr_assert(taken > 100 && taken < 30000, "%d", taken);
}

static const struct myelon_type u32s = MYELON_VECTOR_OF(&myelon_u32);
static const struct myelon_type text_list = MYELON_VECTOR_OF(&myelon_string);

Test(bincode_hostile, lengths_beyond_the_message_take_no_memory)
{
	static const uint64_t lengths[] = {2,
	                                   3,
	                                   1ull << 16,
	                                   UINT32_MAX,
	                                   1ull << 32,
	                                   (1ull << 32) + 1,
	                                   1ull << 61,
	                                   1ull << 62,
	                                   1ull << 63,
	                                   UINT64_MAX / 4,
	                                   UINT64_MAX - 7,
	                                   UINT64_MAX};
	const struct myelon_type *types[] = {&u32s, &text_list, &myelon_bytes, &myelon_string};
	unsigned char bytes[9 + 1];

	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++)
		for (uint32_t encoding = 0; encoding < 2; encoding++) {
			struct myelon_codec *c = codec_of(types[t], encoding);

			for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
				memset(bytes, 0, sizeof(bytes));
				bytes[0] = 253;
				memcpy(bytes + encoding, &lengths[i], 8);
				expect_broken(c, bytes, 9 + encoding, "needed at byte");
			}
			myelon_codec_close(c);
		}
}

struct unit {
	unsigned char unused[64];
};
static const struct myelon_type unit = {
	.name = "unit", .kind = MYELON_TYPE_STRUCT, .size = sizeof(struct unit), .align = 1};
static const struct myelon_type none = {
	.name = "none", .kind = MYELON_TYPE_STRUCT, .size = 0, .align = 1};
static const struct myelon_type units = MYELON_VECTOR_OF(&unit);
static const struct myelon_type nones = MYELON_VECTOR_OF(&none);

Test(bincode_hostile, elements_that_take_no_bytes_are_bounded)
{
	const struct myelon_type *types[] = {&units, &nones};
	struct myelon_vector v = {types, 65536};
	unsigned char buf[8];

	for (size_t t = 0; t < 2; t++) {
		struct myelon_codec *c = codec_of(types[t], MYELON_BINCODE_FIXED);
		uint64_t n = 1000;

		cr_assert_eq(decode(c, &n, 8), 0, "%s", myelon_last_error());
		n = UINT64_MAX;
		expect_broken(c, &n, 8, "at most 65536");
		n = 65537;
		expect_broken(c, &n, 8, "at most 65536");
		v.count = 65536;
		cr_assert_eq(myelon_codec_encode(c, &v, buf, 8), 8);
		v.count = 65537;
		cr_assert_eq(myelon_codec_bound(c, &v), -EINVAL);
		cr_assert_eq(myelon_codec_encode(c, &v, buf, 8), -EINVAL);
		myelon_codec_close(c);
	}
}

/* A node with a next node, @levels deep, and nothing behind. */
static size_t chain(unsigned char *to, uint32_t levels)
{
	size_t at = 0;

	for (uint32_t i = 0; i <= levels; i++) {
		memset(to + at, 0, 13);
		to[at + 12] = i < levels;
		at += 13;
	}
	return at;
}

/* A node with one child, that with one ... */
static size_t tree(unsigned char *to, uint32_t levels)
{
	memset(to, 0, levels * 12ull + 13 * (levels + 1ull));
	for (uint32_t i = 0; i < levels; i++)
		to[i * 12ull + 4] = 1;
	return levels * 12ull + 13 + levels;
}

static void expect_depth(struct myelon_bincode_opts opts, uint32_t allowed)
{
	struct myelon_codec *c = codec_with(&zoo_node, opts);
	static unsigned char bytes[1 << 20];

	cr_assert_eq(decode(c, bytes, chain(bytes, allowed)), 0, "%s", myelon_last_error());
	cr_assert_eq(decode(c, bytes, tree(bytes, allowed)), 0, "%s", myelon_last_error());
	expect_broken(c, bytes, chain(bytes, allowed + 1), "nested deeper");
	expect_broken(c, bytes, tree(bytes, allowed + 1), "nested deeper");
	expect_broken(c, bytes, chain(bytes, 20000), "nested deeper");
	expect_broken(c, bytes, tree(bytes, 20000), "nested deeper");
	myelon_codec_close(c);
}

Test(bincode_hostile, nesting_is_bounded)
{
	expect_depth(MYELON_BINCODE_OPTS(.depth = 0), 128);
	expect_depth(MYELON_BINCODE_OPTS(.depth = 3), 3);
	expect_depth(MYELON_BINCODE_OPTS(.depth = MYELON_BINCODE_DEPTH_MAX),
	             MYELON_BINCODE_DEPTH_MAX);
}

Test(bincode_hostile, what_is_too_deep_to_be_read_is_not_written)
{
	struct myelon_codec *c = codec_of(&zoo_node, MYELON_BINCODE_FIXED);
	static struct node nodes[200];
	unsigned char buf[8192];

	for (int i = 0; i < 200; i++)
		nodes[i].next = (struct node_maybe){i < 199, &nodes[(i + 1) % 200]};
	cr_assert_gt(myelon_codec_encode(c, &nodes[199 - 128], buf, sizeof(buf)), 0);
	cr_assert_eq(myelon_codec_encode(c, &nodes[199 - 129], buf, sizeof(buf)), -EINVAL);
	cr_assert_eq(myelon_codec_bound(c, &nodes[199 - 129]), -EINVAL);
	/* And a ring of nodes has an end. */
	nodes[199].next = (struct node_maybe){true, nodes};
	cr_assert_eq(myelon_codec_bound(c, nodes), -EINVAL);
	myelon_codec_close(c);
}

Test(bincode_hostile, memory_of_a_message_is_limited)
{
	struct myelon_bincode_opts opts = MYELON_BINCODE_OPTS(.memory = 100 + 3);
	struct myelon_codec *c = codec_with(&u32s, opts);
	unsigned char bytes[8 + 4 * 26] = {25};
	struct myelon_vector v;
	struct myelon_arena a;

	cr_assert_eq(decode(c, bytes, sizeof(bytes)), 0, "%s", myelon_last_error());
	bytes[0] = 26;
	expect_broken(c, bytes, sizeof(bytes), "104 bytes of memory");
	myelon_codec_close(c);
	/* The pieces of a message count together. */
	c = codec_with(&text_list, (opts.memory = 2 * sizeof(struct myelon_text) + 7 + 2, opts));
	memcpy(bytes, "\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0a\1\0\0\0\0\0\0\0bc", 27);
	cr_assert_eq(decode(c, bytes, 27), 0, "%s", myelon_last_error());
	memcpy(bytes + 17, "\2", 1);
	expect_broken(c, bytes, 27, "vector[1]: it takes 2 bytes of memory, the limit leaves 1");
	myelon_codec_close(c);
	c = codec_of(&u32s, MYELON_BINCODE_FIXED);
	memset(bytes, 0, sizeof(bytes));
	bytes[0] = 20;
	myelon_arena_init(&a, NULL, 0, 64);
	cr_assert_eq(myelon_codec_decode(c, bytes, sizeof(bytes), &v, &a), -ENOMEM);
	cr_assert(strstr(myelon_last_error(), "arena"), "%s", myelon_last_error());
	cr_assert_eq(myelon_codec_decode(c, bytes, sizeof(bytes), &v, NULL), -ENOMEM);
	bytes[0] = 0;
	cr_assert_eq(myelon_codec_decode(c, bytes, sizeof(bytes), &v, NULL), 0);
	myelon_arena_free(&a);
	myelon_codec_close(c);
}

Test(bincode_hostile, bytes_behind_the_object_are_ignored_or_refused_as_by_rust)
{
	static const struct {
		uint32_t encoding, trailing;
		int rc;
	} rows[] = {
		{MYELON_BINCODE_FIXED, MYELON_BINCODE_TRAILING_DEFAULT, 0},
		{MYELON_BINCODE_FIXED, MYELON_BINCODE_TRAILING_REFUSE, -EBADMSG},
		{MYELON_BINCODE_FIXED, MYELON_BINCODE_TRAILING_IGNORE, 0},
		{MYELON_BINCODE_VARINT, MYELON_BINCODE_TRAILING_DEFAULT, -EBADMSG},
		{MYELON_BINCODE_VARINT, MYELON_BINCODE_TRAILING_REFUSE, -EBADMSG},
		{MYELON_BINCODE_VARINT, MYELON_BINCODE_TRAILING_IGNORE, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct myelon_codec *c =
			codec_with(&myelon_u8, MYELON_BINCODE_OPTS(.encoding = rows[i].encoding,
		                                                   .trailing = rows[i].trailing));

		cr_assert_eq(decode(c, "a", 1), 0);
		cr_assert_eq(decode(c, "ab", 2), rows[i].rc, "%zu", i);
		myelon_codec_close(c);
	}
}

static void broken_or_not(const struct myelon_type *type, uint32_t encoding, const char *bytes,
                          size_t len, const char *says)
{
	struct myelon_codec *c = codec_of(type, encoding);

	if (says)
		expect_broken(c, bytes, len, says);
	else
		cr_assert_eq(decode(c, bytes, len), 0, "%s", myelon_last_error());
	myelon_codec_close(c);
}
#define FIXED(type, bytes, says)                                                                   \
	broken_or_not((type), MYELON_BINCODE_FIXED, (bytes), sizeof(bytes) - 1, (says))
#define VARINT(type, bytes, says)                                                                  \
	broken_or_not((type), MYELON_BINCODE_VARINT, (bytes), sizeof(bytes) - 1, (says))

static const struct myelon_type maybe = MYELON_OPTION_OF(&myelon_u64, struct maybe_u64);
static const struct myelon_type texts_array =
	MYELON_ARRAY_OF(&myelon_string, struct myelon_text, 2);

/* What Rust says to the same bytes was looked at. */
Test(bincode_hostile, bytes_that_are_no_value_of_their_type_are_named)
{
	FIXED(&myelon_bool, "\2", "bool: byte 0 is 2 and not 0 or 1");
	FIXED(&maybe, "\2\0\0\0\0\0\0\0\0", "byte 0 is 2 and not 0 or 1");
	FIXED(&myelon_u32, "abc", "u32: 4 bytes needed at byte 0, 3 are left");
	FIXED(&myelon_u32, "", "u32: 4 bytes needed at byte 0, 0 are left");
	FIXED(&myelon_string, "\2\0\0\0\0\0\0\0a", "2 bytes needed at byte 8, 1 is left");
	FIXED(&myelon_string, "\2\0\0\0\0\0\0\0a\x80", "not UTF-8 at byte 9");
	FIXED(&texts_array, "\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\xff", "array[1]: the text");
	FIXED(&myelon_char, "\xff", "no character begins at byte 0");
	FIXED(&myelon_char, "\xed\xa0\x80", "no character");
	FIXED(&myelon_char, "\xe2\x98", "3 bytes needed at byte 0, 2 are left");
	FIXED(&zoo_shape, "\3\0\0\0", "says variant 3, there are 3");
	FIXED(&zoo_shape, "\2\0\0\0\0\0\0\0\0\0\0\0a", "shape.Named.sides: 4 bytes needed");
	FIXED(&u32s, "\2\0\0\0\0\0\0\0abcdefg",
	      "vector: 2 elements of at least 4 bytes needed at byte 8, 7 are left");
	VARINT(&myelon_u16, "\373\5\0", NULL);
	VARINT(&myelon_u16, "\375\5\0\0\0\0\0\0\0", NULL);
	VARINT(&myelon_u16, "\374\0\0\1\0", "too large");
	VARINT(&myelon_i16, "\373\377\377", NULL);
	VARINT(&myelon_i16, "\374\0\0\1\0", "too large");
	VARINT(&myelon_u64, "\376aaaaaaaabbbbbbbb", "byte 0 is 254");
	VARINT(&myelon_u128, "\376aaaaaaaabbbbbbbb", NULL);
	VARINT(&myelon_u128, "\377aaaaaaaabbbbbbbb", "byte 0 is 255");
	VARINT(&myelon_i128, "\376aaaaaaaabbbbbbb", "17 bytes needed");
	VARINT(&zoo_shape, "\375\0\0\0\0\0\0\0\0", NULL);
	VARINT(&zoo_shape, "\374\0\0\1\0", "variant 65536");
	VARINT(&u32s, "\3ab\374a", "vector[2]: 5 bytes needed at byte 3, 2 are left");
}

Test(bincode_hostile, what_changes_while_it_is_read_gives_a_sound_object_or_an_error,
     .timeout = 120)
{
	struct object_rng r = {.state = 5, .depth = 3, .most = 4};
	static unsigned char bytes[65536];

	for (uint32_t encoding = 0; encoding < 2; encoding++) {
		struct myelon_codec *c = codec_of(&zoo_type, encoding);

		decode_scribbled(c, bytes, encode_random(c, &r, bytes, sizeof(bytes)), 20000);
		myelon_codec_close(c);
	}
}

Test(bincode_hostile, text_that_changes_while_it_is_read_is_looked_at_where_it_is_kept,
     .timeout = 120)
{
	struct myelon_codec *c = codec_of(&myelon_string, MYELON_BINCODE_FIXED);
	static unsigned char bytes[65536];
	uint64_t len = sizeof(bytes) - 8;

	memset(bytes, 'a', sizeof(bytes));
	memcpy(bytes, &len, sizeof(len));
	decode_scribbled(c, bytes, sizeof(bytes), 2000);
	myelon_codec_close(c);
}
