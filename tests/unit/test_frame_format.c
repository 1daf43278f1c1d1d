/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The judgement over frame headers, as a function. */
#include "kit.h"

#include <criterion/criterion.h>

#include "frame/format.h"

static const struct myelon_frame_header whole = {.length = 100, .id = 7, .kind = 1, .flags = 3};

static struct myelon_frame_limits limits(uint32_t slot_size, uint32_t window)
{
	struct myelon_frame_limits l;

	cr_assert(mye_frame_limits_of(&l, slot_size, window));
	return l;
}

Test(frame_limits, max_frame_is_half_the_window_less_the_header)
{
	cr_assert_eq(limits(64, 1024).max_frame, 64 * 512 - 16);
	cr_assert_eq(limits(64, 1025).max_frame, 64 * 512 - 16);
	cr_assert_eq(limits(32, 2).max_frame, 16);
	cr_assert_eq(limits(16, 4).max_frame, 16);
	cr_assert_eq(limits(1u << 30, 1u << 20).max_frame, UINT32_MAX - 31);
}

Test(frame_limits, geometry_that_cannot_carry_frames_is_refused)
{
	struct myelon_frame_limits l;

	cr_assert_not(mye_frame_limits_of(&l, 8, 1024));
	cr_assert_not(mye_frame_limits_of(&l, 0, 1024));
	cr_assert_not(mye_frame_limits_of(&l, 40, 1024));
	cr_assert_not(mye_frame_limits_of(&l, 64, 1));
	cr_assert_not(mye_frame_limits_of(&l, 16, 2));
	cr_assert_not(mye_frame_limits_of(&l, 16, 3));
}

Test(frame_limits, slots_are_the_ceiling_of_header_and_payload)
{
	static const uint32_t sizes[] = {16, 32, 64, 192, 320, 4096, 65536};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct myelon_frame_limits l = limits(sizes[i], 1024);

		for (uint64_t n = 0; n < 4ull * sizes[i]; n++)
			cr_assert_eq(myelon_frame_slots(&l, (uint32_t)n),
			             (n + 16 + sizes[i] - 1) / sizes[i]);
		cr_assert_eq(myelon_frame_slots(&l, l.max_frame), 512);
	}
	cr_assert_eq(myelon_frame_slots(&(struct myelon_frame_limits){.slot_size = 64, .shift = 6},
	                                MYE_FRAME_LONGEST),
	             (MYE_FRAME_LONGEST + 16ull + 63) / 64);
}

Test(frame_check, each_field_that_lies_is_named)
{
	struct myelon_frame_limits l = limits(64, 16); /* max_frame 496 */
	struct myelon_frame_header h = whole;

	cr_assert_eq(mye_frame_check(&h, 2, &l), MYE_FRAME_SOUND);
	cr_assert_eq(mye_frame_check(&h, 1, &l), MYE_FRAME_BAD_LENGTH);
	h.length = 497;
	cr_assert_eq(mye_frame_check(&h, 16, &l), MYE_FRAME_BAD_LENGTH);
	h.length = UINT32_MAX;
	cr_assert_eq(mye_frame_check(&h, UINT64_MAX, &l), MYE_FRAME_BAD_LENGTH);
	h = whole;
	h.reserved = 1;
	cr_assert_eq(mye_frame_check(&h, 2, &l), MYE_FRAME_BAD_RESERVED);
	h = whole;
	h.index = 1;
	cr_assert_eq(mye_frame_check(&h, 2, &l), MYE_FRAME_BAD_INDEX);
	for (unsigned int flags = 5; flags < 256; flags++) {
		h = whole;
		h.flags = (uint8_t)flags;
		cr_assert_eq(mye_frame_check(&h, 2, &l), MYE_FRAME_BAD_FLAGS, "flags %u", flags);
	}
}

Test(frame_check, fragments_have_an_index_and_something_in_them)
{
	struct myelon_frame_limits l = limits(64, 16);
	struct myelon_frame_header h = {.length = 9, .id = 1, .flags = MYELON_FRAME_FIRST};

	cr_assert_eq(mye_frame_check(&h, 1, &l), MYE_FRAME_SOUND);
	h.length = 8; /* the total and nothing else */
	cr_assert_eq(mye_frame_check(&h, 1, &l), MYE_FRAME_BAD_LENGTH);
	h = (struct myelon_frame_header){.length = 1, .id = 1, .index = 1};
	cr_assert_eq(mye_frame_check(&h, 1, &l), MYE_FRAME_SOUND);
	h.flags = MYELON_FRAME_LAST;
	cr_assert_eq(mye_frame_check(&h, 1, &l), MYE_FRAME_SOUND);
	h.length = 0;
	cr_assert_eq(mye_frame_check(&h, 1, &l), MYE_FRAME_BAD_LENGTH);
	h = (struct myelon_frame_header){.length = 1, .id = 1};
	cr_assert_eq(mye_frame_check(&h, 1, &l), MYE_FRAME_BAD_INDEX);
	h = (struct myelon_frame_header){.id = 1, .flags = MYELON_FRAME_ABORT};
	cr_assert_eq(mye_frame_check(&h, 1, &l), MYE_FRAME_SOUND);
	h.length = 1;
	cr_assert_eq(mye_frame_check(&h, 1, &l), MYE_FRAME_BAD_LENGTH);
}

Test(frame_check, total_is_more_than_one_frame_and_not_absurd)
{
	struct myelon_frame_limits l = limits(64, 16);

	cr_assert_eq(mye_frame_check_total(496, &l), MYE_FRAME_BAD_TOTAL);
	cr_assert_eq(mye_frame_check_total(497, &l), MYE_FRAME_SOUND);
	cr_assert_eq(mye_frame_check_total(1ull << 48, &l), MYE_FRAME_SOUND);
	cr_assert_eq(mye_frame_check_total((1ull << 48) + 1, &l), MYE_FRAME_BAD_TOTAL);
	cr_assert_eq(mye_frame_check_total(UINT64_MAX, &l), MYE_FRAME_BAD_TOTAL);
}

Test(frame_check, the_fast_test_agrees_with_the_full_one)
{
	struct myelon_frame_limits l = limits(64, 16);
	struct myelon_frame_header h;

	for (uint64_t i = 0; i < 200000; i++) {
		uint64_t available = i % 18;
		bool full;

		kit_fill(&h, sizeof(h), 1, i);
		h.length %= i & 1 ? 600 : UINT32_MAX;
		h.flags &= i & 2 ? 3 : 7;
		h.reserved = i & 4 ? 0 : h.reserved;
		h.index = i & 8 ? 0 : h.index;
		full = mye_frame_check(&h, available, &l) == MYE_FRAME_SOUND && h.flags == 3;
		cr_assert_eq(myelon_frame_is_whole_(&h, available, &l), full);
	}
}
