/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Encoding into claimed memory of the ring; what is longer than a frame goes through memory of the handle. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "base/opts.h"
#include "ring/call.h"
#include "sys/sys.h"
#include "typed/typed.h"

static int begin(struct myelon_typed_producer *tp)
{
	return tp && tp->magic == MYE_TYPED_PRODUCER_MAGIC ? 0 : mye_typed_not_open(tp);
}

static int adopt(struct myelon_typed_producer **out, struct myelon_frame_producer *frames,
                 const struct myelon_codec *codec, size_t prefix)
{
	struct myelon_typed_producer *tp = mye_handle_alloc(sizeof(*tp));

	if (!tp) {
		myelon_frame_producer_close(frames);
		return -ENOMEM;
	}
	tp->magic = MYE_TYPED_PRODUCER_MAGIC;
	tp->prefix = prefix;
	tp->frames = frames;
	tp->codec = codec;
	*out = tp;
	return 0;
}

static int no_schema(uint64_t schema)
{
	return schema ? mye_fail_static(-EINVAL,
	                                "a typed handle takes its schema from the codec; leave "
	                                "the option 0")
	              : 0;
}

int myelon_typed_producer_create(struct myelon_typed_producer **out, const char *name,
                                 const struct myelon_ring_opts *opts,
                                 const struct myelon_codec *codec, uint32_t flags)
{
	struct myelon_ring_opts o = MYELON_RING_OPTS();
	struct myelon_frame_producer *frames;
	bool stamps = flags & MYELON_TYPED_STAMPS;
	int rc;

	if (!out)
		return mye_fail_static(-EINVAL, "out is NULL");
	*out = NULL;
	rc = myelon_codec_check(codec);
	if (rc == 0 && flags & ~MYELON_TYPED_STAMPS)
		rc = mye_fail(-EINVAL, "typed create: flags 0x%x are unknown", flags);
	if (rc == 0)
		rc = mye_opts_read(&o, sizeof(o), MYE_RING_OPTS_FIRST, opts, "ring options");
	if (rc == 0)
		rc = no_schema(o.schema);
	if (rc < 0)
		return rc;
	o.schema = mye_typed_schema(codec, stamps);
	rc = myelon_frame_producer_create(&frames, name, &o);
	return rc < 0 ? rc : adopt(out, frames, codec, stamps ? sizeof(struct mye_stamp) : 0);
}

struct opening {
	struct myelon_frame_producer *frames;
	const char *name;
	struct myelon_open_opts opts;
};

static int open_with(void *ctx, uint64_t schema)
{
	struct opening *o = ctx;

	o->opts.schema = schema;
	return myelon_frame_producer_open(&o->frames, o->name, &o->opts);
}

int myelon_typed_producer_open(struct myelon_typed_producer **out, const char *name,
                               const struct myelon_open_opts *opts,
                               const struct myelon_codec *codec)
{
	struct opening o = {.name = name, .opts = MYELON_OPEN_OPTS()};
	size_t prefix = 0;
	int rc;

	if (!out)
		return mye_fail_static(-EINVAL, "out is NULL");
	*out = NULL;
	rc = mye_opts_read(&o.opts, sizeof(o.opts), MYE_OPEN_OPTS_FIRST, opts, "open options");
	if (rc == 0)
		rc = no_schema(o.opts.schema);
	if (rc == 0)
		rc = mye_typed_join(open_with, &o, codec, &prefix);
	return rc < 0 ? rc : adopt(out, o.frames, codec, prefix);
}

void myelon_typed_producer_close(struct myelon_typed_producer *tp)
{
	if (!tp || tp->magic != MYE_TYPED_PRODUCER_MAGIC)
		return;
	myelon_frame_producer_close(tp->frames);
	free(tp->memory);
	mye_handle_free(tp, sizeof(*tp));
}

struct myelon_frame_producer *myelon_typed_producer_frames(struct myelon_typed_producer *tp)
{
	return begin(tp) == 0 ? tp->frames : NULL;
}

static int claim(struct myelon_typed_producer *tp, size_t bytes, bool managed, int64_t deadline,
                 void **buf)
{
	return managed ? myelon_frame_claim_managed(tp->frames, bytes, deadline, buf)
	               : myelon_frame_claim(tp->frames, bytes, deadline, buf);
}

static void stamp(const struct myelon_typed_producer *tp, void *message)
{
	struct mye_stamp s = {0};

	/* Reading the clock costs more than the rest of sending a short message. */
	if (!tp->prefix)
		return;
	s.sent_ns = (uint64_t)mye_now();
	memcpy(message, &s, sizeof(s));
}

/* Behind the stamp of the message at @p to. @return encoded bytes, at most @p bytes, or negative. */
static int64_t encode(const struct myelon_typed_producer *tp, const void *object, void *to,
                      size_t bytes)
{
	int64_t n = tp->codec->encode(tp->codec, object, (unsigned char *)to + tp->prefix, bytes);

	if (n < 0 || (uint64_t)n <= bytes)
		return n;
	return mye_fail(-EINVAL, "codec %s: it wrote more than it asked for", tp->codec->name);
}

/* A message that fits into a frame. */
static int send_frame(struct myelon_typed_producer *tp, const void *object, size_t bytes,
                      bool managed, uint8_t kind, int64_t deadline)
{
	void *buf = NULL;
	int rc = claim(tp, tp->prefix + bytes, managed, deadline, &buf);
	int64_t n;

	if (rc < 0)
		return rc;
	n = encode(tp, object, buf, bytes);
	if (n < 0) {
		myelon_frame_cancel(tp->frames);
		return (int)n;
	}
	stamp(tp, buf);
	return myelon_frame_commit(tp->frames, tp->prefix + (size_t)n, kind);
}

static int grow(struct myelon_typed_producer *tp, size_t bytes)
{
	unsigned char *memory;

	if (bytes <= tp->room)
		return 0;
	memory = realloc(tp->memory, bytes);
	if (!memory)
		return mye_fail(-ENOMEM, "no memory to encode a message of %zu bytes", bytes);
	tp->memory = memory;
	tp->room = bytes;
	return 0;
}

static int send_long(struct myelon_typed_producer *tp, const void *object, size_t bytes,
                     bool managed, uint8_t kind, int64_t deadline)
{
	int rc = grow(tp, tp->prefix + bytes);
	int64_t n;

	if (rc < 0)
		return rc;
	n = encode(tp, object, tp->memory, bytes);
	if (n < 0)
		return (int)n;
	stamp(tp, tp->memory);
	bytes = tp->prefix + (size_t)n;
	return managed ? myelon_frame_send_managed(tp->frames, tp->memory, bytes, kind, deadline)
	               : myelon_frame_send(tp->frames, tp->memory, bytes, kind, deadline);
}

static int send_one(struct myelon_typed_producer *tp, const void *object, bool managed,
                    uint8_t kind, int64_t deadline)
{
	int64_t bytes = tp->codec->bound(tp->codec, object);

	if (bytes < 0)
		return (int)bytes;
	/* Both are far below 2^63. */
	if ((uint64_t)bytes + tp->prefix <= tp->frames->limits.max_frame)
		return send_frame(tp, object, (size_t)bytes, managed, kind, deadline);
	return send_long(tp, object, (size_t)bytes, managed, kind, deadline);
}

static int send_batch(struct myelon_typed_producer *tp, const void *objects, size_t stride,
                      uint32_t n, bool managed, uint8_t kind, int64_t deadline)
{
	const unsigned char *object = objects;
	int rc = begin(tp);

	if (rc == 0 && (!objects || n == 0 || n > INT32_MAX))
		rc = mye_fail_static(-EINVAL, "typed send: there is no object");
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		rc = send_one(tp, object + i * stride, managed, kind, i ? MYELON_TRY : deadline);
		if (rc < 0 && i)
			return (int)i;
	}
	return rc < 0 ? rc : (int)n;
}

int myelon_typed_send(struct myelon_typed_producer *tp, const void *object, uint8_t kind,
                      int64_t deadline)
{
	int rc = send_batch(tp, object, 0, 1, false, kind, deadline);

	return rc < 0 ? rc : 0;
}

int myelon_typed_send_managed(struct myelon_typed_producer *tp, const void *object, uint8_t kind,
                              int64_t deadline)
{
	int rc = send_batch(tp, object, 0, 1, true, kind, deadline);

	return rc < 0 ? rc : 0;
}

int myelon_typed_send_batch(struct myelon_typed_producer *tp, const void *objects, size_t stride,
                            uint32_t n, uint8_t kind, int64_t deadline)
{
	return send_batch(tp, objects, stride, n, false, kind, deadline);
}

int myelon_typed_send_batch_managed(struct myelon_typed_producer *tp, const void *objects,
                                    size_t stride, uint32_t n, uint8_t kind, int64_t deadline)
{
	return send_batch(tp, objects, stride, n, true, kind, deadline);
}

static int claim_bare(struct myelon_typed_producer *tp, size_t bytes, bool managed,
                      int64_t deadline, void **buf)
{
	int rc = begin(tp);

	if (rc == 0 && bytes > SIZE_MAX - sizeof(struct mye_stamp))
		rc = mye_fail(-EMSGSIZE, "a claim of %zu bytes is too long", bytes);
	if (rc == 0)
		rc = claim(tp, tp->prefix + bytes, managed, deadline, buf);
	if (rc == 0)
		*buf = (unsigned char *)*buf + tp->prefix;
	return rc;
}

int myelon_typed_claim(struct myelon_typed_producer *tp, size_t bytes, int64_t deadline, void **buf)
{
	return claim_bare(tp, bytes, false, deadline, buf);
}

int myelon_typed_claim_managed(struct myelon_typed_producer *tp, size_t bytes, int64_t deadline,
                               void **buf)
{
	return claim_bare(tp, bytes, true, deadline, buf);
}

int myelon_typed_commit(struct myelon_typed_producer *tp, size_t bytes, uint8_t kind)
{
	int rc = begin(tp);

	if (rc < 0)
		return rc;
	if (tp->prefix && tp->frames->base) {
		if (bytes > SIZE_MAX - tp->prefix)
			return mye_fail_static(-EINVAL, "commit: more than was claimed");
		stamp(tp, (unsigned char *)tp->frames->base + MYELON_FRAME_HEADER);
	}
	return myelon_frame_commit(tp->frames, tp->prefix + bytes, kind);
}

int myelon_typed_cancel(struct myelon_typed_producer *tp)
{
	int rc = begin(tp);

	return rc < 0 ? rc : myelon_frame_cancel(tp->frames);
}
