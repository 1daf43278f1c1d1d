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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory for a handle of @p bytes, or NULL (sentence set). */
void *mye_handle_alloc(size_t bytes);
/* @p bytes as allocated. NULL is allowed. */
void mye_handle_free(void *handle, size_t bytes);

/*
 * No fork of another thread comes between these two: what is opened or mapped in between is also
 * registered, or marked by madvise, in between, or a child keeps it, and with it the locks, for its
 * life. Short, not nested, and nothing in between waits, fills memory or calls the user.
 */
void mye_fork_enter(void);
void mye_fork_leave(void);
/* In between, on what an open returned: registered, or closed again. @return @p fd or negative errno. */
int mye_fork_keep(int fd);
/* mye_open_dir() like that; to be closed by mye_fork_close(). */
int mye_fork_open_dir(const char *path);
/* mye_pidfd_of() like that. */
struct mye_identity;
int mye_fork_open_pidfd(const struct mye_identity *who);

/*
 * Register @p fd to be closed in a forked child. Every descriptor a handle
 * keeps open is registered before the mye_fork_leave() that follows its opening. @return 0, or -EMFILE when
 * the table (4096) is full.
 */
int mye_fork_register(int fd);
/* Is @p fd a descriptor of some handle of this process? */
bool mye_fork_keeps(int fd);
/*
 * Unregister @p fd, give up the locks of its open file and close it; < 0 is ignored. Closing alone is
 * not enough: a mapping, or a child of fork or vfork until its exec, keeps the open file.
 */
void mye_fork_close(int fd);

#endif
