/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Whether to spin before a sleep, and how long: as long as one sleep and wake costs, as measured by this set,
 * so that a wait is never more than twice as dear as the better of the two. A spin that found nothing is
 * followed by 1, 2, 4 .. 1024 waits without, unless a sleep ends so soon that a spin would have paid. No
 * spin where the producers and we outnumber the CPUs, one of them is pinned to ours, or a quota is in force.
 */
#include "sys/sys.h"
#include "waitset/set.h"

#define COST_FIRST_NS 20000 /* until the first wake was measured */
#define COST_MIN_NS 2000
#define COST_MAX_NS 200000
#define BACKOFF_MAX 1024

void mye_spin_init(struct mye_set_spin *spin, int64_t asked_ns)
{
	*spin = (struct mye_set_spin){.asked_ns = asked_ns, .cost_ns = COST_FIRST_NS, .backoff = 1};
	spin->cpus = mye_usable_cpus(&spin->pinned, &spin->quota);
}

static bool crowded(const struct myelon_waitset *ws)
{
	const struct mye_set_spin *spin = &ws->spin;
	const struct mye_host *h;

	if (spin->quota || ws->host_count + 1 > spin->cpus)
		return true;
	for (h = ws->hosts; spin->pinned >= 0 && h; h = h->next)
		if (h->cpu == spin->pinned)
			return true;
	return false;
}

int64_t mye_spin_budget(struct myelon_waitset *ws)
{
	struct mye_set_spin *spin = &ws->spin;

	if (spin->asked_ns == MYELON_NO_SPIN || ws->consumers + ws->wanting == 0 || crowded(ws))
		return 0;
	if (spin->asked_ns > 0)
		return spin->asked_ns;
	if (spin->skip) {
		spin->skip--;
		return 0;
	}
	return spin->cost_ns;
}

void mye_spin_judge(struct myelon_waitset *ws, bool found)
{
	struct mye_set_spin *spin = &ws->spin;

	if (found) {
		spin->backoff = 1;
		return;
	}
	spin->skip = spin->backoff;
	if (spin->backoff < BACKOFF_MAX)
		spin->backoff *= 2;
}

void mye_spin_learn(struct mye_set_spin *spin, int64_t begun_ns, int64_t entry_ns, int64_t rung_ns,
                    int64_t now)
{
	int64_t most = 10 * COST_MAX_NS, late = (int64_t)((uint64_t)now - (uint64_t)rung_ns);

	/* The time stamp is the waker's, in shared memory: it may be of another clock, or anything. */
	if (rung_ns <= begun_ns || late <= 0 || late > most || entry_ns > most)
		return;
	if (rung_ns - begun_ns < spin->cost_ns) {
		spin->skip = 0;
		spin->backoff = 1;
	}
	spin->cost_ns += (entry_ns + late - spin->cost_ns) / 8;
	if (spin->cost_ns < COST_MIN_NS)
		spin->cost_ns = COST_MIN_NS;
	if (spin->cost_ns > COST_MAX_NS)
		spin->cost_ns = COST_MAX_NS;
}
