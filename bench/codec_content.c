/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "codec_content.h"
#include "crew.h"

#include <stdlib.h>

static const struct myelon_type tokens16 = MYELON_ARRAY_OF(&myelon_u32, uint32_t, 16);
static const struct myelon_type logits120 = MYELON_ARRAY_OF(&myelon_f32, float, 120);
static const struct myelon_field record_fields[] = {
	MYELON_FIELD(struct bench_record, id, &myelon_u64),
	MYELON_FIELD(struct bench_record, position, &myelon_u32),
	MYELON_FIELD(struct bench_record, count, &myelon_u32),
	MYELON_FIELD(struct bench_record, temperature, &myelon_f32),
	MYELON_FIELD(struct bench_record, top_p, &myelon_f32),
	MYELON_FIELD(struct bench_record, top_k, &myelon_u32),
	MYELON_FIELD(struct bench_record, flags, &myelon_u32),
	MYELON_FIELD(struct bench_record, tokens, &tokens16),
	MYELON_FIELD(struct bench_record, logits, &logits120),
};
static const struct myelon_type record = MYELON_FIXED_STRUCT(struct bench_record, record_fields);

static const struct myelon_type tokens = MYELON_VECTOR_OF(&myelon_u32);
static const struct myelon_type logits = MYELON_VECTOR_OF(&myelon_f32);
static const struct myelon_type stops = MYELON_VECTOR_OF(&myelon_string);
static const struct myelon_type maybe_f32 = MYELON_OPTION_OF(&myelon_f32, struct bench_maybe_f32);
static const struct myelon_type maybe_u32 = MYELON_OPTION_OF(&myelon_u32, struct bench_maybe_u32);
static const struct myelon_field request_fields[] = {
	[REQUEST_ID] = MYELON_FIELD(struct bench_request, id, &myelon_u64),
	[REQUEST_TENANT] = MYELON_FIELD(struct bench_request, tenant, &myelon_string),
	[REQUEST_TOKENS] = MYELON_FIELD(struct bench_request, tokens, &tokens),
	[REQUEST_TEMPERATURE] = MYELON_FIELD(struct bench_request, temperature, &maybe_f32),
	[REQUEST_TOP_P] = MYELON_FIELD(struct bench_request, top_p, &maybe_f32),
	[REQUEST_TOP_K] = MYELON_FIELD(struct bench_request, top_k, &maybe_u32),
	[REQUEST_STOPS] = MYELON_FIELD(struct bench_request, stops, &stops),
	[REQUEST_LOGITS] = MYELON_FIELD(struct bench_request, logits, &logits),
};
static const struct myelon_type request = MYELON_STRUCT(struct bench_request, request_fields);

static const struct myelon_type records = MYELON_VECTOR_OF(&record);
static const struct myelon_type requests = MYELON_VECTOR_OF(&request);
static const struct myelon_field record_batch_fields[] = {
	[BATCH_STEP] = MYELON_FIELD(struct bench_batch, step, &myelon_u64),
	[BATCH_ITEMS] = MYELON_FIELD(struct bench_batch, items, &records),
};
static const struct myelon_field request_batch_fields[] = {
	[BATCH_STEP] = MYELON_FIELD(struct bench_batch, step, &myelon_u64),
	[BATCH_ITEMS] = MYELON_FIELD(struct bench_batch, items, &requests),
};
const struct myelon_type bench_records_type =
	MYELON_STRUCT(struct bench_batch, record_batch_fields);
const struct myelon_type bench_tokens_type =
	MYELON_STRUCT(struct bench_batch, request_batch_fields);

static uint32_t random_below(uint64_t *state, uint32_t n)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((x ^ x >> 31) >> 32) % n;
}

static float random_f32(uint64_t *state)
{
	return (float)random_below(state, 100000) / 1000;
}

/* What a request points to is at most this; on average a request has about the bytes of a record. */
enum { TOKENS = 160, LOGITS = 80, TENANT = 40, STOPS = 3, STOP = 16 };
#define POINTED_TO                                                                                 \
	(TOKENS * sizeof(uint32_t) + LOGITS * sizeof(float) + TENANT +                             \
	 STOPS * (sizeof(struct myelon_text) + STOP) + 64)
#define FEW 16u /* items; more of them do not fit into caches many times */

/* The next @bytes behind each other, as one would lay them out. */
static void *take(unsigned char **at, size_t bytes)
{
	unsigned char *p = *at;

	*at += (bytes + 7) / 8 * 8;
	return p;
}

static struct myelon_text make_text(uint64_t *state, unsigned char **at, size_t len)
{
	char *to = take(at, len);

	for (size_t i = 0; i < len; i++)
		to[i] = (char)('a' + random_below(state, 26));
	return (struct myelon_text){to, len};
}

static struct myelon_vector make_tokens(uint64_t *state, unsigned char **at, size_t count)
{
	uint32_t *to = take(at, count * sizeof(*to));

	for (size_t i = 0; i < count; i++)
		to[i] = random_below(state, 128000);
	return (struct myelon_vector){to, count};
}

static struct myelon_vector make_logits(uint64_t *state, unsigned char **at, size_t count)
{
	float *to = take(at, count * sizeof(*to));

	for (size_t i = 0; i < count; i++)
		to[i] = random_f32(state);
	return (struct myelon_vector){to, count};
}

static struct myelon_vector make_stops(uint64_t *state, unsigned char **at, size_t count)
{
	struct myelon_text *to = take(at, count * sizeof(*to));

	for (size_t i = 0; i < count; i++)
		to[i] = make_text(state, at, 1 + random_below(state, STOP));
	return (struct myelon_vector){to, count};
}

static void fill_record(struct bench_record *r, uint64_t *state)
{
	r->position = random_below(state, 4096);
	r->count = 16;
	r->temperature = random_f32(state);
	r->top_p = random_f32(state);
	r->top_k = random_below(state, 100);
	r->flags = random_below(state, 16);
	for (size_t i = 0; i < 16; i++)
		r->tokens[i] = random_below(state, 128000);
	for (size_t i = 0; i < 120; i++)
		r->logits[i] = random_f32(state);
}

static void fill_request(struct bench_request *r, unsigned char **at, uint64_t *state)
{
	r->tenant = make_text(state, at, 4 + random_below(state, TENANT - 3));
	r->tokens = make_tokens(state, at, 1 + random_below(state, TOKENS));
	r->temperature.present = random_below(state, 2);
	r->temperature.value = r->temperature.present ? random_f32(state) : 0;
	r->top_p.present = random_below(state, 2);
	r->top_p.value = r->top_p.present ? random_f32(state) : 0;
	r->top_k.present = random_below(state, 2);
	r->top_k.value = r->top_k.present ? random_below(state, 100) : 0;
	r->stops = make_stops(state, at, random_below(state, STOPS + 1));
	r->logits = make_logits(state, at, 8 + random_below(state, LOGITS - 7));
}

static int fill_batch(struct bench_content *c, uint32_t k)
{
	size_t each = c->shape == BENCH_RECORDS ? sizeof(struct bench_record)
	                                        : sizeof(struct bench_request) + POINTED_TO;
	uint64_t state = (uint64_t)k << 32 | c->items;
	void *memory = calloc(c->items, each);
	struct bench_record *r = memory;
	struct bench_request *q = memory;
	unsigned char *at = (unsigned char *)(q + c->items);

	c->memory[k] = memory;
	if (!memory)
		return bench_error("out of memory");
	for (uint32_t i = 0; i < c->items; i++) {
		if (c->shape == BENCH_RECORDS) {
			fill_record(&r[i], &state);
			r[i].id = i;
		} else {
			fill_request(&q[i], &at, &state);
			q[i].id = i;
		}
	}
	c->batch[k].items = (struct myelon_vector){memory, c->items};
	c->sum[k] = bench_content_read(c, &c->batch[k]);
	return 0;
}

int bench_content_open(struct bench_content *c, enum bench_shape shape, bool line, uint32_t items)
{
	memset(c, 0, sizeof(*c));
	c->shape = shape;
	c->line = line;
	c->items = items;
	c->variants = shape == BENCH_RECORDS ? 1 : items < FEW ? BENCH_VARIANTS : 2;
	for (uint32_t k = 0; k < c->variants; k++)
		if (fill_batch(c, k) < 0)
			return -1;
	return 0;
}

void bench_content_close(struct bench_content *c)
{
	for (uint32_t k = 0; k < c->variants; k++)
		free(c->memory[k]);
	memset(c, 0, sizeof(*c));
}

const struct bench_batch *bench_content_next(struct bench_content *c, uint64_t seq)
{
	struct bench_batch *b = &c->batch[seq % c->variants];

	b->step = seq;
	/* The id comes first in both. */
	memcpy(c->memory[seq % c->variants], &seq, sizeof(seq));
	return b;
}

static uint64_t sum_request(const struct bench_request *r)
{
	const struct myelon_text *stop = r->stops.data;
	uint64_t sum = r->id;

	sum += bench_sum(r->tenant.data, r->tenant.len);
	sum += bench_sum(r->tokens.data, r->tokens.count * sizeof(uint32_t));
	if (r->temperature.present)
		sum += bench_sum_f32(r->temperature.value);
	if (r->top_p.present)
		sum += bench_sum_f32(r->top_p.value);
	if (r->top_k.present)
		sum += r->top_k.value;
	for (size_t i = 0; i < r->stops.count; i++)
		sum += bench_sum(stop[i].data, stop[i].len);
	return sum + bench_sum(r->logits.data, r->logits.count * sizeof(float));
}

uint64_t bench_content_read(const struct bench_content *c, const struct bench_batch *batch)
{
	const struct bench_request *q = batch->items.data;
	uint64_t sum = batch->step;

	if (c->shape == BENCH_RECORDS)
		return sum + bench_sum_records(q, batch->items.count, c->line);
	for (size_t i = 0; i < batch->items.count; i++)
		sum += c->line ? q[i].id : sum_request(&q[i]);
	return sum;
}
