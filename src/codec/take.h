/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Memory for what a message holds: of an arena, and within a limit per message. */
#ifndef MYE_CODEC_TAKE_H
#define MYE_CODEC_TAKE_H

#include <myelon/arena.h>

#include "codec/path.h"

struct mye_take {
	struct myelon_arena *arena; /* NULL: there is none */
	uint64_t left;              /* bytes that may still be taken */
};

/* Room for @count elements of @size bytes, not zeroed. @return NULL: *rc is -EBADMSG (the limit) or -ENOMEM (the
 * arena). */
void *mye_take(struct mye_take *t, struct mye_path *path, size_t count, size_t size, size_t align,
               int *rc);

#endif
