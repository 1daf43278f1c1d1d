/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "frame/format.h"

#include <errno.h>

#include "base/error.h"

enum mye_frame_fault mye_frame_check(const struct myelon_frame_header *h, uint64_t available,
                                     const struct myelon_frame_limits *l)
{
	bool first = (h->flags & MYELON_FRAME_FIRST) != 0;

	if (h->flags > MYELON_FRAME_ABORT)
		return MYE_FRAME_BAD_FLAGS;
	if (h->reserved != 0)
		return MYE_FRAME_BAD_RESERVED;
	if (h->flags == MYELON_FRAME_ABORT) {
		if (h->length != 0)
			return MYE_FRAME_BAD_LENGTH;
		return h->index == 0 ? MYE_FRAME_SOUND : MYE_FRAME_BAD_INDEX;
	}
	if ((h->index == 0) != first)
		return MYE_FRAME_BAD_INDEX;
	if (h->length > l->max_frame || myelon_frame_slots(l, h->length) > available)
		return MYE_FRAME_BAD_LENGTH;
	/* Only a whole message may be empty; a first fragment holds the total and something. */
	if (h->flags == MYELON_FRAME_FIRST && h->length <= MYE_FRAME_TOTAL)
		return MYE_FRAME_BAD_LENGTH;
	if (!first && h->length == 0)
		return MYE_FRAME_BAD_LENGTH;
	return MYE_FRAME_SOUND;
}

enum mye_frame_fault mye_frame_check_total(uint64_t total, const struct myelon_frame_limits *l)
{
	return total > l->max_frame && total <= MYE_FRAME_TOTAL_MAX ? MYE_FRAME_SOUND
	                                                            : MYE_FRAME_BAD_TOTAL;
}

int mye_frame_fail(enum mye_frame_fault fault, const struct myelon_frame_header *h, uint64_t total,
                   int64_t seq, int64_t next)
{
	const char *field = "length";
	uint64_t value = h->length;

	switch (fault) {
	case MYE_FRAME_BAD_FLAGS:
		field = "flags";
		value = h->flags;
		break;
	case MYE_FRAME_BAD_RESERVED:
		field = "reserved";
		value = h->reserved;
		break;
	case MYE_FRAME_BAD_INDEX:
		field = "index";
		value = h->index;
		break;
	case MYE_FRAME_BAD_TOTAL:
		field = "total";
		value = total;
		break;
	case MYE_FRAME_BAD_LENGTH:
	case MYE_FRAME_SOUND:
		break;
	}
	return mye_fail(-EBADMSG,
	                "the frame at sequence %lld (message id %u) has %s %llu, which no frame of "
	                "this ring can have; going on at sequence %lld",
	                (long long)seq, h->id, field, (unsigned long long)value, (long long)next);
}
