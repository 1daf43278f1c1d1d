/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "codec_format.h"

static int make_pod(struct myelon_codec **out, const struct myelon_type *type)
{
	(void)type;
	return myelon_codec_pod(out, &MYELON_POD_OPTS(.record = sizeof(struct bench_record),
	                                              .align = 8, .name = "bench_record"));
}

static uint64_t pod_records(const struct myelon_inside *in, bool line)
{
	return bench_sum_records(in->root, in->len / sizeof(struct bench_record), line);
}

static int make_fixed(struct myelon_codec **out, const struct myelon_type *type)
{
	return myelon_codec_bincode(out, type, NULL);
}

static int make_varint(struct myelon_codec **out, const struct myelon_type *type)
{
	return myelon_codec_bincode(out, type,
	                            &MYELON_BINCODE_OPTS(.encoding = MYELON_BINCODE_VARINT));
}

static int make_rkyv(struct myelon_codec **out, const struct myelon_type *type)
{
	return myelon_codec_rkyv(out, type, NULL);
}

static uint64_t rkyv_records(const struct myelon_inside *in, bool line)
{
	struct myelon_rkyv batch = myelon_rkyv_root(in);
	struct myelon_vector records = myelon_rkyv_run(myelon_rkyv_field(batch, BATCH_ITEMS));

	return myelon_rkyv_u64(myelon_rkyv_field(batch, BATCH_STEP)) +
	       bench_sum_records(records.data, records.count, line);
}

static uint64_t rkyv_text(struct myelon_rkyv v)
{
	struct myelon_text text = myelon_rkyv_text(v);

	return bench_sum(text.data, text.len);
}

/* Of 4-byte numbers. */
static uint64_t rkyv_run(struct myelon_rkyv v)
{
	struct myelon_vector run = myelon_rkyv_run(v);

	return bench_sum(run.data, run.count * 4);
}

static uint64_t rkyv_request(struct myelon_rkyv r)
{
	struct myelon_rkyv_list stops = myelon_rkyv_list(myelon_rkyv_field(r, REQUEST_STOPS));
	uint64_t sum = myelon_rkyv_u64(myelon_rkyv_field(r, REQUEST_ID));

	sum += rkyv_text(myelon_rkyv_field(r, REQUEST_TENANT));
	sum += rkyv_run(myelon_rkyv_field(r, REQUEST_TOKENS));
	/* An option that is missing is nothing, and nothing is 0. */
	sum += bench_sum_f32(
		myelon_rkyv_f32(myelon_rkyv_some(myelon_rkyv_field(r, REQUEST_TEMPERATURE))));
	sum += bench_sum_f32(
		myelon_rkyv_f32(myelon_rkyv_some(myelon_rkyv_field(r, REQUEST_TOP_P))));
	sum += myelon_rkyv_u32(myelon_rkyv_some(myelon_rkyv_field(r, REQUEST_TOP_K)));
	for (uint32_t i = 0; i < stops.count; i++)
		sum += rkyv_text(myelon_rkyv_at(&stops, i));
	return sum + rkyv_run(myelon_rkyv_field(r, REQUEST_LOGITS));
}

static uint64_t rkyv_tokens(const struct myelon_inside *in, bool line)
{
	struct myelon_rkyv batch = myelon_rkyv_root(in);
	struct myelon_rkyv_list requests = myelon_rkyv_list(myelon_rkyv_field(batch, BATCH_ITEMS));
	uint64_t sum = myelon_rkyv_u64(myelon_rkyv_field(batch, BATCH_STEP));

	for (uint32_t i = 0; i < requests.count; i++) {
		struct myelon_rkyv r = myelon_rkyv_at(&requests, i);

		sum += line ? myelon_rkyv_u64(myelon_rkyv_field(r, REQUEST_ID)) : rkyv_request(r);
	}
	return sum;
}

static int make_flat(struct myelon_codec **out, const struct myelon_type *type)
{
	return myelon_codec_flatbuffers(out, type, NULL);
}

static uint64_t flat_records(const struct myelon_inside *in, bool line)
{
	struct myelon_flat_table batch = myelon_flat_root(in->data, in->len);
	struct myelon_flat_vector records =
		myelon_flat_get_vector(&batch, BATCH_ITEMS, sizeof(struct bench_record), 8);

	return myelon_flat_get_u64(&batch, BATCH_STEP, 0) +
	       bench_sum_records(records.data, records.count, line);
}

static uint64_t flat_text(struct myelon_text text)
{
	return bench_sum(text.data, text.len);
}

static uint64_t flat_run(const struct myelon_flat_table *t, uint32_t field)
{
	struct myelon_flat_vector run = myelon_flat_get_vector(t, field, 4, 4);

	return bench_sum(run.data, (size_t)run.count * 4);
}

static uint64_t flat_request(const struct myelon_flat_table *r)
{
	struct myelon_flat_vector stops = myelon_flat_get_vector(r, REQUEST_STOPS, 4, 4);
	uint64_t sum = myelon_flat_get_u64(r, REQUEST_ID, 0);

	sum += flat_text(myelon_flat_get_text(r, REQUEST_TENANT));
	sum += flat_run(r, REQUEST_TOKENS);
	sum += bench_sum_f32(myelon_flat_get_f32(r, REQUEST_TEMPERATURE, 0));
	sum += bench_sum_f32(myelon_flat_get_f32(r, REQUEST_TOP_P, 0));
	sum += myelon_flat_get_u32(r, REQUEST_TOP_K, 0);
	for (uint32_t i = 0; i < stops.count; i++)
		sum += flat_text(myelon_flat_text_of(&stops, i));
	return sum + flat_run(r, REQUEST_LOGITS);
}

static uint64_t flat_tokens(const struct myelon_inside *in, bool line)
{
	struct myelon_flat_table batch = myelon_flat_root(in->data, in->len);
	struct myelon_flat_vector requests = myelon_flat_get_vector(&batch, BATCH_ITEMS, 4, 4);
	uint64_t sum = myelon_flat_get_u64(&batch, BATCH_STEP, 0);

	for (uint32_t i = 0; i < requests.count; i++) {
		struct myelon_flat_table r = myelon_flat_table_of(&requests, i);

		sum += line ? myelon_flat_get_u64(&r, REQUEST_ID, 0) : flat_request(&r);
	}
	return sum;
}

static int make_msgpack(struct myelon_codec **out, const struct myelon_type *type)
{
	return myelon_codec_msgpack(out, type, NULL);
}

const struct bench_format bench_formats[BENCH_FORMATS] = {
	{.name = "pod", .make = make_pod, .records = pod_records, .bare = true},
	{.name = "bincode", .make = make_fixed},
	{.name = "bincode-varint", .make = make_varint},
	{.name = "rkyv", .make = make_rkyv, .records = rkyv_records, .tokens = rkyv_tokens},
	{.name = "flatbuffers", .make = make_flat, .records = flat_records, .tokens = flat_tokens},
	{.name = "msgpack", .make = make_msgpack},
};
