/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The read side: whole messages in place, fragmented ones put together in memory of the handle. */
#include <myelon/frame.h>

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/handle.h"
#include "frame/assembly.h"
#include "ring/ring.h"
#include "sys/sys.h"

#define FRAME_CONSUMER_MAGIC 0x63666d31u

struct myelon_frame_consumer {
	uint32_t magic;
	uint32_t held;     /* messages of the last peek that were not released */
	uint32_t first;    /* the first of them, in ends */
	uint32_t released; /* slots of the last peek that were released */
	struct myelon_consumer *ring;
	const struct mye_segment *seg;
	struct mye_frame_limits limits;
	struct mye_assembly whole;
	uint32_t ends[MYELON_FRAME_BATCH_MAX]; /* slots from the peek up to the end of each */
};

int myelon_frame_consumer_attach(struct myelon_frame_consumer **out, const char *name,
                                 const struct myelon_attach_opts *opts)
{
	struct myelon_frame_consumer *fc;
	struct mye_frame_limits limits;
	struct myelon_consumer *ring;
	int rc;

	if (!out)
		return mye_fail_static(-EINVAL, "out is NULL");
	*out = NULL;
	rc = mye_consumer_join(&ring, name, opts, MYELON_KIND_FRAMED);
	if (rc < 0)
		return rc;
	rc = mye_frame_geometry(&mye_consumer_of(ring)->seg, &limits);
	fc = rc == 0 ? mye_handle_alloc(sizeof(*fc)) : NULL;
	if (!fc) {
		myelon_consumer_close(ring);
		return rc < 0 ? rc : -ENOMEM;
	}
	fc->ring = ring;
	fc->seg = &mye_consumer_of(ring)->seg;
	fc->limits = limits;
	fc->whole.limit = MYE_ASSEMBLY_LIMIT;
	fc->magic = FRAME_CONSUMER_MAGIC;
	*out = fc;
	return 0;
}

void myelon_frame_consumer_close(struct myelon_frame_consumer *fc)
{
	if (!fc)
		return;
	if (fc->magic == FRAME_CONSUMER_MAGIC) {
		myelon_consumer_close(fc->ring);
		mye_assembly_free(&fc->whole);
	}
	fc->magic = 0;
	mye_handle_free(fc, sizeof(*fc));
}

struct myelon_consumer *myelon_frame_consumer_ring(struct myelon_frame_consumer *fc)
{
	return fc && fc->magic == FRAME_CONSUMER_MAGIC ? fc->ring : NULL;
}

int myelon_frame_consumer_limit(struct myelon_frame_consumer *fc, size_t bytes)
{
	if (!fc || fc->magic != FRAME_CONSUMER_MAGIC)
		return mye_frame_not_open(fc);
	fc->whole.limit = bytes;
	return 0;
}

static inline void borrow(struct myelon_message *msg, const struct mye_frame_header *h,
                          const unsigned char *frame, int64_t seq)
{
	/* Also of an empty message: choosing would make every read of a payload wait for its header. */
	msg->data = frame + MYE_FRAME_HEADER;
	msg->len = h->length;
	msg->id = h->id;
	msg->kind = h->kind;
	msg->borrowed = 1;
	msg->reserved = 0;
	msg->seq = seq;
}

/* Wait for a frame. A message that is open ends with its producer. */
static int wait_frame(struct myelon_frame_consumer *fc, int64_t deadline, struct myelon_view *view,
                      struct myelon_message *msg)
{
	struct mye_assembly *a = &fc->whole;

	if (a->state != MYE_ASSEMBLY_OPEN)
		return myelon_peek(fc->ring, MYELON_ALL, deadline, view);
	for (;;) {
		/* Before the look at the ring: if that finds nothing under a new epoch, the rest of
		 * our message was never published. */
		uint64_t epoch = mye_frame_epoch(fc->seg);
		int64_t slice = deadline == MYELON_TRY ? deadline : mye_now() + MYE_CAP_NS;
		int rc;

		if (slice > deadline)
			slice = deadline;
		rc = myelon_peek(fc->ring, MYELON_ALL, slice, view);
		if (rc == -EPIPE || rc == -EOWNERDEAD)
			return mye_assembly_cut(a, msg);
		if (rc != -EAGAIN && rc != -ETIMEDOUT)
			return rc;
		if (epoch != a->epoch)
			return mye_assembly_cut(a, msg);
		if (slice == deadline)
			return rc;
	}
}

/* Pass over a header that lies: its length is no guide to the next one, so a recorded start is. */
static int pass_lie(struct myelon_frame_consumer *fc, const struct myelon_view *view,
                    const struct mye_frame_header *h, uint64_t total, enum mye_frame_fault fault,
                    struct myelon_message *msg)
{
	int64_t end = view->seq + view->count;
	int64_t next = mye_frame_resume(fc->seg, view->seq, end - 1);
	int rc;

	if (fc->whole.state == MYE_ASSEMBLY_OPEN)
		return mye_assembly_cut(&fc->whole, msg);
	*msg = (struct myelon_message){.id = h->id, .kind = h->kind, .seq = view->seq};
	rc = myelon_release(fc->ring, (uint32_t)(next - view->seq));
	return rc < 0 ? rc : mye_frame_fail(fault, h, total, view->seq, next);
}

/* Copy a fragment behind the others and give its slots back. @return 1: that was the last; 0. */
static int add_fragment(struct myelon_frame_consumer *fc, const unsigned char *payload,
                        uint32_t bytes, uint32_t slots)
{
	struct mye_assembly *a = &fc->whole;
	int rc = mye_assembly_grow(a, a->length + bytes);

	if (rc < 0)
		return rc;
	memcpy(a->buf + a->length, payload, bytes);
	rc = myelon_release(fc->ring, slots);
	if (rc < 0) {
		a->state = MYE_ASSEMBLY_IDLE;
		return rc;
	}
	return mye_assembly_added(a, bytes) ? 1 : 0;
}

/* What a sound frame that is no whole message means. @return 1: ours is done; 0: go on. */
static int take_frame(struct myelon_frame_consumer *fc, const struct myelon_view *view,
                      const struct mye_frame_header *h, uint64_t total, enum mye_take take,
                      struct myelon_message *msg)
{
	const unsigned char *payload = (const unsigned char *)view->base + MYE_FRAME_HEADER;
	uint32_t slots = mye_frame_slots(&fc->limits, h->length);
	int rc, over;

	switch (take) {
	case MYE_TAKE_BEGIN:
		over = mye_assembly_begin(&fc->whole, h, total, view->seq,
		                          mye_frame_epoch(fc->seg));
		if (over == 0)
			return add_fragment(fc, payload + MYE_FRAME_TOTAL,
			                    h->length - MYE_FRAME_TOTAL, slots);
		*msg = (struct myelon_message){
			.len = (size_t)total, .id = h->id, .kind = h->kind, .seq = view->seq};
		rc = myelon_release(fc->ring, slots);
		return rc < 0 ? rc : over;
	case MYE_TAKE_APPEND:
		return add_fragment(fc, payload, h->length, slots);
	case MYE_TAKE_SKIP:
		return myelon_release(fc->ring, slots);
	case MYE_TAKE_STRAY:
		rc = myelon_release(fc->ring, slots);
		return rc < 0 ? rc : mye_assembly_stray(h, view->seq, msg);
	case MYE_TAKE_CUT:
	case MYE_TAKE_WHOLE:
		break;
	}
	return mye_assembly_cut(&fc->whole, msg);
}

/* Everything but the common case. */
static int __attribute__((noinline))
peek_slow(struct myelon_frame_consumer *fc, int64_t deadline, struct myelon_message *msg)
{
	uint64_t passed = 0;

	*msg = (struct myelon_message){0};
	fc->held = 0;
	while (fc->whole.state != MYE_ASSEMBLY_DONE) {
		enum mye_frame_fault fault;
		struct mye_frame_header h;
		struct myelon_view view = {0};
		enum mye_take take;
		uint64_t total = 0;
		int rc;

		rc = passed > fc->seg->header.window ? mye_frame_in_time(deadline) : 0;
		if (rc == 0)
			rc = wait_frame(fc, deadline, &view, msg);
		if (rc < 0)
			return rc;
		/* Success of peek means that there is something. */
		if (!view.base)
			return -EPROTO;
		memcpy(&h, view.base, sizeof(h));
		fault = mye_frame_check(&h, view.count, &fc->limits);
		if (fault == MYE_FRAME_SOUND && h.flags == MYE_FRAME_FIRST) {
			memcpy(&total, (const unsigned char *)view.base + MYE_FRAME_HEADER,
			       sizeof(total));
			fault = mye_frame_check_total(total, &fc->limits);
		}
		if (fault != MYE_FRAME_SOUND)
			return pass_lie(fc, &view, &h, total, fault, msg);
		take = mye_assembly_take(&fc->whole, &h);
		if (take == MYE_TAKE_WHOLE) {
			fc->ends[0] = mye_frame_slots(&fc->limits, h.length);
			borrow(msg, &h, view.base, view.seq);
			break;
		}
		rc = take_frame(fc, &view, &h, total, take, msg);
		if (rc < 0)
			return rc;
		passed += mye_frame_slots(&fc->limits, h.length);
	}
	if (fc->whole.state == MYE_ASSEMBLY_DONE)
		mye_assembly_message(&fc->whole, msg);
	fc->first = 0;
	fc->released = 0;
	fc->held = 1;
	return 1;
}

int myelon_frame_peek_batch(struct myelon_frame_consumer *fc, struct myelon_message *msgs,
                            uint32_t max, int64_t deadline)
{
	struct mye_frame_header h;
	struct myelon_view view;
	uint32_t at = 0, n = 0;
	int rc;

	if (__builtin_expect(!fc || fc->magic != FRAME_CONSUMER_MAGIC, 0))
		return mye_frame_not_open(fc);
	if (__builtin_expect(!msgs || max == 0, 0))
		return mye_fail_static(-EINVAL, "there is no room for a message: msgs is NULL or "
		                                "max is 0");
	if (__builtin_expect(fc->whole.state != MYE_ASSEMBLY_IDLE, 0))
		return peek_slow(fc, deadline, msgs);
	if (max > MYELON_FRAME_BATCH_MAX)
		max = MYELON_FRAME_BATCH_MAX;
	fc->held = 0;
	rc = myelon_peek(fc->ring, MYELON_ALL, deadline, &view);
	if (__builtin_expect(rc < 0, 0)) {
		*msgs = (struct myelon_message){0};
		return rc;
	}
	do {
		const unsigned char *frame =
			(const unsigned char *)view.base + (size_t)at * fc->limits.slot_size;

		memcpy(&h, frame, sizeof(h));
		if (__builtin_expect(!mye_frame_is_whole(&h, view.count - at, &fc->limits), 0))
			break;
		borrow(&msgs[n], &h, frame, view.seq + at);
		at += mye_frame_slots(&fc->limits, h.length);
		fc->ends[n++] = at;
	} while (n < max && at < view.count);
	if (__builtin_expect(n == 0, 0))
		return peek_slow(fc, deadline, msgs);
	fc->whole.skipping = false;
	fc->first = 0;
	fc->released = 0;
	fc->held = n;
	return (int)n;
}

int myelon_frame_peek(struct myelon_frame_consumer *fc, int64_t deadline,
                      struct myelon_message *msg)
{
	struct mye_frame_header h;
	struct myelon_view view;
	int rc;

	if (__builtin_expect(!fc || fc->magic != FRAME_CONSUMER_MAGIC || !msg ||
	                             fc->whole.state != MYE_ASSEMBLY_IDLE,
	                     0))
		return myelon_frame_peek_batch(fc, msg, 1, deadline);
	rc = myelon_peek(fc->ring, MYELON_ALL, deadline, &view);
	if (__builtin_expect(rc < 0, 0)) {
		fc->held = 0;
		*msg = (struct myelon_message){0};
		return rc;
	}
	memcpy(&h, view.base, sizeof(h));
	if (__builtin_expect(!mye_frame_is_whole(&h, view.count, &fc->limits), 0))
		return peek_slow(fc, deadline, msg);
	borrow(msg, &h, view.base, view.seq);
	fc->ends[0] = mye_frame_slots(&fc->limits, h.length);
	fc->whole.skipping = false;
	fc->first = 0;
	fc->released = 0;
	fc->held = 1;
	return 1;
}

int myelon_frame_release(struct myelon_frame_consumer *fc, uint32_t n)
{
	uint32_t end, slots;

	if (__builtin_expect(!fc || fc->magic != FRAME_CONSUMER_MAGIC, 0))
		return mye_frame_not_open(fc);
	if (__builtin_expect(n - 1u >= fc->held, 0))
		return mye_fail(-EINVAL, "release of %u messages, but the last peek left %u", n,
		                fc->held);
	fc->held -= n;
	if (__builtin_expect(fc->whole.state == MYE_ASSEMBLY_DONE, 0)) {
		/* Its slots went back while it was put together; only the verdict is left. */
		fc->whole.state = MYE_ASSEMBLY_IDLE;
		if (__atomic_load_n(fc->ring->evicted, __ATOMIC_RELAXED) >= fc->ring->generation)
			return myelon_release_slow(fc->ring, 0);
		return 0;
	}
	fc->first += n;
	end = fc->ends[fc->first - 1];
	slots = end - fc->released;
	fc->released = end;
	return myelon_release(fc->ring, slots);
}

int myelon_frame_recv(struct myelon_frame_consumer *fc, void *buf, size_t cap, int64_t deadline,
                      struct myelon_message *msg)
{
	int rc = myelon_frame_peek_batch(fc, msg, 1, deadline);

	if (rc < 0)
		return rc;
	if (msg->len > cap || (msg->len > 0 && !buf)) {
		msg->data = NULL;
		msg->borrowed = 0;
		return mye_fail(-EMSGSIZE,
		                "message id %u has %zu bytes, the buffer only %zu; it stays until "
		                "it is received with a larger one",
		                msg->id, msg->len, buf ? cap : 0);
	}
	if (msg->len > 0)
		memcpy(buf, msg->data, msg->len);
	msg->data = msg->len > 0 ? buf : NULL;
	msg->borrowed = 0;
	rc = myelon_frame_release(fc, 1);
	return rc < 0 ? rc : 1;
}

int myelon_frame_recv_owned(struct myelon_frame_consumer *fc, int64_t deadline,
                            struct myelon_message *msg)
{
	int rc = myelon_frame_peek_batch(fc, msg, 1, deadline);
	const void *data;
	void *copy = NULL;

	if (rc < 0)
		return rc;
	data = msg->data;
	msg->data = NULL;
	if (fc->whole.state == MYE_ASSEMBLY_DONE) {
		/* The caller gets the memory it was put together in. */
		copy = fc->whole.buf;
		fc->whole.buf = NULL;
		fc->whole.capacity = 0;
	} else if (msg->len > 0) {
		copy = malloc(msg->len);
		if (!copy)
			return mye_fail(-ENOMEM,
			                "no memory for a message of %zu bytes (id %u); it "
			                "stays",
			                msg->len, msg->id);
		memcpy(copy, data, msg->len);
	}
	rc = myelon_frame_release(fc, 1);
	if (rc < 0) {
		free(copy);
		return rc;
	}
	msg->data = copy;
	msg->borrowed = 0;
	return 1;
}

void myelon_message_free(struct myelon_message *msg)
{
	if (!msg || msg->borrowed)
		return;
	free((void *)(uintptr_t)msg->data);
	msg->data = NULL;
	msg->len = 0;
}
