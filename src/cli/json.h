/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A JSON writer: commas, indentation and escapes. Keys are literals of the caller and need no
 * escaping; key is NULL inside an array and for the outermost value.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *out;
	unsigned depth;
	bool compact; /* all on one line */
	bool first;   /* nothing written yet on this level */
};

void json_begin(struct json *j, FILE *out, bool compact);
void json_end(struct json *j);
void json_object(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array(struct json *j, const char *key);
void json_array_end(struct json *j);
/* NULL becomes null; bytes that are not valid UTF-8 become U+FFFD. */
void json_string(struct json *j, const char *key, const char *value);
void json_int(struct json *j, const char *key, int64_t value);
void json_uint(struct json *j, const char *key, uint64_t value);
void json_double(struct json *j, const char *key, double value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

#endif
