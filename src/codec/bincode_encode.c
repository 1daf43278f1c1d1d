/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One walk over an object, compiled twice: put() writes, measure() counts what put() would write. Neither allocates.
 */
#include "codec/bincode.h"

#include <errno.h>

#include "base/error.h"
#include "codec/bincode_run.h"
#include "codec/path.h"

struct walk {
	struct myelon_bincode_writer w; /* put */
	uint64_t bytes;                 /* measure */
	uint32_t encoding;
	uint32_t deeper; /* levels that are still allowed */
	struct mye_path path;
};

enum what { PUT, MEASURE };
#define TWICE static inline __attribute__((always_inline))

static int put(struct walk *k, const struct mye_bin_node *n, const unsigned char *object);
static int measure(struct walk *k, const struct mye_bin_node *n, const unsigned char *object);

TWICE int walk(struct walk *k, const struct mye_bin_node *n, const unsigned char *object,
               enum what what)
{
	return what == PUT ? put(k, n, object) : measure(k, n, object);
}

static int too_large(struct walk *k)
{
	return mye_path_fail(&k->path, -EMSGSIZE, "it is too large for a message");
}

static int no_room(struct walk *k)
{
	return mye_path_fail(&k->path, -EMSGSIZE, "it does not fit: there is room for %zu bytes",
	                     (size_t)(k->w.end - k->w.begin));
}

TWICE int add(struct walk *k, uint64_t bytes)
{
	if (__builtin_add_overflow(k->bytes, bytes, &k->bytes) || k->bytes > INT64_MAX)
		return too_large(k);
	return 0;
}

TWICE int put_result(struct walk *k, int rc)
{
	return rc < 0 ? no_room(k) : 0;
}

TWICE int uint_of(struct walk *k, uint64_t n, uint32_t width, enum what what)
{
	if (what == MEASURE)
		return add(k, mye_bin_size(k->encoding, n, width));
	return put_result(k, mye_bin_put_uint(&k->w, n, width));
}

TWICE int raw(struct walk *k, const void *from, size_t bytes, enum what what)
{
	if (what == MEASURE)
		return add(k, bytes);
	return put_result(k, mye_bin_put_raw(&k->w, from, bytes));
}

TWICE int wide(struct walk *k, const unsigned char *object, bool has_sign, enum what what)
{
	unsigned __int128 n;

	memcpy(&n, object, sizeof(n));
	if (has_sign)
		n = mye_bin_zigzag_wide((__int128)n);
	if (what == MEASURE)
		return add(k, mye_bin_size_wide(k->encoding, n));
	return put_result(k, mye_bin_put_wide(&k->w, n));
}

TWICE int letter(struct walk *k, const unsigned char *object, enum what what)
{
	uint32_t c;

	memcpy(&c, object, sizeof(c));
	if (!mye_utf8_is_scalar(c))
		return mye_path_fail(&k->path, -EINVAL, "0x%x is no Unicode scalar value", c);
	if (what == MEASURE)
		return add(k, mye_utf8_size(c));
	return put_result(k, mye_bin_put_char(&k->w, c));
}

static int no_data(struct walk *k)
{
	return mye_path_fail(&k->path, -EINVAL, "its data is NULL");
}

TWICE int text(struct walk *k, const unsigned char *object, enum what what)
{
	struct myelon_text t;
	size_t good;
	int rc;

	memcpy(&t, object, sizeof(t));
	if (!t.data && t.len)
		return no_data(k);
	good = what == PUT ? mye_utf8_good(t.data, t.len) : t.len;
	if (good < t.len)
		return mye_path_fail(&k->path, -EINVAL, "its byte %zu is not UTF-8", good);
	rc = uint_of(k, t.len, MYE_BIN_LEN_WIDTH, what);
	return rc < 0 ? rc : raw(k, t.data, t.len, what);
}

/* ---- what has parts ---- */

TWICE int elements(struct walk *k, const struct mye_bin_node *n, const unsigned char *at,
                   size_t count, enum what what)
{
	uint64_t bytes;

	if (what == MEASURE && n->exact)
		return __builtin_mul_overflow(count, n->least, &bytes) ? too_large(k)
		                                                       : add(k, bytes);
	if (what == MEASURE && mye_bin_runs(n->op))
		return add(k, mye_bin_run_size(k->encoding, n->op, n->size, at, count));
	if (mye_bin_runs(n->op))
		return put_result(k, mye_bin_put_run(&k->w, n->op, n->size, at, count));
	for (size_t i = 0; i < count; i++) {
		int rc = walk(k, n, at + i * n->size, what);

		if (rc < 0)
			return mye_path_element(&k->path, rc, i);
	}
	return 0;
}

static int too_deep(struct walk *k)
{
	return mye_path_fail(&k->path, -EINVAL, "it is nested too deep");
}

TWICE int vector(struct walk *k, const struct mye_bin_node *n, const unsigned char *object,
                 enum what what)
{
	struct myelon_vector v;
	int rc;

	memcpy(&v, object, sizeof(v));
	rc = uint_of(k, v.count, MYE_BIN_LEN_WIDTH, what);
	if (rc < 0 || v.count == 0)
		return rc;
	if (!v.data)
		return no_data(k);
	if (k->deeper == 0)
		return too_deep(k);
	if (n->element->least == 0 && v.count > MYE_BIN_EMPTY_MAX)
		return mye_path_fail(&k->path, -EINVAL,
		                     "%zu elements that may take no bytes: at most %u are allowed",
		                     v.count, MYE_BIN_EMPTY_MAX);
	k->deeper--;
	rc = elements(k, n->element, v.data, v.count, what);
	k->deeper++;
	return rc;
}

TWICE int box(struct walk *k, const struct mye_bin_node *n, const unsigned char *object,
              enum what what)
{
	const unsigned char *value;
	int rc;

	memcpy(&value, object, sizeof(value));
	if (!value)
		return no_data(k);
	if (k->deeper == 0)
		return too_deep(k);
	k->deeper--;
	rc = walk(k, n->element, value, what);
	k->deeper++;
	return rc;
}

TWICE int option(struct walk *k, const struct mye_bin_node *n, const unsigned char *object,
                 enum what what)
{
	bool present = *object != 0;
	int rc = uint_of(k, present, 1, what);

	return rc == 0 && present ? walk(k, n->element, object + n->offset, what) : rc;
}

TWICE int fields(struct walk *k, const struct mye_bin_node *n, const unsigned char *object,
                 enum what what)
{
	for (uint32_t i = 0; i < n->count; i++) {
		const struct mye_bin_part *p = &n->parts[i];
		int rc = walk(k, p->node, object + p->offset, what);

		if (rc < 0)
			return mye_path_field(&k->path, rc, p->name);
	}
	return 0;
}

TWICE int variant(struct walk *k, const struct mye_bin_node *n, const unsigned char *object,
                  enum what what)
{
	const struct mye_bin_part *p;
	uint32_t tag;
	int rc;

	memcpy(&tag, object, sizeof(tag));
	if (tag >= n->count)
		return mye_path_fail(&k->path, -EINVAL, "the tag is %u: there are %u variants", tag,
		                     n->count);
	p = &n->parts[tag];
	rc = uint_of(k, tag, MYE_BIN_VARIANT_WIDTH, what);
	if (rc < 0 || !p->node)
		return rc;
	rc = walk(k, p->node, object + p->offset, what);
	return rc < 0 ? mye_path_field(&k->path, rc, p->name) : 0;
}

TWICE int value(struct walk *k, const struct mye_bin_node *n, const unsigned char *object,
                enum what what)
{
	switch (n->op) {
	case MYE_BIN_RAW:
		return raw(k, object, n->size, what);
	case MYE_BIN_UINT:
		return uint_of(k, mye_bin_uint_at(object, n->size), n->size, what);
	case MYE_BIN_INT:
		/* INT is of varints only. */
		return uint_of(k, mye_bin_zigzag(mye_bin_int_at(object, n->size)), n->size, what);
	case MYE_BIN_UINT_WIDE:
		return wide(k, object, false, what);
	case MYE_BIN_INT_WIDE:
		return wide(k, object, true, what);
	case MYE_BIN_TRUTH:
		return uint_of(k, *object != 0, 1, what);
	case MYE_BIN_LETTER:
		return letter(k, object, what);
	case MYE_BIN_STRING:
		return text(k, object, what);
	case MYE_BIN_VECTOR:
		return vector(k, n, object, what);
	case MYE_BIN_ARRAY:
		return elements(k, n->element, object, n->count, what);
	case MYE_BIN_OPTION:
		return option(k, n, object, what);
	case MYE_BIN_BOX:
		return box(k, n, object, what);
	case MYE_BIN_STRUCT:
		return fields(k, n, object, what);
	case MYE_BIN_ENUM:
		return variant(k, n, object, what);
	}
	return -EINVAL;
}

static int put(struct walk *k, const struct mye_bin_node *n, const unsigned char *object)
{
	return value(k, n, object, PUT);
}

static int measure(struct walk *k, const struct mye_bin_node *n, const unsigned char *object)
{
	return value(k, n, object, MEASURE);
}

/* ---- the codec's functions ---- */

static int end(struct walk *k, const struct mye_bincode *b, int rc)
{
	return mye_path_end(&k->path, rc, "bincode", b->plan.nodes[0].type);
}

int64_t mye_bincode_bound(const struct myelon_codec *c, const void *object)
{
	const struct mye_bincode *b = mye_bincode_of(c);
	struct walk k;
	int rc;

	k.bytes = 0;
	k.encoding = b->plan.encoding;
	k.deeper = b->depth;
	rc = measure(&k, b->plan.nodes, object);
	return rc < 0 ? end(&k, b, rc) : (int64_t)k.bytes;
}

int64_t mye_bincode_encode(const struct myelon_codec *c, const void *object, void *buf, size_t cap)
{
	const struct mye_bincode *b = mye_bincode_of(c);
	struct walk k;
	int rc;

	k.w = mye_bin_writer(buf, cap, b->plan.encoding);
	k.encoding = b->plan.encoding;
	k.deeper = b->depth;
	rc = put(&k, b->plan.nodes, object);
	return rc < 0 ? end(&k, b, rc) : k.w.at - k.w.begin;
}
