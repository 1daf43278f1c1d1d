/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/sys.h"

#define WORD_BITS (8 * (int)sizeof(unsigned long))

int mye_affinity_get(struct mye_cpu_mask *mask)
{
	long bytes = syscall(SYS_sched_getaffinity, 0, sizeof(mask->word), mask->word);

	if (bytes < 0)
		return -errno;
	memset((char *)mask->word + bytes, 0, sizeof(mask->word) - (size_t)bytes);
	return 0;
}

int mye_affinity_set(const struct mye_cpu_mask *mask)
{
	return syscall(SYS_sched_setaffinity, 0, sizeof(mask->word), mask->word) < 0 ? -errno : 0;
}

void mye_leave_pinned_cpu(void)
{
	struct mye_cpu_mask mask;
	int pinned;

	mye_affinity(&pinned);
	if (pinned < 0)
		return;
	memset(&mask, 0xff, sizeof(mask));
	mask.word[pinned / WORD_BITS] &= ~(1ul << pinned % WORD_BITS);
	mye_affinity_set(&mask);
}

uint32_t mye_affinity(int *pinned)
{
	struct mye_cpu_mask mask;
	uint32_t count = 0;
	int first = -1;

	if (mye_affinity_get(&mask))
		mask = (struct mye_cpu_mask){0};
	for (int i = 0; i < MYE_CPU_WORDS; i++) {
		if (mask.word[i] && first < 0)
			first = i * WORD_BITS + __builtin_ctzl(mask.word[i]);
		count += (uint32_t)__builtin_popcountl(mask.word[i]);
	}
	*pinned = count == 1 ? first : -1;
	return count ? count : 1;
}

/* Whole CPUs a "quota period" pair of microseconds allows, at least 1; 0: no limit. */
static uint32_t quota_cpus(long long quota, long long period)
{
	if (quota <= 0 || period <= 0)
		return 0;
	return (uint32_t)((quota + period - 1) / period);
}

static uint32_t read_v2(const char *dir)
{
	char path[4200], text[64], *end;
	long long quota;

	snprintf(path, sizeof(path), "%s/cpu.max", dir);
	if (mye_read_text(path, text, sizeof(text)) < 0)
		return 0;
	quota = strtoll(text, &end, 10); /* "max 100000": nothing is read, no limit */
	return quota_cpus(quota, strtoll(end, NULL, 10));
}

static uint32_t read_v1(const char *dir)
{
	char path[4200], quota[32], period[32];

	snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", dir);
	if (mye_read_text(path, quota, sizeof(quota)) < 0)
		return 0;
	snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", dir);
	if (mye_read_text(path, period, sizeof(period)) < 0)
		return 0;
	return quota_cpus(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

static uint32_t tighter(uint32_t a, uint32_t b)
{
	return !a || (b && b < a) ? b : a;
}

static int take_group(void *ctx, const char *dir, const char *group, bool unified)
{
	uint32_t *limit = ctx;

	(void)group;
	*limit = tighter(*limit, unified ? read_v2(dir) : read_v1(dir));
	return 0;
}

/* The CPUs the groups of this process leave it; 0: no limit. */
static uint32_t cgroup_limit(void)
{
	uint32_t limit = 0;

	mye_each_cgroup("cpu", take_group, &limit);
	return limit;
}

struct cpuset {
	char *list;
	size_t cap;
};

/* The nearest group that says it: without the controller a group has what its parent has. */
static int take_cpuset(void *ctx, const char *dir, const char *group, bool unified)
{
	struct cpuset *set = ctx;
	char path[4200];

	(void)group;
	snprintf(path, sizeof(path), "%s/%s", dir,
	         unified ? "cpuset.cpus.effective" : "cpuset.effective_cpus");
	if (mye_read_text(path, set->list, set->cap) > 0)
		return 1;
	set->list[0] = '\0';
	return 0;
}

bool mye_cgroup_cpus(char *list, size_t cap)
{
	struct cpuset set = {.list = list, .cap = cap};

	list[0] = '\0';
	return mye_each_cgroup("cpuset", take_cpuset, &set) == 1;
}

/* Only the process's own group: that is where a partition is made. */
static int take_partition(void *ctx, const char *dir, const char *group, bool unified)
{
	struct cpuset *set = ctx;
	char path[4200], kind[32];

	(void)group;
	snprintf(path, sizeof(path), "%s/cpuset.cpus.partition", dir);
	if (!unified || mye_read_text(path, kind, sizeof(kind)) <= 0)
		return 0;
	snprintf(path, sizeof(path), "%s/cpuset.cpus.effective", dir);
	if (strcmp(kind, "isolated") != 0 || mye_read_text(path, set->list, set->cap) <= 0)
		set->list[0] = '\0';
	return 1;
}

bool mye_cgroup_isolated(char *list, size_t cap)
{
	struct cpuset set = {.list = list, .cap = cap};

	list[0] = '\0';
	mye_each_cgroup("cpuset", take_partition, &set);
	return list[0] != '\0';
}

uint32_t mye_usable_cpus(int *pinned, bool *quota)
{
	uint32_t cpus, limit;
	long online;
	int cpu;

	cpus = mye_affinity(&cpu);
	if (cpu >= 0) {
		online = sysconf(_SC_NPROCESSORS_ONLN);
		cpus = online > 0 ? (uint32_t)online : 1;
	}
	limit = cgroup_limit();
	if (pinned)
		*pinned = cpu;
	if (quota)
		*quota = limit != 0;
	return limit && limit < cpus ? limit : cpus;
}

int mye_current_node(void)
{
	unsigned cpu, node;

	return syscall(SYS_getcpu, &cpu, &node, NULL) == 0 ? (int)node : 0;
}
