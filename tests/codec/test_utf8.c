/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* UTF-8 against the table of well-formed sequences of the Unicode standard; paths of fields in sentences. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <myelon/error.h>

#include "codec/path.h"
#include "codec/utf8.h"

/* Unicode 15, table 3-7: bytes of the character at @s, 0: ill-formed. */
static uint32_t table(const unsigned char *s, size_t len)
{
	static const struct {
		uint8_t from, to, second_from, second_to, width;
	} rows[] = {
		{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (s[0] < rows[i].from || s[0] > rows[i].to)
			continue;
		if (rows[i].width > len)
			return 0;
		if (rows[i].width > 1 && (s[1] < rows[i].second_from || s[1] > rows[i].second_to))
			return 0;
		for (uint32_t k = 2; k < rows[i].width; k++)
			if (s[k] < 0x80 || s[k] > 0xbf)
				return 0;
		return rows[i].width;
	}
	return 0;
}

Test(utf8, every_scalar_value_comes_back_and_nothing_else_is_one)
{
	unsigned char s[MYE_UTF8_MAX];
	uint32_t count = 0, got;

	for (uint32_t c = 0; c < 0x120000; c++) {
		uint32_t width;

		if (!mye_utf8_is_scalar(c))
			continue;
		count++;
		width = mye_utf8_put(s, c);
		if (width != mye_utf8_size(c) || mye_utf8_width(s[0]) != width ||
		    mye_utf8_get(s, width, &got) != width || got != c ||
		    mye_utf8_get(s, width - 1, &got) != 0)
			cr_assert_fail("U+%x", c);
	}
	cr_assert_eq(count, 0x110000 - 0x800);
}

Test(utf8, sequences_are_well_formed_as_the_standards_table_says)
{
	static const unsigned char edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0xbf, 0xc0, 0xff};
	unsigned char s[MYE_UTF8_MAX];
	uint32_t c;

	for (uint32_t n = 0; n < 256 * 256 * 64; n++) {
		s[0] = (unsigned char)(n >> 14);
		s[1] = (unsigned char)(n >> 6);
		s[2] = edges[n >> 3 & 7];
		s[3] = edges[n & 7];
		for (size_t len = 1; len <= sizeof(s); len++)
			if (mye_utf8_get(s, len, &c) != table(s, len))
				cr_assert_fail("%02x %02x %02x %02x, %zu", s[0], s[1], s[2], s[3],
				               len);
	}
}

Test(utf8, the_good_part_of_a_text_ends_before_the_first_bad_character)
{
	char text[64];

	cr_assert_eq(mye_utf8_good(NULL, 0), 0);
	for (size_t at = 0; at < sizeof(text); at++) {
		memset(text, 'a', sizeof(text));
		cr_assert_eq(mye_utf8_good(text, sizeof(text)), sizeof(text));
		text[at] = (char)0xff;
		cr_assert_eq(mye_utf8_good(text, sizeof(text)), at);
		if (at + 2 <= sizeof(text)) {
			text[at] = (char)0xc3;
			text[at + 1] = (char)0xa4;
			cr_assert_eq(mye_utf8_good(text, sizeof(text)), sizeof(text));
			cr_assert_eq(mye_utf8_good(text, at + 1), at);
		}
	}
}

static const struct myelon_type top = {.name = "struct zoo", .kind = MYELON_TYPE_STRUCT};

Test(path, it_is_built_from_the_fault_outwards)
{
	struct mye_path p;
	int rc = mye_path_fail(&p, -EBADMSG, "%d bytes are missing", 7);

	rc = mye_path_field(&p, rc, "name");
	rc = mye_path_element(&p, rc, 3);
	rc = mye_path_field(&p, rc, "shapes");
	cr_assert_eq(mye_path_end(&p, rc, "bincode", &top), -EBADMSG);
	cr_assert_str_eq(myelon_last_error(), "bincode: zoo.shapes[3].name: 7 bytes are missing");
	rc = mye_path_fail(&p, -EINVAL, "no");
	cr_assert_eq(mye_path_end(&p, rc, "x", &myelon_u8), -EINVAL);
	cr_assert_str_eq(myelon_last_error(), "x: u8: no");
}

Test(path, what_is_too_long_keeps_its_inner_end)
{
	for (size_t len = 1; len < 300; len++) {
		struct mye_path p;
		char name[301] = "";

		memset(name, 'n', len);
		mye_path_fail(&p, -EINVAL, "no");
		mye_path_field(&p, -EINVAL, "inner");
		for (int i = 0; i < 100; i++)
			mye_path_field(&p, -EINVAL, name);
		mye_path_end(&p, -EINVAL, "x", &top);
		cr_assert_eq(strncmp(myelon_last_error(), "x: ...", 6), 0);
		cr_assert(strstr(myelon_last_error(), ".inner: no"), "%s", myelon_last_error());
	}
}
