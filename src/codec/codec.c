/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The table of functions: is it complete, and calls through it. */
#include <myelon/codec.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"

#define SENTENCE_MAX 400

int myelon_codec_fail(int err, const char *fmt, ...)
{
	char text[SENTENCE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return mye_fail(err, "%s", text);
}

int myelon_codec_check(const struct myelon_codec *c)
{
	if (!c || c->size < sizeof(*c))
		return mye_fail_static(-EINVAL, "codec: it is NULL, or its size is not set");
	if (!c->name || !c->schema || !c->bound || !c->encode)
		return mye_fail_static(-EINVAL, "codec: name, schema, bound and encode are needed");
	if (c->alignment == 0 || c->alignment > 16 || (c->alignment & (c->alignment - 1)))
		return mye_fail(-EINVAL,
		                "codec %s: its alignment is %u; 1, 2, 4, 8 or 16 is needed",
		                c->name, c->alignment);
	return 0;
}

void myelon_codec_close(struct myelon_codec *c)
{
	if (c && c->close)
		c->close(c);
}

static int no_function(const struct myelon_codec *c, const char *what)
{
	return mye_fail(-ENOTSUP, "codec %s does not %s", c->name, what);
}

int64_t myelon_codec_bound(const struct myelon_codec *c, const void *object)
{
	int rc = myelon_codec_check(c);

	return rc < 0 ? rc : c->bound(c, object);
}

int64_t myelon_codec_encode(const struct myelon_codec *c, const void *object, void *buf, size_t cap)
{
	int rc = myelon_codec_check(c);

	return rc < 0 ? rc : c->encode(c, object, buf, cap);
}

int myelon_codec_decode(const struct myelon_codec *c, const void *data, size_t len, void *object,
                        struct myelon_arena *arena)
{
	int rc = myelon_codec_check(c);

	if (rc < 0)
		return rc;
	return c->decode ? c->decode(c, data, len, object, arena) : no_function(c, "decode");
}

int myelon_codec_access(const struct myelon_codec *c, const void *data, size_t len,
                        struct myelon_inside *inside)
{
	int rc = myelon_codec_check(c);

	if (rc < 0)
		return rc;
	if (!c->access)
		return no_function(c, "read in place");
	if ((uintptr_t)data & (c->alignment - 1))
		return mye_fail(-EINVAL, "codec %s: the message lies at %p, not aligned to %u",
		                c->name, data, c->alignment);
	*inside = (struct myelon_inside){.data = data, .len = len, .codec = c};
	return c->access(c, data, len, &inside->root);
}
