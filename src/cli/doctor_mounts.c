/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where file systems are mounted, and the control groups of this process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"

/* Blanks and the like stand in /proc/self/mounts as \ooo. */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] >= '0' &&
		    text[2] <= '7' && text[3] >= '0' && text[3] <= '7') {
			*to++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 |
			               (text[3] - '0'));
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

bool doctor_mounts(bool (*fn)(void *ctx, const struct doctor_mount *m), void *ctx)
{
	char path[512], line[4096];
	struct doctor_mount m;
	bool stopped = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/self/mounts", doctor_root);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!stopped && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %255s %31s %511s", m.dir, m.type, m.options) != 3)
			continue;
		unescape(m.dir);
		stopped = fn(ctx, &m);
	}
	fclose(f);
	return stopped;
}

struct below {
	const char *dir;
	struct doctor_mount *best;
	size_t len;
	bool found;
};

/* The longest mount point that leads to the directory; of two at one place, the later. */
static bool closer(void *ctx, const struct doctor_mount *m)
{
	struct below *b = ctx;
	size_t len = strlen(m->dir);

	if (len == 1) /* the root */
		len = 0;
	if (strncmp(b->dir, m->dir, len) == 0 && (b->dir[len] == '/' || b->dir[len] == '\0') &&
	    (!b->found || len >= b->len)) {
		*b->best = *m;
		b->len = len;
		b->found = true;
	}
	return false;
}

bool doctor_mount_of(const char *dir, struct doctor_mount *m)
{
	char *real = realpath(dir, NULL);
	struct below b = {.dir = real ? real : dir, .best = m};

	doctor_mounts(closer, &b);
	free(real);
	return b.found;
}

/* Is @word one of the comma-separated words of @list, which ends at @end? */
static bool listed(const char *list, const char *end, const char *word)
{
	size_t len = strlen(word);

	while (list < end) {
		size_t n = strcspn(list, ",:\n");

		if (n == len && strncmp(list, word, n) == 0)
			return true;
		list += n + 1;
	}
	return false;
}

struct hierarchy {
	const char *controller; /* NULL: version 2 */
	char dir[256];
};

static bool is_hierarchy(void *ctx, const struct doctor_mount *m)
{
	struct hierarchy *h = ctx;

	if (strcmp(m->type, h->controller ? "cgroup" : "cgroup2") != 0)
		return false;
	if (h->controller && !listed(m->options, m->options + strlen(m->options), h->controller))
		return false;
	snprintf(h->dir, sizeof(h->dir), "%s", m->dir);
	return true;
}

/* The path of this process in a hierarchy, from lines "4:cpu,cpuacct:/path"; version 2: "0::/path". */
static bool own_path(const char *controller, char *path, size_t cap)
{
	char text[8192], *line, *save;

	doctor_read(text, sizeof(text), "/proc/self/cgroup");
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *names = strchr(line, ':'), *where = names ? strchr(names + 1, ':') : NULL;

		if (!where)
			continue;
		if (controller ? !listed(names + 1, where, controller) : where != names + 1)
			continue;
		snprintf(path, cap, "%s", strcmp(where + 1, "/") == 0 ? "" : where + 1);
		return true;
	}
	return false;
}

bool doctor_cgroup(struct doctor_cgroup *g, const char *controller)
{
	struct hierarchy h = {.controller = controller};
	char path[240], here[4];

	g->v2 = false;
	if (!own_path(controller, path, sizeof(path)) || !doctor_mounts(is_hierarchy, &h)) {
		h.controller = NULL;
		g->v2 = true;
		if (!own_path(NULL, path, sizeof(path)) || !doctor_mounts(is_hierarchy, &h))
			return false;
	}
	g->root = strlen(h.dir);
	snprintf(g->dir, sizeof(g->dir), "%s%s", h.dir, path);
	/* In a container that sees the host's paths, what is mounted is its own group. */
	if (doctor_read(here, sizeof(here), "%s/cgroup.procs", g->dir) < 0)
		g->dir[g->root] = '\0';
	return true;
}

bool doctor_cgroup_outer(struct doctor_cgroup *g)
{
	char *slash = strrchr(g->dir, '/');

	if (!slash || (size_t)(slash - g->dir) < g->root)
		return false;
	*slash = '\0';
	return true;
}
