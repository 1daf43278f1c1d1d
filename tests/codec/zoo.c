/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "zoo.h"

static const struct myelon_field point_fields[] = {
	MYELON_FIELD(struct point, x, &myelon_i32),
	MYELON_FIELD(struct point, y, &myelon_i32),
	MYELON_FIELD(struct point, weight, &myelon_f32),
};
const struct myelon_type zoo_point = MYELON_FIXED_STRUCT(struct point, point_fields);

static const struct myelon_field named_fields[] = {
	MYELON_FIELD(struct shape_named, name, &myelon_string),
	MYELON_FIELD(struct shape_named, sides, &myelon_u32),
};
static const struct myelon_type named = MYELON_STRUCT(struct shape_named, named_fields);

static const struct myelon_field shape_variants[] = {
	MYELON_UNIT("Empty"),
	MYELON_VARIANT(struct shape, "Circle", of.circle, &myelon_f64),
	MYELON_VARIANT(struct shape, "Named", of.named, &named),
};
const struct myelon_type zoo_shape = MYELON_ENUM(struct shape, shape_variants);

static const struct myelon_type node_box = MYELON_BOX_OF(&zoo_node);
static const struct myelon_type node_maybe = MYELON_OPTION_OF(&node_box, struct node_maybe);
static const struct myelon_type nodes = MYELON_VECTOR_OF(&zoo_node);
static const struct myelon_field node_fields[] = {
	MYELON_FIELD(struct node, value, &myelon_u32),
	MYELON_FIELD(struct node, children, &nodes),
	MYELON_FIELD(struct node, next, &node_maybe),
};
const struct myelon_type zoo_node = MYELON_STRUCT(struct node, node_fields);

static const struct myelon_field pair_fields[] = {
	MYELON_FIELD(struct pair, key, &myelon_string),
	MYELON_FIELD(struct pair, value, &myelon_i64),
};
const struct myelon_type zoo_pair = MYELON_TUPLE(struct pair, pair_fields);

static const struct myelon_type u32s = MYELON_VECTOR_OF(&myelon_u32);
static const struct myelon_type f32s = MYELON_VECTOR_OF(&myelon_f32);
static const struct myelon_type texts = MYELON_VECTOR_OF(&myelon_string);
static const struct myelon_type points = MYELON_VECTOR_OF(&zoo_point);
static const struct myelon_type shapes = MYELON_VECTOR_OF(&zoo_shape);
static const struct myelon_type map = MYELON_MAP_OF(&zoo_pair);
static const struct myelon_type maybe_u64 = MYELON_OPTION_OF(&myelon_u64, struct maybe_u64);
static const struct myelon_type maybe_text = MYELON_OPTION_OF(&myelon_string, struct maybe_text);
static const struct myelon_type triple = MYELON_ARRAY_OF(&myelon_u16, uint16_t, 3);

static const struct myelon_field zoo_fields[] = {
	MYELON_FIELD(struct zoo, flag, &myelon_bool),
	MYELON_FIELD(struct zoo, small, &myelon_u8),
	MYELON_FIELD(struct zoo, medium, &myelon_u16),
	MYELON_FIELD(struct zoo, large, &myelon_u32),
	MYELON_FIELD(struct zoo, huge, &myelon_u64),
	MYELON_FIELD(struct zoo, minus, &myelon_i8),
	MYELON_FIELD(struct zoo, depth, &myelon_i16),
	MYELON_FIELD(struct zoo, height, &myelon_i32),
	MYELON_FIELD(struct zoo, distance, &myelon_i64),
	MYELON_FIELD(struct zoo, ratio, &myelon_f32),
	MYELON_FIELD(struct zoo, exact, &myelon_f64),
	MYELON_FIELD(struct zoo, letter, &myelon_char),
	MYELON_FIELD(struct zoo, name, &myelon_string),
	MYELON_FIELD(struct zoo, raw, &myelon_bytes),
	MYELON_FIELD(struct zoo, counts, &u32s),
	MYELON_FIELD(struct zoo, names, &texts),
	MYELON_FIELD(struct zoo, points, &points),
	MYELON_FIELD(struct zoo, limit, &maybe_u64),
	MYELON_FIELD(struct zoo, note, &maybe_text),
	MYELON_FIELD(struct zoo, triple, &triple),
	MYELON_FIELD(struct zoo, origin, &zoo_point),
	MYELON_FIELD(struct zoo, shape, &zoo_shape),
	MYELON_FIELD(struct zoo, shapes, &shapes),
	MYELON_FIELD(struct zoo, map, &map),
	MYELON_FIELD(struct zoo, tree, &zoo_node),
};
const struct myelon_type zoo_type = MYELON_STRUCT(struct zoo, zoo_fields);

static const struct myelon_field sampling_fields[] = {
	MYELON_FIELD(struct sampling, temperature, &myelon_f32),
	MYELON_FIELD(struct sampling, top_p, &myelon_f32),
	MYELON_FIELD(struct sampling, top_k, &myelon_u32),
	MYELON_FIELD(struct sampling, seed, &maybe_u64),
	MYELON_FIELD(struct sampling, stop, &texts),
};
static const struct myelon_type sampling = MYELON_STRUCT(struct sampling, sampling_fields);

static const struct myelon_field request_fields[] = {
	MYELON_FIELD(struct request, id, &myelon_u64),
	MYELON_FIELD(struct request, tokens, &u32s),
	MYELON_FIELD(struct request, sampling, &sampling),
	MYELON_FIELD(struct request, logits, &f32s),
};
const struct myelon_type batch_request = MYELON_STRUCT(struct request, request_fields);

static const struct myelon_type requests = MYELON_VECTOR_OF(&batch_request);
static const struct myelon_field batch_fields[] = {
	MYELON_FIELD(struct batch, step, &myelon_u64),
	MYELON_FIELD(struct batch, requests, &requests),
};
const struct myelon_type batch_type = MYELON_STRUCT(struct batch, batch_fields);
