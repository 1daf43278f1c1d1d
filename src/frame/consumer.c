/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The read side: whole messages in place, fragmented ones put together in memory of the handle. */
#include <myelon/frame.h>

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/handle.h"
#include "frame/assembly.h"
#include "ring/descriptor.h"
#include "ring/ring.h"
#include "sys/sys.h"

#define FRAME_CONSUMER_MAGIC 0x63666d31u

struct mye_frame_consumer {
	struct myelon_frame_consumer hot;
	uint32_t magic;
	uint32_t held;     /* messages of the last slow peek that were not released */
	uint32_t first;    /* the first of them, in ends */
	uint32_t released; /* slots of it that were released */
	uint32_t tail;     /* slots of the last fragment of a message that is put together */
	uint32_t told; /* slots of a fragment that was just reported as one without a beginning */
	const struct mye_segment *seg;
	struct mye_assembly whole;
	uint32_t ends[MYELON_FRAME_BATCH_MAX]; /* slots from the peek up to the end of each */
};

static inline struct mye_frame_consumer *whole_of(struct myelon_frame_consumer *hot)
{
	return (struct mye_frame_consumer *)(void *)hot;
}

/* The inline peek is for handles that hold nothing and expect nothing but whole messages. */
static void choose_path(struct mye_frame_consumer *fc)
{
	fc->hot.plain =
		fc->held == 0 && fc->whole.state == MYE_ASSEMBLY_IDLE && !fc->whole.skipping;
}

int myelon_frame_consumer_attach(struct myelon_frame_consumer **out, const char *name,
                                 const struct myelon_attach_opts *opts)
{
	struct mye_frame_consumer *fc;
	struct myelon_frame_limits limits;
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
	fc->hot.ring = ring;
	fc->seg = &mye_consumer_of(ring)->seg;
	fc->hot.limits = limits;
	fc->whole.limit = MYE_ASSEMBLY_LIMIT;
	fc->magic = FRAME_CONSUMER_MAGIC;
	choose_path(fc);
	*out = &fc->hot;
	return 0;
}

void myelon_frame_consumer_close(struct myelon_frame_consumer *hot)
{
	struct mye_frame_consumer *fc = whole_of(hot);

	if (!fc)
		return;
	if (fc->magic == FRAME_CONSUMER_MAGIC) {
		myelon_consumer_close(fc->hot.ring);
		mye_assembly_free(&fc->whole);
	}
	fc->magic = 0;
	mye_handle_free(fc, sizeof(*fc));
}

struct myelon_consumer *myelon_frame_consumer_ring(struct myelon_frame_consumer *hot)
{
	struct mye_frame_consumer *fc = whole_of(hot);

	return fc && fc->magic == FRAME_CONSUMER_MAGIC ? fc->hot.ring : NULL;
}

int myelon_frame_consumer_limit(struct myelon_frame_consumer *hot, size_t bytes)
{
	struct mye_frame_consumer *fc = whole_of(hot);

	if (!fc || fc->magic != FRAME_CONSUMER_MAGIC)
		return mye_frame_not_open(fc);
	fc->whole.limit = bytes;
	return 0;
}

/* Were we evicted? Then what was read before this is perhaps not what was sent. */
static bool evicted(const struct mye_frame_consumer *fc)
{
	const struct myelon_consumer *ring = fc->hot.ring;

	/* Acquire: pairs with the fence of an evictor, as in myelon_release(). */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(ring->evicted, __ATOMIC_RELAXED) >= ring->generation;
}

/* Wait for a frame. A message that is open ends with its producer. */
static int wait_frame(struct mye_frame_consumer *fc, int64_t deadline, struct myelon_view *view,
                      struct myelon_message *msg)
{
	struct mye_assembly *a = &fc->whole;

	if (a->state != MYE_ASSEMBLY_OPEN)
		return myelon_peek(fc->hot.ring, MYELON_ALL, deadline, view);
	for (;;) {
		/* Before the look at the ring: if that finds nothing under a new epoch, the rest of
		 * our message was never published. */
		uint64_t epoch = mye_frame_epoch(fc->seg);
		int64_t slice = deadline == MYELON_TRY ? deadline : mye_now() + MYE_CAP_NS;
		int rc;

		if (slice > deadline)
			slice = deadline;
		rc = myelon_peek(fc->hot.ring, MYELON_ALL, slice, view);
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
static int pass_lie(struct mye_frame_consumer *fc, const struct myelon_view *view,
                    const struct myelon_frame_header *h, uint64_t total, enum mye_frame_fault fault,
                    struct myelon_message *msg)
{
	int64_t end = view->seq + view->count;
	int64_t next = mye_frame_resume(fc->seg, view->seq, end - 1);
	int rc;

	if (fc->whole.state == MYE_ASSEMBLY_OPEN)
		return mye_assembly_cut(&fc->whole, msg);
	*msg = (struct myelon_message){.id = h->id, .kind = h->kind, .seq = view->seq};
	rc = myelon_release(fc->hot.ring, (uint32_t)(next - view->seq));
	return rc < 0 ? rc : mye_frame_fail(fault, h, total, view->seq, next);
}

/*
 * Copy a fragment behind the others and give its slots back; those of the last one only with the message:
 * who dies with it in the hand must leave a trace of it, for the next owner of the id to report.
 * @return 1: that was the last; 0.
 */
static int add_fragment(struct mye_frame_consumer *fc, const unsigned char *payload, uint32_t bytes,
                        uint32_t slots)
{
	struct mye_assembly *a = &fc->whole;
	int rc = mye_assembly_grow(a, a->length + bytes);

	if (rc < 0)
		return rc;
	memcpy(a->buf + a->length, payload, bytes);
	if (a->length + bytes < a->total)
		rc = myelon_release(fc->hot.ring, slots);
	else if (evicted(fc))
		rc = myelon_release_slow(fc->hot.ring, 0);
	if (rc < 0) {
		a->state = MYE_ASSEMBLY_IDLE;
		return rc;
	}
	fc->tail = slots;
	return mye_assembly_added(a, bytes) ? 1 : 0;
}

/* What a sound frame that is no whole message means. @return 1: ours is done; 0: go on. */
static int take_frame(struct mye_frame_consumer *fc, const struct myelon_view *view,
                      const struct myelon_frame_header *h, uint64_t total, enum mye_take take,
                      struct myelon_message *msg)
{
	const unsigned char *payload = (const unsigned char *)view->base + MYELON_FRAME_HEADER;
	uint32_t slots = myelon_frame_slots(&fc->hot.limits, h->length);
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
		rc = myelon_release(fc->hot.ring, slots);
		return rc < 0 ? rc : over;
	case MYE_TAKE_APPEND:
		return add_fragment(fc, payload, h->length, slots);
	case MYE_TAKE_SKIP:
		return myelon_release(fc->hot.ring, slots);
	case MYE_TAKE_STRAY:
		/* Given back by the next peek: who dies before that has perhaps told nobody. */
		fc->told = slots;
		return mye_assembly_stray(h, view->seq, msg);
	case MYE_TAKE_CUT:
	case MYE_TAKE_WHOLE:
		break;
	}
	return mye_assembly_cut(&fc->whole, msg);
}

static int release_told(struct mye_frame_consumer *fc)
{
	uint32_t slots = fc->told;

	fc->told = 0;
	return slots ? myelon_release(fc->hot.ring, slots) : 0;
}

/* One message, whatever it is made of. */
static int peek_any(struct mye_frame_consumer *fc, int64_t deadline, struct myelon_message *msg)
{
	uint64_t passed = 0;

	while (fc->whole.state != MYE_ASSEMBLY_DONE) {
		enum mye_frame_fault fault;
		struct myelon_frame_header h;
		struct myelon_view view = {0};
		enum mye_take take;
		uint64_t total = 0;
		int rc;

		rc = passed > fc->seg->header.window ? mye_frame_in_time(deadline) : 0;
		if (rc < 0)
			mye_descriptor_again(mye_consumer_of(fc->hot.ring));
		else
			rc = wait_frame(fc, deadline, &view, msg);
		if (rc < 0)
			return rc;
		/* Success of peek means that there is something. */
		if (!view.base)
			return -EPROTO;
		memcpy(&h, view.base, sizeof(h));
		fault = mye_frame_check(&h, view.count, &fc->hot.limits);
		if (fault == MYE_FRAME_SOUND && h.flags == MYELON_FRAME_FIRST) {
			memcpy(&total, (const unsigned char *)view.base + MYELON_FRAME_HEADER,
			       sizeof(total));
			fault = mye_frame_check_total(total, &fc->hot.limits);
		}
		/* Overwritten, the header is no lie and no cut. */
		if (evicted(fc))
			return myelon_release_slow(fc->hot.ring, 0);
		if (fault != MYE_FRAME_SOUND)
			return pass_lie(fc, &view, &h, total, fault, msg);
		take = mye_assembly_take(&fc->whole, &h);
		if (take == MYE_TAKE_WHOLE) {
			fc->ends[0] = myelon_frame_slots(&fc->hot.limits, h.length);
			myelon_frame_borrow_(msg, &h, view.base, view.seq);
			break;
		}
		rc = take_frame(fc, &view, &h, total, take, msg);
		if (rc < 0)
			return rc;
		passed += myelon_frame_slots(&fc->hot.limits, h.length);
	}
	if (fc->whole.state == MYE_ASSEMBLY_DONE)
		mye_assembly_message(&fc->whole, msg);
	fc->held = 1;
	return 1;
}

/* Nothing of an earlier peek counts any more. */
static void forget(struct mye_frame_consumer *fc)
{
	fc->hot.one = 0;
	fc->held = fc->first = fc->released = 0;
}

int myelon_frame_peek_slow(struct myelon_frame_consumer *hot, int64_t deadline,
                           struct myelon_message *msg)
{
	struct mye_frame_consumer *fc = whole_of(hot);
	int rc;

	if (!fc || fc->magic != FRAME_CONSUMER_MAGIC)
		return mye_frame_not_open(fc);
	if (!msg)
		return mye_fail_static(-EINVAL, "there is no room for a message: msg is NULL");
	forget(fc);
	*msg = (struct myelon_message){0};
	rc = release_told(fc);
	if (rc == 0)
		rc = peek_any(fc, deadline, msg);
	choose_path(fc);
	return rc;
}

/* The whole messages at the head of what is there. @return how many. */
static uint32_t gather(struct mye_frame_consumer *fc, const struct myelon_view *view,
                       struct myelon_message *msgs, uint32_t max)
{
	uint32_t at = 0, n = 0;

	while (n < max && at < view->count) {
		const unsigned char *frame =
			(const unsigned char *)view->base + (size_t)at * fc->hot.limits.slot_size;
		struct myelon_frame_header h;

		memcpy(&h, frame, sizeof(h));
		if (__builtin_expect(!myelon_frame_is_whole_(&h, view->count - at, &fc->hot.limits),
		                     0))
			break;
		myelon_frame_borrow_(&msgs[n], &h, frame, view->seq + at);
		at += myelon_frame_slots(&fc->hot.limits, h.length);
		fc->ends[n++] = at;
	}
	return n;
}

int myelon_frame_peek_batch(struct myelon_frame_consumer *hot, struct myelon_message *msgs,
                            uint32_t max, int64_t deadline)
{
	struct mye_frame_consumer *fc = whole_of(hot);
	struct myelon_view view;
	int rc;

	if (__builtin_expect(!fc || fc->magic != FRAME_CONSUMER_MAGIC, 0))
		return mye_frame_not_open(fc);
	if (__builtin_expect(!msgs || max == 0, 0))
		return mye_fail_static(-EINVAL, "there is no room for a message: msgs is NULL or "
		                                "max is 0");
	if (__builtin_expect(fc->whole.state != MYE_ASSEMBLY_IDLE || fc->told, 0))
		return myelon_frame_peek_slow(hot, deadline, msgs);
	forget(fc);
	rc = myelon_peek(hot->ring, MYELON_ALL, deadline, &view);
	if (__builtin_expect(rc < 0, 0)) {
		*msgs = (struct myelon_message){0};
		choose_path(fc);
		return rc;
	}
	fc->held = gather(fc, &view, msgs,
	                  max < MYELON_FRAME_BATCH_MAX ? max : MYELON_FRAME_BATCH_MAX);
	if (__builtin_expect(fc->held == 0, 0))
		return myelon_frame_peek_slow(hot, deadline, msgs);
	fc->whole.skipping = false;
	hot->plain = 0;
	return (int)fc->held;
}

/* A message that was put together: its slots went back meanwhile, but for the last fragment. */
static int release_assembled(struct mye_frame_consumer *fc)
{
	fc->whole.state = MYE_ASSEMBLY_IDLE;
	return myelon_release(fc->hot.ring, fc->tail);
}

int myelon_frame_release_slow(struct myelon_frame_consumer *hot, uint32_t n)
{
	struct mye_frame_consumer *fc = whole_of(hot);
	uint32_t end, slots;
	int rc;

	if (__builtin_expect(!fc || fc->magic != FRAME_CONSUMER_MAGIC, 0))
		return mye_frame_not_open(fc);
	if (__builtin_expect(n - 1u >= fc->held, 0))
		return mye_fail(-EINVAL, "release of %u messages, but the last peek left %u", n,
		                hot->one ? 1 : fc->held);
	fc->held -= n;
	if (__builtin_expect(fc->whole.state == MYE_ASSEMBLY_DONE, 0)) {
		rc = release_assembled(fc);
	} else {
		fc->first += n;
		end = fc->ends[fc->first - 1];
		slots = end - fc->released;
		fc->released = end;
		rc = myelon_release(hot->ring, slots);
	}
	if (fc->held == 0)
		choose_path(fc);
	return rc;
}

int myelon_frame_recv(struct myelon_frame_consumer *hot, void *buf, size_t cap, int64_t deadline,
                      struct myelon_message *msg)
{
	int rc = myelon_frame_peek(hot, deadline, msg);

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
	rc = myelon_frame_release(hot, 1);
	if (rc < 0)
		msg->data = NULL; /* evicted: what was copied is not to be trusted */
	return rc < 0 ? rc : 1;
}

int myelon_frame_recv_owned(struct myelon_frame_consumer *hot, int64_t deadline,
                            struct myelon_message *msg)
{
	struct mye_frame_consumer *fc = whole_of(hot);
	int rc = myelon_frame_peek(hot, deadline, msg);
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
	rc = myelon_frame_release(hot, 1);
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

int myelon_frame_peek_fn(struct myelon_frame_consumer *hot, int64_t deadline,
                         struct myelon_message *msg)
{
	return myelon_frame_peek(hot, deadline, msg);
}

int myelon_frame_release_fn(struct myelon_frame_consumer *hot, uint32_t n)
{
	return myelon_frame_release(hot, n);
}
