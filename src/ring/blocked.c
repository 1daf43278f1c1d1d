/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "ring/blocked.h"

#include "sys/sys.h"

/* Who has not asked again for so long did something else meanwhile. */
#define AGAIN_NS 1000000000ll

/* Seen together or not: readers check, and what they say is a report. */
static void write_words(struct mye_producer *p, int64_t need)
{
	struct mye_producer_page *page = p->seg.producer;

	__atomic_store_n(&page->report.blocked_need, need, __ATOMIC_RELAXED);
	__atomic_store_n(&page->report.blocked_ns, p->blocked.ns, __ATOMIC_RELAXED);
	p->blocked.shown = true;
}

void mye_blocked_again(struct mye_producer *p, int64_t need)
{
	struct mye_blocked *b = &p->blocked;

	if (!b->ns)
		return;
	if (b->next == p->hot.next && mye_now() - b->left_ns < AGAIN_NS)
		write_words(p, need);
	else
		b->ns = 0;
}

void mye_blocked_show(struct mye_producer *p, int64_t need, int64_t waited_ns)
{
	struct mye_blocked *b = &p->blocked;

	if (!b->shown)
		b->ns = mye_realtime() - (uint64_t)waited_ns;
	write_words(p, need);
}

void mye_blocked_end(struct mye_producer *p, bool done, int64_t waited_ns)
{
	struct mye_blocked *b = &p->blocked;

	if (b->shown)
		__atomic_store_n(&p->seg.producer->report.blocked_ns, 0, __ATOMIC_RELAXED);
	if (done) {
		b->ns = 0;
	} else {
		if (!b->shown)
			b->ns = mye_realtime() - (uint64_t)waited_ns;
		b->next = p->hot.next;
		b->left_ns = mye_now();
	}
	b->shown = false;
}
