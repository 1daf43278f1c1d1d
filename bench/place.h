/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Where the rings of the subjects are: in a directory of their own inside the user's shm directory
 * (for plain files: inside TMPDIR), which is removed with all that a killed process left in it.
 */
#ifndef MYELON_BENCH_PLACE_H
#define MYELON_BENCH_PLACE_H

#include <myelon/myelon.h>
#include <stdbool.h>

#define BENCH_NAME 320

struct bench_options;

struct bench_place {
	bool files; /* plain-file rings: names are paths */
	char dir[256];
};

/* 0, or -1 after an error message. */
int bench_place_open(struct bench_place *p, const struct bench_options *o);

/* Removes every ring, after each run: closed rings are gone by themselves, plain files are not. */
void bench_place_clear(const struct bench_place *p);
void bench_place_close(struct bench_place *p);

/* The name to create or attach a ring by. */
const char *bench_place_name(const struct bench_place *p, const char *stem, char buf[BENCH_NAME]);

/* The directories for the library's options; NULL: its default. */
const char *bench_place_shm(const struct bench_place *p);
const char *bench_place_hugetlb(void);

#endif
