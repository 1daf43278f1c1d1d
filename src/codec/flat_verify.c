/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Verifying in place. Vectors of plain scalars and structs take no time, however long they are. */
#include "codec/flat_walk.h"

static int verify(struct mye_flat_walk *w, const struct mye_flat_node *wire, uint32_t at);

static int verify_struct(struct mye_flat_walk *w, const struct mye_flat_node *n, uint32_t at)
{
	int rc = 0;

	if (n->unchecked)
		return 0;
	for (uint32_t i = 0; i < n->count; i++) {
		const struct mye_flat_part *p = &n->parts[i];

		for (uint32_t k = 0; rc == 0 && k < p->count; k++)
			rc = verify(w, p->node, at + p->at + k * p->node->size);
		if (rc < 0)
			return mye_path_field(&w->path, rc, p->name);
	}
	return 0;
}

static int verify_scalar(struct mye_flat_walk *w, const struct mye_flat_node *n, uint32_t at)
{
	uint64_t bits;

	if (n->unchecked)
		return 0;
	bits = mye_flat_bits(w, at, n->size);
	return mye_flat_scalar_known(n, bits) ? 0 : mye_flat_unknown(w, n, bits);
}

static int verify_text(struct mye_flat_walk *w, uint32_t at)
{
	uint32_t first, len;
	int rc = mye_flat_bytes(w, at, &first, &len);

	if (rc < 0 || w->codec->flags & MYELON_FLATBUFFERS_ANY_TEXT)
		return rc;
	rc = mye_flat_work(w, len);
	return rc < 0 ? rc : mye_flat_check_text(w, w->data + first, len);
}

static int verify_vector(struct mye_flat_walk *w, const struct mye_flat_node *n, uint32_t at)
{
	const struct mye_flat_node *wire = n->inner->wire;
	uint32_t first, count;
	int rc = mye_flat_elements(w, at, n, &first, &count);

	if (rc < 0 || wire->unchecked)
		return rc;
	rc = mye_flat_work(w, (uint64_t)count * wire->size);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < count; i++) {
		rc = verify(w, wire, first + i * wire->size);
		if (rc < 0)
			return mye_path_element(&w->path, rc, i);
	}
	return 0;
}

static int verify_field(struct mye_flat_walk *w, const struct mye_flat_at *t,
                        const struct mye_flat_field *f)
{
	const struct mye_flat_node *wire = f->node->wire;
	const struct mye_flat_variant *variant;
	uint32_t at;
	int rc;

	if (wire->form != MYE_FLAT_UNION) {
		rc = mye_flat_find_field(w, t, f, &at);
		return rc < 0 ? rc : rc ? verify(w, wire, at) : mye_flat_absent(w, f);
	}
	rc = mye_flat_find_union(w, t, f, &variant, &at);
	if (rc < 0 || !variant->node)
		return rc;
	rc = verify(w, variant->node->wire, at);
	return rc < 0 ? mye_path_field(&w->path, rc, variant->name) : 0;
}

static int verify_table(struct mye_flat_walk *w, const struct mye_flat_node *n, uint32_t at)
{
	struct mye_flat_at t;
	int rc = mye_flat_enter(w, at, &t);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < n->count; i++) {
		rc = verify_field(w, &t, &n->fields[i]);
		if (rc < 0)
			return mye_path_field(&w->path, rc, n->fields[i].name);
	}
	mye_flat_leave(w);
	return 0;
}

/* The value, or the reference to it, at @at. */
static int verify(struct mye_flat_walk *w, const struct mye_flat_node *wire, uint32_t at)
{
	uint32_t to;
	int rc;

	switch ((enum mye_flat_form)wire->form) {
	case MYE_FLAT_SCALAR:
		return verify_scalar(w, wire, at);
	case MYE_FLAT_STRUCT:
		return verify_struct(w, wire, at);
	case MYE_FLAT_TEXT:
		return verify_text(w, at);
	case MYE_FLAT_VECTOR:
		return verify_vector(w, wire, at);
	default:
		rc = mye_flat_follow(w, at, &to);
		return rc < 0 ? rc : verify_table(w, wire, to);
	}
}

int mye_flat_access(const struct myelon_codec *c, const void *data, size_t len, const void **root)
{
	const struct mye_flat_codec *codec = mye_flat_codec_of(c);
	struct mye_flat_walk w;
	uint32_t at;
	int rc = mye_flat_walk(&w, codec, data, len, &at);

	if (rc == 0)
		rc = verify_table(&w, codec->root->wire, at);
	if (rc < 0)
		return mye_flat_walk_end(&w, rc);
	*root = w.data + at;
	return 0;
}
