/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The bytes of a frame and the one place that judges them. A frame is this header and its payload,
 * in myelon_frame_slots() consecutive slots that are published in one step. Readers copy the header
 * out once and check the copy; nothing is ever read twice.
 */
#ifndef MYE_FRAME_FORMAT_H
#define MYE_FRAME_FORMAT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <myelon/frame.h>

#include "segment/layout.h"

static_assert(sizeof(struct myelon_frame_header) == 16, "frame header is 16 bytes");
static_assert(offsetof(struct myelon_frame_header, id) == 4, "frame header layout");
static_assert(offsetof(struct myelon_frame_header, kind) == 8, "frame header layout");
static_assert(offsetof(struct myelon_frame_header, flags) == 9, "frame header layout");
static_assert(offsetof(struct myelon_frame_header, reserved) == 10, "frame header layout");
static_assert(offsetof(struct myelon_frame_header, index) == 12, "frame header layout");

/* A FIRST that is not LAST begins its payload with the length of the whole message. */
#define MYE_FRAME_TOTAL ((uint32_t)sizeof(uint64_t))
#define MYE_FRAME_TOTAL_MAX (1ull << 48)
/* Keeps length + header + slot arithmetic inside 32 bits. */
#define MYE_FRAME_LONGEST (UINT32_MAX - 31u)
/* The shortest max_frame with which a long message gets anywhere. */
#define MYE_FRAME_SHORTEST 16u

/* @return false if the geometry cannot carry frames. */
static inline bool mye_frame_limits_of(struct myelon_frame_limits *l, uint32_t slot_size,
                                       uint32_t window)
{
	uint64_t half = (uint64_t)(window / 2) * slot_size;

	if (slot_size == 0 || slot_size % 16 != 0 || window < 2 ||
	    half < MYELON_FRAME_HEADER + MYE_FRAME_SHORTEST)
		return false;
	half -= MYELON_FRAME_HEADER;
	l->slot_size = slot_size;
	l->shift = (slot_size & (slot_size - 1)) == 0 ? (uint32_t)__builtin_ctz(slot_size) : 0;
	l->max_frame = half < MYE_FRAME_LONGEST ? (uint32_t)half : MYE_FRAME_LONGEST;
	return true;
}

/* Slots of a message of up to MYE_FRAME_TOTAL_MAX bytes, in as many frames as it takes. */
static inline uint64_t mye_frame_slots_of(const struct myelon_frame_limits *l, uint64_t bytes)
{
	uint64_t on_wire = bytes + MYE_FRAME_TOTAL, slots;

	if (bytes <= l->max_frame)
		return myelon_frame_slots(l, (uint32_t)bytes);
	slots = on_wire / l->max_frame * myelon_frame_slots(l, l->max_frame);
	if (on_wire % l->max_frame > 0)
		slots += myelon_frame_slots(l, (uint32_t)(on_wire % l->max_frame));
	return slots;
}

/* Which field of a header lies; 0: none. */
enum mye_frame_fault {
	MYE_FRAME_SOUND = 0,
	MYE_FRAME_BAD_LENGTH,
	MYE_FRAME_BAD_FLAGS,
	MYE_FRAME_BAD_RESERVED,
	MYE_FRAME_BAD_INDEX,
	MYE_FRAME_BAD_TOTAL,
};

/*
 * Judge a private copy of a header; @p available slots are published from its slot on. A frame is
 * published whole, so one that would be longer is a lie.
 */
enum mye_frame_fault mye_frame_check(const struct myelon_frame_header *h, uint64_t available,
                                     const struct myelon_frame_limits *l);

/* Judge a private copy of the total that begins a fragmented message. */
enum mye_frame_fault mye_frame_check_total(uint64_t total, const struct myelon_frame_limits *l);

/* Record the sentence for a fault, with the value found and where reading goes on. -EBADMSG. */
int mye_frame_fail(enum mye_frame_fault fault, const struct myelon_frame_header *h, uint64_t total,
                   int64_t seq, int64_t next) __attribute__((cold));

#endif
