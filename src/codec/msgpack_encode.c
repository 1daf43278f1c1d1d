/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One walk over an object with msgpack-c's packer, which hands the bytes to a function: it copies them to the message,
 * or only counts them. The packer is made anew for each value, so that the compiler sees the function and inlines it.
 */
#include "codec/msgpack.h"

#include <errno.h>
#include <msgpack/pack.h>
#include <string.h>

#include "codec/bincode_bytes.h"
#include "codec/path.h"

struct walk {
	unsigned char *begin; /* NULL: count */
	unsigned char *at;
	unsigned char *end;
	uint64_t bytes; /* counted */
	uint32_t flags;
	uint32_t deeper; /* levels that are still allowed */
	struct mye_path path;
};

static int walk(struct walk *k, const struct myelon_type *t, const unsigned char *object);

static int sink(void *data, const char *bytes, size_t n)
{
	struct walk *k = data;

	if (!k->begin) {
		k->bytes += n;
		return 0;
	}
	if ((size_t)(k->end - k->at) < n)
		return -1;
	memcpy(k->at, bytes, n);
	k->at += n;
	return 0;
}

static inline msgpack_packer packer(struct walk *k)
{
	msgpack_packer pk;

	msgpack_packer_init(&pk, k, sink);
	return pk;
}

static int packed(struct walk *k, int rc)
{
	return rc == 0 ? 0
	               : mye_path_fail(&k->path, -EMSGSIZE,
	                               "it does not fit: there is room for %zu bytes",
	                               (size_t)(k->end - k->begin));
}

static int no_data(struct walk *k)
{
	return mye_path_fail(&k->path, -EINVAL, "its data is NULL");
}

/* The packer would cut the number to 32 bits. */
static int too_many(struct walk *k, size_t count, const char *what)
{
	return mye_path_fail(&k->path, -EINVAL, "%zu %s: msgpack has at most 4294967295", count,
	                     what);
}

static int enter(struct walk *k)
{
	if (k->deeper == 0)
		return mye_path_fail(&k->path, -EINVAL, "it is nested too deep");
	k->deeper--;
	return 0;
}

/* ---- scalars ---- */

static int pack_uint(struct walk *k, uint64_t n)
{
	msgpack_packer pk = packer(k);

	return packed(k, msgpack_pack_uint64(&pk, n));
}

static int pack_int(struct walk *k, const unsigned char *object, uint32_t width)
{
	msgpack_packer pk = packer(k);
	uint32_t shift = 64 - 8 * width;
	int64_t n = (int64_t)(mye_bin_load(object, width) << shift) >> shift;

	return packed(k, msgpack_pack_int64(&pk, n));
}

static int pack_bool(struct walk *k, bool v)
{
	msgpack_packer pk = packer(k);

	return packed(k, v ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk));
}

static int pack_float(struct walk *k, const unsigned char *object, uint32_t width)
{
	msgpack_packer pk = packer(k);
	double d;
	float f;

	if (width == sizeof(f)) {
		memcpy(&f, object, sizeof(f));
		return packed(k, msgpack_pack_float(&pk, f));
	}
	memcpy(&d, object, sizeof(d));
	return packed(k, msgpack_pack_double(&pk, d));
}

static int pack_nil(struct walk *k)
{
	msgpack_packer pk = packer(k);

	return packed(k, msgpack_pack_nil(&pk));
}

static int pack_array(struct walk *k, size_t n)
{
	msgpack_packer pk = packer(k);

	return packed(k, msgpack_pack_array(&pk, n));
}

static int pack_map(struct walk *k, size_t n)
{
	msgpack_packer pk = packer(k);

	return packed(k, msgpack_pack_map(&pk, n));
}

static int pack_str(struct walk *k, const char *text, size_t len)
{
	msgpack_packer pk = packer(k);
	int rc = msgpack_pack_str(&pk, len);

	return packed(k, rc == 0 && len ? msgpack_pack_str_body(&pk, text, len) : rc);
}

static int pack_bin(struct walk *k, const void *data, size_t len)
{
	msgpack_packer pk = packer(k);
	int rc = msgpack_pack_bin(&pk, len);

	return packed(k, rc == 0 && len ? msgpack_pack_bin_body(&pk, data, len) : rc);
}

static int letter(struct walk *k, const unsigned char *object)
{
	unsigned char text[MYE_UTF8_MAX];
	uint32_t c = (uint32_t)mye_bin_load(object, sizeof(c));

	if (!mye_utf8_is_scalar(c))
		return mye_path_fail(&k->path, -EINVAL, "0x%x is no Unicode scalar value", c);
	return pack_str(k, (char *)text, mye_utf8_put(text, c));
}

static int text(struct walk *k, const unsigned char *object)
{
	struct myelon_text t;
	size_t good;

	memcpy(&t, object, sizeof(t));
	if (!t.data && t.len)
		return no_data(k);
	if (t.len > UINT32_MAX)
		return too_many(k, t.len, "bytes");
	good = k->begin ? mye_utf8_good(t.data, t.len) : t.len;
	if (good < t.len)
		return mye_path_fail(&k->path, -EINVAL, "its byte %zu is not UTF-8", good);
	return pack_str(k, t.data, t.len);
}

static int bytes(struct walk *k, const unsigned char *object)
{
	struct myelon_vector v;

	memcpy(&v, object, sizeof(v));
	if (!v.data && v.count)
		return no_data(k);
	if (v.count > UINT32_MAX)
		return too_many(k, v.count, "bytes");
	return pack_bin(k, v.data, v.count);
}

/* ---- what has parts ---- */

/* Bytes of every value of the type; 0: they differ. */
static uint32_t always(const struct myelon_type *t)
{
	switch ((enum myelon_type_kind)t->kind) {
	case MYELON_TYPE_BOOL:
		return 1;
	case MYELON_TYPE_F32:
	case MYELON_TYPE_F64:
		return 1 + t->size;
	default:
		return 0;
	}
}

static int elements(struct walk *k, const struct myelon_type *e, const unsigned char *at,
                    size_t count)
{
	if (!k->begin && always(e)) {
		k->bytes += count * always(e);
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		int rc = walk(k, e, at + i * e->size);

		if (rc < 0)
			return mye_path_element(&k->path, rc, i);
	}
	return 0;
}

static int fields(struct walk *k, const struct myelon_type *t, const unsigned char *object,
                  bool named)
{
	for (uint32_t i = 0; i < t->count; i++) {
		const struct myelon_field *f = &t->fields[i];
		int rc = named ? pack_str(k, f->name, strlen(f->name)) : 0;

		if (rc == 0)
			rc = walk(k, f->type, object + f->offset);
		if (rc < 0)
			return mye_path_field(&k->path, rc, f->name);
	}
	return 0;
}

static int pairs(struct walk *k, const struct myelon_type *pair, const unsigned char *at,
                 size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int rc = fields(k, pair, at + i * pair->size, false);

		if (rc < 0)
			return mye_path_element(&k->path, rc, i);
	}
	return 0;
}

static int vector(struct walk *k, const struct myelon_type *t, const unsigned char *object)
{
	bool map = t->kind == MYELON_TYPE_MAP;
	struct myelon_vector v;
	int rc;

	memcpy(&v, object, sizeof(v));
	if (v.count > UINT32_MAX)
		return too_many(k, v.count, "elements");
	rc = map ? pack_map(k, v.count) : pack_array(k, v.count);
	if (rc < 0 || v.count == 0)
		return rc;
	if (!v.data)
		return no_data(k);
	rc = enter(k);
	if (rc < 0)
		return rc;
	rc = map ? pairs(k, t->element, v.data, v.count) : elements(k, t->element, v.data, v.count);
	k->deeper++;
	return rc;
}

static int array(struct walk *k, const struct myelon_type *t, const unsigned char *object)
{
	int rc = pack_array(k, t->count);

	return rc < 0 ? rc : elements(k, t->element, object, t->count);
}

static int structure(struct walk *k, const struct myelon_type *t, const unsigned char *object)
{
	bool named = t->kind == MYELON_TYPE_STRUCT && !(k->flags & MYELON_MSGPACK_ARRAYS);
	int rc = named ? pack_map(k, t->count) : pack_array(k, t->count);

	return rc < 0 ? rc : fields(k, t, object, named);
}

static int box(struct walk *k, const struct myelon_type *t, const unsigned char *object)
{
	const unsigned char *value;
	int rc;

	memcpy(&value, object, sizeof(value));
	if (!value)
		return no_data(k);
	rc = enter(k);
	if (rc < 0)
		return rc;
	rc = walk(k, t->element, value);
	k->deeper++;
	return rc;
}

static int variant(struct walk *k, const struct myelon_type *t, const unsigned char *object)
{
	uint32_t tag = (uint32_t)mye_bin_load(object, sizeof(tag));
	const struct myelon_field *f;
	int rc;

	if (tag >= t->count)
		return mye_path_fail(&k->path, -EINVAL, "the tag is %u: there are %u variants", tag,
		                     t->count);
	f = &t->fields[tag];
	rc = f->type ? pack_map(k, 1) : 0;
	if (rc == 0)
		rc = k->flags & MYELON_MSGPACK_NUMBERS ? pack_uint(k, tag)
		                                       : pack_str(k, f->name, strlen(f->name));
	if (rc == 0 && f->type)
		rc = walk(k, f->type, object + f->offset);
	return rc < 0 ? mye_path_field(&k->path, rc, f->name) : 0;
}

static int walk(struct walk *k, const struct myelon_type *t, const unsigned char *object)
{
	switch ((enum myelon_type_kind)t->kind) {
	case MYELON_TYPE_BOOL:
		return pack_bool(k, *object != 0);
	case MYELON_TYPE_U8:
	case MYELON_TYPE_U16:
	case MYELON_TYPE_U32:
	case MYELON_TYPE_U64:
		return pack_uint(k, mye_bin_load(object, t->size));
	case MYELON_TYPE_I8:
	case MYELON_TYPE_I16:
	case MYELON_TYPE_I32:
	case MYELON_TYPE_I64:
		return pack_int(k, object, t->size);
	case MYELON_TYPE_F32:
	case MYELON_TYPE_F64:
		return pack_float(k, object, t->size);
	case MYELON_TYPE_CHAR:
		return letter(k, object);
	case MYELON_TYPE_STRING:
		return text(k, object);
	case MYELON_TYPE_BYTES:
		return bytes(k, object);
	case MYELON_TYPE_VECTOR:
	case MYELON_TYPE_MAP:
		return vector(k, t, object);
	case MYELON_TYPE_ARRAY:
		return array(k, t, object);
	case MYELON_TYPE_OPTION:
		return *object ? walk(k, t->element, object + t->offset) : pack_nil(k);
	case MYELON_TYPE_BOX:
		return box(k, t, object);
	case MYELON_TYPE_STRUCT:
	case MYELON_TYPE_TUPLE:
		return structure(k, t, object);
	case MYELON_TYPE_ENUM:
		return variant(k, t, object);
	default: /* refused when the codec was made */
		return -EINVAL;
	}
}

/* ---- the codec's functions ---- */

static int run(struct walk *k, const struct myelon_codec *c, const void *object)
{
	int rc;

	k->flags = mye_msgpack_of(c)->flags;
	k->deeper = mye_msgpack_of(c)->depth;
	rc = walk(k, c->type, object);
	return rc < 0 ? mye_path_end(&k->path, rc, "msgpack", c->type) : 0;
}

int64_t mye_msgpack_bound(const struct myelon_codec *c, const void *object)
{
	struct walk k;
	int rc;

	k.begin = NULL;
	k.bytes = 0;
	rc = run(&k, c, object);
	return rc < 0 ? rc : (int64_t)k.bytes;
}

int64_t mye_msgpack_encode(const struct myelon_codec *c, const void *object, void *buf, size_t cap)
{
	static unsigned char nothing[1];
	struct walk k;
	int rc;

	k.begin = k.at = buf ? buf : nothing;
	k.end = buf ? k.begin + cap : k.begin;
	rc = run(&k, c, object);
	return rc < 0 ? rc : k.at - k.begin;
}
