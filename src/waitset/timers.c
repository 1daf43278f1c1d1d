/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Timers: a heap by time; place 0 is next. */
#include "waitset/set.h"

static int64_t time_of(const struct mye_sources *heap, uint32_t i)
{
	return heap->at[i]->timer.at;
}

static void exchange(struct mye_sources *heap, uint32_t a, uint32_t b)
{
	struct mye_source *s = heap->at[a];

	heap->at[a] = heap->at[b];
	heap->at[b] = s;
	heap->at[a]->place = a;
	heap->at[b]->place = b;
}

static void settle(struct mye_sources *heap, uint32_t i)
{
	for (; i > 0 && time_of(heap, i) < time_of(heap, (i - 1) / 2); i = (i - 1) / 2)
		exchange(heap, i, (i - 1) / 2);
	for (;;) {
		uint32_t least = i;

		for (uint32_t child = 2 * i + 1; child <= 2 * i + 2; child++)
			if (child < heap->count && time_of(heap, child) < time_of(heap, least))
				least = child;
		if (least == i)
			return;
		exchange(heap, i, least);
		i = least;
	}
}

int mye_timers_add(struct myelon_waitset *ws, struct mye_source *s)
{
	int rc = mye_sources_add(&ws->timers, s);

	if (rc == 0)
		settle(&ws->timers, s->place);
	return rc;
}

void mye_timers_remove(struct myelon_waitset *ws, struct mye_source *s)
{
	uint32_t place = s->place;

	mye_sources_remove(&ws->timers, s);
	if (place < ws->timers.count)
		settle(&ws->timers, place);
}

void mye_timers_moved(struct myelon_waitset *ws, struct mye_source *s)
{
	settle(&ws->timers, s->place);
}

int64_t mye_timers_next(const struct myelon_waitset *ws)
{
	return ws->timers.count ? ws->timers.at[0]->timer.at : INT64_MAX;
}

/* How often it ran out up to now; the next time is set. Never more than once a wait: what was missed is counted. */
static uint64_t advance(struct mye_set_timer *t, int64_t now)
{
	uint64_t late, times;

	if (t->period == 0) {
		t->at = INT64_MAX;
		return 1;
	}
	late = (uint64_t)now - (uint64_t)t->at;
	times = late / (uint64_t)t->period + 1;
	/* late is below times * period, which exceeds it by at most a period. */
	late = times * (uint64_t)t->period - late;
	t->at = late > (uint64_t)(INT64_MAX - now) ? INT64_MAX : now + (int64_t)late;
	return times;
}

void mye_timers_due(struct myelon_waitset *ws, struct mye_batch *b, int64_t now)
{
	while (b->n < b->max && mye_timers_next(ws) <= now) {
		struct mye_source *s = ws->timers.at[0];

		mye_batch_add(b, s, 1, 0, advance(&s->timer, now));
		settle(&ws->timers, 0);
	}
}
