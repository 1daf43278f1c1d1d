/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* msgpack: the forms of other writers; input that is cut, mangled, made to take memory or stack, or that changes. */
#include <criterion/criterion.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <myelon/error.h>
#include <myelon/msgpack.h>

#include "object.h"
#include "scribble.h"
#include "zoo.h"

#define FORMS 4u

static struct myelon_codec *codec_with(const struct myelon_type *type,
                                       struct myelon_msgpack_opts opts)
{
	struct myelon_codec *c;

	cr_assert_eq(myelon_codec_msgpack(&c, type, &opts), 0, "%s", myelon_last_error());
	return c;
}

static struct myelon_codec *codec_of(const struct myelon_type *type, uint32_t flags)
{
	return codec_with(type, MYELON_MSGPACK_OPTS(.flags = flags));
}

/* Decode from memory of just this size; an arena of ARENA bytes must do. */
static int decode_to(struct myelon_codec *c, const void *bytes, size_t len, void *object)
{
	unsigned char *copy = malloc(len + 1);
	struct myelon_arena a;
	int rc;

	myelon_arena_init(&a, NULL, 0, ARENA);
	memcpy(copy + 1, bytes, len);
	rc = myelon_codec_decode(c, copy + 1, len, object, &a);
	cr_assert_leq(a.taken, ARENA);
	myelon_arena_free(&a);
	free(copy);
	return rc;
}

static int decode(struct myelon_codec *c, const void *bytes, size_t len)
{
	unsigned char object[1024] __attribute__((aligned(16)));

	cr_assert_leq(c->object_size, sizeof(object));
	return decode_to(c, bytes, len, object);
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

Test(msgpack_hostile, a_message_cut_at_any_byte_is_broken)
{
	struct object_rng r = {.state = 7, .depth = 3, .most = 4};
	unsigned char buf[65536];

	for (uint32_t flags = 0; flags < FORMS; flags++) {
		struct myelon_codec *c = codec_of(&zoo_type, flags);

		for (int i = 0; i < 5; i++) {
			size_t len = encode_random(c, &r, buf, sizeof(buf) - 1);

			cr_assert_eq(decode(c, buf, len), 0);
			for (size_t cut = 0; cut < len; cut++)
				expect_broken(c, buf, cut, "msgpack: zoo");
			buf[len] = 0xc0;
			expect_broken(c, buf, len + 1, "msgpack: zoo: it ends at byte");
		}
		myelon_codec_close(c);
	}
}

Test(msgpack_hostile, mangled_messages_never_hurt, .timeout = 120)
{
	struct object_rng r = {.state = 8, .depth = 3, .most = 4};
	static unsigned char good[65536], bad[65536];
	int taken = 0;

	for (uint32_t flags = 0; flags < FORMS; flags++) {
		struct myelon_codec *c = codec_of(&zoo_type, flags);
		size_t len = 0;

		for (int i = 0; i < 5000; i++) {
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
	cr_assert(taken > 100 && taken < 15000, "%d", taken);
}

/* ---- the forms of other writers ---- */

static void taken_as(const struct myelon_type *type, uint32_t flags, const void *bytes, size_t len,
                     const void *value)
{
	unsigned char object[64] __attribute__((aligned(16)));
	struct myelon_codec *c = codec_of(type, flags);

	cr_assert_eq(decode_to(c, bytes, len, object), 0, "%s", myelon_last_error());
	cr_assert_eq(memcmp(object, value, type->size), 0);
	myelon_codec_close(c);
}
#define TAKEN(type, bytes, value) taken_as((type), 0, (bytes), sizeof(bytes) - 1, &(value))
#define ROUNDED(type, bytes, value)                                                                \
	taken_as((type), MYELON_MSGPACK_ROUND, (bytes), sizeof(bytes) - 1, &(value))

static void refused(const struct myelon_type *type, uint32_t flags, const void *bytes, size_t len,
                    const char *says)
{
	struct myelon_codec *c = codec_of(type, flags);

	expect_broken(c, bytes, len, says);
	myelon_codec_close(c);
}
#define REFUSED(type, bytes, says) refused((type), 0, (bytes), sizeof(bytes) - 1, (says))

Test(msgpack_hostile, integers_of_any_width_are_taken_if_they_fit)
{
	TAKEN(&myelon_u8, "\xcf\0\0\0\0\0\0\0\xff", (uint8_t){255});
	TAKEN(&myelon_u8, "\xd1\0\x7f", (uint8_t){127});
	TAKEN(&myelon_u64, "\xd3\x7f\xff\xff\xff\xff\xff\xff\xff", (uint64_t){INT64_MAX});
	TAKEN(&myelon_u32, "\xcd\1\2", (uint32_t){258});
	TAKEN(&myelon_i8, "\xcc\x7f", (int8_t){127});
	TAKEN(&myelon_i8, "\xd3\xff\xff\xff\xff\xff\xff\xff\x80", (int8_t){-128});
	TAKEN(&myelon_i16, "\xd2\xff\xff\x80\0", (int16_t){INT16_MIN});
	TAKEN(&myelon_i64, "\xe0", (int64_t){-32});
	TAKEN(&myelon_i64, "\xd3\x80\0\0\0\0\0\0\0", (int64_t){INT64_MIN});
	REFUSED(&myelon_u8, "\xcd\1\0", "msgpack: u8: 256 at byte 0 does not fit into u8");
	REFUSED(&myelon_u8, "\xff", "-1 at byte 0 does not fit into u8");
	REFUSED(&myelon_u64, "\xd0\x80", "-128 at byte 0 does not fit into u64");
	REFUSED(&myelon_i8, "\xcc\x80", "128 at byte 0");
	REFUSED(&myelon_i8, "\xd1\xff\x7f", "-129 at byte 0");
	REFUSED(&myelon_i64, "\xcf\x80\0\0\0\0\0\0\0", "9223372036854775808 at byte 0");
	REFUSED(&myelon_u8, "\xca\0\0\0\0", "an integer is needed at byte 0, there is a float 32");
	REFUSED(&myelon_u8, "\xc3", "there is a bool");
	REFUSED(&myelon_bool, "\1", "a bool is needed at byte 0, there is an integer");
}

Test(msgpack_hostile, numbers_are_taken_for_floats_if_they_are_exact)
{
	TAKEN(&myelon_f64, "\xca\x3f\xc0\0\0", (double){1.5});
	TAKEN(&myelon_f64, "\7", (double){7});
	TAKEN(&myelon_f64, "\xff", (double){-1});
	TAKEN(&myelon_f64, "\xcf\xff\xff\xff\xff\xff\xff\xf8\0", (double){0x1.fffffffffffffp63});
	TAKEN(&myelon_f64, "\xd3\x80\0\0\0\0\0\0\0", (double){-0x1p63});
	TAKEN(&myelon_f32, "\xcb\x3f\xf8\0\0\0\0\0\0", (float){1.5f});
	TAKEN(&myelon_f32, "\xcb\x7f\xf0\0\0\0\0\0\0", (float){INFINITY});
	TAKEN(&myelon_f32, "\xcb\x47\xef\xff\xff\xe0\0\0\0", (float){FLT_MAX});
	TAKEN(&myelon_f32, "\xce\1\0\0\0", (float){0x1p24f});
	/* A NaN of 32 bits as it is, signalling or not. */
	TAKEN(&myelon_f32, "\xca\x7f\x80\0\1", (uint32_t){0x7f800001});
	TAKEN(&myelon_f64, "\xcb\xff\xf8\0\0\0\0\0\1", (uint64_t){0xfff8000000000001});
	TAKEN(&myelon_f32, "\xcb\x7f\xf8\0\0\0\0\0\0", (uint32_t){0x7fc00000});
	REFUSED(&myelon_f64, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "not exact as f64");
	REFUSED(&myelon_f64, "\xcf\0\x20\0\0\0\0\0\1", "not exact as f64");
	REFUSED(&myelon_f64, "\xd3\xff\xdf\xff\xff\xff\xff\xff\xff", "not exact as f64");
	REFUSED(&myelon_f32, "\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a", "not exact as f32");
	REFUSED(&myelon_f32, "\xcb\x47\xf0\0\0\0\0\0\0", "not exact as f32");
	REFUSED(&myelon_f32, "\xce\1\0\0\1", "not exact as f32");
	REFUSED(&myelon_f32, "\xa1\x31", "a number is needed at byte 0, there is a str");
	ROUNDED(&myelon_f32, "\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a", (float){0.1f});
	ROUNDED(&myelon_f32, "\xce\1\0\0\1", (float){0x1p24f});
	refused(&myelon_f32, MYELON_MSGPACK_ROUND, "\xcb\x47\xf0\0\0\0\0\0\0", 9, "not exact");
	refused(&myelon_f64, MYELON_MSGPACK_ROUND, "\xcf\0\x20\0\0\0\0\0\1", 9, "not exact");
}

Test(msgpack_hostile, text_and_bytes_are_not_each_other)
{
	struct myelon_codec *c = codec_of(&myelon_bytes, MYELON_MSGPACK_STR_AS_BYTES);

	REFUSED(&myelon_string, "\xc4\1a", "a str is needed at byte 0, there is a bin");
	REFUSED(&myelon_bytes, "\xa1\xff", "a bin is needed at byte 0, there is a str");
	REFUSED(&myelon_bytes, "\x91\1", "a bin is needed at byte 0, there is an array");
	REFUSED(&myelon_string, "\xa3gr\xff", "the str at byte 0 is not UTF-8 at its byte 2");
	REFUSED(&myelon_string, "\xc0", "there is nil");
	REFUSED(&myelon_string, "\xd4\1\1", "there is an ext");
	REFUSED(&myelon_char, "\xa0", "a str of 1 is needed at byte 0, there is one of 0");
	REFUSED(&myelon_char, "\xa2\x61\x61", "the str at byte 0 is not one character");
	REFUSED(&myelon_char, "\xa3\xed\xa0\x80", "not one character");
	REFUSED(&myelon_char, "\xa5\x61\x61\x61\x61\x61", "one of 5");
	REFUSED(&myelon_char, "\x61", "a str of one character is needed");
	cr_assert_eq(decode(c, "\xa1\xff", 2), 0);
	cr_assert_eq(decode(c, "\xda\0\1\xff", 4), 0);
	cr_assert_eq(decode(c, "\xc4\1\xff", 3), 0);
	myelon_codec_close(c);
}

#define POINT_KEYS "\xa1x\1\xa1y\2\xa6weight\xca\0\0\0\0"

Test(msgpack_hostile, fields_come_in_any_order_with_strangers_between_them)
{
	static const struct point p = {1, 2, 0};

	TAKEN(&zoo_point, "\x83" POINT_KEYS, p);
	TAKEN(&zoo_point, "\xdf\0\0\0\3" POINT_KEYS, p);
	TAKEN(&zoo_point, "\x83\xa6weight\xca\0\0\0\0\xa1y\2\xa1x\1", p);
	TAKEN(&zoo_point, "\x93\1\2\xca\0\0\0\0", p);
	/* Keys of other kinds, values of all kinds, nested ones. */
	TAKEN(&zoo_point,
	      "\x8c\1\1\xc0\xc4\2ab\xa1z\xa1z\xc3\xd8\1aaaabbbbccccdddd\x91\1\x81\2\x92\1\x80\xca"
	      "aaaa\xcb"
	      "aaaabbbb\xd9\1w\xc7\0\1\xa2xx\xc8\0\1\1a\xa2\x78\0\x90" POINT_KEYS,
	      p);
	REFUSED(&zoo_point, "\x84" POINT_KEYS "\xa1x\1",
	        "msgpack: point.x: it is there once more at byte 19");
	REFUSED(&zoo_point, "\x82\xa1x\1\xa1y\2",
	        "msgpack: point.weight: the map at byte 0 does not have it");
	REFUSED(&zoo_point, "\x80", "point.x: the map at byte 0");
	REFUSED(&zoo_point, "\x92\1\2", "an array of 3 is needed at byte 0, there is one of 2");
	REFUSED(&zoo_point, "\x94\1\2\3\4", "there is one of 4");
	REFUSED(&zoo_point, "\1", "a map, or an array, is needed at byte 0, there is an integer");
	REFUSED(&zoo_point, "\x84" POINT_KEYS "\xa1z", "1 byte needed");
	REFUSED(&zoo_point, "\x84" POINT_KEYS "\xa1z\xc1", "0xc1, which begins nothing");
	REFUSED(&zoo_point, "\x84" POINT_KEYS "\xa1z\x92\x92\1\1", "1 byte needed at byte 25");
	REFUSED(&zoo_pair, "\x82\xa3key\xa0\xa5value\1", "an array is needed at byte 0");
}

Test(msgpack_hostile, a_missing_field_is_an_option_that_is_not_present)
{
	struct both {
		struct maybe_u64 first, second;
	} got, expected = {.second = {true, 5}};
	struct myelon_type maybe = MYELON_OPTION_OF(&myelon_u64, struct maybe_u64);
	struct myelon_field f[] = {MYELON_FIELD(struct both, first, &maybe),
	                           MYELON_FIELD(struct both, second, &maybe)};
	struct myelon_type both = MYELON_STRUCT(struct both, f);
	struct myelon_codec *c = codec_of(&both, 0);

	cr_assert_eq(decode_to(c, "\x81\xa6second\5", 9, &got), 0, "%s", myelon_last_error());
	cr_assert(object_equal(&both, &got, &expected));
	cr_assert_eq(decode_to(c,
	                       "\x82\xa6second\5\xa5"
	                       "first\xc0",
	                       16, &got),
	             0);
	cr_assert(object_equal(&both, &got, &expected));
	cr_assert_eq(decode_to(c, "\x92\xc0\5", 3, &got), 0);
	cr_assert(object_equal(&both, &got, &expected));
	expect_broken(c, "\x82\xa6second\5\xa6second\xc0", 17,
	              "both.second: it is there once more");
	expect_broken(c, "\x91\xc0", 2, "an array of 2");
	myelon_codec_close(c);
}

Test(msgpack_hostile, variants_come_by_name_or_number)
{
	static const struct shape empty = {.tag = SHAPE_EMPTY},
				  circle = {.tag = SHAPE_CIRCLE, .of.circle = 1};

	TAKEN(&zoo_shape,
	      "\xa5"
	      "Empty",
	      empty);
	TAKEN(&zoo_shape, "\0", empty);
	TAKEN(&zoo_shape,
	      "\x81\xa5"
	      "Empty\xc0",
	      empty);
	TAKEN(&zoo_shape, "\x81\0\xc0", empty);
	TAKEN(&zoo_shape,
	      "\x81\xa6"
	      "Circle\1",
	      circle);
	TAKEN(&zoo_shape, "\x81\xcd\0\1\xca\x3f\x80\0\0", circle);
	REFUSED(&zoo_shape, "\3", "shape: there is no variant as at byte 0");
	REFUSED(&zoo_shape, "\xcf\0\0\0\1\0\0\0\0", "there is no variant");
	REFUSED(&zoo_shape,
	        "\x81\xa5"
	        "empty\xc0",
	        "there is no variant as at byte 1");
	REFUSED(&zoo_shape,
	        "\xa6"
	        "Empty\0",
	        "there is no variant");
	REFUSED(&zoo_shape, "\xff", "the name or number of a variant is needed at byte 0");
	REFUSED(&zoo_shape, "\x81\x90\1", "the name or number of a variant is needed at byte 1");
	REFUSED(&zoo_shape, "\x80", "a map of 1 is needed at byte 0, there is one of 0");
	REFUSED(&zoo_shape, "\x82\0\xc0\0\xc0", "one of 2");
	REFUSED(&zoo_shape,
	        "\xa6"
	        "Circle",
	        "shape.Circle: the variant at byte 0 carries nothing");
	REFUSED(&zoo_shape,
	        "\x81\xa5"
	        "Empty\1",
	        "shape.Empty: nil is needed at byte 7");
	REFUSED(&zoo_shape,
	        "\x81\xa5"
	        "Named\x82\xa4name\xa0\xa5sides\xff",
	        "shape.Named.sides: -1 at byte 20");
}

/* ---- memory and depth ---- */

static const struct myelon_type u32s = MYELON_VECTOR_OF(&myelon_u32);
static const struct myelon_type text_list = MYELON_VECTOR_OF(&myelon_string);
static const struct myelon_type pair_map = MYELON_MAP_OF(&zoo_pair);
static const struct myelon_type points = MYELON_VECTOR_OF(&zoo_point);
static const struct myelon_type triple = MYELON_ARRAY_OF(&myelon_u16, uint16_t, 3);

/* With an arena of nothing: nothing may be asked of it. */
static void expect_nothing_taken(const struct myelon_type *type, const void *bytes, size_t len)
{
	struct myelon_codec *c = codec_of(type, 0);
	unsigned char object[1024] __attribute__((aligned(16)));
	struct myelon_arena a;

	myelon_arena_init(&a, NULL, 0, 0);
	cr_assert_eq(myelon_codec_decode(c, bytes, len, object, &a), -EBADMSG, "%s",
	             myelon_last_error());
	myelon_codec_close(c);
}
#define NOTHING_TAKEN(type, bytes) expect_nothing_taken((type), (bytes), sizeof(bytes) - 1)

Test(msgpack_hostile, counts_beyond_the_message_take_no_memory)
{
	NOTHING_TAKEN(&u32s, "\xdd\xff\xff\xff\xff");
	NOTHING_TAKEN(&u32s, "\xdd\xff\xff\xff\xff\1\1\1");
	NOTHING_TAKEN(&u32s, "\xdd\x10\0\0\0");
	NOTHING_TAKEN(&u32s, "\xdc\xff\xff\1\1");
	NOTHING_TAKEN(&u32s, "\x92\1");
	NOTHING_TAKEN(&points, "\x92\1\1\1\1\1\1\1");
	NOTHING_TAKEN(&text_list, "\xdd\xff\xff\xff\xff\xa0");
	NOTHING_TAKEN(&pair_map, "\xdf\xff\xff\xff\xff");
	NOTHING_TAKEN(&pair_map, "\xde\0\2\xa0\1\xa0");
	NOTHING_TAKEN(&triple, "\xdd\xff\xff\xff\xff");
	NOTHING_TAKEN(&myelon_string, "\xdb\xff\xff\xff\xff");
	NOTHING_TAKEN(&myelon_string, "\xa2\x61");
	NOTHING_TAKEN(&myelon_bytes, "\xc6\xff\xff\xff\xff\1");
	NOTHING_TAKEN(&zoo_point, "\xdf\xff\xff\xff\xff");
	NOTHING_TAKEN(&zoo_point, "\x81\xa1z\xdd\xff\xff\xff\xff");
	NOTHING_TAKEN(&zoo_point, "\x81\xa1z\xdf\xff\xff\xff\xff");
	NOTHING_TAKEN(&zoo_point, "\x81\xa1z\xc9\xff\xff\xff\xff\1");
	NOTHING_TAKEN(&zoo_point, "\x81\xdb\xff\xff\xff\xff\1");
	REFUSED(&u32s, "\xdd\xff\xff\xff\xff\1",
	        "msgpack: vector: an array of 4294967295 at byte 0: only 1 byte is left");
	REFUSED(&points, "\x92\1\1\1\1\1\1\1",
	        "an array of 2 at byte 0: each takes 4 bytes at least, 7 are left");
}

Test(msgpack_hostile, nesting_is_bounded_and_strangers_may_be_nested_without_end)
{
	static unsigned char bomb[1000100];
	struct myelon_codec *c = codec_of(&zoo_node, 0), *d = codec_of(&zoo_point, 0);
	size_t at = 0;

	/* Nodes in nodes, as arrays: value, children, next. */
	while (at + 3 < 1000000) {
		memcpy(bomb + at, "\x93\1\x91", 3);
		at += 3;
	}
	memset(bomb + at, 1, sizeof(bomb) - at);
	expect_broken(c, bomb, sizeof(bomb), "nested deeper than 128 vectors, maps and boxes");
	/* The same by boxes. */
	for (at = 0; at + 3 < 1000000; at += 3)
		memcpy(bomb + at, "\x93\1\x90", 3);
	expect_broken(c, bomb, sizeof(bomb), "nested deeper than 128");
	/* A million arrays in each other under a key that nobody knows: passed by. */
	memcpy(bomb, "\x84\xa1z", 3);
	memset(bomb + 3, 0x91, 1000000);
	memcpy(bomb + 1000003, "\xc0" POINT_KEYS, sizeof(POINT_KEYS));
	cr_assert_eq(decode(d, bomb, 1000003 + sizeof(POINT_KEYS)), 0, "%s", myelon_last_error());
	expect_broken(d, bomb, 1000003, "an array of 1 at byte 1000002: only 0 bytes are left");
	memset(bomb + 3, 0x81, 1000000);
	expect_broken(d, bomb, 1000003, "msgpack: point: ");
	myelon_codec_close(c);
	myelon_codec_close(d);
}

static struct node chain[MYELON_MSGPACK_DEPTH_MAX + 2];

Test(msgpack_hostile, what_is_as_deep_as_allowed_is_written_and_read)
{
	static unsigned char buf[1 << 16];
	static const uint32_t depths[] = {1, 0, MYELON_MSGPACK_DEPTH_MAX};

	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		uint32_t depth = depths[i] ? depths[i] : 128;
		struct myelon_codec *c =
			codec_with(&zoo_node, MYELON_MSGPACK_OPTS(.depth = depths[i]));
		int64_t n;

		memset(chain, 0, sizeof(chain));
		for (uint32_t k = 0; k < depth; k++)
			chain[k].next = (struct node_maybe){true, &chain[k + 1]};
		n = myelon_codec_encode(c, chain, buf, sizeof(buf));
		cr_assert_gt(n, 0, "%s", myelon_last_error());
		cr_assert_eq(myelon_codec_bound(c, chain), n);
		cr_assert_eq(decode(c, buf, (size_t)n), 0, "%s", myelon_last_error());
		chain[depth].next = (struct node_maybe){true, &chain[depth + 1]};
		cr_assert_eq(myelon_codec_encode(c, chain, buf, sizeof(buf)), -EINVAL);
		cr_assert_eq(myelon_codec_bound(c, chain), -EINVAL);
		myelon_codec_close(c);
	}
}

Test(msgpack_hostile, memory_is_bounded_by_the_arena_and_per_message)
{
	static unsigned char bytes[4096];
	struct myelon_codec *c = codec_with(&text_list, MYELON_MSGPACK_OPTS(.memory = 1000)),
			    *d = codec_of(&text_list, 0);
	struct myelon_vector v;
	struct myelon_arena a;

	bytes[0] = 0xdc;
	bytes[1] = 0;
	bytes[2] = 64;
	memset(bytes + 3, 0xa0, 64);
	expect_broken(c, bytes, 67, "it takes 1024 bytes of memory, the limit leaves 1000");
	bytes[2] = 32;
	cr_assert_eq(decode(c, bytes, 35), 0, "%s", myelon_last_error());
	myelon_arena_init(&a, bytes + 2048, 256, 0);
	cr_assert_eq(myelon_codec_decode(d, bytes, 35, &v, &a), -ENOMEM);
	cr_assert(strstr(myelon_last_error(), "the arena has no room for 512 bytes"), "%s",
	          myelon_last_error());
	cr_assert_eq(myelon_codec_decode(d, bytes, 35, &v, NULL), -ENOMEM);
	cr_assert_eq(myelon_codec_decode(d, "\x90", 1, &v, NULL), 0);
	myelon_codec_close(c);
	myelon_codec_close(d);
}

/* ---- memory that changes ---- */

Test(msgpack_hostile, what_changes_while_it_is_read_gives_a_sound_object_or_an_error,
     .timeout = 120)
{
	struct object_rng r = {.state = 5, .depth = 3, .most = 4};
	static unsigned char bytes[65536];

	for (uint32_t flags = 0; flags < FORMS; flags++) {
		struct myelon_codec *c = codec_of(&zoo_type, flags);

		decode_scribbled(c, bytes, encode_random(c, &r, bytes, sizeof(bytes)), 5000);
		myelon_codec_close(c);
	}
}

Test(msgpack_hostile, text_that_changes_while_it_is_read_is_looked_at_where_it_is_kept,
     .timeout = 120)
{
	struct myelon_codec *c = codec_of(&myelon_string, 0);
	static unsigned char bytes[65535 + 3];

	memset(bytes, 'a', sizeof(bytes));
	memcpy(bytes, "\xda\xff\xff", 3);
	decode_scribbled(c, bytes, sizeof(bytes), 2000);
	myelon_codec_close(c);
}
