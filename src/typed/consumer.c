/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Receiving: decoded into the caller's memory, or verified where it lies. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "base/opts.h"
#include "ring/call.h"
#include "typed/typed.h"

#define BATCH 64u

static int begin(struct myelon_typed_consumer *tc)
{
	return tc && tc->magic == MYE_TYPED_CONSUMER_MAGIC ? 0 : mye_typed_not_open(tc);
}

struct attaching {
	struct myelon_frame_consumer *frames;
	const char *name;
	struct myelon_attach_opts opts;
};

static int attach_with(void *ctx, uint64_t schema)
{
	struct attaching *a = ctx;

	a->opts.schema = schema;
	return myelon_frame_consumer_attach(&a->frames, a->name, &a->opts);
}

int myelon_typed_consumer_attach(struct myelon_typed_consumer **out, const char *name,
                                 const struct myelon_attach_opts *opts,
                                 const struct myelon_codec *codec)
{
	struct attaching a = {.name = name, .opts = MYELON_ATTACH_OPTS()};
	struct myelon_typed_consumer *tc;
	size_t prefix = 0;
	int rc;

	if (!out)
		return mye_fail_static(-EINVAL, "out is NULL");
	*out = NULL;
	rc = mye_opts_read(&a.opts, sizeof(a.opts), MYE_ATTACH_OPTS_FIRST, opts, "attach options");
	if (rc == 0 && a.opts.schema)
		rc = mye_fail_static(-EINVAL,
		                     "a typed handle takes its schema from the codec; leave the "
		                     "option 0");
	if (rc == 0)
		rc = mye_typed_join(attach_with, &a, codec, &prefix);
	if (rc < 0)
		return rc;
	tc = mye_handle_alloc(sizeof(*tc));
	if (!tc) {
		myelon_frame_consumer_close(a.frames);
		return -ENOMEM;
	}
	tc->magic = MYE_TYPED_CONSUMER_MAGIC;
	tc->prefix = prefix;
	tc->frames = a.frames;
	tc->codec = codec;
	*out = tc;
	return 0;
}

void myelon_typed_consumer_close(struct myelon_typed_consumer *tc)
{
	if (!tc || tc->magic != MYE_TYPED_CONSUMER_MAGIC)
		return;
	myelon_frame_consumer_close(tc->frames);
	mye_handle_free(tc, sizeof(*tc));
}

struct myelon_frame_consumer *myelon_typed_consumer_frames(struct myelon_typed_consumer *tc)
{
	return begin(tc) == 0 ? tc->frames : NULL;
}

/* What the frame says of its message, and where the encoded bytes are. @return 0, -EBADMSG. */
static int open_message(const struct myelon_typed_consumer *tc, const struct myelon_message *msg,
                        struct myelon_meta *meta, const unsigned char **data)
{
	struct mye_stamp s = {0};

	*meta = (struct myelon_meta){.len = msg->len,
	                             .seq = msg->seq,
	                             .id = msg->id,
	                             .kind = msg->kind,
	                             .borrowed = msg->borrowed};
	*data = msg->data;
	if (!tc->prefix)
		return 0;
	if (msg->len < sizeof(s))
		return mye_fail(-EBADMSG, "message %u: its %zu bytes are too few for a stamp",
		                msg->id, msg->len);
	memcpy(&s, msg->data, sizeof(s));
	meta->len -= sizeof(s);
	meta->sent_ns = (int64_t)s.sent_ns;
	*data += sizeof(s);
	return 0;
}

/* It is not what it claims: pass over it. @return @p rc, or what release says. */
static int pass_over(struct myelon_typed_consumer *tc, int rc)
{
	int released = myelon_frame_release(tc->frames, 1);

	return released < 0 ? released : rc;
}

static void tell(struct myelon_meta *meta, const struct myelon_meta *own)
{
	if (meta)
		*meta = *own;
}

/* The frame below could not be had. @return @p rc. */
static int tell_failed(struct myelon_meta *meta, const struct myelon_message *msg, int rc)
{
	if (meta)
		*meta = (struct myelon_meta){
			.len = msg->len, .seq = msg->seq, .id = msg->id, .kind = msg->kind};
	return rc;
}

static int decode(struct myelon_typed_consumer *tc, const struct myelon_message *msg, void *object,
                  struct myelon_arena *arena, struct myelon_meta *meta)
{
	const unsigned char *data;
	int rc = open_message(tc, msg, meta, &data);

	return rc < 0 ? rc : tc->codec->decode(tc->codec, data, meta->len, object, arena);
}

static int recv_some(struct myelon_typed_consumer *tc, void *objects, size_t stride, uint32_t max,
                     struct myelon_arena *arena, int64_t deadline, struct myelon_meta *metas)
{
	struct myelon_message msg[BATCH];
	struct myelon_meta meta = {0};
	int n, rc = 0, done = 0;

	n = max == 1
	            ? myelon_frame_peek(tc->frames, deadline, msg)
	            : myelon_frame_peek_batch(tc->frames, msg, max < BATCH ? max : BATCH, deadline);
	if (n < 0)
		return tell_failed(metas, msg, n);
	for (; done < n; done++) {
		rc = decode(tc, &msg[done], (unsigned char *)objects + (size_t)done * stride, arena,
		            &meta);
		if (rc < 0)
			break;
		tell(metas ? &metas[done] : NULL, &meta);
	}
	if (done > 0) {
		rc = myelon_frame_release(tc->frames, (uint32_t)done);
		return rc < 0 ? rc : done;
	}
	tell(metas, &meta);
	return rc == -ENOMEM ? rc : pass_over(tc, rc);
}

static int check_recv(struct myelon_typed_consumer *tc, const void *objects, uint32_t max)
{
	int rc = begin(tc);

	if (rc < 0)
		return rc;
	if (!objects || max == 0)
		return mye_fail_static(-EINVAL, "typed recv: there is no room for an object");
	if (!tc->codec->decode)
		return mye_fail(-ENOTSUP, "codec %s does not decode", tc->codec->name);
	return 0;
}

int myelon_typed_recv(struct myelon_typed_consumer *tc, void *object, struct myelon_arena *arena,
                      int64_t deadline, struct myelon_meta *meta)
{
	int rc = check_recv(tc, object, 1);

	return rc < 0 ? rc : recv_some(tc, object, 0, 1, arena, deadline, meta);
}

int myelon_typed_recv_batch(struct myelon_typed_consumer *tc, void *objects, size_t stride,
                            uint32_t max, struct myelon_arena *arena, int64_t deadline,
                            struct myelon_meta *metas)
{
	int rc = check_recv(tc, objects, max);

	return rc < 0 ? rc : recv_some(tc, objects, stride, max, arena, deadline, metas);
}

static int verify(struct myelon_typed_consumer *tc, const struct myelon_message *msg,
                  struct myelon_inside *inside, struct myelon_meta *meta)
{
	const unsigned char *data;
	int rc = open_message(tc, msg, meta, &data);

	if (rc < 0)
		return rc;
	*inside = (struct myelon_inside){.data = data, .len = meta->len, .codec = tc->codec};
	return tc->codec->access(tc->codec, data, meta->len, &inside->root);
}

static int check_peek(struct myelon_typed_consumer *tc, const struct myelon_inside *inside,
                      uint32_t max)
{
	int rc = begin(tc);

	if (rc < 0)
		return rc;
	if (!inside || max == 0)
		return mye_fail_static(-EINVAL, "typed peek: there is no room for a message");
	if (!tc->codec->access)
		return mye_fail(-ENOTSUP, "codec %s does not read in place", tc->codec->name);
	return 0;
}

int myelon_typed_peek(struct myelon_typed_consumer *tc, int64_t deadline,
                      struct myelon_inside *inside, struct myelon_meta *meta)
{
	struct myelon_message msg;
	struct myelon_meta own = {0};
	int rc = check_peek(tc, inside, 1);

	if (rc < 0)
		return rc;
	rc = myelon_frame_peek(tc->frames, deadline, &msg);
	if (rc < 0)
		return tell_failed(meta, &msg, rc);
	rc = verify(tc, &msg, inside, &own);
	tell(meta, &own);
	if (rc == 0)
		return 1;
	return rc == -ENOMEM ? rc : pass_over(tc, rc);
}

int myelon_typed_peek_batch(struct myelon_typed_consumer *tc, struct myelon_inside *inside,
                            uint32_t max, int64_t deadline, struct myelon_meta *metas)
{
	struct myelon_message msg[BATCH];
	struct myelon_meta meta = {0};
	int n, rc = check_peek(tc, inside, max), done = 0;

	if (rc < 0)
		return rc;
	n = myelon_frame_peek_batch(tc->frames, msg, max < BATCH ? max : BATCH, deadline);
	if (n < 0)
		return tell_failed(metas, msg, n);
	for (; done < n; done++) {
		rc = verify(tc, &msg[done], &inside[done], &meta);
		if (rc < 0)
			break;
		tell(metas ? &metas[done] : NULL, &meta);
	}
	if (done > 0)
		return done;
	tell(metas, &meta);
	return rc == -ENOMEM ? rc : pass_over(tc, rc);
}

int myelon_typed_release(struct myelon_typed_consumer *tc, uint32_t n)
{
	int rc = begin(tc);

	return rc < 0 ? rc : myelon_frame_release(tc->frames, n);
}
