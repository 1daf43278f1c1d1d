/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Archives: the same bytes as Rust writes, and the same values by decode and by the accessors. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <myelon/error.h>
#include <myelon/rkyv.h>

#include "object.h"
#include "rkyv_golden.h"
#include "rkyv_walk.h"
#include "zoo.h"

#define TEXT(s)                                                                                    \
	{                                                                                          \
		(s), sizeof(s) - 1                                                                 \
	}
#define VECTOR(items)                                                                              \
	{                                                                                          \
		(items), sizeof(items) / sizeof((items)[0])                                        \
	}

static struct myelon_codec *codec_of(const struct myelon_type *type)
{
	struct myelon_codec *c;

	cr_assert_eq(myelon_codec_rkyv(&c, type, NULL), 0, "%s", myelon_last_error());
	return c;
}

/* In memory of its own, so that a sanitizer sees a step outside. */
static unsigned char *copy_of(const void *bytes, size_t len)
{
	unsigned char *copy = malloc(len ? len : 1);

	memcpy(copy, bytes, len);
	return copy;
}

/* Encoding @object gives these bytes, and these bytes are @object for decode and accessors. */
static void expect_bytes(struct myelon_codec *c, const void *object, const unsigned char *bytes,
                         size_t len)
{
	unsigned char *copy = copy_of(bytes, len), *own = malloc(len), *got;
	struct myelon_inside in;
	struct myelon_arena a;

	cr_assert_eq(myelon_codec_bound(c, object), (int64_t)len);
	cr_assert_eq(myelon_codec_encode(c, object, own, len), (int64_t)len, "%s",
	             myelon_last_error());
	for (size_t i = 0; i < len; i++)
		cr_assert_eq(own[i], bytes[i], "byte %zu is 0x%x, Rust writes 0x%x", i, own[i],
		             bytes[i]);
	cr_assert_eq(myelon_codec_access(c, copy, len, &in), 0, "%s", myelon_last_error());
	cr_assert_eq((const unsigned char *)in.root - copy,
	             (ptrdiff_t)(len - myelon_rkyv_root(&in).shape->size));
	cr_assert(rkyv_is_object(myelon_rkyv_root(&in), c->type, object));
	myelon_arena_init(&a, NULL, 0, 1 << 20);
	got = malloc(c->object_size);
	memset(got, 0xee, c->object_size);
	cr_assert_eq(myelon_codec_decode(c, copy, len, got, &a), 0, "%s", myelon_last_error());
	cr_assert(object_equal(c->type, got, object));
	myelon_arena_free(&a);
	free(copy);
	free(own);
	free(got);
}

static const struct myelon_text names[] = {TEXT("short"), TEXT("not so short"), TEXT(""),
                                           TEXT("exactly"), TEXT("eight888")};
static const struct point points[] = {{1, 2, 0.5f}, {-1, -2, -0.5f}};
static const struct shape shapes[] = {
	{.tag = SHAPE_EMPTY},
	{.tag = SHAPE_CIRCLE, .of.circle = 0.25},
	{.tag = SHAPE_NAMED, .of.named = {TEXT("x"), 9}},
	{.tag = SHAPE_NAMED, .of.named = {TEXT("another long one"), 4}},
};
static const struct pair map[] = {{TEXT("k"), 1}, {TEXT("a longer key"), -1}};
static const struct node leaf = {.value = 4};
static struct node five = {.value = 5}, seven = {.value = 7};
static struct node six = {.value = 6, .next = {true, &seven}};
static const struct node children[] = {{.value = 2},
                                       {.value = 3, .children = {&leaf, 1}, .next = {true, &five}}};
static const uint8_t raw[] = {1, 2, 3};
static const uint32_t counts[] = {10, 20, 30};

static struct zoo zoo_value(void)
{
	return (struct zoo){
		.flag = true,
		.small = 0x11,
		.medium = 0x2222,
		.large = 0x33333333,
		.huge = 0x4444444444444444,
		.minus = -1,
		.depth = -2,
		.height = -3,
		.distance = -4,
		.ratio = 1.5f,
		.exact = -2.25,
		.letter = 0x2603,
		.name = TEXT("a zoo with a name"),
		.raw = VECTOR(raw),
		.counts = VECTOR(counts),
		.names = VECTOR(names),
		.points = VECTOR(points),
		.limit = {true, 7},
		.note = {true, TEXT("noted, at length")},
		.triple = {1, 2, 3},
		.origin = {0, 0, 1.0f},
		.shape = {.tag = SHAPE_NAMED, .of.named = {TEXT("a long name"), 3}},
		.shapes = VECTOR(shapes),
		.map = VECTOR(map),
		.tree = {.value = 1, .children = VECTOR(children), .next = {true, &six}},
	};
}

Test(rkyv, a_zoo_is_the_bytes_rust_writes)
{
	struct myelon_codec *c = codec_of(&zoo_type);
	struct zoo zoo = zoo_value();

	cr_assert_eq(c->alignment, 8);
	expect_bytes(c, &zoo, zoo_bytes, sizeof(zoo_bytes));
	myelon_codec_close(c);
}

Test(rkyv, a_batch_is_the_bytes_rust_writes)
{
	static const uint32_t one[] = {1, 2, 3}, two[] = {4};
	static const float logits[] = {0.5f, 1.5f};
	static const struct myelon_text stop[] = {TEXT("</s>"), TEXT("a long stop text")};
	const struct request requests[] = {
		{.id = 1,
	         .tokens = VECTOR(one),
	         .sampling = {0.5f, 0.25f, 40, {false, 0}, {NULL, 0}}},
		{.id = 2,
	         .tokens = VECTOR(two),
	         .sampling = {1.0f, 1.0f, 0, {true, 99}, VECTOR(stop)},
	         .logits = VECTOR(logits)},
	};
	struct batch batch = {9, VECTOR(requests)};
	struct myelon_codec *c = codec_of(&batch_type);

	expect_bytes(c, &batch, batch_bytes, sizeof(batch_bytes));
	myelon_codec_close(c);
}

struct in {
	uint8_t a;
	uint64_t b;
};
struct wrapped {
	struct in only;
};
struct three {
	uint8_t a;
	uint16_t b;
	uint32_t c;
};
struct couple {
	uint8_t number;
	struct myelon_text text;
};
struct wrapped_couple {
	struct couple only;
};
struct variants {
	uint32_t tag;
	union {
		struct wrapped a;
		struct in b;
		struct three c;
		uint64_t *d;
		struct wrapped_couple e;
	} of;
};

static const struct myelon_field in_fields[] = {MYELON_FIELD(struct in, a, &myelon_u8),
                                                MYELON_FIELD(struct in, b, &myelon_u64)};
static const struct myelon_type in_type = MYELON_STRUCT(struct in, in_fields);
static const struct myelon_field wrapped_fields[] = {MYELON_FIELD(struct wrapped, only, &in_type)};
static const struct myelon_type wrapped = MYELON_TUPLE(struct wrapped, wrapped_fields);
static const struct myelon_field three_fields[] = {MYELON_FIELD(struct three, a, &myelon_u8),
                                                   MYELON_FIELD(struct three, b, &myelon_u16),
                                                   MYELON_FIELD(struct three, c, &myelon_u32)};
static const struct myelon_type three = MYELON_TUPLE(struct three, three_fields);
static const struct myelon_type u64_box = MYELON_BOX_OF(&myelon_u64);
static const struct myelon_field couple_fields[] = {
	MYELON_FIELD(struct couple, number, &myelon_u8),
	MYELON_FIELD(struct couple, text, &myelon_string)};
static const struct myelon_type couple = MYELON_TUPLE(struct couple, couple_fields);
static const struct myelon_field wrapped_couple_fields[] = {
	MYELON_FIELD(struct wrapped_couple, only, &couple)};
static const struct myelon_type wrapped_couple =
	MYELON_TUPLE(struct wrapped_couple, wrapped_couple_fields);
static const struct myelon_field variants_fields[] = {
	MYELON_VARIANT(struct variants, "A", of.a, &wrapped),
	MYELON_VARIANT(struct variants, "B", of.b, &in_type),
	MYELON_VARIANT(struct variants, "C", of.c, &three),
	MYELON_VARIANT(struct variants, "D", of.d, &u64_box),
	MYELON_VARIANT(struct variants, "E", of.e, &wrapped_couple),
};
static const struct myelon_type variants_type = MYELON_ENUM(struct variants, variants_fields);

Test(rkyv, variants_lie_as_rust_lays_them)
{
	struct myelon_codec *c = codec_of(&variants_type);
	uint64_t five_in_a_box = 5;
	struct variants a = {0, {.a = {{1, 2}}}}, b = {1, {.b = {1, 2}}},
			d = {3, {.d = &five_in_a_box}}, v = {2, {.c = {1, 2, 3}}},
			e = {4, {.e = {{1, TEXT("long enough")}}}};

	expect_bytes(c, &a, variant_a, sizeof(variant_a));
	expect_bytes(c, &b, variant_b, sizeof(variant_b));
	expect_bytes(c, &v, variant_c, sizeof(variant_c));
	expect_bytes(c, &d, variant_d, sizeof(variant_d));
	expect_bytes(c, &e, variant_e, sizeof(variant_e));
	myelon_codec_close(c);
}

struct trio {
	uint8_t a;
	struct myelon_text b;
	uint64_t c;
};
struct mixed {
	uint8_t a;
	uint64_t b;
	uint16_t c;
	struct myelon_text d;
	bool e;
	struct trio f;
};
static const struct myelon_field trio_fields[] = {MYELON_FIELD(struct trio, a, &myelon_u8),
                                                  MYELON_FIELD(struct trio, b, &myelon_string),
                                                  MYELON_FIELD(struct trio, c, &myelon_u64)};
static const struct myelon_type trio = MYELON_TUPLE(struct trio, trio_fields);
static const struct myelon_field mixed_fields[] = {
	MYELON_FIELD(struct mixed, a, &myelon_u8),   MYELON_FIELD(struct mixed, b, &myelon_u64),
	MYELON_FIELD(struct mixed, c, &myelon_u16),  MYELON_FIELD(struct mixed, d, &myelon_string),
	MYELON_FIELD(struct mixed, e, &myelon_bool), MYELON_FIELD(struct mixed, f, &trio)};
static const struct myelon_type mixed_type = MYELON_STRUCT(struct mixed, mixed_fields);
static const uint32_t mixed_offsets[] = {42, 0, 40, 8, 43, 16}, trio_offsets[] = {8, 0, 16};

Test(rkyv, a_layout_says_where_rustc_put_the_fields)
{
	struct myelon_rkyv_layout layouts[] = {{&trio, trio_offsets, 24, 0},
	                                       {&mixed_type, mixed_offsets, 48, 0}};
	struct mixed m = {1, 2, 3, TEXT("d is a long string"), true, {7, TEXT("f too is long"), 8}};
	struct myelon_rkyv_opts o = {.size = sizeof(o), .layouts = layouts, .layout_count = 2};
	struct myelon_codec *c, *plain = codec_of(&mixed_type), *turned;

	cr_assert_eq(myelon_codec_rkyv(&c, &mixed_type, &o), 0, "%s", myelon_last_error());
	expect_bytes(c, &m, mixed, sizeof(mixed));
	cr_assert_neq(c->schema, plain->schema);
	layouts[0] = (struct myelon_rkyv_layout){&mixed_type, mixed_offsets, 48, 0};
	layouts[1] = (struct myelon_rkyv_layout){&trio, trio_offsets, 24, 0};
	cr_assert_eq(myelon_codec_rkyv(&turned, &mixed_type, &o), 0);
	cr_assert_eq(c->schema, turned->schema, "the order of the table means nothing");
	myelon_codec_close(c);
	myelon_codec_close(plain);
	myelon_codec_close(turned);
}

static void expect_bad_layout(struct myelon_rkyv_layout l, const char *says)
{
	struct myelon_codec *c;

	cr_assert_eq(myelon_codec_rkyv(&c, &mixed_type,
	                               &MYELON_RKYV_OPTS(.layouts = &l, .layout_count = 1)),
	             -EINVAL);
	cr_assert_null(c);
	cr_assert(strstr(myelon_last_error(), says), "'%s'", myelon_last_error());
}

Test(rkyv, layouts_and_options_that_cannot_be_are_refused)
{
	static const uint32_t outside[] = {8, 0, 20}, unaligned[] = {8, 0, 12}, over[] = {4, 0, 16};
	struct myelon_codec *c;

	expect_bad_layout((struct myelon_rkyv_layout){&trio, outside, 24, 0}, "field c");
	expect_bad_layout((struct myelon_rkyv_layout){&trio, unaligned, 24, 0}, "field c");
	expect_bad_layout((struct myelon_rkyv_layout){&trio, over, 24, 0}, "field b");
	expect_bad_layout((struct myelon_rkyv_layout){&trio, trio_offsets, 28, 0}, "multiple");
	expect_bad_layout((struct myelon_rkyv_layout){&trio, NULL, 24, 0}, "layout 0");
	expect_bad_layout((struct myelon_rkyv_layout){&in_type, trio_offsets, 24, 0}, "layout 0");
	cr_assert_eq(myelon_codec_rkyv(&c, &zoo_type, &MYELON_RKYV_OPTS(.align128 = 4)), -EINVAL);
	cr_assert_eq(myelon_codec_rkyv(&c, NULL, NULL), -EINVAL);
	cr_assert_eq(myelon_codec_rkyv(NULL, &zoo_type, NULL), -EINVAL);
}

static void round_trips(const struct myelon_type *type, uint64_t seed, int times)
{
	struct object_rng r = {.state = seed};
	struct myelon_codec *c = codec_of(type);
	void *object = malloc(type->size), *got = malloc(type->size);
	struct myelon_arena a;

	myelon_arena_init(&a, NULL, 0, 64 << 20);
	for (int i = 0; i < times; i++) {
		struct myelon_arena small;
		struct myelon_inside in;
		unsigned char *buf;
		int64_t len;

		r.most = i % 4 ? 0 : 40;
		r.depth = i % 4 ? i % 16 == 1 ? 5 : 3 : 2;
		object_fill(type, object, &r, &a);
		len = myelon_codec_bound(c, object);
		cr_assert_gt(len, 0, "%s", myelon_last_error());
		buf = malloc((size_t)len);
		memset(buf, 0xee, (size_t)len);
		cr_assert_eq(myelon_codec_encode(c, object, buf, (size_t)len - 1), -EMSGSIZE);
		cr_assert_eq(myelon_codec_encode(c, object, buf, (size_t)len), len);
		cr_assert_eq(myelon_codec_access(c, buf, (size_t)len, &in), 0, "%s",
		             myelon_last_error());
		cr_assert(rkyv_is_object(myelon_rkyv_root(&in), type, object));
		cr_assert_eq(myelon_codec_decode(c, buf, (size_t)len, got, &a), 0, "%s",
		             myelon_last_error());
		cr_assert(object_equal(type, got, object));
		myelon_arena_init(&small, NULL, 0, object_random(&r) % 256);
		cr_assert(myelon_codec_decode(c, buf, (size_t)len, got, &small) != -EBADMSG);
		myelon_arena_free(&small);
		free(buf);
		myelon_arena_reset(&a);
	}
	myelon_arena_free(&a);
	myelon_codec_close(c);
	free(object);
	free(got);
}

Test(rkyv, any_object_comes_back_by_decode_and_by_accessors)
{
	round_trips(&zoo_type, 1, 300);
	round_trips(&batch_type, 2, 300);
	round_trips(&zoo_node, 3, 200);
	round_trips(&zoo_shape, 4, 200);
	round_trips(&zoo_point, 5, 50);
	round_trips(&myelon_string, 6, 200);
	round_trips(&myelon_u16, 7, 20);
}

struct wide {
	bool flag;
	unsigned __int128 number;
	__int128 minus[2];
};
static const struct myelon_type minus_type = MYELON_ARRAY_OF(&myelon_i128, __int128, 2);
static const struct myelon_field wide_fields[] = {MYELON_FIELD(struct wide, flag, &myelon_bool),
                                                  MYELON_FIELD(struct wide, number, &myelon_u128),
                                                  MYELON_FIELD(struct wide, minus, &minus_type)};
static const struct myelon_type wide_type = MYELON_STRUCT(struct wide, wide_fields);

Test(rkyv, numbers_of_128_bits_are_aligned_as_this_or_that_rustc_does)
{
	struct wide w = {true, ((unsigned __int128)7 << 64) + 5, {-1, 3}}, got;
	struct myelon_codec *c, *old;
	_Alignas(16) unsigned char buf[80];

	round_trips(&wide_type, 8, 50);
	cr_assert_eq(myelon_codec_rkyv(&c, &wide_type, NULL), 0);
	cr_assert_eq(myelon_codec_rkyv(&old, &wide_type, &MYELON_RKYV_OPTS(.align128 = 8)), 0);
	cr_assert_eq(c->alignment, 16);
	cr_assert_eq(old->alignment, 8);
	cr_assert_neq(c->schema, old->schema);
	cr_assert_eq(myelon_codec_encode(c, &w, buf, sizeof(buf)), 64);
	cr_assert_eq(myelon_codec_encode(old, &w, buf, sizeof(buf)), 56);
	memmove(buf + 8, buf, 56);
	cr_assert_eq(myelon_codec_decode(old, buf + 8, 56, &got, NULL), 0);
	cr_assert(object_equal(&wide_type, &got, &w));
	myelon_codec_close(c);
	myelon_codec_close(old);
}

static void expect_refused(struct myelon_codec *c, const struct zoo *zoo, int err, const char *says)
{
	static unsigned char buf[1 << 16];

	cr_assert_eq(myelon_codec_encode(c, zoo, buf, sizeof(buf)), err);
	cr_assert(strstr(myelon_last_error(), says), "'%s' does not say '%s'", myelon_last_error(),
	          says);
}

Test(rkyv, what_rust_would_not_take_is_not_encoded)
{
	struct myelon_codec *c = codec_of(&zoo_type);
	struct zoo zoo = zoo_value();

	zoo.name = (struct myelon_text)TEXT("not \xff text");
	expect_refused(c, &zoo, -EINVAL, "zoo.name: no UTF-8 at byte 4");
	zoo = zoo_value();
	zoo.letter = 0xd800;
	expect_refused(c, &zoo, -EINVAL, "zoo.letter");
	zoo = zoo_value();
	zoo.shape.tag = 3;
	expect_refused(c, &zoo, -EINVAL, "zoo.shape: the tag is 3");
	zoo = zoo_value();
	zoo.tree.next.value = NULL;
	expect_refused(c, &zoo, -EINVAL, "zoo.tree.next: the box is NULL");
	zoo = zoo_value();
	zoo.counts.count = 1ull << 32;
	expect_refused(c, &zoo, -EMSGSIZE, "zoo.counts");
	zoo.counts.count = 1ull << 29;
	expect_refused(c, &zoo, -EMSGSIZE, "zoo.counts");
	zoo = zoo_value();
	zoo.names.count = SIZE_MAX / 16;
	expect_refused(c, &zoo, -EMSGSIZE, "zoo.names");
	myelon_codec_close(c);
}

Test(rkyv, numbers_that_lie_as_in_c_are_read_as_arrays_of_c)
{
	struct myelon_codec *c = codec_of(&zoo_type);
	struct myelon_vector run;
	struct myelon_inside in;
	struct myelon_rkyv zoo;
	const struct point *origin;

	cr_assert_eq(myelon_codec_access(c, zoo_bytes, sizeof(zoo_bytes), &in), 0, "%s",
	             myelon_last_error());
	zoo = myelon_rkyv_root(&in);
	run = myelon_rkyv_run(myelon_rkyv_field(zoo, 16));
	cr_assert_eq(run.count, 2);
	for (size_t i = 0; i < run.count; i++)
		cr_assert(object_equal(&zoo_point, (const struct point *)run.data + i, &points[i]));
	run = myelon_rkyv_run(myelon_rkyv_field(zoo, 14));
	cr_assert_eq(run.count, 3);
	cr_assert_eq(memcmp(run.data, counts, sizeof(counts)), 0);
	run = myelon_rkyv_run(myelon_rkyv_field(zoo, 13));
	cr_assert_eq(run.count, 3);
	run = myelon_rkyv_run(myelon_rkyv_field(zoo, 19));
	cr_assert_eq(run.count, 3);
	origin = myelon_rkyv_object(myelon_rkyv_field(zoo, 20));
	cr_assert(origin && origin->weight == 1.0f);
	/* Strings, and structs with one, do not. */
	cr_assert_eq(myelon_rkyv_run(myelon_rkyv_field(zoo, 15)).count, 0);
	cr_assert_eq(myelon_rkyv_run(myelon_rkyv_field(zoo, 23)).count, 0);
	cr_assert_null(myelon_rkyv_object(zoo));
	cr_assert_null(myelon_rkyv_object(myelon_rkyv_field(zoo, 0)));
	myelon_codec_close(c);
}

Test(rkyv, accessors_of_another_kind_give_nothing)
{
	struct myelon_codec *c = codec_of(&zoo_type), *pod;
	struct myelon_rkyv zoo, nothing = {NULL, NULL, NULL, 0};
	struct myelon_inside in;
	uint64_t budget = 10;

	cr_assert_eq(myelon_codec_access(c, zoo_bytes, sizeof(zoo_bytes), &in), 0);
	zoo = myelon_rkyv_root(&in);
	cr_assert_eq(myelon_rkyv_u64(myelon_rkyv_field(zoo, 3)), 0);
	cr_assert_eq(myelon_rkyv_u32(myelon_rkyv_field(zoo, 3)), 0x33333333);
	cr_assert_eq(myelon_rkyv_u32(myelon_rkyv_field(zoo, 25)), 0);
	cr_assert_eq(myelon_rkyv_text(zoo).len, 0);
	cr_assert_eq(myelon_rkyv_list(zoo).count, 0);
	cr_assert_eq(myelon_rkyv_tag(zoo), UINT32_MAX);
	cr_assert(myelon_rkyv_is_nothing(myelon_rkyv_unbox(zoo)));
	cr_assert(myelon_rkyv_is_nothing(myelon_rkyv_some(zoo)));
	cr_assert(myelon_rkyv_is_nothing(myelon_rkyv_payload(zoo, 0)));
	cr_assert(myelon_rkyv_is_nothing(myelon_rkyv_element(zoo, 0)));
	cr_assert(myelon_rkyv_is_nothing(myelon_rkyv_element(myelon_rkyv_field(zoo, 14), 3)));
	cr_assert(myelon_rkyv_is_nothing(myelon_rkyv_payload(myelon_rkyv_field(zoo, 21), 3)));
	cr_assert_eq(rkyv_walk(nothing, &budget), 0);
	cr_assert_eq(myelon_codec_pod(&pod, &MYELON_POD_OPTS(.record = 8, .name = "p")), 0);
	in.codec = pod;
	cr_assert(myelon_rkyv_is_nothing(myelon_rkyv_root(&in)));
	in.codec = c;
	in.len = 199;
	cr_assert(myelon_rkyv_is_nothing(myelon_rkyv_root(&in)));
	cr_assert(myelon_rkyv_is_nothing(myelon_rkyv_root(NULL)));
	myelon_codec_close(pod);
	myelon_codec_close(c);
}

#define MANY 300
struct many {
	uint32_t tag;
	union {
		uint64_t number;
	} of;
};

Test(rkyv, more_than_255_variants_have_a_tag_of_two_bytes)
{
	static struct myelon_field f[MANY];
	static char label[MANY][8];
	struct myelon_type t = {"many", MYELON_TYPE_ENUM, sizeof(struct many), 8, MANY, NULL, f, 0,
	                        0};
	struct many m = {.tag = MANY - 1, .of.number = 77}, got;
	_Alignas(16) unsigned char buf[16];
	struct myelon_codec *c;

	for (int i = 0; i < MANY; i++) {
		snprintf(label[i], sizeof(label[i]), "v%d", i);
		f[i] = (struct myelon_field){.name = label[i]};
	}
	f[MANY - 1].type = &myelon_u64;
	f[MANY - 1].offset = 8;
	c = codec_of(&t);
	cr_assert_eq(myelon_codec_encode(c, &m, buf, sizeof(buf)), 16);
	cr_assert_eq(buf[0] + 256 * buf[1], MANY - 1);
	cr_assert_eq(myelon_codec_decode(c, buf, 16, &got, NULL), 0);
	cr_assert(got.tag == m.tag && got.of.number == 77);
	buf[0]++;
	cr_assert_eq(myelon_codec_decode(c, buf, 16, &got, NULL), -EBADMSG);
	myelon_codec_close(c);
}
