/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Frames written by hand, through the ring handle: what a broken or hostile producer may publish. */
#ifndef TESTS_UNIT_FRAME_RAW_H
#define TESTS_UNIT_FRAME_RAW_H

#include "frame_kit.h"

#include "frame/format.h"

#define F MYELON_FRAME_FIRST
#define L MYELON_FRAME_LAST

/* Publishes @slots slots that begin with the header and a total; the rest is @fill. */
static inline void put_raw(struct ends *e, struct myelon_frame_header h, uint64_t total,
                           uint32_t slots, int fill)
{
	struct myelon_producer *p = myelon_frame_producer_ring(e->fp);
	struct myelon_span span;

	cr_assert_eq(myelon_claim(p, slots, MYELON_TRY, &span), 0, "%s", myelon_last_error());
	memset(span.base, fill, (size_t)slots * p->slot_size);
	memcpy(span.base, &h, sizeof(h));
	if (slots * p->slot_size > sizeof(h))
		memcpy((char *)span.base + sizeof(h), &total, sizeof(total));
	cr_assert_eq(myelon_publish(p, slots), 0);
}

/* A fragment in one slot of 64 bytes. */
static inline void put_fragment(struct ends *e, uint32_t id, uint32_t index, unsigned int flags,
                                uint32_t length, uint64_t total)
{
	struct myelon_frame_header h = {
		.length = length, .id = id, .kind = 5, .flags = (uint8_t)flags, .index = index};

	put_raw(e, h, total, 1, 'a');
}

/* The next call reports message @id as cut off, or its header as a lie. */
static inline void expect_bad(struct ends *e, uint32_t id)
{
	struct myelon_message m;
	int rc = myelon_frame_peek(e->fc, MYELON_TRY, &m);

	cr_assert_eq(rc, -EBADMSG, "%d: %s", rc, myelon_last_error());
	cr_assert_eq(m.id, id, "id %u: %s", m.id, myelon_last_error());
	cr_assert_null(m.data);
}

#endif
