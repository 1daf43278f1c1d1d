/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The public writer and reader: the primitives, with an error that stays and a sentence. */
#include <myelon/bincode.h>

#include "base/error.h"
#include "codec/bincode_run.h"

/* ---- the writer ---- */

void myelon_bincode_writer_init(struct myelon_bincode_writer *w, void *buf, size_t cap,
                                enum myelon_bincode_encoding encoding)
{
	*w = mye_bin_writer(buf, cap, encoding);
}

int64_t myelon_bincode_written(const struct myelon_bincode_writer *w)
{
	return w->error ? w->error : w->at - w->begin;
}

static int put(struct myelon_bincode_writer *w, int rc)
{
	if (rc < 0) {
		w->error = rc;
		mye_fail(rc, "bincode writer: the value does not fit behind byte %zu of %zu",
		         (size_t)(w->at - w->begin), (size_t)(w->end - w->begin));
	}
	return rc;
}

#define PUT(name, value, expression)                                                               \
	int myelon_bincode_put_##name(struct myelon_bincode_writer *w, value)                      \
	{                                                                                          \
		return w->error ? w->error : put(w, expression);                                   \
	}

PUT(bool, bool v, mye_bin_put_uint(w, v, 1))
PUT(u8, uint8_t v, mye_bin_put_uint(w, v, 1))
PUT(u16, uint16_t v, mye_bin_put_uint(w, v, 2))
PUT(u32, uint32_t v, mye_bin_put_uint(w, v, 4))
PUT(u64, uint64_t v, mye_bin_put_uint(w, v, 8))
PUT(i8, int8_t v, mye_bin_put_int(w, v, 1))
PUT(i16, int16_t v, mye_bin_put_int(w, v, 2))
PUT(i32, int32_t v, mye_bin_put_int(w, v, 4))
PUT(i64, int64_t v, mye_bin_put_int(w, v, 8))
PUT(f32, float v, mye_bin_put_raw(w, &v, sizeof(v)))
PUT(f64, double v, mye_bin_put_raw(w, &v, sizeof(v)))
PUT(len, uint64_t count, mye_bin_put_uint(w, count, MYE_BIN_LEN_WIDTH))
PUT(variant, uint32_t index, mye_bin_put_uint(w, index, MYE_BIN_VARIANT_WIDTH))
PUT(option, bool present, mye_bin_put_uint(w, present, 1))

static unsigned __int128 wide_of(uint64_t low, uint64_t high)
{
	return (unsigned __int128)high << 64 | low;
}

int myelon_bincode_put_u128(struct myelon_bincode_writer *w, uint64_t low, uint64_t high)
{
	return w->error ? w->error : put(w, mye_bin_put_wide(w, wide_of(low, high)));
}

int myelon_bincode_put_i128(struct myelon_bincode_writer *w, uint64_t low, int64_t high)
{
	return w->error ? w->error
	                : put(w, mye_bin_put_int_wide(w, (__int128)wide_of(low, (uint64_t)high)));
}

static int put_bad(struct myelon_bincode_writer *w, const char *what)
{
	w->error = mye_fail(-EINVAL, "bincode writer: the value behind byte %zu is %s",
	                    (size_t)(w->at - w->begin), what);
	return w->error;
}

int myelon_bincode_put_char(struct myelon_bincode_writer *w, uint32_t c)
{
	if (w->error)
		return w->error;
	if (!mye_utf8_is_scalar(c))
		return put_bad(w, "no Unicode scalar value");
	return put(w, mye_bin_put_char(w, c));
}

int myelon_bincode_put_bytes(struct myelon_bincode_writer *w, const void *data, size_t len)
{
	unsigned char *at = w->at;
	int rc = w->error ? w->error : mye_bin_put_uint(w, len, MYE_BIN_LEN_WIDTH);

	if (w->error)
		return rc;
	if (rc == 0)
		rc = mye_bin_put_raw(w, data, len);
	if (rc < 0)
		w->at = at;
	return put(w, rc);
}

int myelon_bincode_put_string(struct myelon_bincode_writer *w, const char *text, size_t len)
{
	if (w->error)
		return w->error;
	if (mye_utf8_good(text, len) < len)
		return put_bad(w, "not UTF-8");
	return myelon_bincode_put_bytes(w, text, len);
}

/* Bytes of a number that runs; 0: it is none. */
static uint32_t size_of(enum myelon_type_kind kind)
{
	switch (kind) {
	case MYELON_TYPE_U8:
	case MYELON_TYPE_I8:
		return 1;
	case MYELON_TYPE_U16:
	case MYELON_TYPE_I16:
		return 2;
	case MYELON_TYPE_U32:
	case MYELON_TYPE_I32:
	case MYELON_TYPE_F32:
		return 4;
	case MYELON_TYPE_U64:
	case MYELON_TYPE_I64:
	case MYELON_TYPE_F64:
		return 8;
	default:
		return 0;
	}
}

int myelon_bincode_put_run(struct myelon_bincode_writer *w, enum myelon_type_kind kind,
                           const void *numbers, size_t count)
{
	uint32_t size = size_of(kind);

	if (w->error)
		return w->error;
	if (!size)
		return put_bad(w, "of a kind that does not run");
	return put(w, mye_bin_put_run(w, mye_bin_op_of(kind, w->encoding), size, numbers, count));
}

/* ---- the reader ---- */

void myelon_bincode_reader_init(struct myelon_bincode_reader *r, const void *data, size_t len,
                                enum myelon_bincode_encoding encoding)
{
	*r = mye_bin_reader(data, len, encoding);
}

size_t myelon_bincode_left(const struct myelon_bincode_reader *r)
{
	return mye_bin_left(r);
}

int myelon_bincode_read_all(const struct myelon_bincode_reader *r)
{
	if (r->error || r->at == r->end)
		return r->error;
	return mye_fail(-EBADMSG, "bincode reader: it ends at byte %zu of %zu",
	                (size_t)(r->at - r->begin), (size_t)(r->end - r->begin));
}

static int got(struct myelon_bincode_reader *r, int rc)
{
	char reason[MYE_BIN_REASON];

	if (rc < 0) {
		r->error = rc;
		mye_bin_reason(r, reason);
		mye_fail(rc, "bincode reader: %s", reason);
	}
	return rc;
}

static int get_uint(struct myelon_bincode_reader *r, uint32_t width, uint64_t *n)
{
	*n = 0;
	return r->error ? r->error : got(r, mye_bin_get_uint(r, width, n));
}

static int get_int(struct myelon_bincode_reader *r, uint32_t width, int64_t *n)
{
	*n = 0;
	return r->error ? r->error : got(r, mye_bin_get_int(r, width, n));
}

#define GET(name, value, sign, width)                                                              \
	int myelon_bincode_get_##name(struct myelon_bincode_reader *r, value)                      \
	{                                                                                          \
		sign##64_t n;                                                                      \
		int rc = get_##sign(r, width, &n);                                                 \
                                                                                                   \
		*v = (__typeof__(*v))n;                                                            \
		return rc;                                                                         \
	}

GET(u8, uint8_t *v, uint, 1)
GET(u16, uint16_t *v, uint, 2)
GET(u32, uint32_t *v, uint, 4)
GET(u64, uint64_t *v, uint, 8)
GET(i8, int8_t *v, int, 1)
GET(i16, int16_t *v, int, 2)
GET(i32, int32_t *v, int, 4)
GET(i64, int64_t *v, int, 8)

int myelon_bincode_get_bool(struct myelon_bincode_reader *r, bool *v)
{
	*v = false;
	return r->error ? r->error : got(r, mye_bin_get_bool(r, v));
}

int myelon_bincode_get_option(struct myelon_bincode_reader *r, bool *present)
{
	return myelon_bincode_get_bool(r, present);
}

int myelon_bincode_get_u128(struct myelon_bincode_reader *r, uint64_t *low, uint64_t *high)
{
	unsigned __int128 n = 0;
	int rc = r->error ? r->error : got(r, mye_bin_get_wide(r, &n));

	*low = (uint64_t)n;
	*high = (uint64_t)(n >> 64);
	return rc;
}

int myelon_bincode_get_i128(struct myelon_bincode_reader *r, uint64_t *low, int64_t *high)
{
	__int128 n = 0;
	int rc = r->error ? r->error : got(r, mye_bin_get_int_wide(r, &n));

	*low = (uint64_t)n;
	*high = (int64_t)(n >> 64);
	return rc;
}

int myelon_bincode_get_f32(struct myelon_bincode_reader *r, float *v)
{
	*v = 0;
	return r->error ? r->error : got(r, mye_bin_get_raw(r, v, sizeof(*v)));
}

int myelon_bincode_get_f64(struct myelon_bincode_reader *r, double *v)
{
	*v = 0;
	return r->error ? r->error : got(r, mye_bin_get_raw(r, v, sizeof(*v)));
}

int myelon_bincode_get_char(struct myelon_bincode_reader *r, uint32_t *c)
{
	*c = 0;
	return r->error ? r->error : got(r, mye_bin_get_char(r, c));
}

int myelon_bincode_get_len(struct myelon_bincode_reader *r, size_t least, size_t *count)
{
	*count = 0;
	return r->error ? r->error : got(r, mye_bin_get_count(r, least, count));
}

int myelon_bincode_get_variant(struct myelon_bincode_reader *r, uint32_t variants, uint32_t *index)
{
	*index = 0;
	return r->error ? r->error : got(r, mye_bin_get_variant(r, variants, index));
}

int myelon_bincode_get_bytes(struct myelon_bincode_reader *r, const void **data, size_t *len)
{
	int rc = myelon_bincode_get_len(r, 1, len);

	*data = NULL;
	if (rc < 0)
		return rc;
	*data = r->at;
	r->at += *len;
	return 0;
}

int myelon_bincode_get_string(struct myelon_bincode_reader *r, const char **text, size_t *len)
{
	const void *data;
	int rc = myelon_bincode_get_bytes(r, &data, len);
	size_t good = rc < 0 ? *len : mye_utf8_good(data, *len);

	*text = data;
	if (good == *len)
		return rc;
	r->at = data;
	*text = NULL;
	*len = 0;
	return got(r, mye_bin_bad(r, MYE_BIN_TEXT, good, 0));
}

int myelon_bincode_get_run(struct myelon_bincode_reader *r, enum myelon_type_kind kind,
                           void *numbers, size_t count)
{
	uint32_t size = size_of(kind);
	size_t done;

	if (r->error)
		return r->error;
	if (!size) {
		r->error =
			mye_fail(-EINVAL, "bincode reader: kind %u does not run", (unsigned)kind);
		return r->error;
	}
	return got(r, mye_bin_get_run(r, mye_bin_op_of(kind, r->encoding), size, numbers, count,
	                              &done));
}
