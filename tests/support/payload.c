/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "kit.h"

#include <string.h>

#define GOLDEN 0x9e3779b97f4a7c15u

/* splitmix64's finaliser: neighbouring inputs give unrelated outputs. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

void kit_fill(void *buf, size_t len, uint64_t seed, uint64_t sequence)
{
	uint64_t state = mix(seed + GOLDEN) ^ mix(sequence * GOLDEN + 1);
	unsigned char *p = buf;

	for (size_t at = 0; at < len; at += 8) {
		uint64_t word = mix(state += GOLDEN);

		memcpy(p + at, &word, len - at < 8 ? len - at : 8);
	}
}

ssize_t kit_check(const void *buf, size_t len, uint64_t seed, uint64_t sequence)
{
	uint64_t state = mix(seed + GOLDEN) ^ mix(sequence * GOLDEN + 1);
	const unsigned char *p = buf;

	for (size_t at = 0; at < len; at += 8) {
		uint64_t word = mix(state += GOLDEN);
		size_t n = len - at < 8 ? len - at : 8;
		const unsigned char *want = (const unsigned char *)&word;

		if (memcmp(p + at, want, n) == 0)
			continue;
		while (p[at] == *want) {
			at++;
			want++;
		}
		return (ssize_t)at;
	}
	return -1;
}

uint64_t kit_hash(uint64_t hash, const void *buf, size_t len)
{
	const unsigned char *p = buf;

	hash = mix(hash ^ len * GOLDEN);
	for (size_t at = 0; at < len; at += 8) {
		uint64_t word = 0;

		memcpy(&word, p + at, len - at < 8 ? len - at : 8);
		hash = mix((hash + GOLDEN) ^ word);
	}
	return hash;
}
