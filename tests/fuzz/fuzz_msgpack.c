/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What decode takes is an object that encode takes, and that comes back the same. */
#include "fuzz.h"

#include <errno.h>

#include <myelon/msgpack.h>

#include "object.h"
#include "zoo.h"

#define ARENA (1u << 22)
#define FORMS 4u

static void try_one(const struct myelon_codec *c, const uint8_t *data, size_t size)
{
	struct myelon_arena a;
	struct zoo first, second;
	unsigned char *bytes;
	int64_t n;
	int rc;

	myelon_arena_init(&a, NULL, 0, ARENA);
	rc = c->decode(c, data, size, &first, &a);
	FUZZ_CHECK(rc == 0 || rc == -EBADMSG || rc == -ENOMEM);
	if (rc == 0) {
		n = c->bound(c, &first);
		FUZZ_CHECK(n >= 0);
		bytes = malloc((size_t)n + 1);
		FUZZ_CHECK(bytes && c->encode(c, &first, bytes, (size_t)n) == n);
		rc = c->decode(c, bytes, (size_t)n, &second, &a);
		FUZZ_CHECK(rc == -ENOMEM || (rc == 0 && object_equal(&zoo_type, &first, &second)));
		free(bytes);
	}
	myelon_arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct myelon_codec *codecs[FORMS];

	for (uint32_t i = 0; i < FORMS; i++) {
		uint32_t lenient = i % 2 ? MYELON_MSGPACK_STR_AS_BYTES | MYELON_MSGPACK_ROUND : 0;

		if (!codecs[i])
			FUZZ_CHECK(myelon_codec_msgpack(
					   &codecs[i], &zoo_type,
					   &MYELON_MSGPACK_OPTS(.flags = i | lenient)) == 0);
		try_one(codecs[i], data, size);
	}
	return 0;
}
