/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "codec/bincode_plan.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "codec/bincode_bytes.h"

enum mye_bin_op mye_bin_op_of(enum myelon_type_kind kind, uint32_t encoding)
{
	bool fixed = encoding == MYELON_BINCODE_FIXED;

	switch (kind) {
	case MYELON_TYPE_U16:
	case MYELON_TYPE_U32:
	case MYELON_TYPE_U64:
		return fixed ? MYE_BIN_RAW : MYE_BIN_UINT;
	case MYELON_TYPE_I16:
	case MYELON_TYPE_I32:
	case MYELON_TYPE_I64:
		return fixed ? MYE_BIN_RAW : MYE_BIN_INT;
	case MYELON_TYPE_U128:
		return fixed ? MYE_BIN_RAW : MYE_BIN_UINT_WIDE;
	case MYELON_TYPE_I128:
		return fixed ? MYE_BIN_RAW : MYE_BIN_INT_WIDE;
	case MYELON_TYPE_BOOL:
		return MYE_BIN_TRUTH;
	case MYELON_TYPE_CHAR:
		return MYE_BIN_LETTER;
	case MYELON_TYPE_STRING:
		return MYE_BIN_STRING;
	case MYELON_TYPE_BYTES:
	case MYELON_TYPE_VECTOR:
	case MYELON_TYPE_MAP:
		return MYE_BIN_VECTOR;
	case MYELON_TYPE_ARRAY:
		return MYE_BIN_ARRAY;
	case MYELON_TYPE_OPTION:
		return MYE_BIN_OPTION;
	case MYELON_TYPE_BOX:
		return MYE_BIN_BOX;
	case MYELON_TYPE_STRUCT:
	case MYELON_TYPE_TUPLE:
		return MYE_BIN_STRUCT;
	case MYELON_TYPE_ENUM:
		return MYE_BIN_ENUM;
	default: /* U8, I8, F32, F64 */
		return MYE_BIN_RAW;
	}
}

/* ---- every type once ---- */

struct types {
	const struct myelon_type **type;
	uint32_t count, cap;
	uint32_t parts;
};

static int find(const struct types *all, const struct myelon_type *t)
{
	for (uint32_t i = 0; i < all->count; i++)
		if (all->type[i] == t)
			return (int)i;
	return -1;
}

static const struct myelon_type *element_of(const struct myelon_type *t)
{
	return t->kind == MYELON_TYPE_BYTES ? &myelon_u8 : t->element;
}

static bool has_parts(const struct myelon_type *t)
{
	return t->kind == MYELON_TYPE_STRUCT || t->kind == MYELON_TYPE_TUPLE ||
	       t->kind == MYELON_TYPE_ENUM;
}

static bool has_element(const struct myelon_type *t)
{
	return t->kind == MYELON_TYPE_BYTES || t->kind == MYELON_TYPE_VECTOR ||
	       t->kind == MYELON_TYPE_MAP || t->kind == MYELON_TYPE_ARRAY ||
	       t->kind == MYELON_TYPE_OPTION || t->kind == MYELON_TYPE_BOX;
}

static int append(struct types *all, const struct myelon_type *t)
{
	if (all->count == all->cap) {
		uint32_t cap = all->cap ? 2 * all->cap : 32;
		void *p = realloc(all->type, cap * sizeof(void *));

		if (!p)
			return -ENOMEM;
		all->type = p;
		all->cap = cap;
	}
	all->type[all->count++] = t;
	return 0;
}

static int collect(struct types *all, const struct myelon_type *t)
{
	int rc;

	if (find(all, t) >= 0)
		return 0;
	rc = append(all, t);
	if (rc == 0 && has_element(t))
		rc = collect(all, element_of(t));
	if (!has_parts(t))
		return rc;
	all->parts += t->count;
	for (uint32_t i = 0; rc == 0 && i < t->count; i++)
		if (t->fields[i].type)
			rc = collect(all, t->fields[i].type);
	return rc;
}

static void link_nodes(struct mye_bin_plan *plan, const struct types *all)
{
	struct mye_bin_part *part = plan->parts;

	for (uint32_t i = 0; i < all->count; i++) {
		const struct myelon_type *t = all->type[i];
		struct mye_bin_node *n = &plan->nodes[i];

		*n = (struct mye_bin_node){
			.op = mye_bin_op_of((enum myelon_type_kind)t->kind, plan->encoding),
			.size = t->size,
			.align = t->align,
			.count = t->count,
			.offset = t->offset,
			.exact = true,
			.least = MYE_BIN_ENDLESS,
			.parts = part,
			.type = t,
		};
		if (has_element(t))
			n->element = &plan->nodes[find(all, element_of(t))];
		for (uint32_t k = 0; has_parts(t) && k < t->count; k++) {
			const struct myelon_field *f = &t->fields[k];

			part->name = f->name;
			part->offset = f->offset;
			part->node = f->type ? &plan->nodes[find(all, f->type)] : NULL;
			part++;
		}
	}
}

/* ---- what follows from the parts ---- */

static uint64_t sum(uint64_t a, uint64_t b)
{
	uint64_t c;

	return __builtin_add_overflow(a, b, &c) ? MYE_BIN_ENDLESS : c;
}

static uint64_t times(uint64_t a, uint64_t b)
{
	uint64_t c;

	return __builtin_mul_overflow(a, b, &c) ? MYE_BIN_ENDLESS : c;
}

static uint64_t least_of_parts(const struct mye_bin_node *n)
{
	bool all = n->op == MYE_BIN_STRUCT;
	uint64_t least = all ? 0 : MYE_BIN_ENDLESS;

	for (uint32_t i = 0; i < n->count; i++) {
		uint64_t l = n->parts[i].node ? n->parts[i].node->least : 0;

		if (all)
			least = sum(least, l);
		else if (l < least)
			least = l;
	}
	return least;
}

static uint64_t least_of(const struct mye_bin_node *n, uint32_t encoding)
{
	switch (n->op) {
	case MYE_BIN_RAW:
		return n->size;
	case MYE_BIN_STRING:
	case MYE_BIN_VECTOR:
		return mye_bin_size(encoding, 0, MYE_BIN_LEN_WIDTH);
	case MYE_BIN_ARRAY:
		return times(n->count, n->element->least);
	case MYE_BIN_BOX:
		return n->element->least;
	case MYE_BIN_STRUCT:
		return least_of_parts(n);
	case MYE_BIN_ENUM:
		return sum(mye_bin_size(encoding, 0, MYE_BIN_VARIANT_WIDTH), least_of_parts(n));
	default:
		return 1;
	}
}

static bool is_exact(const struct mye_bin_node *n)
{
	switch (n->op) {
	case MYE_BIN_RAW:
	case MYE_BIN_TRUTH:
		return true;
	case MYE_BIN_ARRAY:
	case MYE_BIN_BOX:
		return n->element->exact;
	case MYE_BIN_STRUCT:
		for (uint32_t i = 0; i < n->count; i++)
			if (!n->parts[i].node->exact)
				return false;
		return true;
	default:
		return false;
	}
}

/* Is the C value its own encoding: no gap, no pointer, nothing that has to be checked? */
static bool is_raw(const struct mye_bin_node *n)
{
	uint64_t at = 0;

	if (n->op == MYE_BIN_ARRAY)
		return n->element->op == MYE_BIN_RAW;
	if (n->op != MYE_BIN_STRUCT)
		return n->op == MYE_BIN_RAW;
	for (uint32_t i = 0; i < n->count; i++) {
		if (n->parts[i].node->op != MYE_BIN_RAW || n->parts[i].offset != at)
			return false;
		at += n->parts[i].node->size;
	}
	return at == n->size;
}

/* From the first guesses on until nothing changes: types may be parts of themselves. Parts come behind what they are
 * part of, so that this is a few rounds. */
static void settle(struct mye_bin_plan *plan)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (uint32_t i = plan->count; i > 0; i--) {
			struct mye_bin_node *n = &plan->nodes[i - 1];
			uint64_t least = least_of(n, plan->encoding);
			bool exact = is_exact(n);

			if (least != n->least || exact != n->exact ||
			    is_raw(n) != (n->op == MYE_BIN_RAW))
				changed = true;
			if (is_raw(n))
				n->op = MYE_BIN_RAW;
			n->least = least;
			n->exact = exact;
		}
	}
}

int mye_bin_plan_make(struct mye_bin_plan *plan, const struct myelon_type *type, uint32_t encoding)
{
	struct types all = {.count = 0};
	int rc = collect(&all, type);

	*plan = (struct mye_bin_plan){.count = all.count, .encoding = encoding};
	if (rc == 0) {
		plan->nodes = calloc(all.count, sizeof(*plan->nodes));
		plan->parts = calloc(all.parts + 1, sizeof(*plan->parts));
		if (!plan->nodes || !plan->parts)
			rc = -ENOMEM;
	}
	if (rc == 0) {
		link_nodes(plan, &all);
		settle(plan);
	}
	free(all.type);
	if (rc < 0)
		mye_fail_static(rc, "bincode: no memory");
	else if (plan->nodes[0].least == MYE_BIN_ENDLESS)
		rc = mye_fail(-EINVAL, "bincode: type %s contains itself without an end",
		              type->name ? type->name : "of the codec");
	if (rc < 0)
		mye_bin_plan_free(plan);
	return rc;
}

void mye_bin_plan_free(struct mye_bin_plan *plan)
{
	free(plan->nodes);
	free(plan->parts);
}
