/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The values of options that are more than a number: for the option table (src/cli/args.h). */
#ifndef MYELON_BENCH_OPTIONS_PARSE_H
#define MYELON_BENCH_OPTIONS_PARSE_H

/* Each: NULL, or what is wrong with the text. Lists are a struct bench_list. */
const char *bench_parse_waits(const char *text, void *value);
const char *bench_parse_ways(const char *text, void *value); /* of way.h */
const char *bench_parse_works(const char *text, void *value);
const char *bench_parse_consumers(const char *text, void *value);
const char *bench_parse_records(const char *text, void *value);
const char *bench_parse_codecs(const char *text, void *value); /* of codec_format.h */
const char *bench_parse_cpus(const char *text, void *value);
const char *bench_parse_rate(const char *text, void *value);  /* a double */
const char *bench_parse_rates(const char *text, void *value); /* whole messages per second */
const char *bench_parse_plot(const char *text, void *value);  /* a file name */

#endif
