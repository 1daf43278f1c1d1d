/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the two halves of making a plan share. */
#ifndef MYE_CODEC_FLAT_PLAN_H
#define MYE_CODEC_FLAT_PLAN_H

#include "codec/flat.h"

/* @return -EINVAL. */
int mye_flat_plan_bad(const struct myelon_type *t, const char *field, const char *what)
	__attribute__((cold));

/* Zeroed. @return NULL, with a sentence. */
void *mye_flat_plan_room(size_t n, size_t size);

/* Is it an enum in which something is carried? */
bool mye_flat_is_union(const struct myelon_type *t);

/* Fill the node of a scalar, an enum without payloads, a fixed struct. *@align: the highest so far. */
int mye_flat_plan_scalar(uint32_t *align, struct mye_flat_node *n);
int mye_flat_plan_enum(struct mye_flat_node *n);
int mye_flat_plan_struct(uint32_t *align, struct mye_flat_node *n);

/* Free what the node has. */
void mye_flat_node_clear(struct mye_flat_node *n);

#endif
