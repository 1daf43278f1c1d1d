/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Reading option structs of callers built against an older or newer header. */
#ifndef MYE_BASE_OPTS_H
#define MYE_BASE_OPTS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Copy the caller's options into the library's own struct of @p known bytes,
 * zero-filled.
 *
 * @p user NULL: all defaults. Its first member is its size: below @p first (the
 * first released size) is -EINVAL; bytes beyond what this library knows must be
 * zero, else -E2BIG. Fails with a sentence that names @p what. @return 0 or
 * negative errno.
 */
int mye_opts_read(void *own, size_t known, size_t first, const void *user, const char *what);

/* The reverse for info structs: fill at most user->size bytes, keep the size
 * word. @return 0, -EINVAL. */
int mye_info_write(void *user, const void *own, size_t known, const char *what);

#endif
