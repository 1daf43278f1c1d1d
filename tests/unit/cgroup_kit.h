/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A control group of version 2 with limits of huge pages, that goes with the test. */
#ifndef MYELON_TEST_CGROUP_KIT_H
#define MYELON_TEST_CGROUP_KIT_H

#include <errno.h>
#include <sys/stat.h>

#include "hugepages_kit.h"

static char group_dir[300], group_name[64], group_control[300];
static bool group_enabled; /* by us */

static inline bool file_lists(const char *path, const char *word)
{
	char text[512] = "", *at;
	FILE *f = fopen(path, "re");

	if (f && !fgets(text, sizeof(text), f))
		text[0] = '\0';
	if (f)
		fclose(f);
	for (at = strtok(text, " \n"); at; at = strtok(NULL, " \n"))
		if (!strcmp(at, word))
			return true;
	return false;
}

static inline void group_remove(void)
{
	if (group_dir[0])
		rmdir(group_dir);
	if (group_enabled)
		write_file(group_control, "-hugetlb");
	group_dir[0] = '\0';
	group_enabled = false;
}

static inline bool group_set(const char *file, const char *value)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/%s", group_dir, file);
	return write_file(path, value);
}

/* Makes a group below the root of the hierarchy; skips the test where that is not allowed. */
static inline void group_make(void)
{
	static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	char path[300];
	int i;

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/cgroup.controllers", roots[i]);
		if (file_lists(path, "hugetlb"))
			break;
	}
	if (i == 2)
		kit_skip("hugetlb cgroup", "no hierarchy of version 2 has the controller");
	snprintf(group_control, sizeof(group_control), "%s/cgroup.subtree_control", roots[i]);
	if (!file_lists(group_control, "hugetlb")) {
		if (!write_file(group_control, "+hugetlb"))
			kit_skip("hugetlb cgroup", "the controller cannot be switched on");
		group_enabled = true;
	}
	snprintf(group_name, sizeof(group_name), "/myelon-test-%d", (int)getpid());
	snprintf(group_dir, sizeof(group_dir), "%s%s", roots[i], group_name);
	atexit(group_remove);
	if (mkdir(group_dir, 0755))
		kit_skip("hugetlb cgroup", strerror(errno));
}

#endif
