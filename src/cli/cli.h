/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the commands share: exit codes, the options every command has, messages to the user.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include <myelon/myelon.h>

/* Promised in myelon.1 and in the help; CLI_EXIT_HELP is the text. */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILURE = 1,
	CLI_USAGE = 2,
	CLI_NO_RING = 3,
	CLI_IN_USE = 4,
	CLI_DIED = 5,
	CLI_CLOSED = 6,
	CLI_DAMAGED = 7,
	CLI_NOT_READY = 8,
	CLI_HELD_UP = 9,
	CLI_SIGNAL = 128,
};

#define CLI_EXIT_HELP                                                                              \
	"Exit codes:\n"                                                                            \
	"  0  done\n"                                                                              \
	"  1  failure of the system: memory, files, permissions, input or output\n"                \
	"  2  wrong use: unknown option, bad name, value out of range\n"                           \
	"  3  no such ring or consumer, or nobody came in the time given\n"                        \
	"  4  the ring name or consumer id is in use, or its process lives\n"                      \
	"  5  the producer died before the end of the stream\n"                                    \
	"  6  the producer closed the ring before the end of the stream\n"                         \
	"  7  data was lost or does not verify\n"                                                  \
	"  8  doctor: the machine is not ready for the profile\n"                                  \
	"  9  info --stalled: a consumer is dead or stalled; watch --exit-on: it happened\n"       \
	"  130, 143  ended in order by SIGINT, SIGTERM (128 + the signal)\n"

/* The options of every command, filled by args_parse(). */
struct cli_common {
	const char *shm_dir;
	const char *hugetlb_dir;
	bool quiet;
};
extern struct cli_common cli_common;

/* "myelon: <text>" on stderr. @return @code, for `return cli_error(CLI_USAGE, ...)`. */
int cli_error(int code, const char *fmt, ...) MYELON_PRINTF(2, 3);

/* The library's sentence for the failure @rc. @return the exit code of @rc. */
int cli_library_error(int rc);

/* A sentence of the library in the words of the command; valid until the next call. */
const char *cli_words(const char *sentence);

/* The exit code of a negative errno of the library. */
int cli_exit_code(int rc);

/* A remark on stderr, unless --quiet. */
void cli_note(const char *fmt, ...) MYELON_PRINTF(1, 2);

/* Flush stdout. @return @code, or CLI_FAILURE if what was printed did not arrive. */
int cli_finish(int code);

/* The wait strategies in the order of enum myelon_wait, for ARG_CHOICE. */
extern const char *const cli_wait_names[];

/* The deployments of presets.h, for ARG_CHOICE; and the profile of an index into them. */
extern const char *const cli_profile_names[];
enum myelon_profile cli_profile(uint32_t choice);

/* The commands: argv[0] is the command's name. @return the exit code. */
int cmd_pub(int argc, char **argv);
int cmd_sub(int argc, char **argv);
int cmd_ls(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_evict(int argc, char **argv);
int cmd_watch(int argc, char **argv);
int cmd_rm(int argc, char **argv);
int cmd_gc(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_hugepages(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_demo_consumer(int argc, char **argv);

#endif
