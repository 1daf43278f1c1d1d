/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon bench`: the benchmarks are a part of their own. */
#include "cli.h"

/* In bench/; a build without that folder has a command without benchmarks. */
int bench_main(int argc, char **argv) __attribute__((weak));

int cmd_bench(int argc, char **argv)
{
	if (!bench_main)
		return cli_error(CLI_FAILURE, "this build has no benchmarks");
	return bench_main(argc, argv);
}
