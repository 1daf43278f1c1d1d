/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The data file: choosing a backing, allocating it for good, mapping it twice.
 */
#ifndef MYE_SEGMENT_DATA_H
#define MYE_SEGMENT_DATA_H

#include "segment/segment.h"

/* What the data of a new ring shall be, and what became of it. */
struct mye_data {
	/* in */
	uint32_t slot_size, window;
	uint32_t backing, huge; /* as asked */
	uint64_t page_size;     /* as asked, 0: any */
	int32_t node;           /* as asked, -1: any */
	bool strict;
	uint32_t mode; /* file mode bits */
	uint64_t nonce[2];
	const struct mye_place *place;
	/* out */
	uint64_t slots, bytes, data_page;
	uint32_t backing_got;
	int32_t node_got; /* -1: unknown or mixed */
	char reason[160];
	int fd;                 /* locked shared on byte 0, linked under its name */
	char dir[MYE_PATH_MAX]; /* where */
	unsigned char *map;     /* mirrored, populated, writable */
};

/* slots for a window: smallest power of two >= window whose bytes are a
 * multiple of page. @return 0, -EMSGSIZE. */
int mye_slots_for(uint32_t slot_size, uint32_t window, uint64_t page, uint64_t *slots);

/*
 * Try the rungs backing and huge allow, in order, each to the end (allocate,
 * place, populate, verify, link); roll back a rung that failed completely,
 * remember its reason, go to the next.
 */
int mye_data_create(struct mye_data *d);
/* Undo mye_data_create(): unmap, unlink, close. */
void mye_data_discard(struct mye_data *d);

/* Name of a data file: myelon-data.<32 hex digits>, or for a plain-file ring
 * <control file>.data. */
void mye_data_name(char *buf, size_t cap, const struct mye_place *place, const uint64_t nonce[2]);

/* Find and open the data file of a validated header; checks regular, owner,
 * size. Fills seg->data_fd, data_dir. */
int mye_data_open(struct mye_segment *seg, bool writable);
/* Map it twice in a row and populate. */
int mye_data_map(struct mye_segment *seg, bool writable);
void mye_data_unmap(struct mye_segment *seg);

/* Call fn for each directory that may hold data files of rings of @p place (shm
 * directory, hugetlbfs). */
int mye_data_dirs(const struct mye_place *place, int (*fn)(void *ctx, const char *dir), void *ctx);

#endif
