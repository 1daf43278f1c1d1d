/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One function per benchmark; each returns the exit code. */
#ifndef MYELON_BENCH_COMMANDS_H
#define MYELON_BENCH_COMMANDS_H

#include <stdbool.h>

struct bench_options;

int bench_limit(const struct bench_options *o);
int bench_signal(const struct bench_options *o);
int bench_pingpong(const struct bench_options *o);
int bench_broadcast(const struct bench_options *o);
int bench_codec(const struct bench_options *o);
int bench_death(const struct bench_options *o);
int bench_idle(const struct bench_options *o);
int bench_wake(const struct bench_options *o);
int bench_run_place(const struct bench_options *o);

/* The exit code: @rc < 0 is a failure that was told, @verified whether all content was right. */
int bench_end(int rc, bool verified);

#endif
