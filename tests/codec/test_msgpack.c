/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* msgpack: the bytes of another packer; what goes in comes out, in every form, of every type; through a ring. */
#include "kit.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <myelon/myelon.h>

#include "msgpack_golden.h"
#include "object.h"
#include "zoo_sample.h"

#define FORMS 4u /* of ARRAYS and NUMBERS */

static struct myelon_codec *codec_of(const struct myelon_type *type, uint32_t flags)
{
	struct myelon_codec *c;

	cr_assert_eq(myelon_codec_msgpack(&c, type, &MYELON_MSGPACK_OPTS(.flags = flags)), 0, "%s",
	             myelon_last_error());
	return c;
}

/* @object becomes @bytes, for which there is just enough room, and they become it. */
static void expect_bytes(const struct myelon_type *type, uint32_t flags, const void *object,
                         const void *bytes, size_t len)
{
	struct myelon_codec *c = codec_of(type, flags);
	unsigned char buf[4096], back[1024] __attribute__((aligned(16)));
	struct myelon_arena a;
	int64_t n;

	cr_assert_leq(type->size, sizeof(back));
	cr_assert_eq(myelon_codec_bound(c, object), (int64_t)len, "%s", myelon_last_error());
	n = myelon_codec_encode(c, object, buf, len);
	cr_assert_eq(n, (int64_t)len, "%lld: %s", (long long)n, myelon_last_error());
	cr_assert_eq(memcmp(buf, bytes, len), 0);
	for (size_t cap = 0; cap < len; cap++) {
		memset(buf, 0xcc, sizeof(buf));
		cr_assert_eq(myelon_codec_encode(c, object, buf, cap), -EMSGSIZE);
		for (size_t i = cap; i < cap + 16; i++)
			cr_assert_eq(buf[i], 0xcc);
	}
	myelon_arena_init(&a, NULL, 0, 1 << 20);
	cr_assert_eq(myelon_codec_decode(c, bytes, len, back, &a), 0, "%s", myelon_last_error());
	cr_assert(object_equal(type, object, back));
	myelon_arena_free(&a);
	myelon_codec_close(c);
}

Test(msgpack, a_struct_of_every_kind_is_the_bytes_of_python)
{
	expect_bytes(&zoo_type, 0, &zoo_sample, zoo_named, sizeof(zoo_named));
	expect_bytes(&zoo_type, MYELON_MSGPACK_ARRAYS, &zoo_sample, zoo_arrays, sizeof(zoo_arrays));
	expect_bytes(&zoo_type, MYELON_MSGPACK_ARRAYS | MYELON_MSGPACK_NUMBERS, &zoo_sample,
	             zoo_numbers, sizeof(zoo_numbers));
}

Test(msgpack, every_form_is_taken_whatever_the_flags)
{
	struct myelon_codec *c = codec_of(&zoo_type, 0);
	struct myelon_arena a;
	struct zoo z;

	myelon_arena_init(&a, NULL, 0, 1 << 20);
	cr_assert_eq(myelon_codec_decode(c, zoo_arrays, sizeof(zoo_arrays), &z, &a), 0);
	cr_assert(object_equal(&zoo_type, &z, &zoo_sample));
	cr_assert_eq(myelon_codec_decode(c, zoo_numbers, sizeof(zoo_numbers), &z, &a), 0);
	cr_assert(object_equal(&zoo_type, &z, &zoo_sample));
	myelon_arena_free(&a);
	myelon_codec_close(c);
}

/* Numbers of C's 64 bits, and in each narrower type those that it has. */
Test(msgpack, integers_at_the_edges_are_the_bytes_of_python)
{
	int64_t i64s[20] = {0,
	                    127,
	                    128,
	                    255,
	                    256,
	                    65535,
	                    65536,
	                    UINT32_MAX,
	                    1ll << 32,
	                    INT64_MAX,
	                    -1,
	                    -32,
	                    -33,
	                    -128,
	                    -129,
	                    INT16_MIN,
	                    INT16_MIN - 1,
	                    INT32_MIN,
	                    INT32_MIN - 1ll,
	                    INT64_MIN};
	uint64_t u64s[10];
	struct myelon_type t = MYELON_ARRAY_OF(&myelon_i64, int64_t, 20);
	unsigned char part[64];

	expect_bytes(&t, 0, i64s, edges, sizeof(edges));
	/* The first ten, with a head for ten. */
	t = (struct myelon_type)MYELON_ARRAY_OF(&myelon_u64, uint64_t, 10);
	memcpy(u64s, i64s, sizeof(u64s));
	part[0] = 0x9a;
	memcpy(part + 1, edges + 3, 40);
	expect_bytes(&t, 0, u64s, part, 41);
}

static void expect_scalar(const struct myelon_type *type, const void *object, const char *bytes,
                          size_t len)
{
	expect_bytes(type, 0, object, bytes, len);
}
#define SCALAR(type, value, bytes) expect_scalar((type), &(value), (bytes), sizeof(bytes) - 1)

Test(msgpack, scalars_are_in_their_shortest_form)
{
	SCALAR(&myelon_bool, (bool){false}, "\xc2");
	SCALAR(&myelon_u8, (uint8_t){127}, "\x7f");
	SCALAR(&myelon_u8, (uint8_t){255}, "\xcc\xff");
	SCALAR(&myelon_u16, (uint16_t){255}, "\xcc\xff");
	SCALAR(&myelon_u16, (uint16_t){256}, "\xcd\1\0");
	SCALAR(&myelon_u32, (uint32_t){65536}, "\xce\0\1\0\0");
	SCALAR(&myelon_i8, (int8_t){-32}, "\xe0");
	SCALAR(&myelon_i8, (int8_t){-33}, "\xd0\xdf");
	SCALAR(&myelon_i16, (int16_t){200}, "\xcc\xc8");
	SCALAR(&myelon_i16, (int16_t){-200}, "\xd1\xff\x38");
	SCALAR(&myelon_i32, (int32_t){-32769}, "\xd2\xff\xff\x7f\xff");
	SCALAR(&myelon_f32, (float){1.5f}, "\xca\x3f\xc0\0\0");
	SCALAR(&myelon_f64, (double){1.5}, "\xcb\x3f\xf8\0\0\0\0\0\0");
	SCALAR(&myelon_char, (uint32_t){'a'}, "\xa1\x61");
	SCALAR(&myelon_char, (uint32_t){0x1f600}, "\xa4\xf0\x9f\x98\x80");
}

/* Heads of str, bin, array and map at the lengths where they grow. */
Test(msgpack, lengths_are_in_their_shortest_form)
{
	static unsigned char zeros[65536 * 16], buf[65536 * 4];
	static const size_t lens[] = {0, 15, 16, 31, 32, 255, 256, 65535, 65536};
	struct myelon_type u8s = MYELON_VECTOR_OF(&myelon_u8);
	struct myelon_type map = MYELON_MAP_OF(&zoo_point);
	struct pair_of_bytes {
		uint8_t key, value;
	};
	struct myelon_field f[] = {MYELON_FIELD(struct pair_of_bytes, key, &myelon_u8),
	                           MYELON_FIELD(struct pair_of_bytes, value, &myelon_u8)};
	struct myelon_type pair = MYELON_STRUCT(struct pair_of_bytes, f);
	const struct myelon_type *types[] = {&myelon_string, &myelon_bytes, &u8s, &map};
	static const unsigned int limits[4][4] = {
		{32, 256, 65536}, {0, 256, 65536}, {16, 0, 65536}, {16, 0, 65536}};

	map.element = &pair;
	for (int t = 0; t < 4; t++)
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			struct myelon_codec *c = codec_of(types[t], 0);
			struct myelon_vector v = {zeros, lens[i]}, back;
			const unsigned int *l = limits[t];
			size_t head = lens[i] < l[0]   ? 1
			              : lens[i] < l[1] ? 2
			              : lens[i] < l[2] ? 3
			                               : 5;
			int64_t n = myelon_codec_encode(c, &v, buf, sizeof(buf));
			struct myelon_arena a;

			cr_assert_eq(n, (int64_t)(head + lens[i] * (t == 3 ? 2 : 1)),
			             "%d %zu: %lld", t, lens[i], (long long)n);
			cr_assert_eq(myelon_codec_bound(c, &v), n);
			myelon_arena_init(&a, NULL, 0, 1 << 20);
			cr_assert_eq(myelon_codec_decode(c, buf, (size_t)n, &back, &a), 0, "%s",
			             myelon_last_error());
			cr_assert(object_equal(types[t], &v, &back));
			myelon_arena_free(&a);
			myelon_codec_close(c);
		}
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
	cr_assert_gt(bound, 0, "%s", myelon_last_error());
	buf = malloc((size_t)bound);
	n = myelon_codec_encode(c, object, buf, (size_t)bound);
	cr_assert_eq(n, bound, "%s", myelon_last_error());
	cr_assert_eq(myelon_codec_decode(c, buf, (size_t)n, back, a), 0, "%s", myelon_last_error());
	cr_assert(object_equal(c->type, object, back));
	free(buf);
	myelon_arena_reset(a);
}

Test(msgpack, random_objects_of_every_type_come_back, .timeout = 120)
{
	static const struct myelon_type *const types[] = {
		&zoo_type, &batch_type, &zoo_node,   &zoo_shape,     &zoo_point,
		&zoo_pair, &myelon_u32, &myelon_i64, &myelon_string, &myelon_bytes};
	struct object_rng r = {.state = 42};
	struct myelon_arena a;

	myelon_arena_init(&a, NULL, 0, 16 << 20);
	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++)
		for (uint32_t flags = 0; flags < FORMS; flags++) {
			struct myelon_codec *c = codec_of(types[t], flags);

			r.depth = types[t] == &zoo_type ? 3 : 5;
			r.most = types[t] == &zoo_type ? 5 : 4;
			for (int i = 0; i < 200; i++)
				round_trip(c, &r, &a);
			myelon_codec_close(c);
		}
	myelon_arena_free(&a);
}

Test(msgpack, members_that_the_description_does_not_know_are_zero)
{
	struct two {
		int16_t first;
		uint32_t second;
	} dirty[3], *clean;
	struct myelon_field f[] = {MYELON_FIELD(struct two, first, &myelon_i16)};
	struct myelon_type part = MYELON_STRUCT(struct two, f), v = MYELON_VECTOR_OF(&part);
	struct myelon_codec *c = codec_of(&v, 0);
	struct myelon_vector in = LIST(dirty), out;
	unsigned char buf[64], dirt[4096];
	struct myelon_arena a;
	int64_t n;

	memset(dirty, 0x5a, sizeof(dirty));
	memset(dirt, 0xff, sizeof(dirt));
	n = myelon_codec_encode(c, &in, buf, sizeof(buf));
	cr_assert_gt(n, 0);
	myelon_arena_init(&a, dirt, sizeof(dirt), 0);
	cr_assert_eq(myelon_codec_decode(c, buf, (size_t)n, &out, &a), 0);
	clean = (struct two *)(uintptr_t)out.data;
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(clean[i].first, 0x5a5a);
		cr_assert_eq(clean[i].second, 0);
	}
	myelon_codec_close(c);
}

static void expect_refused(struct myelon_codec *c, const void *object, const char *says)
{
	unsigned char buf[4096];
	int64_t n = myelon_codec_encode(c, object, buf, sizeof(buf));

	cr_assert_eq(n, -EINVAL, "%lld", (long long)n);
	cr_assert(strstr(myelon_last_error(), says), "'%s' does not say '%s'", myelon_last_error(),
	          says);
}

Test(msgpack, what_cannot_be_written_is_refused)
{
	struct myelon_codec *c = codec_of(&zoo_type, 0);
	struct myelon_text bad_names[] = {TEXT("a"), TEXT("b\xff")};
	struct zoo z = zoo_sample;

	z.letter = 0xd800;
	expect_refused(c, &z, "msgpack: zoo.letter: 0xd800 is no Unicode");
	cr_assert_eq(myelon_codec_bound(c, &z), -EINVAL);
	z = zoo_sample;
	z.names = (struct myelon_vector)LIST(bad_names);
	expect_refused(c, &z, "zoo.names[1]: its byte 1 is not UTF-8");
	z = zoo_sample;
	z.shape.tag = 3;
	expect_refused(c, &z, "zoo.shape: the tag is 3: there are 3");
	z = zoo_sample;
	z.tree.next.value = NULL;
	expect_refused(c, &z, "zoo.tree.next: its data is NULL");
	z = zoo_sample;
	z.counts.data = NULL;
	expect_refused(c, &z, "zoo.counts: its data is NULL");
	z = zoo_sample;
	z.raw.data = NULL;
	expect_refused(c, &z, "zoo.raw: its data is NULL");
	z = zoo_sample;
	z.name.data = NULL;
	expect_refused(c, &z, "zoo.name: its data is NULL");
	/* msgpack has 32 bits for a count. */
	z = zoo_sample;
	z.counts.count = 1ull << 32;
	expect_refused(c, &z, "zoo.counts: 4294967296 elements: msgpack has at most");
	z = zoo_sample;
	z.map.count = 1ull << 33;
	expect_refused(c, &z, "zoo.map: 8589934592 elements");
	z = zoo_sample;
	z.raw.count = 1ull << 32;
	expect_refused(c, &z, "zoo.raw: 4294967296 bytes");
	z = zoo_sample;
	z.name.len = 1ull << 32;
	expect_refused(c, &z, "zoo.name: 4294967296 bytes");
	cr_assert_eq(myelon_codec_bound(c, &z), -EINVAL);
	myelon_codec_close(c);
}

static void expect_no_codec(const struct myelon_type *t, const struct myelon_msgpack_opts *opts,
                            const char *says)
{
	struct myelon_codec *c = (void *)1;

	cr_assert_eq(myelon_codec_msgpack(&c, t, opts), -EINVAL);
	cr_assert_null(c);
	cr_assert(strstr(myelon_last_error(), says), "'%s' does not say '%s'", myelon_last_error(),
	          says);
}

Test(msgpack, options_are_checked)
{
	struct myelon_codec *c;

	expect_no_codec(NULL, NULL, "NULL");
	expect_no_codec(&zoo_type, &MYELON_MSGPACK_OPTS(.flags = 16), "0x10");
	expect_no_codec(&zoo_type, &MYELON_MSGPACK_OPTS(.reserved = 1), "reserved");
	expect_no_codec(&zoo_type, &MYELON_MSGPACK_OPTS(.depth = 1025), "1024");
	cr_assert_eq(myelon_codec_msgpack(NULL, &zoo_type, NULL), -EINVAL);
	cr_assert_eq(myelon_codec_msgpack(&c, &zoo_type, NULL), 0);
	cr_assert_eq(c->object_size, sizeof(struct zoo));
	cr_assert_eq(myelon_codec_access(c, "abcd", 4, &(struct myelon_inside){0}), -ENOTSUP);
	myelon_codec_close(c);
}

Test(msgpack, descriptions_that_have_no_form_are_refused)
{
	struct maybe_box {
		bool present;
		void *value;
	};
	struct maybe_maybe {
		bool present;
		struct maybe_u64 value;
	};
	char long_name[MYELON_MSGPACK_NAME_MAX + 2];
	struct myelon_type option = MYELON_OPTION_OF(&myelon_u64, struct maybe_u64);
	struct myelon_type twice = MYELON_OPTION_OF(&option, struct maybe_maybe);
	struct myelon_type box = MYELON_BOX_OF(&option);
	struct myelon_type boxed = MYELON_OPTION_OF(&box, struct maybe_box);
	struct myelon_type list = MYELON_VECTOR_OF(&myelon_i128);
	struct myelon_type self = MYELON_BOX_OF(&self);
	struct myelon_field f[] = {{.name = "odd\xff", .type = &myelon_u8}};
	struct myelon_type named = {.name = "n",
	                            .kind = MYELON_TYPE_STRUCT,
	                            .size = 1,
	                            .align = 1,
	                            .count = 1,
	                            .fields = f};

	expect_no_codec(&myelon_u128, NULL, "128 bits");
	expect_no_codec(&list, NULL, "128 bits");
	expect_no_codec(&twice, NULL, "option of an option");
	expect_no_codec(&boxed, NULL, "option of an option");
	expect_no_codec(&self, NULL, "without an end");
	expect_no_codec(&named, NULL, "type n, field odd\xff: its name is not UTF-8");
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	f[0].name = long_name;
	expect_no_codec(&named, NULL, "longer than 255");
	long_name[MYELON_MSGPACK_NAME_MAX] = '\0';
	expect_bytes(&named, MYELON_MSGPACK_ARRAYS, &(uint8_t){7}, "\x91\x07", 2);
	named.kind = MYELON_TYPE_TUPLE;
	f[0].name = "odd\xff";
	expect_bytes(&named, 0, &(uint8_t){7}, "\x91\x07", 2);
}

Test(msgpack, types_have_schemas_of_their_own_and_forms_share_one)
{
	struct myelon_codec *a = codec_of(&zoo_type, 0), *b = codec_of(&zoo_type, 3),
			    *c = codec_of(&batch_type, 0), *d, *e, *f;

	cr_assert_eq(myelon_codec_msgpack(&d, &zoo_type, &MYELON_MSGPACK_OPTS(.schema = 7)), 0);
	cr_assert_eq(myelon_codec_msgpack(&e, &batch_type, &MYELON_MSGPACK_OPTS(.schema = 7)), 0);
	cr_assert_eq(myelon_codec_msgpack(&f, &zoo_type, &MYELON_MSGPACK_OPTS(.schema = 8)), 0);
	cr_assert(a->schema == b->schema && a->schema != c->schema);
	cr_assert(d->schema == e->schema && d->schema != f->schema && d->schema != a->schema);
	myelon_codec_close(a);
	myelon_codec_close(b);
	myelon_codec_close(c);
	myelon_codec_close(d);
	myelon_codec_close(e);
	myelon_codec_close(f);
}

static void through_a_ring(uint32_t flags)
{
	struct myelon_codec *c = codec_of(&zoo_type, flags);
	struct object_rng r = {.state = flags + 1, .depth = 3};
	struct myelon_typed_producer *tp;
	struct myelon_typed_consumer *tc;
	struct myelon_arena a;
	struct myelon_meta meta;
	struct zoo sent, got;
	char name[KIT_NAME];

	kit_ring_name(name, "msgpack");
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
	cr_assert_eq(myelon_typed_recv(tc, &got, &a, MYELON_TRY, &meta), 1);
	cr_assert(object_equal(&zoo_type, &zoo_sample, &got));
	myelon_typed_consumer_close(tc);
	myelon_typed_producer_close(tp);
	myelon_codec_close(c);
	myelon_arena_free(&a);
}

Test(msgpack, objects_go_through_a_ring)
{
	for (uint32_t flags = 0; flags < FORMS; flags++)
		through_a_ring(flags);
}

/* A reader that knows fewer fields, and one more that may be missing. */
Test(msgpack, programs_with_other_versions_of_a_description_share_a_ring_by_number)
{
	struct newer {
		uint32_t value;
		struct maybe_text remark;
	} got;
	const struct myelon_type remark = MYELON_OPTION_OF(&myelon_string, struct maybe_text);
	struct myelon_field f[] = {MYELON_FIELD(struct newer, remark, &remark),
	                           MYELON_FIELD(struct newer, value, &myelon_u32)};
	struct myelon_type newer = MYELON_STRUCT(struct newer, f);
	struct myelon_codec *out, *in;
	struct myelon_typed_producer *tp;
	struct myelon_typed_consumer *tc;
	struct myelon_arena a;
	char name[KIT_NAME];

	cr_assert_eq(myelon_codec_msgpack(&out, &zoo_node, &MYELON_MSGPACK_OPTS(.schema = 7)), 0);
	cr_assert_eq(myelon_codec_msgpack(&in, &newer, &MYELON_MSGPACK_OPTS(.schema = 7)), 0);
	kit_ring_name(name, "versions");
	myelon_arena_init(&a, NULL, 0, 1 << 20);
	cr_assert_eq(myelon_typed_producer_create(
			     &tp, name, &MYELON_RING_OPTS(.window = 64, .huge = MYELON_HUGE_OFF),
			     out, 0),
	             0);
	cr_assert_eq(myelon_typed_consumer_attach(&tc, name, &MYELON_ATTACH_OPTS(.id = "r"), in),
	             0);
	cr_assert_eq(myelon_typed_send(tp, &zoo_sample.tree, 1, MYELON_TRY), 0);
	cr_assert_eq(myelon_typed_recv(tc, &got, &a, MYELON_TRY, NULL), 1, "%s",
	             myelon_last_error());
	cr_assert(got.value == 1 && !got.remark.present);
	myelon_typed_consumer_close(tc);
	myelon_typed_producer_close(tp);
	myelon_codec_close(out);
	myelon_codec_close(in);
	myelon_arena_free(&a);
}
