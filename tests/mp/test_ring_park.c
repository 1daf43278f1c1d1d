/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Both sides asleep in the kernel, with every way of not losing the wake-up. */
#include "ring_cast.h"

static void stream(const char *producer, const char *consumer, uint64_t count)
{
	struct cast c;

	cast_begin(&c);
	cast_start(&c, 1, "consume", "wait=park %s", consumer);
	cast_start(&c, 0, "publish", "for=1 wait=park count=%llu %s", (unsigned long long)count,
	           producer);
	cr_assert_eq(cast_done_well(&c, 1)->count, count);
	cast_done_well(&c, 0);
	cast_end(&c, false);
}

Test(park, parked_sides_deliver_in_both_fence_modes)
{
	char asym[64], full[64];

	snprintf(asym, sizeof(asym), "window=8 fence=%d", MYELON_FENCE_ASYM);
	snprintf(full, sizeof(full), "window=8 fence=%d", MYELON_FENCE_FULL);
	stream(asym, "", 20000);
	stream(full, "", 20000);
	stream("window=1", "", 5000);
	stream("window=64", "batch=3 slow=20 every=100", 20000);
	stream("window=64 slow=20 every=100", "", 20000);
}

Test(park, consumer_whose_membarrier_is_denied_neither_hangs_nor_is_hung_upon)
{
	char asym[64];

	snprintf(asym, sizeof(asym), "fence=%d window=4", MYELON_FENCE_ASYM);
	/* Heavy side: it sleeps on an empty ring. */
	stream("window=4 slow=100 every=10", "deny=1", 2000);
	/* Light side: the producer sleeps on a full ring. */
	stream(asym, "deny=1 slow=100 every=10", 2000);
	stream(asym, "deny=1", 5000);
}

Test(park, consumer_whose_membarrier_is_denied_sleeps_in_short_turns)
{
	struct cast c;

	cast_begin(&c);
	cast_start(&c, 1, "consume", "wait=park deny=1");
	cast_start(&c, 0, "publish", "for=1 count=3 slow=100000 fence=%d", MYELON_FENCE_ASYM);
	cast_done_well(&c, 1);
	cast_done_well(&c, 0);
	cr_assert_geq(c.page->word[33], 10, "%u sleeps in 0.3 s", c.page->word[33]);
	cast_end(&c, false);
}

Test(park, producer_whose_membarrier_is_denied_makes_a_ring_that_fences)
{
	struct cast c;
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;

	cast_begin(&c);
	cast_start(&c, 0, "publish", "deny=1 end=hang count=0");
	cast_attached(&c, 0);
	cr_assert_eq(myelon_ring_describe(c.name, NULL, &info), 0);
	cr_assert_eq(info.fence, MYELON_FENCE_FULL);
	cast_kill(&c, 0);
	cast_end(&c, true);
	stream("deny=1 window=4", "", 5000);
	stream("deny=1 window=4", "deny=1", 5000);
}

Test(park, asymmetric_fence_that_is_denied_is_refused_at_create)
{
	struct cast c;

	cast_begin(&c);
	cast_start(&c, 0, "publish", "deny=1 count=1 fence=%d", MYELON_FENCE_ASYM);
	cr_assert_eq(kit_wait(&c.actor[0], 30), 1);
	cr_assert_not_null(strstr(c.actor[0].output, "membarrier"));
	cast_end(&c, false);
}

/* A ring made with membarrier is taken over by a process that must not use it. */
Test(park, new_producer_whose_membarrier_is_denied_goes_on_in_the_ring_s_mode)
{
	struct cast c;

	cast_begin(&c);
	cast_start(&c, 1, "consume", "wait=park follow=1 slow=100 every=50 start=%d",
	           MYELON_START_OLDEST);
	cast_start(&c, 0, "publish", "fence=%d count=10 window=4 wait=park for=1 end=exit",
	           MYELON_FENCE_ASYM);
	cast_done(&c, 0);
	cast_start(&c, 0, "publish", "deny=1 open=1 count=3000 wait=park");
	cr_assert_eq(cast_done(&c, 1)->count, 3010);
	cast_done_well(&c, 0);
	cast_end(&c, true);
}

static void ping_pong(const char *a, const char *b, uint64_t count)
{
	struct cast c;
	char back[KIT_NAME];

	cast_begin(&c);
	kit_ring_name(back, "back");
	cast_start(&c, 0, "ping", "back=%s count=%llu %s", back, (unsigned long long)count, a);
	cast_start(&c, 1, "pong", "back=%s %s", back, b);
	cr_assert_eq(cast_done_well(&c, 0)->count, count);
	cr_assert_eq(cast_done_well(&c, 1)->count, count);
	cast_end(&c, false);
}

Test(ping_pong, one_request_at_a_time)
{
	ping_pong("wait=park window=4", "wait=park window=4", 5000);
	ping_pong("wait=adaptive window=4", "wait=park window=4", 5000);
	ping_pong("wait=adaptive window=1", "wait=adaptive window=1", 5000);
}

Test(ping_pong, two_full_rings_with_both_ends_parking)
{
	ping_pong("wait=park window=16 depth=16", "wait=park window=16", 20000);
	ping_pong("wait=park window=16 depth=16", "wait=park window=16 batch=1", 20000);
	ping_pong("wait=park window=16 depth=24", "wait=park window=16", 20000);
	ping_pong("wait=adaptive window=8 depth=8", "wait=adaptive window=8", 20000);
	ping_pong("wait=park window=1 depth=1", "wait=park window=1 batch=1", 5000);
	ping_pong("wait=park window=64 depth=64", "wait=park window=16", 20000);
}

Test(ping_pong, with_membarrier_denied_to_one_end)
{
	ping_pong("wait=park window=4 depth=4", "wait=park window=4 deny=1", 2000);
	ping_pong("wait=park window=4 depth=4 deny=1", "wait=park window=4", 2000);
}
