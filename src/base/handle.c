/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/handle.h"
#include "sys/sys.h"

#define TABLE_SIZE 4096
#define HANDLE_OFFSET 3072
#define HANDLE_STEP 256
#define HANDLE_STEPS 4
#define HANDLE_OFFSET_MAX (HANDLE_OFFSET + (HANDLE_STEPS - 1) * HANDLE_STEP)

/* Descriptor + 1; 0: unused. */
static int table[TABLE_SIZE];
static unsigned int top; /* all above is unused */
/* Held across fork, so that it waits for who is between enter and leave. Taken before lock. */
static pthread_mutex_t window = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local int cancel_state;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int hook_error;

static size_t page_round(size_t bytes)
{
	size_t page = mye_page_size();

	return (bytes + page - 1) & ~(page - 1);
}

/*
 * Not at the start of a page, where the words of the rings lie: a load from an address that is modulo
 * 4 KiB that of an older store waits for it (segment/layout.h). The handles of a framed round trip,
 * four in a row, get different places.
 */
static size_t place_in_page(void)
{
	static unsigned int count;

	return HANDLE_OFFSET +
	       __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED) % HANDLE_STEPS * HANDLE_STEP;
}

void *mye_handle_alloc(size_t bytes)
{
	size_t rounded = page_round(bytes + HANDLE_OFFSET_MAX);
	bool wiped = false;
	void *handle;
	int rc = -ENOMEM;

	mye_fork_enter();
	if (rounded >= bytes && rounded)
		rc = mye_map_private(rounded, &handle);
	if (rc == 0)
		wiped = mye_wipeonfork(handle, rounded) == 0;
	mye_fork_leave();
	if (rc) {
		mye_fail(rc, "no memory for a handle of %zu bytes", bytes);
		return NULL;
	}
	if (!wiped)
		mye_warn("this kernel cannot wipe memory at fork: a forked child must not use "
		         "handles of its parent");
	return (unsigned char *)handle + place_in_page();
}

void mye_handle_free(void *handle, size_t bytes)
{
	uintptr_t at = (uintptr_t)handle & ~(uintptr_t)(mye_page_size() - 1);

	mye_unmap((void *)at, page_round(bytes + HANDLE_OFFSET_MAX));
}

/* The lock is held across fork, so that no child finds a descriptor that is closed but still listed:
 * its number might already be somebody else's. */
static void before_fork(void)
{
	pthread_mutex_lock(&window);
	pthread_mutex_lock(&lock);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&lock);
	pthread_mutex_unlock(&window);
}

static void after_fork_in_child(void)
{
	unsigned int i;

	for (i = 0; i < top; i++) {
		if (table[i])
			mye_close(table[i] - 1);
		table[i] = 0;
	}
	top = 0;
	pthread_mutex_unlock(&lock);
	pthread_mutex_unlock(&window);
}

static void install(void)
{
	hook_error = -pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void mye_fork_enter(void)
{
	int state;

	pthread_once(&once, install);
	/* open() is where a thread is cancelled; with the lock held no fork would ever return. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_mutex_lock(&window);
	cancel_state = state;
}

void mye_fork_leave(void)
{
	int state = cancel_state;

	pthread_mutex_unlock(&window);
	pthread_setcancelstate(state, NULL);
}

int mye_fork_keep(int fd)
{
	int rc = fd < 0 ? fd : mye_fork_register(fd);

	if (rc == 0)
		return fd;
	mye_close(fd);
	return rc;
}

int mye_fork_open_dir(const char *path)
{
	int fd;

	mye_fork_enter();
	fd = mye_fork_keep(mye_open_dir(path));
	mye_fork_leave();
	return fd;
}

int mye_fork_open_pidfd(const struct mye_identity *who)
{
	int fd;

	mye_fork_enter();
	fd = mye_fork_keep(mye_pidfd_of(who));
	mye_fork_leave();
	return fd;
}

int mye_fork_register(int fd)
{
	unsigned int i;
	int rc = 0;

	pthread_once(&once, install);
	if (hook_error)
		return mye_fail(hook_error, "no memory for a fork handler");
	pthread_mutex_lock(&lock);
	for (i = 0; i < TABLE_SIZE && table[i]; i++)
		;
	if (i < TABLE_SIZE) {
		table[i] = fd + 1;
		if (i >= top)
			top = i + 1;
	} else {
		rc = -EMFILE;
	}
	pthread_mutex_unlock(&lock);
	return rc ? mye_fail(rc, "%d descriptors of handles are open in this process, no more fit",
	                     TABLE_SIZE)
	          : 0;
}

bool mye_fork_keeps(int fd)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (unsigned int i = 0; i < top && !found; i++)
		found = table[i] == fd + 1;
	pthread_mutex_unlock(&lock);
	return found;
}

void mye_fork_close(int fd)
{
	unsigned int i;

	if (fd < 0)
		return;
	pthread_mutex_lock(&lock);
	for (i = 0; i < top; i++) {
		if (table[i] == fd + 1) {
			table[i] = 0;
			break;
		}
	}
	while (top && !table[top - 1])
		top--;
	mye_lock_drop_all(fd);
	mye_close(fd);
	pthread_mutex_unlock(&lock);
}
