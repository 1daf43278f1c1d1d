/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Scalars and fixed structs, whose place in a message is known from the type alone. */
#include "codec/flat_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int mye_flat_plan_scalar(uint32_t *align, struct mye_flat_node *n)
{
	n->form = MYE_FLAT_SCALAR;
	n->scalar = n->type->kind == MYELON_TYPE_BOOL   ? MYE_FLAT_BOOL
	            : n->type->kind == MYELON_TYPE_CHAR ? MYE_FLAT_CHAR
	                                                : MYE_FLAT_RAW;
	n->plain = n->scalar == MYE_FLAT_RAW;
	n->unchecked = n->scalar != MYE_FLAT_CHAR;
	n->size = n->align = n->type->size;
	if (n->size > 8)
		return mye_flat_plan_bad(n->type, NULL, "FlatBuffers has no numbers of 128 bits");
	*align = n->align > *align ? n->align : *align;
	return 0;
}

static int make_inner(uint32_t *align, const struct myelon_type *of, const struct myelon_field *f,
                      const struct myelon_type *t, struct mye_flat_node *n)
{
	n->type = t;
	n->wire = n;
	switch ((enum myelon_type_kind)t->kind) {
	case MYELON_TYPE_STRUCT:
	case MYELON_TYPE_TUPLE:
		if (t->flags & MYELON_FIXED)
			return mye_flat_plan_struct(align, n);
		return mye_flat_plan_bad(of, f->name, "in a fixed struct, structs must be fixed");
	case MYELON_TYPE_ENUM:
		if (!mye_flat_is_union(t))
			return mye_flat_plan_enum(n);
		return mye_flat_plan_bad(of, f->name, "a fixed struct cannot hold a union");
	case MYELON_TYPE_ARRAY:
		return mye_flat_plan_bad(of, f->name,
		                         "FlatBuffers has no arrays of arrays in a struct");
	case MYELON_TYPE_STRING:
	case MYELON_TYPE_BYTES:
	case MYELON_TYPE_VECTOR:
	case MYELON_TYPE_MAP:
	case MYELON_TYPE_OPTION:
	case MYELON_TYPE_BOX:
		return mye_flat_plan_bad(
			of, f->name, "a fixed struct holds scalars, arrays and fixed structs only");
	default:
		return mye_flat_plan_scalar(align, n);
	}
}

static int make_part(uint32_t *align, const struct myelon_type *of, const struct myelon_field *f,
                     struct mye_flat_part *part)
{
	bool array = f->type->kind == MYELON_TYPE_ARRAY;
	struct mye_flat_node *n = mye_flat_plan_room(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	*part = (struct mye_flat_part){
		.node = n, .name = f->name, .in_c = f->offset, .count = array ? f->type->count : 1};
	if (array && part->count == 0)
		return mye_flat_plan_bad(of, f->name, "an array of nothing");
	return make_inner(align, of, f, array ? f->type->element : f->type, n);
}

/* The same bytes as in C: each part where it is there, and nothing between them. */
static bool is_plain(const struct mye_flat_node *n)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < n->count; i++) {
		const struct mye_flat_part *p = &n->parts[i];

		if (!p->node->plain || p->at != at || p->in_c != at ||
		    p->node->type->size != p->node->size)
			return false;
		at += (uint64_t)p->count * p->node->size;
	}
	return at == n->size && n->type->size == n->size;
}

int mye_flat_plan_struct(uint32_t *align, struct mye_flat_node *n)
{
	const struct myelon_type *t = n->type;
	uint64_t size = 0;

	n->form = MYE_FLAT_STRUCT;
	n->align = 1;
	n->unchecked = true;
	if (t->count == 0)
		return mye_flat_plan_bad(t, NULL, "a fixed struct of nothing");
	n->parts = mye_flat_plan_room(t->count, sizeof(n->parts[0]));
	if (!n->parts)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->count; i++) {
		struct mye_flat_part *p = &n->parts[n->count++];
		int rc = make_part(align, t, &t->fields[i], p);

		if (rc < 0)
			return rc;
		size = (size + p->node->align - 1) & ~(uint64_t)(p->node->align - 1);
		p->at = (uint32_t)size;
		size += (uint64_t)p->count * p->node->size;
		n->unchecked &= p->node->unchecked;
		n->align = p->node->align > n->align ? p->node->align : n->align;
		if (size > UINT16_MAX)
			return mye_flat_plan_bad(t, NULL, "a struct is longer than 64 KiB");
	}
	n->size = (uint32_t)((size + n->align - 1) & ~(uint64_t)(n->align - 1));
	n->plain = is_plain(n);
	return 0;
}

void mye_flat_node_clear(struct mye_flat_node *n)
{
	if (n->form == MYE_FLAT_STRUCT) {
		for (uint32_t i = 0; n->parts && i < n->count; i++) {
			struct mye_flat_node *inner = n->parts[i].node;

			if (inner)
				mye_flat_node_clear(inner);
			free(inner);
		}
		free(n->parts);
		return;
	}
	if (n->form == MYE_FLAT_TABLE)
		free(n->fields);
	else if (n->form == MYE_FLAT_UNION || n->scalar == MYE_FLAT_ENUM)
		free(n->variants);
}
