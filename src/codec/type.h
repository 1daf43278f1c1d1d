/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What codecs share of descriptions: limits. */
#ifndef MYE_CODEC_TYPE_H
#define MYE_CODEC_TYPE_H

#include <myelon/type.h>

/* Types between the top and any other, pointers to a type above not counted. */
#define MYE_TYPE_DEPTH 64u
/* How deep values may be nested, boxes and vectors of a type in itself included. */
#define MYE_VALUE_DEPTH 128u

#endif
