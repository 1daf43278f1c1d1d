/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Types that between them have every kind a description knows, also nested in each other; and the token batch of an
 * inference engine. interop/ has the same in Rust and as a FlatBuffers schema.
 */
#ifndef TESTS_CODEC_ZOO_H
#define TESTS_CODEC_ZOO_H

#include <stdbool.h>

#include <myelon/type.h>

/* Rust: enum Shape { Empty, Circle(f64), Named { name: String, sides: u32 } } */
struct shape_named {
	struct myelon_text name;
	uint32_t sides;
};
struct shape {
	uint32_t tag;
	union {
		double circle;
		struct shape_named named;
	} of;
};
enum { SHAPE_EMPTY, SHAPE_CIRCLE, SHAPE_NAMED };

/* Rust: struct Node { value: u32, children: Vec<Node>, next: Option<Box<Node>> } */
struct node;
struct node_maybe {
	bool present;
	struct node *value;
};
struct node {
	uint32_t value;
	struct myelon_vector children; /* of struct node */
	struct node_maybe next;
};

struct pair {
	struct myelon_text key;
	int64_t value;
};

struct point {
	int32_t x, y;
	float weight;
};

struct maybe_u64 {
	bool present;
	uint64_t value;
};
struct maybe_text {
	bool present;
	struct myelon_text value;
};

/* In the order of the fields of the Rust struct Zoo. */
struct zoo {
	bool flag;
	uint8_t small;
	uint16_t medium;
	uint32_t large;
	uint64_t huge;
	int8_t minus;
	int16_t depth;
	int32_t height;
	int64_t distance;
	float ratio;
	double exact;
	uint32_t letter; /* char */
	struct myelon_text name;
	struct myelon_vector raw;    /* bytes */
	struct myelon_vector counts; /* of uint32_t */
	struct myelon_vector names;  /* of text */
	struct myelon_vector points; /* of struct point */
	struct maybe_u64 limit;
	struct maybe_text note;
	uint16_t triple[3];
	struct point origin;
	struct shape shape;
	struct myelon_vector shapes; /* of struct shape */
	struct myelon_vector map;    /* of struct pair */
	struct node tree;
};

extern const struct myelon_type zoo_type, zoo_point, zoo_shape, zoo_node, zoo_pair;

/* What a scheduler sends to its workers: one request in a batch. */
struct sampling {
	float temperature;
	float top_p;
	uint32_t top_k;
	struct maybe_u64 seed;
	struct myelon_vector stop; /* of text */
};
struct request {
	uint64_t id;
	struct myelon_vector tokens; /* of uint32_t */
	struct sampling sampling;
	struct myelon_vector logits; /* of float */
};
struct batch {
	uint64_t step;
	struct myelon_vector requests; /* of struct request */
};

extern const struct myelon_type batch_type, batch_request;

#endif
