/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file frame.h - byte messages of any length over a ring.
 *
 * A message is a 16-byte header and its payload in as many consecutive slots as it needs, published
 * in one step: it lies contiguous in the ring and is read in place. The slot size is a granularity,
 * not a limit. A message longer than max_frame (half the window, in bytes, less 16; at most 4 GiB)
 * is sent in fragments and put together by the receiver; it may be longer than the whole ring.
 *
 * Payloads are 16-byte aligned. The slot size must be a multiple of 16, the window at least 2, and
 * half of it at least 32 bytes.
 *
 * What was cut off is reported, exactly once, and the stream goes on: a sender that gave up or died
 * in the middle of a fragmented message, a receiver that came or resumed in the middle of one, or
 * that finds a header which cannot be true, gets -EBADMSG with the message's id, and the next call
 * goes on. Fragments are released while a message is put together, but for the last, which goes with
 * the message; so a receiver that dies before it released it, and resumes by its id, does not see that
 * message again: it gets -EBADMSG for it. That report itself may come again, as it counts when the next
 * call is made.
 *
 * If create, open or attach returned 0 you must close; if it returned an error you owe nothing.
 * Concurrency: as producer.h and consumer.h; the inner ring handle may be used for queries, waiting
 * and interrupt, not for claim, publish, peek or release. In a forked child every call answers
 * -EPERM.
 */
#ifndef MYELON_FRAME_H
#define MYELON_FRAME_H

#include <sys/uio.h>

#include <myelon/consumer.h>
#include <myelon/observer.h>
#include <myelon/producer.h>

#ifdef __cplusplus
extern "C" {
#endif

/** myelon_frame_peek_batch() gives at most so many at once. */
#define MYELON_FRAME_BATCH_MAX 256

/** What begins every frame, as it lies in the ring (docs/layout.md). */
struct myelon_frame_header {
	uint32_t length;   /**< payload bytes of this frame */
	uint32_t id;       /**< of the message */
	uint8_t kind;      /**< the sender's */
	uint8_t flags;     /**< MYELON_FRAME_* */
	uint16_t reserved; /**< 0 */
	uint32_t index;    /**< of the fragment; 0 in FIRST and ABORT, and only there */
};
#define MYELON_FRAME_HEADER ((uint32_t)sizeof(struct myelon_frame_header))
#define MYELON_FRAME_FIRST 1u /**< starts a message */
#define MYELON_FRAME_LAST 2u  /**< ends it */
#define MYELON_FRAME_ABORT 4u /**< alone: the message of this id was cut off by its sender */

/** What the geometry of a ring allows. */
struct myelon_frame_limits {
	uint32_t slot_size;
	uint32_t shift;     /**< log2 of slot_size, or 0: not a power of two */
	uint32_t max_frame; /**< longest payload of one frame, bytes */
};

/**
 * The hot part of a framed producer, visible so that claim and commit can be inlined; the rest lies
 * behind it. Read-only for callers. A handle that is not good for a plain claim (a message is cut
 * off, forked) has below = 0 and sends every call to the slow path.
 */
struct myelon_frame_producer {
	struct myelon_producer *ring;
	void *base;       /* first slot of the open claim; NULL: none is open */
	int64_t seq;      /* its sequence */
	int64_t mark;     /* the first start at or after it is to be recorded */
	uint64_t below;   /* payloads shorter than this may be claimed without asking */
	uint32_t *last;   /* in shared memory: id of the last message */
	uint32_t claimed; /* bytes of the open claim */
	uint32_t id;      /* of the last message */
	struct myelon_frame_limits limits;
};

/**
 * The hot part of a framed consumer. With plain = 0 (in the middle of a fragmented message, a batch
 * is held, forked) every call takes the slow path.
 */
struct myelon_frame_consumer {
	struct myelon_consumer *ring;
	struct myelon_frame_limits limits;
	uint32_t plain;
	uint32_t one; /* slots of the one message that peek gave in place; 0: there is none */
};

struct myelon_frame_observer;

/** A received message. After an error: id, kind, seq and len as far as known, data NULL. */
struct myelon_message {
	const void *data; /**< 16-byte aligned; not to be read if len is 0 */
	size_t len;       /**< bytes */
	uint32_t id;      /**< message id given by the producer, from 1, counts up, wraps */
	uint8_t kind;     /**< the sender's kind */
	uint8_t borrowed; /**< 1: data lies in the ring; 0: in memory of the handle or the caller */
	uint16_t reserved; /**< 0 */
	int64_t seq;       /**< ring sequence of its first slot */
};

/**
 * Create a framed ring; @p opts as myelon_producer_create().
 * @return as there; -EINVAL also for a slot size or window that cannot carry frames.
 */
MYELON_API int myelon_frame_producer_create(struct myelon_frame_producer **out, const char *name,
                                            const struct myelon_ring_opts *opts);
/**
 * Take over a framed ring; message ids go on. A message its predecessor left half sent is ended:
 * receivers get -EBADMSG for it. @return as myelon_producer_open().
 */
MYELON_API int myelon_frame_producer_open(struct myelon_frame_producer **out, const char *name,
                                          const struct myelon_open_opts *opts);
/** Close in order. A message that is half sent ends for its receivers with -EBADMSG, then
 * -EPIPE. */
MYELON_API void myelon_frame_producer_close(struct myelon_frame_producer *fp);
/** The ring handle below, for queries, waiting and interrupt; NULL after fork. */
MYELON_API struct myelon_producer *myelon_frame_producer_ring(struct myelon_frame_producer *fp);

/** Longest payload that is sent in one piece, bytes. */
MYELON_API size_t myelon_frame_producer_max_frame(const struct myelon_frame_producer *fp);

/** Slots of a message of @p bytes, at most max_frame. */
static inline uint32_t myelon_frame_slots(const struct myelon_frame_limits *l, uint32_t bytes)
{
	uint32_t last = bytes + MYELON_FRAME_HEADER - 1;

	return 1 + (l->shift != 0 ? last >> l->shift : last / l->slot_size);
}

/** Slow path of myelon_frame_claim(). */
MYELON_API int myelon_frame_claim_slow(struct myelon_frame_producer *fp, size_t bytes,
                                       int64_t deadline, void **buf);
/** Slow path of myelon_frame_commit(). */
MYELON_API int myelon_frame_commit_slow(struct myelon_frame_producer *fp, size_t bytes,
                                        uint8_t kind);

/**
 * Claim room for a message of up to @p bytes and build it in place.
 * @param buf  out: 16-byte aligned, contiguous; never NULL, also for 0 bytes. What was there before
 *             is still there.
 * @return 0; -EMSGSIZE (more than max_frame); -EAGAIN; -ETIMEDOUT; -EINVAL (a claim is open);
 * -ECANCELED; -EPERM.
 */
static inline int myelon_frame_claim(struct myelon_frame_producer *fp, size_t bytes,
                                     int64_t deadline, void **buf)
{
	struct myelon_span span;
	int rc;

	if (__builtin_expect(!fp || bytes >= fp->below || !buf, 0))
		return myelon_frame_claim_slow(fp, bytes, deadline, buf);
	rc = myelon_claim(fp->ring, myelon_frame_slots(&fp->limits, (uint32_t)bytes), deadline,
	                  &span);
	if (__builtin_expect(rc < 0, 0))
		return rc;
	fp->base = span.base;
	fp->seq = span.seq;
	fp->claimed = (uint32_t)bytes;
	*buf = (unsigned char *)span.base + MYELON_FRAME_HEADER;
	return 0;
}

/** Publish the claimed message with its final length (<= claimed). @return 0; -EINVAL (the claim
 * stays open); -EPERM. */
static inline int myelon_frame_commit(struct myelon_frame_producer *fp, size_t bytes, uint8_t kind)
{
	struct myelon_frame_header h = {0, 0, kind, MYELON_FRAME_FIRST | MYELON_FRAME_LAST, 0, 0};
	uint32_t slots;

	if (__builtin_expect(!fp || !fp->base || bytes > fp->claimed || fp->seq >= fp->mark, 0))
		return myelon_frame_commit_slow(fp, bytes, kind);
	slots = myelon_frame_slots(&fp->limits, (uint32_t)bytes);
	/* Somebody gave the claim back through the ring handle: these slots may be others' now. */
	if (__builtin_expect(fp->ring->claimed - fp->seq < slots || fp->ring->next != fp->seq, 0))
		return myelon_frame_commit_slow(fp, bytes, kind);
	h.length = (uint32_t)bytes;
	h.id = fp->id + 1 != 0 ? fp->id + 1 : 1;
	memcpy(fp->base, &h, sizeof(h));
	fp->base = NULL;
	fp->id = h.id;
	MYELON_POINT_();
	/* First the id, into the line of published: a successor never gives it to another message. */
	__atomic_store_n(fp->last, h.id, __ATOMIC_RELAXED);
	return myelon_publish(fp->ring, slots);
}

/** Give the claim back; nothing becomes visible. @return 0; -EINVAL; -EPERM. */
MYELON_API int myelon_frame_cancel(struct myelon_frame_producer *fp);

/**
 * Copy a message in, in fragments if it is longer than max_frame.
 *
 * With MYELON_TRY a fragmented message is sent only if there is room for all of it now; one that is
 * longer than the ring needs a deadline.
 * @return 0; -EAGAIN (nothing was sent); -ETIMEDOUT, -ECANCELED, -EINTR (a fragmented message may
 * be half sent: receivers are told that it was cut off, and the next send goes on cleanly);
 * -EMSGSIZE (over 2^48 bytes or 2^32 fragments; MYELON_TRY and longer than the ring); -EINVAL (a
 * claim is open); -EPERM.
 */
MYELON_API int myelon_frame_send(struct myelon_frame_producer *fp, const void *data, size_t bytes,
                                 uint8_t kind, int64_t deadline);
/** The same, gathered from @p iovcnt pieces. */
MYELON_API int myelon_frame_sendv(struct myelon_frame_producer *fp, const struct iovec *iov,
                                  int iovcnt, uint8_t kind, int64_t deadline);
/** Id of the last message sent, also by a predecessor; 0: none. */
MYELON_API uint32_t myelon_frame_last_id(const struct myelon_frame_producer *fp);

/** Attach to a framed ring. @return as myelon_consumer_attach(). */
MYELON_API int myelon_frame_consumer_attach(struct myelon_frame_consumer **out, const char *name,
                                            const struct myelon_attach_opts *opts);
MYELON_API void myelon_frame_consumer_close(struct myelon_frame_consumer *fc);
/** The ring handle below, for queries, waiting and interrupt; NULL after fork. */
MYELON_API struct myelon_consumer *myelon_frame_consumer_ring(struct myelon_frame_consumer *fc);

/** Limit on reassembled messages, bytes; default 1 GiB. Longer ones are skipped with -EMSGSIZE.
 * @return 0; -EINVAL; -EPERM. */
MYELON_API int myelon_frame_consumer_limit(struct myelon_frame_consumer *fc, size_t bytes);

/* The common case: a whole message. @p h is a private copy, @p available slots are published. */
static inline int myelon_frame_is_whole_(const struct myelon_frame_header *h, uint64_t available,
                                         const struct myelon_frame_limits *l)
{
	return h->flags == (MYELON_FRAME_FIRST | MYELON_FRAME_LAST) && h->reserved == 0 &&
	       h->index == 0 && h->length <= l->max_frame &&
	       myelon_frame_slots(l, h->length) <= available;
}

static inline void myelon_frame_borrow_(struct myelon_message *msg,
                                        const struct myelon_frame_header *h, const void *frame,
                                        int64_t seq)
{
	/* Also of an empty message: choosing would make every read of a payload wait for its header. */
	msg->data = (const unsigned char *)frame + MYELON_FRAME_HEADER;
	msg->len = h->length;
	msg->id = h->id;
	msg->kind = h->kind;
	msg->borrowed = 1;
	msg->reserved = 0;
	msg->seq = seq;
}

/** Slow path of myelon_frame_peek(). */
MYELON_API int myelon_frame_peek_slow(struct myelon_frame_consumer *fc, int64_t deadline,
                                      struct myelon_message *msg);
/** Slow path of myelon_frame_release(). */
MYELON_API int myelon_frame_release_slow(struct myelon_frame_consumer *fc, uint32_t n);

/**
 * The next message, in place if it is in one piece, else reassembled in memory of the handle. It
 * stays valid until myelon_frame_release(); until then a second peek gives it again.
 *
 * When the deadline passes in the middle of a fragmented message, what came is kept and the next
 * call goes on.
 * @return 1; -EBADMSG (a message was cut off or its header lies: @p msg has its id; it is skipped,
 * the next call goes on); -EMSGSIZE (over the limit, @p msg has its length; skipped); -ENOMEM (no
 * memory to put it together; the next call tries again); else as myelon_peek().
 */
static inline int myelon_frame_peek(struct myelon_frame_consumer *fc, int64_t deadline,
                                    struct myelon_message *msg)
{
	struct myelon_frame_header h;
	struct myelon_view view;
	int rc;

	if (__builtin_expect(!fc || !fc->plain || !msg, 0))
		return myelon_frame_peek_slow(fc, deadline, msg);
	rc = myelon_peek(fc->ring, MYELON_ALL, deadline, &view);
	if (__builtin_expect(rc < 0, 0)) {
		fc->one = 0;
		memset(msg, 0, sizeof(*msg));
		return rc;
	}
	memcpy(&h, view.base, sizeof(h));
	if (__builtin_expect(!myelon_frame_is_whole_(&h, view.count, &fc->limits), 0))
		return myelon_frame_peek_slow(fc, deadline, msg);
	myelon_frame_borrow_(msg, &h, view.base, view.seq);
	fc->one = myelon_frame_slots(&fc->limits, h.length);
	return 1;
}

/**
 * Up to @p max messages at once (and MYELON_FRAME_BATCH_MAX), those that are there now, all in one
 * piece; a fragmented one comes alone. @return the count, or as myelon_frame_peek().
 */
MYELON_API int myelon_frame_peek_batch(struct myelon_frame_consumer *fc,
                                       struct myelon_message *msgs, uint32_t max, int64_t deadline);
/**
 * Release the first @p n messages of the last peek.
 * @return 0; -ESTALE (evicted: what was read since peek is not to be trusted); -EINVAL; -EPERM.
 */
__attribute__((warn_unused_result)) static inline int myelon_frame_release(
	struct myelon_frame_consumer *fc, uint32_t n)
{
	uint32_t slots;

	if (__builtin_expect(!fc || n != 1 || !fc->one, 0))
		return myelon_frame_release_slow(fc, n);
	slots = fc->one;
	fc->one = 0;
	return myelon_release(fc->ring, slots);
}

/**
 * Copy the next message into @p buf and release it.
 * @return 1; -EMSGSIZE (longer than @p cap: msg->len says how long, the message stays; or over the
 * limit of reassembled messages, if msg->len is: then it is skipped); -ESTALE; else as peek.
 */
MYELON_API int myelon_frame_recv(struct myelon_frame_consumer *fc, void *buf, size_t cap,
                                 int64_t deadline, struct myelon_message *msg);
/** Copy the next message into fresh memory and release it; free with myelon_message_free().
 * @return as peek; -ENOMEM (the message stays); -ESTALE. */
MYELON_API int myelon_frame_recv_owned(struct myelon_frame_consumer *fc, int64_t deadline,
                                       struct myelon_message *msg);
/** Free what myelon_frame_recv_owned() gave; NULL and borrowed messages are left alone. */
MYELON_API void myelon_message_free(struct myelon_message *msg);

/** Watch a framed ring without gating it. @return as myelon_observer_attach(). */
MYELON_API int myelon_frame_observer_attach(struct myelon_frame_observer **out, const char *name,
                                            const struct myelon_attach_opts *opts);
MYELON_API void myelon_frame_observer_close(struct myelon_frame_observer *fo);
/** The ring handle below, for queries and interrupt; NULL after fork. */
MYELON_API struct myelon_observer *myelon_frame_observer_ring(struct myelon_frame_observer *fo);
/** As myelon_frame_consumer_limit(). */
MYELON_API int myelon_frame_observer_limit(struct myelon_frame_observer *fo, size_t bytes);
/**
 * The next message, copied into memory of the handle, valid until the next call.
 * @param lost  out: slots lost before it, also when an error is returned; may be NULL.
 * @return 1; -EBADMSG (a fragmented message lost a part, or a header lies; the next call goes on);
 * -EMSGSIZE and -ENOMEM as myelon_frame_peek(); else as myelon_observe().
 */
MYELON_API int myelon_frame_observe(struct myelon_frame_observer *fo, int64_t deadline,
                                    struct myelon_message *msg, uint64_t *lost);

/* Exported twins of the inline functions, for other languages. */
MYELON_API int myelon_frame_claim_fn(struct myelon_frame_producer *fp, size_t bytes,
                                     int64_t deadline, void **buf);
MYELON_API int myelon_frame_commit_fn(struct myelon_frame_producer *fp, size_t bytes, uint8_t kind);
MYELON_API int myelon_frame_peek_fn(struct myelon_frame_consumer *fc, int64_t deadline,
                                    struct myelon_message *msg);
MYELON_API int myelon_frame_release_fn(struct myelon_frame_consumer *fc, uint32_t n);

#ifdef __cplusplus
}
#endif
#endif
