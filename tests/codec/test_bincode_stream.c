/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* bincode's writer and reader: the same bytes as the codec's, errors that stay, views of what is borrowed. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <myelon/bincode.h>
#include <myelon/error.h>

#include "bincode_golden.h"

/* The zoo of the Rust program, by hand. */
static void put_zoo(struct myelon_bincode_writer *w)
{
	static const uint32_t counts[] = {0, 250, 251, 65535, 65536, UINT32_MAX};
	static const uint16_t triple[] = {1, 255, 65535};

	myelon_bincode_put_bool(w, true);
	myelon_bincode_put_u8(w, 0xfe);
	myelon_bincode_put_u16(w, 251);
	myelon_bincode_put_u32(w, 0x12345678);
	myelon_bincode_put_u64(w, UINT64_MAX);
	myelon_bincode_put_i8(w, -5);
	myelon_bincode_put_i16(w, -126);
	myelon_bincode_put_i32(w, INT32_MIN);
	myelon_bincode_put_i64(w, INT64_MAX);
	myelon_bincode_put_f32(w, 1.5f);
	myelon_bincode_put_f64(w, -0.1);
	myelon_bincode_put_char(w, 0x2603);
	myelon_bincode_put_string(w,
	                          "gr\xc3\xbc\xc3\x9f"
	                          "e",
	                          7);
	myelon_bincode_put_bytes(w, "\0\xfa\xfb\xff", 4);
	myelon_bincode_put_len(w, 6);
	myelon_bincode_put_run(w, MYELON_TYPE_U32, counts, 6);
	myelon_bincode_put_len(w, 3);
	myelon_bincode_put_string(w, NULL, 0);
	myelon_bincode_put_string(w, "a", 1);
	myelon_bincode_put_string(w, "\xf0\x9f\x98\x80", 4);
	myelon_bincode_put_len(w, 2);
	myelon_bincode_put_i32(w, 1);
	myelon_bincode_put_i32(w, -1);
	myelon_bincode_put_f32(w, 0.25f);
	myelon_bincode_put_i32(w, 125);
	myelon_bincode_put_i32(w, -126);
	myelon_bincode_put_f32(w, -2.0f);
	myelon_bincode_put_option(w, true);
	myelon_bincode_put_u64(w, 250);
	myelon_bincode_put_option(w, false);
	myelon_bincode_put_run(w, MYELON_TYPE_U16, triple, 3);
	myelon_bincode_put_i32(w, 0);
	myelon_bincode_put_i32(w, 32767);
	myelon_bincode_put_f32(w, 3.0f);
	myelon_bincode_put_variant(w, 2);
	myelon_bincode_put_string(w, "hex", 3);
	myelon_bincode_put_u32(w, 6);
}

static void expect_prefix(enum myelon_bincode_encoding encoding, const void *bytes, size_t len)
{
	struct myelon_bincode_writer w;
	unsigned char buf[1024];
	int64_t n;

	myelon_bincode_writer_init(&w, buf, sizeof(buf), encoding);
	put_zoo(&w);
	n = myelon_bincode_written(&w);
	cr_assert(n > 0 && (size_t)n < len, "%lld", (long long)n);
	cr_assert_eq(memcmp(buf, bytes, (size_t)n), 0);
	/* Into less than that it does not fit, and not a byte is written behind. */
	for (size_t cap = 0; cap < (size_t)n; cap++) {
		memset(buf, 0xcc, sizeof(buf));
		myelon_bincode_writer_init(&w, buf, cap, encoding);
		put_zoo(&w);
		cr_assert_eq(myelon_bincode_written(&w), -EMSGSIZE);
		for (size_t i = cap; i < cap + 16; i++)
			cr_assert_eq(buf[i], 0xcc);
	}
}

Test(bincode_stream, the_writer_writes_the_bytes_of_rust)
{
	expect_prefix(MYELON_BINCODE_FIXED, zoo_fixed, sizeof(zoo_fixed));
	expect_prefix(MYELON_BINCODE_VARINT, zoo_varint, sizeof(zoo_varint));
}

#define EXPECT(get, want)                                                                          \
	do {                                                                                       \
		cr_assert_eq((get), 0, "%s", myelon_last_error());                                 \
		cr_assert(want);                                                                   \
	} while (0)

static void read_numbers(struct myelon_bincode_reader *r)
{
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	int8_t i8;
	int16_t i16;
	int32_t i32;
	int64_t i64;
	float f32;
	double f64;
	bool flag;

	EXPECT(myelon_bincode_get_bool(r, &flag), flag);
	EXPECT(myelon_bincode_get_u8(r, &u8), u8 == 0xfe);
	EXPECT(myelon_bincode_get_u16(r, &u16), u16 == 251);
	EXPECT(myelon_bincode_get_u32(r, &u32), u32 == 0x12345678);
	EXPECT(myelon_bincode_get_u64(r, &u64), u64 == UINT64_MAX);
	EXPECT(myelon_bincode_get_i8(r, &i8), i8 == -5);
	EXPECT(myelon_bincode_get_i16(r, &i16), i16 == -126);
	EXPECT(myelon_bincode_get_i32(r, &i32), i32 == INT32_MIN);
	EXPECT(myelon_bincode_get_i64(r, &i64), i64 == INT64_MAX);
	EXPECT(myelon_bincode_get_f32(r, &f32), f32 == 1.5f);
	EXPECT(myelon_bincode_get_f64(r, &f64), f64 == -0.1);
	EXPECT(myelon_bincode_get_char(r, &u32), u32 == 0x2603);
}

static void read_zoo(enum myelon_bincode_encoding encoding, const unsigned char *bytes, size_t len)
{
	struct myelon_bincode_reader r;
	uint32_t counts[6], index;
	float floats[3];
	int32_t x;
	const void *data;
	const char *text;
	size_t n;
	bool present;

	myelon_bincode_reader_init(&r, bytes, len, encoding);
	read_numbers(&r);
	EXPECT(myelon_bincode_get_string(&r, &text, &n), n == 7 && memcmp(text, "gr", 2) == 0);
	cr_assert((const unsigned char *)text > bytes && (const unsigned char *)text < bytes + len);
	EXPECT(myelon_bincode_get_bytes(&r, &data, &n), n == 4 && memcmp(data, "\0\xfa", 2) == 0);
	EXPECT(myelon_bincode_get_len(&r, 1, &n), n == 6);
	EXPECT(myelon_bincode_get_run(&r, MYELON_TYPE_U32, counts, n), counts[4] == 65536);
	EXPECT(myelon_bincode_get_len(&r, 1, &n), n == 3);
	for (size_t i = 0; i < 3; i++)
		EXPECT(myelon_bincode_get_string(&r, &text, &n), n == i * i);
	EXPECT(myelon_bincode_get_len(&r, 6, &n), n == 2);
	for (int i = 0; i < 2; i++) {
		myelon_bincode_get_i32(&r, &x);
		myelon_bincode_get_i32(&r, &x);
		myelon_bincode_get_run(&r, MYELON_TYPE_F32, floats, 1);
	}
	cr_assert(x == -126 && floats[0] == -2.0f);
	EXPECT(myelon_bincode_get_option(&r, &present), present);
	EXPECT(myelon_bincode_get_u64(&r, &(uint64_t){0}), true);
	EXPECT(myelon_bincode_get_option(&r, &present), !present);
	EXPECT(myelon_bincode_get_run(&r, MYELON_TYPE_U16, &(uint16_t[3]){0}, 3), true);
	myelon_bincode_get_i32(&r, &x);
	EXPECT(myelon_bincode_get_i32(&r, &x), x == 32767);
	EXPECT(myelon_bincode_get_f32(&r, floats), floats[0] == 3.0f);
	EXPECT(myelon_bincode_get_variant(&r, 3, &index), index == 2);
	EXPECT(myelon_bincode_get_string(&r, &text, &n), n == 3);
	EXPECT(myelon_bincode_get_u32(&r, &index), index == 6);
	cr_assert_gt(myelon_bincode_left(&r), 0);
	cr_assert_eq(myelon_bincode_read_all(&r), -EBADMSG);
}

Test(bincode_stream, the_reader_reads_the_bytes_of_rust)
{
	read_zoo(MYELON_BINCODE_FIXED, zoo_fixed, sizeof(zoo_fixed));
	read_zoo(MYELON_BINCODE_VARINT, zoo_varint, sizeof(zoo_varint));
}

Test(bincode_stream, wide_numbers_come_back)
{
	static const uint64_t halves[] = {0, 1, 250, 251, 1ull << 63, UINT64_MAX};
	struct myelon_bincode_writer w;
	struct myelon_bincode_reader r;
	unsigned char buf[64];
	uint64_t low, high;
	int64_t top;

	for (uint32_t encoding = 0; encoding < 2; encoding++)
		for (int i = 0; i < 36; i++) {
			uint64_t l = halves[i % 6], h = halves[i / 6];

			myelon_bincode_writer_init(&w, buf, sizeof(buf), encoding);
			myelon_bincode_put_u128(&w, l, h);
			myelon_bincode_put_i128(&w, l, (int64_t)h);
			myelon_bincode_reader_init(&r, buf, (size_t)myelon_bincode_written(&w),
			                           encoding);
			EXPECT(myelon_bincode_get_u128(&r, &low, &high), low == l && high == h);
			EXPECT(myelon_bincode_get_i128(&r, &low, &top),
			       low == l && top == (int64_t)h);
			cr_assert_eq(myelon_bincode_read_all(&r), 0);
		}
}

Test(bincode_stream, the_writers_first_error_stays)
{
	struct myelon_bincode_writer w;
	unsigned char buf[8];

	myelon_bincode_writer_init(&w, buf, sizeof(buf), MYELON_BINCODE_FIXED);
	cr_assert_eq(myelon_bincode_put_u32(&w, 1), 0);
	cr_assert_eq(myelon_bincode_put_u64(&w, 1), -EMSGSIZE);
	cr_assert_str_eq(myelon_last_error(),
	                 "bincode writer: the value does not fit behind byte 4 of 8");
	cr_assert_eq(myelon_bincode_put_u8(&w, 1), -EMSGSIZE);
	cr_assert_eq(myelon_bincode_put_char(&w, 0xd800), -EMSGSIZE);
	cr_assert_eq(myelon_bincode_written(&w), -EMSGSIZE);
	myelon_bincode_writer_init(&w, NULL, 0, MYELON_BINCODE_VARINT);
	cr_assert_eq(myelon_bincode_put_run(&w, MYELON_TYPE_U64, NULL, 0), 0);
	cr_assert_eq(myelon_bincode_written(&w), 0);
	cr_assert_eq(myelon_bincode_put_u8(&w, 1), -EMSGSIZE);
	myelon_bincode_writer_init(&w, buf, sizeof(buf), MYELON_BINCODE_VARINT);
	cr_assert_eq(myelon_bincode_put_char(&w, 0xd800), -EINVAL);
	myelon_bincode_writer_init(&w, buf, sizeof(buf), MYELON_BINCODE_VARINT);
	cr_assert_eq(myelon_bincode_put_string(&w, "a\xff", 2), -EINVAL);
	myelon_bincode_writer_init(&w, buf, sizeof(buf), MYELON_BINCODE_VARINT);
	cr_assert_eq(myelon_bincode_put_run(&w, MYELON_TYPE_STRING, buf, 1), -EINVAL);
}

Test(bincode_stream, the_readers_first_error_stays_and_values_are_zero)
{
	struct myelon_bincode_reader r;
	const void *data = &r;
	const char *text = "x";
	uint32_t u32 = 7;
	uint64_t u64 = 7;
	size_t n = 7;

	myelon_bincode_reader_init(&r, "abc", 3, MYELON_BINCODE_FIXED);
	cr_assert_eq(myelon_bincode_get_u32(&r, &u32), -EBADMSG);
	cr_assert_str_eq(myelon_last_error(),
	                 "bincode reader: 4 bytes needed at byte 0, 3 are left");
	cr_assert_eq(u32, 0);
	cr_assert_eq(myelon_bincode_get_u8(&r, &(uint8_t){0}), -EBADMSG);
	cr_assert_eq(myelon_bincode_get_u64(&r, &u64), -EBADMSG);
	cr_assert_eq(myelon_bincode_get_bytes(&r, &data, &n), -EBADMSG);
	cr_assert_eq(myelon_bincode_get_string(&r, &text, &n), -EBADMSG);
	cr_assert(u64 == 0 && data == NULL && text == NULL && n == 0);
	cr_assert_eq(myelon_bincode_read_all(&r), -EBADMSG);
	myelon_bincode_reader_init(&r, NULL, 0, MYELON_BINCODE_VARINT);
	cr_assert_eq(myelon_bincode_read_all(&r), 0);
	cr_assert_eq(myelon_bincode_get_u64(&r, &u64), -EBADMSG);
	myelon_bincode_reader_init(&r, "\2a\xff", 3, MYELON_BINCODE_VARINT);
	cr_assert_eq(myelon_bincode_get_string(&r, &text, &n), -EBADMSG);
	cr_assert(text == NULL && n == 0);
	cr_assert_str_eq(myelon_last_error(), "bincode reader: the text is not UTF-8 at byte 2");
	myelon_bincode_reader_init(&r, "\375\377\377\377\377\377\377\377\377", 9,
	                           MYELON_BINCODE_VARINT);
	cr_assert_eq(myelon_bincode_get_len(&r, 8, &n), -EBADMSG);
	cr_assert_eq(n, 0);
	myelon_bincode_reader_init(&r, "\3", 1, MYELON_BINCODE_VARINT);
	cr_assert_eq(myelon_bincode_get_variant(&r, 3, &u32), -EBADMSG);
}
