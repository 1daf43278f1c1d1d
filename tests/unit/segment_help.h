/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Rings at the level of segments, for tests; nothing here asserts, so children may use it too. */
#ifndef SEGMENT_HELP_H
#define SEGMENT_HELP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <myelon/error.h>

#include "segment/segment.h"

/* MYELON_TEST_SCALE times n, at least 1. */
unsigned int help_scaled(unsigned int n);

/* Small, in the shm directory. */
struct myelon_ring_opts help_opts(void);

/* Build and publish. */
int help_create(struct mye_segment *seg, const char *name, const struct myelon_ring_opts *opts);
int help_attach(struct mye_segment *seg, const char *name, enum mye_role role);

/* Leave as a producer that closes in order. */
void help_close(struct mye_segment *seg);
/* Let everything go without a word, as a killed process does. */
void help_die(struct mye_segment *seg);

/* A ring whose producer died and that nobody holds. */
int help_dead(const char *name, const struct myelon_ring_opts *opts);

/* The control file of a ring in the test's shm directory. */
const char *help_path(const char *name);
/* @return 0 or negative errno. */
int help_patch(const char *path, size_t offset, const void *bytes, size_t n);
int help_peek(const char *path, size_t offset, void *bytes, size_t n);
/* A file with this text. */
int help_file(const char *path, const char *text, unsigned int mode);
bool help_exists(const char *path);
/* Entries of the test's shm directory. */
int help_files(void);

/* The last error sentence contains it. */
bool help_says(const char *part);

#endif
