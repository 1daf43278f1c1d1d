/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A zoo: verified, read in place and decoded; what was accepted is encoded and comes back. */
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include <myelon/flatbuffers.h>

#include "flat_zoo.h"
#include "object.h"
#include "zoo.h"

static struct myelon_codec *codec;
static struct myelon_arena arena;

static void again(const struct zoo *zoo)
{
	int64_t bound = myelon_codec_bound(codec, zoo), len;
	struct zoo same;
	void *buf;

	FUZZ_CHECK(bound > 0);
	buf = aligned_alloc(16, ((size_t)bound + 15) & ~(size_t)15);
	FUZZ_CHECK(buf);
	len = myelon_codec_encode(codec, zoo, buf, (size_t)bound);
	FUZZ_CHECK(len > 0);
	FUZZ_CHECK(myelon_codec_decode(codec, buf, (size_t)len, &same, &arena) == 0);
	FUZZ_CHECK(object_equal(&zoo_type, zoo, &same));
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct myelon_inside in;
	struct zoo zoo;
	int decoded, verified;

	if (!codec) {
		FUZZ_CHECK(myelon_codec_flatbuffers(
				   &codec, &zoo_type,
				   &MYELON_FLATBUFFERS_OPTS(.tables = 1000, .work = 1 << 20)) == 0);
		myelon_arena_init(&arena, NULL, 0, 16 << 20);
	}
	verified = (uintptr_t)data % 16 ? 1 : myelon_codec_access(codec, data, size, &in);
	flat_read_zoo(data, size);
	decoded = myelon_codec_decode(codec, data, size, &zoo, &arena);
	FUZZ_CHECK(verified == 1 || decoded == -ENOMEM || verified == decoded);
	if (decoded == 0)
		again(&zoo);
	myelon_arena_reset(&arena);
	return 0;
}
