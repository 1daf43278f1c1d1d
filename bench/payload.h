/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The content of the messages: a function of (seed, sequence), written in full and read in full,
 * by the subject and by the bare baseline with the same code. Reading is the sum of the 8-byte
 * words, compared with what it must be: one load and one addition per word.
 */
#ifndef MYELON_BENCH_PAYLOAD_H
#define MYELON_BENCH_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_LINE 64u

/* The first word of a message; word i is this + i. */
static inline uint64_t bench_first_word(uint64_t seed, uint64_t sequence)
{
	return (seed + sequence + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

/* @bytes is a multiple of 8, @buf is aligned to 8. */
static inline void bench_fill(void *buf, size_t bytes, uint64_t first)
{
	uint64_t *w = buf;
	size_t n = bytes / 8, i = 0;

	for (; i + 8 <= n; i += 8) {
		w[i] = first + i;
		w[i + 1] = first + i + 1;
		w[i + 2] = first + i + 2;
		w[i + 3] = first + i + 3;
		w[i + 4] = first + i + 4;
		w[i + 5] = first + i + 5;
		w[i + 6] = first + i + 6;
		w[i + 7] = first + i + 7;
	}
	for (; i < n; i++)
		w[i] = first + i;
}

/* True if @buf holds what bench_fill() wrote. */
static inline bool bench_check(const void *buf, size_t bytes, uint64_t first)
{
	const uint64_t *w = buf;
	size_t n = bytes / 8, i = 0;
	uint64_t a = 0, b = 0, c = 0, d = 0;

	for (; i + 8 <= n; i += 8) {
		a += w[i] + w[i + 4];
		b += w[i + 1] + w[i + 5];
		c += w[i + 2] + w[i + 6];
		d += w[i + 3] + w[i + 7];
	}
	for (; i < n; i++)
		a += w[i];
	return a + b + c + d == first * n + (uint64_t)n * (n - 1) / 2;
}

#endif
