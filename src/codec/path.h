/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What is wrong with a value, and where in it: "zoo.shapes[3].name: 12 bytes needed at byte 40, 5 are left".
 *
 * It is gathered from the place of the fault outwards, while the walk returns, so that it costs nothing as long
 * as nothing is wrong, and needs no initialisation:
 *
 *     static int walk(...)
 *         rc = walk(... field f ...);
 *         if (rc < 0)
 *             return mye_path_field(path, rc, f->name);
 */
#ifndef MYE_CODEC_PATH_H
#define MYE_CODEC_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/type.h"

#define MYE_PATH_MAX 160
#define MYE_PATH_WHAT 160

struct mye_path {
	char what[MYE_PATH_WHAT];
	char where[MYE_PATH_MAX]; /* filled from the end */
	uint32_t begin;
	bool full;
};

/* Each returns @err. */

/* Here something is wrong, and this. */
int mye_path_fail(struct mye_path *p, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), cold));
/* It was in this field, or variant. */
int mye_path_field(struct mye_path *p, int err, const char *name) __attribute__((cold));
/* It was in this element. */
int mye_path_element(struct mye_path *p, int err, size_t index) __attribute__((cold));
/* It was in this type, at the top: make it the thread's last error, beginning with @format. */
int mye_path_end(struct mye_path *p, int err, const char *format, const struct myelon_type *top)
	__attribute__((cold));

#endif
