/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Headers that lie, field by field and at random: an error, bounded memory, and the stream goes on. */
#include "frame_raw.h"

#include <malloc.h>

#include "ring/ring.h"

struct lie {
	struct myelon_frame_header h;
	uint64_t total;
	const char *field;
};

static const struct lie lies[] = {
	{{.length = 200, .id = 7, .flags = F | L}, 0, "length 200"}, /* four slots, two published */
	{{.length = UINT32_MAX, .id = 7, .flags = F | L}, 0, "length 4294967295"},
	{{.length = UINT32_MAX - 15, .id = 7, .flags = F | L}, 0, "length 4294967280"},
	{{.length = 497, .id = 7, .flags = F | L}, 0, "length 497"},
	{{.length = 8, .id = 7, .flags = F}, 2000, "length 8"},
	{{.length = 0, .id = 7, .index = 1}, 0, "length 0"},
	{{.length = 1, .id = 7, .flags = MYELON_FRAME_ABORT}, 0, "length 1"},
	{{.length = 48, .id = 7, .flags = 7}, 0, "flags 7"},
	{{.length = 48, .id = 7, .flags = 8}, 0, "flags 8"},
	{{.length = 48, .id = 7, .flags = 0xff}, 0, "flags 255"},
	{{.length = 48, .id = 7, .flags = F | L, .reserved = 0x100}, 0, "reserved 256"},
	{{.length = 48, .id = 7, .flags = F | L, .index = 1}, 0, "index 1"},
	{{.length = 48, .id = 7}, 0, "index 0"},
	{{.length = 0, .id = 7, .flags = MYELON_FRAME_ABORT, .index = 3}, 0, "index 3"},
	{{.length = 48, .id = 7, .flags = F}, 40, "total 40"},
	{{.length = 48, .id = 7, .flags = F}, (1ull << 48) + 1, "total 281474976710657"},
	{{.length = 48, .id = 7, .flags = F}, UINT64_MAX, "total 18446744073709551615"},
};
#define LIES (sizeof(lies) / sizeof(lies[0]))

Test(frame_lies, each_field_is_named_and_the_stream_goes_on)
{
	struct ends e;

	ends_open(&e, 64, 16);
	for (size_t i = 0; i < LIES; i++) {
		put_raw(&e, lies[i].h, lies[i].total, 2, 0xff);
		expect_bad(&e, 7);
		cr_assert_not_null(strstr(myelon_last_error(), lies[i].field), "%s: %s",
		                   lies[i].field, myelon_last_error());
		expect_empty(&e);
		cr_assert_eq(send_pattern(&e, 100, i, MYELON_TRY), 0);
		take_pattern(&e, 100, i);
	}
	ends_close(&e);
}

Test(frame_lies, next_recorded_start_is_where_reading_goes_on)
{
	struct ends e;
	struct myelon_message m;

	ends_open(&e, 64, 64); /* a start is recorded every 8 slots */
	for (size_t i = 0; i < LIES; i++) {
		uint32_t id = myelon_frame_last_id(e.fp), first;

		if (lies[i].h.length == 200 || lies[i].h.length == 497)
			continue; /* its slots would be there, and nobody could tell */
		cr_assert_eq(send_pattern(&e, 100, 1, MYELON_TRY), 0);
		put_raw(&e, lies[i].h, lies[i].total, 1, 0xff);
		for (uint64_t k = 0; k < 16; k++)
			cr_assert_eq(send_pattern(&e, 100, k, MYELON_TRY), 0);
		take_pattern(&e, 100, 1);
		expect_bad(&e, 7);
		cr_assert_eq(myelon_frame_peek(e.fc, MYELON_TRY, &m), 1, "%s: %s", lies[i].field,
		             myelon_last_error());
		first = m.id - id - 2;
		cr_assert_leq(first, 5, "message %u came first", first);
		for (uint64_t k = first; k < 16; k++)
			take_pattern(&e, 100, k);
		expect_empty(&e);
	}
	ends_close(&e);
}

Test(frame_lies, open_message_and_lie_are_two_reports)
{
	struct ends e;

	ends_open(&e, 64, 16);
	put_fragment(&e, 1, 0, F, 48, 2000);
	put_raw(&e, lies[1].h, 0, 2, 0xff);
	expect_bad(&e, 1);
	expect_bad(&e, 7);
	expect_empty(&e);
	ends_close(&e);
}

Test(frame_lies, batch_ends_before_a_lie)
{
	struct myelon_message m[4];
	struct ends e;

	ends_open(&e, 64, 16);
	cr_assert_eq(send_pattern(&e, 100, 1, MYELON_TRY), 0);
	put_raw(&e, lies[1].h, 0, 2, 0xff);
	cr_assert_eq(myelon_frame_peek_batch(e.fc, m, 4, MYELON_TRY), 1);
	cr_assert_eq(myelon_frame_release(e.fc, 1), 0);
	cr_assert_eq(myelon_frame_peek_batch(e.fc, m, 4, MYELON_TRY), -EBADMSG);
	cr_assert_eq(m[0].id, 7);
	expect_empty(&e);
	ends_close(&e);
}

/* Bytes in use by malloc; 0 where another allocator took its place. */
static size_t memory_used(void)
{
	struct mallinfo2 i = mallinfo2();

	return i.uordblks + i.hblkhd;
}

Test(frame_lies, announced_total_takes_no_memory)
{
	size_t before;
	struct ends e;

	ends_open(&e, 64, 16);
	expect_empty(&e);
	before = memory_used();
	for (uint32_t i = 1; i < 100; i++) {
		put_fragment(&e, i, 0, F, 48, 1ull << 30);
		if (i > 1)
			expect_bad(&e, i - 1);
		expect_empty(&e);
		cr_assert_lt(memory_used(), before + 4096);
	}
	ends_close(&e);
}

Test(frame_lies, evicted_reader_is_told_about_both_kinds_of_messages)
{
	struct mye_consumer *c;
	struct myelon_message m;
	struct ends e;
	size_t bytes;

	for (bytes = 40; bytes <= 540; bytes += 500) {
		ends_open(&e, 64, 16);
		cr_assert_eq(send_pattern(&e, bytes, 1, MYELON_TRY), 0);
		cr_assert_eq(myelon_frame_peek(e.fc, MYELON_TRY, &m), 1);
		c = mye_consumer_of(myelon_frame_consumer_ring(e.fc));
		/* What an evictor does first. */
		c->seg.entries[c->index].hot.evicted = c->hot.generation;
		cr_assert_eq(myelon_frame_release(e.fc, 1), -ESTALE);
		ends_close(&e);
	}
}

Test(frame_lies, successor_gives_no_id_twice_behind_frames_it_cannot_believe)
{
	struct ends e;

	ends_open(&e, 64, 64);
	for (uint64_t i = 0; i < 5; i++)
		cr_assert_eq(send_pattern(&e, 30, i, MYELON_TRY), 0);
	put_raw(&e, lies[1].h, 0, 2, 0xff);
	cr_assert_eq(send_pattern(&e, 30, 5, MYELON_TRY), 0);
	myelon_frame_producer_close(e.fp);
	cr_assert_eq(myelon_frame_producer_open(&e.fp, e.name, NULL), 0);
	cr_assert_geq(myelon_frame_last_id(e.fp), 6);
	cr_assert_leq(myelon_frame_last_id(e.fp), 6 + 8);
	ends_close(&e);
}

static uint64_t state = 0x9e3779b97f4a7c15;

static uint32_t rnd(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % below;
}

/* A header whose fields are right more often than not, so that lies combine. */
static struct myelon_frame_header random_header(void)
{
	static const uint32_t lengths[] = {0, 1, 8, 9, 47, 48, 49, 112, 496, 497, UINT32_MAX};
	struct myelon_frame_header h = {
		.length = rnd(4) ? lengths[rnd(11)] : rnd(UINT32_MAX),
		.id = rnd(4),
		.kind = (uint8_t)rnd(256),
		.flags = (uint8_t)(rnd(8) ? rnd(5) : rnd(256)),
		.reserved = (uint16_t)(rnd(16) ? 0 : rnd(65536)),
		.index = rnd(8) ? rnd(3) : rnd(UINT32_MAX),
	};

	return h;
}

static void random_slots(struct ends *e)
{
	struct myelon_producer *p = myelon_frame_producer_ring(e->fp);
	uint32_t slots = 1 + rnd(8);
	struct myelon_span span;

	cr_assert_eq(myelon_claim(p, slots, MYELON_TRY, &span), 0);
	for (uint32_t i = 0; i < slots; i++) {
		struct myelon_frame_header h = random_header();
		uint64_t total = rnd(4) ? rnd(2000) : ((uint64_t)rnd(1u << 20) << rnd(40));
		char *slot = (char *)span.base + 64 * (size_t)i;

		memset(slot, (int)rnd(256), 64);
		memcpy(slot, &h, sizeof(h));
		memcpy(slot + 16, &total, sizeof(total));
	}
	cr_assert_eq(myelon_publish(p, slots), 0);
	if (rnd(8) == 0) {
		int64_t *marks = mye_producer_of(p)->seg.producer->frame_marks;

		marks[rnd(16)] = (int64_t)((uint64_t)rnd(UINT32_MAX) << rnd(33)) - 5;
	}
}

/* Reads until nothing is left: every call moves on, nothing lies outside of what was published. */
static void drain(struct ends *e, uint64_t *seen)
{
	struct myelon_consumer *c = myelon_frame_consumer_ring(e->fc);
	struct myelon_message m[4];
	volatile unsigned char sum = 0;
	int calls, n;

	for (calls = 0; calls < 64; calls++) {
		n = myelon_frame_peek_batch(e->fc, m, 1 + rnd(4), MYELON_TRY);
		if (n == -EAGAIN)
			break;
		if (n < 0) {
			cr_assert(n == -EBADMSG || n == -EMSGSIZE, "%d", n);
			continue;
		}
		for (int i = 0; i < n; i++) {
			const unsigned char *at = m[i].data, *base = c->data;

			if (m[i].borrowed && m[i].len > 0)
				cr_assert(at >= base &&
				          at + m[i].len <= base + 2 * (c->mask + 1) * 64);
			for (size_t k = 0; k < m[i].len; k++)
				sum = (unsigned char)(sum + at[k]);
			*seen += m[i].len;
		}
		cr_assert_eq(myelon_frame_release(e->fc, (uint32_t)n), 0);
	}
	cr_assert_lt(calls, 64, "the reader does not come to an end");
	cr_assert_eq(myelon_consumer_lag(c), 0);
}

Test(frame_lies, a_hundred_thousand_random_headers_do_no_harm)
{
	struct myelon_message m;
	uint64_t seen = 0;
	struct ends e;
	size_t before;

	ends_open(&e, 64, 16);
	cr_assert_eq(myelon_frame_consumer_limit(e.fc, 65536), 0);
	drain(&e, &seen);
	before = memory_used();
	for (uint64_t i = 0; i < 25000; i++) { /* times 4.5 slots with a header each */
		random_slots(&e);
		drain(&e, &seen);
		if (i % 16)
			continue;
		cr_assert_eq(send_pattern(&e, 100, i, MYELON_TRY), 0);
		if (myelon_frame_peek(e.fc, MYELON_TRY, &m) == -EBADMSG)
			cr_assert_eq(myelon_frame_peek(e.fc, MYELON_TRY, &m), 1);
		expect_pattern(&m, 100, i);
		cr_assert_eq(myelon_frame_release(e.fc, 1), 0);
	}
	cr_assert_lt(memory_used(), before + (1u << 18));
	cr_assert_gt(seen, 0);
	ends_close(&e);
}
