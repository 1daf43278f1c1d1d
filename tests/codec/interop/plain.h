/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Objects without what a tool cannot keep. */
#ifndef TESTS_CODEC_INTEROP_PLAIN_H
#define TESTS_CODEC_INTEROP_PLAIN_H

#include <myelon/type.h>

/* flatc prints 6 digits behind the point of a float: no more are left. */
void plain_floats(const struct myelon_type *type, void *object);

/* The objects of the C++ library of FlatBuffers know no text that is there and empty, and no -0 beside a default of
 * 0: the text is made absent, the sign is taken away. */
void plain_absent(const struct myelon_type *type, void *object);

#endif
