/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file frame.h - byte messages of any length over a ring.
 *
 * A message is a 16-byte header and its payload in as many consecutive slots as
 * it needs, published in one step: it lies contiguous in the ring and is read
 * in place. The slot size is a granularity, not a limit. A message longer than
 * max_frame (window/2 x slot_size - 16 bytes) is sent in fragments and put
 * together by the receiver; it may be longer than the whole ring.
 *
 * Payloads are 16-byte aligned. The slot size must be a multiple of 16 and the
 * window at least 2.
 *
 * If create, open or attach returned 0 you must close; if it returned an error
 * you owe nothing. Concurrency: as producer.h and consumer.h; the inner ring
 * handle may be used for queries, not for claim, publish, peek or release.
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

struct myelon_frame_producer;
struct myelon_frame_consumer;
struct myelon_frame_observer;

/** A received message. */
struct myelon_message {
	const void *data; /**< 16-byte aligned; NULL if len is 0 */
	size_t len;       /**< bytes */
	uint32_t id;      /**< message id given by the producer, counts up, wraps */
	uint8_t kind;     /**< the sender's kind */
	uint8_t borrowed; /**< 1: data lies in the ring; 0: in memory of the handle (peek) or the caller */
	uint16_t reserved;
	int64_t seq; /**< ring sequence of its first slot */
};

/** Create a framed ring; @p opts as myelon_producer_create(). @return as there.
 */
MYELON_API int myelon_frame_producer_create(struct myelon_frame_producer **out, const char *name,
                                            const struct myelon_ring_opts *opts);
/** Take over a framed ring; message ids go on. @return as
 * myelon_producer_open(). */
MYELON_API int myelon_frame_producer_open(struct myelon_frame_producer **out, const char *name,
                                          const struct myelon_open_opts *opts);
MYELON_API void myelon_frame_producer_close(struct myelon_frame_producer *fp);
/** The ring handle below, for queries, waiting and interrupt. */
MYELON_API struct myelon_producer *myelon_frame_producer_ring(struct myelon_frame_producer *fp);

/** Longest payload that is sent in one piece, bytes. */
MYELON_API size_t myelon_frame_producer_max_frame(const struct myelon_frame_producer *fp);

/**
 * Claim room for a message of up to @p bytes and build it in place.
 * @param buf  out: 16-byte aligned, contiguous.
 * @return 0; -EMSGSIZE (more than max_frame); -EAGAIN; -ETIMEDOUT; -EINVAL (a
 * claim is open); -ECANCELED.
 */
MYELON_API int myelon_frame_claim(struct myelon_frame_producer *fp, size_t bytes, int64_t deadline,
                                  void **buf);
/** Publish the claimed message with its final length (<= claimed). @return 0 or
 * -EINVAL. */
MYELON_API int myelon_frame_commit(struct myelon_frame_producer *fp, size_t bytes, uint8_t kind);
/** Give the claim back. @return 0 or -EINVAL. */
MYELON_API int myelon_frame_cancel(struct myelon_frame_producer *fp);

/**
 * Copy a message in, in fragments if it is longer than max_frame.
 * @return 0; -EAGAIN (nothing was sent); -ETIMEDOUT, -ECANCELED (a fragmented
 * message may be half sent: receivers are told it was cut off, and the next
 * send goes on cleanly); -EMSGSIZE (over 2^48 bytes).
 */
MYELON_API int myelon_frame_send(struct myelon_frame_producer *fp, const void *data, size_t bytes,
                                 uint8_t kind, int64_t deadline);
/** The same, gathered from @p iovcnt pieces. */
MYELON_API int myelon_frame_sendv(struct myelon_frame_producer *fp, const struct iovec *iov,
                                  int iovcnt, uint8_t kind, int64_t deadline);
/** Id of the last message sent; 0: none. */
MYELON_API uint32_t myelon_frame_last_id(const struct myelon_frame_producer *fp);

/** Attach to a framed ring. @return as myelon_consumer_attach(). */
MYELON_API int myelon_frame_consumer_attach(struct myelon_frame_consumer **out, const char *name,
                                            const struct myelon_attach_opts *opts);
MYELON_API void myelon_frame_consumer_close(struct myelon_frame_consumer *fc);
MYELON_API struct myelon_consumer *myelon_frame_consumer_ring(struct myelon_frame_consumer *fc);

/** Limit on reassembled messages, bytes; default 1 GiB. Longer ones are skipped
 * with -EMSGSIZE. */
MYELON_API int myelon_frame_consumer_limit(struct myelon_frame_consumer *fc, size_t bytes);

/**
 * The next message, in place if it is in one piece, else reassembled in memory
 * of the handle. It stays valid until myelon_frame_release().
 * @return 1; -EBADMSG (a message was cut off or its header lies: @p msg has its
 * id; it is skipped, the next call goes on); -EMSGSIZE (over the limit;
 * skipped); else as myelon_peek().
 */
MYELON_API int myelon_frame_peek(struct myelon_frame_consumer *fc, int64_t deadline,
                                 struct myelon_message *msg);
/**
 * Up to @p max messages at once, those that are there now, all in one piece; a
 * fragmented one comes alone. @return the count, or as myelon_frame_peek().
 */
MYELON_API int myelon_frame_peek_batch(struct myelon_frame_consumer *fc,
                                       struct myelon_message *msgs, uint32_t max, int64_t deadline);
/** Release the first @p n messages of the last peek. @return 0; -ESTALE;
 * -EINVAL. */
__attribute__((warn_unused_result)) MYELON_API int myelon_frame_release(
	struct myelon_frame_consumer *fc, uint32_t n);

/**
 * Copy the next message into @p buf and release it.
 * @return 1; -EMSGSIZE (it is longer than @p cap: msg->len says how long, the
 * message stays); else as peek.
 */
MYELON_API int myelon_frame_recv(struct myelon_frame_consumer *fc, void *buf, size_t cap,
                                 int64_t deadline, struct myelon_message *msg);
/** Copy the next message into fresh memory and release it; free with
 * myelon_message_free(). @return as peek, -ENOMEM. */
MYELON_API int myelon_frame_recv_owned(struct myelon_frame_consumer *fc, int64_t deadline,
                                       struct myelon_message *msg);
MYELON_API void myelon_message_free(struct myelon_message *msg);

/** Watch a framed ring without gating it. @return as myelon_observer_attach().
 */
MYELON_API int myelon_frame_observer_attach(struct myelon_frame_observer **out, const char *name,
                                            const struct myelon_attach_opts *opts);
MYELON_API void myelon_frame_observer_close(struct myelon_frame_observer *fo);
MYELON_API struct myelon_observer *myelon_frame_observer_ring(struct myelon_frame_observer *fo);
/**
 * The next message, copied into memory of the handle, valid until the next
 * call.
 * @param lost  out: slots lost before it; may be NULL.
 * @return 1; -EBADMSG (a fragmented message lost a part); else as
 * myelon_observe().
 */
MYELON_API int myelon_frame_observe(struct myelon_frame_observer *fo, int64_t deadline,
                                    struct myelon_message *msg, uint64_t *lost);

#ifdef __cplusplus
}
#endif
#endif
