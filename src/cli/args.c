/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "cli.h"

enum { MAX_OPTIONS = 64, HELP_COLUMN = 30, FIRST_CODE = 256 };

static bool help_wanted;

static const struct arg common_options[] = {
	{.name = "shm-dir",
         .type = ARG_STRING,
         .value = &cli_common.shm_dir,
         .metavar = "DIR",
         .help = "where rings are named (default: $MYELON_SHM_DIR, else /dev/shm)"},
	{.name = "hugetlb-dir",
         .type = ARG_STRING,
         .value = &cli_common.hugetlb_dir,
         .metavar = "DIR",
         .help = "hugetlbfs directory (default: $MYELON_HUGETLB_DIR, else the mounts)"},
	{.name = "quiet",
         .type = ARG_FLAG,
         .value = &cli_common.quiet,
         .help = "-q: errors only: no warnings, no progress"},
	{.name = "help", .type = ARG_FLAG, .value = &help_wanted, .help = "-h: this text"},
	{0},
};

const char *args_number(const char *text, uint64_t *value)
{
	unsigned shift = 0;
	uint64_t n;
	char *end;

	if (!isdigit((unsigned char)*text))
		return "is not a number";
	errno = 0;
	n = strtoull(text, &end, 10);
	switch (*end) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	default:
		break;
	}
	if (shift != 0)
		end++;
	if (*end != '\0')
		return "is not a number with an optional K, M or G";
	if (errno == ERANGE || n > UINT64_MAX >> shift)
		return "is too large";
	*value = n << shift;
	return NULL;
}

const char *args_duration(const char *text, int64_t *ns)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}, {"m", 60e9}};
	double n;
	char *end;

	if (strcmp(text, "forever") == 0) {
		*ns = MYELON_FOREVER;
		return NULL;
	}
	if (!isdigit((unsigned char)*text) || text[1] == 'x')
		return "is not a duration such as 2s, 500ms, 100us or forever";
	n = strtod(text, &end);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].unit) != 0)
			continue;
		n *= units[i].ns;
		/* 292 years; also keeps the conversion defined. */
		*ns = n < 9.2e18 ? (int64_t)n : MYELON_FOREVER;
		return NULL;
	}
	return "is not a duration such as 2s, 500ms, 100us or forever";
}

char **args_split(char *text, uint32_t *n)
{
	uint32_t count = 1;
	char **parts;

	for (const char *c = text; *c; c++)
		count += *c == ',';
	parts = calloc((size_t)count + 1, sizeof(*parts));
	if (!parts)
		return NULL;
	for (uint32_t i = 0; i < count; i++)
		parts[i] = strsep(&text, ",");
	*n = count;
	return parts;
}

static const char *metavar_of(const struct arg *o, char *buf, size_t size)
{
	size_t len = 0;

	if (o->type != ARG_CHOICE)
		return o->metavar;
	buf[0] = '\0';
	for (int i = 0; o->choices[i]; i++) {
		int n = snprintf(buf + len, size - len, "%s%s", i ? "|" : "", o->choices[i]);

		if (n < 0 || (size_t)n >= size - len)
			break;
		len += (size_t)n;
	}
	return buf;
}

static void print_option(const struct arg *o)
{
	const char *line = o->help;
	char list[128];
	int column;

	column = printf("  --%s", o->name);
	if (o->type != ARG_FLAG)
		column += printf(" %s", metavar_of(o, list, sizeof(list)));
	while (*line) {
		size_t len = strcspn(line, "\n");

		if (column >= HELP_COLUMN) {
			putchar('\n');
			column = 0;
		}
		printf("%*s%.*s\n", HELP_COLUMN - column, "", (int)len, line);
		column = 0;
		line += len + (line[len] == '\n');
	}
}

static void print_help(const struct args_spec *spec)
{
	printf("Usage: myelon %s %s\n\n%s\n\nOptions:\n", spec->command, spec->usage, spec->about);
	for (const struct arg *o = spec->options; o && o->name; o++)
		print_option(o);
	for (const struct arg *o = common_options; o->name; o++)
		print_option(o);
	printf("\n%s", CLI_EXIT_HELP);
}

static const char *set_choice(const struct arg *o, const char *text)
{
	for (uint32_t i = 0; o->choices[i]; i++) {
		if (strcmp(o->choices[i], text) == 0) {
			*(uint32_t *)o->value = i;
			return NULL;
		}
	}
	return "is none of";
}

static const char *set_number(const struct arg *o, const char *text)
{
	uint64_t n = 0;
	const char *wrong = args_number(text, &n);

	if (wrong)
		return wrong;
	if (n < o->min || (o->max && n > o->max))
		return "is not within";
	*(uint64_t *)o->value = n;
	return NULL;
}

/* @return CLI_OK or CLI_USAGE after a message. */
static int set_option(const struct args_spec *spec, const struct arg *o, const char *text)
{
	const char *wrong = NULL;
	char list[160] = "";

	switch (o->type) {
	case ARG_FLAG:
		*(bool *)o->value = true;
		return CLI_OK;
	case ARG_STRING:
		*(const char **)o->value = text;
		return CLI_OK;
	case ARG_NUMBER:
		wrong = set_number(o, text);
		if (o->max)
			snprintf(list, sizeof(list), " %" PRIu64 "..%" PRIu64, o->min, o->max);
		else
			snprintf(list, sizeof(list), " %" PRIu64 " and more", o->min);
		break;
	case ARG_DURATION:
		wrong = args_duration(text, o->value);
		break;
	case ARG_CHOICE:
		wrong = set_choice(o, text);
		list[0] = ' ';
		metavar_of(o, list + 1, sizeof(list) - 1);
		break;
	case ARG_PARSE:
		wrong = o->parse(text, o->value);
		break;
	}
	if (!wrong)
		return CLI_OK;
	return cli_error(CLI_USAGE, "%s: --%s: '%s' %s%s", spec->command, o->name, text, wrong,
	                 strcmp(wrong, "is not within") == 0 || o->type == ARG_CHOICE ? list : "");
}

/* getopt_long() with the table's own messages. @return ARGS_RUN, or an exit code. */
static int parse_options(const struct args_spec *spec, const struct arg *const *table, int argc,
                         char **argv)
{
	struct option longs[MAX_OPTIONS + 1] = {0};
	int code, rc = CLI_OK;

	for (int i = 0; table[i]; i++)
		longs[i] = (struct option){
			.name = table[i]->name,
			.has_arg = table[i]->type == ARG_FLAG ? no_argument : required_argument,
			.val = FIRST_CODE + i,
		};
	opterr = 0;
	optind = 0;
	while (rc == CLI_OK && (code = getopt_long(argc, argv, ":hq", longs, NULL)) != -1) {
		const char *word = argv[optind - 1];

		if (code == 'h')
			help_wanted = true;
		else if (code == 'q')
			cli_common.quiet = true;
		else if (code >= FIRST_CODE)
			rc = set_option(spec, table[code - FIRST_CODE], optarg);
		else if (code == ':')
			rc = cli_error(CLI_USAGE, "%s: %s needs a value: see 'myelon %s --help'",
			               spec->command, word, spec->command);
		else if (optopt >= FIRST_CODE)
			rc = cli_error(CLI_USAGE, "%s: --%s takes no value: see 'myelon %s --help'",
			               spec->command, table[optopt - FIRST_CODE]->name,
			               spec->command);
		else if (optopt != 0)
			rc = cli_error(CLI_USAGE, "%s: unknown option -%c: see 'myelon %s --help'",
			               spec->command, optopt, spec->command);
		else
			rc = cli_error(CLI_USAGE,
			               "%s: unknown or ambiguous option %s: see 'myelon %s --help'",
			               spec->command, word, spec->command);
	}
	return rc == CLI_OK ? ARGS_RUN : rc;
}

int args_parse(const struct args_spec *spec, int argc, char **argv, char ***operands)
{
	const struct arg *table[MAX_OPTIONS + 1] = {0};
	int n = 0, rc, given;

	for (const struct arg *o = spec->options; o && o->name && n < MAX_OPTIONS; o++)
		table[n++] = o;
	for (const struct arg *o = common_options; o->name && n < MAX_OPTIONS; o++)
		table[n++] = o;
	help_wanted = false;
	rc = parse_options(spec, table, argc, argv);
	if (rc != ARGS_RUN)
		return rc;
	if (help_wanted) {
		print_help(spec);
		return cli_finish(CLI_OK);
	}
	given = argc - optind;
	if (given < spec->min_operands)
		return cli_error(CLI_USAGE, "%s: %s is missing: see 'myelon %s --help'",
		                 spec->command, spec->operand, spec->command);
	if (given > spec->max_operands)
		return cli_error(CLI_USAGE,
		                 "%s: '%s' is one argument too many: see 'myelon %s --help'",
		                 spec->command, argv[optind + spec->max_operands], spec->command);
	*operands = argv + optind;
	return ARGS_RUN;
}
