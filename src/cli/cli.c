/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Messages and exit codes. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "progress.h"

struct cli_common cli_common;

const char *const cli_wait_names[] = {"adaptive", "spin", "spin-pause", "yield",
                                      "sleep",    "park", NULL};

const char *const cli_profile_names[] = {"pinned", "numa", "low-power", NULL};

enum myelon_profile cli_profile(uint32_t choice)
{
	return (enum myelon_profile)myelon_profile_parse(cli_profile_names[choice]);
}

static void say(const char *text)
{
	progress_clear();
	fprintf(stderr, "myelon: %s\n", text);
}

int cli_error(int code, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say(text);
	return code;
}

void cli_note(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (cli_common.quiet)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say(text);
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
	const char *call, *command;
} words[] = {
	{"pass MYELON_", "MYELON_"},
	{"MYELON_F_FORCE", "use --force"},
	{"MYELON_F_REPLACE_DEAD", "use --replace-dead"},
	{"MYELON_F_ANY_OWNER", "use --any-owner"},
	{"MYELON_F_KEEP", "--keep"},
	{"MYELON_F_GROUP", "--group"},
	{"through myelon_producer_open()", "with 'myelon pub --open'"},
	{"myelon_gc()", "'myelon gc'"},
	{"pass its descriptor in data_fd (myelon_producer_data_fd() there)",
         "only programs that it hands a descriptor to can read it"},
	{"MYELON_BACKING_FILE", "file"},
	{"MYELON_HUGE_REQUIRE", "require"},
	{"MYELON_HUGE_OFF", "off"},
};

const char *cli_words(const char *sentence)
{
	static char text[1024];

	snprintf(text, sizeof(text), "%s", sentence);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		/* Once each: some replacements contain their own pattern. */
		const char *at = strstr(text, words[i].call);
		char changed[sizeof(text) + 64];

		if (!at)
			continue;
		snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text,
		         words[i].command, at + strlen(words[i].call));
		snprintf(text, sizeof(text), "%.*s", (int)sizeof(text) - 1, changed);
	}
	return text;
}

int cli_library_error(int rc)
{
	return cli_error(cli_exit_code(rc), "%s", cli_words(myelon_last_error()));
}

int cli_finish(int code)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		return cli_error(CLI_FAILURE, "cannot write to stdout: %s", strerror(errno));
	return code;
}
