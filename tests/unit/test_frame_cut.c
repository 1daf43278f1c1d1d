/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Messages that do not end, and fragments that do not fit: each is reported once, the stream goes on. */
#include "frame_raw.h"

/* Sends the beginning of a message of 2000 bytes and fills the ring with it. */
static void send_half(struct ends *e)
{
	cr_assert_eq(send_pattern(e, 2000, 77, myelon_deadline_after(2000000)), -ETIMEDOUT);
}

/* A message arrives whole, and nothing else. */
static void expect_good(struct ends *e)
{
	cr_assert_eq(send_pattern(e, 48, 8, MYELON_TRY), 0, "%s", myelon_last_error());
	take_pattern(e, 48, 8);
	expect_empty(e);
}

Test(frame_cut, timed_out_send_is_reported_once_and_the_next_message_arrives)
{
	struct ends e;

	ends_open(&e, 64, 16);
	send_half(&e);
	expect_empty(&e); /* takes in what is there and keeps it */
	cr_assert_eq(send_pattern(&e, 100, 2, MYELON_TRY), 0);
	expect_bad(&e, 1);
	take_pattern(&e, 100, 2);
	expect_good(&e);
	ends_close(&e);
}

Test(frame_cut, abort_waits_for_room_and_comes_before_the_next_message)
{
	struct ends e;
	void *buf;

	ends_open(&e, 64, 16);
	send_half(&e);
	cr_assert_eq(send_pattern(&e, 1, 1, MYELON_TRY), -EAGAIN);
	cr_assert_eq(myelon_frame_claim(e.fp, 1, MYELON_TRY, &buf), -EAGAIN);
	cr_assert_eq(send_pattern(&e, 984, 1, MYELON_TRY), -EAGAIN);
	expect_empty(&e);
	cr_assert_eq(myelon_frame_claim(e.fp, 1, MYELON_TRY, &buf), 0);
	kit_fill(buf, 1, SEED, 3);
	cr_assert_eq(myelon_frame_commit(e.fp, 1, 3), 0);
	expect_bad(&e, 1);
	take_pattern(&e, 1, 3);
	expect_good(&e);
	ends_close(&e);
}

Test(frame_cut, close_in_the_middle_is_reported_before_the_end_of_the_stream)
{
	struct myelon_message m;
	struct ends e;

	ends_open(&e, 64, 16);
	send_half(&e);
	expect_empty(&e);
	myelon_frame_producer_close(e.fp);
	expect_bad(&e, 1);
	cr_assert_eq(myelon_frame_peek(e.fc, MYELON_TRY, &m), -EPIPE);
	cr_assert_eq(myelon_frame_peek(e.fc, MYELON_TRY, &m), -EPIPE);
	myelon_frame_consumer_close(e.fc);
}

Test(frame_cut, successor_ends_what_its_predecessor_left_half_sent)
{
	struct ends e;

	ends_open(&e, 64, 16);
	send_half(&e);
	myelon_frame_producer_close(e.fp); /* the ring is full: the abort has to wait */
	cr_assert_eq(myelon_frame_producer_open(&e.fp, e.name, NULL), 0);
	cr_assert_eq(myelon_frame_last_id(e.fp), 1);
	expect_empty(&e);
	cr_assert_eq(send_pattern(&e, 48, 8, MYELON_TRY), 0);
	expect_bad(&e, 1);
	take_pattern(&e, 48, 8);
	expect_good(&e);
	cr_assert_eq(myelon_frame_last_id(e.fp), 3);

	send_half(&e);
	expect_empty(&e);
	myelon_frame_producer_close(e.fp); /* there is room: the abort comes at once */
	cr_assert_eq(myelon_frame_producer_open(&e.fp, e.name, NULL), 0);
	expect_bad(&e, 4);
	expect_good(&e);
	ends_close(&e);
}

Test(frame_cut, successor_before_the_reader_saw_anything_makes_one_report)
{
	struct ends e;

	ends_open(&e, 64, 32);
	/* Twelve slots of a message, then the end of its producer. */
	put_fragment(&e, 1, 0, F, 48, 2000);
	for (uint32_t i = 1; i < 12; i++)
		put_fragment(&e, 1, i, 0, 48, 0);
	myelon_frame_producer_close(e.fp);
	cr_assert_eq(myelon_frame_producer_open(&e.fp, e.name, NULL), 0);
	cr_assert_eq(send_pattern(&e, 48, 8, MYELON_TRY), 0);
	expect_bad(&e, 1);
	take_pattern(&e, 48, 8);
	expect_empty(&e);
	ends_close(&e);
}

Test(frame_cut, successor_does_not_disturb_a_message_that_was_complete)
{
	struct ends e;

	ends_open(&e, 64, 32);
	cr_assert_eq(send_pattern(&e, 1500, 7, MYELON_TRY), 0);
	myelon_frame_producer_close(e.fp);
	cr_assert_eq(myelon_frame_producer_open(&e.fp, e.name, NULL), 0);
	take_pattern(&e, 1500, 7);
	expect_good(&e);
	ends_close(&e);
}

Test(frame_cut, partial_message_is_kept_between_calls)
{
	struct myelon_message m;
	struct ends e;

	ends_open(&e, 64, 16); /* max_frame 496 */
	put_fragment(&e, 1, 0, F, 48, 497);
	for (uint32_t i = 1; i < 10; i++) {
		cr_assert_eq(myelon_frame_peek(e.fc, i & 1 ? MYELON_TRY : 1, &m),
		             i & 1 ? -EAGAIN : -ETIMEDOUT);
		put_fragment(&e, 1, i, 0, 48, 0x6161616161616161);
	}
	expect_empty(&e);
	put_fragment(&e, 1, 10, L, 25, 0x6161616161616161);
	cr_assert_eq(myelon_frame_peek(e.fc, MYELON_TRY, &m), 1);
	cr_assert_eq(m.len, 497);
	cr_assert_eq(m.id, 1);
	cr_assert_eq(m.kind, 5);
	for (size_t i = 0; i < m.len; i++)
		cr_assert_eq(((const char *)m.data)[i], 'a');
	cr_assert_eq(myelon_frame_release(e.fc, 1), 0);
	ends_close(&e);
}

Test(frame_cut, fragment_that_does_not_follow_ends_the_message_once)
{
	static const struct {
		uint32_t id, index, length;
		unsigned int flags;
	} wrong[] = {
		{1, 2, 48, 0}, /* a gap */
		{2, 1, 48, 0}, /* another message */
		{1, 1, 48, L}, /* the last, but too little came */
	};
	struct ends e;

	ends_open(&e, 64, 16);
	for (size_t i = 0; i < 3; i++) {
		put_fragment(&e, 1, 0, F, 48, 500);
		put_fragment(&e, wrong[i].id, wrong[i].index, wrong[i].flags, wrong[i].length, 0);
		put_fragment(&e, wrong[i].id, wrong[i].index + 1, L, 48, 0);
		expect_bad(&e, 1);
		if (wrong[i].id != 1)
			expect_bad(&e, 2); /* which lost its own beginning */
		expect_empty(&e);
		expect_good(&e);
	}
	ends_close(&e);
}

Test(frame_cut, more_than_was_announced_ends_the_message)
{
	struct ends e;

	ends_open(&e, 64, 16);
	put_fragment(&e, 1, 0, F, 48, 497);
	for (uint32_t i = 1; i < 10; i++)
		put_fragment(&e, 1, i, 0, 48, 0);
	put_fragment(&e, 1, 10, L, 26, 0);
	expect_bad(&e, 1);
	expect_good(&e);
	put_fragment(&e, 1, 0, F, 48, 497);
	for (uint32_t i = 1; i < 12; i++)
		put_fragment(&e, 1, i, 0, 48, 0);
	expect_bad(&e, 1);
	expect_good(&e);
	ends_close(&e);
}

Test(frame_cut, new_first_ends_the_message_and_starts_its_own)
{
	struct myelon_message m;
	struct ends e;

	ends_open(&e, 64, 32);
	put_fragment(&e, 1, 0, F, 48, 2000);
	cr_assert_eq(send_pattern(&e, 1500, 7, MYELON_TRY), 0); /* takes id 1 as well */
	expect_bad(&e, 1);
	take_pattern(&e, 1500, 7);
	put_fragment(&e, 9, 0, F, 48, 2000);
	cr_assert_eq(send_pattern(&e, 30, 7, MYELON_TRY), 0);
	cr_assert_eq(myelon_frame_peek_batch(e.fc, &m, 1, MYELON_TRY), -EBADMSG);
	cr_assert_eq(m.id, 9);
	take_pattern(&e, 30, 7);
	expect_empty(&e);
	ends_close(&e);
}

Test(frame_cut, abort_without_a_message_is_silent)
{
	struct ends e;

	ends_open(&e, 64, 16);
	put_fragment(&e, 3, 0, MYELON_FRAME_ABORT, 0, 0);
	expect_empty(&e);
	expect_good(&e);
	ends_close(&e);
}

Test(frame_cut, resume_in_the_middle_reports_one_message)
{
	struct myelon_message m;
	struct ends e;

	ends_open(&e, 64, 16);
	put_fragment(&e, 1, 0, F, 48, 2000);
	put_fragment(&e, 1, 1, 0, 48, 0);
	expect_empty(&e);
	myelon_frame_consumer_close(e.fc);
	for (uint32_t i = 2; i < 6; i++)
		put_fragment(&e, 1, i, 0, 48, 0);
	cr_assert_eq(
		myelon_frame_consumer_attach(&e.fc, e.name, &MYELON_ATTACH_OPTS(.id = "reader")),
		0);
	expect_bad(&e, 1);
	cr_assert_eq(myelon_frame_peek(e.fc, MYELON_TRY, &m), -EAGAIN);
	put_fragment(&e, 1, 6, L, 48, 0);
	expect_empty(&e);
	expect_good(&e);
	ends_close(&e);
}

static void come_again(struct ends *e)
{
	myelon_frame_consumer_close(e->fc);
	cr_assert_eq(
		myelon_frame_consumer_attach(&e->fc, e->name, &MYELON_ATTACH_OPTS(.id = "reader")),
		0);
}

Test(frame_cut, message_that_was_put_together_and_not_released_is_reported_to_who_resumes)
{
	struct myelon_message m;
	struct ends e;

	ends_open(&e, 64, 16);
	cr_assert_eq(send_pattern(&e, 900, 1, MYELON_TRY), 0);
	cr_assert_eq(myelon_frame_peek(e.fc, MYELON_TRY, &m), 1);
	cr_assert_eq(myelon_frame_peek(e.fc, MYELON_TRY, &m), 1);
	cr_assert_eq(m.len, 900);
	come_again(&e);
	expect_bad(&e, 1);
	expect_good(&e);
	cr_assert_eq(send_pattern(&e, 900, 2, MYELON_TRY), 0);
	take_pattern(&e, 900, 2);
	come_again(&e);
	expect_empty(&e);
	cr_assert_eq(myelon_consumer_lag(myelon_frame_consumer_ring(e.fc)), 0);
	ends_close(&e);
}

Test(frame_cut, report_of_a_fragment_without_a_beginning_counts_when_the_next_call_is_made)
{
	struct ends e;

	ends_open(&e, 64, 16);
	put_fragment(&e, 1, 0, F, 48, 2000);
	expect_empty(&e);
	put_fragment(&e, 1, 1, 0, 48, 0);
	come_again(&e);
	expect_bad(&e, 1);
	/* Who was told may have died before it told anybody. */
	come_again(&e);
	expect_bad(&e, 1);
	expect_empty(&e);
	come_again(&e);
	expect_good(&e);
	ends_close(&e);
}

Test(frame_cut, message_over_the_limit_is_skipped_with_its_length)
{
	struct myelon_message m;
	struct ends e;

	ends_open(&e, 64, 32);
	cr_assert_eq(myelon_frame_consumer_limit(e.fc, 1499), 0);
	cr_assert_eq(send_pattern(&e, 1500, 7, MYELON_TRY), 0);
	cr_assert_eq(myelon_frame_peek(e.fc, MYELON_TRY, &m), -EMSGSIZE);
	cr_assert_eq(m.len, 1500);
	cr_assert_eq(m.id, 1);
	expect_good(&e);
	cr_assert_eq(send_pattern(&e, 1499, 7, MYELON_TRY), 0);
	take_pattern(&e, 1499, 7);
	ends_close(&e);
}
