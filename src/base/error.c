/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define SENTENCE_MAX 512

static _Thread_local char buffer[SENTENCE_MAX];
static _Thread_local const char *last;

/* Formatted aside first: an argument may be the sentence of the failure below. */
int mye_fail(int err, const char *fmt, ...)
{
	char text[SENTENCE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(buffer, text, sizeof(text));
	last = buffer;
	return err;
}

int mye_fail_static(int err, const char *sentence)
{
	last = sentence;
	return err;
}

const char *myelon_last_error(void)
{
	return last ? last : "no error";
}
