/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon bench`: the benchmarks are a part of their own, with options of their own. */
#include "bench.h"
#include "cli.h"

int cmd_bench(int argc, char **argv)
{
	return bench_main(argc, argv);
}
