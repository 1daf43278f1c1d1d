/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What decode takes is an object that encode takes, and that comes back the same. */
#include "fuzz.h"

#include <errno.h>

#include <myelon/bincode.h>

#include "object.h"
#include "zoo.h"

#define ARENA (1u << 22)

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
		/* Rust takes numbers in more bytes than they need, but writes the short form. */
		FUZZ_CHECK(n >= 0 && (uint64_t)n <= size);
		bytes = malloc((size_t)n + 1);
		FUZZ_CHECK(bytes && c->encode(c, &first, bytes, (size_t)n) == n);
		rc = c->decode(c, bytes, (size_t)n, &second, &a);
		FUZZ_CHECK(rc == -ENOMEM || (rc == 0 && object_equal(&zoo_type, &first, &second)));
		free(bytes);
	}
	myelon_arena_free(&a);
}

/* The same bytes, value by value. */
static void read_all(enum myelon_bincode_encoding encoding, const uint8_t *data, size_t size)
{
	struct myelon_bincode_reader r;
	uint64_t u64, high;
	int64_t i64;
	uint32_t u32;
	const char *text;
	size_t n;
	bool b;

	myelon_bincode_reader_init(&r, data, size, encoding);
	for (size_t i = 0; r.error == 0 && i < size; i++) {
		switch (data[i] % 7) {
		case 0:
			myelon_bincode_get_u64(&r, &u64);
			break;
		case 1:
			myelon_bincode_get_i128(&r, &high, &i64);
			break;
		case 2:
			myelon_bincode_get_char(&r, &u32);
			break;
		case 3:
			if (myelon_bincode_get_string(&r, &text, &n) == 0)
				FUZZ_CHECK(n <= size);
			break;
		case 4:
			if (myelon_bincode_get_len(&r, 3, &n) == 0)
				FUZZ_CHECK(n <= size / 3);
			break;
		case 5:
			if (myelon_bincode_get_variant(&r, 3, &u32) == 0)
				FUZZ_CHECK(u32 < 3);
			break;
		default:
			myelon_bincode_get_option(&r, &b);
		}
		FUZZ_CHECK(myelon_bincode_left(&r) <= size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct myelon_codec *codecs[2];

	for (uint32_t encoding = 0; encoding < 2; encoding++) {
		if (!codecs[encoding])
			FUZZ_CHECK(myelon_codec_bincode(
					   &codecs[encoding], &zoo_type,
					   &MYELON_BINCODE_OPTS(.encoding = encoding)) == 0);
		try_one(codecs[encoding], data, size);
		read_all(encoding, data, size);
	}
	return 0;
}
