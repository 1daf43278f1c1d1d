/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "alloc.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
	__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static atomic_uint_fast64_t calls;

/* Relaxed: a number that is read by the thread that caused it. */
static inline void count(void)
{
	atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
}

uint64_t bench_alloc_count(void)
{
	return atomic_load_explicit(&calls, memory_order_relaxed);
}

#if SANITIZED

#include <sanitizer/allocator_interface.h>

static void on_malloc(const volatile void *p, size_t n)
{
	(void)p;
	(void)n;
	count();
}

static void on_free(const volatile void *p)
{
	(void)p;
}

bool bench_alloc_counted(void)
{
	static int installed;

	if (!installed)
		installed = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
	return installed > 0;
}

#elif defined(__GLIBC__)

#define SHOWN __attribute__((visibility("default")))

/* glibc's own names of them, for programs that put something in front. */
/* NOLINTBEGIN(bugprone-reserved-identifier, readability-inconsistent-declaration-parameter-name) */
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);

SHOWN void *malloc(size_t n)
{
	count();
	return __libc_malloc(n);
}

SHOWN void *calloc(size_t n, size_t size)
{
	count();
	return __libc_calloc(n, size);
}

SHOWN void *realloc(void *p, size_t n)
{
	count();
	return __libc_realloc(p, n);
}

SHOWN void *memalign(size_t align, size_t n)
{
	count();
	return __libc_memalign(align, n);
}

SHOWN void *aligned_alloc(size_t align, size_t n)
{
	count();
	return __libc_memalign(align, n);
}

SHOWN int posix_memalign(void **p, size_t align, size_t n)
{
	void *memory;

	count();
	if (align < sizeof(void *) || align & (align - 1))
		return EINVAL;
	memory = __libc_memalign(align, n);
	if (!memory)
		return ENOMEM;
	*p = memory;
	return 0;
}
/* NOLINTEND(bugprone-reserved-identifier, readability-inconsistent-declaration-parameter-name) */

bool bench_alloc_counted(void)
{
	return true;
}

#else

bool bench_alloc_counted(void)
{
	return false;
}

#endif
