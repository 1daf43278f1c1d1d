/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where and with what the figures were measured: they mean nothing without it. */
#ifndef MYELON_BENCH_MACHINE_H
#define MYELON_BENCH_MACHINE_H

struct json;

/* The "machine" member. */
void bench_machine_json(struct json *j, const int *cpus, unsigned int cpu_count);

/* One or two lines of text. */
void bench_machine_print(const int *cpus, unsigned int cpu_count);

#endif
