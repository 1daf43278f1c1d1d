/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Counts what the process takes from the heap: the command's own malloc() and its kin, which pass each call on to
 * the C library (glibc), or a hook of the sanitizer.
 */
#ifndef MYELON_BENCH_ALLOC_H
#define MYELON_BENCH_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

/* False where there is no way to count. */
bool bench_alloc_counted(void);

/* Calls so far that asked for memory, by all threads, wherever they came from. */
uint64_t bench_alloc_count(void);

#endif
