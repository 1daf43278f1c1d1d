/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Archives that are not what they claim: refused with a sentence, never read outside, whoever changes them when. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <myelon/error.h>
#include <myelon/rkyv.h>

#include "object.h"
#include "rkyv_golden.h"
#include "rkyv_walk.h"
#include "zoo.h"

#define ROOT (sizeof(zoo_bytes) - 200)

static struct myelon_codec *codec_of(const struct myelon_type *type)
{
	struct myelon_codec *c;

	cr_assert_eq(myelon_codec_rkyv(&c, type, NULL), 0, "%s", myelon_last_error());
	return c;
}

/* Access and decode of @len bytes, in memory of exactly that size; what they accept is walked. */
static int try_bytes(struct myelon_codec *c, const void *bytes, size_t len)
{
	unsigned char *copy = malloc(len ? len : 1), *object = malloc(c->object_size);
	struct myelon_inside in;
	struct myelon_arena a;
	uint64_t budget = 1000000;
	int rc, accepted;

	memcpy(copy, bytes, len);
	myelon_arena_init(&a, NULL, 0, 1 << 20);
	accepted = myelon_codec_access(c, copy, len, &in);
	rc = myelon_codec_decode(c, copy, len, object, &a);
	cr_assert(rc == accepted || rc == -ENOMEM, "access says %d, decode %d", accepted, rc);
	if (accepted == 0) {
		rkyv_walk(myelon_rkyv_root(&in), &budget);
		cr_assert_gt(budget, 0, "what access accepted is not endless");
		cr_assert(rc < 0 || rkyv_is_object(myelon_rkyv_root(&in), c->type, object));
	}
	myelon_arena_free(&a);
	free(copy);
	free(object);
	return accepted;
}

Test(rkyv_bad, a_cut_archive_is_refused_or_another_one)
{
	struct myelon_codec *c = codec_of(&zoo_type);

	cr_assert_eq(try_bytes(c, zoo_bytes, sizeof(zoo_bytes)), 0);
	for (size_t len = 0; len < sizeof(zoo_bytes); len++)
		cr_assert_eq(try_bytes(c, zoo_bytes, len), -EBADMSG, "%zu bytes", len);
	/* Without its first bytes, too; unused ones before it are no harm, as for the crate. */
	for (size_t cut = 8; cut <= ROOT; cut += 8)
		cr_assert_eq(try_bytes(c, zoo_bytes + cut, sizeof(zoo_bytes) - cut), -EBADMSG);
	myelon_codec_close(c);
}

Test(rkyv_bad, mangled_archives_are_refused_or_walked_inside)
{
	struct myelon_codec *c = codec_of(&zoo_type), *b = codec_of(&batch_type);
	struct object_rng r = {.state = 11};
	unsigned char bytes[sizeof(zoo_bytes)];
	int accepted = 0;

	for (int i = 0; i < 20000; i++) {
		const unsigned char *from = i % 2 ? zoo_bytes : batch_bytes;
		size_t len = i % 2 ? sizeof(zoo_bytes) : sizeof(batch_bytes);

		memcpy(bytes, from, len);
		len = object_mangle(&r, bytes, len);
		accepted += try_bytes(i % 2 ? c : b, bytes, len) == 0;
	}
	cr_assert_gt(accepted, 100, "numbers may be anything");
	cr_assert_lt(accepted, 19000);
	myelon_codec_close(c);
	myelon_codec_close(b);
}

Test(rkyv_bad, what_is_changed_after_it_was_verified_is_read_inside)
{
	struct myelon_codec *c = codec_of(&zoo_type);
	struct object_rng r = {.state = 12};

	for (int i = 0; i < 5000; i++) {
		unsigned char *bytes = malloc(sizeof(zoo_bytes));
		struct myelon_inside in;
		uint64_t budget = 20000;

		memcpy(bytes, zoo_bytes, sizeof(zoo_bytes));
		cr_assert_eq(myelon_codec_access(c, bytes, sizeof(zoo_bytes), &in), 0);
		for (int k = 0; k < i % 8; k++)
			object_mangle(&r, bytes, sizeof(zoo_bytes));
		rkyv_walk(myelon_rkyv_root(&in), &budget);
		free(bytes);
	}
	myelon_codec_close(c);
}

static void put32(unsigned char *at, int64_t n)
{
	uint32_t v = (uint32_t)n;

	memcpy(at, &v, sizeof(v));
}

/* With one number of the zoo changed, @at in its root. */
static void expect_bad(size_t at, size_t size, int64_t n, const char *says)
{
	struct myelon_codec *c = codec_of(&zoo_type);
	unsigned char bytes[sizeof(zoo_bytes)];

	memcpy(bytes, zoo_bytes, sizeof(bytes));
	memcpy(bytes + ROOT + at, &n, size);
	cr_assert_eq(try_bytes(c, bytes, sizeof(bytes)), -EBADMSG);
	cr_assert(strstr(myelon_last_error(), says), "'%s' does not say '%s'", myelon_last_error(),
	          says);
	myelon_codec_close(c);
}

Test(rkyv_bad, the_sentence_says_what_is_wrong_where)
{
	expect_bad(0, 1, 2, "zoo.flag: the bool at byte 392 is 2");
	expect_bad(48, 4, 0xd800, "zoo.letter: the char at byte 440 is 0xd800");
	expect_bad(48, 4, 0x110000, "zoo.letter");
	expect_bad(96, 1, 2, "zoo.limit: the option at byte 488 is 2");
	expect_bad(112, 1, 0xff, "zoo.note: the option");
	expect_bad(144, 1, 3, "zoo.shape: the tag at byte 536 is 3, of 3 variants");
	expect_bad(52, 8, 8LL << 56, "zoo.name: the string at byte 444 says it holds 8 bytes");
	expect_bad(52, 8, 127LL << 56, "zoo.name");
	expect_bad(52, 8, (1LL << 56) + 0xff, "zoo.name: no UTF-8 at byte 444");
	expect_bad(144 + 4, 8, (7LL << 56) + 0xc3LL * 0x1000000000000LL, "zoo.shape.Named.name");
}

Test(rkyv_bad, lengths_and_pointers_at_the_edges_are_refused)
{
	static const int64_t extremes[] = {0x7fffffff, 0x80000000, 0xffffffff, 0x40000000,
	                                   0x20000000, 0xfffffffc, 1,          4096};

	for (size_t i = 0; i < sizeof(extremes) / sizeof(extremes[0]); i++) {
		expect_bad(72, 4, 100 + extremes[i] % 0xffffff00,
		           "zoo.counts: the pointer at byte 460");
		expect_bad(68, 4, extremes[i], "zoo.counts: the pointer at byte 460");
		expect_bad(52, 4, 600 + extremes[i] % 0xffffff00, "zoo.name: the pointer");
		expect_bad(64, 4, 600 + extremes[i] % 0xffffff00, "zoo.raw");
		expect_bad(80, 4, 600 + extremes[i] % 0xffffff00, "zoo.names");
		expect_bad(176 + 16, 4, extremes[i], "zoo.tree.next: the pointer");
	}
	/* One less: not aligned; as far as the next one: overlapping. */
	expect_bad(68, 4, 0x14 - 460 + 2,
	           "zoo.counts: the pointer at byte 460 leads to byte 22, not aligned");
	expect_bad(68, 4, 0x10 - 460, "are not taken");
	expect_bad(72, 4, 100, "are not taken");
}

Test(rkyv_bad, two_pointers_to_the_same_bytes_are_refused)
{
	int32_t counts;

	/* names and points where counts is, and the box of next at the children. */
	memcpy(&counts, zoo_bytes + ROOT + 68, 4);
	expect_bad(76, 4, counts - 8, "zoo.names: the pointer");
	expect_bad(84, 4, counts - 16, "zoo.points: the pointer");
	expect_bad(176 + 16, 4, 332 - 584, "zoo.tree.next: the pointer");
}

/* Archives of nodes: value, children, next; 20 bytes each. No children, at the beginning. */
static void put_node(unsigned char *bytes, size_t at, int64_t next)
{
	memset(bytes + at, 0, 20);
	put32(bytes + at + 4, -4 - (int64_t)at);
	if (next >= 0) {
		bytes[at + 12] = 1;
		put32(bytes + at + 16, next - (int64_t)(at + 16));
	}
}

Test(rkyv_bad, circles_are_refused)
{
	struct myelon_codec *c = codec_of(&zoo_node);
	unsigned char bytes[80];

	put_node(bytes, 0, -1);
	put_node(bytes, 20, 0);
	put_node(bytes, 40, 20);
	cr_assert_eq(try_bytes(c, bytes, 60), 0, "%s", myelon_last_error());
	put_node(bytes, 40, 40);
	cr_assert_eq(try_bytes(c, bytes, 60), -EBADMSG, "to itself");
	put_node(bytes, 40, 20);
	put_node(bytes, 20, 40);
	cr_assert_eq(try_bytes(c, bytes, 60), -EBADMSG, "round two");
	put_node(bytes, 20, 60);
	cr_assert_eq(try_bytes(c, bytes, 80), -EBADMSG, "to what comes after");
	/* Children that are the node itself. */
	put_node(bytes, 0, -1);
	put32(bytes + 8, 1);
	cr_assert_eq(try_bytes(c, bytes, 20), -EBADMSG);
	myelon_codec_close(c);
}

Test(rkyv_bad, values_nested_too_deep_are_refused_both_ways)
{
	static unsigned char bytes[20 * 200];
	static struct node nodes[200];
	struct myelon_codec *c = codec_of(&zoo_node);

	for (int i = 0; i < 200; i++) {
		put_node(bytes, 20ul * (unsigned)i, i ? 20L * (i - 1) : -1);
		if (i)
			nodes[i].next = (struct node_maybe){true, &nodes[i - 1]};
	}
	cr_assert_eq(try_bytes(c, bytes, 20 * 128), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_codec_bound(c, &nodes[127]), 20 * 128, "%s", myelon_last_error());
	cr_assert_eq(try_bytes(c, bytes, 20 * 129), -EBADMSG);
	cr_assert(strstr(myelon_last_error(), "nested"), "%s", myelon_last_error());
	cr_assert_eq(myelon_codec_bound(c, &nodes[128]), -EINVAL);
	cr_assert(strstr(myelon_last_error(), "nested"), "%s", myelon_last_error());
	nodes[0].next = (struct node_maybe){true, &nodes[199]};
	cr_assert_eq(myelon_codec_bound(c, &nodes[0]), -EINVAL, "a circle of C");
	myelon_codec_close(c);
}

struct empty {
	uint32_t hidden;
};
static const struct myelon_type empty_type = {
	"empty", MYELON_TYPE_STRUCT, sizeof(struct empty), 4, 0, NULL, NULL, 0, 0};
static const struct myelon_type empties = MYELON_VECTOR_OF(&empty_type);

Test(rkyv_bad, billions_of_nothing_cost_no_time_and_no_more_than_the_arena)
{
	struct myelon_codec *c = codec_of(&empties);
	struct myelon_inside in;
	struct myelon_vector v;
	struct myelon_arena a;
	_Alignas(8) unsigned char bytes[8];

	put32(bytes, 0);
	put32(bytes + 4, 0xffffffff);
	cr_assert_eq(myelon_codec_access(c, bytes, 8, &in), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_rkyv_list(myelon_rkyv_root(&in)).count, 0xffffffff);
	myelon_arena_init(&a, NULL, 0, 1 << 20);
	cr_assert_eq(myelon_codec_decode(c, bytes, 8, &v, &a), -ENOMEM);
	put32(bytes + 4, 3);
	cr_assert_eq(myelon_codec_decode(c, bytes, 8, &v, &a), 0);
	cr_assert_eq(v.count, 3);
	cr_assert_eq(((const struct empty *)v.data)[2].hidden, 0);
	cr_assert_eq(myelon_codec_encode(c, &v, bytes, 8), 8);
	myelon_arena_free(&a);
	myelon_codec_close(c);
}
