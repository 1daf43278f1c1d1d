/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * From bytes that anybody may have written to an object. Each byte is read once; a count is compared with the bytes
 * that are left before memory is taken for it.
 */
#include "codec/bincode.h"

#include <errno.h>

#include "codec/bincode_run.h"
#include "codec/path.h"
#include "codec/take.h"

struct decoder {
	struct myelon_bincode_reader r;
	struct mye_take memory;
	uint32_t depth;
	uint32_t deeper; /* levels that are still allowed */
	struct mye_path path;
};

static int get(struct decoder *d, const struct mye_bin_node *n, unsigned char *object);

static __attribute__((cold)) int fault(struct decoder *d)
{
	char reason[MYE_BIN_REASON];

	mye_bin_reason(&d->r, reason);
	mye_path_fail(&d->path, -EBADMSG, "%s", reason);
	return -EBADMSG;
}

static int result(struct decoder *d, int rc)
{
	return rc < 0 ? fault(d) : 0;
}

static int enter(struct decoder *d)
{
	if (d->deeper == 0) {
		mye_path_fail(&d->path, -EBADMSG,
		              "at byte %zu it is nested deeper than %u vectors and boxes",
		              (size_t)(d->r.at - d->r.begin), d->depth);
		return -EBADMSG;
	}
	d->deeper--;
	return 0;
}

static int get_uint(struct decoder *d, uint32_t width, unsigned char *object)
{
	uint64_t n;

	if (mye_bin_get_uint(&d->r, width, &n) < 0)
		return fault(d);
	mye_bin_store(object, n, width);
	return 0;
}

static int get_int(struct decoder *d, uint32_t width, unsigned char *object)
{
	int64_t n;

	if (mye_bin_get_int(&d->r, width, &n) < 0)
		return fault(d);
	mye_bin_store(object, (uint64_t)n, width);
	return 0;
}

static int get_wide(struct decoder *d, unsigned char *object, bool has_sign)
{
	unsigned __int128 u = 0;
	__int128 i = 0;
	int rc = has_sign ? mye_bin_get_int_wide(&d->r, &i) : mye_bin_get_wide(&d->r, &u);

	if (rc < 0)
		return fault(d);
	if (has_sign)
		u = (unsigned __int128)i;
	memcpy(object, &u, sizeof(u));
	return 0;
}

static int get_bool(struct decoder *d, unsigned char *object)
{
	bool v;

	if (mye_bin_get_bool(&d->r, &v) < 0)
		return fault(d);
	*object = v;
	return 0;
}

static int get_letter(struct decoder *d, unsigned char *object)
{
	uint32_t c;

	if (mye_bin_get_char(&d->r, &c) < 0)
		return fault(d);
	memcpy(object, &c, sizeof(c));
	return 0;
}

/* Copied first, then looked at. */
static int get_text(struct decoder *d, unsigned char *object)
{
	struct myelon_text t = {.data = NULL};
	const unsigned char *from;
	size_t good;
	int rc = 0;
	void *to;

	if (mye_bin_get_count(&d->r, 1, &t.len) < 0)
		return fault(d);
	if (t.len == 0)
		return 0;
	to = mye_take(&d->memory, &d->path, t.len, 1, 1, &rc);
	if (!to)
		return rc;
	from = d->r.at;
	mye_bin_get_raw(&d->r, to, t.len);
	good = mye_utf8_good(to, t.len);
	if (good < t.len) {
		d->r.at = from;
		mye_bin_bad(&d->r, MYE_BIN_TEXT, good, 0);
		return fault(d);
	}
	t.data = to;
	memcpy(object, &t, sizeof(t));
	return 0;
}

/* ---- what has parts ---- */

static int get_elements(struct decoder *d, const struct mye_bin_node *n, unsigned char *at,
                        size_t count)
{
	size_t i = 0;
	int rc = 0;

	if (mye_bin_runs(n->op)) {
		rc = result(d, mye_bin_get_run(&d->r, n->op, n->size, at, count, &i));
	} else {
		for (; i < count; i++) {
			rc = get(d, n, at + i * n->size);
			if (rc < 0)
				break;
		}
	}
	return rc < 0 ? mye_path_element(&d->path, rc, i) : 0;
}

static int get_vector(struct decoder *d, const struct mye_bin_node *n, unsigned char *object)
{
	const struct mye_bin_node *e = n->element;
	struct myelon_vector v = {.data = NULL};
	void *to;
	int rc;

	if (mye_bin_get_count(&d->r, e->least, &v.count) < 0)
		return fault(d);
	if (v.count == 0)
		return 0;
	rc = enter(d);
	if (rc != 0)
		return rc;
	to = mye_take(&d->memory, &d->path, v.count, e->size, e->align, &rc);
	if (!to)
		return rc;
	/* What the description does not know is zero. */
	if (!mye_bin_runs(e->op))
		memset(to, 0, v.count * e->size);
	v.data = to;
	memcpy(object, &v, sizeof(v));
	rc = get_elements(d, e, to, v.count);
	d->deeper++;
	return rc;
}

static int get_box(struct decoder *d, const struct mye_bin_node *n, unsigned char *object)
{
	const struct mye_bin_node *e = n->element;
	void *to;
	int rc = enter(d);

	if (rc != 0)
		return rc;
	to = mye_take(&d->memory, &d->path, 1, e->size, e->align, &rc);
	if (!to)
		return rc;
	memset(to, 0, e->size);
	memcpy(object, &to, sizeof(to));
	rc = get(d, e, to);
	d->deeper++;
	return rc;
}

static int get_option(struct decoder *d, const struct mye_bin_node *n, unsigned char *object)
{
	bool present;

	if (mye_bin_get_bool(&d->r, &present) < 0)
		return fault(d);
	*object = present;
	return present ? get(d, n->element, object + n->offset) : 0;
}

static int get_fields(struct decoder *d, const struct mye_bin_node *n, unsigned char *object)
{
	for (uint32_t i = 0; i < n->count; i++) {
		const struct mye_bin_part *p = &n->parts[i];
		int rc = get(d, p->node, object + p->offset);

		if (rc < 0)
			return mye_path_field(&d->path, rc, p->name);
	}
	return 0;
}

static int get_variant(struct decoder *d, const struct mye_bin_node *n, unsigned char *object)
{
	const struct mye_bin_part *p;
	uint32_t tag;
	int rc;

	if (mye_bin_get_variant(&d->r, n->count, &tag) < 0)
		return fault(d);
	memcpy(object, &tag, sizeof(tag));
	p = &n->parts[tag];
	rc = p->node ? get(d, p->node, object + p->offset) : 0;
	return rc < 0 ? mye_path_field(&d->path, rc, p->name) : 0;
}

static int get(struct decoder *d, const struct mye_bin_node *n, unsigned char *object)
{
	switch (n->op) {
	case MYE_BIN_RAW:
		return result(d, mye_bin_get_raw(&d->r, object, n->size));
	case MYE_BIN_UINT:
		return get_uint(d, n->size, object);
	case MYE_BIN_INT:
		return get_int(d, n->size, object);
	case MYE_BIN_UINT_WIDE:
		return get_wide(d, object, false);
	case MYE_BIN_INT_WIDE:
		return get_wide(d, object, true);
	case MYE_BIN_TRUTH:
		return get_bool(d, object);
	case MYE_BIN_LETTER:
		return get_letter(d, object);
	case MYE_BIN_STRING:
		return get_text(d, object);
	case MYE_BIN_VECTOR:
		return get_vector(d, n, object);
	case MYE_BIN_ARRAY:
		return get_elements(d, n->element, object, n->count);
	case MYE_BIN_OPTION:
		return get_option(d, n, object);
	case MYE_BIN_BOX:
		return get_box(d, n, object);
	case MYE_BIN_STRUCT:
		return get_fields(d, n, object);
	case MYE_BIN_ENUM:
		return get_variant(d, n, object);
	}
	return -EINVAL;
}

int mye_bincode_decode(const struct myelon_codec *c, const void *data, size_t len, void *object,
                       struct myelon_arena *arena)
{
	const struct mye_bincode *b = mye_bincode_of(c);
	const struct mye_bin_node *top = b->plan.nodes;
	struct decoder d;
	int rc;

	d.r = mye_bin_reader(data, len, b->plan.encoding);
	d.memory = (struct mye_take){.arena = arena, .left = b->memory};
	d.depth = d.deeper = b->depth;
	memset(object, 0, top->size);
	rc = get(&d, top, object);
	if (rc == 0 && b->refuse_trailing && d.r.at != d.r.end)
		rc = mye_path_fail(&d.path, -EBADMSG, "it ends at byte %zu of %zu",
		                   (size_t)(d.r.at - d.r.begin), len);
	return rc < 0 ? mye_path_end(&d.path, rc, "bincode", top->type) : 0;
}
