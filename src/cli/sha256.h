/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* SHA-256 (FIPS 180-4), with the CPU's instructions where it has them. */
#ifndef CLI_SHA256_H
#define CLI_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32
#define SHA256_HEX 65

struct sha256 {
	uint32_t state[8];
	uint64_t bytes;
	unsigned char tail[64]; /* bytes % 64 of them wait for a whole block */
	void (*blocks)(uint32_t state[8], const unsigned char *data, size_t n);
};

void sha256_init(struct sha256 *s);
/* The same without special instructions. */
void sha256_init_portable(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *data, size_t bytes);
void sha256_final(struct sha256 *s, unsigned char sum[SHA256_BYTES]);
/* final, as lower-case hexadecimal text */
void sha256_final_hex(struct sha256 *s, char hex[SHA256_HEX]);

bool sha256_accelerated(void);

#endif
