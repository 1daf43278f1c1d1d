/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Where the keeper runs. Off the CPU its creator is pinned to, as a rule. But whom it wakes is asleep while
 * it works: so if all of these are pinned, it runs on their CPUs, where nobody is disturbed and the one
 * woken is near.
 *
 * Only on the keeper's thread; begun anew with each.
 */
#include "sys/sys.h"
#include "wait/keeper.h"

static struct mye_cpu_mask base;
static uint16_t users[sizeof(base.word) * 8]; /* proxied consumers pinned to each CPU */
static unsigned int pinned, others;
static bool known; /* base is */

void mye_keeper_cpu_begin(void)
{
	mye_leave_pinned_cpu();
	known = mye_affinity_get(&base) == 0;
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++)
		users[i] = 0;
	pinned = others = 0;
}

static void settle(void)
{
	const size_t bits = 8 * sizeof(base.word[0]);
	struct mye_cpu_mask mask = base;

	if (!known)
		return;
	if (pinned && !others)
		mask = (struct mye_cpu_mask){{0}};
	for (size_t i = 0; pinned && i < sizeof(users) / sizeof(users[0]); i++)
		if (users[i])
			mask.word[i / bits] |= 1ul << i % bits;
	mye_affinity_set(&mask);
}

void mye_keeper_cpu_serve(int cpu, bool begin)
{
	bool is_pinned;

	/* The application's thread, if that drives the keeper, runs where the application says. */
	if (!mye_keeper_is_thread())
		return;
	is_pinned = cpu >= 0 && (size_t)cpu < sizeof(users) / sizeof(users[0]);

	if (is_pinned)
		users[cpu] = (uint16_t)(users[cpu] + (begin ? 1 : -1));
	*(is_pinned ? &pinned : &others) += begin ? 1u : -1u;
	settle();
}
