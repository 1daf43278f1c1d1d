/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Code that flatcc generated, as a codec. */
#include <myelon/flatbuffers.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/opts.h"

#define ALIGNMENT 16u

struct flatcc {
	struct myelon_codec codec;
	struct myelon_flatcc_opts opts;
	char name[];
};

static const struct flatcc *flatcc_of(const struct myelon_codec *c)
{
	return c->self;
}

/* flatcc takes builders that it may change. */
static struct flatcc_builder *builder_of(const void *object)
{
	return (struct flatcc_builder *)(uintptr_t)object;
}

static int64_t bound(const struct myelon_codec *c, const void *object)
{
	size_t bytes = flatcc_of(c)->opts.bytes(builder_of(object));

	if (bytes == 0 || bytes > INT32_MAX)
		return mye_fail(bytes ? -EMSGSIZE : -EINVAL,
		                "flatcc: %s: the builder has %zu bytes: its buffer must have been "
		                "ended, and be less than 2 GiB",
		                flatcc_of(c)->name, bytes);
	return (int64_t)bytes;
}

static int64_t encode(const struct myelon_codec *c, const void *object, void *buf, size_t cap)
{
	const struct flatcc *f = flatcc_of(c);
	int64_t bytes = bound(c, object);

	if (bytes < 0)
		return bytes;
	if ((uint64_t)bytes > cap)
		return mye_fail(-EMSGSIZE, "flatcc: %s: %lld bytes do not fit into %zu", f->name,
		                (long long)bytes, cap);
	if (!f->opts.copy(builder_of(object), buf, cap))
		return mye_fail(
			-EINVAL,
			"flatcc: %s: the builder gave no copy: it needs flatcc's own emitter",
			f->name);
	return bytes;
}

static int verify(const struct flatcc *f, const void *data, size_t len)
{
	int code = f->opts.verify(data, len);

	if (code == 0)
		return 0;
	return mye_fail(-EBADMSG, "flatcc: %s: its verifier says %d, %s, of %zu bytes", f->name,
	                code, f->opts.error ? f->opts.error(code) : "not sound", len);
}

/* flatcc's readers trust what was verified, so what is verified is the copy. */
static int decode(const struct myelon_codec *c, const void *data, size_t len, void *object,
                  struct myelon_arena *arena)
{
	const struct flatcc *f = flatcc_of(c);
	struct myelon_vector *v = object;
	void *copy = arena ? myelon_arena_alloc(arena, len, ALIGNMENT) : NULL;

	if (!copy)
		return mye_fail(-ENOMEM, "flatcc: %s: the arena has no room for %zu bytes", f->name,
		                len);
	if (len)
		memcpy(copy, data, len);
	*v = (struct myelon_vector){.data = copy, .count = len};
	return verify(f, copy, len);
}

static int access_in_place(const struct myelon_codec *c, const void *data, size_t len,
                           const void **root)
{
	uint32_t offset;
	int rc = verify(flatcc_of(c), data, len);

	if (rc < 0)
		return rc;
	if (len < 8)
		return mye_fail(-EBADMSG, "flatcc: %s: %zu bytes are no message",
		                flatcc_of(c)->name, len);
	offset = myelon_once_u32_(data);
	if (offset > len - 4)
		return mye_fail(-EBADMSG, "flatcc: %s: the root lies outside the message",
		                flatcc_of(c)->name);
	*root = (const unsigned char *)data + offset;
	return 0;
}

static void close_flatcc(struct myelon_codec *c)
{
	free(c);
}

static uint64_t schema_of(const struct myelon_flatcc_opts *o)
{
	uint64_t h = mye_hash_text(MYE_HASH_BEGIN, "flatcc");

	h = mye_hash_number(mye_hash_text(h, o->name), o->schema);
	return h ? h : 1;
}

static struct flatcc *make(const struct myelon_flatcc_opts *o)
{
	size_t len = strlen(o->name) + 1;
	struct flatcc *f = calloc(1, sizeof(*f) + len);

	if (!f)
		return NULL;
	memcpy(f->name, o->name, len);
	f->opts = *o;
	f->codec = (struct myelon_codec){
		.size = sizeof(f->codec),
		.alignment = ALIGNMENT,
		.name = "flatcc",
		.schema = schema_of(o),
		.object_size = sizeof(struct myelon_vector),
		.bound = bound,
		.encode = encode,
		.decode = decode,
		.access = access_in_place,
		.close = close_flatcc,
		.self = f,
	};
	return f;
}

int myelon_codec_flatcc(struct myelon_codec **out, const struct myelon_flatcc_opts *user)
{
	struct myelon_flatcc_opts o;
	struct flatcc *f;
	int rc;

	if (!out || !user)
		return mye_fail_static(-EINVAL, "flatcc: out or options are NULL");
	*out = NULL;
	rc = mye_opts_read(&o, sizeof(o), sizeof(o), user, "flatcc options");
	if (rc < 0)
		return rc;
	if (o.flags || !o.name || !o.name[0] || !o.verify || !o.bytes || !o.copy)
		return mye_fail_static(-EINVAL,
		                       "flatcc options: name, verify, bytes and copy are needed, "
		                       "and flags are 0");
	f = make(&o);
	if (!f)
		return mye_fail_static(-ENOMEM, "flatcc: no memory");
	*out = &f->codec;
	return 0;
}
