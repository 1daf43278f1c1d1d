/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "hugepages/hugepages.h"
#include "sys/sys.h"

#define HUGETLBFS_TYPE 0x958458f6u

/* Page size of the hugetlbfs that @p dir is on; 0: it is on something else (or mounted over). @return
 * 0 or why it cannot be looked at. */
static int look_at(const char *dir, bool writable, uint64_t *page_size, bool *usable)
{
	uint64_t type;
	int fd = mye_open_dir(dir), rc;

	*page_size = 0;
	*usable = false;
	if (fd < 0)
		return fd;
	rc = mye_statfs(fd, &type, page_size, NULL);
	if (rc == 0 && type != HUGETLBFS_TYPE)
		*page_size = 0;
	*usable = *page_size && (!writable || mye_may_write(fd));
	mye_close(fd);
	return rc;
}

static int one_dir(const char *dir, uint64_t page_size, bool writable, struct mye_huge_mount *out,
                   int max)
{
	uint64_t found;
	bool usable;
	int rc = look_at(dir, writable, &found, &usable);

	if (rc)
		return mye_fail(rc, "cannot open the huge page directory %s: %s", dir,
		                myelon_strerror(rc));
	if (!found)
		return mye_fail(
			-EINVAL,
			"%s is not on hugetlbfs: mount one there (mount -t hugetlbfs none %s)", dir,
			dir);
	if (!usable || (page_size && page_size != found) || max < 1)
		return 0;
	if (snprintf(out->dir, sizeof(out->dir), "%s", dir) >= (int)sizeof(out->dir))
		return mye_fail(-ENAMETOOLONG, "the path of the huge page directory is too long");
	out->page_size = found;
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

static bool listed(const struct mye_huge_mount *mounts, int count, const char *dir)
{
	while (count--)
		if (!strcmp(mounts[count].dir, dir))
			return true;
	return false;
}

int mye_huge_mounts(const char *dir, uint64_t page_size, bool writable, struct mye_huge_mount *out,
                    int max)
{
	char *text, *line, *next, *save, *where, *type;
	uint64_t found;
	int count = 0;
	bool usable;

	if (dir && *dir)
		return one_dir(dir, page_size, writable, out, max);
	text = mye_read_whole("/proc/self/mounts");
	if (!text)
		return 0;
	for (line = text; line && count < max; line = next) { /* "<what> <where> <type> ..." */
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (!strtok_r(line, " ", &save))
			continue;
		where = strtok_r(NULL, " ", &save);
		type = where ? strtok_r(NULL, " ", &save) : NULL;
		if (!type || strcmp(type, "hugetlbfs") != 0)
			continue;
		unescape(where);
		if (strlen(where) >= sizeof(out->dir) || listed(out, count, where))
			continue;
		if (look_at(where, writable, &found, &usable) || !usable ||
		    (page_size && page_size != found))
			continue;
		memcpy(out[count].dir, where, strlen(where) + 1);
		out[count++].page_size = found;
	}
	free(text);
	return count;
}
