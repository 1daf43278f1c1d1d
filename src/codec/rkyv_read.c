/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One walk verifies an archive and, for decode, copies it. It follows the rule of rkyv's own validator: what a
 * value points to lies before the value and after all that was visited until then, parts in the order of the
 * description. So each byte belongs to one value, circles are impossible, and the work is that of one pass.
 *
 * Each byte of the archive is read once: others may write it meanwhile.
 */
#include "codec/rkyv.h"

#include <errno.h>
#include <string.h>

#include "codec/path.h"
#include "codec/utf8.h"

struct walk {
	const unsigned char *data;
	size_t low;  /* all below is taken */
	size_t high; /* the present object begins here, so what it points to ends here */
	struct myelon_arena *arena;
	uint32_t depth;
	struct mye_path path;
};

static uint8_t load8(const struct walk *w, size_t at)
{
	return myelon_once_u8_(w->data + at);
}

static uint16_t load16(const struct walk *w, size_t at)
{
	return myelon_once_u16_(w->data + at);
}

static uint32_t load32(const struct walk *w, size_t at)
{
	return myelon_once_u32_(w->data + at);
}

/* A pointer at @at: to @bytes at *to, aligned, where nothing else is. */
static int follow(struct walk *w, size_t at, int32_t offset, uint64_t bytes, uint32_t align,
                  size_t *to)
{
	int64_t t = (int64_t)at + offset;

	if (t < (int64_t)w->low || t > (int64_t)w->high || bytes > w->high - (uint64_t)t)
		return mye_path_fail(&w->path, -EBADMSG,
		                     "the pointer at byte %zu leads to %llu bytes at %lld; "
		                     "only those from %zu to %zu are not taken",
		                     at, (unsigned long long)bytes, (long long)t, w->low, w->high);
	if ((uint64_t)t & (align - 1))
		return mye_path_fail(
			&w->path, -EBADMSG,
			"the pointer at byte %zu leads to byte %lld, not aligned to %u", at,
			(long long)t, align);
	*to = (size_t)t;
	return 0;
}

/* NULL: there is no room, and the path says so. */
static unsigned char *take(struct walk *w, uint64_t bytes, uint32_t align)
{
	unsigned char *p = w->arena ? myelon_arena_alloc(w->arena, bytes, align) : NULL;

	if (!p)
		mye_path_fail(&w->path, -ENOMEM, "the arena has no room for %llu bytes",
		              (unsigned long long)bytes);
	return p;
}

static int value(struct walk *w, const struct myelon_rkyv_shape *s, size_t at, unsigned char *to);

static int text(struct walk *w, size_t at, unsigned char *to)
{
	int32_t offset = (int32_t)load32(w, at + 4);
	size_t from = at, len = (uint32_t)offset >> 24, good;
	struct myelon_text t;
	const void *bytes;
	unsigned char *copy;
	int rc = 0;

	if (offset < 0) {
		len = load32(w, at);
		rc = follow(w, at, offset, len, 1, &from);
		w->low = rc < 0 ? w->low : from + len;
	} else if (len > MYE_RKYV_INLINE) {
		rc = mye_path_fail(&w->path, -EBADMSG,
		                   "the string at byte %zu says it holds %zu bytes, at most 7 fit",
		                   at, len);
	}
	if (rc < 0)
		return rc;
	bytes = w->data + from;
	if (to) {
		copy = take(w, len, 1);
		if (!copy)
			return -ENOMEM;
		bytes = len ? memcpy(copy, bytes, len) : copy;
	}
	good = mye_utf8_good(bytes, len);
	if (good != len)
		return mye_path_fail(&w->path, -EBADMSG, "no UTF-8 at byte %zu", from + good);
	t = (struct myelon_text){.data = bytes, .len = len};
	if (to)
		memcpy(to, &t, sizeof(t));
	return 0;
}

/* @count values, archived at @at, in C at @to. */
static int values(struct walk *w, const struct myelon_rkyv_shape *e, size_t count, size_t at,
                  unsigned char *to)
{
	if (!to && e->flags & MYE_RKYV_PLAIN)
		return 0;
	if (to && e->flags & MYE_RKYV_DENSE) {
		if (count)
			memcpy(to, w->data + at, count * e->size);
		return 0;
	}
	if (e->size == 0)
		return 0;
	for (size_t i = 0; i < count; i++) {
		int rc = value(w, e, at + i * e->size, to ? to + i * e->type->size : NULL);

		if (rc < 0)
			return mye_path_element(&w->path, rc, i);
	}
	return 0;
}

/* What a vector or box points to. */
static int pointed_to(struct walk *w, const struct myelon_rkyv_shape *s, size_t at, uint32_t count,
                      void *to)
{
	const struct myelon_rkyv_shape *e = s->element;
	uint64_t bytes = (uint64_t)count * e->size, c_bytes = (uint64_t)count * e->type->size;
	size_t from = 0, high = w->high;
	unsigned char *copy = NULL;
	int rc = follow(w, at, (int32_t)load32(w, at), bytes, e->align, &from);

	if (rc == 0 && w->depth == MYE_VALUE_DEPTH)
		rc = mye_path_fail(&w->path, -EBADMSG, "more than %u values are nested",
		                   MYE_VALUE_DEPTH);
	if (rc < 0)
		return rc;
	if (to) {
		copy = take(w, c_bytes, e->type->align);
		if (!copy)
			return -ENOMEM;
		if (c_bytes && !(e->flags & MYE_RKYV_DENSE))
			memset(copy, 0, c_bytes);
		memcpy(to, &copy, sizeof(copy));
	}
	w->high = from;
	w->depth++;
	rc = s->kind == MYELON_TYPE_BOX ? value(w, e, from, copy) : values(w, e, count, from, copy);
	w->depth--;
	w->high = high;
	w->low = from + bytes;
	return rc;
}

static int vector(struct walk *w, const struct myelon_rkyv_shape *s, size_t at, unsigned char *to)
{
	struct myelon_vector v = {NULL, load32(w, at + 4)};
	int rc = pointed_to(w, s, at, (uint32_t)v.count, to ? &v.data : NULL);

	if (rc == 0 && to)
		memcpy(to, &v, sizeof(v));
	return rc;
}

static int option(struct walk *w, const struct myelon_rkyv_shape *s, size_t at, unsigned char *to)
{
	uint8_t present = load8(w, at);

	if (present > 1)
		return mye_path_fail(&w->path, -EBADMSG, "the option at byte %zu is %u, not 0 or 1",
		                     at, present);
	if (to)
		*to = present;
	if (!present)
		return 0;
	return value(w, s->element, at + s->offset, to ? to + s->type->offset : NULL);
}

static int one_field(struct walk *w, const struct myelon_rkyv_part *p, size_t at, unsigned char *to)
{
	int rc;

	if (to && p->shape->flags & MYE_RKYV_DENSE) {
		mye_rkyv_copy(to + p->c_offset, w->data + at + p->offset, p->shape->size);
		return 0;
	}
	rc = value(w, p->shape, at + p->offset, to ? to + p->c_offset : NULL);
	return rc < 0 ? mye_path_field(&w->path, rc, p->name) : 0;
}

static int fields(struct walk *w, const struct myelon_rkyv_shape *s, size_t at, unsigned char *to)
{
	int rc = 0;

	if (to)
		for (uint32_t i = 0; rc == 0 && i < s->count; i++)
			rc = one_field(w, &s->parts[i], at, to);
	else
		for (uint32_t i = 0; rc == 0 && i < s->rough_count; i++)
			rc = one_field(w, &s->parts[s->rough[i]], at, NULL);
	return rc;
}

static int variant(struct walk *w, const struct myelon_rkyv_shape *s, size_t at, unsigned char *to)
{
	uint32_t tag = s->count < 256 ? load8(w, at) : load16(w, at);

	if (tag >= s->count)
		return mye_path_fail(&w->path, -EBADMSG,
		                     "the tag at byte %zu is %u, of %u variants", at, tag,
		                     s->count);
	if (to)
		memcpy(to, &tag, sizeof(tag));
	return s->parts[tag].shape ? one_field(w, &s->parts[tag], at, to) : 0;
}

static int boolean(struct walk *w, size_t at, unsigned char *to)
{
	uint8_t b = load8(w, at);

	if (b > 1)
		return mye_path_fail(&w->path, -EBADMSG, "the bool at byte %zu is %u", at, b);
	if (to)
		*to = b;
	return 0;
}

static int character(struct walk *w, size_t at, unsigned char *to)
{
	uint32_t c = load32(w, at);

	if (!mye_utf8_is_scalar(c))
		return mye_path_fail(&w->path, -EBADMSG, "the char at byte %zu is 0x%x", at, c);
	if (to)
		memcpy(to, &c, sizeof(c));
	return 0;
}

/* @to NULL: verify only. */
static int value(struct walk *w, const struct myelon_rkyv_shape *s, size_t at, unsigned char *to)
{
	switch ((enum myelon_type_kind)s->kind) {
	case MYELON_TYPE_BOOL:
		return boolean(w, at, to);
	case MYELON_TYPE_CHAR:
		return character(w, at, to);
	case MYELON_TYPE_STRING:
		return text(w, at, to);
	case MYELON_TYPE_BYTES:
	case MYELON_TYPE_VECTOR:
	case MYELON_TYPE_MAP:
		return vector(w, s, at, to);
	case MYELON_TYPE_ARRAY:
		return values(w, s->element, s->count, at, to);
	case MYELON_TYPE_OPTION:
		return option(w, s, at, to);
	case MYELON_TYPE_BOX:
		return pointed_to(w, s, at, 1, to);
	case MYELON_TYPE_STRUCT:
	case MYELON_TYPE_TUPLE:
		return fields(w, s, at, to);
	case MYELON_TYPE_ENUM:
		return variant(w, s, at, to);
	default:
		if (to)
			mye_rkyv_copy(to, w->data + at, s->size);
		return 0;
	}
}

int mye_rkyv_read(const struct myelon_rkyv_shape *top, const void *data, size_t len, void *object,
                  struct myelon_arena *arena)
{
	struct walk w;
	int rc = 0;

	w.data = data;
	w.low = 0;
	w.high = len - top->size;
	w.arena = arena;
	w.depth = 0;
	if (len < top->size || w.high & (top->align - 1))
		rc = mye_path_fail(&w.path, -EBADMSG,
		                   "%zu bytes cannot end with an object of %u, aligned to %u", len,
		                   top->size, top->align);
	if (rc == 0 && object)
		memset(object, 0, top->type->size);
	if (rc == 0)
		rc = value(&w, top, w.high, object);
	return rc < 0 ? mye_path_end(&w.path, rc, "rkyv", top->type) : 0;
}
