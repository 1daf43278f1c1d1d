/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <myelon/arena.h>

#include <stdint.h>
#include <stdlib.h>

#define FIRST_BLOCK 4096u

struct myelon_arena_block {
	struct myelon_arena_block *next;
	size_t bytes; /* that follow */
};

static unsigned char *bytes_of(struct myelon_arena_block *b)
{
	return (unsigned char *)(b + 1);
}

static void begin_at(struct myelon_arena *a, unsigned char *at, size_t bytes)
{
	a->at = at;
	a->end = at ? at + bytes : NULL;
}

void myelon_arena_init(struct myelon_arena *a, void *buf, size_t cap, size_t limit)
{
	*a = (struct myelon_arena){.limit = limit, .buf = buf, .cap = buf ? cap : 0};
	begin_at(a, a->buf, a->cap);
}

static void *take(struct myelon_arena *a, size_t bytes, size_t align)
{
	size_t skip = -(uintptr_t)a->at & (align - 1), left = (size_t)(a->end - a->at);
	unsigned char *p;

	if (!a->at || skip > left || bytes > left - skip)
		return NULL;
	p = a->at + skip;
	a->at = p + bytes;
	return p;
}

/* A block for @p need bytes: twice the last one, if the limit allows. */
static int grow(struct myelon_arena *a, size_t need)
{
	size_t left = a->limit - a->taken, bytes = a->blocks ? a->blocks->bytes : FIRST_BLOCK / 2;
	struct myelon_arena_block *b;

	if (need > left)
		return -1;
	bytes = bytes > left / 2 ? left : 2 * bytes;
	if (bytes < need)
		bytes = need;
	b = malloc(sizeof(*b) + bytes);
	if (!b)
		return -1;
	*b = (struct myelon_arena_block){.next = a->blocks, .bytes = bytes};
	a->blocks = b;
	a->taken += bytes;
	begin_at(a, bytes_of(b), bytes);
	return 0;
}

void *myelon_arena_alloc(struct myelon_arena *a, size_t bytes, size_t align)
{
	void *p;

	if (align == 0 || align > 64 || (align & (align - 1)) || bytes > SIZE_MAX / 2)
		return NULL;
	p = take(a, bytes, align);
	if (!p && bytes == 0)
		return (void *)align;
	if (!p && grow(a, bytes + align) == 0)
		p = take(a, bytes, align);
	return p;
}

/* Free all blocks but @p keep. */
static void free_blocks(struct myelon_arena *a, struct myelon_arena_block *keep)
{
	struct myelon_arena_block *b = a->blocks, *next;

	for (; b; b = next) {
		next = b->next;
		if (b != keep)
			free(b);
	}
	a->blocks = keep;
	a->taken = keep ? keep->bytes : 0;
	if (keep)
		keep->next = NULL;
}

void myelon_arena_reset(struct myelon_arena *a)
{
	struct myelon_arena_block *largest = a->blocks;

	for (struct myelon_arena_block *b = a->blocks; b; b = b->next)
		if (b->bytes > largest->bytes)
			largest = b;
	if (a->blocks)
		free_blocks(a, largest);
	/* What the caller gave comes first again, unless what is kept is larger. */
	if (largest && largest->bytes > a->cap)
		begin_at(a, bytes_of(largest), largest->bytes);
	else
		begin_at(a, a->buf, a->cap);
}

void myelon_arena_free(struct myelon_arena *a)
{
	free_blocks(a, NULL);
	begin_at(a, a->buf, a->cap);
}
