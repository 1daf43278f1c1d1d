/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What tests with several processes share. A child never asserts: it reports by its exit code and
 * in the result page, and the test looks at both. Every child dies with its test. Waiting is for a
 * state and under a watchdog, never by sleeping for a guessed time.
 */
#ifndef MYELON_TEST_KIT_H
#define MYELON_TEST_KIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- time ---- */

/* CLOCK_MONOTONIC in ns. */
int64_t kit_now_ns(void);

/* Absolute CLOCK_MONOTONIC ns in @seconds, times MYELON_TEST_TIMEOUT_SCALE. */
int64_t kit_deadline(double seconds);

/* ---- processes (actor.c) ---- */

#define KIT_OUTPUT 8192

struct kit_actor {
	pid_t pid;               /* 0: not running */
	int output_fd;           /* where stdout and stderr go; -1 once waited for */
	char output[KIT_OUTPUT]; /* its last KIT_OUTPUT - 1 bytes, filled by kit_wait() */
};

/*
 * Starts the program @path, with argv[0] = path and up to 30 further arguments, NULL-terminated. A
 * path without a slash is looked for beside the running test. Returns 0 or a negative errno; the
 * failure to exec is the actor's exit code 127.
 */
int kit_spawn(struct kit_actor *a, const char *path, ...) __attribute__((sentinel));
int kit_spawnv(struct kit_actor *a, const char *path, char *const argv[]);

/* Runs @fn in a child of this process, which exits with what it returns, 0..255. */
int kit_fork(struct kit_actor *a, int (*fn)(void *arg), void *arg);

/*
 * Waits until the actor ended: its exit code, or minus the signal that killed it. After @seconds
 * (scaled) it is killed and -ETIME returned, which is no signal's number. Any end but exit 0 and the
 * signal last given to kit_kill() prints what the actor wrote.
 */
int kit_wait(struct kit_actor *a, double seconds);

/* Sends a signal to the actor alone; 0 or a negative errno. */
int kit_kill(struct kit_actor *a, int sig);

/* True while the actor has not ended; does not reap it. */
bool kit_running(const struct kit_actor *a);

/* Has the calling process killed when its parent ends; false if the parent is already gone. */
bool kit_die_with_parent(pid_t parent);

/* From now on the calling thread's system call @call fails with @error, as under a container profile. */
int kit_deny(long call, int error);

/* One event of an epoll set, within @ms: 1, else 0. Once more after EINTR, which needs no signal: the
 * kernel interrupts a thread one time after an io_uring of it was closed. */
int kit_epoll_one(int epoll, int ms);

/* ---- the result page (page.c) ---- */

#define KIT_RESULTS 64
#define KIT_WORDS 64
#define KIT_BARRIERS 16

/* What one actor found; each actor has the index it is told. */
struct kit_result {
	_Atomic uint64_t count; /* messages seen or sent */
	_Atomic uint64_t bytes;
	_Atomic uint64_t hash; /* kit_hash() chained over them */
	_Atomic uint64_t lost;
	_Atomic uint64_t violations; /* set by kit_violation() */
	_Atomic uint64_t value[3];   /* as the test likes */
	char text[192];              /* the first violation */
};

struct kit_barrier {
	_Atomic uint32_t arrived;
	_Atomic uint32_t round;
};

struct kit_page {
	struct kit_barrier barrier[KIT_BARRIERS];
	_Atomic uint32_t word[KIT_WORDS]; /* kit_set(), kit_await() */
	struct kit_result result[KIT_RESULTS];
};

/* Makes a page that actors spawned or forked from now on find; NULL and errno on failure. */
struct kit_page *kit_page_create(void);

/* In an actor: the page of the test that started it; NULL if there is none. */
struct kit_page *kit_page_attach(void);

/* In the test, when the actors are done. */
void kit_page_destroy(struct kit_page *page);

/* Waits until @parties processes are here; false if they are not within @seconds (scaled). */
bool kit_barrier(struct kit_page *page, unsigned int index, uint32_t parties, double seconds);

/* Sets a word and wakes who awaits it. */
void kit_set(struct kit_page *page, unsigned int word, uint32_t value);

/* Waits until a word is at least @value; false if it is not within @seconds (scaled). */
bool kit_await(struct kit_page *page, unsigned int word, uint32_t value, double seconds);

/* Counts a violation and keeps the text of the first. */
void kit_violation(struct kit_result *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- payload (payload.c): every byte is a function of (seed, sequence, offset) ---- */

void kit_fill(void *buf, size_t len, uint64_t seed, uint64_t sequence);

/* Offset of the first byte that is not what kit_fill() wrote, or -1 if all are. */
ssize_t kit_check(const void *buf, size_t len, uint64_t seed, uint64_t sequence);

/* Chained hash; order and boundaries of the pieces matter. Start with 0. */
uint64_t kit_hash(uint64_t hash, const void *buf, size_t len);

/* ---- the machine and its state (machine.c) ---- */

#define KIT_NAME 65

/* A ring name no other test uses: "<stem>-<pid>-<n>". Returns buf. */
char *kit_ring_name(char buf[KIT_NAME], const char *stem);

/* Directories the runner gives and removes; never NULL. */
const char *kit_shm_dir(void);
const char *kit_tmp_dir(void);

/* Entries of a directory, or a negative errno. */
int kit_dir_entries(const char *dir);

/* Open descriptors of this process. */
int kit_open_fds(void);

/* The directory of huge page files given to this test, or NULL. */
const char *kit_hugetlb_dir(void);

/*
 * Makes sure that @pages free 2 MiB pages exist and holds the lock over the pool until
 * kit_hugepages_restore(). False, with nothing changed, without the right or the memory.
 */
bool kit_hugepages_reserve(unsigned int pages);
void kit_hugepages_restore(void);

/* ---- skipping ---- */

/* True if MYELON_TEST_REQUIRE names @what (or "all"): it must be there. */
bool kit_required(const char *what);

/*
 * Ends the running Criterion test as skipped, because the machine lacks @what ("hugepages", "root",
 * "numa", ...); as failed if that is required. In skip.c: not for children and not for actors.
 */
_Noreturn void kit_skip(const char *what, const char *why);

/* For a plain main(): says so and gives its exit code, 77 or 1. */
int kit_skip_plain(const char *what, const char *why);

#endif
