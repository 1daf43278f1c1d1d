/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* bincode: the bytes of the Rust crate; what goes in comes out, in both encodings, of every type; through a ring. */
#include "kit.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include <myelon/myelon.h>

#include "bincode_golden.h"
#include "object.h"
#include "zoo_sample.h"

static struct myelon_codec *codec_of(const struct myelon_type *type, uint32_t encoding)
{
	struct myelon_codec *c;

	cr_assert_eq(myelon_codec_bincode(&c, type, &MYELON_BINCODE_OPTS(.encoding = encoding)), 0,
	             "%s", myelon_last_error());
	return c;
}

/* @object becomes @bytes, for which there is just enough room, and they become it. */
static void expect_bytes(const struct myelon_type *type, uint32_t encoding, const void *object,
                         const void *bytes, size_t len)
{
	struct myelon_codec *c = codec_of(type, encoding);
	unsigned char buf[4096], back[1024] __attribute__((aligned(16)));
	struct myelon_arena a;
	int64_t n;

	cr_assert_leq(type->size, sizeof(back));
	cr_assert_eq(myelon_codec_bound(c, object), (int64_t)len, "%s", myelon_last_error());
	n = myelon_codec_encode(c, object, buf, len);
	cr_assert_eq(n, (int64_t)len, "%lld: %s", (long long)n, myelon_last_error());
	cr_assert_eq(memcmp(buf, bytes, len), 0);
	for (size_t cap = 0; cap < len; cap++)
		cr_assert_eq(myelon_codec_encode(c, object, buf, cap), -EMSGSIZE);
	myelon_arena_init(&a, NULL, 0, 1 << 20);
	cr_assert_eq(myelon_codec_decode(c, bytes, len, back, &a), 0, "%s", myelon_last_error());
	cr_assert(object_equal(type, object, back));
	myelon_arena_free(&a);
	myelon_codec_close(c);
}

#define EXPECT_GOLDEN(type, object, name)                                                          \
	do {                                                                                       \
		expect_bytes((type), MYELON_BINCODE_FIXED, (object), name##_fixed,                 \
		             sizeof(name##_fixed));                                                \
		expect_bytes((type), MYELON_BINCODE_VARINT, (object), name##_varint,               \
		             sizeof(name##_varint));                                               \
	} while (0)

Test(bincode, a_struct_of_every_kind_is_the_bytes_of_rust)
{
	EXPECT_GOLDEN(&zoo_type, &zoo_sample, zoo);
}

struct unit {
	char unused;
};
struct i16_char {
	int16_t first;
	uint32_t second;
};
struct wide {
	unsigned __int128 big;
	__int128 low;
	struct i16_char pair;
	struct unit nothing;
	uint64_t *bx;
	struct myelon_vector yes; /* of bool */
};

static const struct myelon_type unit = {
	.name = "Unit", .kind = MYELON_TYPE_STRUCT, .size = 1, .align = 1};
static const struct myelon_field pair_fields[] = {
	MYELON_FIELD(struct i16_char, first, &myelon_i16),
	MYELON_FIELD(struct i16_char, second, &myelon_char),
};
static const struct myelon_type pair = MYELON_TUPLE(struct i16_char, pair_fields);
static const struct myelon_type u64_box = MYELON_BOX_OF(&myelon_u64);
static const struct myelon_type bools = MYELON_VECTOR_OF(&myelon_bool);
static const struct myelon_field wide_fields[] = {
	MYELON_FIELD(struct wide, big, &myelon_u128), MYELON_FIELD(struct wide, low, &myelon_i128),
	MYELON_FIELD(struct wide, pair, &pair),       MYELON_FIELD(struct wide, nothing, &unit),
	MYELON_FIELD(struct wide, bx, &u64_box),      MYELON_FIELD(struct wide, yes, &bools),
};
static const struct myelon_type wide_type = MYELON_STRUCT(struct wide, wide_fields);

#define MIN_128 ((__int128)((unsigned __int128)1 << 127))

Test(bincode, wide_numbers_tuples_boxes_and_units_are_the_bytes_of_rust)
{
	bool yes[] = {true, false, true};
	uint64_t boxed = 1ull << 40;
	struct wide w = {
		.big = ~(unsigned __int128)0,
		.low = MIN_128,
		.pair = {-1, 0xe9},
		.bx = &boxed,
		.yes = LIST(yes),
	};

	EXPECT_GOLDEN(&wide_type, &w, wide);
}

struct two_vectors {
	struct myelon_vector first, second;
};

Test(bincode, numbers_at_the_edges_are_the_bytes_of_rust)
{
	unsigned __int128 u[] = {0, 250, 251, 65536, 1ull << 32, (unsigned __int128)1 << 64};
	__int128 i[] = {0, -1, 1, -126, 126, INT64_MIN, INT64_MAX, ~MIN_128};
	uint16_t u16s[] = {0, 250, 251, 65535};
	int16_t i16s[] = {0, -1, 1, -125, 125, -126, 126, INT16_MIN, INT16_MAX};
	int32_t i32s[] = {0, -1, 32767, 32768, -32768, -32769, INT32_MIN, INT32_MAX};
	uint64_t u64s[] = {0, 65535, 65536, UINT32_MAX, UINT32_MAX + 1ull, UINT64_MAX};
	int64_t i64s[] = {0, -1, INT32_MIN, INT32_MIN - 1LL, INT32_MAX + 1LL, INT64_MIN, INT64_MAX};
	int8_t i8s[] = {0, -1, INT8_MIN, INT8_MAX};
	struct myelon_type us = MYELON_VECTOR_OF(&myelon_u128), is = MYELON_VECTOR_OF(&myelon_i128);
	struct myelon_field both[] = {MYELON_FIELD(struct two_vectors, first, &us),
	                              MYELON_FIELD(struct two_vectors, second, &is)};
	struct myelon_type two = MYELON_TUPLE(struct two_vectors, both);
	struct two_vectors wides_object = {LIST(u), LIST(i)};
	struct myelon_vector v[] = {LIST(u16s), LIST(i16s), LIST(i32s),
	                            LIST(u64s), LIST(i64s), LIST(i8s)};
	struct myelon_type t = MYELON_VECTOR_OF(&myelon_u16);

	EXPECT_GOLDEN(&two, &wides_object, wides);
	EXPECT_GOLDEN(&t, &v[0], u16s);
	t.element = &myelon_i16;
	EXPECT_GOLDEN(&t, &v[1], i16s);
	t.element = &myelon_i32;
	EXPECT_GOLDEN(&t, &v[2], i32s);
	t.element = &myelon_u64;
	EXPECT_GOLDEN(&t, &v[3], u64s);
	t.element = &myelon_i64;
	EXPECT_GOLDEN(&t, &v[4], i64s);
	t.element = &myelon_i8;
	EXPECT_GOLDEN(&t, &v[5], i8s);
}

/* One object at random there and back; to memory of just its size. */
static void round_trip(struct myelon_codec *c, struct object_rng *r, struct myelon_arena *a)
{
	unsigned char object[1024] __attribute__((aligned(16)));
	unsigned char back[1024] __attribute__((aligned(16)));
	unsigned char *buf;
	int64_t bound, n;

	object_fill(c->type, object, r, a);
	bound = myelon_codec_bound(c, object);
	cr_assert_geq(bound, 0, "%s", myelon_last_error());
	buf = malloc((size_t)bound + 1);
	n = myelon_codec_encode(c, object, buf, (size_t)bound);
	cr_assert_eq(n, bound, "%s", myelon_last_error());
	cr_assert_eq(myelon_codec_decode(c, buf, (size_t)n, back, a), 0, "%s", myelon_last_error());
	cr_assert(object_equal(c->type, object, back));
	free(buf);
	myelon_arena_reset(a);
}

Test(bincode, random_objects_of_every_type_come_back)
{
	static const struct myelon_type *const types[] = {&zoo_type,   &batch_type, &zoo_node,
	                                                  &zoo_shape,  &wide_type,  &zoo_point,
	                                                  &myelon_u32, &myelon_i64, &myelon_string};
	struct object_rng r = {.state = 42};
	struct myelon_arena a;

	myelon_arena_init(&a, NULL, 0, 16 << 20);
	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++)
		for (uint32_t encoding = 0; encoding < 2; encoding++) {
			struct myelon_codec *c = codec_of(types[t], encoding);

			r.depth = types[t] == &zoo_type ? 3 : 5;
			r.most = types[t] == &zoo_type ? 5 : 4;
			for (int i = 0; i < 200; i++)
				round_trip(c, &r, &a);
			myelon_codec_close(c);
		}
	myelon_arena_free(&a);
}

Test(bincode, fields_are_written_in_the_order_of_the_table)
{
	struct two_numbers {
		uint32_t first, second;
	} object = {1, 2};
	struct myelon_field f[] = {MYELON_FIELD(struct two_numbers, second, &myelon_u32),
	                           MYELON_FIELD(struct two_numbers, first, &myelon_u32)};
	struct myelon_type t = MYELON_STRUCT(struct two_numbers, f);

	expect_bytes(&t, MYELON_BINCODE_FIXED, &object, "\2\0\0\0\1\0\0\0", 8);
	expect_bytes(&t, MYELON_BINCODE_VARINT, &object, "\2\1", 2);
}

Test(bincode, members_that_the_description_does_not_know_are_zero)
{
	struct i16_char dirty[3], *clean;
	struct myelon_field f[] = {MYELON_FIELD(struct i16_char, first, &myelon_i16)};
	struct myelon_type part = MYELON_STRUCT(struct i16_char, f), v = MYELON_VECTOR_OF(&part);
	struct myelon_vector in = LIST(dirty), out;
	struct myelon_arena a;

	memset(dirty, 0x5a, sizeof(dirty));
	for (uint32_t encoding = 0; encoding < 2; encoding++) {
		struct myelon_codec *c = codec_of(&v, encoding);
		unsigned char buf[64], dirt[4096];
		int64_t n = myelon_codec_encode(c, &in, buf, sizeof(buf));

		cr_assert_gt(n, 0);
		memset(dirt, 0xff, sizeof(dirt));
		myelon_arena_init(&a, dirt, sizeof(dirt), 0);
		cr_assert_eq(myelon_codec_decode(c, buf, (size_t)n, &out, &a), 0);
		clean = (struct i16_char *)(uintptr_t)out.data;
		for (int i = 0; i < 3; i++) {
			cr_assert_eq(clean[i].first, 0x5a5a);
			cr_assert_eq(clean[i].second, 0);
		}
		myelon_codec_close(c);
	}
}

static void expect_refused(struct myelon_codec *c, const void *object, const char *says)
{
	unsigned char buf[4096];
	int64_t n = myelon_codec_encode(c, object, buf, sizeof(buf));

	cr_assert_eq(n, -EINVAL, "%lld", (long long)n);
	cr_assert(strstr(myelon_last_error(), says), "'%s' does not say '%s'", myelon_last_error(),
	          says);
}

Test(bincode, what_rust_could_not_have_is_not_written)
{
	struct myelon_codec *c = codec_of(&zoo_type, MYELON_BINCODE_FIXED);
	struct myelon_text bad_names[] = {TEXT("a"), TEXT("b\xff")};
	struct zoo z = zoo_sample;

	z.letter = 0xd800;
	expect_refused(c, &z, "bincode: zoo.letter: 0xd800 is no Unicode");
	z = zoo_sample;
	z.names = (struct myelon_vector)LIST(bad_names);
	expect_refused(c, &z, "zoo.names[1]: its byte 1 is not UTF-8");
	z = zoo_sample;
	z.shape.tag = 3;
	expect_refused(c, &z, "zoo.shape: the tag is 3: there are 3");
	cr_assert_eq(myelon_codec_bound(c, &z), -EINVAL);
	z = zoo_sample;
	z.tree.next.value = NULL;
	expect_refused(c, &z, "zoo.tree.next: its data is NULL");
	z = zoo_sample;
	z.counts.data = NULL;
	expect_refused(c, &z, "zoo.counts: its data is NULL");
	z = zoo_sample;
	z.name.data = NULL;
	expect_refused(c, &z, "zoo.name: its data is NULL");
	myelon_codec_close(c);
}

Test(bincode, a_vector_whose_size_overflows_is_refused)
{
	struct myelon_type v = MYELON_VECTOR_OF(&myelon_u64);
	struct myelon_codec *c = codec_of(&v, MYELON_BINCODE_FIXED);
	struct myelon_vector many = {sample_raw, SIZE_MAX / 4}, more = {sample_raw, INT64_MAX / 8};

	cr_assert_eq(myelon_codec_bound(c, &many), -EMSGSIZE);
	cr_assert_eq(myelon_codec_bound(c, &more), -EMSGSIZE);
	myelon_codec_close(c);
}

Test(bincode, options_and_descriptions_are_checked)
{
	struct myelon_codec *c = (void *)1;
	struct myelon_field f[1];
	struct myelon_type box, self = {.name = "self",
	                                .kind = MYELON_TYPE_STRUCT,
	                                .size = sizeof(void *),
	                                .align = sizeof(void *),
	                                .count = 1,
	                                .fields = f};

	cr_assert_eq(myelon_codec_bincode(&c, NULL, NULL), -EINVAL);
	cr_assert_null(c);
	cr_assert_eq(myelon_codec_bincode(NULL, &zoo_type, NULL), -EINVAL);
	cr_assert_eq(myelon_codec_bincode(&c, &zoo_type, &MYELON_BINCODE_OPTS(.encoding = 2)),
	             -EINVAL);
	cr_assert_eq(myelon_codec_bincode(&c, &zoo_type, &MYELON_BINCODE_OPTS(.trailing = 3)),
	             -EINVAL);
	cr_assert_eq(myelon_codec_bincode(&c, &zoo_type, &MYELON_BINCODE_OPTS(.depth = 1025)),
	             -EINVAL);
	box = (struct myelon_type)MYELON_BOX_OF(&self);
	f[0] = (struct myelon_field){.name = "again", .type = &box};
	cr_assert_eq(myelon_codec_bincode(&c, &self, NULL), -EINVAL);
	cr_assert(strstr(myelon_last_error(), "without an end"), "%s", myelon_last_error());
	cr_assert_eq(myelon_codec_bincode(&c, &zoo_type, NULL), 0);
	cr_assert_eq(c->object_size, sizeof(struct zoo));
	cr_assert_eq(myelon_codec_access(c, sample_raw, 4, &(struct myelon_inside){0}), -ENOTSUP);
	myelon_codec_close(c);
}

Test(bincode, encodings_and_types_have_schemas_of_their_own)
{
	struct myelon_codec *a = codec_of(&zoo_type, MYELON_BINCODE_FIXED),
			    *b = codec_of(&zoo_type, MYELON_BINCODE_VARINT),
			    *c = codec_of(&batch_type, MYELON_BINCODE_FIXED),
			    *d = codec_of(&zoo_type, MYELON_BINCODE_FIXED);

	cr_assert(a->schema != b->schema && a->schema != c->schema && a->schema == d->schema);
	myelon_codec_close(a);
	myelon_codec_close(b);
	myelon_codec_close(c);
	myelon_codec_close(d);
}

static void through_a_ring(uint32_t encoding)
{
	struct myelon_codec *c = codec_of(&zoo_type, encoding);
	struct object_rng r = {.state = encoding + 1, .depth = 3};
	struct myelon_typed_producer *tp;
	struct myelon_typed_consumer *tc;
	struct myelon_arena a;
	struct myelon_meta meta;
	struct myelon_inside in;
	struct zoo sent, got;
	char name[KIT_NAME];

	kit_ring_name(name, "bincode");
	myelon_arena_init(&a, NULL, 0, 16 << 20);
	cr_assert_eq(myelon_typed_producer_create(
			     &tp, name, &MYELON_RING_OPTS(.window = 4096, .huge = MYELON_HUGE_OFF),
			     c, 0),
	             0, "%s", myelon_last_error());
	cr_assert_eq(myelon_typed_consumer_attach(&tc, name, &MYELON_ATTACH_OPTS(.id = "r"), c), 0);
	for (int i = 0; i < 200; i++) {
		object_fill(&zoo_type, &sent, &r, &a);
		cr_assert_eq(myelon_typed_send(tp, &sent, 1, MYELON_TRY), 0, "%s",
		             myelon_last_error());
		cr_assert_eq(myelon_typed_recv(tc, &got, &a, MYELON_TRY, &meta), 1, "%s",
		             myelon_last_error());
		cr_assert(object_equal(&zoo_type, &sent, &got));
		cr_assert_eq((int64_t)meta.len, myelon_codec_bound(c, &sent));
		myelon_arena_reset(&a);
	}
	/* What is broken is passed over. */
	cr_assert_eq(
		myelon_frame_send(myelon_typed_producer_frames(tp), "broken", 6, 1, MYELON_TRY), 0);
	cr_assert_eq(myelon_typed_send(tp, &zoo_sample, 1, MYELON_TRY), 0);
	cr_assert_eq(myelon_typed_recv(tc, &got, &a, MYELON_TRY, &meta), -EBADMSG);
	cr_assert_eq(myelon_typed_peek(tc, MYELON_TRY, &in, &meta), -ENOTSUP);
	cr_assert_eq(myelon_typed_recv(tc, &got, &a, MYELON_TRY, &meta), 1);
	cr_assert(object_equal(&zoo_type, &zoo_sample, &got));
	myelon_typed_consumer_close(tc);
	myelon_typed_producer_close(tp);
	myelon_codec_close(c);
	myelon_arena_free(&a);
}

Test(bincode, objects_go_through_a_ring)
{
	through_a_ring(MYELON_BINCODE_FIXED);
	through_a_ring(MYELON_BINCODE_VARINT);
}
