/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <string.h>

#include "sha256.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static const uint32_t K[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2};

static uint32_t rotr(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static uint32_t load_be(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void store_be(unsigned char *p, uint32_t x)
{
	p[0] = (unsigned char)(x >> 24);
	p[1] = (unsigned char)(x >> 16);
	p[2] = (unsigned char)(x >> 8);
	p[3] = (unsigned char)x;
}

static void schedule(uint32_t w[64], const unsigned char *data)
{
	for (int t = 0; t < 16; t++)
		w[t] = load_be(data + 4 * t);
	for (int t = 16; t < 64; t++) {
		uint32_t s0 = rotr(w[t - 15], 7) ^ rotr(w[t - 15], 18) ^ w[t - 15] >> 3;
		uint32_t s1 = rotr(w[t - 2], 17) ^ rotr(w[t - 2], 19) ^ w[t - 2] >> 10;

		w[t] = w[t - 16] + s0 + w[t - 7] + s1;
	}
}

/* The eight working variables stay where they are; the round number says which is which. */
#define VAR(letter) v[((letter)-t) & 7]

static void blocks_portable(uint32_t state[8], const unsigned char *data, size_t n)
{
	enum { A, B, C, D, E, F, G, H };

	for (; n > 0; n--, data += 64) {
		uint32_t w[64], v[8];

		schedule(w, data);
		memcpy(v, state, sizeof(v));
#pragma GCC unroll 64
		for (int t = 0; t < 64; t++) {
			uint32_t a = VAR(A), e = VAR(E);
			uint32_t t1 = VAR(H) + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) +
			              ((e & VAR(F)) ^ (~e & VAR(G))) + K[t] + w[t];
			uint32_t t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) +
			              ((a & VAR(B)) ^ (a & VAR(C)) ^ (VAR(B) & VAR(C)));

			VAR(D) += t1;
			VAR(H) = t1 + t2;
		}
		for (int i = 0; i < 8; i++)
			state[i] += v[i];
	}
}

#undef VAR

#if defined(__x86_64__)

/*
 * The instructions want the state as two vectors, ABEF and CDGH, and do two rounds at a time.
 * m[] holds the last 16 words of the schedule, four to a vector.
 */
__attribute__((target("sha,sse4.1"))) static void blocks_sha_ni(uint32_t state[8],
                                                                const unsigned char *data, size_t n)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
	__m128i dcba = _mm_loadu_si128((const __m128i *)(const void *)&state[0]);
	__m128i hgfe = _mm_loadu_si128((const __m128i *)(const void *)&state[4]);
	__m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);
	__m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
	__m128i feba, dchg;

	for (; n > 0; n--, data += 64) {
		const __m128i abef_before = abef, cdgh_before = cdgh;
		__m128i m[4], k;

#pragma GCC unroll 16
		for (int i = 0; i < 16; i++) {
			if (i < 4) {
				m[i] = _mm_loadu_si128(
					(const __m128i *)(const void *)(data + 16 * i));
				m[i] = _mm_shuffle_epi8(m[i], swap);
			} else {
				__m128i *x = &m[i & 3];
				const __m128i x1 = m[(i + 1) & 3], x2 = m[(i + 2) & 3],
					      x3 = m[(i + 3) & 3];

				*x = _mm_add_epi32(_mm_sha256msg1_epu32(*x, x1),
				                   _mm_alignr_epi8(x3, x2, 4));
				*x = _mm_sha256msg2_epu32(*x, x3);
			}
			k = _mm_loadu_si128((const __m128i *)(const void *)&K[4 * i]);
			k = _mm_add_epi32(m[i & 3], k);
			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, k);
			abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(k, 0x0e));
		}
		abef = _mm_add_epi32(abef, abef_before);
		cdgh = _mm_add_epi32(cdgh, cdgh_before);
	}
	feba = _mm_shuffle_epi32(abef, 0x1b);
	dchg = _mm_shuffle_epi32(cdgh, 0xb1);
	_mm_storeu_si128((__m128i *)(void *)&state[0], _mm_blend_epi16(feba, dchg, 0xf0));
	_mm_storeu_si128((__m128i *)(void *)&state[4], _mm_alignr_epi8(dchg, feba, 8));
}

bool sha256_accelerated(void)
{
	unsigned a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1))
		return false;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 29);
}

#else

bool sha256_accelerated(void)
{
	return false;
}

#endif

void sha256_init_portable(struct sha256 *s)
{
	memcpy(s->state, initial, sizeof(s->state));
	s->bytes = 0;
	s->blocks = blocks_portable;
}

void sha256_init(struct sha256 *s)
{
	sha256_init_portable(s);
#if defined(__x86_64__)
	if (sha256_accelerated())
		s->blocks = blocks_sha_ni;
#endif
}

void sha256_update(struct sha256 *s, const void *data, size_t bytes)
{
	const unsigned char *p = data;
	size_t held = s->bytes % 64;

	s->bytes += bytes;
	if (held > 0 && bytes > 0) {
		size_t n = bytes < 64 - held ? bytes : 64 - held;

		memcpy(s->tail + held, p, n);
		p += n;
		bytes -= n;
		if (held + n < 64)
			return;
		s->blocks(s->state, s->tail, 1);
	}
	if (bytes >= 64)
		s->blocks(s->state, p, bytes / 64);
	if (bytes % 64 > 0)
		memcpy(s->tail, p + (bytes - bytes % 64), bytes % 64);
}

void sha256_final(struct sha256 *s, unsigned char sum[SHA256_BYTES])
{
	unsigned char last[128] = {0};
	size_t held = s->bytes % 64, size = held < 56 ? 64 : 128;
	uint64_t bits = s->bytes * 8;

	memcpy(last, s->tail, held);
	last[held] = 0x80;
	store_be(last + size - 8, (uint32_t)(bits >> 32));
	store_be(last + size - 4, (uint32_t)bits);
	s->blocks(s->state, last, size / 64);
	for (int i = 0; i < 8; i++)
		store_be(sum + 4 * i, s->state[i]);
}

void sha256_final_hex(struct sha256 *s, char hex[SHA256_HEX])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char sum[SHA256_BYTES];

	sha256_final(s, sum);
	for (int i = 0; i < SHA256_BYTES; i++) {
		hex[2 * i] = digits[sum[i] >> 4];
		hex[2 * i + 1] = digits[sum[i] & 15];
	}
	hex[2 * SHA256_BYTES] = '\0';
}
