/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Options of the commands: one table says what is accepted, checks it and prints the help.
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdbool.h>
#include <stdint.h>

enum arg_type {
	ARG_FLAG,     /* bool: no value */
	ARG_STRING,   /* const char * */
	ARG_NUMBER,   /* uint64_t: digits, then K, M or G (powers of 1024) */
	ARG_DURATION, /* int64_t ns: "1.5s", "20ms", "3us", a bare number is seconds; "forever" */
	ARG_CHOICE,   /* uint32_t: index into choices */
	ARG_PARSE,    /* whatever parse() makes of it */
};

struct arg {
	const char *name;
	enum arg_type type;
	void *value;
	const char *metavar; /* NULL for flags and choices */
	const char *help;    /* lines separated by \n */
	uint64_t min, max;   /* ARG_NUMBER; max 0: no bound */
	const char *const *choices;
	/* @return NULL, or what is wrong: "... is not ...", completed to a sentence by the caller */
	const char *(*parse)(const char *text, void *value);
};

struct args_spec {
	const char *command;
	const char *usage;         /* what follows "myelon <command> " */
	const char *about;         /* for the help; lines separated by \n */
	const struct arg *options; /* the last has no name; may be NULL */
	int min_operands, max_operands;
	const char *operand; /* what the operands are, for the message that one is missing */
};

#define ARGS_RUN (-1)

/**
 * Parse; the common options (struct cli_common) are understood in addition.
 * @return ARGS_RUN with the operands moved to *operands, NULL behind the last; else the exit code
 * (help was printed, or an error).
 */
int args_parse(const struct args_spec *spec, int argc, char **argv, char ***operands);

/* @return NULL or what is wrong with @text. */
const char *args_number(const char *text, uint64_t *value);
const char *args_duration(const char *text, int64_t *ns);

/* Split "a,b,c" in place. @return NULL-terminated array to free, count in @n; NULL: no memory. */
char **args_split(char *text, uint32_t *n);

#endif
