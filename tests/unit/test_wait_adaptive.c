/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* When an adaptive handle spins, and when it does not. */
#include "ring_kit.h"

#include "ring/ring.h"
#include "sys/sys.h"

#define PLACES 64

Test(adaptive, does_not_spin_among_more_handles_than_cpus_asleep_or_not)
{
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;
	struct myelon_consumer *c[PLACES];
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	uint32_t cpus, n;
	struct myelon_view v;
	bool quota;
	int pinned;

	cpus = mye_usable_cpus(&pinned, &quota);
	n = cpus < PLACES ? cpus : PLACES;
	for (uint32_t i = 0; i < n; i++) {
		c[i] = ring_join(name, WITH(.wait = MYELON_WAIT_ADAPTIVE));
		/* As in the kernel: a message would wake it like the others. */
		if (i > 0)
			mye_consumer_of(c[i])->seg.entries[i].slow.parked = 1;
	}
	if (n < cpus && !quota)
		kit_skip("cpus", "more CPUs than the table has places");
	for (int i = 0; i < 5; i++)
		cr_assert_eq(myelon_peek(c[0], 1, myelon_deadline_after(20 * MS), &v), -ETIMEDOUT);
	cr_ok(myelon_consumer_stats(c[0], &s));
	cr_assert_geq(s.parks, 1);
	cr_assert_eq(s.spin_ns, 0);
	cr_assert_eq(s.futile_spins, 0);
	cr_assert_leq(s.yields, 3, "a yield that brings nothing is tried after 1, 2, 4 .. waits");
	for (uint32_t i = 0; i < n; i++)
		myelon_consumer_close(c[i]);
	myelon_producer_close(p);
}
