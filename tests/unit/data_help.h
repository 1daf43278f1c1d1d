/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the tests of a ring's data file share; each Criterion test is a process of its own. */
#ifndef DATA_HELP_H
#define DATA_HELP_H

#include "segment/data.h"

extern struct mye_place place;
extern struct mye_data data;
extern struct mye_segment seg;

/* A ring of 1024 x 64 bytes (64 KiB) in the test's shm directory, as asked by default. */
void prepare(void);

/* The segment of an attacher, with a control file to compare owners with. */
void prepare_attach(void);

#endif
