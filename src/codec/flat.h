/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The FlatBuffers codec. A description is turned into a plan once: nodes, each a type and what it is in a
 * message. Encoding, verifying and decoding follow the plan.
 */
#ifndef MYE_CODEC_FLAT_H
#define MYE_CODEC_FLAT_H

#include <stdbool.h>
#include <stdint.h>

#include <myelon/flatbuffers.h>

#include "codec/type.h"

enum mye_flat_form {
	MYE_FLAT_SCALAR, /* in place */
	MYE_FLAT_STRUCT,
	MYE_FLAT_TEXT, /* a reference */
	MYE_FLAT_VECTOR,
	MYE_FLAT_TABLE,
	MYE_FLAT_UNION, /* a reference, and a type */
	MYE_FLAT_BOX,   /* what is in it, but in C there is a pointer */
};

enum mye_flat_scalar {
	MYE_FLAT_RAW, /* the same bytes in C */
	MYE_FLAT_BOOL,
	MYE_FLAT_CHAR,
	MYE_FLAT_ENUM,
};

struct mye_flat_node;

/* A part of a struct: scalars or structs, one after the other. */
struct mye_flat_part {
	struct mye_flat_node *node; /* its own */
	const char *name;
	uint32_t in_c;
	uint32_t at; /* in the message's struct */
	uint32_t count;
};

struct mye_flat_field {
	const char *name;
	const struct mye_flat_node *node;
	uint32_t in_c;     /* of the value */
	uint32_t presence; /* of the option's flag */
	uint32_t slot;     /* UNION: of the value */
	bool optional;
	uint64_t preset; /* of a scalar, as in the message */
};

struct mye_flat_variant {
	const char *name;
	const struct mye_flat_node *node; /* a table; NULL: NONE */
	uint32_t in_c;
	uint32_t number; /* in the message */
};

struct mye_flat_node {
	uint8_t form;
	uint8_t scalar; /* SCALAR: enum mye_flat_scalar */
	bool plain;     /* SCALAR, STRUCT: the same bytes as in C, whatever they are */
	bool unchecked; /* SCALAR, STRUCT: all bits are values of it */
	bool in_place;  /* VECTOR: an array, in C too */
	uint32_t size;  /* in a message, of a value or of the reference to it */
	uint32_t align;
	uint32_t within; /* TABLE: highest alignment in it */
	uint32_t most; /* TABLE: bytes with its vtable and all padding, without what it refers to */
	uint32_t slots; /* TABLE */
	uint32_t refs;  /* TABLE: fields that are references, which come first */
	uint32_t count; /* of fields, parts or variants; VECTOR in place: elements */
	const struct myelon_type *type;
	const struct mye_flat_node *inner; /* VECTOR: element; BOX */
	const struct mye_flat_node
		*wire; /* what it is in the message: itself, or what is in the box */
	union {
		struct mye_flat_field *fields;
		struct mye_flat_part *parts;
		struct mye_flat_variant *variants; /* UNION; SCALAR: of an enum */
	};
};

struct mye_flat_plan;

/* Make the plan of a sound @type. @return 0, -EINVAL with a sentence, -ENOMEM. */
int mye_flat_plan(struct mye_flat_plan **out, const struct myelon_type *type);
void mye_flat_plan_free(struct mye_flat_plan *plan);
/* The root table. */
const struct mye_flat_node *mye_flat_plan_root(const struct mye_flat_plan *plan);
/* The highest alignment in a message, at least 4. */
uint32_t mye_flat_plan_align(const struct mye_flat_plan *plan);

struct mye_flat_codec {
	struct myelon_codec codec;
	struct mye_flat_plan *plan;
	const struct mye_flat_node *root;
	uint32_t flags;
	uint32_t depth;
	uint32_t tables;
	uint64_t work; /* 0: by the message */
	bool identified;
	char identifier[4];
};

static inline const struct mye_flat_codec *mye_flat_codec_of(const struct myelon_codec *c)
{
	return c->self;
}

/* The functions of the codec. */
int64_t mye_flat_bound(const struct myelon_codec *c, const void *object);
int64_t mye_flat_encode(const struct myelon_codec *c, const void *object, void *buf, size_t cap);
int mye_flat_decode(const struct myelon_codec *c, const void *data, size_t len, void *object,
                    struct myelon_arena *arena);
int mye_flat_access(const struct myelon_codec *c, const void *data, size_t len, const void **root);

/* The variant of that number in a message, of a union or an enum; NULL: there is none. */
const struct mye_flat_variant *mye_flat_variant_of(const struct mye_flat_node *node,
                                                   uint64_t number);

/* Is the bit pattern @bits, of @node's width, a value of it? */
bool mye_flat_scalar_known(const struct mye_flat_node *node, uint64_t bits);

/* @bits in a message to the scalar in C. False: it is no value of the type. */
bool mye_flat_scalar_to_c(const struct mye_flat_node *node, uint64_t bits, void *c);
/* The reverse. */
bool mye_flat_scalar_from_c(const struct mye_flat_node *node, const void *c, uint64_t *bits);

#endif
