/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What verifying and decoding share: every step that a message of anybody's leads to, checked. The bytes may change
 * meanwhile; each is read once.
 */
#ifndef MYE_CODEC_FLAT_WALK_H
#define MYE_CODEC_FLAT_WALK_H

#include "codec/flat.h"
#include "codec/path.h"

struct mye_flat_walk {
	const unsigned char *data;
	uint32_t len;
	uint32_t depth; /* that is left, as the next two */
	uint32_t tables;
	uint64_t work;
	const struct mye_flat_codec *codec;
	struct myelon_arena *arena; /* decode */
	struct mye_path path;
};

/* A table that was entered. */
struct mye_flat_at {
	uint32_t at;
	uint32_t bytes;
	uint32_t vtable;
	uint32_t entries; /* bytes of the vtable */
};

/* All return negative with the path begun, where a caller adds its part. */

/* Begin, and find the root table. */
int mye_flat_walk(struct mye_flat_walk *w, const struct mye_flat_codec *codec, const void *data,
                  size_t len, uint32_t *root);

/* Make the fault the thread's last error. */
int mye_flat_walk_end(struct mye_flat_walk *w, int err);

/* Enter the table at @at; each time must be followed by mye_flat_leave(), unless it failed. */
int mye_flat_enter(struct mye_flat_walk *w, uint32_t at, struct mye_flat_at *t);
static inline void mye_flat_leave(struct mye_flat_walk *w)
{
	w->depth++;
}

/* A field of @size bytes, aligned to @align. @return 1 and *@at; 0: absent. */
int mye_flat_find(struct mye_flat_walk *w, const struct mye_flat_at *t, uint32_t slot,
                  uint32_t size, uint32_t align, uint32_t *at);

/* A field of a plan; UNION: its reference. */
static inline int mye_flat_find_field(struct mye_flat_walk *w, const struct mye_flat_at *t,
                                      const struct mye_flat_field *f, uint32_t *at)
{
	const struct mye_flat_node *wire = f->node->wire;

	return mye_flat_find(w, t, f->slot, wire->size, wire->align, at);
}

/* The absence of the field is no fault; else: is it one? @return 0 or negative. */
int mye_flat_absent(struct mye_flat_walk *w, const struct mye_flat_field *f);

/* Which variant a union has. *@at: of the reference to what it carries, if the variant has a node. */
int mye_flat_find_union(struct mye_flat_walk *w, const struct mye_flat_at *t,
                        const struct mye_flat_field *f, const struct mye_flat_variant **variant,
                        uint32_t *at);

/* What the reference at @at leads to: at least 4 bytes, aligned to 4. */
int mye_flat_follow(struct mye_flat_walk *w, uint32_t at, uint32_t *to);

/* The elements of the vector of @node that the reference at @at leads to. */
int mye_flat_elements(struct mye_flat_walk *w, uint32_t at, const struct mye_flat_node *node,
                      uint32_t *first, uint32_t *count);

/* The bytes of the text that the reference at @at leads to. */
int mye_flat_bytes(struct mye_flat_walk *w, uint32_t at, uint32_t *first, uint32_t *len);

/* @bytes were looked at, or @text is said to be UTF-8. */
int mye_flat_work(struct mye_flat_walk *w, uint64_t bytes);
int mye_flat_check_text(struct mye_flat_walk *w, const void *text, uint32_t len);

/* The scalar at @at, which was found. */
static inline uint64_t mye_flat_bits(const struct mye_flat_walk *w, uint32_t at, uint32_t width)
{
	const unsigned char *p = w->data + at;

	switch (width) {
	case 1:
		return myelon_once_u8_(p);
	case 2:
		return myelon_once_u16_(p);
	case 4:
		return myelon_once_u32_(p);
	default:
		return myelon_once_u64_(p);
	}
}

/* The value at @at is none of its type. */
int mye_flat_unknown(struct mye_flat_walk *w, const struct mye_flat_node *node, uint64_t bits);

#endif
