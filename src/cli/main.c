/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The myelon command: finds the subcommand. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static int cmd_help(int argc, char **argv);
static int cmd_version(int argc, char **argv);

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help; /* NULL: not for people */
} commands[] = {
	{"pub", cmd_pub, "broadcast stdin over a ring"},
	{"sub", cmd_sub, "write what comes over a ring to stdout"},
	{"ls", cmd_ls, "list the rings"},
	{"info", cmd_info, "describe one ring and its consumers"},
	{"evict", cmd_evict, "stop waiting for a dead consumer, or a living one"},
	{"watch", cmd_watch, "tell who comes to a ring and who goes, as it happens"},
	{"rm", cmd_rm, "remove rings that nobody uses"},
	{"gc", cmd_gc, "remove what killed processes left behind"},
	{"doctor", cmd_doctor, "check whether this machine is ready for a deployment"},
	{"hugepages", cmd_hugepages, "show huge pages, add some, mount them"},
	{"demo", cmd_demo, "broadcast a real file to four processes and compare checksums"},
	{"bench", cmd_bench, "measure this machine and the ring on it"},
	{"version", cmd_version, "print the version"},
	{"help", cmd_help, "this text; help COMMAND: the command's options"},
	{"demo-consumer", cmd_demo_consumer, NULL},
};

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static void print_usage(FILE *out)
{
	fputs("Usage: myelon COMMAND [options]\n\n"
	      "Broadcast messages between the processes of this machine through shared memory.\n\n"
	      "Commands:\n",
	      out);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (commands[i].help)
			fprintf(out, "  %-9s  %s\n", commands[i].name, commands[i].help);
	}
	fputs("\n" CLI_EXIT_HELP "\n"
	      "Environment:\n"
	      "  MYELON_SHM_DIR      where rings are named, instead of /dev/shm\n"
	      "  MYELON_HUGETLB_DIR  hugetlbfs directory, instead of the first fitting mount\n"
	      "  MYELON_CPU          CPU to run on, where --cpu does not say\n",
	      out);
}

static int cmd_help(int argc, char **argv)
{
	static char help_option[] = "--help";
	const struct command *c = argc > 1 ? find(argv[1]) : NULL;

	if (c && c->help && c->run != cmd_help) {
		char *args[] = {argv[1], help_option, NULL};

		return c->run(2, args);
	}
	if (argc > 1 && !c && argv[1][0] != '-')
		return cli_error(CLI_USAGE, "no command '%s': see 'myelon help'", argv[1]);
	print_usage(stdout);
	return cli_finish(CLI_OK);
}

static int cmd_version(int argc, char **argv)
{
	(void)argv;
	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		printf("Usage: myelon version\n\nPrint the version of the command and of the "
		       "library in use.\n");
	else
		printf("myelon %s (library %s)\n", MYELON_VERSION, myelon_version());
	return cli_finish(CLI_OK);
}

static void on_log(void *ctx, enum myelon_log_level level, const char *message)
{
	(void)ctx;
	if (level == MYELON_LOG_WARNING)
		cli_note("warning: %s", message);
}

int main(int argc, char **argv)
{
	const struct command *c;

	myelon_set_log(on_log, NULL);
	if (argc < 2) {
		print_usage(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return cmd_help(1, argv + 1);
	if (strcmp(argv[1], "--version") == 0)
		return cmd_version(1, argv + 1);
	c = find(argv[1]);
	if (!c)
		return cli_error(CLI_USAGE, "no command '%s': see 'myelon help'", argv[1]);
	return c->run(argc - 1, argv + 1);
}
