/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <inttypes.h>
#include <math.h>

#include "json.h"

void json_begin(struct json *j, FILE *out, bool compact)
{
	*j = (struct json){.out = out, .compact = compact, .first = true};
}

void json_end(struct json *j)
{
	fputc('\n', j->out);
}

static void new_line(struct json *j)
{
	if (j->compact)
		return;
	fputc('\n', j->out);
	for (unsigned i = 0; i < j->depth; i++)
		fputs("  ", j->out);
}

/* What stands before each value. */
static void lead(struct json *j, const char *key)
{
	if (!j->first)
		fputs(j->compact ? ", " : ",", j->out);
	if (j->depth > 0)
		new_line(j);
	if (key)
		fprintf(j->out, "\"%s\": ", key);
	j->first = false;
}

static void open_level(struct json *j, const char *key, char c)
{
	lead(j, key);
	fputc(c, j->out);
	j->depth++;
	j->first = true;
}

static void close_level(struct json *j, char c)
{
	bool empty = j->first;

	j->depth--;
	if (!empty)
		new_line(j);
	fputc(c, j->out);
	j->first = false;
}

void json_object(struct json *j, const char *key)
{
	open_level(j, key, '{');
}

void json_object_end(struct json *j)
{
	close_level(j, '}');
}

void json_array(struct json *j, const char *key)
{
	open_level(j, key, '[');
}

void json_array_end(struct json *j)
{
	close_level(j, ']');
}

/* Bytes of the valid UTF-8 character at @s (NUL-terminated), 0: it is not one. */
static int utf8_length(const unsigned char *s)
{
	static const struct {
		unsigned char mask, lead;
		int len;
		uint32_t min;
	} forms[] = {{0xe0, 0xc0, 2, 0x80}, {0xf0, 0xe0, 3, 0x800}, {0xf8, 0xf0, 4, 0x10000}};

	if (s[0] < 0x80)
		return 1;
	for (int f = 0; f < 3; f++) {
		uint32_t c = s[0] & (unsigned char)~forms[f].mask;
		int i;

		if ((s[0] & forms[f].mask) != forms[f].lead)
			continue;
		for (i = 1; i < forms[f].len && (s[i] & 0xc0) == 0x80; i++)
			c = c << 6 | (s[i] & 0x3f);
		if (i < forms[f].len || c < forms[f].min || c > 0x10ffff || (c & ~0x7ffu) == 0xd800)
			return 0;
		return forms[f].len;
	}
	return 0;
}

static void put_escaped(FILE *out, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;

	while (*s) {
		int len = utf8_length(s);

		if (len == 0) {
			fputs("\\ufffd", out);
			len = 1;
		} else if (*s == '"' || *s == '\\') {
			fprintf(out, "\\%c", *s);
		} else if (*s < 0x20 || *s == 0x7f) {
			fprintf(out, "\\u%04x", *s);
		} else {
			fwrite(s, 1, (size_t)len, out);
		}
		s += len;
	}
}

void json_string(struct json *j, const char *key, const char *value)
{
	if (!value) {
		json_null(j, key);
		return;
	}
	lead(j, key);
	fputc('"', j->out);
	put_escaped(j->out, value);
	fputc('"', j->out);
}

void json_int(struct json *j, const char *key, int64_t value)
{
	lead(j, key);
	fprintf(j->out, "%" PRId64, value);
}

void json_uint(struct json *j, const char *key, uint64_t value)
{
	lead(j, key);
	fprintf(j->out, "%" PRIu64, value);
}

void json_double(struct json *j, const char *key, double value)
{
	if (!isfinite(value)) {
		json_null(j, key);
		return;
	}
	lead(j, key);
	fprintf(j->out, "%.6g", value);
}

void json_bool(struct json *j, const char *key, bool value)
{
	lead(j, key);
	fputs(value ? "true" : "false", j->out);
}

void json_null(struct json *j, const char *key)
{
	lead(j, key);
	fputs("null", j->out);
}
