/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Runs of numbers between C arrays and bytes. Errors as in bincode_bytes.h. */
#ifndef MYE_CODEC_BINCODE_RUN_H
#define MYE_CODEC_BINCODE_RUN_H

#include "codec/bincode_bytes.h"
#include "codec/bincode_plan.h"

/* Those that run below; the others are taken one by one. */
static inline bool mye_bin_runs(enum mye_bin_op op)
{
	return op == MYE_BIN_RAW || op == MYE_BIN_UINT || op == MYE_BIN_INT;
}

/* @size bytes of a C value. */
int mye_bin_put_run(struct myelon_bincode_writer *w, enum mye_bin_op op, uint32_t size,
                    const unsigned char *from, size_t count);

/* *done: elements that were taken, also on failure. */
int mye_bin_get_run(struct myelon_bincode_reader *r, enum mye_bin_op op, uint32_t size,
                    unsigned char *to, size_t count, size_t *done);

/* Bytes that put_run will write; UINT and INT. */
uint64_t mye_bin_run_size(uint32_t encoding, enum mye_bin_op op, uint32_t size,
                          const unsigned char *from, size_t count);

/* The number at @from, as it is in C. */
static inline uint64_t mye_bin_uint_at(const unsigned char *from, uint32_t size)
{
	uint16_t two;
	uint32_t four;
	uint64_t n;

	switch (size) {
	case 2:
		memcpy(&two, from, sizeof(two));
		return two;
	case 4:
		memcpy(&four, from, sizeof(four));
		return four;
	default:
		memcpy(&n, from, sizeof(n));
		return n;
	}
}

static inline int64_t mye_bin_int_at(const unsigned char *from, uint32_t size)
{
	return (int64_t)(mye_bin_uint_at(from, size) << (64 - 8 * size)) >> (64 - 8 * size);
}

#endif
