/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file arena.h - bounded memory for what a decoded message points to.
 *
 * Strings, vectors and everything else of variable size that myelon_codec::decode makes lies in an
 * arena: taken piece by piece, given back all at once. First from the caller's buffer, then from the
 * heap up to a limit, so that no message, however it lies, takes more than that.
 *
 *     struct myelon_arena a;
 *     myelon_arena_init(&a, NULL, 0, 16 << 20);
 *     while (myelon_typed_recv(tc, &batch, &a, MYELON_FOREVER, NULL) == 1) {
 *         ... use batch ...
 *         myelon_arena_reset(&a);
 *     }
 *     myelon_arena_free(&a);
 *
 * After a reset the largest piece of heap memory is kept, so a loop like this soon allocates no more.
 *
 * Concurrency: one thread at a time.
 */
#ifndef MYELON_ARENA_H
#define MYELON_ARENA_H

#include <stddef.h>

#include <myelon/export.h>

#ifdef __cplusplus
extern "C" {
#endif

struct myelon_arena_block;

/** All members are the library's. */
struct myelon_arena {
	unsigned char *at;  /* next free byte */
	unsigned char *end; /* of the present block */
	size_t taken;       /* bytes of heap */
	size_t limit;
	struct myelon_arena_block *blocks; /* the last one first */
	unsigned char *buf;                /* the caller's */
	size_t cap;
};

/**
 * @param buf    memory used first, may be NULL; stays the caller's.
 * @param cap    its bytes.
 * @param limit  bytes of heap that may be taken; 0: none.
 */
MYELON_API void myelon_arena_init(struct myelon_arena *a, void *buf, size_t cap, size_t limit);

/**
 * Take @p bytes aligned to @p align (a power of two, at most 64). Not zeroed. 0 bytes give a pointer that must not be
 * read. @return NULL: the limit, or no memory.
 */
MYELON_API void *myelon_arena_alloc(struct myelon_arena *a, size_t bytes, size_t align);

/** Everything taken is given back; what decoded messages point to is gone. */
MYELON_API void myelon_arena_reset(struct myelon_arena *a);

/** The same, and the heap memory goes. */
MYELON_API void myelon_arena_free(struct myelon_arena *a);

#ifdef __cplusplus
}
#endif
#endif
