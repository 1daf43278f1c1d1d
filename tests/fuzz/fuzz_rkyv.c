/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include <myelon/rkyv.h>

#include "object.h"
#include "rkyv_walk.h"
#include "zoo.h"

/* What was decoded is encoded, and that is the same object in place. */
static void encode_again(struct myelon_codec *codec, const void *object)
{
	int64_t len = myelon_codec_bound(codec, object);
	struct myelon_inside in;
	unsigned char *again;

	FUZZ_CHECK(len > 0);
	again = malloc((size_t)len);
	FUZZ_CHECK(again && myelon_codec_encode(codec, object, again, (size_t)len) == len);
	FUZZ_CHECK(myelon_codec_access(codec, again, (size_t)len, &in) == 0);
	FUZZ_CHECK(rkyv_is_object(myelon_rkyv_root(&in), codec->type, object));
	free(again);
}

static void try_type(const struct myelon_type *type, const uint8_t *data, size_t size)
{
	/* Aligned, and ending where the input ends. */
	unsigned char *copy = malloc(size ? size : 1), *object = malloc(type->size);
	struct myelon_codec *codec;
	struct myelon_inside in;
	struct myelon_arena a;
	uint64_t budget = 1 << 20;
	int accepted, decoded;

	FUZZ_CHECK(copy && object && myelon_codec_rkyv(&codec, type, NULL) == 0);
	if (size)
		memcpy(copy, data, size);
	myelon_arena_init(&a, NULL, 0, 1 << 20);
	accepted = myelon_codec_access(codec, copy, size, &in);
	decoded = myelon_codec_decode(codec, copy, size, object, &a);
	FUZZ_CHECK(decoded == accepted || decoded == -ENOMEM);
	if (accepted == 0)
		rkyv_walk(myelon_rkyv_root(&in), &budget);
	FUZZ_CHECK(budget > 0);
	if (decoded == 0) {
		FUZZ_CHECK(rkyv_is_object(myelon_rkyv_root(&in), type, object));
		encode_again(codec, object);
	}
	myelon_arena_free(&a);
	myelon_codec_close(codec);
	free(copy);
	free(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_type(&zoo_type, data, size);
	try_type(&batch_type, data, size);
	try_type(&zoo_node, data, size);
	return 0;
}
