/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Claims of any size, cut short or given back; views taken and released in parts; across the wrap. */
#include "race.h"

#include <errno.h>

#define READERS 3
#define SLOT 64

struct batch {
	char name[KIT_NAME];
	uint32_t window;
	enum myelon_fence fence;
	enum myelon_unattended unattended;
	int64_t total;
};

struct reader {
	const struct batch *batch;
	uint64_t random;
	enum myelon_wait wait;
};

static const char *const who = "reader";

static void read_all(struct myelon_consumer *c, struct reader *r)
{
	int64_t expected = 0;
	struct myelon_view v = {0};
	int n = 0;

	while (!race_failed()) {
		uint32_t max = race_random(&r->random) % 40 + 1, use;

		n = myelon_peek(c, max, MYELON_FOREVER, &v);
		if (n <= 0)
			break;
		if (v.seq != expected || (uint32_t)n > max || v.count != (uint32_t)n)
			race_fail("%d of at most %u from %lld, expected %lld", n, max,
			          (long long)v.seq, (long long)expected);
		for (int i = 0; i < n; i++)
			if (!race_check((const char *)v.base + (size_t)i * SLOT, SLOT, v.seq + i,
			                who))
				return;
		use = race_random(&r->random) % (uint32_t)n + 1;
		expected += use;
		RACE_OK(myelon_release(c, use));
	}
	if (n != -EPIPE || expected != r->batch->total)
		race_fail("ended with %d after %lld messages", n, (long long)expected);
}

static void *reader_run(void *arg)
{
	struct reader *r = arg;
	struct myelon_consumer *c;
	int rc = myelon_consumer_attach(
		&c, r->batch->name,
		&MYELON_ATTACH_OPTS(.wait = r->wait, .timeout_ns = RACE_ATTACH_NS));

	if (RACE_OK(rc) < 0)
		return NULL;
	read_all(c, r);
	myelon_consumer_close(c);
	return NULL;
}

/* One claim, of which some is published, or nothing. @return how many were published. */
static uint32_t send_some(struct myelon_producer *p, int64_t seq, const struct batch *b,
                          uint64_t slots, uint64_t *random)
{
	uint32_t n = race_fit(race_random(random) % b->window + 1, seq, slots), use;
	struct myelon_span span;

	if (RACE_OK(myelon_claim(p, n, MYELON_FOREVER, &span)) < 0)
		return 0;
	if (span.seq != seq || span.count != n)
		race_fail("claim of %u from %lld gave %u from %lld", n, (long long)seq, span.count,
		          (long long)span.seq);
	use = race_random(random) % n + 1;
	if (use > b->total - seq)
		use = (uint32_t)(b->total - seq);
	for (uint32_t i = 0; i < use; i++)
		race_fill((char *)span.base + (size_t)i * SLOT, SLOT, seq + i);
	if (race_random(random) % 8 == 0) {
		RACE_OK(myelon_cancel(p));
		return 0;
	}
	RACE_OK(myelon_publish(p, use));
	return use;
}

static void *producer_run(void *arg)
{
	const struct batch *b = arg;
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct myelon_producer *p;
	uint64_t random = 7;
	int rc = myelon_producer_create(
		&p, b->name,
		&MYELON_RING_OPTS(.slot_size = SLOT, .window = b->window, .fence = b->fence,
	                          .unattended = b->unattended, .backing = MYELON_BACKING_SHM,
	                          .buffer_until = READERS));

	if (RACE_OK(rc) < 0)
		return NULL;
	RACE_OK(myelon_producer_info(p, &info));
	for (int64_t seq = 0; seq < b->total && !race_failed();)
		seq += send_some(p, seq, b, info.slots, &random);
	/* Whoever has not joined yet must find the hold, which ends with a scan of ours. */
	RACE_OK(myelon_producer_wait_for(p, &(struct myelon_wait_for){.count = READERS},
	                                 MYELON_FOREVER));
	RACE_OK(myelon_producer_wait_consumed(p, b->total - 1, MYELON_FOREVER));
	myelon_producer_close(p);
	return NULL;
}

/* A small window is a wait per message: the total goes with it. */
static void batch(uint32_t window, enum myelon_fence fence, enum myelon_unattended unattended)
{
	struct batch b = {.window = window,
	                  .fence = fence,
	                  .unattended = unattended,
	                  .total = race_count(600, 200) * window};
	struct reader readers[READERS] = {
		{&b, 1, MYELON_WAIT_ADAPTIVE},
		{&b, 2, MYELON_WAIT_PARK},
		{&b, 3, MYELON_WAIT_YIELD},
	};
	pthread_t thread[READERS + 1];

	kit_ring_name(b.name, "batch");
	race_start(&thread[READERS], producer_run, &b);
	for (int i = 0; i < READERS; i++)
		race_start(&thread[i], reader_run, &readers[i]);
	for (int i = 0; i <= READERS; i++)
		race_join(thread[i]);
}

int main(void)
{
	race_watchdog(50);
	batch(64, MYELON_FENCE_AUTO, MYELON_UNATTENDED_BLOCK);
	batch(37, MYELON_FENCE_FULL, MYELON_UNATTENDED_OVERWRITE);
	batch(500, MYELON_FENCE_AUTO, MYELON_UNATTENDED_OVERWRITE);
	batch(3, MYELON_FENCE_FULL, MYELON_UNATTENDED_BLOCK);
	return race_result();
}
