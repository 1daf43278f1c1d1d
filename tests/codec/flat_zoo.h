/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Reading all of a zoo or a batch in place, by the accessors. */
#ifndef TESTS_CODEC_FLAT_ZOO_H
#define TESTS_CODEC_FLAT_ZOO_H

#include <stddef.h>
#include <stdint.h>

/* Of any bytes. @return a sum of all that was read. */
uint64_t flat_read_zoo(const void *data, size_t len);
uint64_t flat_read_batch(const void *data, size_t len);

#endif
