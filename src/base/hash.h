/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* FNV-1a, 64 bits: finds accidents, not attacks. */
#ifndef MYE_BASE_HASH_H
#define MYE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MYE_HASH_BEGIN 0xcbf29ce484222325ull

static inline uint64_t mye_hash_bytes(uint64_t h, const void *data, size_t n)
{
	const unsigned char *c = data;

	for (size_t i = 0; i < n; i++)
		h = (h ^ c[i]) * 0x100000001b3ull;
	return h;
}

/* With its end, so that "ab" "c" is not "a" "bc". */
static inline uint64_t mye_hash_text(uint64_t h, const char *text)
{
	return mye_hash_bytes(h, text, strlen(text) + 1);
}

/* In the same byte order everywhere. */
static inline uint64_t mye_hash_number(uint64_t h, uint64_t n)
{
	unsigned char c[8];

	for (int i = 0; i < 8; i++)
		c[i] = (unsigned char)(n >> 8 * i);
	return mye_hash_bytes(h, c, sizeof(c));
}

#endif
