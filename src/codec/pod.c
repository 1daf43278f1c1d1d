/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The codec of plain C structs: the bytes themselves. */
#include <myelon/codec.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/opts.h"

struct pod {
	struct myelon_codec codec;
	size_t record;
	size_t align;
	bool one;
};

static const struct pod *pod_of(const struct myelon_codec *c)
{
	return c->self;
}

static int64_t bound(const struct myelon_codec *c, const void *object)
{
	const struct pod *pod = pod_of(c);
	const struct myelon_vector *v = object;
	size_t bytes = pod->record;

	if (!pod->one && __builtin_mul_overflow(pod->record, v->count, &bytes))
		return mye_fail(-EMSGSIZE, "pod: %zu records are too many", v->count);
	if (bytes > INT64_MAX)
		return mye_fail(-EMSGSIZE, "pod: %zu bytes are too many", bytes);
	return (int64_t)bytes;
}

static int64_t encode(const struct myelon_codec *c, const void *object, void *buf, size_t cap)
{
	const struct myelon_vector *v = object;
	int64_t bytes = bound(c, object);

	if (bytes < 0)
		return bytes;
	if ((uint64_t)bytes > cap)
		return mye_fail(-EMSGSIZE, "pod: %lld bytes do not fit into %zu", (long long)bytes,
		                cap);
	if (bytes)
		memcpy(buf, pod_of(c)->one ? object : v->data, (size_t)bytes);
	return bytes;
}

static int check_length(const struct pod *pod, size_t len)
{
	if (pod->one ? len == pod->record : len % pod->record == 0)
		return 0;
	return mye_fail(-EBADMSG, "pod: the message has %zu bytes, which is not %s record%s of %zu",
	                len, pod->one ? "one" : "a number of", pod->one ? "" : "s", pod->record);
}

static int decode(const struct myelon_codec *c, const void *data, size_t len, void *object,
                  struct myelon_arena *arena)
{
	const struct pod *pod = pod_of(c);
	struct myelon_vector *v = object;
	void *to = object;
	int rc = check_length(pod, len);

	if (rc < 0)
		return rc;
	if (!pod->one) {
		to = arena ? myelon_arena_alloc(arena, len, pod->align) : NULL;
		if (!to)
			return mye_fail(-ENOMEM, "pod: the arena has no room for %zu bytes", len);
		*v = (struct myelon_vector){.data = to, .count = len / pod->record};
	}
	if (len)
		memcpy(to, data, len);
	return 0;
}

static int access_in_place(const struct myelon_codec *c, const void *data, size_t len,
                           const void **root)
{
	*root = data;
	return check_length(pod_of(c), len);
}

static void close_pod(struct myelon_codec *c)
{
	free(c);
}

static int check(struct myelon_pod_opts *o)
{
	if (!o->align)
		o->align = 16;
	if (o->flags & ~MYELON_POD_ONE)
		return mye_fail(-EINVAL, "pod options: flags 0x%x are unknown", o->flags);
	if (!o->name || !o->name[0] || !o->record)
		return mye_fail_static(-EINVAL, "pod options: record and name are needed");
	if (o->align > 16 || (o->align & (o->align - 1)))
		return mye_fail(-EINVAL, "pod options: align is %u; 1, 2, 4, 8 or 16 is needed",
		                o->align);
	return 0;
}

static uint64_t schema_of(const struct myelon_pod_opts *o)
{
	uint64_t h = mye_hash_text(MYE_HASH_BEGIN, "pod");

	h = mye_hash_text(h, o->name);
	h = mye_hash_number(h, (uint64_t)o->version << 32 | o->record);
	h = mye_hash_number(h, o->flags << 16 | __BYTE_ORDER__);
	return h ? h : 1;
}

int myelon_codec_pod(struct myelon_codec **out, const struct myelon_pod_opts *user)
{
	struct myelon_pod_opts o;
	struct pod *pod;
	int rc;

	if (!out || !user)
		return mye_fail_static(-EINVAL, "pod: out or options are NULL");
	*out = NULL;
	rc = mye_opts_read(&o, sizeof(o), sizeof(o), user, "pod options");
	if (rc == 0)
		rc = check(&o);
	if (rc < 0)
		return rc;
	pod = calloc(1, sizeof(*pod));
	if (!pod)
		return mye_fail_static(-ENOMEM, "pod: no memory");
	pod->record = o.record;
	pod->align = o.align;
	pod->one = o.flags & MYELON_POD_ONE;
	pod->codec = (struct myelon_codec){
		.size = sizeof(pod->codec),
		.alignment = o.align,
		.name = "pod",
		.schema = schema_of(&o),
		.object_size = pod->one ? o.record : sizeof(struct myelon_vector),
		.bound = bound,
		.encode = encode,
		.decode = decode,
		.access = access_in_place,
		.close = close_pod,
		.self = pod,
	};
	*out = &pod->codec;
	return 0;
}
