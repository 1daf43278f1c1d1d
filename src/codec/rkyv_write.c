/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Archives as rkyv::to_bytes() writes them: what a value points to comes first, part by part, then the value.
 *
 * The crate keeps on a heap where the parts of unfinished values went. Here the place of a value is found out
 * before anything it points to is written, by adding up the sizes of that; then each part is written and
 * pointed to at once. Bytes are added up once per level of vectors and boxes they are in, which costs less than
 * a heap as long as few are nested.
 */
#include "codec/rkyv.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "codec/path.h"
#include "codec/utf8.h"

struct writer {
	unsigned char *buf;
	uint64_t pos; /* written up to here, but for places reserved beyond */
	uint64_t cap; /* the end of the archive */
	uint32_t depth;
	struct mye_path path;
};

static uint32_t tag_of(const unsigned char *from)
{
	uint32_t tag;

	memcpy(&tag, from, sizeof(tag));
	return tag;
}

static const void *box_of(const unsigned char *from)
{
	const void *p;

	memcpy(&p, from, sizeof(p));
	return p;
}

static struct myelon_vector vector_of(const unsigned char *from)
{
	struct myelon_vector v;

	memcpy(&v, from, sizeof(v));
	return v;
}

static struct myelon_text text_of(const unsigned char *from)
{
	struct myelon_text t;

	memcpy(&t, from, sizeof(t));
	return t;
}

/* Room for @count of @size after @pos. @return its end. */
static int64_t reserve(struct writer *w, uint64_t pos, uint32_t align, uint64_t count,
                       uint32_t size)
{
	uint64_t bytes;

	pos = mye_rkyv_align(pos, align);
	if (count > UINT32_MAX || __builtin_mul_overflow(count, size, &bytes) ||
	    pos + bytes > MYE_RKYV_MAX)
		return mye_path_fail(
			&w->path, -EMSGSIZE,
			"%llu elements of %u bytes do not fit into an archive of 2 GiB",
			(unsigned long long)count, size);
	return (int64_t)(pos + bytes);
}

/*
 * Where the bytes end that are written, from @pos on, before the value at @from. What does not depend on the
 * position is checked here and relied on by put().
 */
static int64_t before(struct writer *w, const struct myelon_rkyv_shape *s,
                      const unsigned char *from, uint64_t pos);

static int64_t before_all(struct writer *w, const struct myelon_rkyv_shape *e,
                          const unsigned char *from, uint64_t count, uint64_t pos)
{
	int64_t end = (int64_t)pos;

	if (e->flags & MYE_RKYV_SURE)
		return end;
	for (uint64_t i = 0; i < count; i++) {
		end = before(w, e, from + i * e->type->size, (uint64_t)end);
		if (end < 0)
			return mye_path_element(&w->path, (int)end, i);
	}
	return end;
}

/* @count values behind a pointer, with all they point to themselves. */
static int64_t with_pointed_to(struct writer *w, const struct myelon_rkyv_shape *s,
                               const unsigned char *from, uint64_t count, uint64_t pos)
{
	const struct myelon_rkyv_shape *e = s->element;
	int64_t end;

	if (w->depth == MYE_VALUE_DEPTH)
		return mye_path_fail(&w->path, -EINVAL, "more than %u values are nested",
		                     MYE_VALUE_DEPTH);
	/* First, so that a wrong count is found before what it counts is read. */
	end = reserve(w, pos, e->align, count, e->size);
	if (end < 0)
		return end;
	w->depth++;
	end = s->kind == MYELON_TYPE_BOX ? before(w, e, from, pos)
	                                 : before_all(w, e, from, count, pos);
	w->depth--;
	return end < 0 ? end : reserve(w, (uint64_t)end, e->align, count, e->size);
}

static int64_t before_text(struct writer *w, const unsigned char *from, uint64_t pos)
{
	struct myelon_text t = text_of(from);

	return t.len <= MYE_RKYV_INLINE ? (int64_t)pos : reserve(w, pos, 1, t.len, 1);
}

static int64_t before_box(struct writer *w, const struct myelon_rkyv_shape *s,
                          const unsigned char *from, uint64_t pos)
{
	const void *p = box_of(from);

	if (!p)
		return mye_path_fail(&w->path, -EINVAL, "the box is NULL");
	return with_pointed_to(w, s, p, 1, pos);
}

static int64_t before_field(struct writer *w, const struct myelon_rkyv_part *p,
                            const unsigned char *from, uint64_t pos)
{
	int64_t end;

	if (p->shape->flags & MYE_RKYV_SURE)
		return (int64_t)pos;
	end = before(w, p->shape, from + p->c_offset, pos);
	return end < 0 ? mye_path_field(&w->path, (int)end, p->name) : end;
}

static int64_t before_fields(struct writer *w, const struct myelon_rkyv_shape *s,
                             const unsigned char *from, uint64_t pos)
{
	int64_t end = (int64_t)pos;

	for (uint32_t i = 0; end >= 0 && i < s->rough_count; i++)
		end = before_field(w, &s->parts[s->rough[i]], from, (uint64_t)end);
	return end;
}

static int64_t before_variant(struct writer *w, const struct myelon_rkyv_shape *s,
                              const unsigned char *from, uint64_t pos)
{
	uint32_t tag = tag_of(from);

	if (tag >= s->count)
		return mye_path_fail(&w->path, -EINVAL, "the tag is %u, of %u variants", tag,
		                     s->count);
	return s->parts[tag].shape ? before_field(w, &s->parts[tag], from, pos) : (int64_t)pos;
}

static int64_t before(struct writer *w, const struct myelon_rkyv_shape *s,
                      const unsigned char *from, uint64_t pos)
{
	struct myelon_vector v;

	switch ((enum myelon_type_kind)s->kind) {
	case MYELON_TYPE_STRING:
		return before_text(w, from, pos);
	case MYELON_TYPE_BYTES:
	case MYELON_TYPE_VECTOR:
	case MYELON_TYPE_MAP:
		v = vector_of(from);
		return with_pointed_to(w, s, v.data, v.count, pos);
	case MYELON_TYPE_ARRAY:
		return before_all(w, s->element, from, s->count, pos);
	case MYELON_TYPE_OPTION:
		return *from ? before(w, s->element, from + s->type->offset, pos) : (int64_t)pos;
	case MYELON_TYPE_BOX:
		return before_box(w, s, from, pos);
	case MYELON_TYPE_STRUCT:
	case MYELON_TYPE_TUPLE:
		return before_fields(w, s, from, pos);
	case MYELON_TYPE_ENUM:
		return before_variant(w, s, from, pos);
	default:
		return (int64_t)pos;
	}
}

static int put(struct writer *w, const struct myelon_rkyv_shape *s, const unsigned char *from,
               uint64_t at);

static void put32(const struct writer *w, uint64_t at, uint32_t n)
{
	memcpy(w->buf + at, &n, sizeof(n));
}

/* The way from @at back to @to. */
static void put_pointer(const struct writer *w, uint64_t at, uint64_t to)
{
	put32(w, at, (uint32_t)((int64_t)to - (int64_t)at));
}

/* It was added up before, so only this can be. */
static int changed(struct writer *w)
{
	return mye_path_fail(&w->path, -EINVAL, "it changed while it was encoded");
}

static int put_text(struct writer *w, const unsigned char *from, uint64_t at)
{
	struct myelon_text t = text_of(from);
	size_t good = mye_utf8_good(t.data, t.len);

	if (good != t.len)
		return mye_path_fail(&w->path, -EINVAL, "no UTF-8 at byte %zu of the string", good);
	if (t.len <= MYE_RKYV_INLINE) {
		if (t.len)
			memcpy(w->buf + at, t.data, t.len);
		w->buf[at + MYE_RKYV_INLINE] = (unsigned char)t.len;
		return 0;
	}
	if (t.len > w->cap - w->pos)
		return changed(w);
	memcpy(w->buf + w->pos, t.data, t.len);
	put32(w, at, (uint32_t)t.len);
	put_pointer(w, at + 4, w->pos + 4);
	w->pos += t.len;
	return 0;
}

static int put_all(struct writer *w, const struct myelon_rkyv_shape *e, const unsigned char *from,
                   uint64_t count, uint64_t at)
{
	if (e->flags & MYE_RKYV_DENSE) {
		if (count)
			memcpy(w->buf + at, from, count * e->size);
		return 0;
	}
	for (uint64_t i = 0; i < count; i++) {
		int rc = put(w, e, from + i * e->type->size, at + i * e->size);

		if (rc < 0)
			return mye_path_element(&w->path, rc, i);
	}
	return 0;
}

/* What @at points to. The place of the values begins where all that they point to ends. */
static int put_pointed_to(struct writer *w, const struct myelon_rkyv_shape *s,
                          const unsigned char *from, uint64_t count, uint64_t at)
{
	const struct myelon_rkyv_shape *e = s->element;
	int64_t end = e->flags & MYE_RKYV_FLAT ? reserve(w, w->pos, e->align, count, e->size)
	                                       : with_pointed_to(w, s, from, count, w->pos);
	uint64_t bytes = count * e->size, start;
	int rc;

	if (end < 0 || (uint64_t)end > w->cap)
		return end < 0 ? (int)end : changed(w);
	start = (uint64_t)end - bytes;
	/* Padding is zero, in the values and before them. */
	if (!(e->flags & MYE_RKYV_DENSE))
		memset(w->buf + start, 0, bytes);
	w->depth++;
	rc = s->kind == MYELON_TYPE_BOX ? put(w, e, from, start)
	                                : put_all(w, e, from, count, start);
	w->depth--;
	if (rc < 0)
		return rc;
	memset(w->buf + w->pos, 0, start - w->pos);
	put_pointer(w, at, start);
	w->pos = (uint64_t)end;
	return 0;
}

static int put_vector(struct writer *w, const struct myelon_rkyv_shape *s,
                      const unsigned char *from, uint64_t at)
{
	struct myelon_vector v = vector_of(from);

	put32(w, at + 4, (uint32_t)v.count);
	return put_pointed_to(w, s, v.data, v.count, at);
}

static int put_field(struct writer *w, const struct myelon_rkyv_part *p, const unsigned char *from,
                     uint64_t at)
{
	int rc;

	if (p->shape->flags & MYE_RKYV_DENSE) {
		mye_rkyv_copy(w->buf + at + p->offset, from + p->c_offset, p->shape->size);
		return 0;
	}
	rc = put(w, p->shape, from + p->c_offset, at + p->offset);
	return rc < 0 ? mye_path_field(&w->path, rc, p->name) : 0;
}

static int put_variant(struct writer *w, const struct myelon_rkyv_shape *s,
                       const unsigned char *from, uint64_t at)
{
	uint32_t tag = tag_of(from);
	uint16_t wide = (uint16_t)tag;

	if (s->count < 256)
		w->buf[at] = (unsigned char)tag;
	else
		memcpy(w->buf + at, &wide, sizeof(wide));
	return s->parts[tag].shape ? put_field(w, &s->parts[tag], from, at) : 0;
}

static int put_char(struct writer *w, const unsigned char *from, uint64_t at)
{
	uint32_t c = tag_of(from);

	if (!mye_utf8_is_scalar(c))
		return mye_path_fail(&w->path, -EINVAL, "0x%x is no Unicode scalar value", c);
	put32(w, at, c);
	return 0;
}

static int put(struct writer *w, const struct myelon_rkyv_shape *s, const unsigned char *from,
               uint64_t at)
{
	int rc = 0;

	switch ((enum myelon_type_kind)s->kind) {
	case MYELON_TYPE_BOOL:
		w->buf[at] = *from != 0;
		return 0;
	case MYELON_TYPE_CHAR:
		return put_char(w, from, at);
	case MYELON_TYPE_STRING:
		return put_text(w, from, at);
	case MYELON_TYPE_BYTES:
	case MYELON_TYPE_VECTOR:
	case MYELON_TYPE_MAP:
		return put_vector(w, s, from, at);
	case MYELON_TYPE_ARRAY:
		return put_all(w, s->element, from, s->count, at);
	case MYELON_TYPE_OPTION:
		w->buf[at] = *from != 0;
		return *from ? put(w, s->element, from + s->type->offset, at + s->offset) : 0;
	case MYELON_TYPE_BOX:
		return put_pointed_to(w, s, box_of(from), 1, at);
	case MYELON_TYPE_STRUCT:
	case MYELON_TYPE_TUPLE:
		for (uint32_t i = 0; rc == 0 && i < s->count; i++)
			rc = put_field(w, &s->parts[i], from, at);
		return rc;
	case MYELON_TYPE_ENUM:
		return put_variant(w, s, from, at);
	default:
		mye_rkyv_copy(w->buf + at, from, s->size);
		return 0;
	}
}

/* The end of the archive. */
static int64_t end_of(struct writer *w, const struct myelon_rkyv_shape *top, const void *object)
{
	int64_t end = before(w, top, object, 0);

	return end < 0 ? end : reserve(w, (uint64_t)end, top->align, 1, top->size);
}

int64_t mye_rkyv_measure(const struct myelon_rkyv_shape *top, const void *object)
{
	struct writer w;
	int64_t end;

	w.depth = 0;
	end = end_of(&w, top, object);
	return end < 0 ? mye_path_end(&w.path, (int)end, "rkyv", top->type) : end;
}

int64_t mye_rkyv_write(const struct myelon_rkyv_shape *top, const void *object, void *buf,
                       size_t cap)
{
	struct writer w;
	uint64_t start;
	int64_t end;
	int rc;

	w.buf = buf;
	w.pos = 0;
	w.depth = 0;
	end = end_of(&w, top, object);
	rc = end < 0 ? (int)end : 0;
	if (rc == 0 && (uint64_t)end > cap)
		rc = mye_path_fail(&w.path, -EMSGSIZE, "its %lld bytes do not fit into %zu",
		                   (long long)end, cap);
	if (rc < 0)
		return mye_path_end(&w.path, rc, "rkyv", top->type);
	w.cap = (uint64_t)end;
	start = (uint64_t)end - top->size;
	memset(w.buf + start, 0, top->size);
	rc = put(&w, top, object, start);
	if (rc < 0)
		return mye_path_end(&w.path, rc, "rkyv", top->type);
	memset(w.buf + w.pos, 0, start - w.pos);
	return end;
}
