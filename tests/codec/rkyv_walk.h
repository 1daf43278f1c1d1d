/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Everything in an archive, through the accessors alone. */
#ifndef TESTS_CODEC_RKYV_WALK_H
#define TESTS_CODEC_RKYV_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include <myelon/rkyv.h>

/* Read all that can be reached, each text and run byte by byte. @return a sum, so that it is not left out. At most
 * @budget places are visited, which is lowered. */
uint64_t rkyv_walk(struct myelon_rkyv v, uint64_t *budget);

/* Do the accessors give the values of @object, of @type? */
bool rkyv_is_object(struct myelon_rkyv v, const struct myelon_type *type, const void *object);

#endif
