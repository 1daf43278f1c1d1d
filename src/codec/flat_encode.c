/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* An object becomes a message: tables first, then what they refer to. */
#include "codec/flat.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "codec/flat_builder.h"
#include "codec/path.h"
#include "codec/utf8.h"

/* A vector: its length, and padding before it and its elements. */
#define VECTOR_MOST(align) (4u + 3u + (align))
#define TEXT_MOST (4u + 3u + 1u)

/* Bounding has no message to write to. */
struct writer {
	const struct mye_flat_codec *codec;
	struct myelon_flat_builder *b; /* NULL: only count */
	uint64_t bytes;                /* counted */
	uint32_t depth;                /* that is left */
	struct mye_path path;
};

#define BAD(w, ...) mye_path_fail(&(w)->path, -EINVAL, __VA_ARGS__)

static int write_ref(struct writer *w, const struct mye_flat_node *n, const void *c, uint32_t ref);

static int open_boxes(struct writer *w, const struct mye_flat_node **n, const void **c)
{
	for (; (*n)->form == MYE_FLAT_BOX; *n = (*n)->inner) {
		memcpy(c, *c, sizeof(*c));
		if (!*c)
			return BAD(w, "the box is NULL");
	}
	return 0;
}

static int get_bits(struct writer *w, const struct mye_flat_node *n, const void *c, uint64_t *bits)
{
	uint32_t shown;

	if (mye_flat_scalar_from_c(n, c, bits))
		return 0;
	memcpy(&shown, c, sizeof(shown));
	return n->scalar == MYE_FLAT_CHAR ? BAD(w, "0x%x is no Unicode character", shown)
	                                  : BAD(w, "the enum has no variant %u", shown);
}

static int write_struct(struct writer *w, const struct mye_flat_node *n, const unsigned char *c,
                        unsigned char *to);

/* A scalar or struct, at @to. */
static int write_plain(struct writer *w, const struct mye_flat_node *n, const void *c,
                       unsigned char *to)
{
	uint64_t bits;
	int rc = open_boxes(w, &n, &c);

	if (rc < 0)
		return rc;
	if (n->plain) {
		memcpy(to, c, n->size);
		return 0;
	}
	if (n->form == MYE_FLAT_STRUCT)
		return write_struct(w, n, c, to);
	rc = get_bits(w, n, c, &bits);
	if (rc == 0)
		memcpy(to, &bits, n->size);
	return rc;
}

static int write_struct(struct writer *w, const struct mye_flat_node *n, const unsigned char *c,
                        unsigned char *to)
{
	int rc = 0;

	memset(to, 0, n->size);
	for (uint32_t i = 0; i < n->count; i++) {
		const struct mye_flat_part *p = &n->parts[i];

		for (uint32_t k = 0; rc == 0 && k < p->count; k++)
			rc = write_plain(w, p->node, c + p->in_c + (size_t)k * p->node->type->size,
			                 to + p->at + k * p->node->size);
		if (rc < 0)
			return mye_path_field(&w->path, rc, p->name);
	}
	return 0;
}

static int write_text(struct writer *w, const struct myelon_text *text, uint32_t ref)
{
	w->bytes += TEXT_MOST + text->len;
	if (!w->b)
		return 0;
	if (!(w->codec->flags & MYELON_FLATBUFFERS_ANY_TEXT)) {
		size_t good = mye_utf8_good(text->data, text->len);

		if (good != text->len)
			return BAD(w, "byte %zu of the string is not UTF-8", good);
	}
	myelon_flat_text(w->b, ref, text->data, text->len);
	return 0;
}

static int write_elements(struct writer *w, const struct mye_flat_node *n, const unsigned char *c,
                          size_t count, uint32_t ref)
{
	const struct mye_flat_node *wire = n->wire;
	unsigned char *to;
	int rc = 0;

	if (!w->b)
		return 0;
	to = myelon_flat_vector(w->b, ref, count, wire->size, wire->align);
	if (!to || count == 0)
		return 0;
	if (n == wire && n->plain) {
		memcpy(to, c, count * n->size);
		return 0;
	}
	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = write_plain(w, n, c + i * n->type->size, to + i * wire->size);
		if (rc < 0)
			return mye_path_element(&w->path, rc, i);
	}
	return rc;
}

static int write_vector(struct writer *w, const struct mye_flat_node *n, const void *c,
                        uint32_t ref)
{
	const struct mye_flat_node *element = n->inner, *wire = element->wire;
	const struct myelon_vector *v = c;
	size_t count = n->in_place ? n->count : v->count;
	const unsigned char *at = n->in_place ? c : v->data;
	int rc;

	if (count > INT32_MAX)
		return BAD(w, "%zu elements are too many", count);
	w->bytes += VECTOR_MOST(wire->align) + (uint64_t)count * wire->size;
	if (wire->form == MYE_FLAT_SCALAR || wire->form == MYE_FLAT_STRUCT)
		return write_elements(w, element, at, count, ref);
	if (w->b)
		ref = myelon_flat_refs(w->b, ref, count);
	for (size_t i = 0; i < count && !(w->b && w->b->err); i++) {
		rc = write_ref(w, element, at + i * element->type->size, ref + 4 * (uint32_t)i);
		if (rc < 0)
			return mye_path_element(&w->path, rc, i);
	}
	return 0;
}

/* The variant of a union in C; NULL: there is none. */
static const struct mye_flat_variant *variant_of(const struct mye_flat_node *n, const void *c)
{
	uint32_t tag;

	memcpy(&tag, c, sizeof(tag));
	return tag < n->count ? &n->variants[tag] : NULL;
}

/* The value of a reference's field, boxes opened. @return 1; 0: it is left out. */
static int is_there(struct writer *w, const struct mye_flat_field *f, const unsigned char *object,
                    const struct mye_flat_node **n, const void **c)
{
	const struct mye_flat_variant *variant;
	int rc;

	*n = f->node;
	*c = object + f->in_c;
	if (f->optional && !*(const bool *)(object + f->presence))
		return 0;
	rc = open_boxes(w, n, c);
	if (rc < 0)
		return rc;
	if ((*n)->form != MYE_FLAT_UNION)
		return 1;
	variant = variant_of(*n, *c);
	if (!variant)
		return BAD(w, "the enum has not so many variants");
	return variant->node != NULL;
}

/* What a field refers to. */
static int write_target(struct writer *w, const struct mye_flat_node *n, const void *c,
                        uint32_t ref)
{
	const struct mye_flat_variant *variant;
	int rc;

	if (n->form != MYE_FLAT_UNION)
		return write_ref(w, n, c, ref);
	variant = variant_of(n, c);
	rc = write_ref(w, variant->node, (const unsigned char *)c + variant->in_c, ref);
	return rc < 0 ? mye_path_field(&w->path, rc, variant->name) : 0;
}

static int add_scalar(struct writer *w, const struct mye_flat_field *f,
                      const struct mye_flat_node *n, const void *c)
{
	uint64_t bits;
	void *to;
	int rc = get_bits(w, n, c, &bits);

	if (rc < 0)
		return rc;
	if (!f->optional && bits == f->preset && !(w->codec->flags & MYELON_FLATBUFFERS_PRESETS))
		return 0;
	to = myelon_flat_place_(w->b, f->slot, n->size, n->align);
	if (to)
		memcpy(to, &bits, n->size);
	return 0;
}

/* What lies in the table itself: the reference, or the value. */
static int add_field(struct writer *w, const struct mye_flat_field *f, const unsigned char *object)
{
	const struct mye_flat_node *n;
	const void *c;
	unsigned char *to;
	int rc = is_there(w, f, object, &n, &c);

	if (rc <= 0)
		return rc;
	if (n->form == MYE_FLAT_SCALAR)
		return add_scalar(w, f, n, c);
	if (n->form == MYE_FLAT_STRUCT) {
		to = myelon_flat_place_(w->b, f->slot, n->size, n->align);
		return to ? write_plain(w, n, c, to) : 0;
	}
	myelon_flat_add_ref(w->b, f->slot);
	return 0;
}

/* After all else, for they need no alignment. */
static void add_union_types(struct writer *w, const struct mye_flat_node *table,
                            const unsigned char *object)
{
	for (uint32_t i = 0; i < table->refs; i++) {
		const struct mye_flat_field *f = &table->fields[i];
		const struct mye_flat_variant *variant;
		const struct mye_flat_node *n;
		const void *c;

		if (f->node->wire->form != MYE_FLAT_UNION || is_there(w, f, object, &n, &c) <= 0)
			continue;
		variant = variant_of(n, c);
		myelon_flat_put_u8(w->b, f->slot - 1, (uint8_t)variant->number);
	}
}

static int write_fields(struct writer *w, const struct mye_flat_node *n,
                        const unsigned char *object, uint32_t ref, uint32_t *first)
{
	mye_flat_table(w->b, ref, n->slots, n->within, 4 + 4 * n->refs);
	*first = w->b->table + 4;
	for (uint32_t i = 0; i < n->count; i++) {
		int rc = add_field(w, &n->fields[i], object);

		if (rc < 0)
			return mye_path_field(&w->path, rc, n->fields[i].name);
	}
	add_union_types(w, n, object);
	myelon_flat_table_end(w->b);
	return 0;
}

/* The references lie one after the other from the table's begin, in the order of the fields. */
static int write_table(struct writer *w, const struct mye_flat_node *n, const unsigned char *object,
                       uint32_t ref)
{
	uint32_t next = 0;
	int rc = 0;

	if (w->depth == 0)
		return BAD(w, "it is nested deeper than the limit, %u tables", w->codec->depth);
	w->depth--;
	w->bytes += n->most;
	if (w->b)
		rc = write_fields(w, n, object, ref, &next);
	for (uint32_t i = 0; rc == 0 && i < n->refs && !(w->b && w->b->err); i++) {
		const struct mye_flat_field *f = &n->fields[i];
		const struct mye_flat_node *target;
		const void *c;

		rc = is_there(w, f, object, &target, &c);
		if (rc > 0) {
			rc = write_target(w, target, c, next);
			next += 4;
		}
		if (rc < 0)
			mye_path_field(&w->path, rc, f->name);
	}
	w->depth++;
	return rc;
}

static int write_ref(struct writer *w, const struct mye_flat_node *n, const void *c, uint32_t ref)
{
	int rc = open_boxes(w, &n, &c);

	if (rc < 0)
		return rc;
	if (n->form == MYE_FLAT_TEXT)
		return write_text(w, c, ref);
	return n->form == MYE_FLAT_VECTOR ? write_vector(w, n, c, ref) : write_table(w, n, c, ref);
}

static int write_all(struct writer *w, const void *object)
{
	int rc;

	w->depth = w->codec->depth;
	rc = write_ref(w, w->codec->root, object, MYELON_FLAT_ROOT);
	return rc < 0 ? mye_path_end(&w->path, rc, "flatbuffers", w->codec->codec.type) : 0;
}

int64_t mye_flat_bound(const struct myelon_codec *c, const void *object)
{
	struct writer w = {.codec = mye_flat_codec_of(c), .bytes = 8};
	int rc = write_all(&w, object);

	if (rc < 0)
		return rc;
	if (w.bytes > INT32_MAX)
		return mye_fail(-EMSGSIZE, "flatbuffers: up to %llu bytes are more than 2 GiB",
		                (unsigned long long)w.bytes);
	return (int64_t)w.bytes;
}

int64_t mye_flat_encode(const struct myelon_codec *c, const void *object, void *buf, size_t cap)
{
	struct writer w = {.codec = mye_flat_codec_of(c)};
	struct myelon_flat_builder b;
	int rc;

	w.b = &b;
	myelon_flat_begin(&b, buf, cap, w.codec->identified ? w.codec->identifier : NULL);
	rc = write_all(&w, object);
	return rc < 0 ? rc : myelon_flat_end(&b);
}
