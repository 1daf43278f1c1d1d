/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Directories on hugetlbfs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <myelon/hugepages.h>

#include "base/error.h"
#include "hugepages/hugepages.h"
#include "sys/sys.h"

#define HUGETLBFS_TYPE 0x958458f6u
#define NO_LIMIT (1ull << 40) /* blocks; with only min_size= the kernel says -1, without both 0 */

/* What @p dir is on; page_size 0: something else (or mounted over). @return 0 or why it cannot be
 * looked at. */
static int look_at(const char *dir, struct mye_huge_mount *out)
{
	uint64_t type, total = 0, left = 0;
	int fd = mye_open_dir(dir), rc;
	struct stat st;

	out->page_size = 0;
	out->limit = out->left = UINT64_MAX;
	out->usable = false;
	if (fd < 0)
		return fd;
	rc = mye_statfs(fd, &type, &out->page_size, NULL);
	if (rc == 0)
		rc = mye_fstat(fd, &st);
	if (rc == 0)
		rc = mye_fs_blocks(fd, &total, &left);
	if (rc || type != HUGETLBFS_TYPE) {
		out->page_size = 0;
	} else {
		out->dev = st.st_dev;
		out->usable = mye_may_write(fd);
		if (total && total < NO_LIMIT) {
			out->limit = total * out->page_size;
			out->left = left * out->page_size;
		}
	}
	mye_close(fd);
	return rc;
}

static bool wanted(const struct mye_huge_mount *m, uint64_t page_size, bool writable)
{
	return m->page_size && (!page_size || m->page_size == page_size) &&
	       (!writable || m->usable);
}

static int one_dir(const char *dir, uint64_t page_size, bool writable, struct mye_huge_mount *out,
                   int max)
{
	struct mye_huge_mount found;
	int rc = look_at(dir, &found);

	if (rc)
		return mye_fail(rc, "cannot open the huge page directory %s: %s", dir,
		                rc == -ENOENT ? "it is not there" : myelon_strerror(rc));
	if (!found.page_size)
		return mye_fail(
			-EINVAL,
			"%s is not on hugetlbfs: name a directory that is, or make one: myelon "
			"hugepages mount DIR",
			dir);
	if (!wanted(&found, page_size, writable) || max < 1)
		return 0;
	if (snprintf(found.dir, sizeof(found.dir), "%s", dir) >= (int)sizeof(found.dir))
		return mye_fail(-ENAMETOOLONG, "the path of the huge page directory is too long");
	*out = found;
	return 1;
}

/* Blanks and the like stand there as \ooo. */
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

/* Call fn for each hugetlbfs in the mount table; stop at non-zero. */
static void each_entry(int (*fn)(void *ctx, const char *where, const char *options), void *ctx)
{
	char *text = mye_read_whole("/proc/self/mounts"), *line, *next, *save, *where, *type,
	     *options;
	int stop = 0;

	for (line = text; line && !stop; line = next) { /* "<what> <where> <type> <options> ..." */
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (!strtok_r(line, " ", &save))
			continue;
		where = strtok_r(NULL, " ", &save);
		type = where ? strtok_r(NULL, " ", &save) : NULL;
		options = type ? strtok_r(NULL, " ", &save) : NULL;
		if (!options || strcmp(type, "hugetlbfs") != 0)
			continue;
		unescape(where);
		stop = fn(ctx, where, options);
	}
	free(text);
}

struct list {
	struct mye_huge_mount *mounts;
	int count, max;
	uint64_t page_size;
	bool writable;
};

static int add_mount(void *ctx, const char *where, const char *options)
{
	struct list *l = ctx;
	struct mye_huge_mount *m;
	int i;

	(void)options;
	if (l->count == l->max)
		return 1;
	m = &l->mounts[l->count];
	for (i = 0; i < l->count; i++)
		if (!strcmp(l->mounts[i].dir, where))
			return 0;
	if (strlen(where) >= sizeof(m->dir) || look_at(where, m) ||
	    !wanted(m, l->page_size, l->writable))
		return 0;
	memcpy(m->dir, where, strlen(where) + 1);
	l->count++;
	return 0;
}

int mye_huge_mounts(const char *dir, uint64_t page_size, bool writable, struct mye_huge_mount *out,
                    int max)
{
	struct list l = {.mounts = out, .max = max, .page_size = page_size, .writable = writable};

	if (dir && *dir)
		return one_dir(dir, page_size, writable, out, max);
	each_entry(add_mount, &l);
	return l.count;
}

struct min_search {
	uint64_t dev, min;
};

/* Only the options tell it. Of mounts on top of each other the last one counts. */
static int take_min(void *ctx, const char *where, const char *options)
{
	const char *option = strstr(options, "min_size=");
	struct min_search *s = ctx;
	struct mye_huge_mount m;

	if (look_at(where, &m) == 0 && m.page_size && m.dev == s->dev)
		s->min = option ? strtoull(option + strlen("min_size="), NULL, 10) : 0;
	return 0;
}

static int tell(myelon_hugepage_mount_fn fn, void *ctx, const struct mye_huge_mount *m)
{
	struct myelon_hugepage_mount out = {.size = sizeof(out)};
	struct min_search s = {.dev = m->dev};

	out.usable = m->usable;
	out.page_size = m->page_size;
	out.limit = m->limit;
	if (snprintf(out.dir, sizeof(out.dir), "%s", m->dir) >= (int)sizeof(out.dir))
		return 0;
	each_entry(take_min, &s);
	out.min = s.min;
	return fn(ctx, &out);
}

int myelon_hugepage_mounts(const char *dir, myelon_hugepage_mount_fn fn, void *ctx)
{
	struct mye_huge_mount *mounts = calloc(MYE_HUGE_MOUNTS, sizeof(*mounts));
	int count, i, rc = 0;

	if (dir && strlen(dir) >= sizeof(((struct myelon_hugepage_mount *)0)->dir)) {
		free(mounts);
		return mye_fail_static(-ENAMETOOLONG,
		                       "the path of the huge page directory is too long: use a "
		                       "shorter one");
	}
	if (!mounts)
		return mye_fail_static(-ENOMEM, "no memory for the list of mounts");
	count = mye_huge_mounts(dir, 0, false, mounts, MYE_HUGE_MOUNTS);
	for (i = 0; i < count && rc == 0; i++)
		rc = tell(fn, ctx, &mounts[i]);
	free(mounts);
	return count < 0 ? count : rc;
}
