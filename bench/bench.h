/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon bench`: what src/cli needs of the benchmarks. */
#ifndef MYELON_BENCH_H
#define MYELON_BENCH_H

/*
 * Runs the benchmark named by argv[1] (argv[0] is "bench"); results on stdout, errors as one
 * sentence on stderr. Returns the exit code: 0; 1 something failed or a message was not what was
 * sent; 2 the options are wrong; 130 interrupted. Speed never decides.
 */
int bench_main(int argc, char **argv);

#endif
