/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hugepages/hugepages.h"
#include "sys/sys.h"

uint64_t mye_huge_thp_size(void)
{
	char text[32];

	if (mye_read_text("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", text,
	                  sizeof(text)) <= 0)
		return 0;
	return strtoull(text, NULL, 10);
}

int64_t mye_huge_thp_mapped(const void *at, size_t bytes)
{
	unsigned long long begin, end, kib, from = (uintptr_t)at;
	char *text = mye_read_whole("/proc/self/smaps"), *line;
	int64_t mapped = -1;
	bool ours = false;

	/* A line "begin-end perms ..." for each mapping, then its fields. */
	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "%llx-%llx ", &begin, &end) == 2) {
			ours = begin >= from && begin < from + bytes;
		} else if (ours && sscanf(line, "ShmemPmdMapped: %llu kB", &kib) == 1) {
			mapped = (mapped < 0 ? 0 : mapped) + (int64_t)kib * 1024;
			ours = false;
		}
	}
	free(text);
	return mapped;
}
