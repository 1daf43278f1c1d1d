/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Scalars, in all the forms that other writers have for them. */
#include "codec/msgpack_decode.h"

#include <errno.h>
#include <float.h>
#include <string.h>

#include "codec/bincode_bytes.h"

int mye_mp_wrong(struct mye_mp_decoder *d, const struct mye_mp_item *item, const char *needed)
{
	return mye_path_fail(&d->path, -EBADMSG, "%s is needed at byte %zu, there is %s", needed,
	                     item->at, mye_mp_name(item->kind));
}

int mye_mp_wrong_count(struct mye_mp_decoder *d, const struct mye_mp_item *item, uint32_t needed)
{
	return mye_path_fail(
		&d->path, -EBADMSG, "%s of %u is needed at byte %zu, there is one of %llu",
		mye_mp_name(item->kind), needed, item->at, (unsigned long long)item->n);
}

static int fill_bool(struct mye_mp_decoder *d, const struct mye_mp_item *item,
                     unsigned char *object)
{
	if (item->kind != MYE_MP_BOOL)
		return mye_mp_wrong(d, item, "a bool");
	*object = item->n != 0;
	return 0;
}

static __attribute__((cold)) int no_fit(struct mye_mp_decoder *d, const struct myelon_type *t,
                                        const struct mye_mp_item *item)
{
	const char *kind = myelon_type_kind_name((enum myelon_type_kind)t->kind);

	if (item->kind == MYE_MP_MINUS)
		return mye_path_fail(&d->path, -EBADMSG, "%lld at byte %zu does not fit into %s",
		                     (long long)item->n, item->at, kind);
	return mye_path_fail(&d->path, -EBADMSG, "%llu at byte %zu does not fit into %s",
	                     (unsigned long long)item->n, item->at, kind);
}

/* Of any width, if the value fits. */
static int fill_int(struct mye_mp_decoder *d, const struct myelon_type *t,
                    const struct mye_mp_item *item, unsigned char *object)
{
	bool has_sign = t->kind >= MYELON_TYPE_I8;
	uint64_t most = UINT64_MAX >> (64 - 8 * t->size + has_sign);

	if (item->kind != MYE_MP_UINT && item->kind != MYE_MP_MINUS)
		return mye_mp_wrong(d, item, "an integer");
	if (item->kind == MYE_MP_UINT ? item->n > most
	                              : !has_sign || (int64_t)item->n < -1 - (int64_t)most)
		return no_fit(d, t, item);
	mye_bin_store(object, item->n, t->size);
	return 0;
}

/* A number as a double; false: it is none, or *exact is false. */
static bool number(const struct mye_mp_item *item, double *v, bool *exact)
{
	uint32_t bits = (uint32_t)item->n;
	float f;

	*exact = true;
	switch (item->kind) {
	case MYE_MP_F32:
		memcpy(&f, &bits, sizeof(f));
		*v = (double)f;
		return true;
	case MYE_MP_F64:
		memcpy(v, &item->n, sizeof(*v));
		return true;
	case MYE_MP_UINT:
		*v = (double)item->n;
		*exact = *v < 0x1p64 && (uint64_t)*v == item->n;
		return true;
	case MYE_MP_MINUS:
		*v = (double)(int64_t)item->n;
		*exact = (int64_t)*v == (int64_t)item->n;
		return true;
	default:
		return false;
	}
}

static __attribute__((cold)) int not_exact(struct mye_mp_decoder *d, const struct myelon_type *t,
                                           const struct mye_mp_item *item)
{
	return mye_path_fail(&d->path, -EBADMSG, "the number at byte %zu is not exact as %s",
	                     item->at, myelon_type_kind_name((enum myelon_type_kind)t->kind));
}

static int fill_f64(struct mye_mp_decoder *d, const struct myelon_type *t,
                    const struct mye_mp_item *item, unsigned char *object)
{
	bool exact;
	double v;

	if (!number(item, &v, &exact))
		return mye_mp_wrong(d, item, "a number");
	if (!exact)
		return not_exact(d, t, item);
	memcpy(object, &v, sizeof(v));
	return 0;
}

static int fill_f32(struct mye_mp_decoder *d, const struct myelon_type *t,
                    const struct mye_mp_item *item, unsigned char *object)
{
	bool exact, round = d->flags & MYELON_MSGPACK_ROUND;
	double v, size;
	float f;

	if (item->kind == MYE_MP_F32) {
		mye_bin_store(object, item->n, sizeof(f));
		return 0;
	}
	if (!number(item, &v, &exact))
		return mye_mp_wrong(d, item, "a number");
	size = __builtin_fabs(v);
	if (size > (double)FLT_MAX && !__builtin_isinf(v))
		return not_exact(d, t, item);
	f = (float)v;
	if (!round && (!exact || (v == v && (double)f != v)))
		return not_exact(d, t, item);
	memcpy(object, &f, sizeof(f));
	return 0;
}

/* Copied first, then looked at. */
static int fill_letter(struct mye_mp_decoder *d, const struct mye_mp_item *item,
                       unsigned char *object)
{
	unsigned char text[MYE_UTF8_MAX];
	uint32_t c;

	if (item->kind != MYE_MP_STR)
		return mye_mp_wrong(d, item, "a str of one character");
	if (item->n == 0 || item->n > sizeof(text))
		return mye_mp_wrong_count(d, item, 1);
	memcpy(text, mye_mp_body(&d->r, item), item->n);
	if (mye_utf8_get(text, item->n, &c) != item->n)
		return mye_path_fail(&d->path, -EBADMSG, "the str at byte %zu is not one character",
		                     item->at);
	mye_bin_store(object, c, sizeof(c));
	return 0;
}

static int fill_text(struct mye_mp_decoder *d, const struct mye_mp_item *item,
                     unsigned char *object)
{
	struct myelon_text t = {.len = item->n};
	size_t good;
	void *to;
	int rc;

	if (item->kind != MYE_MP_STR)
		return mye_mp_wrong(d, item, "a str");
	if (t.len == 0)
		return 0;
	to = mye_take(&d->take, &d->path, t.len, 1, 1, &rc);
	if (!to)
		return rc;
	memcpy(to, mye_mp_body(&d->r, item), t.len);
	good = mye_utf8_good(to, t.len);
	if (good < t.len)
		return mye_path_fail(&d->path, -EBADMSG,
		                     "the str at byte %zu is not UTF-8 at its byte %zu", item->at,
		                     good);
	t.data = to;
	memcpy(object, &t, sizeof(t));
	return 0;
}

static int fill_bytes(struct mye_mp_decoder *d, const struct mye_mp_item *item,
                      unsigned char *object)
{
	struct myelon_vector v = {.count = item->n};
	void *to;
	int rc;

	if (item->kind != MYE_MP_BIN &&
	    !(item->kind == MYE_MP_STR && d->flags & MYELON_MSGPACK_STR_AS_BYTES))
		return mye_mp_wrong(d, item, "a bin");
	if (v.count == 0)
		return 0;
	to = mye_take(&d->take, &d->path, v.count, 1, 1, &rc);
	if (!to)
		return rc;
	memcpy(to, mye_mp_body(&d->r, item), v.count);
	v.data = to;
	memcpy(object, &v, sizeof(v));
	return 0;
}

int mye_mp_scalar(struct mye_mp_decoder *d, const struct myelon_type *t,
                  const struct mye_mp_item *item, unsigned char *object)
{
	switch ((enum myelon_type_kind)t->kind) {
	case MYELON_TYPE_BOOL:
		return fill_bool(d, item, object);
	case MYELON_TYPE_F32:
		return fill_f32(d, t, item, object);
	case MYELON_TYPE_F64:
		return fill_f64(d, t, item, object);
	case MYELON_TYPE_CHAR:
		return fill_letter(d, item, object);
	case MYELON_TYPE_STRING:
		return fill_text(d, item, object);
	case MYELON_TYPE_BYTES:
		return fill_bytes(d, item, object);
	default: /* U8 to U64, I8 to I64; others were refused when the codec was made */
		return fill_int(d, t, item, object);
	}
}
