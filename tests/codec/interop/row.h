/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The rows of the table that matrix.sh prints: format, direction, tool, state. */
#ifndef TESTS_CODEC_INTEROP_ROW_H
#define TESTS_CODEC_INTEROP_ROW_H

/* Row @file of the table. Until row_ok() it says FAILED. One per process, which is one per Criterion test. */
void row_begin(const char *file, const char *format, const char *direction, const char *tool);
void row_ok(const char *note, ...) __attribute__((format(printf, 1, 2)));
/* Writes "skipped" and ends the test so. */
_Noreturn void row_skip(const char *what, const char *why);

#endif
