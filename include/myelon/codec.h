/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file codec.h - how messages become bytes and bytes messages.
 *
 * A codec is a table of functions. The typed handles (typed.h) call encode with memory of the ring and
 * decode or access on what lies in it. The library brings pod (here), bincode.h, rkyv.h, flatbuffers.h and,
 * if it was built with it, msgpack.h; a codec of one's own is such a table and needs nothing else.
 *
 * decode makes an object of C that is the caller's, with what it points to in an arena. access verifies the bytes
 * and says where to begin reading them where they are: nothing is copied.
 *
 * What access proves: everything that can be reached from the root lies inside the message, is aligned and has
 * values of its type, at that moment. Somebody who may write the ring may change it afterwards. The accessors of
 * this library check again what they follow, so they never read outside the message; accessors generated
 * elsewhere do not. Where the producer is not trusted, decode.
 *
 * Concurrency: a codec is constant after it was made and may be used by many threads and handles.
 */
#ifndef MYELON_CODEC_H
#define MYELON_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include <myelon/arena.h>
#include <myelon/export.h>
#include <myelon/type.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Where to read a message that lies encoded in memory. */
struct myelon_inside {
	const void
		*root; /**< what the codec begins with: the object (pod), the root table or value */
	const void *data; /**< first byte of the message; @p root is in it */
	size_t len;       /**< bytes of the message */
	const struct myelon_codec *codec;
};

/**
 * A codec. bound and encode are needed; without decode there is no owned receive, without access none in place.
 */
struct myelon_codec {
	uint32_t size; /**< sizeof(struct myelon_codec) */
	uint32_t
		alignment; /**< access needs the first byte aligned so; a power of two, at most 16 */
	const char *name;  /**< of the format, for messages */
	uint64_t schema; /**< of format and type; in the ring's header, checked at attach; not 0 */
	size_t object_size; /**< bytes of the object that encode reads and decode fills */
	/** Bytes that encode needs at most for @p object, or negative errno with a sentence. */
	int64_t (*bound)(const struct myelon_codec *c, const void *object);
	/** Write @p object to @p buf (16-byte aligned), no more than @p cap bytes. @return bytes, or negative errno:
	 * -EMSGSIZE (it does not fit), -EINVAL (the object cannot be encoded, with a sentence). */
	int64_t (*encode)(const struct myelon_codec *c, const void *object, void *buf, size_t cap);
	/** Fill @p object from @p len bytes that anybody may have written, and may still change meanwhile: each is
	 * read once. @return 0; -EBADMSG with a sentence that says what is wrong and where; -ENOMEM (the arena). */
	int (*decode)(const struct myelon_codec *c, const void *data, size_t len, void *object,
	              struct myelon_arena *arena);
	/** Verify @p len bytes. @return 0 and *root; -EBADMSG with a sentence. */
	int (*access)(const struct myelon_codec *c, const void *data, size_t len,
	              const void **root);
	/** Free what making it allocated; NULL: nothing. Called by myelon_codec_close() only. */
	void (*close)(struct myelon_codec *c);
	const struct myelon_type *type; /**< it was made from; NULL: from none */
	const void *self;               /**< the codec's own */
};

/** For codecs of one's own: record a sentence for myelon_last_error(). @return @p err. */
MYELON_API int myelon_codec_fail(int err, const char *fmt, ...) MYELON_PRINTF(2, 3);

/** Is the table complete and its alignment and schema allowed? @return 0, -EINVAL. */
MYELON_API int myelon_codec_check(const struct myelon_codec *c);

/** End a codec that a function of this library made; handles that use it must be closed before. NULL is allowed. */
MYELON_API void myelon_codec_close(struct myelon_codec *c);

/** The four functions, with checks of arguments; -ENOTSUP where the codec has none. @p data of access must be
 * aligned, else -EINVAL. */
MYELON_API int64_t myelon_codec_bound(const struct myelon_codec *c, const void *object);
MYELON_API int64_t myelon_codec_encode(const struct myelon_codec *c, const void *object, void *buf,
                                       size_t cap);
MYELON_API int myelon_codec_decode(const struct myelon_codec *c, const void *data, size_t len,
                                   void *object, struct myelon_arena *arena);
MYELON_API int myelon_codec_access(const struct myelon_codec *c, const void *data, size_t len,
                                   struct myelon_inside *inside);

/**
 * pod: the bytes of a C struct without pointers, or of a run of them. For programs of the same build: the schema is
 * made of @p name, @p record, @p version and the byte order only.
 *
 * An object is a struct myelon_vector of records; with MYELON_POD_ONE it is one record itself. Padding is sent as it
 * is: zero the records first, if that matters.
 *
 * @param record   bytes of one record; a message is that, or a multiple of it.
 * @param align    of a record, a power of two, at most 16.
 */
#define MYELON_POD_ONE (1u << 0)
struct myelon_pod_opts {
	uint32_t size;
	uint32_t flags; /**< MYELON_POD_ONE */
	uint32_t record;
	uint32_t align;   /**< default 16 */
	uint32_t version; /**< to be changed with the struct */
	uint32_t reserved;
	const char *name; /**< of the struct */
};
#define MYELON_POD_OPTS(...)                                                                       \
	((struct myelon_pod_opts){.size = sizeof(struct myelon_pod_opts), __VA_ARGS__})
/** @return 0, -EINVAL, -ENOMEM. */
MYELON_API int myelon_codec_pod(struct myelon_codec **out, const struct myelon_pod_opts *opts);

#ifdef __cplusplus
}
#endif
#endif
