/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "fuzz.h"

#include <string.h>

#include <myelon/codec.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct myelon_codec *codec;
	struct myelon_vector v;
	struct myelon_arena a;
	unsigned char again[4096];

	FUZZ_CHECK(myelon_codec_pod(&codec, &MYELON_POD_OPTS(.record = 12, .align = 4,
	                                                     .name = "fuzz")) == 0);
	myelon_arena_init(&a, NULL, 0, 1 << 20);
	if (myelon_codec_decode(codec, data, size, &v, &a) == 0 && size <= sizeof(again)) {
		FUZZ_CHECK(v.count * 12 == size);
		FUZZ_CHECK(myelon_codec_encode(codec, &v, again, sizeof(again)) == (int64_t)size);
		FUZZ_CHECK(size == 0 || memcmp(again, data, size) == 0);
	}
	myelon_arena_free(&a);
	myelon_codec_close(codec);
	return 0;
}
