/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* UTF-8 as the Unicode standard has it: no surrogates, nothing beyond U+10FFFF, nothing longer than it must be. */
#ifndef MYE_CODEC_UTF8_H
#define MYE_CODEC_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MYE_UTF8_MAX 4u

/* Bytes from the first on that are whole characters; @len: all of them. @data NULL is allowed if @len is 0. */
size_t mye_utf8_good(const void *data, size_t len);

/* Bytes of the character that begins with @first: 1 to 4; 0: none begins so. */
uint32_t mye_utf8_width(uint8_t first);

/* Take one character from @len bytes. @return its bytes; 0: it is none, or it is cut off. */
uint32_t mye_utf8_get(const unsigned char *data, size_t len, uint32_t *c);

/* A Unicode scalar value: what has a UTF-8 form. */
static inline bool mye_utf8_is_scalar(uint32_t c)
{
	return c < 0xd800 || (c > 0xdfff && c <= 0x10ffff);
}

/* Bytes of the scalar value @c. */
static inline uint32_t mye_utf8_size(uint32_t c)
{
	return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

/* Write the scalar value @c. @return mye_utf8_size(c). */
uint32_t mye_utf8_put(unsigned char *to, uint32_t c);

#endif
