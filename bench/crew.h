/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The processes of one measured run. They are forked for it, pinned, and report through one shared
 * page; the measuring command itself only sleeps until they end. A role that fails or does not end
 * in time takes the others with it, so a fault never hangs the benchmark.
 */
#ifndef MYELON_BENCH_CREW_H
#define MYELON_BENCH_CREW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_ROLES_MAX 130
#define BENCH_CPUS_MAX 256
#define BENCH_MEETINGS 6

/* What one process found. */
struct bench_role {
	uint64_t messages;
	uint64_t wrong; /* not what was sent, or not in order */
	uint64_t start; /* ticks: the measured part */
	uint64_t stop;
	double cpu_s; /* CPU time within it */
	uint64_t parks;
	uint64_t wakes;
	uint64_t waits;
	uint64_t gathers;
	uint64_t caps_found;
	uint64_t allocations; /* while messages went */
	uint64_t switches[2]; /* context switches: voluntary, not */
	uint64_t page_size;
	uint32_t backing; /* enum myelon_backing; of the ring this role created */
	uint32_t fence;   /* enum myelon_fence */
	bool settled;     /* woken by the engine that was asked for */
	char reason[160]; /* why this backing */
	char error[400];  /* one sentence */
};

struct bench_crew {
	unsigned int roles;
	_Atomic uint32_t met[BENCH_MEETINGS];
	struct bench_role role[BENCH_ROLES_MAX];
};

/* One role; returns 0, or -1 after bench_fail(). @arg was filled before the fork. */
typedef int (*bench_play_fn)(struct bench_crew *crew, unsigned int role, void *arg);

struct bench_cast {
	const char *what; /* for error messages */
	unsigned int roles;
	bench_play_fn play;
	void *arg;
	const int *cpus; /* with as many CPUs as roles each has its own, else all share all */
	unsigned int cpu_count;
	unsigned int timeout_s;
};

/*
 * Runs the cast and returns its page, which stays until the next run; NULL after a failure, which
 * was printed, or an interrupt.
 */
const struct bench_crew *bench_crew_run(const struct bench_cast *cast);

/* The SIGINT, SIGTERM or SIGHUP that came, else 0. */
int bench_interrupted(void);
void bench_catch_signals(void);

/* In a role: waits until all roles are at meeting @point; each is used once per run. */
void bench_meet(struct bench_crew *crew, unsigned int point);

/* In a role: keeps the sentence and returns -1. */
int bench_fail(struct bench_role *role, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Zeroed memory that children share with this process; NULL after an error message. */
void *bench_shared(size_t bytes);
void bench_unshare(void *memory, size_t bytes);

/* In a role: makes the pages present, so that no fault is measured. */
void bench_populate(void *memory, size_t bytes);

/* One sentence on stderr, "myelon: bench: ..."; returns -1. */
int bench_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
