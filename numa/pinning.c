/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "numa/pinning.h"

#include <errno.h>
#include <stdlib.h>

#include <myelon/numa.h>

#include "base/error.h"
#include "numa/lists.h"

#define BITS (8 * (int)sizeof(unsigned long))

/* Why the kernel did not want it. */
static int cannot(int cpu, int rc)
{
	char online[1024], usable[1024];

	mye_online_cpus(online, sizeof(online));
	mye_allowed_cpus(usable, sizeof(usable));
	if (!mye_list_has(online, cpu))
		return mye_fail(-EINVAL, "cannot pin to CPU %d: it is not online, only %s are", cpu,
		                online);
	if (!mye_list_has(usable, cpu))
		return mye_fail(-EINVAL,
		                "cannot pin to CPU %d: the cpuset of this process allows only %s",
		                cpu, usable);
	return mye_fail(rc, "cannot pin to CPU %d: %s", cpu, myelon_strerror(rc));
}

int myelon_pin(int cpu)
{
	struct mye_cpu_mask mask = {0};
	int rc;

	if (cpu < 0 || cpu >= MYE_CPU_WORDS * BITS)
		return mye_fail(-EINVAL, "cannot pin to CPU %d: there is no such CPU", cpu);
	mask.word[cpu / BITS] = 1ul << cpu % BITS;
	rc = mye_affinity_set(&mask);
	return rc ? cannot(cpu, rc) : 0;
}

static int from_environment(int *cpu)
{
	const char *text = mye_env("MYELON_CPU");
	char *end;
	long n;

	*cpu = -1;
	if (!text)
		return 0;
	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || *end || end == text || n < 0 || n > INT32_MAX)
		return mye_fail(-EINVAL, "MYELON_CPU is '%s': it must be the number of a CPU",
		                text);
	*cpu = (int)n;
	return 0;
}

int mye_pin_begin(uint32_t pin, struct mye_pinned *pinned)
{
	int cpu = pin - 1 <= INT32_MAX ? (int)(pin - 1) : INT32_MAX, rc = 0;

	pinned->valid = false;
	if (pin == 0)
		rc = from_environment(&cpu);
	if (rc || cpu < 0)
		return rc;
	pinned->valid = mye_affinity_get(&pinned->before) == 0;
	rc = myelon_pin(cpu);
	if (rc)
		pinned->valid = false;
	return rc;
}

int mye_pin_end(const struct mye_pinned *pinned, int rc)
{
	if (rc < 0 && pinned->valid)
		mye_affinity_set(&pinned->before);
	return rc;
}
