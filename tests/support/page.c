/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE_ENV "KIT_PAGE_FD"

static struct kit_page *map_page(int fd)
{
	void *p = mmap(NULL, sizeof(struct kit_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

struct kit_page *kit_page_create(void)
{
	/* Not close-on-exec: actors inherit it under the number in the environment. */
	int fd = memfd_create("kit page", 0);
	struct kit_page *page;
	char text[16];

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, sizeof(*page)) < 0 || !(page = map_page(fd))) {
		close(fd);
		return NULL;
	}
	snprintf(text, sizeof(text), "%d", fd);
	setenv(PAGE_ENV, text, 1);
	return page;
}

struct kit_page *kit_page_attach(void)
{
	const char *text = getenv(PAGE_ENV);

	return text ? map_page((int)strtol(text, NULL, 10)) : NULL;
}

void kit_page_destroy(struct kit_page *page)
{
	const char *text = getenv(PAGE_ENV);

	munmap(page, sizeof(*page));
	if (text)
		close((int)strtol(text, NULL, 10));
	unsetenv(PAGE_ENV);
}

/* Sleeps while *word is value, at most 100 ms, so that a lost wake is only slow. */
static void sleep_on(_Atomic uint32_t *word, uint32_t value)
{
	const struct timespec slice = {.tv_nsec = 100000000};

	syscall(SYS_futex, word, FUTEX_WAIT, value, &slice, NULL, 0);
}

static void wake_all(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

bool kit_barrier(struct kit_page *page, unsigned int index, uint32_t parties, double seconds)
{
	struct kit_barrier *b = &page->barrier[index % KIT_BARRIERS];
	int64_t deadline = kit_deadline(seconds);
	uint32_t round = atomic_load(&b->round);

	if (atomic_fetch_add(&b->arrived, 1) + 1 == parties) {
		atomic_store(&b->arrived, 0);
		atomic_fetch_add(&b->round, 1);
		wake_all(&b->round);
		return true;
	}
	while (atomic_load(&b->round) == round) {
		if (kit_now_ns() >= deadline)
			return false;
		sleep_on(&b->round, round);
	}
	return true;
}

void kit_set(struct kit_page *page, unsigned int word, uint32_t value)
{
	atomic_store(&page->word[word % KIT_WORDS], value);
	wake_all(&page->word[word % KIT_WORDS]);
}

bool kit_await(struct kit_page *page, unsigned int word, uint32_t value, double seconds)
{
	_Atomic uint32_t *w = &page->word[word % KIT_WORDS];
	int64_t deadline = kit_deadline(seconds);
	uint32_t seen;

	while ((seen = atomic_load(w)) < value) {
		if (kit_now_ns() >= deadline)
			return false;
		sleep_on(w, seen);
	}
	return true;
}

void kit_violation(struct kit_result *r, const char *fmt, ...)
{
	va_list ap;

	if (atomic_fetch_add(&r->violations, 1) > 0)
		return;
	va_start(ap, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, ap);
	va_end(ap);
}
