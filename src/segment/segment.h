/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A segment is one handle's view of a ring's two files: opened, locked,
 * validated, mapped.
 *
 * Each handle opens both files itself: locks belong to an open file
 * description, which is never dup'ed, sent, cached or shared between handles.
 * Mappings may be shared (MYE_SINGLE_MAP), locks never.
 */
#ifndef MYE_SEGMENT_SEGMENT_H
#define MYE_SEGMENT_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <myelon/ring.h>

#include "segment/layout.h"

/* OPERATOR: the control file only, to repair what others left. WATCHER: the control file only, to look at. */
enum mye_role {
	MYE_ROLE_PRODUCER,
	MYE_ROLE_CONSUMER,
	MYE_ROLE_OBSERVER,
	MYE_ROLE_OPERATOR,
	MYE_ROLE_WATCHER,
};

#define MYE_PATH_MAX 4096

/* Where a name lies: resolved from a ring name or a path. */
struct mye_place {
	char dir[MYE_PATH_MAX]; /* directory of the control file */
	char file[256];         /* its name in there: myelon.<name>, or the path's last part */
	char name[256];         /* what the user calls it */
	char hugetlb_dir[MYE_PATH_MAX]; /* option or MYELON_HUGETLB_DIR; "": look at /proc/mounts */
	bool plain;                     /* a path: plain-file ring */
};

struct mye_segment {
	struct mye_header header; /* private, validated copy: the only one that is used */
	struct mye_place place;
	enum mye_role role;
	bool writable; /* the pages behind the producer page are mapped writable */
	bool linked;   /* create: the control file has its name */
	bool built;    /* made here, not attached to */
	bool joined;   /* byte 0 is held shared and the header is valid */
	bool open;     /* the descriptors below are valid or -1 */
	int dir_fd;    /* directory of the control file */
	int control_fd;
	int data_fd;
	int data_dir_fd; /* hugetlbfs: its directory; elsewhere -1, it is dir_fd */
	uint64_t control_dev, control_ino;
	uint32_t owner;         /* uid of the control file; the data file must have the same */
	char temp[64];          /* private name of an unpublished control file, "": it has none */
	unsigned char *control; /* header.control_bytes */
	struct mye_producer_page *producer; /* writable only for the producer */
	struct mye_shared_page *shared;
	struct mye_entry *entries; /* max_consumers + 1 */
	unsigned char *data; /* data_bytes, mapped twice in a row (once with MYE_SINGLE_MAP) */
	char data_dir[MYE_PATH_MAX];
};

/* Index of the hold, the pseudo consumer behind the real entries. */
#define MYE_HOLD_INDEX(seg) ((seg)->header.max_consumers)

/* name.c: check and resolve a name or path; opts strings may be NULL. @return
 * 0, -EINVAL, -ENAMETOOLONG. */
int mye_place_resolve(struct mye_place *place, const char *name, const char *shm_dir,
                      const char *hugetlb_dir);
/* A consumer id: 1..64 of [A-Za-z0-9_.-], no leading dot. @return 0, -EINVAL,
 * -ENAMETOOLONG. */
int mye_id_check(const char *id);

/*
 * create.c: build both files, unnamed: data allocated, placed, verified,
 * mirrored; header complete; producer page initialised (published -1, ceiling
 * -1, space_target INT64_MAX, epoch 1, state OPEN, marks -1, identity), hold
 * entry if opts->buffer_until or wait_for is given; byte 0 shared, byte 1
 * exclusive, data byte 0 shared; everything mapped and populated. Deals with an
 * existing name first
 * (-EEXIST, MYELON_F_REPLACE_DEAD). @p fence is the resolved mode, ASYM or
 * FULL.
 */
int mye_segment_build(struct mye_segment *seg, const char *name,
                      const struct myelon_ring_opts *opts, enum myelon_kind kind,
                      enum myelon_fence fence);
/* The publication: link the control file under its name. @return 0, -EEXIST,
 * ... */
int mye_segment_publish(struct mye_segment *seg);

/* What an attacher demands of a ring. */
struct mye_attach {
	enum mye_role role;
	uint32_t flags;        /* MYELON_F_ANY_OWNER */
	enum myelon_kind kind; /* 0: any */
	uint32_t slot_size;    /* 0: any */
	uint64_t schema;       /* 0: any */
	int64_t deadline;      /* until when to wait for the name, absolute; MYELON_TRY */
	const char *shm_dir;
	const char *hugetlb_dir;
	int32_t data_fd; /* MYELON_FD() of the memfd as handed over; 0: none */
	int memfd;       /* attach: our own of it, -1: none */
};

/*
 * attach.c: open, lock byte 0 of both files shared, check the link count,
 * validate a private copy of the header, map and populate. PRODUCER also takes
 * byte 1 (-EBUSY) and maps the producer page writable. OBSERVER and WATCHER may
 * end with writable == false, and release byte 0 of both files again. OPERATOR
 * and WATCHER do not open the data.
 */
int mye_segment_attach(struct mye_segment *seg, const char *name, const struct mye_attach *want);

/*
 * Leave: unmap, release the locks and close; then, for whoever is last, remove
 * the files if the producer closed in order and the ring is neither a plain
 * file nor kept. Also takes back a ring that was built but not published. Safe
 * on a zeroed or half-built segment (descriptors -1 or 0 unused).
 */
void mye_segment_leave(struct mye_segment *seg);

/* locks.c: own a role: up to 3 tries within 1 ms. @return 0, -EBUSY. */
int mye_role_take(const struct mye_segment *seg, int64_t byte);
void mye_role_drop(const struct mye_segment *seg, int64_t byte);
/* Ask only: 1 somebody (not this handle) holds it, 0 nobody, negative errno. */
int mye_role_held(const struct mye_segment *seg, int64_t byte);
/* Has the process @p who that took a role ended? Its lock may be held on: MYE_ORPHANED says by whom. */
bool mye_role_orphaned(const struct mye_identity *who);
#define MYE_ORPHANED                                                                               \
	"its memory is still being freed, or a child of it that did not exec has its "             \
	"descriptors; "                                                                            \
	"try again, or end that child"

/* header.c: FNV-1a 64 and validation of a private copy; names the wrong field.
 * @return 0, -EPROTO. */
uint64_t mye_header_checksum(const struct mye_header *h);
int mye_header_validate(const struct mye_header *h, uint64_t file_bytes, const char *path);

/* describe.c: fill an info struct from a mapped segment. @p info is the
 * library's full struct. */
void mye_segment_describe(const struct mye_segment *seg, struct myelon_ring_info *info);
/* One table entry; @return false if it is free. */
bool mye_segment_entry(const struct mye_segment *seg, uint32_t index,
                       struct myelon_consumer_entry *out);
/* Describe with the pages counted now. @return pages that are not where they were asked for, or
 * -ENOTSUP. @p info is the library's full struct. */
int mye_segment_verify(const struct mye_segment *seg, struct myelon_ring_info *info);
/* Advice on one participant: MYE_ADVISE_PRODUCER, or the index of a consumer's entry. @return 0 or
 * negative errno with a sentence. */
#define MYE_ADVISE_PRODUCER UINT32_MAX
int mye_segment_advise(const struct mye_segment *seg, uint32_t who, struct myelon_advice *own);
/* 1 if the name still leads to this segment's control file, 0 if removed or
 * replaced. */
int mye_segment_named(const struct mye_segment *seg);

#endif
