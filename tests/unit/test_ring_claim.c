/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* claim, publish, cancel, peek and release, in one process and without waiting. */
#include "ring_kit.h"

#include <string.h>

/* Both roles of a new ring. */
static void pair(struct myelon_producer **p, struct myelon_consumer **c,
                 const struct myelon_ring_opts *opts)
{
	char name[KIT_NAME];

	*p = ring_make(name, opts);
	*c = ring_join(name, NULL);
}

Test(claim, batch_becomes_visible_in_one_step)
{
	struct myelon_producer *p;
	struct myelon_consumer *c;
	struct myelon_span s;

	pair(&p, &c, SMALL());
	cr_ok(myelon_claim(p, 5, MYELON_TRY, &s));
	for (uint32_t i = 0; i < 5; i++) {
		kit_fill((char *)s.base + (size_t)i * 64, 64, RING_SEED, i);
		ring_expect_empty(c);
	}
	cr_assert_eq(myelon_producer_published(p), -1);
	cr_ok(myelon_publish(p, 5));
	cr_assert_eq(myelon_producer_published(p), 4);
	cr_assert_eq(myelon_consumer_lag(c), 5);
	ring_pull(c, 0, 5);
	ring_close(p, c);
}

Test(claim, wrong_counts_are_refused_and_leave_the_claim_open)
{
	struct myelon_producer *p;
	struct myelon_consumer *c;
	struct myelon_span s;

	pair(&p, &c, SMALL());
	cr_assert_eq(myelon_claim(p, 0, MYELON_TRY, &s), -EINVAL);
	cr_assert_eq(myelon_publish(p, 1), -EINVAL);
	cr_assert_eq(myelon_cancel(p), -EINVAL);
	cr_ok(myelon_claim(p, 3, MYELON_TRY, &s));
	cr_assert_eq(myelon_claim(p, 1, MYELON_TRY, &s), -EINVAL);
	cr_assert_eq(myelon_claim(p, 1, MYELON_FOREVER, &s), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "open"));
	cr_assert_eq(myelon_publish(p, 0), -EINVAL);
	cr_assert_eq(myelon_publish(p, 4), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "3"));
	ring_expect_empty(c);
	for (uint32_t i = 0; i < 3; i++)
		kit_fill((char *)s.base + (size_t)i * 64, 64, RING_SEED, i);
	cr_ok(myelon_publish(p, 3));
	cr_assert_eq(myelon_publish(p, 1), -EINVAL);
	ring_pull(c, 0, 3);
	ring_close(p, c);
}

Test(claim, more_than_the_window_is_an_error_at_once_even_on_a_full_ring)
{
	struct myelon_producer *p;
	struct myelon_consumer *c;
	struct myelon_span s;

	pair(&p, &c, SMALL());
	cr_assert_eq(myelon_claim(p, 9, MYELON_TRY, &s), -EMSGSIZE);
	cr_assert_eq(ring_fill(p), 8);
	cr_assert_eq(myelon_claim(p, 9, MYELON_FOREVER, &s), -EMSGSIZE);
	cr_assert_eq(myelon_claim(p, UINT32_MAX, MYELON_FOREVER, &s), -EMSGSIZE);
	cr_assert_not_null(strstr(myelon_last_error(), "window"));
	ring_pull(c, 0, 8);
	ring_close(p, c);
}

Test(claim, what_was_claimed_and_not_published_is_given_back)
{
	struct myelon_producer *p;
	struct myelon_consumer *c;
	struct myelon_span s;

	pair(&p, &c, SMALL());
	cr_ok(myelon_claim(p, 8, MYELON_TRY, &s));
	for (uint32_t i = 0; i < 2; i++)
		kit_fill((char *)s.base + (size_t)i * 64, 64, RING_SEED, i);
	cr_ok(myelon_publish(p, 2));
	cr_ok(myelon_claim(p, 6, MYELON_TRY, &s));
	cr_assert_eq(s.seq, 2);
	cr_ok(myelon_cancel(p));
	cr_assert_eq(myelon_producer_published(p), 1);
	ring_pull(c, 0, 2);
	ring_expect_empty(c);
	cr_ok(ring_push(p, 8));
	ring_pull(c, 2, 8);
	ring_close(p, c);
}

Test(claim, full_ring_is_eagain_or_waits_at_least_until_the_deadline)
{
	struct myelon_producer *p;
	struct myelon_consumer *c;
	struct myelon_span s;
	int64_t deadline;

	pair(&p, &c, SMALL());
	cr_assert_eq(ring_fill(p), 8);
	cr_assert_eq(myelon_claim(p, 1, MYELON_TRY, &s), -EAGAIN);
	cr_assert_eq(myelon_claim(p, 1, 1, &s), -ETIMEDOUT);
	deadline = myelon_deadline_after(20 * MS);
	cr_assert_eq(myelon_claim(p, 1, deadline, &s), -ETIMEDOUT);
	cr_assert_geq(myelon_now(), deadline);
	ring_pull(c, 0, 2);
	cr_assert_eq(myelon_claim(p, 3, MYELON_TRY, &s), -EAGAIN);
	cr_assert_eq(ring_fill(p), 2);
	ring_pull(c, 2, 8);
	ring_close(p, c);
}

Test(peek, empty_ring_is_eagain_or_waits_at_least_until_the_deadline)
{
	struct myelon_producer *p;
	struct myelon_consumer *c;
	struct myelon_view v;
	int64_t deadline;

	pair(&p, &c, SMALL());
	cr_assert_eq(myelon_peek(c, 1, MYELON_TRY, &v), -EAGAIN);
	cr_assert_eq(myelon_peek(c, 1, 1, &v), -ETIMEDOUT);
	deadline = myelon_deadline_after(20 * MS);
	cr_assert_eq(myelon_peek(c, MYELON_ALL, deadline, &v), -ETIMEDOUT);
	cr_assert_geq(myelon_now(), deadline);
	ring_close(p, c);
}

Test(peek, gives_the_same_again_until_it_is_released)
{
	struct myelon_producer *p;
	struct myelon_consumer *c;
	struct myelon_view a, b;

	pair(&p, &c, SMALL());
	cr_ok(ring_push(p, 5));
	cr_assert_eq(myelon_peek(c, MYELON_ALL, MYELON_TRY, &a), 5);
	cr_assert_eq(myelon_peek(c, MYELON_ALL, MYELON_TRY, &b), 5);
	cr_assert_eq(a.base, b.base);
	cr_assert_eq(b.seq, 0);
	cr_assert_eq(myelon_peek(c, 2, MYELON_TRY, &b), 2);
	cr_assert_eq(b.base, a.base);
	cr_ok(myelon_release(c, 1));
	cr_assert_eq(myelon_consumer_cursor(c), 0);
	cr_assert_eq(myelon_peek(c, MYELON_ALL, MYELON_TRY, &b), 4);
	cr_assert_eq(b.seq, 1);
	ring_check(&b, 64);
	cr_ok(myelon_release(c, 3));
	cr_ok(myelon_release(c, 1));
	ring_expect_empty(c);
	ring_close(p, c);
}

Test(release, wrong_counts_are_refused_and_release_nothing)
{
	struct myelon_producer *p;
	struct myelon_consumer *c;
	struct myelon_view v;

	pair(&p, &c, SMALL());
	cr_assert_eq(myelon_release(c, 1), -EINVAL);
	cr_assert_eq(myelon_peek(c, 0, MYELON_TRY, &v), -EINVAL);
	cr_ok(ring_push(p, 5));
	cr_assert_eq(myelon_release(c, 1), -EINVAL);
	cr_assert_eq(myelon_peek(c, 0, MYELON_TRY, &v), -EINVAL);
	cr_assert_eq(myelon_peek(c, 3, MYELON_TRY, &v), 3);
	cr_assert_eq(myelon_release(c, 0), -EINVAL);
	cr_assert_eq(myelon_release(c, 4), -EINVAL);
	cr_assert_eq(myelon_release(c, UINT32_MAX), -EINVAL);
	cr_assert_eq(myelon_consumer_cursor(c), -1);
	cr_assert_eq(myelon_producer_minimum(p), -1);
	cr_ok(myelon_release(c, 3));
	cr_assert_eq(myelon_release(c, 1), -EINVAL);
	cr_assert_eq(myelon_producer_minimum(p), 2);
	ring_pull(c, 3, 2);
	ring_close(p, c);
}

Test(copies, publish_copy_and_consume_copy_move_whole_slots)
{
	struct myelon_producer *p;
	struct myelon_consumer *c;
	unsigned char out[8 * 64], in[8 * 64];

	pair(&p, &c, SMALL());
	kit_fill(out, sizeof(out), 1, 1);
	cr_ok(myelon_publish_copy(p, out, 8, MYELON_TRY));
	cr_assert_eq(myelon_publish_copy(p, out, 1, MYELON_TRY), -EAGAIN);
	cr_assert_eq(myelon_publish_copy(p, out, 9, MYELON_TRY), -EMSGSIZE);
	cr_assert_eq(myelon_consume_copy(c, in, 3, MYELON_TRY), 3);
	cr_assert_eq(myelon_consume_copy(c, in + 3 * 64, 8, MYELON_TRY), 5);
	cr_assert_arr_eq(in, out, sizeof(in));
	cr_assert_eq(myelon_consume_copy(c, in, 8, MYELON_TRY), -EAGAIN);
	ring_close(p, c);
}

Test(copies, exported_twins_do_what_the_inline_functions_do)
{
	struct myelon_producer *p;
	struct myelon_consumer *c;
	struct myelon_span s;
	struct myelon_view v;
	unsigned char slot[64] = {7}, in[64] = {0};

	pair(&p, &c, SMALL());
	cr_ok(myelon_claim_fn(p, 1, MYELON_TRY, &s));
	memset(s.base, 9, 64);
	cr_ok(myelon_publish_fn(p, 1));
	cr_ok(myelon_publish_copy_fn(p, slot, 1, MYELON_TRY));
	cr_assert_eq(myelon_peek_fn(c, 1, MYELON_TRY, &v), 1);
	cr_assert_eq(((const unsigned char *)v.base)[63], 9);
	cr_ok(myelon_release_fn(c, 1));
	cr_assert_eq(myelon_consume_copy_fn(c, in, 1, MYELON_TRY), 1);
	cr_assert_arr_eq(in, slot, 64);
	cr_assert_eq(myelon_release_fn(c, 1), -EINVAL);
	ring_close(p, c);
}

/* From every offset of the ring: one flat array, the whole window if wanted. */
static void whole_window_everywhere(uint32_t slot_size, uint32_t window)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct myelon_producer *p;
	struct myelon_consumer *c;
	struct myelon_view v;

	pair(&p, &c, RING(slot_size, window));
	cr_ok(myelon_producer_info(p, &info));
	cr_assert_eq(info.window, window);
	cr_assert_geq(info.slots, window);
	cr_assert_eq(info.slots & (info.slots - 1), 0);
	cr_assert_eq(info.slots * slot_size, info.data_bytes);
	for (uint64_t offset = 0; offset < info.slots; offset++) {
		while (((uint64_t)p->next & (info.slots - 1)) != offset) {
			int64_t at = p->next;

			cr_ok(ring_push(p, 1));
			ring_pull(c, at, 1);
		}
		cr_ok(ring_push(p, window));
		cr_assert_eq(ring_push(p, 1), -EAGAIN);
		cr_assert_eq(myelon_peek(c, MYELON_ALL, MYELON_TRY, &v), (int)window);
		ring_check(&v, slot_size);
		cr_ok(myelon_release(c, window));
	}
	ring_close(p, c);
}

Test(wrap, whole_window_is_one_flat_array_at_every_offset)
{
	whole_window_everywhere(64, 64);
	whole_window_everywhere(192, 64);
	whole_window_everywhere(64, 100);
	whole_window_everywhere(1024, 3);
	whole_window_everywhere(8192, 2);
}

Test(wrap, small_slots_wrap_too)
{
	static const uint32_t sizes[] = {1, 2, 4, 8, 16, 32};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct myelon_producer *p;
		struct myelon_consumer *c;
		int64_t seq = 0;

		pair(&p, &c, RING(sizes[i], 4000));
		for (uint32_t n = 1; seq < 20000; n = n * 7 % 4001) {
			cr_ok(ring_push(p, n));
			ring_pull(c, seq, n);
			seq += n;
		}
		ring_close(p, c);
	}
}

Test(window, is_exact_for_sizes_that_are_no_power_of_two)
{
	static const uint32_t windows[] = {1, 2, 3, 5, 7, 63, 65, 1000};

	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		uint32_t window = windows[i];
		struct myelon_producer *p;
		struct myelon_consumer *c;
		int64_t seq = 0;

		pair(&p, &c, RING(64, window));
		for (int round = 0; round < 50; round++) {
			cr_assert_eq(ring_fill(p), window);
			ring_pull(c, seq, window);
			seq += window;
			cr_ok(ring_push(p, window));
			ring_pull(c, seq, window);
			seq += window;
		}
		ring_close(p, c);
	}
}

Test(window, stream_in_lock_step_with_one_slot)
{
	struct myelon_producer *p;
	struct myelon_consumer *c;

	pair(&p, &c, RING(64, 1));
	for (int64_t seq = 0; seq < 1000; seq++) {
		cr_ok(ring_push(p, 1));
		cr_assert_eq(ring_push(p, 1), -EAGAIN);
		ring_pull(c, seq, 1);
	}
	ring_close(p, c);
}

Test(close, producer_closed_in_order_is_epipe_when_all_is_read_and_stays_so)
{
	struct myelon_producer *p;
	struct myelon_consumer *c;
	struct myelon_view v;

	pair(&p, &c, SMALL());
	cr_ok(ring_push(p, 3));
	myelon_producer_close(p);
	ring_pull(c, 0, 3);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(myelon_peek(c, 1, MYELON_TRY, &v), -EPIPE);
		cr_assert_eq(myelon_peek(c, 1, MYELON_FOREVER, &v), -EPIPE);
	}
	cr_assert_eq(myelon_consumer_wait_producer(c, MYELON_TRY), -EAGAIN);
	cr_assert_eq(myelon_consumer_wait_producer(c, myelon_deadline_after(MS)), -ETIMEDOUT);
	cr_assert_gt(kit_dir_entries(kit_shm_dir()), 0);
	ring_close(NULL, c);
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0);
}

Test(close, claim_that_was_open_is_never_seen)
{
	struct myelon_producer *p;
	struct myelon_consumer *c;
	struct myelon_span s;
	struct myelon_view v;

	pair(&p, &c, SMALL());
	cr_ok(ring_push(p, 1));
	cr_ok(myelon_claim(p, 4, MYELON_TRY, &s));
	myelon_producer_close(p);
	ring_pull(c, 0, 1);
	cr_assert_eq(myelon_peek(c, 1, MYELON_FOREVER, &v), -EPIPE);
	myelon_consumer_close(c);
	myelon_producer_close(NULL);
	myelon_consumer_close(NULL);
	myelon_observer_close(NULL);
}
