/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The data file: choosing a backing, allocating it for good, mapping it twice.
 */
#ifndef MYE_SEGMENT_DATA_H
#define MYE_SEGMENT_DATA_H

#include "numa/placement.h"
#include "segment/segment.h"

/* What the data of a new ring shall be, and what became of it. */
struct mye_data {
	/* in */
	uint32_t slot_size, window;
	uint32_t backing, huge;    /* as asked */
	uint64_t page_size;        /* as asked, 0: any */
	struct mye_numa_want numa; /* as asked */
	uint32_t mode;             /* file mode bits */
	uint64_t nonce[2];
	const struct mye_place *place;
	/* out */
	uint64_t slots, bytes, data_page;
	uint32_t backing_got;
	struct mye_census census; /* where the pages are */
	char reason[160];
	int fd;     /* locked shared on byte 0, linked under its name, registered for fork */
	int dir_fd; /* hugetlbfs: its directory, registered for fork; else -1 */
	uint64_t dev, ino;
	char dir[MYE_PATH_MAX]; /* where */
	unsigned char *map;     /* mirrored (map.h), populated, writable */
};

/* slots for a window: smallest power of two >= window whose bytes are a
 * multiple of page (a power of two). @return 0, -EMSGSIZE and a sentence. */
int mye_slots_for(uint32_t slot_size, uint32_t window, uint64_t page, uint64_t *slots);

/*
 * Try the rungs backing and huge allow, in order, each to the end (allocate,
 * place, populate, verify, link); roll back a rung that failed completely,
 * remember its reason, go to the next.
 */
int mye_data_create(struct mye_data *d);
/* Undo mye_data_create(): unmap, unlink, close. */
void mye_data_discard(struct mye_data *d);

/*
 * A tag of a directory, the high half of nonce[0]: gc of one shm directory must
 * not judge the data files of another that shares its hugetlbfs. @return 0 if
 * it cannot be told.
 */
uint32_t mye_dir_tag(int dirfd);
/* A fresh nonce for a ring whose control file lies in @p dirfd. @return 0 or
 * negative errno with a sentence. */
int mye_nonce_make(int dirfd, uint64_t nonce[2]);

/* Private name of a data file on a file system without O_TMPFILE, while it is
 * made: MYE_DATA_TEMP_PREFIX and the nonce. */
#define MYE_SOCKET_PREFIX "myelon-sock." /* beside the control file (ring/handover.h) */
#define MYE_SOCKET_NAME (sizeof(MYE_SOCKET_PREFIX) + 32) /* bytes of its name */
#define MYE_DATA_PREFIX "myelon-data."
#define MYE_DATA_TEMP_PREFIX ".myelon-data-tmp."

/* Name of a data file: myelon-data.<32 hex digits>, or for a plain-file ring
 * <control file>.data. */
void mye_socket_name(char *buf, const uint64_t nonce[2]); /* MYE_SOCKET_NAME bytes */
void mye_data_name(char *buf, size_t cap, const struct mye_place *place, const uint64_t nonce[2]);

/*
 * Find and open the data file of a validated header, lock byte 0 shared, check
 * that it is regular, of the control file's owner, of the size recorded, and
 * still linked. Needs seg->header, place, dir_fd, control_fd; fills data_fd,
 * data_dir_fd (registered for fork) and data_dir. @return 0; -ENOENT: there is none; -EPROTO:
 * it is not what the header says; -EBUSY: it is being removed; -EACCES, ...
 */
int mye_data_open(struct mye_segment *seg, bool writable);
/* Map it twice in a row and populate. -EPROTO: the file became shorter. */
int mye_data_map(struct mye_segment *seg, bool writable);
/* Safe if it is not mapped. */
void mye_data_unmap(struct mye_segment *seg);

/* data_memfd.c: in place of a file. "In" what, in sentences: */
#define MYE_MEMFD_PLACE "a memfd"
/* @return a descriptor, registered for fork, or negative errno without a sentence. */
int mye_memfd_make(const char *ring, uint64_t page);
/* For good, before anybody else can have it. @p writes: the kernel can also seal it against new
 * writers. */
int mye_memfd_seal(int fd, bool *writes);
/* The memfd behind an attacher's option data_fd, opened again and registered for fork. @return a
 * descriptor; -EBADF; -EINVAL: it is something else. */
int mye_memfd_take(int32_t data_fd);
/* Does @p want go with the ring: a memfd where there is one and nowhere else, and no takeover?
 * @return 0, -EINVAL, -ENOTSUP. */
int mye_memfd_demand(const struct mye_segment *seg, const struct mye_attach *want);
/* In place of mye_data_open() and mye_data_map(), for a descriptor that was taken; it is not kept.
 * @return 0; -EINVAL: it is not the ring's; -EPROTO: it is not sealed. */
int mye_memfd_map(struct mye_segment *seg, int fd);
/* A new descriptor for the caller, read-only and without locks. @return it, or -EINVAL, -EMFILE, ... */
int mye_memfd_hand_over(const struct mye_segment *seg);

/* Call fn for each directory that may hold data files of rings of @p place (shm
 * directory, hugetlbfs); stop at non-zero and return it. */
int mye_data_dirs(const struct mye_place *place, int (*fn)(void *ctx, const char *dir), void *ctx);

#endif
