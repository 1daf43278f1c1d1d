/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Control files as create, attach, leave, remove, gc and list share them:
 * opening, judging and mapping one, and taking a ring's two files away.
 */
#ifndef MYE_SEGMENT_CONTROL_H
#define MYE_SEGMENT_CONTROL_H

#include "segment/segment.h"
#include "sys/sys.h"

#define MYE_CONTROL_PREFIX "myelon."
#define MYE_TEMP_PREFIX ".myelon-tmp."
#define MYE_NONCE_DIGITS 32

#define MYE_WINDOW_MAX (1u << 30)
#define MYE_DATA_MAX (1ull << 45) /* mapped twice it still fits an address space of 47 bits */

/* A path as sentences show it. */
#define MYE_TEXT_MAX (MYE_PATH_MAX + 256)

/* name.c */
void mye_place_path(const struct mye_place *place, char *buf, size_t cap);
/* The place of a file `myelon.<name>` found in @p dir. @return false: no ring has such a name. */
bool mye_place_of_file(struct mye_place *place, const char *dir, const char *hugetlb_dir,
                       const char *file);

/* options.c: check the options of a new ring and put its defaults in. @return 0, -EINVAL, -EMSGSIZE. */
int mye_options_check(struct myelon_ring_opts *opts, const struct mye_place *place,
                      enum myelon_kind kind);
/* How many consumers a wait_for asks for. */
uint64_t mye_wait_for_total(const struct myelon_wait_for *whom);
int mye_slot_size_check(uint32_t slot_size, uint32_t window, uint32_t kind, const char **why);

/* header.c */
uint64_t mye_control_bytes(uint32_t max_consumers, uint32_t page_unit);
/* Into private memory, validated. @return 0, -EPROTO, or why it cannot be read. */
int mye_header_read(int fd, struct mye_header *h, uint64_t file_bytes, const char *path);

/* A control file that was opened to look at it or to take it away, not to join. */
struct mye_control {
	int dir_fd, fd;
	struct stat st;
	int valid;    /* 0, or why the header cannot be trusted (its sentence is the last error) */
	bool magic;   /* it was a ring, if perhaps not one that can be read */
	bool blank;   /* empty, or zero where the header would be */
	bool file;    /* magic, and its header says that it is a plain-file ring */
	bool foreign; /* magic, but another layout version */
	struct mye_header header; /* if valid == 0; the nonce is copied in any case */
};

/* control.c */
/* @return 0 (see valid), -ENOENT, -EACCES, -EPROTO (not a regular file). */
int mye_control_open(struct mye_control *c, const struct mye_place *place, bool writable);
void mye_control_close(struct mye_control *c);
/* Open the file itself, to be closed by mye_fork_close(). @return descriptor, or as mye_control_open(). */
int mye_control_open_file(int dir_fd, const struct mye_place *place, bool writable,
                          struct stat *st);
/* Ours, root's, or anybody's if the flags say so. @return 0, -EPERM. */
int mye_owner_check(const struct stat *st, uint32_t flags, const char *path);
/* Does @p file in the directory still lead to this inode? */
bool mye_name_leads_to(int dir_fd, const char *file, uint64_t dev, uint64_t ino);
/* Map as the role allows, and populate. @return 0, -EPROTO (shorter than it says), -ENOMEM. */
int mye_control_map(struct mye_segment *seg);
void mye_control_unmap(struct mye_segment *seg);
/* The words inside seg->control, by the validated header. */
void mye_control_words(struct mye_segment *seg);

/* locks.c */
/* Byte 0 of a file shared, while somebody holds it exclusively until @p until. @return 0, -EBUSY. */
int mye_share(int fd, int64_t byte, int64_t until);
/* "producer pid 7, consumers a (pid 8), b (pid 9)", from locks and table; "" if no role is held. */
void mye_holders(int fd, const struct mye_header *h, char *buf, size_t cap, bool *producer);

/* erase.c */
enum mye_erased {
	MYE_ERASE_GONE = 0, /* there was none */
	MYE_ERASED = 1,
	MYE_ERASE_HELD = 2, /* somebody uses it */
	MYE_ERASE_KEPT = 3, /* not the file meant, another owner, or a control file has its nonce */
};
struct mye_data_erase {
	const char *dir, *name;
	uint32_t owner;    /* uid it must have */
	int shm_fd;        /* >= 0: only if no control file in there has its nonce */
	uint64_t dev, ino; /* ino != 0: the file meant */
	uint64_t bytes;    /* out: its size */
};
/* A data file, under its own exclusive lock. @return enum mye_erased or negative errno. */
int mye_erase_data(struct mye_data_erase *e);
/* The same in an open directory; needs one descriptor. */
int mye_erase_data_in(struct mye_data_erase *e, int dir_fd);
/*
 * Take the name of a control file: exclusive lock on byte 0, and once it is held, does the name still
 * lead to it? @return 0; -EBUSY: somebody holds it; -ESTALE: the name leads elsewhere by now.
 */
int mye_claim_name(const struct mye_control *c, const struct mye_place *place);
/* What became of one file of an erased ring; bytes is its size. */
typedef void (*mye_erase_fn)(void *ctx, const char *dir, const char *name, uint64_t bytes);
/* Both files of a ring whose name is claimed: control first, then data. @return files, negative. */
int mye_erase_ring(const struct mye_control *c, const struct mye_place *place, mye_erase_fn fn,
                   void *ctx);
/* The socket of a ring that is being removed, if it has one. */
void mye_erase_socket(int dir_fd, const uint64_t nonce[2]);
/* The data of a ring whose control file is gone, wherever it lies. @return files. */
int mye_erase_data_of(const struct mye_place *place, const uint64_t nonce[2], uint32_t owner,
                      int dir_fd, mye_erase_fn fn, void *ctx);
/* Has a control file of this directory the nonce in the name of that data file? Errs towards yes. */
bool mye_nonce_in_use(int shm_fd, const char *data_name, uint32_t owner);

/* Why the directory of rings could not be opened. @return -ENOTDIR if it does not exist, else @rc. */
int mye_dir_failed(int rc, const char *dir);

/* create.c: an empty segment, and its directory. */
void mye_segment_begin(struct mye_segment *seg, enum mye_role role);
int mye_segment_open_dir(struct mye_segment *seg);
/* leave.c: give up byte 0; whoever is last, and the producer closed in order, removes the files. */
void mye_segment_let_go(struct mye_segment *seg);

/* existing.c: make way for a new ring of this name, or say why not. @return 0, -EEXIST, ... */
int mye_name_clear(const struct mye_place *place, uint32_t flags);

/* list.c: options of the calls that look at names; @p flags: those the caller knows. */
int mye_dir_opts_read(struct myelon_dir_opts *own, const struct myelon_dir_opts *user,
                      uint32_t flags);

#endif
