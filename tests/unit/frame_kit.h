/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A framed ring with both of its ends in this process, for tests of one process. */
#ifndef TESTS_UNIT_FRAME_KIT_H
#define TESTS_UNIT_FRAME_KIT_H

#include "kit.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <myelon/frame.h>

#define SEED 42

struct ends {
	char name[KIT_NAME];
	struct myelon_frame_producer *fp;
	struct myelon_frame_consumer *fc;
};

static inline void ends_open(struct ends *e, uint32_t slot_size, uint32_t window)
{
	kit_ring_name(e->name, "frame");
	cr_assert_eq(myelon_frame_producer_create(&e->fp, e->name,
	                                          &MYELON_RING_OPTS(.slot_size = slot_size,
	                                                            .window = window,
	                                                            .huge = MYELON_HUGE_OFF)),
	             0, "%s", myelon_last_error());
	cr_assert_eq(
		myelon_frame_consumer_attach(&e->fc, e->name, &MYELON_ATTACH_OPTS(.id = "reader")),
		0, "%s", myelon_last_error());
}

static inline void ends_close(struct ends *e)
{
	myelon_frame_consumer_close(e->fc);
	myelon_frame_producer_close(e->fp);
}

/* Sends @bytes of pattern; the sequence of the pattern is @tag. */
static inline int send_pattern(struct ends *e, size_t bytes, uint64_t tag, int64_t deadline)
{
	unsigned char *buf = malloc(bytes + 1);
	int rc;

	kit_fill(buf, bytes, SEED, tag);
	rc = myelon_frame_send(e->fp, buf, bytes, (uint8_t)tag, deadline);
	free(buf);
	return rc;
}

static inline void expect_pattern(const struct myelon_message *m, size_t bytes, uint64_t tag)
{
	cr_assert_eq(m->len, bytes, "message %u has %zu bytes, not %zu", m->id, m->len, bytes);
	cr_assert_eq(m->kind, (uint8_t)tag);
	cr_assert(bytes == 0 || m->data != NULL);
	cr_assert_eq((uintptr_t)m->data % 16, 0);
	if (bytes > 0)
		cr_assert_eq(kit_check(m->data, bytes, SEED, tag), -1);
}

/* The next message is @bytes of pattern @tag; takes it away. */
static inline void take_pattern(struct ends *e, size_t bytes, uint64_t tag)
{
	struct myelon_message m;
	int rc = myelon_frame_peek(e->fc, MYELON_TRY, &m);

	cr_assert_eq(rc, 1, "%d: %s", rc, myelon_last_error());
	expect_pattern(&m, bytes, tag);
	cr_assert_eq(myelon_frame_release(e->fc, 1), 0);
}

static inline void expect_empty(struct ends *e)
{
	struct myelon_message m;

	cr_assert_eq(myelon_frame_peek(e->fc, MYELON_TRY, &m), -EAGAIN);
}

#endif
