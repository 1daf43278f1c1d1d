/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* From a description to the nodes of a plan. Structs are in flat_plan_struct.c. */
#include "codec/flat_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* Where a type is used. */
enum role {
	AS_FIELD,   /* of a table: anything but an option */
	AS_ELEMENT, /* of a vector: no vector and no union */
	AS_TABLE,
	AS_VALUE, /* a table with the type as its only field */
};

struct entry {
	struct mye_flat_node node;
	uint32_t role;
	struct entry *before;
};

struct mye_flat_plan {
	struct entry *entries; /* the last one first */
	const struct mye_flat_node *root;
	uint32_t align;
};

int mye_flat_plan_bad(const struct myelon_type *t, const char *field, const char *what)
{
	const char *name =
		t->name ? t->name : myelon_type_kind_name((enum myelon_type_kind)t->kind);

	return mye_fail(-EINVAL, "flatbuffers: type %s%s%s: %s", name, field ? ", field " : "",
	                field ? field : "", what);
}

void *mye_flat_plan_room(size_t n, size_t size)
{
	void *room = calloc(n ? n : 1, size);

	if (!room)
		mye_fail_static(-ENOMEM, "flatbuffers: no memory for the plan");
	return room;
}

static int make(struct mye_flat_plan *plan, const struct myelon_type *t, enum role role,
                const struct mye_flat_node **out);

bool mye_flat_is_union(const struct myelon_type *t)
{
	if (t->kind != MYELON_TYPE_ENUM)
		return false;
	for (uint32_t i = 0; i < t->count; i++)
		if (t->fields[i].type)
			return true;
	return false;
}

static bool numbered(const struct myelon_type *t)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (t->fields[i].number)
			return true;
	return false;
}

/* What is in the boxes, if that ends. */
static const struct myelon_type *unbox(const struct myelon_type *t)
{
	for (uint32_t i = 0; t->kind == MYELON_TYPE_BOX; i++, t = t->element)
		if (i == MYE_TYPE_DEPTH)
			return NULL;
	return t;
}

static bool is_number(const struct mye_flat_node *variants, uint32_t upto, uint32_t number)
{
	for (uint32_t i = 0; i < upto; i++)
		if (variants->variants[i].number == number)
			return true;
	return false;
}

/* Numbers of the variants, from @first on where they are not given. */
static int number_variants(struct mye_flat_node *n, uint32_t first, uint32_t most)
{
	const struct myelon_type *t = n->type;
	bool given = numbered(t);

	n->variants = mye_flat_plan_room(t->count, sizeof(n->variants[0]));
	if (!n->variants)
		return -ENOMEM;
	n->count = t->count;
	for (uint32_t i = 0; i < t->count; i++) {
		const struct myelon_field *f = &t->fields[i];
		uint32_t number = given ? f->number : first + i;

		if (number > most)
			return mye_flat_plan_bad(t, f->name, "its number is too large");
		if (is_number(n, i, number))
			return mye_flat_plan_bad(t, f->name, "there are two of its number");
		n->variants[i] = (struct mye_flat_variant){
			.name = f->name, .in_c = f->offset, .number = number};
	}
	return 0;
}

int mye_flat_plan_enum(struct mye_flat_node *n)
{
	if (n->type->size < sizeof(uint32_t))
		return mye_flat_plan_bad(n->type, NULL, "it has no room for its tag");
	n->form = MYE_FLAT_SCALAR;
	n->scalar = MYE_FLAT_ENUM;
	n->size = n->type->flags & MYELON_ENUM_U32 ? 4 : n->type->flags & MYELON_ENUM_U16 ? 2 : 1;
	n->align = n->size;
	return number_variants(n, 0, n->size == 4 ? UINT32_MAX : (1u << 8 * n->size) - 1);
}

/* A variant that carries nothing, and is not NONE. */
static const struct myelon_type nothing = {
	.name = "nothing", .kind = MYELON_TYPE_STRUCT, .size = 1, .align = 1};

static int make_union(struct mye_flat_plan *plan, struct mye_flat_node *n)
{
	const struct myelon_type *t = n->type;
	bool none = !t->fields[0].type && t->fields[0].number == 0;
	int rc = number_variants(n, none ? 0 : 1, UINT8_MAX);

	n->form = MYE_FLAT_UNION;
	n->size = n->align = 4;
	for (uint32_t i = 0; rc == 0 && i < t->count; i++) {
		const struct myelon_type *carried = t->fields[i].type;

		if (n->variants[i].number == 0 && carried)
			return mye_flat_plan_bad(t, t->fields[i].name,
			                         "0 is NONE, and this carries something");
		if (n->variants[i].number)
			rc = make(plan, carried ? carried : &nothing, AS_TABLE,
			          &n->variants[i].node);
	}
	return rc;
}

/* Ids of fields that are not given. */
static uint32_t next_slot(uint32_t *slots, const struct mye_flat_node *wire)
{
	uint32_t slot = *slots + (wire->form == MYE_FLAT_UNION);

	*slots = slot + 1;
	return slot;
}

static int check_slots(const struct mye_flat_node *n)
{
	uint8_t *taken = mye_flat_plan_room(MYELON_FLAT_MAX_SLOTS, 1);
	const char *wrong = NULL, *name = NULL;

	if (!taken)
		return -ENOMEM;
	for (uint32_t i = 0; !wrong && i < n->count; i++) {
		const struct mye_flat_field *f = &n->fields[i];
		uint32_t width = f->node->wire->form == MYE_FLAT_UNION ? 2 : 1;

		name = f->name;
		if (f->slot >= MYELON_FLAT_MAX_SLOTS)
			wrong = "its number is too large";
		else if (f->slot + 1 < width)
			wrong = "its number is that of its value, one above its type's, so not 0";
		else if (taken[f->slot]++ || (width == 2 && taken[f->slot - 1]++))
			wrong = "there are two of its number";
	}
	free(taken);
	return wrong ? mye_flat_plan_bad(n->type, name, wrong) : 0;
}

static bool is_ref(const struct mye_flat_field *f)
{
	return f->node->wire->form >= MYE_FLAT_TEXT;
}

/* References first, the others by alignment. */
static int by_place(const void *a, const void *b)
{
	const struct mye_flat_field *x = a, *y = b;

	if (is_ref(x) != is_ref(y))
		return is_ref(x) ? -1 : 1;
	if (x->node->wire->align != y->node->wire->align)
		return x->node->wire->align > y->node->wire->align ? -1 : 1;
	return x->slot < y->slot ? -1 : 1;
}

static int arrange(struct mye_flat_node *n)
{
	uint64_t bytes = 4, all;
	int rc = check_slots(n);

	if (rc < 0)
		return rc;
	n->within = 4;
	qsort(n->fields, n->count, sizeof(n->fields[0]), by_place);
	for (uint32_t i = 0; i < n->count; i++) {
		const struct mye_flat_node *wire = n->fields[i].node->wire;

		n->refs += is_ref(&n->fields[i]);
		n->within = wire->align > n->within ? wire->align : n->within;
		n->slots = n->fields[i].slot >= n->slots ? n->fields[i].slot + 1 : n->slots;
		bytes += wire->size + (wire->form == MYE_FLAT_UNION);
	}
	all = bytes + n->within - 1;
	if (all > UINT16_MAX)
		return mye_flat_plan_bad(n->type, NULL, "its table is longer than 64 KiB");
	n->most = (uint32_t)all + n->within - 1 + 1 + 4 + 2 * n->slots;
	return 0;
}

/* A field of a table: options are dissolved. */
static int make_field(struct mye_flat_plan *plan, const struct myelon_type *t,
                      struct mye_flat_field *f)
{
	const struct myelon_type *in_box;
	enum role role = AS_FIELD;

	if (t->kind == MYELON_TYPE_OPTION) {
		f->optional = true;
		f->presence = f->in_c;
		f->in_c += t->offset;
		t = t->element;
		in_box = unbox(t);
		if (in_box && (in_box->kind == MYELON_TYPE_OPTION || mye_flat_is_union(in_box)))
			role = AS_VALUE;
	}
	return make(plan, t, role, &f->node);
}

/* What an absent scalar is, as in the message. */
static int set_preset(struct mye_flat_field *f, const struct myelon_type *t, uint64_t preset)
{
	const struct mye_flat_node *wire = f->node->wire;
	uint64_t mask = wire->size < 8 ? (1ull << 8 * wire->size) - 1 : UINT64_MAX;

	f->preset = preset & mask;
	if (wire->form != MYE_FLAT_SCALAR)
		return preset ? mye_flat_plan_bad(t, f->name, "only scalars have a preset") : 0;
	if (wire->scalar != MYE_FLAT_ENUM)
		return 0;
	if (preset >= wire->count)
		return mye_flat_plan_bad(t, f->name, "its preset is no variant of the enum");
	f->preset = wire->variants[preset].number;
	return 0;
}

static int make_table(struct mye_flat_plan *plan, struct mye_flat_node *n)
{
	const struct myelon_type *t = n->type;
	bool given = numbered(t);
	uint32_t slots = 0;

	n->fields = mye_flat_plan_room(t->count, sizeof(n->fields[0]));
	if (!n->fields)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->count; i++) {
		const struct myelon_field *from = &t->fields[i];
		struct mye_flat_field *f = &n->fields[i];
		int rc;

		f->name = from->name;
		f->in_c = from->offset;
		rc = make_field(plan, from->type, f);
		if (rc == 0)
			rc = set_preset(f, t, from->preset);
		if (rc < 0)
			return rc;
		f->slot = given ? from->number : next_slot(&slots, f->node->wire);
		n->count++;
	}
	return arrange(n);
}

/* A table around what cannot stand alone. */
static int make_value(struct mye_flat_plan *plan, struct mye_flat_node *n)
{
	uint32_t slots = 0;
	int rc;

	n->fields = mye_flat_plan_room(1, sizeof(n->fields[0]));
	if (!n->fields)
		return -ENOMEM;
	n->fields[0].name = "value";
	rc = make_field(plan, n->type, &n->fields[0]);
	if (rc == 0)
		rc = set_preset(&n->fields[0], n->type, 0);
	if (rc < 0)
		return rc;
	n->count = 1;
	n->fields[0].slot = next_slot(&slots, n->fields[0].node->wire);
	return arrange(n);
}

static bool is_table(const struct myelon_type *t)
{
	return (t->kind == MYELON_TYPE_STRUCT || t->kind == MYELON_TYPE_TUPLE) &&
	       !(t->flags & MYELON_FIXED);
}

static bool fits(const struct myelon_type *t, enum role role)
{
	if (role == AS_VALUE || is_table(t))
		return role != AS_VALUE;
	if (role == AS_FIELD)
		return t->kind != MYELON_TYPE_OPTION;
	if (role == AS_TABLE)
		return false;
	return t->kind != MYELON_TYPE_VECTOR && t->kind != MYELON_TYPE_MAP &&
	       t->kind != MYELON_TYPE_BYTES && t->kind != MYELON_TYPE_ARRAY &&
	       t->kind != MYELON_TYPE_OPTION && !mye_flat_is_union(t);
}

static int make_box(struct mye_flat_plan *plan, struct mye_flat_node *n, enum role role)
{
	int rc;

	if (!unbox(n->type))
		return mye_flat_plan_bad(n->type, NULL, "a box in itself holds nothing");
	rc = make(plan, n->type->element, role, &n->inner);
	if (rc < 0)
		return rc;
	n->wire = n->inner->wire;
	n->size = n->wire->size;
	n->align = n->wire->align;
	return 0;
}

static int make_kind(struct mye_flat_plan *plan, struct mye_flat_node *n, enum role role)
{
	switch ((enum myelon_type_kind)n->type->kind) {
	case MYELON_TYPE_BOX:
		return make_box(plan, n, role);
	case MYELON_TYPE_VECTOR:
	case MYELON_TYPE_MAP:
	case MYELON_TYPE_ARRAY:
		return make(plan, n->type->element, AS_ELEMENT, &n->inner);
	case MYELON_TYPE_BYTES:
		return make(plan, &myelon_u8, AS_ELEMENT, &n->inner);
	case MYELON_TYPE_ENUM:
		return n->form == MYE_FLAT_UNION ? make_union(plan, n) : 0;
	case MYELON_TYPE_STRUCT:
	case MYELON_TYPE_TUPLE:
		return n->form == MYE_FLAT_TABLE ? make_table(plan, n) : 0;
	default:
		return 0;
	}
}

/* What is known without the types in it, which may be the same again. */
static int set_form(struct mye_flat_plan *plan, struct mye_flat_node *n)
{
	const struct myelon_type *t = n->type;

	n->size = n->align = 4;
	n->wire = n;
	switch ((enum myelon_type_kind)t->kind) {
	case MYELON_TYPE_BOX:
		n->form = MYE_FLAT_BOX;
		n->wire = NULL;
		return 0;
	case MYELON_TYPE_STRING:
		n->form = MYE_FLAT_TEXT;
		return 0;
	case MYELON_TYPE_ARRAY:
		n->in_place = true;
		n->count = t->count;
		n->form = MYE_FLAT_VECTOR;
		return 0;
	case MYELON_TYPE_BYTES:
	case MYELON_TYPE_VECTOR:
	case MYELON_TYPE_MAP:
		n->form = MYE_FLAT_VECTOR;
		return 0;
	case MYELON_TYPE_ENUM:
		n->form = MYE_FLAT_UNION;
		return mye_flat_is_union(t) ? 0 : mye_flat_plan_enum(n);
	case MYELON_TYPE_STRUCT:
	case MYELON_TYPE_TUPLE:
		n->form = MYE_FLAT_TABLE;
		return is_table(t) ? 0 : mye_flat_plan_struct(&plan->align, n);
	default:
		return mye_flat_plan_scalar(&plan->align, n);
	}
}

/* A box that is not yet known what is in it is none. */
static struct entry *find(struct mye_flat_plan *plan, const struct myelon_type *t, enum role role)
{
	struct entry *e = plan->entries;

	while (e && (e->node.type != t || e->role != role || !e->node.wire))
		e = e->before;
	return e;
}

static int make(struct mye_flat_plan *plan, const struct myelon_type *t, enum role role,
                const struct mye_flat_node **out)
{
	struct entry *e;
	int rc;

	if (t->kind != MYELON_TYPE_BOX && !fits(t, role))
		role = AS_VALUE;
	if (is_table(t) && role != AS_VALUE)
		role = AS_TABLE;
	e = find(plan, t, role);
	if (e) {
		*out = &e->node;
		return 0;
	}
	e = mye_flat_plan_room(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	*e = (struct entry){.node = {.type = t}, .role = role, .before = plan->entries};
	plan->entries = e;
	*out = &e->node;
	if (role == AS_VALUE && t->kind != MYELON_TYPE_BOX) {
		e->node.form = MYE_FLAT_TABLE;
		e->node.size = e->node.align = 4;
		e->node.wire = &e->node;
		return make_value(plan, &e->node);
	}
	rc = set_form(plan, &e->node);
	return rc < 0 ? rc : make_kind(plan, &e->node, role);
}

int mye_flat_plan(struct mye_flat_plan **out, const struct myelon_type *type)
{
	struct mye_flat_plan *plan = mye_flat_plan_room(1, sizeof(*plan));
	int rc;

	if (!plan)
		return -ENOMEM;
	plan->align = 4;
	rc = make(plan, type, AS_TABLE, &plan->root);
	if (rc < 0) {
		mye_flat_plan_free(plan);
		return rc;
	}
	*out = plan;
	return 0;
}

void mye_flat_plan_free(struct mye_flat_plan *plan)
{
	struct entry *e = plan ? plan->entries : NULL;

	while (e) {
		struct entry *before = e->before;

		mye_flat_node_clear(&e->node);
		free(e);
		e = before;
	}
	free(plan);
}

const struct mye_flat_node *mye_flat_plan_root(const struct mye_flat_plan *plan)
{
	return plan->root;
}

uint32_t mye_flat_plan_align(const struct mye_flat_plan *plan)
{
	return plan->align;
}
