/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file log.h - warnings of the library.
 *
 * The library never prints. What a person should know although no call failed
 * (a fallback taken, a consumer with a corrupt cursor) goes to this hook;
 * without a hook it is dropped.
 */
#ifndef MYELON_LOG_H
#define MYELON_LOG_H

#include <myelon/export.h>

#ifdef __cplusplus
extern "C" {
#endif

enum myelon_log_level {
	MYELON_LOG_WARNING = 1,
	MYELON_LOG_INFO = 2,
};

/** Called on the thread that noticed, which may be the keeper's (keeper.h); must not call the library,
 * nor wait for a lock that somebody holds while calling it. */
typedef void (*myelon_log_fn)(void *ctx, enum myelon_log_level level, const char *message);

/** Set the process-wide hook (NULL: none). Set it before the handles are
 * opened. */
MYELON_API void myelon_set_log(myelon_log_fn fn, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
