/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Putting a fragmented message together in memory of the handle: one message at a time, and every
 * message that was cut off is reported exactly once. Shared by consumers and observers.
 */
#ifndef MYE_FRAME_ASSEMBLY_H
#define MYE_FRAME_ASSEMBLY_H

#include <myelon/frame.h>

#include "frame/format.h"
#include "segment/segment.h"

#define MYE_ASSEMBLY_LIMIT (1ull << 30)

enum mye_assembly_state {
	MYE_ASSEMBLY_IDLE,
	MYE_ASSEMBLY_OPEN, /* fragments are missing */
	MYE_ASSEMBLY_DONE, /* whole, given to the caller */
};

struct mye_assembly {
	enum mye_assembly_state state;
	bool skipping; /* what is left of message skip_id is passed over in silence */
	uint32_t skip_id;
	uint32_t id;
	uint32_t index; /* of the next fragment */
	uint8_t kind;
	int64_t seq;    /* of the first fragment */
	uint64_t epoch; /* of the producer when it began */
	uint64_t total;
	uint64_t length; /* so far */
	uint64_t limit;  /* totals above it are passed over */
	unsigned char *buf;
	size_t capacity;
};

/* What to do with a sound frame. */
enum mye_take {
	MYE_TAKE_WHOLE,  /* a message in one piece */
	MYE_TAKE_BEGIN,  /* the first fragment of one */
	MYE_TAKE_APPEND, /* the next fragment of ours */
	MYE_TAKE_SKIP,   /* pass over it in silence */
	MYE_TAKE_STRAY,  /* pass over it, and report its message: its beginning is missing */
	MYE_TAKE_CUT,    /* leave it where it is and report ours: it ended too early */
};

/* Judge a sound frame. CUT has already ended our message: see mye_assembly_cut(). */
enum mye_take mye_assembly_take(struct mye_assembly *a, const struct myelon_frame_header *h);

/* Begin a message; @return 0, or -EMSGSIZE: over the limit, it will be passed over. */
int mye_assembly_begin(struct mye_assembly *a, const struct myelon_frame_header *h, uint64_t total,
                       int64_t seq, uint64_t epoch);

/* Make room for @p bytes in all; what is there stays. @return 0, -ENOMEM. */
int mye_assembly_grow(struct mye_assembly *a, uint64_t bytes);

/* A fragment of @p bytes was copied behind the others. @return true: that was the last. */
bool mye_assembly_added(struct mye_assembly *a, uint32_t bytes);

/* End the open message as cut off: fill @p msg with what is known. @return -EBADMSG. */
int mye_assembly_cut(struct mye_assembly *a, struct myelon_message *msg);

/* Report the message of a stray fragment. @return -EBADMSG. */
int mye_assembly_stray(const struct myelon_frame_header *h, int64_t seq,
                       struct myelon_message *msg);

/* The finished message. */
void mye_assembly_message(const struct mye_assembly *a, struct myelon_message *msg);

void mye_assembly_free(struct mye_assembly *a);

/* The epoch now; a message that began under another one will not be finished. */
static inline uint64_t mye_frame_epoch(const struct mye_segment *seg)
{
	/* Acquire: pairs with the release store at takeover; what its predecessor published is seen
	 * by whoever looks for it afterwards. */
	return __atomic_load_n(&seg->producer->slow.epoch, __ATOMIC_ACQUIRE);
}

/*
 * Where to go on behind a header that lies: the next recorded frame start above @p seq, else behind
 * everything that was published when we looked, which is one as well.
 */
int64_t mye_frame_resume(const struct mye_segment *seg, int64_t seq, int64_t published);

/* Fragments that keep coming must not hold up a caller that cannot wait. @return 0, -EAGAIN,
 * -ETIMEDOUT. */
int mye_frame_in_time(int64_t deadline);

/* The sentence for a handle that is none, or was opened before fork. @return -EINVAL or -EPERM. */
int mye_frame_not_open(const void *handle) __attribute__((cold));

/* The geometry of a ring that was opened. @return 0, -EPROTO. */
int mye_frame_geometry(const struct mye_segment *seg, struct myelon_frame_limits *limits);

#endif
