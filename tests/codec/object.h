/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Objects of any described type: made at random, compared, and broken encodings of them. */
#ifndef TESTS_CODEC_OBJECT_H
#define TESTS_CODEC_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include <myelon/codec.h>

struct object_rng {
	uint64_t state;
	uint32_t most;  /* elements of a vector, bytes of a string; 0: 8 */
	uint32_t depth; /* of boxes and vectors in themselves; 0: 6 */
};

uint64_t object_random(struct object_rng *r);

/* Fill @object, zeroed first, with random values; all pointers into @arena. Floats are never NaN, strings are UTF-8
 * with code points of 1 to 4 bytes. */
void object_fill(const struct myelon_type *type, void *object, struct object_rng *r,
                 struct myelon_arena *arena);

/* Do both have the same values? Only what the description knows is compared. */
bool object_equal(const struct myelon_type *type, const void *a, const void *b);

/* Change @len bytes as faults and attackers do: bits, bytes, extreme numbers, pieces moved, cut. @return the new
 * length, at most @len. */
size_t object_mangle(struct object_rng *r, unsigned char *bytes, size_t len);

#endif
