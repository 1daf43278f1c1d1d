/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file typed.h - messages instead of bytes: framed handles with a codec.
 *
 * Layer 2: send an object, receive an object of one's own. Layer 3: read the message where it lies in the ring, or
 * build it there.
 *
 *     myelon_typed_send(tp, &batch, 0, MYELON_FOREVER);
 *
 *     myelon_typed_recv(tc, &batch, &arena, MYELON_FOREVER, &meta);     owned: the ring is free again
 *
 *     myelon_typed_peek(tc, MYELON_FOREVER, &in, &meta);                in place: nothing is copied
 *     ... read at in.root ...
 *     myelon_typed_release(tc, 1);
 *
 * A message is encoded straight into the memory of the ring. Only one that is longer than max_frame is encoded in memory
 * of the handle and sent in fragments; the receiver puts it together in memory of its handle and reads it there.
 *
 * A message that is not what it claims is -EBADMSG with a sentence that says what is wrong and where, and @p meta
 * says which; it is released, and the next call goes on.
 *
 * The codec's schema is in the ring's header. A handle with another one does not attach.
 *
 * If create, open or attach returned 0 you must close; the codec must live longer. Concurrency: as frame.h; the inner
 * handles may be used for queries, waiting, interrupt and wait sets.
 */
#ifndef MYELON_TYPED_H
#define MYELON_TYPED_H

#include <myelon/codec.h>
#include <myelon/frame.h>
#include <myelon/liveness.h>

#ifdef __cplusplus
extern "C" {
#endif

struct myelon_typed_producer;
struct myelon_typed_consumer;

/** What comes with a message. After an error: as far as known. */
struct myelon_meta {
	size_t len;  /**< encoded bytes */
	int64_t seq; /**< ring sequence of its first slot */
	int64_t sent_ns; /**< CLOCK_MONOTONIC of the sender just before it became visible; 0: the ring has no stamps */
	uint32_t id;      /**< of the message, from 1, counts up, wraps */
	uint8_t kind;     /**< the sender's */
	uint8_t borrowed; /**< 1: it lies in the ring; 0: in memory of the handle */
	uint16_t reserved;
};

/** create: each message carries the time it was sent. Who opens or attaches finds out. */
#define MYELON_TYPED_STAMPS (1u << 0)

/** Create a framed ring for messages of @p codec. opts->schema must be 0. @p flags: MYELON_TYPED_STAMPS.
 * @return as myelon_frame_producer_create(); -EINVAL (codec, flags). */
MYELON_API int myelon_typed_producer_create(struct myelon_typed_producer **out, const char *name,
                                            const struct myelon_ring_opts *opts,
                                            const struct myelon_codec *codec, uint32_t flags);
/** Take over. @return as myelon_frame_producer_open(); -EINVAL: another schema. */
MYELON_API int myelon_typed_producer_open(struct myelon_typed_producer **out, const char *name,
                                          const struct myelon_open_opts *opts,
                                          const struct myelon_codec *codec);
MYELON_API void myelon_typed_producer_close(struct myelon_typed_producer *tp);
/** The framed handle below, for raw sends, queries and liveness; NULL after fork. With stamps, raw payloads must begin
 * with them (docs/layout.md). */
MYELON_API struct myelon_frame_producer *myelon_typed_producer_frames(
	struct myelon_typed_producer *tp);

/** Encode and send. @return as myelon_frame_send(); what the codec returned, then nothing was sent. */
MYELON_API int myelon_typed_send(struct myelon_typed_producer *tp, const void *object, uint8_t kind,
                                 int64_t deadline);
/**
 * @p n objects, @p stride bytes apart, each a message. Waits for room for the first only; the others are
 * sent as far as there is room.
 * @return how many were sent, > 0; or as send, then none was.
 */
MYELON_API int myelon_typed_send_batch(struct myelon_typed_producer *tp, const void *objects,
                                       size_t stride, uint32_t n, uint8_t kind, int64_t deadline);
/** The same, supervised (liveness.h). */
MYELON_API int myelon_typed_send_managed(struct myelon_typed_producer *tp, const void *object,
                                         uint8_t kind, int64_t deadline);
MYELON_API int myelon_typed_send_batch_managed(struct myelon_typed_producer *tp,
                                               const void *objects, size_t stride, uint32_t n,
                                               uint8_t kind, int64_t deadline);

/** Build in place: room for an encoded message of up to @p bytes, at most max_frame, to be written by the caller or a
 * builder. @return as myelon_frame_claim(). */
MYELON_API int myelon_typed_claim(struct myelon_typed_producer *tp, size_t bytes, int64_t deadline,
                                  void **buf);
MYELON_API int myelon_typed_claim_managed(struct myelon_typed_producer *tp, size_t bytes,
                                          int64_t deadline, void **buf);
/** Not verified: receivers do that. @return as myelon_frame_commit(). */
MYELON_API int myelon_typed_commit(struct myelon_typed_producer *tp, size_t bytes, uint8_t kind);
MYELON_API int myelon_typed_cancel(struct myelon_typed_producer *tp);

/** Attach. opts->schema must be 0. @return as myelon_frame_consumer_attach(); -EINVAL: another schema. */
MYELON_API int myelon_typed_consumer_attach(struct myelon_typed_consumer **out, const char *name,
                                            const struct myelon_attach_opts *opts,
                                            const struct myelon_codec *codec);
MYELON_API void myelon_typed_consumer_close(struct myelon_typed_consumer *tc);
MYELON_API struct myelon_frame_consumer *myelon_typed_consumer_frames(
	struct myelon_typed_consumer *tc);

/**
 * The next message as an object of one's own; the ring is released.
 * @param object  filled; codec->object_size bytes.
 * @param arena   where what it points to lies; NULL: the codec must need none.
 * @param meta    out, may be NULL.
 * @return 1; -EBADMSG (released); -ENOMEM (the arena is full; the message stays: try again with a larger one, or release it); -ESTALE (@p object is not to be
 * trusted); -ENOTSUP (the codec cannot); else as myelon_frame_peek().
 */
MYELON_API int myelon_typed_recv(struct myelon_typed_consumer *tc, void *object,
                                 struct myelon_arena *arena, int64_t deadline,
                                 struct myelon_meta *meta);
/** Up to @p max, @p stride bytes apart; those that are there. Ends before one that fails, which the next call returns.
 * @param metas  @p max of them, or NULL. @return the count, or as recv. */
MYELON_API int myelon_typed_recv_batch(struct myelon_typed_consumer *tc, void *objects,
                                       size_t stride, uint32_t max, struct myelon_arena *arena,
                                       int64_t deadline, struct myelon_meta *metas);

/**
 * The next message in place, verified. It stays until it is released, and a second peek gives it again.
 * @return 1; -EBADMSG (released); -ENOTSUP (the codec cannot); else as myelon_frame_peek().
 */
MYELON_API int myelon_typed_peek(struct myelon_typed_consumer *tc, int64_t deadline,
                                 struct myelon_inside *inside, struct myelon_meta *meta);
/** Up to @p max; those that are there. Ends before one that fails. @param metas may be NULL. @return the count, or as peek. */
MYELON_API int myelon_typed_peek_batch(struct myelon_typed_consumer *tc,
                                       struct myelon_inside *inside, uint32_t max, int64_t deadline,
                                       struct myelon_meta *metas);
/** As myelon_frame_release(). */
MYELON_API MYELON_CHECKED int myelon_typed_release(struct myelon_typed_consumer *tc, uint32_t n);

#ifdef __cplusplus
}
#endif
#endif
