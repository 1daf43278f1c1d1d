/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Numbers for people. */
#ifndef CLI_FMT_H
#define CLI_FMT_H

#include <stdint.h>

struct fmt {
	char text[48];
};

/* "1.5 MiB" */
const char *fmt_bytes(struct fmt *f, uint64_t bytes);
/* bytes per second: "1.23 GB/s", decimal units */
const char *fmt_rate(struct fmt *f, double rate);
/* "3.2 s", "45 s", "17 min", "5 h", "12 d" */
const char *fmt_age(struct fmt *f, uint64_t ns);
/* "12,345,678" */
const char *fmt_count(struct fmt *f, uint64_t n);

#endif
