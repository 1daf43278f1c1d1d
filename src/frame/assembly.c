/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "frame/assembly.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "ring/call.h"
#include "ring/ring.h"
#include "sys/sys.h"

/* Is this the fragment that comes next in our message, and can it be one? */
static bool continues(const struct mye_assembly *a, const struct myelon_frame_header *h)
{
	uint64_t length = a->length + h->length;
	bool last = (h->flags & MYELON_FRAME_LAST) != 0;

	return (h->flags & (MYELON_FRAME_FIRST | MYELON_FRAME_ABORT)) == 0 && h->id == a->id &&
	       h->index == a->index && (last ? length == a->total : length < a->total);
}

enum mye_take mye_assembly_take(struct mye_assembly *a, const struct myelon_frame_header *h)
{
	if (a->state == MYE_ASSEMBLY_OPEN)
		return continues(a, h) ? MYE_TAKE_APPEND : MYE_TAKE_CUT;
	if (h->flags == MYELON_FRAME_ABORT) {
		a->skipping = false;
		return MYE_TAKE_SKIP;
	}
	if (h->flags & MYELON_FRAME_FIRST) {
		a->skipping = false;
		return h->flags & MYELON_FRAME_LAST ? MYE_TAKE_WHOLE : MYE_TAKE_BEGIN;
	}
	if (a->skipping && a->skip_id == h->id)
		return MYE_TAKE_SKIP;
	a->skipping = true;
	a->skip_id = h->id;
	return MYE_TAKE_STRAY;
}

int mye_assembly_begin(struct mye_assembly *a, const struct myelon_frame_header *h, uint64_t total,
                       int64_t seq, uint64_t epoch)
{
	if (total > a->limit || total > SIZE_MAX) {
		a->skipping = true;
		a->skip_id = h->id;
		return mye_fail(-EMSGSIZE,
		                "message id %u is %llu bytes long, over the limit of %llu for "
		                "reassembled messages; it is skipped, raise the limit to get such",
		                h->id, (unsigned long long)total, (unsigned long long)a->limit);
	}
	a->id = h->id;
	a->index = 0;
	a->kind = h->kind;
	a->seq = seq;
	a->epoch = epoch;
	a->total = total;
	a->length = 0;
	return 0;
}

int mye_assembly_grow(struct mye_assembly *a, uint64_t bytes)
{
	uint64_t want = a->capacity > SIZE_MAX / 2 ? SIZE_MAX : (uint64_t)a->capacity * 2;
	unsigned char *buf;

	if (bytes <= a->capacity)
		return 0;
	/* Never more than twice of what came: the announced total is only a claim. */
	if (want > a->total)
		want = a->total;
	if (want < bytes)
		want = bytes;
	buf = realloc(a->buf, (size_t)want);
	if (!buf)
		return mye_fail(-ENOMEM, "no memory for a message of %llu bytes (id %u)",
		                (unsigned long long)a->total, a->id);
	a->buf = buf;
	a->capacity = (size_t)want;
	return 0;
}

bool mye_assembly_added(struct mye_assembly *a, uint32_t bytes)
{
	a->length += bytes;
	a->index++;
	a->state = a->length == a->total ? MYE_ASSEMBLY_DONE : MYE_ASSEMBLY_OPEN;
	return a->state == MYE_ASSEMBLY_DONE;
}

int mye_assembly_cut(struct mye_assembly *a, struct myelon_message *msg)
{
	*msg = (struct myelon_message){
		.len = (size_t)a->length, .id = a->id, .kind = a->kind, .seq = a->seq};
	a->state = MYE_ASSEMBLY_IDLE;
	a->skipping = true;
	a->skip_id = a->id;
	return mye_fail(-EBADMSG,
	                "message id %u was cut off after %llu of %llu bytes; its sender gave up, "
	                "died, or was overtaken",
	                a->id, (unsigned long long)a->length, (unsigned long long)a->total);
}

int mye_assembly_stray(const struct myelon_frame_header *h, int64_t seq, struct myelon_message *msg)
{
	*msg = (struct myelon_message){.id = h->id, .kind = h->kind, .seq = seq};
	return mye_fail(-EBADMSG,
	                "message id %u began before this handle did: sequence %lld holds its "
	                "fragment %u; the rest of it is skipped",
	                h->id, (long long)seq, h->index);
}

void mye_assembly_message(const struct mye_assembly *a, struct myelon_message *msg)
{
	*msg = (struct myelon_message){.data = a->length > 0 ? a->buf : NULL,
	                               .len = (size_t)a->length,
	                               .id = a->id,
	                               .kind = a->kind,
	                               .seq = a->seq};
}

void mye_assembly_free(struct mye_assembly *a)
{
	free(a->buf);
	a->buf = NULL;
	a->capacity = 0;
}

int64_t mye_frame_resume(const struct mye_segment *seg, int64_t seq, int64_t published)
{
	int64_t next = mye_frame_start(seg, seq + 1, published);

	return next > seq && next <= published ? next : published + 1;
}

int mye_frame_in_time(int64_t deadline)
{
	if (deadline == MYELON_FOREVER || mye_now() < deadline)
		return 0;
	return deadline == MYELON_TRY
	               ? mye_fail_static(-EAGAIN, "the message is not complete yet")
	               : mye_fail_static(-ETIMEDOUT, "the message is not complete yet");
}

int mye_frame_not_open(const void *handle)
{
	if (!handle)
		return mye_fail_static(-EINVAL, "the handle is NULL");
	return mye_opened_before_fork("frame call");
}

int mye_frame_geometry(const struct mye_segment *seg, struct myelon_frame_limits *limits)
{
	if (mye_frame_limits_of(limits, seg->header.slot_size, seg->header.window))
		return 0;
	return mye_fail(-EPROTO,
	                "ring %s claims to carry frames, but slot size %u and window %u cannot",
	                seg->place.name, seg->header.slot_size, seg->header.window);
}
