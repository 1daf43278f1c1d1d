/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "codec/take.h"

#include <errno.h>

void *mye_take(struct mye_take *t, struct mye_path *path, size_t count, size_t size, size_t align,
               int *rc)
{
	size_t bytes;
	uint64_t cost;
	void *p;

	if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
		bytes = SIZE_MAX / 2; /* nobody has that */
	cost = bytes + align - 1;
	if (cost > t->left) {
		*rc = mye_path_fail(path, -EBADMSG,
		                    "it takes %zu bytes of memory, the limit leaves %llu", bytes,
		                    (unsigned long long)t->left);
		return NULL;
	}
	p = t->arena ? myelon_arena_alloc(t->arena, bytes, align) : NULL;
	if (p)
		t->left -= cost;
	else
		*rc = mye_path_fail(path, -ENOMEM, "the arena has no room for %zu bytes", bytes);
	return p;
}
