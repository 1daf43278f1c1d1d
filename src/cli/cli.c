/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Messages and exit codes. */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "progress.h"

struct cli_common cli_common;

const char *const cli_wait_names[] = {"adaptive", "spin", "spin-pause", "yield",
                                      "sleep",    "park", NULL};

static void say(const char *prefix, const char *fmt, va_list ap) MYELON_PRINTF(2, 0);

static void say(const char *prefix, const char *fmt, va_list ap)
{
	progress_clear();
	fputs(prefix, stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int cli_error(int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("myelon: ", fmt, ap);
	va_end(ap);
	return code;
}

void cli_note(const char *fmt, ...)
{
	va_list ap;

	if (cli_common.quiet)
		return;
	va_start(ap, fmt);
	say("myelon: ", fmt, ap);
	va_end(ap);
}

int cli_exit_code(int rc)
{
	switch (rc) {
	case 0:
		return CLI_OK;
	case -EINVAL:
	case -ENAMETOOLONG:
	case -EMSGSIZE:
		return CLI_USAGE;
	case -ENOENT:
	case -ETIMEDOUT:
		return CLI_NO_RING;
	case -EEXIST:
	case -EBUSY:
		return CLI_IN_USE;
	case -EOWNERDEAD:
		return CLI_DIED;
	case -EPIPE:
		return CLI_CLOSED;
	case -EBADMSG:
	case -ESTALE:
		return CLI_DAMAGED;
	default:
		return CLI_FAILURE;
	}
}

/* The library speaks of its interface; here the remedy is an option or a command. */
static const struct {
	const char *library, *command;
} words[] = {
	{"pass MYELON_", "MYELON_"},
	{"MYELON_F_FORCE", "use --force"},
	{"MYELON_F_REPLACE_DEAD", "use --replace-dead"},
	{"MYELON_F_ANY_OWNER", "use --any-owner"},
	{"MYELON_F_KEEP", "--keep"},
	{"through myelon_producer_open()", "with 'myelon pub --open'"},
	{"myelon_gc()", "'myelon gc'"},
	{"MYELON_BACKING_FILE", "file"},
	{"MYELON_HUGE_REQUIRE", "require"},
	{"MYELON_HUGE_OFF", "off"},
};

/* @return 0: nothing to replace, or out of room. */
static int replace_word(char *text, size_t size, const char *from, const char *to)
{
	char *at = strstr(text, from), *rest;
	size_t from_len = strlen(from), to_len = strlen(to);

	if (!at || strlen(text) - from_len + to_len >= size)
		return 0;
	rest = at + from_len;
	memmove(at + to_len, rest, strlen(rest) + 1);
	memcpy(at, to, to_len);
	return 1;
}

const char *cli_words(const char *sentence)
{
	static char text[1024];

	snprintf(text, sizeof(text), "%s", sentence);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		/* Once each: some replacements contain their own pattern. */
		replace_word(text, sizeof(text), words[i].library, words[i].command);
	}
	return text;
}

int cli_library_error(int rc)
{
	return cli_error(cli_exit_code(rc), "%s", cli_words(myelon_last_error()));
}

int cli_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (cpu < CPU_SETSIZE)
		CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return cli_error(CLI_USAGE,
		                 "cannot run on CPU %d (%s): choose one of those that "
		                 "'taskset -cp $$' shows",
		                 cpu, strerror(errno));
	return CLI_OK;
}

int cli_finish(int code)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		return cli_error(CLI_FAILURE, "cannot write to stdout: %s", strerror(errno));
	return code;
}
