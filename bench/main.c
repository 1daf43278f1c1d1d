/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "bench.h"
#include "args.h"
#include "cli.h"
#include "clock.h"
#include "commands.h"
#include "crew.h"
#include "options.h"

#include <stdio.h>
#include <string.h>

static void usage(FILE *out)
{
	(void)fputs(
		"Usage: myelon bench limit|signal|pingpong|broadcast|idle|wake|death|codec|place "
		"[OPTION...]\n\n"
		"  limit      what this machine gives with nothing in between\n"
		"  signal     one way, one by one and in batches\n"
		"  pingpong   round trips\n"
		"  broadcast  one producer, several consumers\n"
		"  idle       what waiting costs\n"
		"  wake       what a wake costs, for every way to wait\n"
		"  death      how soon a blocked producer is told that its consumer was killed\n"
		"  codec      what messages of each codec cost: in place, owned, and raw bytes\n"
		"  place      what nodes and pages cost\n\n"
		"See 'myelon bench NAME --help'.\n",
		out);
}

int bench_end(int rc, bool verified)
{
	if (bench_interrupted())
		return CLI_SIGNAL + bench_interrupted();
	if (rc < 0)
		return CLI_FAILURE;
	if (!verified)
		return cli_error(CLI_DAMAGED, "bench: a message was not what was sent");
	return cli_finish(CLI_OK);
}

int bench_main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct bench_options *o);
	} runs[] = {{"limit", bench_limit},       {"signal", bench_signal},
	            {"pingpong", bench_pingpong}, {"broadcast", bench_broadcast},
	            {"idle", bench_idle},         {"wake", bench_wake},
	            {"death", bench_death},       {"codec", bench_codec},
	            {"place", bench_run_place}};
	struct bench_options o;
	int rc;

	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		usage(stdout);
		return cli_finish(CLI_OK);
	}
	if (argc < 2 || !bench_known(argv[1])) {
		usage(stderr);
		return argc < 2
		               ? CLI_USAGE
		               : cli_error(CLI_USAGE, "bench: there is no benchmark '%s'", argv[1]);
	}
	rc = bench_options_parse(&o, argc - 1, argv + 1);
	if (rc != ARGS_RUN)
		return rc;
	bench_catch_signals();
	bench_clock_start();
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
		if (strcmp(runs[i].name, o.bench) == 0)
			rc = runs[i].run(&o);
	return rc;
}
