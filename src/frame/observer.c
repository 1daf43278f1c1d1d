/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The side that only watches. Everything is copied and then proven not to have been overwritten
 * meanwhile; nothing of a copy is believed before that.
 */
#include <myelon/frame.h>

#include <errno.h>

#include "base/error.h"
#include "base/handle.h"
#include "frame/assembly.h"
#include "ring/ring.h"
#include "sys/sys.h"

#define FRAME_OBSERVER_MAGIC 0x6f666d31u
/* After so many overtakings in one call the oldest frame is not worth another try. */
#define LAPS_MAX 8

struct myelon_frame_observer {
	uint32_t magic;
	struct myelon_observer *ring;
	struct mye_observer *o;
	struct myelon_frame_limits limits;
	struct mye_assembly whole;
};

/* One call of observe. */
struct look {
	struct myelon_message *msg;
	uint64_t lost;
	uint32_t laps;
};

int myelon_frame_observer_attach(struct myelon_frame_observer **out, const char *name,
                                 const struct myelon_attach_opts *opts)
{
	struct myelon_frame_observer *fo;
	struct myelon_frame_limits limits;
	struct myelon_observer *ring;
	int rc;

	if (!out)
		return mye_fail_static(-EINVAL, "out is NULL");
	*out = NULL;
	rc = mye_observer_join(&ring, name, opts, MYELON_KIND_FRAMED);
	if (rc < 0)
		return rc;
	rc = mye_frame_geometry(&mye_observer_of(ring)->seg, &limits);
	fo = rc == 0 ? mye_handle_alloc(sizeof(*fo)) : NULL;
	if (!fo) {
		myelon_observer_close(ring);
		return rc < 0 ? rc : -ENOMEM;
	}
	fo->ring = ring;
	fo->o = mye_observer_of(ring);
	fo->limits = limits;
	fo->whole.limit = MYE_ASSEMBLY_LIMIT;
	fo->magic = FRAME_OBSERVER_MAGIC;
	*out = fo;
	return 0;
}

void myelon_frame_observer_close(struct myelon_frame_observer *fo)
{
	if (!fo)
		return;
	if (fo->magic == FRAME_OBSERVER_MAGIC) {
		myelon_observer_close(fo->ring);
		mye_assembly_free(&fo->whole);
	}
	fo->magic = 0;
	mye_handle_free(fo, sizeof(*fo));
}

struct myelon_observer *myelon_frame_observer_ring(struct myelon_frame_observer *fo)
{
	return fo && fo->magic == FRAME_OBSERVER_MAGIC ? fo->ring : NULL;
}

int myelon_frame_observer_limit(struct myelon_frame_observer *fo, size_t bytes)
{
	if (!fo || fo->magic != FRAME_OBSERVER_MAGIC)
		return mye_frame_not_open(fo);
	fo->whole.limit = bytes;
	return 0;
}

/* Wait for a frame; @return slots there, or an error. As in the consumer. */
static int64_t wait_frame(struct myelon_frame_observer *fo, int64_t deadline, struct look *l)
{
	struct mye_assembly *a = &fo->whole;

	if (a->state != MYE_ASSEMBLY_OPEN)
		return mye_observer_wait(fo->o, deadline);
	for (;;) {
		/* Before the look at the ring, see the consumer. */
		uint64_t epoch = mye_frame_epoch(&fo->o->seg);
		int64_t slice = deadline == MYELON_TRY ? deadline : mye_now() + MYE_CAP_NS;
		int64_t n;

		if (slice > deadline)
			slice = deadline;
		n = mye_observer_wait(fo->o, slice);
		if (n == -EPIPE || n == -EOWNERDEAD)
			return mye_assembly_cut(a, l->msg);
		if (n != -EAGAIN && n != -ETIMEDOUT)
			return n;
		if (epoch != a->epoch)
			return mye_assembly_cut(a, l->msg);
		if (slice == deadline)
			return n;
	}
}

/* Go on behind what was overwritten. @return 0, or -EBADMSG if that hit our message. */
static int overtaken(struct myelon_frame_observer *fo, struct look *l)
{
	struct mye_observer *o = fo->o;
	int64_t before = o->next;

	l->lost += mye_observer_catch_up(o);
	if (++l->laps > LAPS_MAX || o->next <= before) {
		/* Acquire: pairs with the producer's release store; only the number is used here. */
		int64_t published =
			__atomic_load_n(&o->seg.producer->hot.published, __ATOMIC_ACQUIRE);

		if (published >= o->next && published < INT64_MAX) {
			uint64_t gone = (uint64_t)published + 1 - (uint64_t)o->next;

			o->next = published + 1;
			o->lost += gone;
			l->lost += gone;
		}
	}
	return fo->whole.state == MYE_ASSEMBLY_OPEN ? mye_assembly_cut(&fo->whole, l->msg) : 0;
}

/* Copy @p bytes of the payload, from @p skip on, behind what is assembled. */
static int copy_payload(struct myelon_frame_observer *fo, uint32_t skip, uint32_t bytes)
{
	struct mye_assembly *a = &fo->whole;
	int rc = mye_assembly_grow(a, a->length + bytes);

	if (rc < 0 || bytes == 0)
		return rc;
	return mye_observer_read(fo->o, fo->o->next, MYELON_FRAME_HEADER + skip, a->buf + a->length,
	                         bytes);
}

static int pass_lie(struct myelon_frame_observer *fo, const struct myelon_frame_header *h,
                    uint64_t total, enum mye_frame_fault fault, int64_t available, struct look *l)
{
	int64_t seq = fo->o->next;
	int64_t next = mye_frame_resume(&fo->o->seg, seq, seq + available - 1);

	if (fo->whole.state == MYE_ASSEMBLY_OPEN)
		return mye_assembly_cut(&fo->whole, l->msg);
	*l->msg = (struct myelon_message){.id = h->id, .kind = h->kind, .seq = seq};
	fo->o->next = next;
	return mye_frame_fail(fault, h, total, seq, next);
}

/* Take in a sound frame. @return 1: a message is complete; 0: go on; -ESTALE: overtaken. */
static int take_frame(struct myelon_frame_observer *fo, const struct myelon_frame_header *h,
                      uint64_t total, struct look *l)
{
	struct mye_assembly *a = &fo->whole;
	int64_t seq = fo->o->next;
	uint32_t skip = 0;
	int rc = 0;

	switch (mye_assembly_take(a, h)) {
	case MYE_TAKE_CUT:
		return mye_assembly_cut(a, l->msg);
	case MYE_TAKE_STRAY:
		fo->o->next += myelon_frame_slots(&fo->limits, h->length);
		return mye_assembly_stray(h, seq, l->msg);
	case MYE_TAKE_SKIP:
		fo->o->next += myelon_frame_slots(&fo->limits, h->length);
		return 0;
	case MYE_TAKE_BEGIN:
		skip = MYE_FRAME_TOTAL;
		rc = mye_assembly_begin(a, h, total, seq, mye_frame_epoch(&fo->o->seg));
		break;
	case MYE_TAKE_WHOLE:
		/* In one piece: its length was checked, no limit holds it up. */
		a->id = h->id;
		a->index = 0;
		a->kind = h->kind;
		a->seq = seq;
		a->total = h->length;
		a->length = 0;
		break;
	case MYE_TAKE_APPEND:
		break;
	}
	if (rc < 0) {
		*l->msg = (struct myelon_message){
			.len = (size_t)total, .id = h->id, .kind = h->kind, .seq = seq};
		fo->o->next += myelon_frame_slots(&fo->limits, h->length);
		return rc;
	}
	rc = copy_payload(fo, skip, h->length - skip);
	if (rc < 0)
		return rc;
	fo->o->next += myelon_frame_slots(&fo->limits, h->length);
	return mye_assembly_added(a, h->length - skip) ? 1 : 0;
}

/* One frame: prove the header, judge it, take it in. @return as take_frame(). */
static int look_at_frame(struct myelon_frame_observer *fo, int64_t available, struct look *l)
{
	enum mye_frame_fault fault;
	struct myelon_frame_header h;
	uint64_t total = 0;
	int rc = mye_observer_read(fo->o, fo->o->next, 0, &h, sizeof(h));

	if (rc < 0)
		return rc;
	fault = mye_frame_check(&h, (uint64_t)available, &fo->limits);
	if (fault == MYE_FRAME_SOUND && h.flags == MYELON_FRAME_FIRST) {
		rc = mye_observer_read(fo->o, fo->o->next, MYELON_FRAME_HEADER, &total,
		                       sizeof(total));
		if (rc < 0)
			return rc;
		fault = mye_frame_check_total(total, &fo->limits);
	}
	if (fault != MYE_FRAME_SOUND)
		return pass_lie(fo, &h, total, fault, available, l);
	return take_frame(fo, &h, total, l);
}

static int next_message(struct myelon_frame_observer *fo, int64_t deadline, struct look *l)
{
	uint64_t passed = 0;
	int64_t from, n;
	int rc = 0;

	do {
		n = passed > fo->o->seg.header.window ? mye_frame_in_time(deadline) : 0;
		if (n == 0)
			n = wait_frame(fo, deadline, l);
		if (n < 0)
			return (int)n;
		from = fo->o->next;
		rc = n == 0 ? 0 : look_at_frame(fo, n, l);
		passed += (uint64_t)(fo->o->next - from);
		if (rc == -ESTALE)
			rc = overtaken(fo, l);
	} while (rc == 0);
	if (rc > 0)
		mye_assembly_message(&fo->whole, l->msg);
	return rc;
}

int myelon_frame_observe(struct myelon_frame_observer *fo, int64_t deadline,
                         struct myelon_message *msg, uint64_t *lost)
{
	struct look l = {.msg = msg};
	int rc;

	if (!fo || fo->magic != FRAME_OBSERVER_MAGIC)
		return mye_frame_not_open(fo);
	if (!msg)
		return mye_fail_static(-EINVAL, "msg is NULL");
	*msg = (struct myelon_message){0};
	if (fo->whole.state == MYE_ASSEMBLY_DONE)
		fo->whole.state = MYE_ASSEMBLY_IDLE;
	rc = next_message(fo, deadline, &l);
	if (lost)
		*lost = l.lost;
	return rc;
}
