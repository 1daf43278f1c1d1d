/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The messages of `myelon bench codec`: batches of records that are all alike, or of requests of any size. The
 * same random numbers in each run.
 *
 * Reading is adding up 8-byte words, as in payload.h: of each run of numbers and each text by itself, the last
 * word filled up with zeros; single numbers as they are. The sum says whether all came.
 */
#ifndef MYELON_BENCH_CODEC_CONTENT_H
#define MYELON_BENCH_CODEC_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <myelon/myelon.h>

enum bench_shape { BENCH_RECORDS, BENCH_TOKENS };

struct bench_record {
	uint64_t id;
	uint32_t position, count;
	float temperature, top_p;
	uint32_t top_k, flags;
	uint32_t tokens[16];
	float logits[120];
};

struct bench_maybe_f32 {
	bool present;
	float value;
};

struct bench_maybe_u32 {
	bool present;
	uint32_t value;
};

struct bench_request {
	uint64_t id;
	struct myelon_text tenant;
	struct myelon_vector tokens; /* of uint32_t */
	struct bench_maybe_f32 temperature;
	struct bench_maybe_f32 top_p;
	struct bench_maybe_u32 top_k;
	struct myelon_vector stops;  /* of struct myelon_text */
	struct myelon_vector logits; /* of float */
};

struct bench_batch {
	uint64_t step;
	struct myelon_vector items;
};

/* In the order of the descriptions, for accessors. */
enum { BATCH_STEP, BATCH_ITEMS };
enum {
	REQUEST_ID,
	REQUEST_TENANT,
	REQUEST_TOKENS,
	REQUEST_TEMPERATURE,
	REQUEST_TOP_P,
	REQUEST_TOP_K,
	REQUEST_STOPS,
	REQUEST_LOGITS,
};

extern const struct myelon_type bench_records_type, bench_tokens_type; /* of a batch */

#define BENCH_VARIANTS 8u /* batches of requests that are sent in turn, at most */

struct bench_content {
	enum bench_shape shape;
	bool line;      /* only the id of each is read */
	uint32_t items; /* in each batch */
	uint32_t variants;
	struct bench_batch batch[BENCH_VARIANTS];
	uint64_t sum[BENCH_VARIANTS]; /* of what is read, if step and the first id are 0 */
	void *memory[BENCH_VARIANTS];
};

/* 0, or -1 after an error message. Close it in any case. */
int bench_content_open(struct bench_content *c, enum bench_shape shape, bool line, uint32_t items);
void bench_content_close(struct bench_content *c);

/* The batch to send as number @seq, which it carries as the step and the first id. */
const struct bench_batch *bench_content_next(struct bench_content *c, uint64_t seq);

/* The sum of a batch as an object of C. */
uint64_t bench_content_read(const struct bench_content *c, const struct bench_batch *batch);

static inline uint64_t bench_sum(const void *data, size_t bytes)
{
	const unsigned char *p = data;
	size_t n = bytes / 8, i = 0;
	uint64_t w[4], a = 0, b = 0, c = 0, d = 0, last = 0;

	for (; i + 4 <= n; i += 4) {
		memcpy(w, p + 8 * i, sizeof(w));
		a += w[0];
		b += w[1];
		c += w[2];
		d += w[3];
	}
	for (; i < n; i++) {
		memcpy(w, p + 8 * i, sizeof(w[0]));
		a += w[0];
	}
	if (bytes % 8)
		memcpy(&last, p + 8 * n, bytes % 8);
	return a + b + c + d + last;
}

static inline uint64_t bench_sum_f32(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

/* @count records where they lie. */
static inline uint64_t bench_sum_records(const void *records, size_t count, bool line)
{
	const struct bench_record *r = records;
	uint64_t sum = 0;

	if (!line)
		return bench_sum(records, count * sizeof(*r));
	for (size_t i = 0; i < count; i++)
		sum += r[i].id;
	return sum;
}

#endif
