/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The parts of `myelon demo`: a file, four consumer processes, a report. */
#ifndef CLI_DEMO_H
#define CLI_DEMO_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <myelon/myelon.h>

#include "sha256.h"

#define DEMO_CONSUMERS 4
#define DEMO_PREFIX "demo"

struct demo_file {
	char path[PATH_MAX];
	uint64_t bytes;       /* of one reading */
	uint64_t repeat;      /* how often it is sent */
	char sum[SHA256_HEX]; /* of all that is sent, computed from the file */
	double seconds;       /* that took */
};

/* What a consumer process writes to its stdout, a pipe to the parent. */
struct demo_result {
	uint64_t messages, bytes, parks;
	char sum[SHA256_HEX];
};

struct demo_member {
	char id[24];
	enum myelon_wait wait;
	pid_t pid;  /* 0: not started */
	bool ended; /* waited for */
	int status; /* of waitpid(2) */
	int out;    /* where it writes its result */
	struct rusage usage;
	bool reported;
	struct demo_result result;
};

struct demo {
	char ring[32];
	struct demo_file file;
	struct demo_member crew[DEMO_CONSUMERS];
	struct myelon_ring_info info;
	struct myelon_handle_stats stats; /* of the producer */
	uint64_t messages, bytes;         /* sent */
	double seconds;                   /* from the first claim until everybody read all */
	struct rusage before, after;      /* of this process, around that */
	bool same;                        /* all sums are the file's */
};

/* demo_file.c: the largest plain file of at most 1 GiB in the system's directories. */
int demo_find_file(char path[PATH_MAX]);
/* Read the file and compute its sum. Both: @return CLI_OK or an exit code after a message. */
int demo_hash_file(struct demo_file *f);

/* demo_crew.c: start the consumers. @return CLI_OK or an exit code after a message. */
int demo_start_crew(struct demo *d);
/* @return true if a consumer has ended. */
bool demo_crew_lost_one(struct demo *d);
/* Wait for all and read their results; @kill_them: end them first. */
void demo_end_crew(struct demo *d, bool kill_them);

/* demo_report.c */
void demo_print(const struct demo *d);
void demo_print_json(const struct demo *d);

#endif
