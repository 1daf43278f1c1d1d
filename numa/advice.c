/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the place of a participant may cost it. */
#include <myelon/numa.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/opts.h"
#include "base/text.h"
#include "numa/advice.h"
#include "sys/sys.h"

#define WATCH_NS 30000000 /* three ticks of the accounting at 100 Hz */

void mye_advice_add(struct myelon_advice *own, uint32_t flag, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	own->flags |= flag;
	mye_append(own->text, sizeof(own->text), "%s%s", own->text[0] ? "; " : "", text);
}

/* Ticks a CPU has worked so far: "cpu3 user nice system idle iowait irq softirq ...". */
static bool worked(int cpu, uint64_t *ticks)
{
	char *text = mye_read_whole("/proc/stat"), key[24], *at;
	unsigned long long user, nice, system;
	bool found;

	snprintf(key, sizeof(key), "\ncpu%d ", cpu);
	at = text ? strstr(text, key) : NULL;
	found = at && sscanf(at + strlen(key), "%llu %llu %llu", &user, &nice, &system) == 3;
	if (found)
		*ticks = user + nice + system;
	free(text);
	return found;
}

static bool busy(int cpu)
{
	uint64_t before, after;

	if (!worked(cpu, &before))
		return false;
	mye_sleep_until(mye_now() + WATCH_NS);
	return worked(cpu, &after) && after > before;
}

static void check_cpu(struct myelon_advice *own, const struct myelon_cpu *c)
{
	if (!c->isolated)
		mye_advice_add(
			own, MYELON_ADVICE_NOT_ISOLATED,
			"CPU %d is not isolated: others may be scheduled there (isolcpus=%d, or an "
			"isolated cpuset partition)",
			c->cpu, c->cpu);
	if (c->isolated && !c->nohz)
		mye_advice_add(own, MYELON_ADVICE_TICK, "CPU %d gets a timer tick: nohz_full=%d",
		               c->cpu, c->cpu);
	if (c->sibling >= 0 && busy(c->sibling))
		mye_advice_add(own, MYELON_ADVICE_SIBLING,
		               "CPU %d, the other thread of the core of CPU %d, is busy",
		               c->sibling, c->cpu);
	if (c->governor[0] && strcmp(c->governor, "performance") != 0)
		mye_advice_add(
			own, MYELON_ADVICE_GOVERNOR,
			"the frequency governor of CPU %d is %s: cpupower -c %d frequency-set -g "
			"performance",
			c->cpu, c->governor, c->cpu);
}

struct wanted {
	int cpu;
	struct myelon_cpu found;
};

static int find_cpu(void *ctx, const struct myelon_cpu *cpu)
{
	struct wanted *w = ctx;

	if (cpu->cpu != w->cpu)
		return 0;
	w->found = *cpu;
	return 1;
}

static int check_place(struct myelon_advice *own, int cpu, int node)
{
	struct wanted w = {.cpu = cpu};

	if (cpu < 0) {
		mye_advice_add(own, MYELON_ADVICE_NOT_PINNED,
		               "not pinned: the scheduler may move it any time");
		return 0;
	}
	if (myelon_cpus(find_cpu, &w) != 1)
		return mye_fail(-EINVAL, "there is no CPU %d", cpu);
	own->node = w.found.node;
	if (node >= 0 && w.found.node != node)
		mye_advice_add(own, MYELON_ADVICE_REMOTE,
		               "CPU %d is on NUMA node %d, the slots are on node %d", cpu,
		               w.found.node, node);
	check_cpu(own, &w.found);
	return 0;
}

int mye_advise(int cpu, int node, uint64_t page_size, struct myelon_advice *own)
{
	char text[32];
	int rc;

	*own = (struct myelon_advice){.size = sizeof(*own), .cpu = cpu < 0 ? -1 : cpu, .node = -1};
	rc = check_place(own, cpu, node);
	if (rc)
		return rc;
	/* Huge pages of hugetlbfs are never moved; what is scanned is in the system's page size. */
	if (page_size <= mye_page_size() &&
	    mye_read_text("/proc/sys/kernel/numa_balancing", text, sizeof(text)) > 0 &&
	    strtol(text, NULL, 10) != 0)
		mye_advice_add(own, MYELON_ADVICE_BALANCING,
		               "automatic NUMA balancing interrupts who touches small pages: "
		               "sysctl kernel.numa_balancing=0");
	return 0;
}

int myelon_advise(int cpu, int node, uint64_t page_size, struct myelon_advice *advice)
{
	struct myelon_advice own;
	int rc = mye_advise(cpu, node, page_size, &own);

	return rc ? rc : mye_info_write(advice, &own, sizeof(own), "advice");
}
