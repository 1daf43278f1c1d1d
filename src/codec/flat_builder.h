/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the codec knows of the builder beyond its public half. */
#ifndef MYE_CODEC_FLAT_BUILDER_H
#define MYE_CODEC_FLAT_BUILDER_H

#include <myelon/flatbuffers_builder.h>

/* myelon_flat_table() of a table in which, @before bytes from its begin, something is aligned to @align, at least 4. */
void mye_flat_table(struct myelon_flat_builder *b, uint32_t ref, uint32_t slots, uint32_t align,
                    uint32_t before);

#endif
