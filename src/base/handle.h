/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Memory of handles and the descriptors a forked child must close.
 *
 * Handles live in private anonymous pages with MADV_WIPEONFORK: in a child
 * every count is 0 and the magic is gone, so each call falls into its slow
 * path, which answers "opened before fork". The descriptor numbers are kept
 * outside these pages, in a fixed table, so that a child handler can close them:
 * an open descriptor in a child would keep the parent's locks for ever.
 */
#ifndef MYE_BASE_HANDLE_H
#define MYE_BASE_HANDLE_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed memory for a handle of @p bytes, or NULL (sentence set). */
void *mye_handle_alloc(size_t bytes);
/* @p bytes as allocated. NULL is allowed. */
void mye_handle_free(void *handle, size_t bytes);

/*
 * Register @p fd to be closed in a forked child. Every descriptor a handle
 * keeps open is registered right after it is opened. @return 0, or -EMFILE when
 * the table (4096) is full.
 */
int mye_fork_register(int fd);
/* Unregister and close @p fd; < 0 is ignored. */
void mye_fork_close(int fd);

#endif
