/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Builds a message from the front. A table's vtable follows it, or is an equal one that was written before; what is
 * remembered of those lies in the builder, for the message may be changed by others.
 */
#include "codec/flat_builder.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"

static const char *const too_long = "the message does not fit";

static void fail(struct myelon_flat_builder *b, int err, const char *wrong)
{
	if (b->err)
		return;
	b->err = err;
	b->wrong = wrong;
	b->slots = 0;
}

void myelon_flat_begin(struct myelon_flat_builder *b, void *buf, size_t cap, const char *identifier)
{
	uint32_t first = identifier ? 8 : 4;

	memset(b, 0, offsetof(struct myelon_flat_builder, vtable));
	b->buf = buf;
	b->cap = cap < INT32_MAX ? (uint32_t)cap : INT32_MAX;
	b->pending = 1;
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
	fail(b, -ENOTSUP, "it is for little-endian machines");
#endif
	if ((uintptr_t)buf & 15)
		fail(b, -EINVAL, "the memory is not aligned to 16 bytes");
	else if (cap < first)
		fail(b, -EMSGSIZE, too_long);
	if (b->err)
		return;
	memset(buf, 0, 4);
	if (identifier)
		memcpy(b->buf + 4, identifier, 4);
	b->at = first;
}

int64_t myelon_flat_end(struct myelon_flat_builder *b)
{
	if (b->table)
		fail(b, -EINVAL, "a table was not ended");
	if (b->pending)
		fail(b, -EINVAL, "a reference leads nowhere");
	if (b->err)
		return mye_fail(b->err, "flatbuffers builder: %s (at byte %u of %u)", b->wrong,
		                b->at, b->cap);
	return b->at;
}

void *myelon_flat_no_place_(struct myelon_flat_builder *b, uint32_t slot, uint64_t end)
{
	if (!b->table)
		fail(b, -EINVAL, "a field outside a table");
	else if (slot >= b->slots)
		fail(b, -EINVAL, "a field's id is not among those of its table");
	else if (b->vtable[2 + slot])
		fail(b, -EINVAL, "a field was written twice");
	else if (end > b->cap)
		fail(b, -EMSGSIZE, too_long);
	else
		fail(b, -EINVAL, "a table is longer than 64 KiB");
	return NULL;
}

/* Go on to where, after @before bytes, something is aligned; there must be room for @bytes. */
static bool advance(struct myelon_flat_builder *b, uint32_t align, uint32_t before, uint64_t bytes)
{
	uint32_t pad = -(b->at + before) & (align - 1);

	if (b->err)
		return false;
	if ((uint64_t)b->at + pad + bytes > b->cap) {
		fail(b, -EMSGSIZE, too_long);
		return false;
	}
	memset(b->buf + b->at, 0, pad);
	b->at += pad;
	return true;
}

/* The reference @ref leads to what is written next. */
static bool lead(struct myelon_flat_builder *b, uint32_t ref)
{
	uint32_t offset = 0;

	if (b->table)
		fail(b, -EINVAL, "the table before was not ended");
	else if (ref % 4 || ref + 4ull > b->at)
		fail(b, -EINVAL, "it is no reference");
	if (b->err)
		return false;
	memcpy(&offset, b->buf + ref, sizeof(offset));
	if (offset || !b->pending) {
		fail(b, -EINVAL, "a reference was used twice");
		return false;
	}
	offset = b->at - ref;
	memcpy(b->buf + ref, &offset, sizeof(offset));
	b->pending--;
	return true;
}

void mye_flat_table(struct myelon_flat_builder *b, uint32_t ref, uint32_t slots, uint32_t align,
                    uint32_t before)
{
	if (slots > MYELON_FLAT_MAX_SLOTS)
		fail(b, -EINVAL, "a table has more slots than MYELON_FLAT_MAX_SLOTS");
	if (!advance(b, align, before, 4) || !lead(b, ref))
		return;
	memset(b->buf + b->at, 0, 4);
	memset(b->vtable, 0, (2 + slots) * sizeof(b->vtable[0]));
	b->table = b->at;
	b->slots = slots;
	b->used = 0;
	b->at += 4;
}

void myelon_flat_table(struct myelon_flat_builder *b, uint32_t ref, uint32_t slots)
{
	mye_flat_table(b, ref, slots, 4, 0);
}

/* An equal vtable that was written before; 0: none. */
static uint32_t find_vtable(const struct myelon_flat_builder *b, uint32_t bytes)
{
	for (uint32_t i = 1; i <= MYELON_FLAT_VTABLES; i++) {
		uint32_t k = (b->next - i) % MYELON_FLAT_VTABLES;

		if (b->vtables[k].bytes == bytes &&
		    memcmp(b->buf + b->vtables[k].at, b->vtable, bytes) == 0)
			return b->vtables[k].at;
	}
	return 0;
}

static uint32_t write_vtable(struct myelon_flat_builder *b, uint32_t bytes)
{
	uint32_t at;

	if (!advance(b, 2, 0, bytes))
		return 0;
	at = b->at;
	memcpy(b->buf + at, b->vtable, bytes);
	b->at += bytes;
	b->vtables[b->next].at = at;
	b->vtables[b->next].bytes = bytes;
	b->next = (b->next + 1) % MYELON_FLAT_VTABLES;
	return at;
}

void myelon_flat_table_end(struct myelon_flat_builder *b)
{
	uint32_t bytes = 4 + 2 * b->used, vtable, back;

	if (!b->table)
		fail(b, -EINVAL, "a table was ended that was not begun");
	if (b->err)
		return;
	b->vtable[0] = (uint16_t)bytes;
	b->vtable[1] = (uint16_t)(b->at - b->table);
	vtable = find_vtable(b, bytes);
	if (!vtable)
		vtable = write_vtable(b, bytes);
	if (!vtable)
		return;
	back = b->table - vtable;
	memcpy(b->buf + b->table, &back, sizeof(back));
	b->table = 0;
	b->slots = 0;
}

void myelon_flat_text(struct myelon_flat_builder *b, uint32_t ref, const char *data, size_t len)
{
	uint32_t count = (uint32_t)len;

	if (len > INT32_MAX)
		fail(b, -EMSGSIZE, too_long);
	if (!advance(b, 4, 0, 5ull + count) || !lead(b, ref))
		return;
	memcpy(b->buf + b->at, &count, sizeof(count));
	if (len)
		memcpy(b->buf + b->at + 4, data, len);
	b->buf[b->at + 4 + count] = '\0';
	b->at += 5 + count;
}

void *myelon_flat_vector(struct myelon_flat_builder *b, uint32_t ref, size_t count, uint32_t size,
                         uint32_t align)
{
	uint32_t elements = (uint32_t)count;
	uint64_t bytes;
	void *to;

	if (align == 0 || align > 16 || (align & (align - 1)))
		fail(b, -EINVAL, "the alignment is not 1, 2, 4, 8 or 16");
	if (__builtin_mul_overflow(count, size, &bytes) || bytes > INT32_MAX || count > INT32_MAX)
		fail(b, -EMSGSIZE, too_long);
	if (b->err || !advance(b, align > 4 ? align : 4, 4, 4 + bytes) || !lead(b, ref))
		return NULL;
	memcpy(b->buf + b->at, &elements, sizeof(elements));
	to = b->buf + b->at + 4;
	b->at += 4 + (uint32_t)bytes;
	return to;
}

uint32_t myelon_flat_refs(struct myelon_flat_builder *b, uint32_t ref, size_t count)
{
	unsigned char *to = myelon_flat_vector(b, ref, count, 4, 4);

	if (!to)
		return 0;
	memset(to, 0, 4 * count);
	b->pending += (uint32_t)count;
	return (uint32_t)(to - b->buf);
}
