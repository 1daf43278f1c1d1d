/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Observers of framed rings: copies, exact losses, and nothing believed before it was proven. */
#include "frame_raw.h"

struct watch {
	struct ends e;
	struct myelon_frame_observer *fo;
};

static void watch_open(struct watch *w, uint32_t slot_size, uint32_t window)
{
	ends_open(&w->e, slot_size, window);
	cr_assert_eq(myelon_frame_observer_attach(&w->fo, w->e.name, NULL), 0, "%s",
	             myelon_last_error());
}

static void watch_close(struct watch *w)
{
	myelon_frame_observer_close(w->fo);
	ends_close(&w->e);
}

static void see(struct watch *w, size_t bytes, uint64_t tag)
{
	struct myelon_message m;
	uint64_t lost = 99;
	int rc = myelon_frame_observe(w->fo, MYELON_TRY, &m, &lost);

	cr_assert_eq(rc, 1, "%d: %s", rc, myelon_last_error());
	cr_assert_eq(lost, 0);
	cr_assert_eq(m.borrowed, 0);
	expect_pattern(&m, bytes, tag);
}

static void see_error(struct watch *w, int err, uint32_t id)
{
	struct myelon_message m;
	uint64_t lost = 99;
	int rc = myelon_frame_observe(w->fo, MYELON_TRY, &m, &lost);

	cr_assert_eq(rc, err, "%d: %s", rc, myelon_last_error());
	cr_assert_eq(m.id, id);
	cr_assert_eq(lost, 0);
}

/* Sends a message and lets the reader take it away. */
static void pass(struct watch *w, size_t bytes, uint64_t tag)
{
	cr_assert_eq(send_pattern(&w->e, bytes, tag, MYELON_TRY), 0, "%s", myelon_last_error());
	take_pattern(&w->e, bytes, tag);
}

Test(frame_observer, sees_every_message_and_gates_nobody)
{
	static const size_t sizes[] = {0, 1, 48, 49, 496, 497, 984, 100};
	struct watch w;

	watch_open(&w, 64, 16);
	for (uint64_t i = 0; i < 400; i++) {
		pass(&w, sizes[i % 8], i);
		see(&w, sizes[i % 8], i);
		see_error(&w, -EAGAIN, 0);
	}
	myelon_frame_producer_close(w.e.fp);
	see_error(&w, -EPIPE, 0);
	myelon_frame_observer_close(w.fo);
	myelon_frame_consumer_close(w.e.fc);
}

Test(frame_observer, overtaken_one_counts_its_losses_and_goes_on_at_a_message)
{
	struct myelon_message m;
	uint64_t lost, seen = 0, gone = 0;
	struct watch w;

	watch_open(&w, 64, 64);
	for (uint64_t i = 0; i < 1000; i++)
		pass(&w, 100 + i % 200, i);
	while (myelon_frame_observe(w.fo, MYELON_TRY, &m, &lost) == 1) {
		expect_pattern(&m, 100 + (m.id - 1) % 200, m.id - 1);
		gone += lost;
		seen += (m.len + 16 + 63) / 64;
	}
	cr_assert_gt(seen, 8);
	cr_assert_gt(gone, 0);
	cr_assert_eq(m.id, 0);
	cr_assert_eq((int64_t)(gone + seen - 1),
	             myelon_producer_published(myelon_frame_producer_ring(w.e.fp)));
	watch_close(&w);
}

Test(frame_observer, oldest_starts_at_a_message)
{
	struct myelon_message m;
	struct watch w;

	ends_open(&w.e, 64, 64);
	for (uint64_t i = 0; i < 100; i++)
		pass(&w, 300, i);
	cr_assert_eq(myelon_frame_observer_attach(
			     &w.fo, w.e.name, &MYELON_ATTACH_OPTS(.start = MYELON_START_OLDEST)),
	             0);
	cr_assert_eq(myelon_frame_observe(w.fo, MYELON_TRY, &m, NULL), 1);
	expect_pattern(&m, 300, m.id - 1);
	cr_assert_lt(m.id, 100);
	watch_close(&w);
}

Test(frame_observer, message_that_lost_a_part_is_reported_once)
{
	struct myelon_message m;
	uint64_t lost = 0;
	struct watch w;

	watch_open(&w, 64, 16);
	put_fragment(&w.e, 1, 0, F, 48, 100000);
	see_error(&w, -EAGAIN, 0);
	for (uint32_t i = 1; i < 200; i++) {
		put_fragment(&w.e, 1, i, 0, 48, 0);
		cr_assert_eq(myelon_frame_peek(w.e.fc, MYELON_TRY, &m), -EAGAIN);
	}
	cr_assert_eq(myelon_frame_observe(w.fo, MYELON_TRY, &m, &lost), -EBADMSG);
	cr_assert_eq(m.id, 1);
	cr_assert_gt(lost, 0);
	see_error(&w, -EAGAIN, 0);
	cr_assert_eq(send_pattern(&w.e, 48, 3, MYELON_TRY), 0);
	see(&w, 48, 3);
	watch_close(&w);
}

Test(frame_observer, message_cut_off_by_its_sender_is_reported_once)
{
	struct watch w;

	watch_open(&w, 64, 16);
	cr_assert_eq(send_pattern(&w.e, 2000, 7, myelon_deadline_after(2000000)), -ETIMEDOUT);
	expect_empty(&w.e);
	see_error(&w, -EAGAIN, 0);
	myelon_frame_producer_close(w.e.fp);
	see_error(&w, -EBADMSG, 1);
	see_error(&w, -EPIPE, 0);
	cr_assert_eq(myelon_frame_producer_open(&w.e.fp, w.e.name, NULL), 0);
	cr_assert_eq(send_pattern(&w.e, 30, 8, MYELON_TRY), 0);
	see(&w, 30, 8);
	watch_close(&w);
}

Test(frame_observer, header_that_lies_is_passed_over)
{
	struct watch w;

	watch_open(&w, 64, 16);
	put_raw(&w.e, (struct myelon_frame_header){.length = 5000, .id = 9, .flags = F | L}, 0, 3,
	        1);
	see_error(&w, -EBADMSG, 9);
	cr_assert_not_null(strstr(myelon_last_error(), "length 5000"));
	expect_bad(&w.e, 9);
	pass(&w, 100, 4);
	see(&w, 100, 4);
	watch_close(&w);
}

Test(frame_observer, limit_skips_what_is_longer)
{
	struct watch w;

	watch_open(&w, 64, 32);
	cr_assert_eq(myelon_frame_observer_limit(w.fo, 1499), 0);
	pass(&w, 1500, 4);
	see_error(&w, -EMSGSIZE, 1);
	pass(&w, 1499, 5);
	see(&w, 1499, 5);
	watch_close(&w);
}
