/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"

static myelon_log_fn hook;
static void *hook_ctx;

void myelon_set_log(myelon_log_fn fn, void *ctx)
{
	__atomic_store_n(&hook_ctx, ctx, __ATOMIC_RELAXED);
	/* Release: pairs with the acquire load in mye_warn(), which then sees the context. */
	__atomic_store_n(&hook, fn, __ATOMIC_RELEASE);
}

void mye_warn(const char *fmt, ...)
{
	/* Acquire: pairs with the release store in myelon_set_log(). */
	myelon_log_fn fn = __atomic_load_n(&hook, __ATOMIC_ACQUIRE);
	char text[512];
	va_list ap;

	if (!fn)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fn(__atomic_load_n(&hook_ctx, __ATOMIC_RELAXED), MYELON_LOG_WARNING, text);
}
