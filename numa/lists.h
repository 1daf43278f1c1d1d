/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the kernel tells of nodes and CPUs, in its lists "0-3,8-11". Read from /sys and /proc and not
 * through libnuma's topology calls: those print to stderr, or exit, when they do not like what they
 * find, and do not know isolation. Internal.
 */
#ifndef MYE_NUMA_LISTS_H
#define MYE_NUMA_LISTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is the number in a list such as "0-3,8"? */
bool mye_list_has(const char *list, int number);
/* The next number of a list after @p number (begin with -1), -1: none. */
int mye_list_next(const char *list, int number);
uint32_t mye_list_count(const char *list);

/* The nodes a cpuset leaves this process, "": not known, so all. */
void mye_allowed_nodes(char *list, size_t cap);
/* The CPUs a cpuset leaves this process, whatever the thread's affinity is; "": not known. */
void mye_allowed_cpus(char *list, size_t cap);
void mye_online_cpus(char *list, size_t cap);
/* The node of a CPU that is online, -1: there is no such CPU. */
int mye_cpu_node(int cpu);

#endif
