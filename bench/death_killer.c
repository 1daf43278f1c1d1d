/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The killer of `bench death`, and its victims. */
#include "clock.h"
#include "death.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SETTLE_NS 4000000 /* so that the producer is in its last kind of sleep */
#define STEP_NS 1000000   /* between messages of a victim that goes on */

static uint64_t own_rss(void)
{
	unsigned long all, rss = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%lu %lu", &all, &rss) != 2)
		rss = 0;
	(void)fclose(f);
	return (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void rest(int64_t ns)
{
	const struct timespec t = {.tv_nsec = (long)ns};

	nanosleep(&t, NULL);
}

static bool read_all(struct myelon_consumer *c)
{
	struct myelon_view v;
	int n;

	while ((n = myelon_peek(c, MYELON_ALL, MYELON_TRY, &v)) > 0)
		if (myelon_release(c, (uint32_t)n) < 0)
			return false;
	return n == -EAGAIN;
}

static bool touch(uint64_t bytes)
{
	return !bytes || mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) != MAP_FAILED;
}

/* Reads what there is, and then nothing, or for the timeout one message after the other. */
static _Noreturn void victim(struct death *d, uint64_t step, pid_t parent)
{
	struct myelon_attach_opts o =
		MYELON_ATTACH_OPTS(.id = DEATH_ID, .timeout_ns = INT64_C(20000000000),
	                           .hugetlb_dir = bench_place_hugetlb(),
	                           .shm_dir = bench_place_shm(d->ring.place),
	                           .flags =
	                                   death_how_of(step) == DEATH_LEASED ? MYELON_F_LEASE : 0);
	char name[BENCH_NAME];
	struct myelon_consumer *c;
	struct myelon_view v;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || !touch(d->victim_memory) ||
	    myelon_consumer_attach(&c, bench_place_name(d->ring.place, DEATH_STEM, name), &o) < 0 ||
	    !read_all(c))
		_exit(1);
	d->victim_rss = own_rss();
	atomic_store_explicit(&d->pid, getpid(), memory_order_relaxed);
	/* Release: pairs with the acquire load in death_await(). */
	atomic_store_explicit(&d->attached, step, memory_order_release);
	while (death_how_of(step) == DEATH_TIMEOUT) {
		if (myelon_peek(c, 1, MYELON_FOREVER, &v) < 0 || myelon_release(c, 1) < 0)
			_exit(1);
		rest(STEP_NS);
	}
	for (;;)
		pause();
}

/* Until @word, or the victim ended by itself. */
static int await(const _Atomic uint64_t *word, uint64_t value, pid_t pid, struct bench_role *me)
{
	int status;

	/* Acquire: pairs with the release stores of the producer and the victim. */
	while (atomic_load_explicit(word, memory_order_acquire) < value) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return bench_fail(me, "a victim ended by itself, with status %d", status);
		rest(50000);
	}
	return 0;
}

static int kill_one(struct death *d, uint64_t step, struct bench_role *me)
{
	enum death_how how = death_how_of(step);
	pid_t self = getpid(), pid = fork();
	uint64_t struck, told;
	int rc;

	if (pid < 0)
		return bench_fail(me, "a victim could not be started: %s", strerror(errno));
	if (pid == 0)
		victim(d, step, self);
	rc = await(&d->attached, step, pid, me);
	if (rc == 0)
		rc = await(&d->blocked, step, pid, me);
	if (rc < 0)
		return rc;
	/* Not always at the same time of the producer's intervals. */
	rest(SETTLE_NS + (int64_t)(step * 7919 % 5000) * 1000);
	struck = bench_ticks();
	kill(pid, how == DEATH_TIMEOUT ? SIGSTOP : SIGKILL);
	death_await(&d->noticed, step);
	told = atomic_load_explicit(&d->told, memory_order_relaxed);
	/* One that had no CPU for 250 ms was stalled before it was stopped. */
	if (told > struck)
		bench_histogram_add(&d->ns[how], (uint64_t)bench_ticks_ns(told - struck));
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

/* The last one lets the producer out of its claim. */
static int release_producer(struct death *d, struct bench_role *me)
{
	pid_t self = getpid(), pid = fork();

	if (pid < 0)
		return bench_fail(me, "a victim could not be started: %s", strerror(errno));
	if (pid == 0)
		victim(d, d->steps + 1, self);
	if (await(&d->attached, d->steps + 1, pid, me) < 0)
		return -1;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}

int death_play_killer(struct death *d, struct bench_role *me)
{
	int rc = 0;

	for (uint64_t step = 1; rc == 0 && step <= d->steps; step++)
		rc = kill_one(d, step, me);
	return rc < 0 ? rc : release_producer(d, me);
}
