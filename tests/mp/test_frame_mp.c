/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Messages between processes, some of which die. */
#include "frame_storm.h"
#include "kit.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define SEED 42

static char name[KIT_NAME];

static struct myelon_frame_producer *create(uint32_t slot_size, uint32_t window)
{
	struct myelon_frame_producer *fp;

	kit_ring_name(name, "framemp");
	cr_assert_eq(myelon_frame_producer_create(&fp, name,
	                                          &MYELON_RING_OPTS(.slot_size = slot_size,
	                                                            .window = window,
	                                                            .huge = MYELON_HUGE_OFF)),
	             0, "%s", myelon_last_error());
	return fp;
}

static struct myelon_frame_producer *take_over(void)
{
	struct myelon_frame_producer *fp;

	cr_assert_eq(myelon_frame_producer_open(&fp, name, NULL), 0, "%s", myelon_last_error());
	return fp;
}

static struct myelon_frame_consumer *attach(const char *id, enum myelon_start start)
{
	struct myelon_frame_consumer *fc;
	int rc = myelon_frame_consumer_attach(&fc, name,
	                                      &MYELON_ATTACH_OPTS(.id = id, .start = start));

	cr_assert_eq(rc, 0, "%d: %s", rc, myelon_last_error());
	return fc;
}

static void send_pattern(struct myelon_frame_producer *fp, size_t bytes, uint64_t tag)
{
	unsigned char *buf = malloc(bytes + 1);

	kit_fill(buf, bytes, SEED, tag);
	cr_assert_eq(myelon_frame_send(fp, buf, bytes, (uint8_t)tag, kit_deadline(30)), 0, "%s",
	             myelon_last_error());
	free(buf);
}

/* An actor takes the ring over and sends; all of it arrives here. */
static void stream(uint32_t slot_size, uint32_t window, const char *count, const char *bytes,
                   const char *lengths)
{
	struct myelon_frame_producer *fp = create(slot_size, window);
	struct myelon_frame_consumer *fc = attach("reader", MYELON_START_DEFAULT);
	struct myelon_message m;
	struct kit_actor a;
	uint64_t seen = 0;
	int rc;

	myelon_frame_producer_close(fp);
	cr_assert_eq(kit_spawn(&a, "frame_actor", "send", name, count, bytes, lengths, NULL), 0);
	/* Until the actor opens it, the ring is closed. */
	cr_assert_eq(
		myelon_consumer_wait_producer(myelon_frame_consumer_ring(fc), kit_deadline(20)), 0,
		"%s", myelon_last_error());
	while ((rc = myelon_frame_peek(fc, kit_deadline(30), &m)) == 1) {
		cr_assert_eq(m.id, seen + 1);
		cr_assert_eq(kit_check(m.data, m.len, SEED, seen), -1);
		cr_assert_eq(myelon_frame_release(fc, 1), 0);
		seen++;
	}
	cr_assert_eq(rc, -EPIPE, "%d: %s", rc, myelon_last_error());
	cr_assert_eq(seen, strtoull(count, NULL, 10));
	cr_assert_eq(kit_wait(&a, 10), 0);
	myelon_frame_consumer_close(fc);
}

Test(frame_mp, five_thousand_messages_of_4000_bytes_through_64_byte_slots)
{
	stream(64, 256, "5000", "4000", "fixed");
}

Test(frame_mp, messages_longer_than_the_ring_stream_through)
{
	stream(64, 64, "200", "150000", "vary");
}

Test(frame_mp, smallest_ring_carries_messages_of_any_length)
{
	stream(32, 2, "300", "300", "vary");
	stream(16, 4, "300", "300", "vary");
}

Test(frame_mp, every_reader_gets_every_message_whatever_way_it_reads)
{
	static const char *const forms[] = {"peek", "recv", "owned"};
	struct kit_page *page = kit_page_create();
	struct myelon_frame_producer *fp = create(64, 128);
	struct kit_actor a[3];
	uint64_t bytes = 0;

	for (int i = 0; i < 3; i++) {
		char index[4];

		snprintf(index, sizeof(index), "%d", i);
		cr_assert_eq(
			kit_spawn(&a[i], "frame_actor", "receive", name, index, forms[i], NULL), 0);
	}
	cr_assert(kit_barrier(page, 0, 4, 20));
	for (uint64_t i = 0; i < 1000; i++) {
		size_t n = i % 10 == 0 ? 20000 + i : i;

		send_pattern(fp, n, i);
		bytes += n;
	}
	myelon_frame_producer_close(fp);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(kit_wait(&a[i], 30), 0);
		cr_assert_eq(page->result[i].violations, 0, "%s", page->result[i].text);
		cr_assert_eq(page->result[i].count, 1000);
		cr_assert_eq(page->result[i].bytes, bytes);
	}
	kit_page_destroy(page);
}

/* Starts an actor that sends a message nobody makes room for, waits until the ring is full, kills it. */
static void kill_a_sender(struct myelon_frame_consumer *fc, int64_t full)
{
	struct kit_actor a;
	int64_t until = kit_deadline(20);

	cr_assert_eq(kit_spawn(&a, "frame_actor", "send", name, "1", "100000", "fixed", NULL), 0);
	while (myelon_consumer_lag(myelon_frame_consumer_ring(fc)) < full)
		cr_assert_lt(kit_now_ns(), until, "the sender does not come to wait for room");
	cr_assert_eq(kit_kill(&a, SIGKILL), 0);
	cr_assert_eq(kit_wait(&a, 10), -SIGKILL);
}

Test(frame_mp, sender_killed_in_the_middle_is_reported_once_and_its_successor_goes_on)
{
	struct myelon_frame_consumer *fc;
	struct myelon_frame_producer *fp = create(64, 64);
	struct myelon_message m;

	fc = attach("reader", MYELON_START_DEFAULT);
	myelon_frame_producer_close(fp);
	kill_a_sender(fc, 64);
	cr_assert_eq(myelon_frame_peek(fc, kit_deadline(20), &m), -EBADMSG);
	cr_assert_eq(m.id, 1);
	cr_assert_eq(myelon_frame_peek(fc, kit_deadline(20), &m), -EOWNERDEAD);
	fp = take_over();
	cr_assert_eq(myelon_frame_last_id(fp), 1);
	send_pattern(fp, 100, 3);
	cr_assert_eq(myelon_frame_peek(fc, kit_deadline(20), &m), 1, "%s", myelon_last_error());
	cr_assert_eq(m.id, 2);
	cr_assert_eq(kit_check(m.data, 100, SEED, 3), -1);
	cr_assert_eq(myelon_frame_release(fc, 1), 0);
	cr_assert_eq(myelon_frame_peek(fc, MYELON_TRY, &m), -EAGAIN);

	/* The same, but the successor is there before the reader looks. */
	myelon_frame_producer_close(fp);
	kill_a_sender(fc, 64);
	fp = take_over();
	cr_assert_eq(myelon_frame_peek(fc, MYELON_TRY, &m), -EAGAIN);
	send_pattern(fp, 100, 4);
	cr_assert_eq(myelon_frame_peek(fc, MYELON_TRY, &m), -EBADMSG);
	cr_assert_eq(m.id, 3);
	cr_assert_eq(myelon_frame_peek(fc, MYELON_TRY, &m), 1);
	cr_assert_eq(m.id, 4);
	myelon_frame_consumer_close(fc);
	myelon_frame_producer_close(fp);
}

Test(frame_mp, reader_that_sleeps_in_the_middle_of_a_message_is_woken_by_its_end)
{
	struct kit_page *page = kit_page_create();
	struct myelon_frame_consumer *fc;
	struct myelon_frame_producer *fp = create(64, 64);
	struct kit_actor a;

	fc = attach("slow", MYELON_START_DEFAULT); /* never reads: the sender has to stop */
	cr_assert_eq(kit_spawn(&a, "frame_actor", "blocked", name, NULL), 0);
	cr_assert(kit_await(page, 1, 1, 20));
	myelon_frame_producer_close(fp);
	kill_a_sender(fc, 64);
	myelon_frame_consumer_close(fc);
	fp = take_over();
	send_pattern(fp, 30, 9);
	cr_assert_eq(kit_wait(&a, 20), 0);
	myelon_frame_producer_close(fp);
	kit_page_destroy(page);
}

/* Reads to the end of what is there: whole ones, and reports of one that was cut off. */
static void read_all(struct myelon_frame_consumer *fc, int *whole, int *cut, uint32_t *last)
{
	struct myelon_message m;
	int rc;

	while ((rc = myelon_frame_peek(fc, kit_deadline(0.001), &m)) == 1 || rc == -EBADMSG) {
		*cut += rc == -EBADMSG;
		if (rc != 1)
			continue;
		*whole += 1;
		cr_assert_gt(m.id, *last, "id %u comes after %u", m.id, *last);
		*last = m.id;
		cr_assert_eq(kit_check(m.data, m.len, SEED, m.kind), -1);
		cr_assert_eq(myelon_frame_release(fc, 1), 0);
	}
	cr_assert(rc == -ETIMEDOUT || rc == -EPIPE || rc == -EOWNERDEAD, "%d: %s", rc,
	          myelon_last_error());
}

Test(frame_mp, sender_killed_at_every_point_leaves_one_message_or_one_report, .timeout = 120)
{
	struct myelon_frame_producer *fp = create(64, 16);
	struct myelon_frame_consumer *fc = attach("reader", MYELON_START_DEFAULT);
	int n, end = -SIGKILL, wholes = 0, cuts = 0;
	uint32_t last = 0;

	for (n = 1; end == -SIGKILL; n++) {
		int whole = 0, cut = 0;
		struct kit_actor a;
		char at[16];

		myelon_frame_producer_close(fp);
		snprintf(at, sizeof(at), "%d", n);
		setenv("MYELON_TEST_KILL_AT", at, 1);
		cr_assert_eq(kit_spawn(&a, "frame_actor", "send", name, "1", "984", "fixed", NULL),
		             0);
		unsetenv("MYELON_TEST_KILL_AT");
		end = kit_wait(&a, 10);
		if (n & 1)
			read_all(fc, &whole, &cut, &last);
		fp = take_over();
		if (n & 2)
			read_all(fc, &whole, &cut, &last);
		if (!(n & 3)) /* what it published fills the ring */
			read_all(fc, &whole, &cut, &last);
		send_pattern(fp, 40, 5);
		read_all(fc, &whole, &cut, &last);
		cr_assert_geq(whole, 1, "point %d", n);
		cr_assert_leq(whole - 1 + cut, 1, "point %d: %d whole, %d reports", n, whole, cut);
		wholes += whole - 1;
		cuts += cut;
	}
	cr_assert_eq(end, 0);
	cr_assert_gt(wholes, 0);
	cr_assert_gt(cuts, 0);
	myelon_frame_consumer_close(fc);
	myelon_frame_producer_close(fp);
}

static void storm_start(struct kit_page *page, struct kit_actor *a)
{
	kit_ring_name(name, "storm");
	cr_assert_eq(kit_spawn(a, "frame_actor", "storm", name, NULL), 0);
	cr_assert(kit_await(page, 1, 1, 20));
}

static void storm_stop(struct kit_page *page, struct kit_actor *a)
{
	kit_set(page, 2, 1);
	cr_assert_eq(kit_wait(a, 30), 0);
	kit_page_destroy(page);
}

Test(frame_mp, oldest_joiner_never_takes_payload_for_a_header)
{
	struct kit_page *page = kit_page_create();
	struct kit_actor a;

	storm_start(page, &a);
	for (int i = 0; i < 1500; i++) {
		struct myelon_frame_consumer *fc =
			attach(NULL, i % 8 ? MYELON_START_OLDEST : MYELON_START_LATEST);
		struct myelon_message m;
		uint32_t last = 0;

		for (int k = 0; k < 4; k++) {
			int rc = myelon_frame_peek(fc, kit_deadline(20), &m);

			cr_assert_eq(rc, 1, "%d: %s", rc, myelon_last_error());
			cr_assert(storm_true(&m), "join %d: id %u kind %u length %zu", i, m.id,
			          m.kind, m.len);
			cr_assert(last == 0 || m.id == last + 1);
			last = m.id;
			cr_assert_eq(myelon_frame_release(fc, 1), 0);
		}
		myelon_frame_consumer_close(fc);
	}
	storm_stop(page, &a);
}

Test(frame_mp, observer_never_takes_payload_for_a_header)
{
	struct kit_page *page = kit_page_create();
	struct kit_actor a;
	uint64_t lost, gone = 0;

	storm_start(page, &a);
	for (int i = 0; i < 400; i++) {
		struct myelon_frame_observer *fo;
		struct myelon_message m;
		uint32_t last = 0;

		cr_assert_eq(myelon_frame_observer_attach(
				     &fo, name, &MYELON_ATTACH_OPTS(.start = MYELON_START_OLDEST)),
		             0, "%s", myelon_last_error());
		for (int k = 0; k < 100; k++) {
			int rc = myelon_frame_observe(fo, kit_deadline(20), &m, &lost);

			cr_assert_eq(rc, 1, "%d: %s", rc, myelon_last_error());
			cr_assert(storm_true(&m), "id %u kind %u length %zu", m.id, m.kind, m.len);
			cr_assert(last == 0 || lost > 0 || m.id == last + 1);
			last = m.id;
			gone += lost;
		}
		myelon_frame_observer_close(fo);
	}
	cr_log_info("%lu slots were lost to observers", (unsigned long)gone);
	storm_stop(page, &a);
}
