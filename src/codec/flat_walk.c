/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "codec/flat_walk.h"

#include <errno.h>
#include <string.h>

#include "codec/utf8.h"

#define WORK (64ull << 20)
#define WORK_PER_BYTE 16u

#define BAD(w, ...) mye_path_fail(&(w)->path, -EBADMSG, __VA_ARGS__)

static int check_identifier(struct mye_flat_walk *w)
{
	char found[4];

	if (!w->codec->identified)
		return 0;
	memcpy(found, w->data + 4, sizeof(found));
	if (memcmp(found, w->codec->identifier, sizeof(found)) == 0)
		return 0;
	return BAD(w, "the identifier is not \"%.4s\"", w->codec->identifier);
}

int mye_flat_walk(struct mye_flat_walk *w, const struct mye_flat_codec *codec, const void *data,
                  size_t len, uint32_t *root)
{
	uint64_t work = (uint64_t)len * WORK_PER_BYTE;
	int rc;

	w->data = data;
	w->codec = codec;
	w->arena = NULL;
	w->depth = codec->depth;
	w->tables = codec->tables;
	w->work = codec->work ? codec->work : work > WORK ? work : WORK;
	if (len < 8 || len > INT32_MAX)
		return BAD(w, "%zu bytes are no message: 8 to 2147483647 are needed", len);
	w->len = (uint32_t)len;
	rc = check_identifier(w);
	return rc < 0 ? rc : mye_flat_follow(w, 0, root);
}

int mye_flat_walk_end(struct mye_flat_walk *w, int err)
{
	return mye_path_end(&w->path, err, "flatbuffers", w->codec->codec.type);
}

static int check_vtable(struct mye_flat_walk *w, int64_t vtable, struct mye_flat_at *t)
{
	if (vtable < 0 || vtable + 4 > (int64_t)w->len)
		return BAD(w, "vtable at %lld lies outside the message, %u bytes",
		           (long long)vtable, w->len);
	if (vtable & 1)
		return BAD(w, "vtable at %lld is not aligned to 2", (long long)vtable);
	t->vtable = (uint32_t)vtable;
	t->entries = myelon_once_u16_(w->data + vtable);
	t->bytes = myelon_once_u16_(w->data + vtable + 2);
	if (t->entries < 4 || t->entries & 1)
		return BAD(w, "vtable at %u has %u bytes: an even number, 4 or more, is needed",
		           t->vtable, t->entries);
	if (t->entries > w->len - t->vtable)
		return BAD(w, "vtable at %u reaches beyond the message, %u bytes", t->vtable,
		           w->len);
	if (t->bytes < 4 || t->bytes > w->len - t->at)
		return BAD(w, "table at %u, %u bytes, reaches beyond the message, %u bytes", t->at,
		           t->bytes, w->len);
	return 0;
}

int mye_flat_enter(struct mye_flat_walk *w, uint32_t at, struct mye_flat_at *t)
{
	int rc;

	if (w->depth == 0)
		return BAD(w, "tables are nested deeper than the limit, %u", w->codec->depth);
	if (w->tables == 0)
		return BAD(w, "there are more tables than the limit, %u", w->codec->tables);
	t->at = at;
	rc = check_vtable(w, (int64_t)at - (int32_t)myelon_once_u32_(w->data + at), t);
	if (rc < 0)
		return rc;
	w->tables--;
	w->depth--;
	return 0;
}

int mye_flat_find(struct mye_flat_walk *w, const struct mye_flat_at *t, uint32_t slot,
                  uint32_t size, uint32_t align, uint32_t *at)
{
	uint32_t entry = 4 + 2 * slot, offset;

	if (entry >= t->entries)
		return 0;
	offset = myelon_once_u16_(w->data + t->vtable + entry);
	if (offset == 0)
		return 0;
	if (offset < 4 || offset + size > t->bytes)
		return BAD(w, "its place, %u bytes at %u, lies outside the table at %u, %u bytes",
		           size, offset, t->at, t->bytes);
	*at = t->at + offset;
	if (*at & (align - 1))
		return BAD(w, "byte %u is not aligned to %u", *at, align);
	return 1;
}

int mye_flat_find_union(struct mye_flat_walk *w, const struct mye_flat_at *t,
                        const struct mye_flat_field *f, const struct mye_flat_variant **variant,
                        uint32_t *at)
{
	uint32_t type_at = 0, to, type = 0;
	int rc = mye_flat_find(w, t, f->slot - 1, 1, 1, &type_at);

	if (rc < 0)
		return rc;
	if (rc)
		type = myelon_once_u8_(w->data + type_at);
	*variant = mye_flat_variant_of(f->node->wire, type);
	if (!*variant)
		return type ? BAD(w, "%u is no type of the union", type)
		            : BAD(w, "the required union is missing");
	rc = mye_flat_find_field(w, t, f, at);
	/* Not looked at, but what follows references without looking at the type stays inside. */
	if (!(*variant)->node)
		return rc > 0 ? mye_flat_follow(w, *at, &to) : rc;
	return rc ? rc : BAD(w, "the union has the type %u and no value", type);
}

int mye_flat_absent(struct mye_flat_walk *w, const struct mye_flat_field *f)
{
	const struct mye_flat_node *wire = f->node->wire;

	if (f->optional || wire->form == MYE_FLAT_SCALAR || wire->form == MYE_FLAT_TEXT ||
	    (wire->form == MYE_FLAT_VECTOR && (!wire->in_place || wire->count == 0)))
		return 0;
	return BAD(w, "the required field is missing");
}

int mye_flat_follow(struct mye_flat_walk *w, uint32_t at, uint32_t *to)
{
	uint32_t offset = myelon_once_u32_(w->data + at);
	uint64_t target = (uint64_t)at + offset;

	if (offset == 0)
		return BAD(w, "the reference at %u leads to itself", at);
	if (target + 4 > w->len)
		return BAD(w, "the reference at %u leads to %llu, beyond the message, %u bytes", at,
		           (unsigned long long)target, w->len);
	if (target & 3)
		return BAD(w, "the reference at %u leads to %llu, not aligned to 4", at,
		           (unsigned long long)target);
	*to = (uint32_t)target;
	return 0;
}

int mye_flat_elements(struct mye_flat_walk *w, uint32_t at, const struct mye_flat_node *node,
                      uint32_t *first, uint32_t *count)
{
	const struct mye_flat_node *wire = node->inner->wire;
	uint32_t to = 0;
	int rc = mye_flat_follow(w, at, &to);

	if (rc < 0)
		return rc;
	*count = myelon_once_u32_(w->data + to);
	*first = to + 4;
	if ((uint64_t)*count * wire->size > w->len - *first)
		return BAD(w,
		           "vector at %u, %u elements of %u bytes, reaches beyond the message, %u "
		           "bytes",
		           to, *count, wire->size, w->len);
	if (*count && *first & (wire->align - 1))
		return BAD(w, "the elements at %u are not aligned to %u", *first, wire->align);
	if (node->in_place && *count != node->count)
		return BAD(w, "%u elements: an array of %u is needed", *count, node->count);
	return 0;
}

int mye_flat_bytes(struct mye_flat_walk *w, uint32_t at, uint32_t *first, uint32_t *len)
{
	uint32_t to = 0;
	int rc = mye_flat_follow(w, at, &to);

	if (rc < 0)
		return rc;
	*len = myelon_once_u32_(w->data + to);
	*first = to + 4;
	if (*len >= w->len - *first)
		return BAD(w, "string at %u, %u bytes, reaches beyond the message, %u bytes", to,
		           *len, w->len);
	if (myelon_once_u8_(w->data + *first + *len) != 0)
		return BAD(w, "string at %u does not end with NUL", to);
	return 0;
}

int mye_flat_work(struct mye_flat_walk *w, uint64_t bytes)
{
	if (bytes > w->work)
		return BAD(w, "what is referred to more than once is too much to look at");
	w->work -= bytes;
	return 0;
}

int mye_flat_check_text(struct mye_flat_walk *w, const void *text, uint32_t len)
{
	size_t good;

	if (w->codec->flags & MYELON_FLATBUFFERS_ANY_TEXT)
		return 0;
	good = mye_utf8_good(text, len);
	return good == len ? 0 : BAD(w, "byte %zu of the string is not UTF-8", good);
}

int mye_flat_unknown(struct mye_flat_walk *w, const struct mye_flat_node *node, uint64_t bits)
{
	if (node->scalar == MYE_FLAT_CHAR)
		return BAD(w, "0x%llx is no Unicode character", (unsigned long long)bits);
	return BAD(w, "%llu is no value of the enum", (unsigned long long)bits);
}
