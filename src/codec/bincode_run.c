/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "codec/bincode_run.h"

/* The loops are compiled once for each width, with a copy of the state that no store to the data can touch. */
#define FOR_EACH_WIDTH(loop, size, ...)                                                            \
	((size) == 2   ? loop(__VA_ARGS__, 2)                                                      \
	 : (size) == 4 ? loop(__VA_ARGS__, 4)                                                      \
	               : loop(__VA_ARGS__, 8))
#define PER_WIDTH static inline __attribute__((always_inline))
/* Everything inline: a call per number would cost more than the number. */
#define RUN __attribute__((flatten))

PER_WIDTH int put_uints(struct myelon_bincode_writer *w, const unsigned char *from, size_t count,
                        uint32_t size)
{
	struct myelon_bincode_writer own = *w;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = mye_bin_put_uint(&own, mye_bin_uint_at(from + i * size, size), size);
	w->at = own.at;
	return rc;
}

PER_WIDTH int put_ints(struct myelon_bincode_writer *w, const unsigned char *from, size_t count,
                       uint32_t size)
{
	struct myelon_bincode_writer own = *w;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = mye_bin_put_int(&own, mye_bin_int_at(from + i * size, size), size);
	w->at = own.at;
	return rc;
}

RUN int mye_bin_put_run(struct myelon_bincode_writer *w, enum mye_bin_op op, uint32_t size,
                        const unsigned char *from, size_t count)
{
	size_t bytes;

	if (op == MYE_BIN_UINT)
		return FOR_EACH_WIDTH(put_uints, size, w, from, count);
	if (op == MYE_BIN_INT)
		return FOR_EACH_WIDTH(put_ints, size, w, from, count);
	if (__builtin_mul_overflow(count, size, &bytes))
		return -EMSGSIZE;
	return mye_bin_put_raw(w, from, bytes);
}

PER_WIDTH int get_uints(struct myelon_bincode_reader *r, unsigned char *to, size_t count,
                        size_t *done, uint32_t size)
{
	struct myelon_bincode_reader own = *r;
	size_t i = 0;
	uint64_t n;
	int rc = 0;

	for (; i < count; i++) {
		rc = mye_bin_get_uint(&own, size, &n);
		if (rc < 0)
			break;
		mye_bin_store(to + i * size, n, size);
	}
	*done = i;
	*r = own;
	return rc;
}

PER_WIDTH int get_ints(struct myelon_bincode_reader *r, unsigned char *to, size_t count,
                       size_t *done, uint32_t size)
{
	struct myelon_bincode_reader own = *r;
	size_t i = 0;
	int64_t n;
	int rc = 0;

	for (; i < count; i++) {
		rc = mye_bin_get_int(&own, size, &n);
		if (rc < 0)
			break;
		mye_bin_store(to + i * size, (uint64_t)n, size);
	}
	*done = i;
	*r = own;
	return rc;
}

RUN int mye_bin_get_run(struct myelon_bincode_reader *r, enum mye_bin_op op, uint32_t size,
                        unsigned char *to, size_t count, size_t *done)
{
	size_t bytes, whole;

	if (op == MYE_BIN_UINT)
		return FOR_EACH_WIDTH(get_uints, size, r, to, count, done);
	if (op == MYE_BIN_INT)
		return FOR_EACH_WIDTH(get_ints, size, r, to, count, done);
	whole = size ? mye_bin_left(r) / size : count;
	*done = count < whole ? count : whole;
	if (*done < count) {
		r->at += *done * size;
		return mye_bin_bad(r, MYE_BIN_SHORT, 0, size);
	}
	bytes = count * size;
	return mye_bin_get_raw(r, to, bytes);
}

PER_WIDTH uint64_t size_of_uints(uint32_t encoding, const unsigned char *from, size_t count,
                                 uint32_t size)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += mye_bin_size(encoding, mye_bin_uint_at(from + i * size, size), size);
	return bytes;
}

PER_WIDTH uint64_t size_of_ints(uint32_t encoding, const unsigned char *from, size_t count,
                                uint32_t size)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += mye_bin_size(encoding,
		                      mye_bin_zigzag(mye_bin_int_at(from + i * size, size)), size);
	return bytes;
}

uint64_t mye_bin_run_size(uint32_t encoding, enum mye_bin_op op, uint32_t size,
                          const unsigned char *from, size_t count)
{
	if (op == MYE_BIN_UINT)
		return FOR_EACH_WIDTH(size_of_uints, size, encoding, from, count);
	return FOR_EACH_WIDTH(size_of_ints, size, encoding, from, count);
}
