/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "place.h"
#include "cli.h"
#include "crew.h"
#include "options.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *parent_dir(bool files)
{
	const char *dir = files ? getenv("TMPDIR") : cli_common.shm_dir;

	if (!files && !dir)
		dir = getenv("MYELON_SHM_DIR");
	return dir && *dir ? dir : files ? "/tmp" : "/dev/shm";
}

int bench_place_open(struct bench_place *p, const struct bench_options *o)
{
	int n;

	p->files = o->backing_choice == MYELON_BACKING_FILE;
	n = snprintf(p->dir, sizeof(p->dir), "%s/myelon-bench.XXXXXX", parent_dir(p->files));
	if (n < 0 || (size_t)n >= sizeof(p->dir))
		return bench_error("the directory name %s is too long", parent_dir(p->files));
	if (!mkdtemp(p->dir)) {
		n = errno;
		p->dir[0] = '\0';
		return bench_error("no directory could be made in %s: %s", parent_dir(p->files),
		                   strerror(n));
	}
	return 0;
}

/* The library finds the data of a ring, also on hugetlbfs; the rest is what has no name yet. */
static void remove_rings(const struct bench_place *p)
{
	static const char prefix[] = "myelon.";
	struct myelon_dir_opts opts = MYELON_DIR_OPTS(.shm_dir = bench_place_shm(p),
	                                              .hugetlb_dir = bench_place_hugetlb());
	char path[BENCH_NAME + 256];
	struct dirent *e;
	DIR *d = opendir(p->dir);

	if (!d)
		return;
	while ((e = readdir(d))) {
		if (p->files) {
			(void)snprintf(path, sizeof(path), "%s/%s", p->dir, e->d_name);
			(void)myelon_ring_remove(path, &opts);
		} else if (strncmp(e->d_name, prefix, sizeof(prefix) - 1) == 0) {
			(void)myelon_ring_remove(e->d_name + sizeof(prefix) - 1, &opts);
		}
	}
	rewinddir(d);
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			(void)unlinkat(dirfd(d), e->d_name, 0);
	(void)closedir(d);
}

void bench_place_clear(const struct bench_place *p)
{
	if (p->dir[0])
		remove_rings(p);
}

void bench_place_close(struct bench_place *p)
{
	if (!p->dir[0])
		return;
	remove_rings(p);
	if (rmdir(p->dir) < 0)
		bench_error("%s could not be removed: %s", p->dir, strerror(errno));
	p->dir[0] = '\0';
}

const char *bench_place_name(const struct bench_place *p, const char *stem, char buf[BENCH_NAME])
{
	(void)snprintf(buf, BENCH_NAME, "%s%s%s", p->files ? p->dir : "", p->files ? "/" : "",
	               stem);
	return buf;
}

const char *bench_place_shm(const struct bench_place *p)
{
	return p->files ? NULL : p->dir;
}

const char *bench_place_hugetlb(void)
{
	return cli_common.hugetlb_dir;
}
