/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "kit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/"
/* The same file as in ./dev: whoever changes the pool holds it. */
#define POOL_LOCK "/run/lock/myelon-hugepages.lock"

static int pool_lock = -1;
static unsigned int pool_added;

char *kit_ring_name(char buf[KIT_NAME], const char *stem)
{
	static unsigned int n;

	snprintf(buf, KIT_NAME, "%.40s-%d-%u", stem, (int)getpid(),
	         __atomic_fetch_add(&n, 1, __ATOMIC_RELAXED));
	return buf;
}

const char *kit_shm_dir(void)
{
	const char *dir = getenv("MYELON_SHM_DIR");

	return dir ? dir : "/dev/shm";
}

const char *kit_tmp_dir(void)
{
	const char *dir = getenv("MYELON_TEST_TMP");

	return dir ? dir : "/tmp";
}

const char *kit_hugetlb_dir(void)
{
	return getenv("MYELON_HUGETLB_DIR");
}

int kit_dir_entries(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *e;
	int n = 0;

	if (!dir)
		return -errno;
	while ((e = readdir(dir)))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(dir);
	return n;
}

int kit_open_fds(void)
{
	int n = kit_dir_entries("/proc/self/fd");

	return n < 0 ? n : n - 1; /* without the directory's own */
}

static bool read_number(const char *path, unsigned int *value)
{
	FILE *f = fopen(path, "re");
	bool ok = f && fscanf(f, "%u", value) == 1;

	if (f)
		fclose(f);
	return ok;
}

static bool write_number(const char *path, unsigned int value)
{
	FILE *f = fopen(path, "we");
	bool ok = f && fprintf(f, "%u\n", value) > 0;

	if (f && fclose(f) != 0)
		ok = false;
	return ok;
}

bool kit_hugepages_reserve(unsigned int pages)
{
	unsigned int total, available;

	if (geteuid() != 0 || pool_lock >= 0)
		return false;
	pool_lock = open(POOL_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (pool_lock < 0 || flock(pool_lock, LOCK_EX) < 0)
		goto fail;
	if (!read_number(POOL "nr_hugepages", &total) ||
	    !read_number(POOL "free_hugepages", &available))
		goto fail;
	if (available >= pages)
		return true;
	pool_added = pages - available;
	if (!write_number(POOL "nr_hugepages", total + pool_added) ||
	    !read_number(POOL "free_hugepages", &available) || available < pages)
		goto fail;
	return true;
fail:
	kit_hugepages_restore();
	return false;
}

void kit_hugepages_restore(void)
{
	unsigned int total;

	if (pool_lock < 0)
		return;
	if (pool_added > 0 && read_number(POOL "nr_hugepages", &total))
		write_number(POOL "nr_hugepages", total > pool_added ? total - pool_added : 0);
	pool_added = 0;
	close(pool_lock);
	pool_lock = -1;
}

bool kit_required(const char *what)
{
	const char *list = getenv("MYELON_TEST_REQUIRE");
	size_t len = strlen(what);

	while (list && *list) {
		size_t n = strcspn(list, ",");

		if ((n == len && strncmp(list, what, n) == 0) ||
		    (n == 3 && strncmp(list, "all", 3) == 0))
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

int kit_skip_plain(const char *what, const char *why)
{
	if (kit_required(what)) {
		printf("FAIL: %s is required here: %s\n", what, why);
		return 1;
	}
	printf("SKIP: %s: %s\n", what, why);
	return 77;
}
