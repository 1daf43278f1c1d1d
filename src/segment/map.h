/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Mappings of shared files; no forked child has them.
 *
 * With MYE_SINGLE_MAP (the ThreadSanitizer build, which knows addresses and not
 * pages) a process maps each file once, writable where that is allowed, and
 * every handle gets that mapping; otherwise each handle has its own.
 */
#ifndef MYE_SEGMENT_MAP_H
#define MYE_SEGMENT_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "sys/sys.h"

#ifdef MYE_SINGLE_MAP
#define MYE_MIRRORS 1
#else
#define MYE_MIRRORS 2
#endif

/*
 * Address space in front of every mapping of a control file, without access: what belongs to a word at
 * a constant distance (liveness/lease.c). Part of the same reservation.
 */
#define MYE_CONTROL_ROOM ((size_t)MYE_ROBUST_DISTANCE)
#ifdef MYE_SINGLE_MAP
#define MYE_MAP_ROOM MYE_CONTROL_ROOM /* whatever is mapped */
#else
#define MYE_MAP_ROOM 0 /* control files are mapped in parts (control.c) */
#endif

/* Map the first @p bytes of a file. @return 0, -ENOMEM, ... */
int mye_map_shared(int fd, size_t bytes, bool writable, void **out);
/* NULL is allowed. */
void mye_map_release(void *at, size_t bytes);

/* Map them MYE_MIRRORS times in a row, at an address aligned to @p align (a power of two). */
int mye_mirror_map(int fd, size_t bytes, size_t align, bool writable, void **out);
void mye_mirror_release(void *at, size_t bytes);

#endif
