/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

struct mye_bytes_text mye_bytes_text(uint64_t bytes)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	struct mye_bytes_text out;
	unsigned int unit = 0;
	uint64_t size = 1;

	while (bytes / size >= 1024) {
		size *= 1024;
		unit++;
	}
	if (bytes % size == 0)
		snprintf(out.text, sizeof(out.text), "%llu %s", (unsigned long long)(bytes / size),
		         units[unit]);
	else
		snprintf(out.text, sizeof(out.text), "%.1f %s", (double)bytes / (double)size,
		         units[unit]);
	return out;
}

void mye_append(char *buf, size_t cap, const char *fmt, ...)
{
	size_t used = strlen(buf);
	va_list ap;

	if (used + 1 >= cap)
		return;
	va_start(ap, fmt);
	vsnprintf(buf + used, cap - used, fmt, ap);
	va_end(ap);
}
