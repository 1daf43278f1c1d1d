/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sys/sys.h"

/* The C library's headers may be older than the kernel. */
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

size_t mye_page_size(void)
{
	static size_t size;
	size_t known = __atomic_load_n(&size, __ATOMIC_RELAXED);

	if (!known) {
		known = (size_t)sysconf(_SC_PAGESIZE);
		__atomic_store_n(&size, known, __ATOMIC_RELAXED);
	}
	return known;
}

/* A cgroup or an overcommit limit says ENOMEM or EAGAIN. */
static int map(void *at, size_t bytes, int prot, int flags, int fd, off_t off, void **out)
{
	void *got = mmap(at, bytes, prot, flags, fd, off);

	if (got == MAP_FAILED)
		return errno == EAGAIN ? -ENOMEM : -errno;
	if (out)
		*out = got;
	return 0;
}

int mye_reserve(size_t bytes, size_t align, void **out)
{
	size_t page = mye_page_size(), total;
	uintptr_t base, start;
	void *raw = NULL;
	int rc;

	if (align < page)
		align = page;
	if (!bytes || (align & (align - 1)) || __builtin_add_overflow(bytes, align, &total))
		return -EINVAL;
	rc = map(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, &raw);
	if (rc)
		return rc;
	base = (uintptr_t)raw;
	start = (base + align - 1) & ~(uintptr_t)(align - 1);
	if (start > base)
		munmap(raw, start - base);
	if (total > start - base + bytes)
		munmap((char *)raw + (start - base) + bytes, total - (start - base) - bytes);
	*out = (char *)raw + (start - base);
	return 0;
}

int mye_map_fixed(void *at, size_t bytes, int fd, uint64_t off, unsigned flags)
{
	int prot = PROT_READ | (flags & MYE_MAP_WRITE ? PROT_WRITE : 0);
	int how = MAP_FIXED;

	if (flags & MYE_MAP_PRIVATE) {
		how |= MAP_PRIVATE | MAP_ANONYMOUS;
		fd = -1;
		off = 0;
	} else {
		how |= MAP_SHARED;
	}
	return map(at, bytes, prot, how, fd, (off_t)off, NULL);
}

int mye_map_private(size_t bytes, void **out)
{
	return map(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, out);
}

void mye_unmap(void *at, size_t bytes)
{
	if (at)
		munmap(at, bytes);
}

static int advise(void *at, size_t bytes, int advice)
{
	int rc;

	do {
		rc = madvise(at, bytes, advice) < 0 ? -errno : 0;
	} while (rc == -EINTR || (rc == -EAGAIN && advice != MADV_COLLAPSE));
	return rc;
}

bool mye_can_populate(void)
{
	static int answer; /* 1 yes, -1 no */
	int known = __atomic_load_n(&answer, __ATOMIC_RELAXED);
	void *page = NULL;

	if (known)
		return known > 0;
	if (mye_map_private(mye_page_size(), &page))
		return false;
	known = advise(page, mye_page_size(), MADV_POPULATE_WRITE) == 0 ? 1 : -1;
	mye_unmap(page, mye_page_size());
	__atomic_store_n(&answer, known, __ATOMIC_RELAXED);
	return known > 0;
}

/* Adding 0 faults the page in for writing and changes nothing, whoever else writes there. */
static void touch(unsigned char *at, size_t bytes, bool write)
{
	size_t i, page = mye_page_size();

	for (i = 0; i < bytes; i += page) {
		if (write)
			__atomic_fetch_add(at + i, 0, __ATOMIC_RELAXED);
		else
			(void)__atomic_load_n(at + i, __ATOMIC_RELAXED);
	}
}

int mye_populate(void *at, size_t bytes, bool write)
{
	int rc;

	if (!mye_can_populate()) {
		touch(at, bytes, write);
		return 0;
	}
	rc = advise(at, bytes, write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
	return rc == -EHWPOISON ? -EFAULT : rc;
}

int mye_dontfork(void *at, size_t bytes)
{
	return advise(at, bytes, MADV_DONTFORK);
}

int mye_wipeonfork(void *at, size_t bytes)
{
	return advise(at, bytes, MADV_WIPEONFORK);
}

int mye_hugepage_advise(void *at, size_t bytes)
{
	return advise(at, bytes, MADV_HUGEPAGE);
}

int mye_collapse(void *at, size_t bytes)
{
	return advise(at, bytes, MADV_COLLAPSE);
}
