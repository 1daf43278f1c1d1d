/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The write side: one frame is one claim and one publish; longer messages are cut into frames. */
#include <myelon/frame.h>

#include <errno.h>

#include "base/error.h"
#include "base/handle.h"
#include "frame/assembly.h"
#include "ring/ring.h"
#include "sys/points.h"

#define FRAME_PRODUCER_MAGIC 0x70666d31u

struct mye_frame_producer {
	struct myelon_frame_producer hot;
	uint32_t magic;
	uint32_t cut_id; /* of a message that was begun and not ended */
	bool cut;        /* there is one: an ABORT goes out before anything else */
	int64_t step;    /* a start is recorded in each */
	struct mye_producer_page *page;
};

static inline struct mye_frame_producer *whole_of(struct myelon_frame_producer *hot)
{
	return (struct mye_frame_producer *)(void *)hot;
}

/* The pieces of a message that were not copied yet. */
struct pieces {
	const struct iovec *iov;
	size_t offset; /* into the first of them */
};

static void put_header(void *base, uint32_t length, uint32_t id, uint8_t kind, uint32_t flags,
                       uint32_t index)
{
	struct myelon_frame_header h = {
		.length = length, .id = id, .kind = kind, .flags = (uint8_t)flags, .index = index};

	memcpy(base, &h, sizeof(h));
}

static uint32_t next_id(const struct mye_frame_producer *fp)
{
	return fp->hot.id + 1 != 0 ? fp->hot.id + 1 : 1;
}

/*
 * Make a finished frame visible. The id goes first, into the line of `published`, which is ours at that
 * moment anyway: a successor never gives it to another message.
 */
static inline int publish_frame(struct mye_frame_producer *fp, int64_t seq, uint32_t slots,
                                uint32_t id)
{
	if (__builtin_expect(seq >= fp->hot.mark, 0)) {
		mye_frame_mark(mye_producer_of(fp->hot.ring), seq);
		fp->hot.mark = seq - seq % fp->step + fp->step;
	}
	fp->hot.id = id;
	mye_point();
	__atomic_store_n(fp->hot.last, id, __ATOMIC_RELAXED);
	return myelon_publish(fp->hot.ring, slots);
}

/* The inline claim is for handles that have nothing else to send first. */
static void choose_path(struct mye_frame_producer *fp)
{
	fp->hot.below = fp->cut ? 0 : (uint64_t)fp->hot.limits.max_frame + 1;
}

/*
 * Say in shared memory whether a message is half sent, so that whoever sends next tells the
 * receivers. Plain order is enough: it is read by a successor, after this process has ended.
 */
static void set_cut(struct mye_frame_producer *fp, bool cut, uint32_t id)
{
	fp->cut = cut;
	fp->cut_id = id;
	choose_path(fp);
	mye_point();
	if (cut)
		__atomic_store_n(&fp->page->slow.fragment_open, id, __ATOMIC_RELAXED);
	__atomic_store_n(&fp->page->slow.fragmenting, cut ? 1u : 0u, __ATOMIC_RELAXED);
	mye_point();
}

static int send_abort(struct mye_frame_producer *fp, int64_t deadline)
{
	struct myelon_span span;
	int rc = myelon_claim(fp->hot.ring, 1, deadline, &span);

	if (rc < 0)
		return rc;
	put_header(span.base, 0, fp->cut_id, 0, MYELON_FRAME_ABORT, 0);
	rc = publish_frame(fp, span.seq, 1, fp->hot.id);
	if (rc < 0)
		return rc;
	set_cut(fp, false, 0);
	return 0;
}

/* Room for one frame, behind the ABORT of a message that was cut off before. */
static inline int claim_frame(struct mye_frame_producer *fp, uint32_t slots, int64_t deadline,
                              struct myelon_span *span)
{
	int rc;

	if (__builtin_expect(fp->cut, 0)) {
		rc = send_abort(fp, deadline);
		if (rc < 0)
			return rc;
	}
	return myelon_claim(fp->hot.ring, slots, deadline, span);
}

static int adopt(struct myelon_frame_producer **out, struct myelon_producer *ring)
{
	struct mye_producer *p = mye_producer_of(ring);
	struct mye_frame_producer *fp;
	struct myelon_frame_limits limits;
	int rc = mye_frame_geometry(&p->seg, &limits);

	if (rc < 0)
		return rc;
	fp = mye_handle_alloc(sizeof(*fp));
	if (!fp)
		return -ENOMEM;
	fp->hot.ring = ring;
	fp->page = p->seg.producer;
	fp->hot.limits = limits;
	fp->step = p->seg.header.window / 8 > 0 ? p->seg.header.window / 8 : 1;
	fp->hot.id = __atomic_load_n(&fp->page->hot.message_id, __ATOMIC_RELAXED);
	fp->cut_id = __atomic_load_n(&fp->page->slow.fragment_open, __ATOMIC_RELAXED);
	fp->cut = __atomic_load_n(&fp->page->slow.fragmenting, __ATOMIC_RELAXED) != 0;
	fp->hot.last = &fp->page->hot.message_id;
	fp->magic = FRAME_PRODUCER_MAGIC;
	choose_path(fp);
	*out = &fp->hot;
	return 0;
}

/* Before anything is made: can the ring asked for carry frames? */
static int check_options(const struct myelon_ring_opts *opts)
{
	uint32_t slot_size = 64, window = 1024;
	struct myelon_frame_limits limits;

	if (opts && opts->size >= offsetof(struct myelon_ring_opts, max_consumers)) {
		slot_size = opts->slot_size ? opts->slot_size : slot_size;
		window = opts->window ? opts->window : window;
	}
	if (mye_frame_limits_of(&limits, slot_size, window))
		return 0;
	return mye_fail(-EINVAL,
	                "slot_size %u with window %u cannot carry frames: slot_size must be a "
	                "multiple of 16, window at least 2, and half the window at least 32 bytes",
	                slot_size, window);
}

int myelon_frame_producer_create(struct myelon_frame_producer **out, const char *name,
                                 const struct myelon_ring_opts *opts)
{
	struct myelon_producer *ring;
	int rc;

	if (!out)
		return mye_fail_static(-EINVAL, "out is NULL");
	*out = NULL;
	rc = check_options(opts);
	if (rc < 0)
		return rc;
	rc = mye_producer_make(&ring, name, opts, MYELON_KIND_FRAMED);
	if (rc < 0)
		return rc;
	rc = adopt(out, ring);
	if (rc < 0)
		myelon_producer_close(ring);
	return rc;
}

int myelon_frame_producer_open(struct myelon_frame_producer **out, const char *name,
                               const struct myelon_open_opts *opts)
{
	struct myelon_producer *ring;
	int rc;

	if (!out)
		return mye_fail_static(-EINVAL, "out is NULL");
	*out = NULL;
	rc = mye_producer_takeover(&ring, name, opts, MYELON_KIND_FRAMED);
	if (rc < 0)
		return rc;
	rc = adopt(out, ring);
	if (rc < 0) {
		myelon_producer_close(ring);
		return rc;
	}
	/* Receivers learn of the message our predecessor left half sent now, if there is room. */
	if (whole_of(*out)->cut)
		(void)send_abort(whole_of(*out), MYELON_TRY);
	return 0;
}

void myelon_frame_producer_close(struct myelon_frame_producer *hot)
{
	struct mye_frame_producer *fp = whole_of(hot);

	if (!fp)
		return;
	if (fp->magic == FRAME_PRODUCER_MAGIC)
		myelon_producer_close(fp->hot.ring);
	fp->magic = 0;
	mye_handle_free(fp, sizeof(*fp));
}

struct myelon_producer *myelon_frame_producer_ring(struct myelon_frame_producer *hot)
{
	struct mye_frame_producer *fp = whole_of(hot);

	return fp && fp->magic == FRAME_PRODUCER_MAGIC ? fp->hot.ring : NULL;
}

size_t myelon_frame_producer_max_frame(const struct myelon_frame_producer *hot)
{
	const struct mye_frame_producer *fp = (const struct mye_frame_producer *)(const void *)hot;

	return fp && fp->magic == FRAME_PRODUCER_MAGIC ? fp->hot.limits.max_frame : 0;
}

uint32_t myelon_frame_last_id(const struct myelon_frame_producer *hot)
{
	const struct mye_frame_producer *fp = (const struct mye_frame_producer *)(const void *)hot;

	return fp && fp->magic == FRAME_PRODUCER_MAGIC ? fp->hot.id : 0;
}

int myelon_frame_claim_slow(struct myelon_frame_producer *hot, size_t bytes, int64_t deadline,
                            void **buf)
{
	struct mye_frame_producer *fp = whole_of(hot);
	struct myelon_span span;
	int rc;

	if (__builtin_expect(!fp || fp->magic != FRAME_PRODUCER_MAGIC, 0))
		return mye_frame_not_open(fp);
	if (__builtin_expect(!buf, 0))
		return mye_fail_static(-EINVAL, "buf is NULL");
	if (__builtin_expect(bytes > fp->hot.limits.max_frame, 0))
		return mye_fail(-EMSGSIZE,
		                "a claim of %zu bytes is more than max_frame, %u; send it in "
		                "fragments (myelon_frame_send), or make the window larger",
		                bytes, fp->hot.limits.max_frame);
	rc = claim_frame(fp, myelon_frame_slots(&fp->hot.limits, (uint32_t)bytes), deadline, &span);
	if (rc < 0)
		return rc;
	fp->hot.base = span.base;
	fp->hot.seq = span.seq;
	fp->hot.claimed = (uint32_t)bytes;
	*buf = (unsigned char *)span.base + MYELON_FRAME_HEADER;
	return 0;
}

int myelon_frame_commit_slow(struct myelon_frame_producer *hot, size_t bytes, uint8_t kind)
{
	struct mye_frame_producer *fp = whole_of(hot);
	uint32_t slots, id;
	int rc;

	if (__builtin_expect(!fp || fp->magic != FRAME_PRODUCER_MAGIC, 0))
		return mye_frame_not_open(fp);
	if (__builtin_expect(!fp->hot.base, 0))
		return mye_fail_static(-EINVAL,
		                       "no claim is open: call myelon_frame_claim() first");
	if (__builtin_expect(bytes > fp->hot.claimed, 0))
		return mye_fail(-EINVAL, "commit of %zu bytes, but only %u were claimed", bytes,
		                fp->hot.claimed);
	slots = myelon_frame_slots(&fp->hot.limits, (uint32_t)bytes);
	/* Somebody gave the claim back through the ring handle: these slots may be others' now. */
	if (__builtin_expect(fp->hot.ring->claimed - fp->hot.seq < slots ||
	                             fp->hot.ring->next != fp->hot.seq,
	                     0)) {
		fp->hot.base = NULL;
		return mye_fail_static(-EINVAL, "the claim was ended through the ring handle");
	}
	id = next_id(fp);
	put_header(fp->hot.base, (uint32_t)bytes, id, kind, MYELON_FRAME_FIRST | MYELON_FRAME_LAST,
	           0);
	rc = publish_frame(fp, fp->hot.seq, slots, id);
	if (rc == 0)
		fp->hot.base = NULL;
	return rc;
}

int myelon_frame_cancel(struct myelon_frame_producer *hot)
{
	struct mye_frame_producer *fp = whole_of(hot);

	if (!fp || fp->magic != FRAME_PRODUCER_MAGIC)
		return mye_frame_not_open(fp);
	if (!fp->hot.base)
		return mye_fail_static(-EINVAL, "no claim is open");
	fp->hot.base = NULL;
	return myelon_cancel(fp->hot.ring);
}

static void copy_pieces(void *to, struct pieces *from, size_t bytes)
{
	unsigned char *at = to;

	while (bytes > 0) {
		size_t n = from->iov->iov_len - from->offset;

		if (n > bytes)
			n = bytes;
		if (n > 0)
			memcpy(at, (const unsigned char *)from->iov->iov_base + from->offset, n);
		at += n;
		bytes -= n;
		from->offset += n;
		if (from->offset == from->iov->iov_len) {
			from->iov++;
			from->offset = 0;
		}
	}
}

static inline int send_whole(struct mye_frame_producer *fp, struct pieces *from, uint32_t bytes,
                             uint8_t kind, int64_t deadline)
{
	uint32_t slots = myelon_frame_slots(&fp->hot.limits, bytes), id;
	struct myelon_span span;
	int rc = claim_frame(fp, slots, deadline, &span);

	if (rc < 0)
		return rc;
	id = next_id(fp);
	put_header(span.base, bytes, id, kind, MYELON_FRAME_FIRST | MYELON_FRAME_LAST, 0);
	copy_pieces((unsigned char *)span.base + MYELON_FRAME_HEADER, from, bytes);
	return publish_frame(fp, span.seq, slots, id);
}

/*
 * A message in fragments that may not wait must find room for all of them before the first goes
 * out. A claim of everything, given back at once, leaves that room to the claims that follow.
 */
static int reserve(struct mye_frame_producer *fp, uint64_t bytes)
{
	uint64_t slots = mye_frame_slots_of(&fp->hot.limits, bytes);
	struct myelon_span span;
	int rc;

	if (slots > mye_producer_of(fp->hot.ring)->seg.header.window)
		return mye_fail(-EMSGSIZE,
		                "a message of %llu bytes is longer than the ring and cannot be "
		                "sent with MYELON_TRY; give it a deadline",
		                (unsigned long long)bytes);
	rc = claim_frame(fp, (uint32_t)slots, MYELON_TRY, &span);
	return rc < 0 ? rc : myelon_cancel(fp->hot.ring);
}

static int send_fragment(struct mye_frame_producer *fp, struct pieces *from, uint64_t *left,
                         uint64_t bytes, uint32_t index, uint32_t id, uint8_t kind,
                         int64_t deadline)
{
	uint32_t head = index == 0 ? MYE_FRAME_TOTAL : 0;
	uint32_t room = fp->hot.limits.max_frame - head;
	uint32_t n = *left < room ? (uint32_t)*left : room;
	uint32_t slots = myelon_frame_slots(&fp->hot.limits, head + n);
	uint32_t flags =
		(index == 0 ? MYELON_FRAME_FIRST : 0) | (n == *left ? MYELON_FRAME_LAST : 0);
	struct myelon_span span;
	unsigned char *at;
	int rc = myelon_claim(fp->hot.ring, slots, deadline, &span);

	if (rc < 0)
		return rc;
	at = (unsigned char *)span.base + MYELON_FRAME_HEADER;
	put_header(span.base, head + n, id, kind, flags, index);
	if (index == 0) {
		memcpy(at, &bytes, sizeof(bytes));
		set_cut(fp, true, id);
	}
	copy_pieces(at + head, from, n);
	*left -= n;
	return publish_frame(fp, span.seq, slots, id);
}

static int send_fragments(struct mye_frame_producer *fp, struct pieces *from, uint64_t bytes,
                          uint8_t kind, int64_t deadline)
{
	uint32_t id = next_id(fp), index;
	uint64_t left = bytes;
	int rc = 0;

	if (bytes > MYE_FRAME_TOTAL_MAX || bytes / fp->hot.limits.max_frame >= UINT32_MAX - 1)
		return mye_fail(-EMSGSIZE,
		                "a message of %llu bytes is too long for this ring: the limit is "
		                "2^48 bytes, or 2^32 fragments of %u",
		                (unsigned long long)bytes, fp->hot.limits.max_frame);
	if (deadline == MYELON_TRY)
		rc = reserve(fp, bytes);
	else if (fp->cut)
		rc = send_abort(fp, deadline);
	for (index = 0; rc == 0 && left > 0; index++)
		rc = send_fragment(fp, from, &left, bytes, index, id, kind, deadline);
	if (rc == 0)
		set_cut(fp, false, 0);
	return rc;
}

static int send_pieces(struct mye_frame_producer *fp, struct pieces *from, uint64_t bytes,
                       uint8_t kind, int64_t deadline)
{
	if (__builtin_expect(fp->hot.base != NULL, 0))
		return mye_fail_static(-EINVAL, "a claim is open: commit or cancel it first");
	if (__builtin_expect(bytes <= fp->hot.limits.max_frame, 1))
		return send_whole(fp, from, (uint32_t)bytes, kind, deadline);
	return send_fragments(fp, from, bytes, kind, deadline);
}

int myelon_frame_send(struct myelon_frame_producer *hot, const void *data, size_t bytes,
                      uint8_t kind, int64_t deadline)
{
	struct mye_frame_producer *fp = whole_of(hot);
	/* iovec has no const; it is only read. */
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
	struct pieces from = {.iov = &iov};

	if (__builtin_expect(!fp || fp->magic != FRAME_PRODUCER_MAGIC, 0))
		return mye_frame_not_open(fp);
	if (__builtin_expect(!data && bytes > 0, 0))
		return mye_fail_static(-EINVAL, "data is NULL, but bytes is not 0");
	return send_pieces(fp, &from, bytes, kind, deadline);
}

int myelon_frame_sendv(struct myelon_frame_producer *hot, const struct iovec *iov, int iovcnt,
                       uint8_t kind, int64_t deadline)
{
	struct mye_frame_producer *fp = whole_of(hot);
	struct pieces from = {.iov = iov};
	uint64_t bytes = 0;
	int i;

	if (!fp || fp->magic != FRAME_PRODUCER_MAGIC)
		return mye_frame_not_open(fp);
	if (iovcnt < 0 || (iovcnt > 0 && !iov))
		return mye_fail(-EINVAL, "iov is NULL or iovcnt is %d", iovcnt);
	for (i = 0; i < iovcnt; i++) {
		if (!iov[i].iov_base && iov[i].iov_len > 0)
			return mye_fail(-EINVAL, "iov[%d] has no base, but %zu bytes", i,
			                iov[i].iov_len);
		if (__builtin_add_overflow(bytes, iov[i].iov_len, &bytes))
			return mye_fail(-EMSGSIZE, "the lengths of %d pieces overflow", iovcnt);
	}
	return send_pieces(fp, &from, bytes, kind, deadline);
}

int myelon_frame_claim_fn(struct myelon_frame_producer *hot, size_t bytes, int64_t deadline,
                          void **buf)
{
	return myelon_frame_claim(hot, bytes, deadline, buf);
}

int myelon_frame_commit_fn(struct myelon_frame_producer *hot, size_t bytes, uint8_t kind)
{
	return myelon_frame_commit(hot, bytes, kind);
}
