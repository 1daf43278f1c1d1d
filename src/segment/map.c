/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/handle.h"
#include "segment/map.h"

/* The file's block size is that of its pages on hugetlbfs, and anything elsewhere. */
static int page_of(int fd, size_t *page)
{
	struct stat st;
	int rc = mye_fstat(fd, &st);

	*page = mye_page_size();
	if (rc == 0 && st.st_blksize > 0 && !(st.st_blksize & (st.st_blksize - 1)) &&
	    (size_t)st.st_blksize > *page)
		*page = (size_t)st.st_blksize;
	return rc;
}

/* What lies in front, and goes with it. */
static size_t room(size_t align)
{
	return (MYE_MAP_ROOM + align - 1) & ~(align - 1);
}

static int map_all(int fd, char *at, size_t bytes, unsigned int copies, unsigned int flags)
{
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && i < copies; i++)
		rc = mye_map_fixed(at + i * bytes, bytes, fd, 0, flags);
	return rc;
}

/* Between mye_fork_enter() and _leave(): a child with the mapping would have the locks too. */
static int map_copies(int fd, size_t bytes, size_t align, unsigned int copies, unsigned int flags,
                      void **out)
{
	size_t total, front = room(align);
	void *at;
	int rc;

	if (__builtin_mul_overflow(bytes, copies, &total) ||
	    __builtin_add_overflow(total, front, &total))
		return -ENOMEM;
	rc = mye_reserve(total, align, &at);
	if (rc)
		return rc;
	rc = map_all(fd, (char *)at + front, bytes, copies, flags);
	/* Last: MAP_FIXED would undo it. */
	if (rc == 0)
		rc = mye_dontfork(at, total);
	if (rc)
		mye_unmap(at, total);
	*out = rc ? NULL : (char *)at + front;
	return rc;
}

#ifndef MYE_SINGLE_MAP

int mye_map_shared(int fd, size_t bytes, bool writable, void **out)
{
	size_t align;
	int rc = page_of(fd, &align);

	if (rc)
		return rc;
	mye_fork_enter();
	rc = map_copies(fd, bytes, align, 1, writable ? MYE_MAP_WRITE : 0, out);
	mye_fork_leave();
	return rc;
}

void mye_map_release(void *at, size_t bytes)
{
	mye_unmap(at, bytes);
}

int mye_mirror_map(int fd, size_t bytes, size_t align, bool writable, void **out)
{
	int rc;

	mye_fork_enter();
	rc = map_copies(fd, bytes, align, MYE_MIRRORS, writable ? MYE_MAP_WRITE : 0, out);
	mye_fork_leave();
	return rc;
}

void mye_mirror_release(void *at, size_t bytes)
{
	mye_unmap(at, MYE_MIRRORS * bytes);
}

#else

struct mapping {
	struct mapping *next;
	dev_t dev;
	ino_t ino;
	size_t bytes;
	size_t front;
	unsigned int users;
	void *at;
};

static struct mapping *mappings;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Of a descriptor of its own: the caller's may be read-only, the next user's not. */
static int map_writable(int fd, size_t bytes, size_t align, void **out)
{
	int again = mye_reopen_writable(fd), rc;

	if (again < 0)
		return map_copies(fd, bytes, align, 1, 0, out);
	rc = map_copies(again, bytes, align, 1, MYE_MAP_WRITE, out);
	if (rc == -EPERM) /* sealed */
		rc = map_copies(fd, bytes, align, 1, 0, out);
	mye_close(again);
	return rc;
}

static int share(int fd, size_t bytes, size_t align, void **out)
{
	struct mapping *m;
	struct stat st;
	int rc = mye_fstat(fd, &st);

	if (rc)
		return rc;
	for (m = mappings; m; m = m->next) {
		if (m->dev == st.st_dev && m->ino == st.st_ino && m->bytes == bytes) {
			m->users++;
			*out = m->at;
			return 0;
		}
	}
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	rc = map_writable(fd, bytes, align, &m->at);
	if (rc) {
		free(m);
		return rc;
	}
	m->dev = st.st_dev;
	m->ino = st.st_ino;
	m->bytes = bytes;
	m->front = room(align);
	m->users = 1;
	m->next = mappings;
	mappings = m;
	*out = m->at;
	return 0;
}

int mye_mirror_map(int fd, size_t bytes, size_t align, bool writable, void **out)
{
	int rc;

	(void)writable;
	mye_fork_enter();
	pthread_mutex_lock(&lock);
	rc = share(fd, bytes, align, out);
	pthread_mutex_unlock(&lock);
	mye_fork_leave();
	return rc;
}

int mye_map_shared(int fd, size_t bytes, bool writable, void **out)
{
	size_t align;
	int rc = page_of(fd, &align);

	return rc ? rc : mye_mirror_map(fd, bytes, align, writable, out);
}

void mye_map_release(void *at, size_t bytes)
{
	struct mapping **link, *m;

	pthread_mutex_lock(&lock);
	for (link = &mappings; (m = *link); link = &m->next) {
		if (m->at == at && m->bytes == bytes) {
			if (--m->users == 0) {
				*link = m->next;
				mye_unmap((char *)at - m->front, m->front + bytes);
				free(m);
			}
			break;
		}
	}
	pthread_mutex_unlock(&lock);
}

void mye_mirror_release(void *at, size_t bytes)
{
	mye_map_release(at, bytes);
}

#endif
