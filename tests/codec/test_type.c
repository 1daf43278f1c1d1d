/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Descriptions that are sound or not, their hashes, arenas, and the table of a codec. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <myelon/codec.h>
#include <myelon/error.h>

#include "object.h"
#include "zoo.h"

static void expect_bad(const struct myelon_type *t, const char *says)
{
	cr_assert_eq(myelon_type_check(t), -EINVAL);
	cr_assert(strstr(myelon_last_error(), says), "'%s' does not say '%s'", myelon_last_error(),
	          says);
}

Test(type, descriptions_of_every_kind_are_sound)
{
	cr_assert_eq(myelon_type_check(&zoo_type), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_type_check(&batch_type), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_type_check(&zoo_node), 0, "%s", myelon_last_error());
	cr_assert_neq(myelon_type_hash(&zoo_type), myelon_type_hash(&batch_type));
}

struct two {
	uint32_t a;
	uint64_t b;
};

Test(type, fields_outside_the_struct_or_misaligned_are_named)
{
	struct myelon_field f[] = {MYELON_FIELD(struct two, a, &myelon_u32),
	                           MYELON_FIELD(struct two, b, &myelon_u64)};
	struct myelon_type t = MYELON_STRUCT(struct two, f);

	cr_assert_eq(myelon_type_check(&t), 0);
	f[1].offset = 16;
	expect_bad(&t, "field b");
	f[1].offset = 4;
	expect_bad(&t, "aligned");
	f[1] = f[0];
	expect_bad(&t, "two of this name");
	f[1].name = NULL;
	expect_bad(&t, "no name");
	f[1] = (struct myelon_field){.name = "b", .offset = 8};
	expect_bad(&t, "no type");
	t.count = 5000;
	expect_bad(&t, "1024");
}

Test(type, a_type_inside_itself_is_refused_but_not_behind_a_pointer)
{
	struct myelon_field f[1];
	struct myelon_type t = MYELON_STRUCT(struct two, f), v = MYELON_VECTOR_OF(&t);

	f[0] = (struct myelon_field){.name = "self", .type = &t};
	expect_bad(&t, "part of itself");
	f[0].type = &v;
	cr_assert_eq(myelon_type_check(&t), 0, "%s", myelon_last_error());
}

Test(type, wrong_kinds_sizes_and_elements_are_refused)
{
	struct myelon_type t = myelon_u32, array = MYELON_ARRAY_OF(&myelon_u16, uint16_t, 4);
	struct myelon_type map = MYELON_MAP_OF(&myelon_u32);

	t.size = 8;
	expect_bad(&t, "size");
	t = (struct myelon_type){.kind = 99, .size = 4, .align = 4};
	expect_bad(&t, "unknown");
	t = (struct myelon_type){.kind = MYELON_TYPE_VECTOR, .size = 16, .align = 8};
	expect_bad(&t, "element");
	array.count = 5;
	expect_bad(&array, "elements");
	expect_bad(&map, "key");
	t = zoo_shape;
	t.count = 0;
	expect_bad(&t, "one at least");
	cr_assert_eq(myelon_type_check(NULL), -EINVAL);
}

Test(type, a_chain_of_types_that_is_too_long_or_too_wide_ends)
{
	struct myelon_type chain[100];
	struct myelon_field f[40][2];

	for (int i = 0; i < 100; i++)
		chain[i] =
			(struct myelon_type)MYELON_VECTOR_OF(i < 99 ? &chain[i + 1] : &myelon_u8);
	expect_bad(&chain[0], "too deep");
	/* Each has the next one twice: 2^40 ways. */
	for (int i = 0; i < 40; i++) {
		const struct myelon_type *next = i < 39 ? &chain[i + 1] : &myelon_u64;

		f[i][0] = (struct myelon_field){.name = "a", .type = next};
		f[i][1] = (struct myelon_field){.name = "b", .type = next};
		chain[i] = (struct myelon_type){.name = "wide",
		                                .kind = MYELON_TYPE_STRUCT,
		                                .size = 8,
		                                .align = 8,
		                                .count = 2,
		                                .fields = f[i]};
	}
	expect_bad(&chain[0], "too large");
}

Test(type, the_hash_is_of_what_is_written_and_not_of_offsets)
{
	struct myelon_field f[] = {MYELON_FIELD(struct two, a, &myelon_u32),
	                           MYELON_FIELD(struct two, b, &myelon_u64)};
	struct myelon_type t = MYELON_STRUCT(struct two, f);
	uint64_t before = myelon_type_hash(&t);

	f[0].offset = 4;
	cr_assert_eq(myelon_type_hash(&t), before);
	f[0].name = "c";
	cr_assert_neq(myelon_type_hash(&t), before);
	f[0].name = "a";
	f[0].type = &myelon_i32;
	cr_assert_neq(myelon_type_hash(&t), before);
}

Test(arena, memory_is_bounded_aligned_and_kept_for_the_next_round)
{
	unsigned char buf[256];
	struct myelon_arena a;
	size_t total = 0;
	void *p;

	myelon_arena_init(&a, buf, sizeof(buf), 100000);
	p = myelon_arena_alloc(&a, 100, 64);
	cr_assert((unsigned char *)p >= buf && (unsigned char *)p < buf + sizeof(buf));
	for (size_t n = 1; (p = myelon_arena_alloc(&a, n, 8)) != NULL; n++) {
		cr_assert_eq((uintptr_t)p % 8, 0);
		memset(p, 0x5a, n);
		total += n;
	}
	cr_assert(total <= 100000 + sizeof(buf) && total > 20000, "%zu", total);
	cr_assert(a.taken <= a.limit);
	myelon_arena_reset(&a);
	cr_assert(a.blocks && a.taken <= a.limit);
	p = myelon_arena_alloc(&a, a.taken, 1);
	cr_assert_not_null(p);
	myelon_arena_free(&a);
	cr_assert_null(a.blocks);
	cr_assert_null(myelon_arena_alloc(&a, 8, 3));
	cr_assert_null(myelon_arena_alloc(&a, SIZE_MAX, 1));
	cr_assert_not_null(myelon_arena_alloc(&a, 0, 16));
	myelon_arena_free(&a);
}

Test(arena, one_without_memory_gives_none)
{
	struct myelon_arena a;

	myelon_arena_init(&a, NULL, 0, 0);
	cr_assert_null(myelon_arena_alloc(&a, 1, 1));
	cr_assert_not_null(myelon_arena_alloc(&a, 0, 1));
}

Test(pod, records_go_through_as_they_are)
{
	struct two one = {1, 2}, got = {0};
	struct two many[3] = {{1, 2}, {3, 4}, {5, 6}};
	struct myelon_vector v = {many, 3}, out = {0};
	_Alignas(16) unsigned char bytes[64];
	struct myelon_inside in;
	struct myelon_codec *c;
	struct myelon_arena a;

	myelon_arena_init(&a, NULL, 0, 4096);
	cr_assert_eq(myelon_codec_pod(&c, &MYELON_POD_OPTS(.record = sizeof(one), .name = "two",
	                                                   .flags = MYELON_POD_ONE)),
	             0);
	cr_assert_eq(myelon_codec_encode(c, &one, bytes, sizeof(bytes)), sizeof(one));
	cr_assert_eq(myelon_codec_decode(c, bytes, sizeof(one), &got, NULL), 0);
	cr_assert_eq(memcmp(&one, &got, sizeof(one)), 0);
	cr_assert_eq(myelon_codec_decode(c, bytes, 2 * sizeof(one), &got, NULL), -EBADMSG);
	myelon_codec_close(c);
	cr_assert_eq(myelon_codec_pod(&c, &MYELON_POD_OPTS(.record = sizeof(one), .name = "two",
	                                                   .align = 8)),
	             0);
	cr_assert_eq(myelon_codec_bound(c, &v), 3 * sizeof(one));
	cr_assert_eq(myelon_codec_encode(c, &v, bytes, 20), -EMSGSIZE);
	cr_assert_eq(myelon_codec_encode(c, &v, bytes, sizeof(bytes)), 3 * sizeof(one));
	cr_assert_eq(myelon_codec_access(c, bytes, 3 * sizeof(one), &in), 0);
	cr_assert_eq(in.root, bytes);
	cr_assert_eq(myelon_codec_access(c, bytes + 4, sizeof(one), &in), -EINVAL);
	cr_assert_eq(myelon_codec_access(c, bytes, 17, &in), -EBADMSG);
	cr_assert_eq(myelon_codec_decode(c, bytes, 3 * sizeof(one), &out, NULL), -ENOMEM);
	cr_assert_eq(myelon_codec_decode(c, bytes, 3 * sizeof(one), &out, &a), 0);
	cr_assert_eq(out.count, 3);
	cr_assert_eq(memcmp(out.data, many, sizeof(many)), 0);
	myelon_codec_close(c);
	myelon_arena_free(&a);
	cr_assert_eq(myelon_codec_pod(&c, &MYELON_POD_OPTS(.record = 8)), -EINVAL);
	cr_assert_eq(myelon_codec_pod(&c, &MYELON_POD_OPTS(.record = 8, .name = "x", .align = 3)),
	             -EINVAL);
}

Test(object, random_objects_are_equal_to_themselves_and_to_no_other)
{
	struct object_rng r = {.state = 7};
	struct myelon_arena a;
	struct zoo x, y;

	myelon_arena_init(&a, NULL, 0, 64 << 20);
	for (int i = 0; i < 50; i++) {
		object_fill(&zoo_type, &x, &r, &a);
		object_fill(&zoo_type, &y, &r, &a);
		cr_assert(object_equal(&zoo_type, &x, &x));
		cr_assert_not(object_equal(&zoo_type, &x, &y));
		y = x;
		y.tree.value ^= 1;
		cr_assert_not(object_equal(&zoo_type, &x, &y));
		myelon_arena_reset(&a);
	}
	myelon_arena_free(&a);
}
