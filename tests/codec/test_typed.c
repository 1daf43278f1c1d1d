/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Typed handles: what goes in comes out, owned and in place; what is broken is passed over; schemas keep apart. */
#include "kit.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <myelon/myelon.h>

struct note {
	uint64_t number;
	char text[56];
};

struct ends {
	char name[KIT_NAME];
	struct myelon_codec *codec;
	struct myelon_typed_producer *tp;
	struct myelon_typed_consumer *tc;
	struct myelon_arena arena;
};

static void ends_open(struct ends *e, uint32_t window, uint32_t flags)
{
	kit_ring_name(e->name, "typed");
	myelon_arena_init(&e->arena, NULL, 0, 1 << 20);
	cr_assert_eq(myelon_codec_pod(&e->codec, &MYELON_POD_OPTS(.record = sizeof(struct note),
	                                                          .name = "note")),
	             0);
	cr_assert_eq(myelon_typed_producer_create(
			     &e->tp, e->name,
			     &MYELON_RING_OPTS(.window = window, .huge = MYELON_HUGE_OFF), e->codec,
			     flags),
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

static struct note note_of(uint64_t n)
{
	struct note note = {.number = n};

	kit_fill(note.text, sizeof(note.text), 1, n);
	return note;
}

static void send_notes(struct ends *e, uint64_t first, size_t count, uint8_t kind)
{
	struct note notes[64];
	struct myelon_vector v = {notes, count};

	for (size_t i = 0; i < count; i++)
		notes[i] = note_of(first + i);
	cr_assert_eq(myelon_typed_send(e->tp, &v, kind, MYELON_TRY), 0, "%s", myelon_last_error());
}

static void expect_notes(const void *data, size_t count, uint64_t first)
{
	const struct note *got = data;

	for (size_t i = 0; i < count; i++) {
		struct note want = note_of(first + i);

		cr_assert_eq(memcmp(&got[i], &want, sizeof(want)), 0);
	}
}

Test(typed, objects_are_received_owned_and_in_place)
{
	struct myelon_vector v;
	struct myelon_inside in;
	struct myelon_meta meta;
	struct ends e;

	ends_open(&e, 64, 0);
	send_notes(&e, 1, 3, 7);
	send_notes(&e, 10, 2, 8);
	cr_assert_eq(myelon_typed_recv(e.tc, &v, &e.arena, MYELON_TRY, &meta), 1);
	cr_assert_eq(v.count, 3);
	cr_assert_eq(meta.kind, 7);
	cr_assert_eq(meta.id, 1);
	cr_assert_eq(meta.sent_ns, 0);
	expect_notes(v.data, 3, 1);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(myelon_typed_peek(e.tc, MYELON_TRY, &in, &meta), 1);
		cr_assert_eq(in.len, 2 * sizeof(struct note));
		cr_assert_eq(meta.borrowed, 1);
		cr_assert_eq((uintptr_t)in.root % 16, 0);
		expect_notes(in.root, 2, 10);
	}
	cr_assert_eq(myelon_typed_release(e.tc, 1), 0);
	cr_assert_eq(myelon_typed_peek(e.tc, MYELON_TRY, &in, &meta), -EAGAIN);
	ends_close(&e);
}

Test(typed, a_message_longer_than_a_frame_or_the_ring_is_one_message)
{
	struct note *many = calloc(400, sizeof(*many));
	struct myelon_vector v = {many, 400}, got;
	struct myelon_meta meta;
	struct ends e;

	for (uint64_t i = 0; i < 400; i++)
		many[i] = note_of(i);
	ends_open(&e, 1024, MYELON_TYPED_STAMPS);
	v.count = 400;
	cr_assert_eq(myelon_typed_send(e.tp, &v, 1, MYELON_TRY), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_typed_recv(e.tc, &got, &e.arena, MYELON_TRY, &meta), 1);
	cr_assert_eq(got.count, 400);
	expect_notes(got.data, 400, 0);
	ends_close(&e);
	ends_open(&e, 256, MYELON_TYPED_STAMPS);
	v.count = 200;
	cr_assert_eq(myelon_typed_send(e.tp, &v, 1, MYELON_TRY), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_typed_recv(e.tc, &got, &e.arena, MYELON_TRY, &meta), 1);
	cr_assert_eq(meta.borrowed, 0);
	cr_assert_eq(meta.len, 200 * sizeof(struct note));
	cr_assert_gt(meta.sent_ns, 0);
	expect_notes(got.data, 200, 0);
	ends_close(&e);
	free(many);
}

Test(typed, stamps_are_found_by_whoever_attaches_and_keep_the_payload_aligned)
{
	struct myelon_inside in;
	struct myelon_meta meta;
	struct ends e;
	int64_t before;
	void *buf;

	ends_open(&e, 64, MYELON_TYPED_STAMPS);
	before = myelon_deadline_after(0);
	send_notes(&e, 5, 1, 0);
	cr_assert_eq(myelon_typed_claim(e.tp, sizeof(struct note), MYELON_TRY, &buf), 0);
	cr_assert_eq((uintptr_t)buf % 16, 0);
	*(struct note *)buf = note_of(6);
	cr_assert_eq(myelon_typed_commit(e.tp, sizeof(struct note), 3), 0);
	for (uint64_t n = 5; n < 7; n++) {
		cr_assert_eq(myelon_typed_peek(e.tc, MYELON_TRY, &in, &meta), 1);
		cr_assert(meta.sent_ns >= before && meta.sent_ns <= myelon_deadline_after(0));
		cr_assert_eq(in.len, sizeof(struct note));
		expect_notes(in.root, 1, n);
		cr_assert_eq(myelon_typed_release(e.tc, 1), 0);
	}
	/* A raw payload without one is no message. */
	cr_assert_eq(myelon_frame_send(myelon_typed_producer_frames(e.tp), "x", 1, 0, MYELON_TRY),
	             0);
	cr_assert_eq(myelon_typed_peek(e.tc, MYELON_TRY, &in, &meta), -EBADMSG);
	cr_assert_eq(myelon_typed_peek(e.tc, MYELON_TRY, &in, &meta), -EAGAIN);
	ends_close(&e);
}

Test(typed, a_broken_message_is_told_released_and_the_stream_goes_on)
{
	struct myelon_vector v;
	struct myelon_inside in;
	struct myelon_meta meta;
	struct ends e;

	ends_open(&e, 64, 0);
	for (int way = 0; way < 2; way++) {
		cr_assert_eq(myelon_frame_send(myelon_typed_producer_frames(e.tp), "broken", 6, 9,
		                               MYELON_TRY),
		             0);
		send_notes(&e, 3, 1, 1);
		cr_assert_eq(way ? myelon_typed_peek(e.tc, MYELON_TRY, &in, &meta)
		                 : myelon_typed_recv(e.tc, &v, &e.arena, MYELON_TRY, &meta),
		             -EBADMSG);
		cr_assert(strstr(myelon_last_error(), "6 bytes"), "%s", myelon_last_error());
		cr_assert_eq(meta.kind, 9);
		cr_assert_eq(meta.len, 6);
		cr_assert_eq(myelon_typed_recv(e.tc, &v, &e.arena, MYELON_TRY, &meta), 1);
		expect_notes(v.data, 1, 3);
	}
	ends_close(&e);
}

Test(typed, a_full_arena_leaves_the_message_for_another_try)
{
	struct myelon_arena small;
	struct myelon_vector v;
	struct ends e;

	ends_open(&e, 64, 0);
	send_notes(&e, 1, 4, 0);
	myelon_arena_init(&small, NULL, 0, 100);
	cr_assert_eq(myelon_typed_recv(e.tc, &v, &small, MYELON_TRY, NULL), -ENOMEM);
	cr_assert_eq(myelon_typed_recv(e.tc, &v, NULL, MYELON_TRY, NULL), -ENOMEM);
	cr_assert_eq(myelon_typed_recv(e.tc, &v, &e.arena, MYELON_TRY, NULL), 1);
	expect_notes(v.data, 4, 1);
	myelon_arena_free(&small);
	ends_close(&e);
}

Test(typed, batches_are_sent_as_far_as_there_is_room_and_end_before_a_broken_one)
{
	struct note notes[40];
	struct myelon_vector v[40], got[40];
	struct myelon_inside in[40];
	struct myelon_meta meta[40];
	struct ends e;
	int n;

	ends_open(&e, 64, 0);
	for (int i = 0; i < 40; i++) {
		notes[i] = note_of((uint64_t)i);
		v[i] = (struct myelon_vector){&notes[i], 1};
	}
	n = myelon_typed_send_batch(e.tp, v, sizeof(v[0]), 40, 2, MYELON_TRY);
	cr_assert_eq(n, 32, "80 slots into 64: %d", n);
	cr_assert_eq(myelon_typed_send_batch(e.tp, v, sizeof(v[0]), 40, 2, MYELON_TRY), -EAGAIN);
	cr_assert_eq(
		myelon_typed_recv_batch(e.tc, got, sizeof(got[0]), 10, &e.arena, MYELON_TRY, meta),
		10);
	for (int i = 0; i < 10; i++) {
		expect_notes(got[i].data, 1, (uint64_t)i);
		cr_assert_eq(meta[i].id, (uint32_t)i + 1);
	}
	cr_assert_eq(myelon_typed_peek_batch(e.tc, in, 40, MYELON_TRY, meta), 22);
	for (int i = 0; i < 22; i++)
		expect_notes(in[i].root, 1, (uint64_t)i + 10);
	cr_assert_eq(myelon_typed_release(e.tc, 22), 0);
	send_notes(&e, 100, 1, 0);
	cr_assert_eq(myelon_frame_send(myelon_typed_producer_frames(e.tp), "no", 2, 0, MYELON_TRY),
	             0);
	send_notes(&e, 101, 1, 0);
	cr_assert_eq(
		myelon_typed_recv_batch(e.tc, got, sizeof(got[0]), 10, &e.arena, MYELON_TRY, NULL),
		1);
	cr_assert_eq(myelon_typed_peek_batch(e.tc, in, 10, MYELON_TRY, meta), -EBADMSG);
	cr_assert_eq(meta[0].len, 2);
	cr_assert_eq(myelon_typed_peek_batch(e.tc, in, 10, MYELON_TRY, NULL), 1);
	expect_notes(in[0].root, 1, 101);
	ends_close(&e);
}

Test(typed, another_schema_does_not_attach_and_leaves_no_trace)
{
	struct myelon_typed_consumer *tc;
	struct myelon_typed_producer *tp;
	struct myelon_codec *other;
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct ends e;

	cr_assert_eq(myelon_codec_pod(&other, &MYELON_POD_OPTS(.record = sizeof(struct note),
	                                                       .name = "other")),
	             0);
	for (uint32_t flags = 0; flags <= MYELON_TYPED_STAMPS; flags++) {
		ends_open(&e, 64, flags);
		cr_assert_eq(myelon_typed_consumer_attach(&tc, e.name,
		                                          &MYELON_ATTACH_OPTS(.id = "w"), other),
		             -EINVAL);
		cr_assert(strstr(myelon_last_error(), "schema"), "%s", myelon_last_error());
		cr_assert_eq(myelon_typed_producer_open(&tp, e.name, NULL, other), -EINVAL);
		cr_assert_eq(myelon_ring_describe(e.name, NULL, &info), 0);
		cr_assert_eq(info.consumers, 1);
		myelon_typed_producer_close(e.tp);
		cr_assert_eq(myelon_typed_producer_open(&e.tp, e.name, NULL, e.codec), 0, "%s",
		             myelon_last_error());
		send_notes(&e, 1, 1, 0);
		ends_close(&e);
	}
	cr_assert_eq(myelon_typed_consumer_attach(&tc, "nowhere", NULL, other), -ENOENT);
	myelon_codec_close(other);
}

Test(typed, bad_arguments_and_handles_of_a_parent_are_refused)
{
	struct myelon_typed_producer *tp;
	struct myelon_codec no_name = {.size = sizeof(no_name)};
	struct myelon_vector v = {0};
	struct ends e;
	int status;
	pid_t pid;

	cr_assert_eq(myelon_typed_producer_create(&tp, "x", NULL, NULL, 0), -EINVAL);
	cr_assert_eq(myelon_typed_producer_create(&tp, "x", NULL, &no_name, 0), -EINVAL);
	ends_open(&e, 64, 0);
	cr_assert_eq(
		myelon_typed_producer_create(&tp, "x", &MYELON_RING_OPTS(.schema = 4), e.codec, 0),
		-EINVAL);
	cr_assert_eq(myelon_typed_producer_create(&tp, "x", NULL, e.codec, 64), -EINVAL);
	cr_assert_eq(myelon_typed_send(NULL, &v, 0, MYELON_TRY), -EINVAL);
	cr_assert_eq(myelon_typed_recv(e.tc, NULL, NULL, MYELON_TRY, NULL), -EINVAL);
	cr_assert_eq(myelon_typed_release(e.tc, 1), -EINVAL);
	pid = fork();
	if (pid == 0)
		_exit(myelon_typed_send(e.tp, &v, 0, MYELON_TRY) == -EPERM &&
		                      myelon_typed_recv(e.tc, &v, NULL, MYELON_TRY, NULL) == -EPERM
		              ? 0
		              : 1);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	ends_close(&e);
}

static int64_t refuse(const struct myelon_codec *c, const void *object, void *buf, size_t cap)
{
	(void)c;
	(void)object;
	(void)buf;
	(void)cap;
	return myelon_codec_fail(-EINVAL, "this object cannot be %s", "encoded");
}

static int64_t bound_16(const struct myelon_codec *c, const void *object)
{
	(void)c;
	(void)object;
	return 16;
}

Test(typed, what_a_users_codec_refuses_is_not_sent_and_what_it_lacks_is_said)
{
	static const struct myelon_codec own = {.size = sizeof(own),
	                                        .alignment = 1,
	                                        .name = "own",
	                                        .schema = 77,
	                                        .bound = bound_16,
	                                        .encode = refuse};
	struct myelon_typed_producer *tp;
	struct myelon_typed_consumer *tc;
	struct myelon_inside in;
	char name[KIT_NAME];
	int x = 0;

	kit_ring_name(name, "own");
	cr_assert_eq(myelon_typed_producer_create(
			     &tp, name, &MYELON_RING_OPTS(.huge = MYELON_HUGE_OFF), &own, 0),
	             0, "%s", myelon_last_error());
	cr_assert_eq(myelon_typed_consumer_attach(&tc, name, NULL, &own), 0);
	cr_assert_eq(myelon_typed_send(tp, &x, 0, MYELON_TRY), -EINVAL);
	cr_assert_str_eq(myelon_last_error(), "this object cannot be encoded");
	cr_assert_eq(myelon_typed_recv(tc, &x, NULL, MYELON_TRY, NULL), -ENOTSUP);
	cr_assert_eq(myelon_typed_peek(tc, MYELON_TRY, &in, NULL), -ENOTSUP);
	cr_assert_eq(myelon_frame_peek(myelon_typed_consumer_frames(tc), MYELON_TRY,
	                               &(struct myelon_message){0}),
	             -EAGAIN);
	myelon_typed_consumer_close(tc);
	myelon_typed_producer_close(tp);
}

Test(typed, managed_sends_are_supervised)
{
	struct note one = note_of(1);
	struct myelon_vector v = {&one, 1};
	void *buf;
	struct ends e;

	ends_open(&e, 64, 0);
	cr_assert_eq(myelon_typed_send_managed(e.tp, &v, 0, MYELON_TRY), -EINVAL);
	cr_assert_eq(
		myelon_producer_require(
			myelon_frame_producer_ring(myelon_typed_producer_frames(e.tp)),
			&MYELON_LIVENESS_OPTS(.grace_ns = MYELON_NO_GRACE, .progress_ns = 1000000)),
		0);
	cr_assert_eq(myelon_typed_send_managed(e.tp, &v, 0, MYELON_FOREVER), 0);
	cr_assert_eq(myelon_typed_claim_managed(e.tp, 64, MYELON_FOREVER, &buf), 0);
	cr_assert_eq(myelon_typed_cancel(e.tp), 0);
	/* Nobody reads: the ring fills, and the consumer is stalled. */
	while (myelon_typed_send_batch_managed(e.tp, &v, 0, 1, 0, MYELON_FOREVER) == 1)
		;
	cr_assert_eq(myelon_typed_send_managed(e.tp, &v, 0, MYELON_FOREVER), -ETIMEDOUT);
	ends_close(&e);
}
