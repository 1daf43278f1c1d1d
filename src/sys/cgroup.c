/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The control groups of this process, from its own up to the root. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

#define MOUNT "/sys/fs/cgroup"

struct walk {
	const char *controller;
	mye_cgroup_fn fn;
	void *ctx;
};

/* A limit holds for everything below the group it is set on. In a container the path may be the
 * host's, which is not there: the root that is mounted is then the container's own group. */
static int upwards(const struct walk *w, const char *root, const char *group, bool unified)
{
	size_t root_len = strlen(root);
	char dir[4096], *slash;
	int rc;

	if (!strcmp(group, "/"))
		group = "";
	if (snprintf(dir, sizeof(dir), "%s%s", root, group) >= (int)sizeof(dir))
		return 0;
	for (;;) {
		rc = w->fn(w->ctx, dir, dir[root_len] ? dir + root_len : "/", unified);
		slash = strrchr(dir, '/');
		if (rc || (size_t)(slash - dir) < root_len)
			return rc;
		*slash = '\0';
	}
}

static bool lists(const char *controllers, const char *name)
{
	size_t len = strlen(name), n;

	for (; *controllers; controllers += n + (controllers[n] == ',')) {
		n = strcspn(controllers, ",");
		if (n == len && !strncmp(controllers, name, n))
			return true;
	}
	return false;
}

static int one_line(const struct walk *w, char *line)
{
	char *controllers = strchr(line, ':'), *group, root[256];
	int rc;

	group = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!group)
		return 0;
	controllers++;
	*group++ = '\0';
	if (*controllers && !lists(controllers, w->controller))
		return 0;
	if (*controllers) {
		snprintf(root, sizeof(root), MOUNT "/%s", controllers);
		return upwards(w, root, group, false);
	}
	rc = upwards(w, MOUNT, group, true);
	return rc ? rc : upwards(w, MOUNT "/unified", group, true);
}

int mye_each_cgroup(const char *controller, mye_cgroup_fn fn, void *ctx)
{
	const struct walk w = {.controller = controller, .fn = fn, .ctx = ctx};
	char *text = mye_read_whole("/proc/self/cgroup"), *line, *next;
	int rc = 0;

	for (line = text; line && rc == 0; line = next) { /* "<id>:<controllers>:<group>" */
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		rc = one_line(&w, line);
	}
	free(text);
	return rc;
}
