/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The SHA-256 of `myelon demo` against the published vectors, with and without special instructions. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/cli/sha256.h"

typedef void (*init_fn)(struct sha256 *s);
static const init_fn inits[] = {sha256_init, sha256_init_portable};

static void expect(const void *data, size_t bytes, const char *want)
{
	for (size_t i = 0; i < 2; i++) {
		struct sha256 s;
		char hex[SHA256_HEX];

		inits[i](&s);
		sha256_update(&s, data, bytes);
		sha256_final_hex(&s, hex);
		cr_assert_str_eq(hex, want, "init %zu, %zu bytes: %s", i, bytes, hex);
	}
}

Test(sha256, published_vectors_are_met)
{
	expect("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	expect("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	expect("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
	       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	expect("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
	       "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
	       112, "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
}

Test(sha256, a_million_letters_match_the_published_sum)
{
	char *a = malloc(1000000);

	cr_assert_not_null(a);
	memset(a, 'a', 1000000);
	expect(a, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(a);
}

/* Where the input is cut makes no difference, and both implementations agree at every length. */
Test(sha256, cutting_the_input_does_not_change_the_sum)
{
	unsigned char data[300];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 131 + 7);
	for (size_t len = 0; len <= sizeof(data); len++) {
		struct sha256 whole, cut;
		char a[SHA256_HEX], b[SHA256_HEX];

		sha256_init_portable(&whole);
		sha256_update(&whole, data, len);
		sha256_final_hex(&whole, a);
		sha256_init(&cut);
		for (size_t at = 0, n; at < len; at += n) {
			n = at % 67 + 1 < len - at ? at % 67 + 1 : len - at;
			sha256_update(&cut, data + at, n);
		}
		sha256_final_hex(&cut, b);
		cr_assert_str_eq(a, b, "length %zu", len);
	}
}
