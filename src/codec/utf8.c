/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "codec/utf8.h"

#include <string.h>

#define HIGH_BITS 0x8080808080808080ull

uint32_t mye_utf8_width(uint8_t first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2)
		return 0;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

/* The memory may be shared: each byte is looked at once here, and the result is made of what was seen. */
uint32_t mye_utf8_get(const unsigned char *data, size_t len, uint32_t *c)
{
	static const uint8_t first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint8_t first = len ? __atomic_load_n(data, __ATOMIC_RELAXED) : 0xff;
	uint32_t width = mye_utf8_width(first), value;

	if (width == 0 || width > len)
		return 0;
	value = first & first_bits[width];
	for (uint32_t i = 1; i < width; i++) {
		uint8_t next = __atomic_load_n(data + i, __ATOMIC_RELAXED);

		if ((next & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (next & 0x3f);
	}
	if (!mye_utf8_is_scalar(value) || mye_utf8_size(value) != width)
		return 0;
	*c = value;
	return width;
}

/* Fewer than 8 bytes, of which most strings have some. */
static size_t ascii_tail(const unsigned char *at, size_t len)
{
	uint8_t seen = 0;

	for (size_t i = 0; i < len; i++)
		seen |= __atomic_load_n(at + i, __ATOMIC_RELAXED);
	return seen < 0x80 ? len : 0;
}

static size_t ascii(const unsigned char *at, size_t len)
{
	size_t n = 0;
	uint64_t word;

	for (; len - n >= sizeof(word); n += sizeof(word)) {
		memcpy(&word, at + n, sizeof(word));
		if (word & HIGH_BITS)
			return n;
	}
	return n + ascii_tail(at + n, len - n);
}

size_t mye_utf8_good(const void *data, size_t len)
{
	const unsigned char *at = data;
	size_t n = 0;
	uint32_t width, c;

	while (n < len) {
		n += ascii(at + n, len - n);
		for (int i = 0; i < 8 && n < len; i++) {
			width = mye_utf8_get(at + n, len - n, &c);
			if (width == 0)
				return n;
			n += width;
		}
	}
	return n;
}

uint32_t mye_utf8_put(unsigned char *to, uint32_t c)
{
	static const uint8_t first_marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
	uint32_t width = mye_utf8_size(c);

	for (uint32_t i = width - 1; i > 0; i--, c >>= 6)
		to[i] = (unsigned char)(0x80 | (c & 0x3f));
	to[0] = (unsigned char)(first_marks[width] | c);
	return width;
}
