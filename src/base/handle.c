/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <pthread.h>

#include "base/error.h"
#include "base/handle.h"
#include "sys/sys.h"

#define TABLE_SIZE 4096

/* Descriptor + 1; 0: unused. */
static int table[TABLE_SIZE];
static unsigned int top; /* all above is unused */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int hook_error;

static size_t page_round(size_t bytes)
{
	size_t page = mye_page_size();

	return (bytes + page - 1) & ~(page - 1);
}

void *mye_handle_alloc(size_t bytes)
{
	size_t rounded = page_round(bytes);
	void *handle;
	int rc = -ENOMEM;

	if (rounded >= bytes && rounded)
		rc = mye_map_private(rounded, &handle);
	if (rc) {
		mye_fail(rc, "no memory for a handle of %zu bytes", bytes);
		return NULL;
	}
	if (mye_wipeonfork(handle, rounded))
		mye_warn("this kernel cannot wipe memory at fork: a forked child must not use "
		         "handles of its parent");
	return handle;
}

void mye_handle_free(void *handle, size_t bytes)
{
	mye_unmap(handle, page_round(bytes));
}

/* The lock is held across fork, so that no child finds a descriptor that is closed but still listed:
 * its number might already be somebody else's. */
static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&lock);
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
}

static void install(void)
{
	hook_error = -pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
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
	mye_close(fd);
	pthread_mutex_unlock(&lock);
}
