/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The waker's time stamp lies in shared memory: of another clock, or anything. It only measures. */
#include "ring_kit.h"

#include "ring/descriptor.h"
#include "ring/ring.h"
#include "sys/sys.h"
#include "waitset/set.h"

#define DAY_NS (86400 * 1000 * MS)
#define COST_NS 20000

/* Stamps of clocks that are ahead, behind, or no clocks at all. */
static int64_t lie(unsigned int i)
{
	const int64_t lies[] = {mye_now() + DAY_NS,
	                        mye_now() - DAY_NS,
	                        mye_now() + 50 * MS,
	                        mye_now() - 50 * MS,
	                        0,
	                        -1,
	                        INT64_MAX,
	                        INT64_MIN,
	                        INT64_MIN + 1};

	return i < sizeof(lies) / sizeof(lies[0]) ? lies[i] : 1;
}

static int woken_at_once(void *ctx, const uint32_t *bell, uint32_t value, int64_t until)
{
	(void)ctx;
	(void)bell;
	(void)value;
	(void)until;
	return 0;
}

Test(stamps, of_other_clocks_do_not_change_what_a_sleep_is_thought_to_cost)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, NULL);
	struct mye_consumer *own = mye_consumer_of(c);
	struct mye_waiter *w = &own->waiter;
	uint32_t bell = 0;
	uint64_t stamp;
	int64_t before;

	w->doze = woken_at_once;
	w->cost_ns = COST_NS;
	for (unsigned int i = 0; lie(i) != 1; i++) {
		stamp = (uint64_t)lie(i);
		w->park_begun_ns = mye_now();
		cr_assert_eq(mye_waiter_park(w, &own->seg, &bell, 0, &stamp, MYELON_FOREVER), 0);
		cr_assert_eq(w->cost_ns, COST_NS, "stamp %lld: %lld", (long long)stamp,
		             (long long)w->cost_ns);
	}
	/* An honest one counts. */
	for (int i = 0; i < 200 && w->cost_ns == COST_NS; i++) {
		before = mye_now();
		stamp = (uint64_t)before - 100000;
		w->park_begun_ns = before;
		cr_assert_eq(mye_waiter_park(w, &own->seg, &bell, 0, &stamp, MYELON_FOREVER), 0);
	}
	cr_assert_gt(w->cost_ns, COST_NS);
	w->doze = NULL;
	ring_close(p, c);
}

Test(stamps, of_other_clocks_do_not_change_how_long_a_wait_set_spins)
{
	struct mye_set_spin spin = {.cost_ns = COST_NS, .skip = 7, .backoff = 8};
	int64_t now = mye_now();

	for (unsigned int i = 0; lie(i) != 1; i++) {
		mye_spin_learn(&spin, now - 10000, 1000, lie(i), now);
		cr_assert_eq(spin.cost_ns, COST_NS, "%lld", (long long)lie(i));
		cr_assert_eq(spin.skip, 7);
		cr_assert_eq(spin.backoff, 8);
	}
	mye_spin_learn(&spin, now - 10000, 1000, now - 5000, now);
	cr_assert_lt(spin.cost_ns, COST_NS);
	cr_assert_eq(spin.skip, 0);
}

Test(stamps, of_other_clocks_do_not_make_a_descriptor_spin)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, NULL);
	struct mye_consumer *own = mye_consumer_of(c);
	int64_t next = 0;

	cr_assert_geq(myelon_consumer_fd(c, &MYELON_FD_OPTS(.engine = MYELON_ENGINE_PROXY)), 0);
	for (unsigned int i = 0; lie(i) != 1; i++) {
		const struct mye_descriptor *d = own->descriptor;

		ring_expect_empty(c);
		cr_ok(ring_push(p, 1));
		ring_pull(c, next++, 1);
		own->seg.shared->bell.wake_ns = (uint64_t)lie(i);
		ring_expect_empty(c);
		/* A spin that was not worth it would be followed by waits without. */
		cr_assert_eq(d->spin_skip, 0, "stamp %u", i);
	}
	myelon_consumer_close(c);
	myelon_producer_close(p);
}
