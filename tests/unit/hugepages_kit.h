/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the tests of huge pages share: pools as the kernel tells them, put back as they were. */
#ifndef MYELON_TEST_HUGEPAGES_KIT_H
#define MYELON_TEST_HUGEPAGES_KIT_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kit.h"

#define MIB2 (2ull << 20)
#define GIB (1ull << 30)

#define POOL_PATH "/sys/kernel/mm/hugepages/hugepages-%llukB/%s"

/* For children, which must not assert: says what is wrong and ends the child's function. */
#define CHILD_CHECK(cond, ...)                                                                     \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			printf("line %d: %s: ", __LINE__, #cond);                                  \
			printf(__VA_ARGS__);                                                       \
			printf("\n");                                                              \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

/* -1: there is no such file. */
static inline int64_t pool_file(uint64_t page_size, const char *file)
{
	char path[160], text[32] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), POOL_PATH, (unsigned long long)page_size / 1024, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 ? strtoll(text, NULL, 10) : -1;
}

static inline bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

static inline bool pool_resize(uint64_t page_size, int64_t total)
{
	char path[160], text[32];

	snprintf(path, sizeof(path), POOL_PATH, (unsigned long long)page_size / 1024,
	         "nr_hugepages");
	snprintf(text, sizeof(text), "%lld", (long long)total);
	return write_file(path, text);
}

static inline int64_t pool_spare(uint64_t page_size)
{
	return pool_file(page_size, "free_hugepages") - pool_file(page_size, "resv_hugepages");
}

static uint64_t kept_size;
static int64_t kept_total;

static inline void pool_put_back(void)
{
	if (kept_size)
		pool_resize(kept_size, kept_total);
	kept_size = 0;
	kit_hugepages_restore();
}

/* Holds the lock over the pools until the test ends, and then makes this one as large as it is now;
 * skips where that is not allowed. */
static inline void pool_keep(uint64_t page_size)
{
	if (pool_file(page_size, "nr_hugepages") < 0)
		kit_skip("hugepages", "the kernel has no pages of this size");
	if (!kit_hugepages_reserve(0))
		kit_skip("hugepages", "only root changes the pools");
	kept_total = pool_file(page_size, "nr_hugepages");
	if (!pool_resize(page_size, kept_total)) {
		kit_hugepages_restore();
		kit_skip("hugepages", "the pool cannot be changed");
	}
	kept_size = page_size;
	atexit(pool_put_back);
}

#endif
