/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Archives in a ring: built there, read there, and owned. */
#include "kit.h"

#include <criterion/criterion.h>
#include <errno.h>

#include <myelon/myelon.h>

#include "object.h"
#include "rkyv_walk.h"
#include "zoo.h"

struct ends {
	char name[KIT_NAME];
	struct myelon_codec *codec;
	struct myelon_typed_producer *tp;
	struct myelon_typed_consumer *tc;
	struct myelon_arena arena;
};

static void ends_open(struct ends *e, uint32_t window)
{
	kit_ring_name(e->name, "rkyv");
	myelon_arena_init(&e->arena, NULL, 0, 16 << 20);
	cr_assert_eq(myelon_codec_rkyv(&e->codec, &batch_type, NULL), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_typed_producer_create(
			     &e->tp, e->name,
			     &MYELON_RING_OPTS(.window = window, .huge = MYELON_HUGE_OFF), e->codec,
			     MYELON_TYPED_STAMPS),
	             0, "%s", myelon_last_error());
	cr_assert_eq(myelon_typed_consumer_attach(&e->tc, e->name, &MYELON_ATTACH_OPTS(.id = "r"),
	                                          e->codec),
	             0, "%s", myelon_last_error());
}

static void ends_close(struct ends *e)
{
	myelon_typed_consumer_close(e->tc);
	myelon_typed_producer_close(e->tp);
	myelon_codec_close(e->codec);
	myelon_arena_free(&e->arena);
}

static int64_t send_batch(struct ends *e, struct batch *batch, uint32_t most, uint64_t seed)
{
	struct object_rng r = {.state = seed, .most = most};

	object_fill(&batch_type, batch, &r, &e->arena);
	cr_assert_eq(myelon_typed_send(e->tp, batch, 1, MYELON_TRY), 0, "%s", myelon_last_error());
	return myelon_codec_bound(e->codec, batch);
}

Test(rkyv_ring, batches_are_read_where_they_lie_in_the_ring)
{
	struct batch batch, got;
	struct myelon_inside in;
	struct myelon_meta meta;
	struct ends e;

	ends_open(&e, 1024);
	for (uint64_t i = 0; i < 50; i++) {
		int64_t len = send_batch(&e, &batch, 6, i);

		cr_assert_eq(myelon_typed_peek(e.tc, MYELON_TRY, &in, &meta), 1, "%s",
		             myelon_last_error());
		cr_assert_eq(in.len, (size_t)len);
		cr_assert_eq(meta.borrowed, 1);
		cr_assert(rkyv_is_object(myelon_rkyv_root(&in), &batch_type, &batch));
		if (i % 2)
			cr_assert_eq(myelon_typed_release(e.tc, 1), 0);
		else
			cr_assert_eq(myelon_typed_recv(e.tc, &got, &e.arena, MYELON_TRY, NULL), 1);
		cr_assert(i % 2 || object_equal(&batch_type, &got, &batch));
		myelon_arena_reset(&e.arena);
	}
	ends_close(&e);
}

Test(rkyv_ring, a_batch_in_fragments_is_read_in_memory_of_the_handle)
{
	static uint32_t tokens[10000];
	const struct request request = {.id = 7, .tokens = {tokens, 10000}};
	const struct batch batch = {1, {&request, 1}};
	struct myelon_inside in;
	struct myelon_meta meta;
	struct ends e;

	ends_open(&e, 1024);
	for (uint32_t i = 0; i < 10000; i++)
		tokens[i] = i;
	cr_assert_eq(myelon_typed_send(e.tp, &batch, 1, MYELON_TRY), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_typed_peek(e.tc, MYELON_TRY, &in, &meta), 1, "%s", myelon_last_error());
	cr_assert_eq(meta.borrowed, 0);
	cr_assert(rkyv_is_object(myelon_rkyv_root(&in), &batch_type, &batch));
	cr_assert_eq(myelon_typed_release(e.tc, 1), 0);
	ends_close(&e);
}

Test(rkyv_ring, what_is_no_archive_is_passed_over)
{
	struct myelon_inside in;
	struct batch batch;
	struct ends e;
	void *buf;

	ends_open(&e, 1024);
	cr_assert_eq(myelon_typed_claim(e.tp, 64, MYELON_TRY, &buf), 0);
	memset(buf, 0xff, 64);
	cr_assert_eq(myelon_typed_commit(e.tp, 64, 0), 0);
	send_batch(&e, &batch, 4, 5);
	cr_assert_eq(myelon_typed_peek(e.tc, MYELON_TRY, &in, NULL), -EBADMSG);
	cr_assert(strstr(myelon_last_error(), "batch.requests"), "%s", myelon_last_error());
	cr_assert_eq(myelon_typed_peek(e.tc, MYELON_TRY, &in, NULL), 1, "%s", myelon_last_error());
	cr_assert(rkyv_is_object(myelon_rkyv_root(&in), &batch_type, &batch));
	cr_assert_eq(myelon_typed_release(e.tc, 1), 0);
	ends_close(&e);
}
