/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Decoding into C, from bytes that may change meanwhile: what is checked is what was copied. */
#include "codec/flat_walk.h"

#include <errno.h>
#include <string.h>

static int decode(struct mye_flat_walk *w, const struct mye_flat_node *n, uint32_t at, void *c);

static void *room(struct mye_flat_walk *w, uint64_t bytes, uint32_t align)
{
	void *p = w->arena ? myelon_arena_alloc(w->arena, bytes, align) : NULL;

	if (!p)
		mye_path_fail(&w->path, -ENOMEM, "the arena has no room for %llu bytes",
		              (unsigned long long)bytes);
	return p;
}

/* Zeroed. */
static void *object_room(struct mye_flat_walk *w, const struct myelon_type *t, uint64_t count)
{
	uint64_t bytes = count * t->size;
	void *p = room(w, bytes, t->align);

	if (p && bytes)
		memset(p, 0, bytes);
	return p;
}

static int decode_scalar(struct mye_flat_walk *w, const struct mye_flat_node *n, uint32_t at,
                         void *c)
{
	uint64_t bits = mye_flat_bits(w, at, n->size);

	return mye_flat_scalar_to_c(n, bits, c) ? 0 : mye_flat_unknown(w, n, bits);
}

static int decode_struct(struct mye_flat_walk *w, const struct mye_flat_node *n, uint32_t at,
                         unsigned char *c)
{
	int rc = 0;

	if (n->plain) {
		memcpy(c, w->data + at, n->size);
		return 0;
	}
	for (uint32_t i = 0; i < n->count; i++) {
		const struct mye_flat_part *p = &n->parts[i];

		for (uint32_t k = 0; rc == 0 && k < p->count; k++)
			rc = decode(w, p->node, at + p->at + k * p->node->size,
			            c + p->in_c + (size_t)k * p->node->type->size);
		if (rc < 0)
			return mye_path_field(&w->path, rc, p->name);
	}
	return 0;
}

static int decode_text(struct mye_flat_walk *w, uint32_t at, struct myelon_text *text)
{
	uint32_t first, len;
	char *to;
	int rc = mye_flat_bytes(w, at, &first, &len);

	if (rc < 0)
		return rc;
	to = room(w, len, 1);
	if (!to)
		return -ENOMEM;
	if (len)
		memcpy(to, w->data + first, len);
	text->data = to;
	text->len = len;
	return mye_flat_check_text(w, to, len);
}

static int decode_elements(struct mye_flat_walk *w, const struct mye_flat_node *element,
                           uint32_t first, uint32_t count, unsigned char *c)
{
	const struct mye_flat_node *wire = element->wire;
	int rc;

	if (element == wire && wire->plain) {
		memcpy(c, w->data + first, (size_t)count * wire->size);
		return 0;
	}
	rc = mye_flat_work(w, (uint64_t)count * wire->size);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < count; i++) {
		rc = decode(w, element, first + i * wire->size,
		            c + (size_t)i * element->type->size);
		if (rc < 0)
			return mye_path_element(&w->path, rc, i);
	}
	return 0;
}

static int decode_vector(struct mye_flat_walk *w, const struct mye_flat_node *n, uint32_t at,
                         void *c)
{
	struct myelon_vector *v = c;
	void *elements = c;
	uint32_t first, count;
	int rc = mye_flat_elements(w, at, n, &first, &count);

	if (rc < 0)
		return rc;
	if (!n->in_place) {
		/* What is copied as it is need not be zeroed before. */
		elements = n->inner->plain ? room(w, (uint64_t)count * n->inner->size,
		                                  n->inner->type->align)
		                           : object_room(w, n->inner->type, count);
		if (!elements)
			return -ENOMEM;
		*v = (struct myelon_vector){.data = elements, .count = count};
	}
	return count ? decode_elements(w, n->inner, first, count, elements) : 0;
}

static int decode_union(struct mye_flat_walk *w, const struct mye_flat_at *t,
                        const struct mye_flat_field *f, unsigned char *c)
{
	const struct mye_flat_node *wire = f->node->wire;
	const struct mye_flat_variant *variant;
	uint32_t at, tag;
	int rc = mye_flat_find_union(w, t, f, &variant, &at);

	if (rc < 0)
		return rc;
	tag = (uint32_t)(variant - wire->variants);
	memcpy(c, &tag, sizeof(tag));
	if (!variant->node)
		return 0;
	rc = decode(w, variant->node, at, c + variant->in_c);
	return rc < 0 ? mye_path_field(&w->path, rc, variant->name) : 0;
}

static int open_boxes(struct mye_flat_walk *w, const struct mye_flat_node **n, void **c)
{
	for (; (*n)->form == MYE_FLAT_BOX; *n = (*n)->inner) {
		void *in_box = object_room(w, (*n)->inner->type, 1);

		if (!in_box)
			return -ENOMEM;
		memcpy(*c, &in_box, sizeof(in_box));
		*c = in_box;
	}
	return 0;
}

/* An absent field that is not an option: scalars have their preset, others are empty. */
static int fill_absent(struct mye_flat_walk *w, const struct mye_flat_field *f, void *c)
{
	const struct mye_flat_node *n = f->node;
	int rc = mye_flat_absent(w, f);

	if (rc < 0 || f->optional)
		return rc;
	rc = open_boxes(w, &n, &c);
	if (rc == 0 && n->form == MYE_FLAT_SCALAR && !mye_flat_scalar_to_c(n, f->preset, c))
		rc = mye_flat_unknown(w, n, f->preset);
	return rc;
}

static int decode_field(struct mye_flat_walk *w, const struct mye_flat_at *t,
                        const struct mye_flat_field *f, unsigned char *object)
{
	const struct mye_flat_node *n = f->node;
	void *c = object + f->in_c;
	uint32_t at;
	int rc;

	if (n->wire->form == MYE_FLAT_UNION) {
		rc = open_boxes(w, &n, &c);
		return rc < 0 ? rc : decode_union(w, t, f, c);
	}
	rc = mye_flat_find_field(w, t, f, &at);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return fill_absent(w, f, c);
	if (f->optional)
		*(bool *)(object + f->presence) = true;
	return decode(w, n, at, c);
}

static int decode_table(struct mye_flat_walk *w, const struct mye_flat_node *n, uint32_t at,
                        unsigned char *c)
{
	struct mye_flat_at t;
	int rc = mye_flat_enter(w, at, &t);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < n->count; i++) {
		rc = decode_field(w, &t, &n->fields[i], c);
		if (rc < 0)
			return mye_path_field(&w->path, rc, n->fields[i].name);
	}
	mye_flat_leave(w);
	return 0;
}

/* The value, or the reference to it, at @at. */
static int decode(struct mye_flat_walk *w, const struct mye_flat_node *n, uint32_t at, void *c)
{
	uint32_t to;
	int rc = open_boxes(w, &n, &c);

	if (rc < 0)
		return rc;
	switch ((enum mye_flat_form)n->form) {
	case MYE_FLAT_SCALAR:
		return decode_scalar(w, n, at, c);
	case MYE_FLAT_STRUCT:
		return decode_struct(w, n, at, c);
	case MYE_FLAT_TEXT:
		return decode_text(w, at, c);
	case MYE_FLAT_VECTOR:
		return decode_vector(w, n, at, c);
	default:
		rc = mye_flat_follow(w, at, &to);
		return rc < 0 ? rc : decode_table(w, n, to, c);
	}
}

int mye_flat_decode(const struct myelon_codec *c, const void *data, size_t len, void *object,
                    struct myelon_arena *arena)
{
	const struct mye_flat_codec *codec = mye_flat_codec_of(c);
	const struct mye_flat_node *root = codec->root;
	struct mye_flat_walk w;
	uint32_t at;
	int rc = mye_flat_walk(&w, codec, data, len, &at);

	memset(object, 0, c->object_size);
	w.arena = arena;
	if (rc == 0)
		rc = open_boxes(&w, &root, &object);
	if (rc == 0)
		rc = decode_table(&w, root, at, object);
	return rc < 0 ? mye_flat_walk_end(&w, rc) : 0;
}
