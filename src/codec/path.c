/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "codec/path.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

int mye_path_fail(struct mye_path *p, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->what, sizeof(p->what), fmt, ap);
	va_end(ap);
	p->begin = sizeof(p->where) - 1;
	p->where[p->begin] = '\0';
	p->full = false;
	return err;
}

/* What does not fit any more is dots: the inner end of the path says most. */
static void prepend(struct mye_path *p, const char *text)
{
	static const char dots[] = "...";
	size_t len = strlen(text), room = sizeof(dots) - 1;

	if (p->full)
		return;
	p->full = len + room > p->begin;
	if (p->full) {
		text = dots;
		len = room;
	}
	p->begin -= (uint32_t)len;
	memcpy(p->where + p->begin, text, len);
}

int mye_path_field(struct mye_path *p, int err, const char *name)
{
	prepend(p, name);
	prepend(p, ".");
	return err;
}

int mye_path_element(struct mye_path *p, int err, size_t index)
{
	char text[32];

	snprintf(text, sizeof(text), "[%zu]", index);
	prepend(p, text);
	return err;
}

int mye_path_end(struct mye_path *p, int err, const char *format, const struct myelon_type *top)
{
	static const char of_c[] = "struct ";
	const char *name = top->name;

	if (!name)
		name = myelon_type_kind_name((enum myelon_type_kind)top->kind);
	if (strncmp(name, of_c, sizeof(of_c) - 1) == 0)
		name += sizeof(of_c) - 1;
	prepend(p, name);
	return mye_fail(err, "%s: %s: %s", format, p->where + p->begin, p->what);
}
