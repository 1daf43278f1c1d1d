/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fmt.h"

const char *fmt_bytes(struct fmt *f, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	double n = (double)bytes;
	int u = 0;

	while (n >= 1024 && u < 5) {
		n /= 1024;
		u++;
	}
	if (n == (double)(uint64_t)n)
		snprintf(f->text, sizeof(f->text), "%.0f %s", n, units[u]);
	else
		snprintf(f->text, sizeof(f->text), "%.1f %s", n, units[u]);
	return f->text;
}

const char *fmt_rate(struct fmt *f, double rate)
{
	static const char *const units[] = {"B/s", "kB/s", "MB/s", "GB/s", "TB/s"};
	int u = 0;

	while (rate >= 1000 && u < 4) {
		rate /= 1000;
		u++;
	}
	snprintf(f->text, sizeof(f->text),
	         rate < 10    ? "%.2f %s"
	         : rate < 100 ? "%.1f %s"
	                      : "%.0f %s",
	         rate, units[u]);
	return f->text;
}

const char *fmt_age(struct fmt *f, uint64_t ns)
{
	uint64_t s = ns / 1000000000;

	if (s < 10)
		snprintf(f->text, sizeof(f->text), "%" PRIu64 ".%" PRIu64 " s", s,
		         ns / 100000000 % 10);
	else if (s < 120)
		snprintf(f->text, sizeof(f->text), "%" PRIu64 " s", s);
	else if (s < 7200)
		snprintf(f->text, sizeof(f->text), "%" PRIu64 " min", s / 60);
	else if (s < 172800)
		snprintf(f->text, sizeof(f->text), "%" PRIu64 " h", s / 3600);
	else
		snprintf(f->text, sizeof(f->text), "%" PRIu64 " d", s / 86400);
	return f->text;
}

const char *fmt_count(struct fmt *f, uint64_t n)
{
	char digits[24];
	size_t len, out = 0;

	snprintf(digits, sizeof(digits), "%" PRIu64, n);
	len = strlen(digits);
	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			f->text[out++] = ',';
		f->text[out++] = digits[i];
	}
	f->text[out] = '\0';
	return f->text;
}
