/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "numa/lists.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

/* One part of a list, "4" or "4-7". @return what follows it, NULL: there is none. */
static const char *part(const char *list, long *lo, long *hi)
{
	char *end;

	if (*list < '0' || *list > '9')
		return NULL;
	*lo = *hi = strtol(list, &end, 10);
	if (*end == '-')
		*hi = strtol(end + 1, &end, 10);
	return *end == ',' ? end + 1 : end;
}

bool mye_list_has(const char *list, int number)
{
	long lo, hi;

	while ((list = part(list, &lo, &hi)) != NULL)
		if (number >= lo && number <= hi)
			return true;
	return false;
}

int mye_list_next(const char *list, int number)
{
	long lo, hi, best = LONG_MAX;

	while ((list = part(list, &lo, &hi)) != NULL) {
		long candidate = lo > number ? lo : (long)number + 1;

		if (candidate <= hi && candidate < best)
			best = candidate;
	}
	return best <= INT_MAX ? (int)best : -1;
}

uint32_t mye_list_count(const char *list)
{
	uint32_t count = 0;
	long lo, hi;

	while ((list = part(list, &lo, &hi)) != NULL)
		count += hi >= lo ? (uint32_t)(hi - lo) + 1 : 0;
	return count;
}

/* The value of "<key>:\t<value>" in /proc/self/status. */
static void from_status(const char *key, char *value, size_t cap)
{
	char *text = mye_read_whole("/proc/self/status"), *at = text, *end;
	size_t n = strlen(key);

	value[0] = '\0';
	while (at && strncmp(at, key, n) != 0) {
		at = strchr(at, '\n');
		at += at != NULL;
	}
	if (at) {
		at += n;
		end = strchr(at, '\n');
		snprintf(value, cap, "%.*s", (int)(end ? end - at : (long)strlen(at)), at);
	}
	free(text);
}

void mye_allowed_nodes(char *list, size_t cap)
{
	from_status("Mems_allowed_list:\t", list, cap);
}

/* Cpus_allowed_list is the thread's affinity; the cpuset is in its group. */
void mye_allowed_cpus(char *list, size_t cap)
{
	if (!mye_cgroup_cpus(list, cap))
		mye_online_cpus(list, cap);
}

void mye_online_cpus(char *list, size_t cap)
{
	if (mye_read_text("/sys/devices/system/cpu/online", list, cap) <= 0)
		snprintf(list, cap, "0");
}

int mye_cpu_node(int cpu)
{
	char online[1024], nodes[1024], path[96], cpus[1024];

	mye_online_cpus(online, sizeof(online));
	if (!mye_list_has(online, cpu))
		return -1;
	if (mye_read_text("/sys/devices/system/node/online", nodes, sizeof(nodes)) <= 0)
		return 0;
	for (int node = mye_list_next(nodes, -1); node >= 0; node = mye_list_next(nodes, node)) {
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", node);
		if (mye_read_text(path, cpus, sizeof(cpus)) > 0 && mye_list_has(cpus, cpu))
			return node;
	}
	return 0;
}
