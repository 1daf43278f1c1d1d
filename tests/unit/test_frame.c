/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Sending and receiving messages, both ends in one process. */
#include "frame_kit.h"

/* Does it fit the ring at once? Only such can one process send itself without waiting. */
static bool fits(uint32_t slot_size, uint32_t window, size_t max_frame, size_t bytes)
{
	size_t on_wire = bytes + 8, rest = on_wire % max_frame;

	return bytes <= max_frame ||
	       on_wire / max_frame * (window / 2) +
	                       (rest ? (rest + 16 + slot_size - 1) / slot_size : 0) <=
	               window;
}

static void round_trip(struct ends *e, uint32_t slot_size, uint32_t window)
{
	size_t max = myelon_frame_producer_max_frame(e->fp);
	const size_t sizes[] = {0,
	                        1,
	                        15,
	                        16,
	                        17,
	                        37,
	                        max - 1,
	                        max,
	                        max + 1,
	                        2 * max - 8,
	                        max + 9,
	                        100,
	                        slot_size,
	                        slot_size + 1,
	                        2 * slot_size - 16,
	                        (size_t)slot_size - 16,
	                        (size_t)slot_size - 15,
	                        (size_t)slot_size - 1};
	uint32_t id = myelon_frame_last_id(e->fp);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (!fits(slot_size, window, max, sizes[i]))
			continue;
		cr_assert_eq(send_pattern(e, sizes[i], i, MYELON_TRY), 0, "%zu bytes: %s", sizes[i],
		             myelon_last_error());
		cr_assert_eq(myelon_frame_last_id(e->fp), ++id);
		take_pattern(e, sizes[i], i);
		expect_empty(e);
	}
}

Test(frame, round_trip_of_every_size_around_slot_and_frame_boundaries)
{
	static const uint32_t slots[] = {16, 32, 64, 192, 1024};
	static const uint32_t windows[] = {2, 3, 4, 7, 16, 64};

	for (size_t s = 0; s < 5; s++)
		for (size_t w = 0; w < 6; w++) {
			struct ends e;

			if (slots[s] * (windows[w] / 2) < 32)
				continue; /* carries no frames */
			ends_open(&e, slots[s], windows[w]);
			/* Again and again, so that every frame crosses the end of the data. */
			for (int i = 0; i < 20; i++)
				round_trip(&e, slots[s], windows[w]);
			ends_close(&e);
		}
}

Test(frame, geometry_that_cannot_carry_frames_is_refused_before_anything_is_made)
{
	struct myelon_frame_producer *fp;
	int files = kit_dir_entries(kit_shm_dir());

	cr_assert_eq(myelon_frame_producer_create(&fp, "bad", &MYELON_RING_OPTS(.slot_size = 8)),
	             -EINVAL);
	cr_assert_null(fp);
	cr_assert_not_null(strstr(myelon_last_error(), "slot_size 8"));
	cr_assert_eq(myelon_frame_producer_create(&fp, "bad", &MYELON_RING_OPTS(.window = 1)),
	             -EINVAL);
	cr_assert_eq(myelon_frame_producer_create(&fp, "bad",
	                                          &MYELON_RING_OPTS(.slot_size = 16, .window = 2)),
	             -EINVAL);
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), files);
}

Test(frame, raw_and_framed_rings_do_not_mix)
{
	struct myelon_consumer *c;
	struct myelon_frame_consumer *fc;
	struct myelon_producer *p;
	struct ends e;

	ends_open(&e, 64, 16);
	cr_assert_eq(myelon_consumer_attach(&c, e.name, NULL), -EPROTO);
	ends_close(&e);
	kit_ring_name(e.name, "raw");
	cr_assert_eq(myelon_producer_create(&p, e.name, &MYELON_RING_OPTS(.huge = MYELON_HUGE_OFF)),
	             0);
	cr_assert_eq(myelon_frame_consumer_attach(&fc, e.name, NULL), -EPROTO);
	myelon_producer_close(p);
}

Test(frame, claim_is_built_in_place_and_commit_may_shrink)
{
	struct ends e;
	struct myelon_message m;
	void *buf, *again;

	ends_open(&e, 64, 16);
	cr_assert_eq(myelon_frame_claim(e.fp, 400, MYELON_TRY, &buf), 0);
	cr_assert_eq((uintptr_t)buf % 16, 0);
	cr_assert_eq(myelon_frame_claim(e.fp, 1, MYELON_TRY, &again), -EINVAL);
	cr_assert_eq(myelon_frame_send(e.fp, "x", 1, 0, MYELON_TRY), -EINVAL);
	kit_fill(buf, 70, SEED, 9);
	cr_assert_eq(myelon_frame_commit(e.fp, 401, 9), -EINVAL);
	expect_empty(&e);
	cr_assert_eq(myelon_frame_commit(e.fp, 70, 9), 0);
	cr_assert_eq(myelon_frame_commit(e.fp, 70, 9), -EINVAL);
	cr_assert_eq(myelon_producer_published(myelon_frame_producer_ring(e.fp)), 1);
	cr_assert_eq(myelon_frame_peek(e.fc, MYELON_TRY, &m), 1);
	expect_pattern(&m, 70, 9);
	cr_assert_eq(m.borrowed, 1);
	cr_assert_eq(m.seq, 0);
	cr_assert_eq(myelon_frame_release(e.fc, 1), 0);
	cr_assert_eq(myelon_frame_claim(e.fp, 0, MYELON_TRY, &buf), 0);
	cr_assert_not_null(buf);
	cr_assert_eq(myelon_frame_commit(e.fp, 0, 3), 0);
	take_pattern(&e, 0, 3);
	cr_assert_eq(myelon_frame_claim(e.fp, 497, MYELON_TRY, &buf), -EMSGSIZE);
	ends_close(&e);
}

Test(frame, cancel_leaves_nothing_and_takes_no_id)
{
	struct ends e;
	void *buf;

	ends_open(&e, 64, 16);
	cr_assert_eq(myelon_frame_cancel(e.fp), -EINVAL);
	cr_assert_eq(myelon_frame_claim(e.fp, 300, MYELON_TRY, &buf), 0);
	memset(buf, 0xff, 300);
	cr_assert_eq(myelon_frame_cancel(e.fp), 0);
	expect_empty(&e);
	cr_assert_eq(send_pattern(&e, 5, 5, MYELON_TRY), 0);
	cr_assert_eq(myelon_frame_last_id(e.fp), 1);
	take_pattern(&e, 5, 5);
	ends_close(&e);
}

Test(frame, claim_ended_through_the_ring_handle_is_noticed)
{
	struct ends e;
	void *buf;

	ends_open(&e, 64, 16);
	cr_assert_eq(myelon_frame_claim(e.fp, 10, MYELON_TRY, &buf), 0);
	cr_assert_eq(myelon_cancel(myelon_frame_producer_ring(e.fp)), 0);
	cr_assert_eq(myelon_frame_commit(e.fp, 10, 1), -EINVAL);
	expect_empty(&e);
	cr_assert_eq(send_pattern(&e, 5, 5, MYELON_TRY), 0);
	take_pattern(&e, 5, 5);
	ends_close(&e);
}

Test(frame, second_peek_gives_the_same_until_release)
{
	struct ends e;
	struct myelon_message a, b;

	ends_open(&e, 64, 16);
	for (size_t bytes = 40; bytes <= 540; bytes += 500) { /* in place, and reassembled */
		cr_assert_eq(myelon_frame_release(e.fc, 1), -EINVAL);
		cr_assert_eq(send_pattern(&e, bytes, 1, MYELON_TRY), 0);
		cr_assert_eq(myelon_frame_peek(e.fc, MYELON_TRY, &a), 1);
		cr_assert_eq(myelon_frame_peek(e.fc, MYELON_TRY, &b), 1);
		cr_assert_eq(a.data, b.data);
		cr_assert_eq(a.id, b.id);
		cr_assert_eq(a.borrowed, bytes == 40);
		expect_pattern(&b, bytes, 1);
		cr_assert_eq(myelon_frame_release(e.fc, 0), -EINVAL);
		cr_assert_eq(myelon_frame_release(e.fc, 2), -EINVAL);
		cr_assert_eq(myelon_frame_release(e.fc, 1), 0);
		cr_assert_eq(myelon_frame_release(e.fc, 1), -EINVAL);
		expect_empty(&e);
	}
	ends_close(&e);
}

Test(frame, batch_gives_whole_messages_and_a_fragmented_one_alone)
{
	static const size_t sizes[] = {10, 0, 100, 48, 600, 7, 8};
	struct ends e;
	struct myelon_message m[8];

	ends_open(&e, 64, 32);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(send_pattern(&e, sizes[i], i, MYELON_TRY), 0);
	cr_assert_eq(myelon_frame_peek_batch(e.fc, m, 0, MYELON_TRY), -EINVAL);
	cr_assert_eq(myelon_frame_peek_batch(e.fc, m, 3, MYELON_TRY), 3);
	cr_assert_eq(myelon_frame_release(e.fc, 2), 0);
	cr_assert_eq(myelon_frame_release(e.fc, 2), -EINVAL);
	cr_assert_eq(myelon_frame_peek_batch(e.fc, m, 8, MYELON_TRY), 2);
	expect_pattern(&m[0], 100, 2);
	expect_pattern(&m[1], 48, 3);
	cr_assert_eq(myelon_frame_release(e.fc, 1), 0);
	cr_assert_eq(myelon_frame_release(e.fc, 1), 0);
	cr_assert_eq(send_pattern(&e, 1200, 4, MYELON_TRY), 0);
	cr_assert_eq(myelon_frame_peek_batch(e.fc, m, 8, MYELON_TRY), 1);
	expect_pattern(&m[0], 1200, 4);
	cr_assert_eq(m[0].borrowed, 0);
	for (size_t i = 5; i < 7; i++)
		cr_assert_eq(send_pattern(&e, sizes[i], i, MYELON_TRY), 0);
	cr_assert_eq(myelon_frame_peek_batch(e.fc, m, 8, MYELON_TRY), 1);
	cr_assert_eq(myelon_frame_release(e.fc, 1), 0);
	cr_assert_eq(myelon_frame_peek_batch(e.fc, m, 8, MYELON_TRY), 2);
	expect_pattern(&m[1], 8, 6);
	cr_assert_eq(myelon_frame_release(e.fc, 2), 0);
	expect_empty(&e);
	ends_close(&e);
}

Test(frame, batch_is_limited_and_goes_on)
{
	struct ends e;
	struct myelon_message *m = calloc(1000, sizeof(*m));

	ends_open(&e, 16, 1024);
	for (uint64_t i = 0; i < 1000; i++)
		cr_assert_eq(myelon_frame_send(e.fp, NULL, 0, (uint8_t)i, MYELON_TRY), 0);
	for (uint32_t i = 0; i < 1000;) {
		int n = myelon_frame_peek_batch(e.fc, m, 1000, MYELON_TRY);
		uint32_t left = 1000 - i;

		cr_assert_eq((uint32_t)n,
		             left < MYELON_FRAME_BATCH_MAX ? left : MYELON_FRAME_BATCH_MAX);
		for (int k = 0; k < n; k++)
			cr_assert_eq(m[k].id, ++i);
		cr_assert_eq(myelon_frame_release(e.fc, (uint32_t)n), 0);
	}
	ends_close(&e);
	free(m);
}

Test(frame, gather_joins_the_pieces)
{
	unsigned char buf[700];
	struct iovec iov[] = {{NULL, 0}, {buf, 1},         {buf + 1, 99},    {buf + 100, 0},
	                      {NULL, 0}, {buf + 100, 400}, {buf + 500, 200}, {NULL, 0}};
	struct iovec absurd[] = {{buf, SIZE_MAX}, {buf, 2}};
	struct ends e;

	ends_open(&e, 64, 32);
	kit_fill(buf, sizeof(buf), SEED, 1);
	cr_assert_eq(myelon_frame_sendv(e.fp, iov, 8, 1, MYELON_TRY), 0);
	take_pattern(&e, 700, 1);
	cr_assert_eq(myelon_frame_sendv(e.fp, iov, 3, 1, MYELON_TRY), 0);
	take_pattern(&e, 100, 1);
	cr_assert_eq(myelon_frame_sendv(e.fp, NULL, 0, 2, MYELON_TRY), 0);
	take_pattern(&e, 0, 2);
	cr_assert_eq(myelon_frame_sendv(e.fp, NULL, 1, 1, MYELON_TRY), -EINVAL);
	cr_assert_eq(myelon_frame_sendv(e.fp, iov, -1, 1, MYELON_TRY), -EINVAL);
	iov[0].iov_len = 1;
	cr_assert_eq(myelon_frame_sendv(e.fp, iov, 2, 1, MYELON_TRY), -EINVAL);
	cr_assert_eq(myelon_frame_sendv(e.fp, absurd, 2, 1, MYELON_TRY), -EMSGSIZE);
	cr_assert_eq(myelon_frame_send(e.fp, buf, SIZE_MAX, 1, MYELON_TRY), -EMSGSIZE);
	cr_assert_eq(myelon_frame_send(e.fp, NULL, 1, 1, MYELON_TRY), -EINVAL);
	expect_empty(&e);
	ends_close(&e);
}

Test(frame, fragments_of_pieces_are_joined_too)
{
	unsigned char *buf = malloc(1800);
	struct iovec iov[60];
	struct ends e;

	ends_open(&e, 64, 32);
	kit_fill(buf, 1800, SEED, 1);
	for (int i = 0; i < 60; i++)
		iov[i] = (struct iovec){buf + 30 * i, 30};
	cr_assert_eq(myelon_frame_sendv(e.fp, iov, 60, 1, MYELON_TRY), 0);
	take_pattern(&e, 1800, 1);
	ends_close(&e);
	free(buf);
}

Test(frame, buffer_that_is_too_small_keeps_the_message)
{
	unsigned char buf[600];
	struct myelon_message m;
	struct ends e;

	ends_open(&e, 64, 16);
	for (size_t bytes = 100; bytes <= 600; bytes += 500) {
		cr_assert_eq(send_pattern(&e, bytes, 4, MYELON_TRY), 0);
		cr_assert_eq(myelon_frame_recv(e.fc, buf, bytes - 1, MYELON_TRY, &m), -EMSGSIZE);
		cr_assert_eq(m.len, bytes);
		cr_assert_eq(myelon_frame_recv(e.fc, NULL, 1000, MYELON_TRY, &m), -EMSGSIZE);
		cr_assert_eq(myelon_frame_recv(e.fc, buf, bytes, MYELON_TRY, &m), 1);
		cr_assert_eq(m.data, buf);
		cr_assert_eq(m.borrowed, 0);
		cr_assert_eq(kit_check(buf, bytes, SEED, 4), -1);
		expect_empty(&e);
	}
	cr_assert_eq(send_pattern(&e, 0, 4, MYELON_TRY), 0);
	cr_assert_eq(myelon_frame_recv(e.fc, NULL, 0, MYELON_TRY, &m), 1);
	cr_assert_eq(m.len, 0);
	ends_close(&e);
}

Test(frame, owned_message_outlives_the_ring)
{
	static const size_t sizes[] = {0, 37, 496, 700};
	struct myelon_message m[4];
	struct ends e;

	ends_open(&e, 64, 16);
	for (size_t i = 0; i < 4; i++) {
		cr_assert_eq(send_pattern(&e, sizes[i], i, MYELON_TRY), 0);
		cr_assert_eq(myelon_frame_recv_owned(e.fc, MYELON_TRY, &m[i]), 1);
	}
	cr_assert_eq(myelon_frame_recv_owned(e.fc, MYELON_TRY, &(struct myelon_message){0}),
	             -EAGAIN);
	ends_close(&e);
	for (size_t i = 0; i < 4; i++) {
		expect_pattern(&m[i], sizes[i], i);
		myelon_message_free(&m[i]);
		cr_assert_null(m[i].data);
	}
	myelon_message_free(NULL);
}

Test(frame, full_ring_answers_try_and_deadline)
{
	struct ends e;
	void *buf;

	ends_open(&e, 64, 16);
	for (uint64_t i = 0; i < 16; i++)
		cr_assert_eq(send_pattern(&e, 48, i, MYELON_TRY), 0);
	cr_assert_eq(send_pattern(&e, 48, 99, MYELON_TRY), -EAGAIN);
	cr_assert_eq(myelon_frame_claim(e.fp, 1, MYELON_TRY, &buf), -EAGAIN);
	cr_assert_eq(send_pattern(&e, 48, 99, myelon_deadline_after(1000000)), -ETIMEDOUT);
	cr_assert_eq(send_pattern(&e, 600, 99, MYELON_TRY), -EAGAIN);
	for (uint64_t i = 0; i < 16; i++)
		take_pattern(&e, 48, i);
	expect_empty(&e);
	ends_close(&e);
}

Test(frame, try_of_a_fragmented_message_sends_all_or_nothing)
{
	struct ends e;

	ends_open(&e, 64, 16); /* max_frame 496 */
	cr_assert_eq(send_pattern(&e, 984, 1, MYELON_TRY), 0);
	take_pattern(&e, 984, 1);
	cr_assert_eq(send_pattern(&e, 985, 2, MYELON_TRY), -EMSGSIZE);
	cr_assert_eq(send_pattern(&e, 1, 3, MYELON_TRY), 0);
	cr_assert_eq(send_pattern(&e, 984, 4, MYELON_TRY), -EAGAIN);
	take_pattern(&e, 1, 3);
	expect_empty(&e);
	cr_assert_eq(send_pattern(&e, 984, 5, MYELON_TRY), 0);
	take_pattern(&e, 984, 5);
	ends_close(&e);
}

Test(frame, inner_handles_answer_queries)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct ends e;

	ends_open(&e, 64, 16);
	cr_assert_eq(myelon_producer_info(myelon_frame_producer_ring(e.fp), &info), 0);
	cr_assert_eq(info.kind, MYELON_KIND_FRAMED);
	cr_assert_str_eq(myelon_consumer_id(myelon_frame_consumer_ring(e.fc)), "reader");
	myelon_consumer_interrupt(myelon_frame_consumer_ring(e.fc));
	cr_assert_eq(myelon_frame_peek(e.fc, MYELON_FOREVER, &(struct myelon_message){0}),
	             -ECANCELED);
	ends_close(&e);
	cr_assert_null(myelon_frame_producer_ring(NULL));
	cr_assert_eq(myelon_frame_send(NULL, "", 0, 0, MYELON_TRY), -EINVAL);
	cr_assert_eq(myelon_frame_peek(NULL, MYELON_TRY, &(struct myelon_message){0}), -EINVAL);
	myelon_frame_producer_close(NULL);
	myelon_frame_consumer_close(NULL);
	myelon_frame_observer_close(NULL);
}

static int use_in_child(void *arg)
{
	struct ends *e = arg;
	struct myelon_message m;
	void *buf;

	if (myelon_frame_send(e->fp, "x", 1, 0, MYELON_TRY) != -EPERM)
		return 1;
	if (myelon_frame_claim(e->fp, 1, MYELON_TRY, &buf) != -EPERM ||
	    myelon_frame_commit(e->fp, 1, 0) != -EPERM || myelon_frame_cancel(e->fp) != -EPERM)
		return 2;
	if (myelon_frame_peek(e->fc, MYELON_TRY, &m) != -EPERM ||
	    myelon_frame_release(e->fc, 1) != -EPERM)
		return 3;
	if (myelon_frame_producer_ring(e->fp) || myelon_frame_consumer_ring(e->fc))
		return 4;
	ends_close(e);
	return 0;
}

Test(frame, forked_child_is_told_and_changes_nothing)
{
	struct kit_actor a;
	struct ends e;

	ends_open(&e, 64, 16);
	cr_assert_eq(send_pattern(&e, 30, 1, MYELON_TRY), 0);
	cr_assert_eq(kit_fork(&a, use_in_child, &e), 0);
	cr_assert_eq(kit_wait(&a, 10), 0);
	take_pattern(&e, 30, 1);
	cr_assert_eq(send_pattern(&e, 30, 2, MYELON_TRY), 0);
	take_pattern(&e, 30, 2);
	ends_close(&e);
}

Test(frame, closed_ring_is_read_to_its_end)
{
	struct myelon_message m;
	struct ends e;

	ends_open(&e, 64, 16);
	cr_assert_eq(send_pattern(&e, 30, 1, MYELON_TRY), 0);
	myelon_frame_producer_close(e.fp);
	take_pattern(&e, 30, 1);
	cr_assert_eq(myelon_frame_peek(e.fc, MYELON_FOREVER, &m), -EPIPE);
	cr_assert_eq(myelon_frame_peek(e.fc, MYELON_TRY, &m), -EPIPE);
	myelon_frame_consumer_close(e.fc);
}

Test(frame, ids_go_on_after_a_takeover)
{
	struct ends e;
	struct myelon_message m;

	ends_open(&e, 64, 16);
	for (uint64_t i = 0; i < 3; i++)
		cr_assert_eq(send_pattern(&e, 30, i, MYELON_TRY), 0);
	myelon_frame_producer_close(e.fp);
	cr_assert_eq(myelon_frame_producer_open(&e.fp, e.name, NULL), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_frame_last_id(e.fp), 3);
	cr_assert_eq(send_pattern(&e, 30, 3, MYELON_TRY), 0);
	for (uint32_t i = 0; i < 4; i++) {
		cr_assert_eq(myelon_frame_peek(e.fc, MYELON_TRY, &m), 1);
		cr_assert_eq(m.id, i + 1);
		cr_assert_eq(myelon_frame_release(e.fc, 1), 0);
	}
	ends_close(&e);
}
