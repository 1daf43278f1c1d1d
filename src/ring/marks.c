/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Where frames start. A reader that does not begin at the beginning must not take payload for a header,
 * so the framed producer records the first frame start in each step of max(1, window/8) sequences.
 */
#include "ring/ring.h"

#include "sys/sys.h"

static int64_t step_of(const struct mye_segment *seg)
{
	return seg->header.window / 8 > 0 ? seg->header.window / 8 : 1;
}

void mye_frame_mark(struct mye_producer *p, int64_t seq)
{
	int64_t step = step_of(&p->seg), bucket = seq / step;
	int64_t *mark = &p->seg.producer->frame_marks[bucket % MYE_FRAME_MARKS];
	int64_t have = __atomic_load_n(mark, __ATOMIC_RELAXED);

	/* A mark at or above seq is of a claim that was cancelled, or ours already. */
	if (have >= bucket * step && have <= seq)
		return;
	mye_point();
	__atomic_store_n(mark, seq, __ATOMIC_RELAXED);
}

int64_t mye_frame_start(const struct mye_segment *seg, int64_t lo, int64_t published)
{
	int64_t best = published + 1;

	for (int i = 0; i < MYE_FRAME_MARKS; i++) {
		int64_t mark = __atomic_load_n(&seg->producer->frame_marks[i], __ATOMIC_RELAXED);

		if (mark >= lo && mark < best)
			best = mark;
	}
	return best;
}
