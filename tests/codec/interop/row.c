/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "row.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kit.h"

static struct row {
	char path[PATH_MAX];
	const char *format, *direction, *tool;
} row;

static void row_write(const char *state)
{
	FILE *f = fopen(row.path, "w");

	cr_assert(f, "%s: %s", row.path, strerror(errno));
	fprintf(f, "%s|%s|%s|%s\n", row.format, row.direction, row.tool, state);
	cr_assert_eq(fclose(f), 0);
}

void row_begin(const char *file, const char *format, const char *direction, const char *tool)
{
	const char *build = getenv("MYELON_BUILD_DIR");
	int n;

	row = (struct row){"", format, direction, tool};
	n = snprintf(row.path, sizeof(row.path), "%s/tests/interop.d", build ? build : ".");
	cr_assert(n > 0 && n < (int)sizeof(row.path));
	cr_assert(mkdir(row.path, 0755) == 0 || errno == EEXIST, "%s: %s", row.path,
	          strerror(errno));
	n += snprintf(row.path + n, sizeof(row.path) - (size_t)n, "/%s", file);
	cr_assert(n < (int)sizeof(row.path));
	row_write("FAILED");
}

void row_ok(const char *note, ...)
{
	char text[256], state[300];
	va_list ap;

	va_start(ap, note);
	vsnprintf(text, sizeof(text), note, ap);
	va_end(ap);
	snprintf(state, sizeof(state), "ok%s%s", text[0] ? ": " : "", text);
	row_write(state);
}

void row_skip(const char *what, const char *why)
{
	char state[300];

	snprintf(state, sizeof(state), "skipped: %s", why);
	if (!kit_required(what))
		row_write(state);
	kit_skip(what, why);
}
