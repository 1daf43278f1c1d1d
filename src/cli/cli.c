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

int cli_library_error(int rc)
{
	return cli_error(cli_exit_code(rc), "%s", myelon_last_error());
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
