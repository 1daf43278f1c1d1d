/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Pieces of sentences. */
#ifndef MYE_BASE_TEXT_H
#define MYE_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* "2 MiB", "1.5 GiB", "700 bytes". */
struct mye_bytes_text {
	char text[32];
};
struct mye_bytes_text mye_bytes_text(uint64_t bytes);

/* Append to a NUL-terminated string; cut at @p cap. */
void mye_append(char *buf, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
