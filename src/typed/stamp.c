/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Whether a ring's messages carry stamps is part of its schema, so that nobody takes one for a payload. */
#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "base/hash.h"
#include "typed/typed.h"

uint64_t mye_typed_schema(const struct myelon_codec *codec, bool stamps)
{
	uint64_t h;

	if (!stamps)
		return codec->schema;
	h = mye_hash_number(mye_hash_text(MYE_HASH_BEGIN, "stamps"), codec->schema);
	return h ? h : 1;
}

int mye_typed_join(int (*join)(void *ctx, uint64_t schema), void *ctx,
                   const struct myelon_codec *codec, size_t *prefix)
{
	char sentence[512];
	int rc = myelon_codec_check(codec);

	if (rc < 0)
		return rc;
	*prefix = 0;
	rc = join(ctx, mye_typed_schema(codec, false));
	if (rc != -EINVAL)
		return rc;
	snprintf(sentence, sizeof(sentence), "%s", myelon_last_error());
	*prefix = sizeof(struct mye_stamp);
	rc = join(ctx, mye_typed_schema(codec, true));
	return rc == -EINVAL ? mye_fail(rc, "%s", sentence) : rc;
}

int mye_typed_not_open(const void *handle)
{
	if (!handle)
		return mye_fail_static(-EINVAL, "the typed handle is NULL");
	return mye_fail_static(-EPERM, "this typed handle was opened before fork, or is closed; "
	                               "open one in this process");
}
