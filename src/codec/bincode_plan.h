/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A description, prepared for the walks that encode and decode: what to do at each type, what its bytes are at least,
 * and which C values are their own encoding, so that runs of them are copied at once.
 */
#ifndef MYE_CODEC_BINCODE_PLAN_H
#define MYE_CODEC_BINCODE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <myelon/bincode.h>

enum mye_bin_op {
	MYE_BIN_RAW, /* copy size bytes */
	MYE_BIN_UINT,
	MYE_BIN_INT,
	MYE_BIN_UINT_WIDE,
	MYE_BIN_INT_WIDE,
	MYE_BIN_TRUTH,
	MYE_BIN_LETTER,
	MYE_BIN_STRING,
	MYE_BIN_VECTOR, /* element */
	MYE_BIN_ARRAY,  /* element, count */
	MYE_BIN_OPTION, /* element, offset */
	MYE_BIN_BOX,    /* element */
	MYE_BIN_STRUCT, /* parts, count */
	MYE_BIN_ENUM,   /* parts, count */
};

struct mye_bin_part;

struct mye_bin_node {
	enum mye_bin_op op;
	uint32_t size; /* of the C value */
	uint32_t align;
	uint32_t count;
	uint32_t offset;
	bool exact;     /* every value is encoded in least bytes */
	uint64_t least; /* bytes of an encoded value; MYE_BIN_ENDLESS: there is none */
	const struct mye_bin_node *element;
	const struct mye_bin_part *parts;
	const struct myelon_type *type;
};
#define MYE_BIN_ENDLESS UINT64_MAX

struct mye_bin_part {
	const struct mye_bin_node *node; /* NULL: a variant that carries nothing */
	const char *name;
	uint32_t offset;
};

struct mye_bin_plan {
	struct mye_bin_node *nodes; /* the first is the top */
	struct mye_bin_part *parts;
	uint32_t count;
	uint32_t encoding;
};

/* @type is sound. @return 0; -ENOMEM, -EINVAL: with a sentence, and nothing to free. */
int mye_bin_plan_make(struct mye_bin_plan *plan, const struct myelon_type *type, uint32_t encoding);
void mye_bin_plan_free(struct mye_bin_plan *plan);

/* What is done with a scalar. */
enum mye_bin_op mye_bin_op_of(enum myelon_type_kind kind, uint32_t encoding);

#endif
