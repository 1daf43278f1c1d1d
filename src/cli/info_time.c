/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Moments and ages for `myelon info` and `ls`. */
#include <stdio.h>
#include <time.h>

#include "info.h"

void info_format_time(uint64_t ns, char *text, size_t size)
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(text, size, "unknown");
}

/* @return false: unknown, or the clock was set back meanwhile. */
static bool age_of(uint64_t since_ns, uint64_t *age)
{
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_REALTIME, &ts);
	now = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	*age = now - since_ns;
	return since_ns != 0 && since_ns <= now;
}

const char *info_age(struct fmt *f, uint64_t since_ns)
{
	uint64_t age;

	return age_of(since_ns, &age) ? fmt_age(f, age) : "-";
}

void info_age_json(struct json *j, const char *key_ns, const char *key, uint64_t since_ns)
{
	char text[32];
	uint64_t age;

	if (!age_of(since_ns, &age)) {
		json_null(j, key_ns);
		json_null(j, key);
		return;
	}
	info_format_time(since_ns, text, sizeof(text));
	json_uint(j, key_ns, age);
	json_string(j, key, text);
}
