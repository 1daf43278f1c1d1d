/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Messages built by hand: their bytes, errors that stick, and built in a ring and read there. */
#include "kit.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <myelon/myelon.h>

#include "flat_zoo.h"
#include "zoo.h"

static _Alignas(16) unsigned char buf[4096];
static struct myelon_flat_builder b;

Test(flat_builder, the_bytes_of_a_small_message)
{
	/* The root's offset, the identifier; the table, 10 bytes; its vtable; a string. */
	static const unsigned char want[] = {8,    0,    0,  0, 'A', 'B', 'C', 'D', 0xf6, 0xff,
	                                     0xff, 0xff, 20, 0, 0,   0,   5,   1,   12,   0,
	                                     10,   0,    0,  0, 4,   0,   9,   0,   8,    0,
	                                     0,    0,    2,  0, 0,   0,   'h', 'i', 0};
	uint32_t ref;

	myelon_flat_begin(&b, buf, sizeof(buf), "ABCD");
	myelon_flat_table(&b, MYELON_FLAT_ROOT, 6);
	ref = myelon_flat_add_ref(&b, 1);
	myelon_flat_put_u8(&b, 3, 5);
	myelon_flat_put_bool(&b, 2, true);
	myelon_flat_add_u64(&b, 5, 77, 77);
	myelon_flat_table_end(&b);
	myelon_flat_text(&b, ref, "hi", 2);
	cr_assert_eq(myelon_flat_end(&b), (int64_t)sizeof(want));
	for (size_t i = 0; i < sizeof(want); i++)
		cr_assert_eq(buf[i], want[i], "byte %zu: %u", i, buf[i]);
}

static void build_batch(void *to, size_t cap)
{
	static const uint32_t tokens[] = {1, 2, 3};
	uint32_t ref, refs[3];
	void *at;

	myelon_flat_begin(&b, to, cap, NULL);
	myelon_flat_table(&b, MYELON_FLAT_ROOT, 2);
	myelon_flat_add_u64(&b, 0, 9, 0);
	ref = myelon_flat_add_ref(&b, 1);
	myelon_flat_table_end(&b);
	ref = myelon_flat_refs(&b, ref, 2);
	for (uint32_t i = 0; i < 2; i++) {
		myelon_flat_table(&b, ref + 4 * i, 4);
		myelon_flat_add_u64(&b, 0, 100 + i, 0);
		for (uint32_t k = 0; k < 3; k++)
			refs[k] = myelon_flat_add_ref(&b, k + 1);
		myelon_flat_table_end(&b);
		at = myelon_flat_vector(&b, refs[0], 3, 4, 4);
		if (at)
			memcpy(at, tokens, sizeof(tokens));
		myelon_flat_table(&b, refs[1], 5);
		myelon_flat_add_f32(&b, 0, 0.5f, 0);
		myelon_flat_put_u64(&b, 3, 0);
		myelon_flat_table_end(&b);
		myelon_flat_vector(&b, refs[2], 0, 4, 4);
	}
}

static void expect_batch(const struct batch *got)
{
	const struct request *r = got->requests.data;

	cr_assert_eq(got->step, 9);
	cr_assert_eq(got->requests.count, 2);
	for (uint32_t i = 0; i < 2; i++) {
		cr_assert_eq(r[i].id, 100 + i);
		cr_assert_eq(r[i].tokens.count, 3);
		cr_assert_eq(((const uint32_t *)r[i].tokens.data)[2], 3);
		cr_assert(r[i].sampling.temperature == 0.5f && r[i].sampling.seed.present);
		cr_assert_eq(r[i].sampling.stop.count, 0);
	}
}

Test(flat_builder, a_message_that_does_not_fit_says_so_at_the_end_and_nowhere_writes_beyond)
{
	int64_t len;

	build_batch(buf, sizeof(buf));
	len = myelon_flat_end(&b);
	cr_assert_gt(len, 0, "%s", myelon_last_error());
	for (size_t cap = 0; cap < (size_t)len; cap++) {
		memset(buf, 0x55, sizeof(buf));
		build_batch(buf, cap);
		cr_assert_eq(myelon_flat_end(&b), -EMSGSIZE);
		for (size_t i = cap; i < sizeof(buf); i++)
			cr_assert_eq(buf[i], 0x55);
	}
	cr_assert(strstr(myelon_last_error(), "does not fit"), "%s", myelon_last_error());
	build_batch(buf, (size_t)len);
	cr_assert_eq(myelon_flat_end(&b), len);
}

static void expect_wrong(const char *what)
{
	cr_assert_eq(myelon_flat_end(&b), -EINVAL, "%s", what);
	cr_assert(strstr(myelon_last_error(), what), "%s: %s", what, myelon_last_error());
	cr_assert_eq(myelon_flat_end(&b), -EINVAL);
}

static void begin(void)
{
	myelon_flat_begin(&b, buf, sizeof(buf), NULL);
	myelon_flat_table(&b, MYELON_FLAT_ROOT, 4);
}

Test(flat_builder, wrong_calls_stick_and_are_named)
{
	myelon_flat_begin(&b, buf, sizeof(buf), NULL);
	expect_wrong("a reference leads nowhere");
	begin();
	expect_wrong("a table was not ended");
	begin();
	myelon_flat_put_u8(&b, 4, 1);
	expect_wrong("id is not among those");
	begin();
	myelon_flat_put_u8(&b, 1, 1);
	myelon_flat_put_u8(&b, 1, 1);
	myelon_flat_table_end(&b);
	expect_wrong("written twice");
	begin();
	myelon_flat_table_end(&b);
	myelon_flat_put_u8(&b, 1, 1);
	expect_wrong("outside a table");
	begin();
	myelon_flat_text(&b, myelon_flat_add_ref(&b, 1), "x", 1);
	expect_wrong("the table before was not ended");
	begin();
	myelon_flat_table_end(&b);
	myelon_flat_text(&b, MYELON_FLAT_ROOT, "x", 1);
	expect_wrong("used twice");
	begin();
	myelon_flat_table_end(&b);
	myelon_flat_text(&b, 4000, "x", 1);
	expect_wrong("no reference");
	begin();
	myelon_flat_table_end(&b);
	myelon_flat_table_end(&b);
	expect_wrong("not begun");
	begin();
	(void)myelon_flat_add_union(&b, 0, 1);
	expect_wrong("id is not among those");
	myelon_flat_begin(&b, buf + 8, 100, NULL);
	expect_wrong("not aligned to 16");
	myelon_flat_begin(&b, buf, sizeof(buf), NULL);
	myelon_flat_table(&b, MYELON_FLAT_ROOT, MYELON_FLAT_MAX_SLOTS + 1);
	expect_wrong("more slots");
}

Test(flat_builder, unions_structs_and_wide_vectors_are_where_the_codec_finds_them)
{
	static const struct point p = {1, 2, 0.5f};
	const struct point *got;
	struct myelon_flat_table t, value;
	struct myelon_flat_vector v;
	uint32_t ref, wide;
	void *at;
	int64_t len;

	myelon_flat_begin(&b, buf, sizeof(buf), NULL);
	myelon_flat_table(&b, MYELON_FLAT_ROOT, 4);
	at = myelon_flat_add_struct(&b, 2, sizeof(p), 4);
	cr_assert_not_null(at);
	memcpy(at, &p, sizeof(p));
	ref = myelon_flat_add_union(&b, 1, SHAPE_CIRCLE);
	wide = myelon_flat_add_ref(&b, 3);
	myelon_flat_table_end(&b);
	myelon_flat_table(&b, ref, 1);
	myelon_flat_put_f64(&b, 0, 2.5);
	myelon_flat_table_end(&b);
	at = myelon_flat_vector(&b, wide, 2, 16, 16);
	cr_assert_eq((uintptr_t)at % 16, 0);
	memset(at, 3, 32);
	len = myelon_flat_end(&b);
	cr_assert_gt(len, 0, "%s", myelon_last_error());
	t = myelon_flat_root(buf, (size_t)len);
	got = myelon_flat_get_struct(&t, 2, sizeof(p), 4);
	cr_assert(got && got->y == 2);
	cr_assert_eq(myelon_flat_get_union(&t, 1, &value), SHAPE_CIRCLE);
	cr_assert(myelon_flat_get_f64(&value, 0, 0) == 2.5);
	v = myelon_flat_get_vector(&t, 3, 16, 16);
	cr_assert_eq(v.count, 2);
	cr_assert_eq(((const unsigned char *)v.data)[31], 3);
}

Test(flat_builder, a_batch_is_built_in_the_ring_and_read_there)
{
	struct myelon_typed_producer *tp;
	struct myelon_typed_consumer *tc;
	struct myelon_codec *c;
	struct myelon_inside in;
	struct myelon_arena a;
	struct batch got;
	char name[KIT_NAME];
	int64_t len;
	void *room;

	kit_ring_name(name, "flat");
	myelon_arena_init(&a, NULL, 0, 1 << 20);
	cr_assert_eq(myelon_codec_flatbuffers(&c, &batch_type, NULL), 0);
	cr_assert_eq(myelon_typed_producer_create(&tp, name,
	                                          &MYELON_RING_OPTS(.huge = MYELON_HUGE_OFF), c,
	                                          MYELON_TYPED_STAMPS),
	             0, "%s", myelon_last_error());
	cr_assert_eq(myelon_typed_consumer_attach(&tc, name, NULL, c), 0);
	for (int i = 0; i < 100; i++) {
		cr_assert_eq(myelon_typed_claim(tp, 1000, MYELON_TRY, &room), 0);
		build_batch(room, 1000);
		len = myelon_flat_end(&b);
		cr_assert_gt(len, 0, "%s", myelon_last_error());
		cr_assert_eq(myelon_typed_commit(tp, (size_t)len, 1), 0);
		cr_assert_eq(myelon_typed_peek(tc, MYELON_TRY, &in, NULL), 1, "%s",
		             myelon_last_error());
		cr_assert_eq(in.len, (size_t)len);
		cr_assert_eq(flat_read_batch(in.data, in.len), flat_read_batch(room, (size_t)len));
		cr_assert_eq(myelon_typed_recv(tc, &got, &a, MYELON_TRY, NULL), 1);
		expect_batch(&got);
		cr_assert_eq(myelon_typed_send(tp, &got, 2, MYELON_TRY), 0, "%s",
		             myelon_last_error());
		cr_assert_eq(myelon_typed_peek(tc, MYELON_TRY, &in, NULL), 1);
		cr_assert_eq(flat_read_batch(in.data, in.len), flat_read_batch(room, (size_t)len));
		cr_assert_eq(myelon_typed_release(tc, 1), 0);
		myelon_arena_reset(&a);
	}
	myelon_arena_free(&a);
	myelon_typed_consumer_close(tc);
	myelon_typed_producer_close(tp);
	myelon_codec_close(c);
}
