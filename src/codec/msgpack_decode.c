/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * From bytes that anybody may have written to an object, directly. msgpack-c's unpacker would make a tree of them first,
 * and allocates as many elements as a head of five bytes announces.
 */
#include "codec/msgpack.h"

#include <errno.h>
#include <string.h>

#include "codec/bincode_bytes.h"
#include "codec/msgpack_decode.h"

/* The value that begins with @item, whose head was read. */
static int fill(struct mye_mp_decoder *d, const struct myelon_type *t,
                const struct mye_mp_item *item, unsigned char *object);

static int get(struct mye_mp_decoder *d, const struct myelon_type *t, unsigned char *object)
{
	struct mye_mp_item item;
	int rc = mye_mp_next(&d->r, &item);

	return rc < 0 ? rc : fill(d, t, &item, object);
}

static int enter(struct mye_mp_decoder *d, const struct mye_mp_item *item)
{
	if (d->deeper == 0)
		return mye_path_fail(
			&d->path, -EBADMSG,
			"at byte %zu it is nested deeper than %u vectors, maps and boxes", item->at,
			d->depth);
	d->deeper--;
	return 0;
}

/* ---- elements ---- */

static int get_elements(struct mye_mp_decoder *d, const struct myelon_type *e, unsigned char *at,
                        size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int rc = get(d, e, at + i * e->size);

		if (rc < 0)
			return mye_path_element(&d->path, rc, i);
	}
	return 0;
}

/* One after the other: of a tuple, of an array that stands for a struct, of a pair in a map. */
static int get_fields(struct mye_mp_decoder *d, const struct myelon_type *t, unsigned char *object)
{
	for (uint32_t i = 0; i < t->count; i++) {
		int rc = get(d, t->fields[i].type, object + t->fields[i].offset);

		if (rc < 0)
			return mye_path_field(&d->path, rc, t->fields[i].name);
	}
	return 0;
}

static int get_pairs(struct mye_mp_decoder *d, const struct myelon_type *pair, unsigned char *at,
                     size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int rc = get_fields(d, pair, at + i * pair->size);

		if (rc < 0)
			return mye_path_element(&d->path, rc, i);
	}
	return 0;
}

/* Bytes that an element has at least, as far as can be seen without looking into its parts: so much less memory does
 * a message take that announces what it has not. */
static size_t least(const struct myelon_type *t)
{
	size_t bytes = 1;

	if (t->kind == MYELON_TYPE_ARRAY || t->kind == MYELON_TYPE_TUPLE)
		return bytes + t->count;
	for (uint32_t i = 0; t->kind == MYELON_TYPE_STRUCT && i < t->count; i++)
		bytes += t->fields[i].type->kind != MYELON_TYPE_OPTION;
	return bytes;
}

static bool is_zero_before(const struct myelon_type *t)
{
	return t->kind > MYELON_TYPE_CHAR;
}

static int fill_vector(struct mye_mp_decoder *d, const struct myelon_type *t,
                       const struct mye_mp_item *item, unsigned char *object)
{
	bool map = t->kind == MYELON_TYPE_MAP;
	const struct myelon_type *e = t->element;
	struct myelon_vector v = {.count = item->n};
	void *to;
	int rc;

	if (item->kind != (map ? MYE_MP_MAP : MYE_MP_ARRAY))
		return mye_mp_wrong(d, item, map ? "a map" : "an array");
	if (v.count == 0)
		return 0;
	if (!map && v.count > (size_t)(d->r.end - d->r.at) / least(e))
		return mye_path_fail(&d->path, -EBADMSG,
		                     "an array of %zu at byte %zu: each takes %zu bytes at least, "
		                     "%zu are left",
		                     v.count, item->at, least(e), (size_t)(d->r.end - d->r.at));
	rc = enter(d, item);
	if (rc < 0)
		return rc;
	to = mye_take(&d->take, &d->path, v.count, e->size, e->align, &rc);
	if (!to)
		return rc;
	/* What the description does not know is zero. */
	if (is_zero_before(e))
		memset(to, 0, v.count * e->size);
	v.data = to;
	memcpy(object, &v, sizeof(v));
	rc = map ? get_pairs(d, e, to, v.count) : get_elements(d, e, to, v.count);
	d->deeper++;
	return rc;
}

static int fill_array(struct mye_mp_decoder *d, const struct myelon_type *t,
                      const struct mye_mp_item *item, unsigned char *object)
{
	if (item->kind != MYE_MP_ARRAY)
		return mye_mp_wrong(d, item, "an array");
	if (item->n != t->count)
		return mye_mp_wrong_count(d, item, t->count);
	return get_elements(d, t->element, object, t->count);
}

static int fill_option(struct mye_mp_decoder *d, const struct myelon_type *t,
                       const struct mye_mp_item *item, unsigned char *object)
{
	*object = item->kind != MYE_MP_NIL;
	return *object ? fill(d, t->element, item, object + t->offset) : 0;
}

static int fill_box(struct mye_mp_decoder *d, const struct myelon_type *t,
                    const struct mye_mp_item *item, unsigned char *object)
{
	const struct myelon_type *e = t->element;
	void *to;
	int rc = enter(d, item);

	if (rc < 0)
		return rc;
	to = mye_take(&d->take, &d->path, 1, e->size, e->align, &rc);
	if (!to)
		return rc;
	memset(to, 0, e->size);
	memcpy(object, &to, sizeof(to));
	rc = fill(d, e, item, to);
	d->deeper++;
	return rc;
}

/* ---- names ---- */

/* The field or variant of this name, looked for from @from on; t->count: there is none. The name is copied first,
 * not on the stack of the walk. */
static __attribute__((noinline)) uint32_t find(struct mye_mp_decoder *d,
                                               const struct myelon_type *t,
                                               const struct mye_mp_item *key, uint32_t from)
{
	char name[MYELON_MSGPACK_NAME_MAX + 1];

	if (key->kind != MYE_MP_STR || key->n >= sizeof(name))
		return t->count;
	memcpy(name, d->r.at, key->n);
	name[key->n] = '\0';
	if (memchr(name, '\0', key->n))
		return t->count;
	for (uint32_t i = 0; i < t->count; i++) {
		uint32_t at = from + i < t->count ? from + i : from + i - t->count;

		if (strcmp(t->fields[at].name, name) == 0)
			return at;
	}
	return t->count;
}

struct fields {
	uint32_t next; /* most writers keep the order */
	uint64_t seen[MYELON_TYPES_MAX_FIELDS / 64];
};

static int skip_value(struct mye_mp_decoder *d)
{
	struct mye_mp_item item;
	int rc = mye_mp_next(&d->r, &item);

	return rc < 0 ? rc : mye_mp_skip(&d->r, &item);
}

/* One pair of the map that a struct is. */
static int get_named(struct mye_mp_decoder *d, const struct myelon_type *t, struct fields *s,
                     unsigned char *object)
{
	struct mye_mp_item key;
	uint64_t *word, bit;
	uint32_t i;
	int rc = mye_mp_next(&d->r, &key);

	if (rc < 0)
		return rc;
	i = find(d, t, &key, s->next);
	rc = mye_mp_skip(&d->r, &key);
	if (rc < 0)
		return rc;
	if (i == t->count)
		return skip_value(d);
	word = &s->seen[i / 64];
	bit = 1ull << i % 64;
	if (*word & bit)
		rc = mye_path_fail(&d->path, -EBADMSG, "it is there once more at byte %zu", key.at);
	else
		rc = get(d, t->fields[i].type, object + t->fields[i].offset);
	*word |= bit;
	s->next = i + 1 < t->count ? i + 1 : 0;
	return rc < 0 ? mye_path_field(&d->path, rc, t->fields[i].name) : 0;
}

static int find_missing(struct mye_mp_decoder *d, const struct myelon_type *t,
                        const struct fields *s, const struct mye_mp_item *item)
{
	for (uint32_t i = 0; i < t->count; i++) {
		int rc;

		if (s->seen[i / 64] >> i % 64 & 1 || t->fields[i].type->kind == MYELON_TYPE_OPTION)
			continue;
		rc = mye_path_fail(&d->path, -EBADMSG, "the map at byte %zu does not have it",
		                   item->at);
		return mye_path_field(&d->path, rc, t->fields[i].name);
	}
	return 0;
}

static int fill_named(struct mye_mp_decoder *d, const struct myelon_type *t,
                      const struct mye_mp_item *item, unsigned char *object)
{
	struct fields s;

	s.next = 0;
	memset(s.seen, 0, (t->count + 63) / 64 * sizeof(s.seen[0]));
	for (uint64_t n = item->n; n > 0; n--) {
		int rc = get_named(d, t, &s, object);

		if (rc < 0)
			return rc;
	}
	return find_missing(d, t, &s, item);
}

static int fill_struct(struct mye_mp_decoder *d, const struct myelon_type *t,
                       const struct mye_mp_item *item, unsigned char *object)
{
	bool tuple = t->kind == MYELON_TYPE_TUPLE;

	if (item->kind == MYE_MP_MAP && !tuple)
		return fill_named(d, t, item, object);
	if (item->kind != MYE_MP_ARRAY)
		return mye_mp_wrong(d, item, tuple ? "an array" : "a map, or an array,");
	if (item->n != t->count)
		return mye_mp_wrong_count(d, item, t->count);
	return get_fields(d, t, object);
}

/* What a variant carries: in a map of one the value behind the key, else nothing. */
static int get_payload(struct mye_mp_decoder *d, const struct myelon_field *f, bool map,
                       const struct mye_mp_item *item, unsigned char *object)
{
	struct mye_mp_item nil;
	int rc = 0;

	if (map && f->type)
		return get(d, f->type, object + f->offset);
	if (f->type)
		return mye_path_fail(&d->path, -EBADMSG,
		                     "the variant at byte %zu carries nothing and should",
		                     item->at);
	if (map)
		rc = mye_mp_next(&d->r, &nil);
	return rc == 0 && map && nil.kind != MYE_MP_NIL ? mye_mp_wrong(d, &nil, "nil") : rc;
}

static int fill_enum(struct mye_mp_decoder *d, const struct myelon_type *t,
                     const struct mye_mp_item *item, unsigned char *object)
{
	bool map = item->kind == MYE_MP_MAP;
	struct mye_mp_item key = *item;
	uint64_t tag;
	int rc = 0;

	if (map && item->n != 1)
		return mye_mp_wrong_count(d, item, 1);
	if (map)
		rc = mye_mp_next(&d->r, &key);
	if (rc < 0)
		return rc;
	if (key.kind != MYE_MP_STR && key.kind != MYE_MP_UINT)
		return mye_mp_wrong(d, &key, "the name or number of a variant");
	tag = key.kind == MYE_MP_UINT ? key.n : find(d, t, &key, 0);
	if (tag >= t->count)
		return mye_path_fail(&d->path, -EBADMSG, "there is no variant as at byte %zu",
		                     key.at);
	rc = mye_mp_skip(&d->r, &key);
	mye_bin_store(object, tag, sizeof(uint32_t));
	if (rc == 0)
		rc = get_payload(d, &t->fields[tag], map, item, object);
	return rc < 0 ? mye_path_field(&d->path, rc, t->fields[tag].name) : 0;
}

static int fill(struct mye_mp_decoder *d, const struct myelon_type *t,
                const struct mye_mp_item *item, unsigned char *object)
{
	switch ((enum myelon_type_kind)t->kind) {
	case MYELON_TYPE_VECTOR:
	case MYELON_TYPE_MAP:
		return fill_vector(d, t, item, object);
	case MYELON_TYPE_ARRAY:
		return fill_array(d, t, item, object);
	case MYELON_TYPE_OPTION:
		return fill_option(d, t, item, object);
	case MYELON_TYPE_BOX:
		return fill_box(d, t, item, object);
	case MYELON_TYPE_STRUCT:
	case MYELON_TYPE_TUPLE:
		return fill_struct(d, t, item, object);
	case MYELON_TYPE_ENUM:
		return fill_enum(d, t, item, object);
	default:
		return mye_mp_scalar(d, t, item, object);
	}
}

int mye_msgpack_decode(const struct myelon_codec *c, const void *data, size_t len, void *object,
                       struct myelon_arena *arena)
{
	const struct mye_msgpack *m = mye_msgpack_of(c);
	struct mye_mp_decoder d;
	int rc;

	d.r = (struct mye_mp_reader){.begin = data, .at = data, .path = &d.path};
	d.r.end = data ? d.r.begin + len : NULL;
	d.take = (struct mye_take){.arena = arena, .left = m->memory};
	d.flags = m->flags;
	d.depth = d.deeper = m->depth;
	memset(object, 0, c->object_size);
	rc = get(&d, c->type, object);
	if (rc == 0 && d.r.at != d.r.end)
		rc = mye_path_fail(&d.path, -EBADMSG, "it ends at byte %zu of %zu",
		                   (size_t)(d.r.at - d.r.begin), len);
	return rc < 0 ? mye_path_end(&d.path, rc, "msgpack", c->type) : 0;
}
