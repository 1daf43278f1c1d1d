/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One zoo with something in every field: what golden bytes were made of, also in the Rust program that wrote them. */
#ifndef TESTS_CODEC_ZOO_SAMPLE_H
#define TESTS_CODEC_ZOO_SAMPLE_H

#include "zoo.h"

#define TEXT(s)                                                                                    \
	{                                                                                          \
		(s), sizeof(s) - 1                                                                 \
	}
#define LIST(a)                                                                                    \
	{                                                                                          \
		(a), sizeof(a) / sizeof((a)[0])                                                    \
	}

static uint8_t sample_raw[] = {0, 250, 251, 255};
static uint32_t sample_counts[] = {0, 250, 251, 65535, 65536, UINT32_MAX};
static struct myelon_text sample_names[] = {TEXT(""), TEXT("a"), TEXT("\xf0\x9f\x98\x80")};
static struct point sample_points[] = {{1, -1, 0.25f}, {125, -126, -2.0f}};
static struct shape sample_shapes[] = {{.tag = SHAPE_EMPTY},
                                       {.tag = SHAPE_CIRCLE, .of.circle = 2.5}};
static struct pair sample_pairs[] = {{TEXT("one"), 1}, {TEXT("minus"), -32769}};
static struct node sample_grandchild[] = {{.value = 300}};
static struct node sample_children[] = {{.value = 2},
                                        {.value = 3, .children = LIST(sample_grandchild)}};
static struct node sample_next = {.value = 70000};
static const struct zoo zoo_sample = {
	.flag = true,
	.small = 0xfe,
	.medium = 251,
	.large = 0x12345678,
	.huge = UINT64_MAX,
	.minus = -5,
	.depth = -126,
	.height = INT32_MIN,
	.distance = INT64_MAX,
	.ratio = 1.5f,
	.exact = -0.1,
	.letter = 0x2603,
	.name = TEXT("gr\xc3\xbc\xc3\x9f\x65"),
	.raw = LIST(sample_raw),
	.counts = LIST(sample_counts),
	.names = LIST(sample_names),
	.points = LIST(sample_points),
	.limit = {true, 250},
	.triple = {1, 255, 65535},
	.origin = {0, 32767, 3.0f},
	.shape = {.tag = SHAPE_NAMED, .of.named = {TEXT("hex"), 6}},
	.shapes = LIST(sample_shapes),
	.map = LIST(sample_pairs),
	.tree = {.value = 1, .children = LIST(sample_children), .next = {true, &sample_next}},
};

#endif
