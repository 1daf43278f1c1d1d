/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The sentence behind myelon_last_error(), and warnings for the log hook. */
#ifndef MYE_BASE_ERROR_H
#define MYE_BASE_ERROR_H

#include <myelon/error.h>
#include <myelon/log.h>

/* Record the thread's last failure and return @p err (negative errno). Cold
 * paths only: it formats. */
int mye_fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* The same for a constant sentence, without formatting: for results that are
 * part of normal flow. */
int mye_fail_static(int err, const char *sentence);

/* Tell the log hook, if there is one. */
void mye_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2), cold));

#endif
