/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "crew.h"
#include "futex.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static struct bench_crew *page;
static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

int bench_interrupted(void)
{
	return interrupted;
}

void bench_catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	/* No SA_RESTART: waitpid() is to return. */
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

int bench_error(const char *fmt, ...)
{
	va_list args;

	(void)fflush(stdout);
	va_start(args, fmt);
	fprintf(stderr, "myelon: bench: ");
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	va_end(args);
	return -1;
}

int bench_fail(struct bench_role *role, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(role->error, sizeof(role->error), fmt, args);
	va_end(args);
	return -1;
}

void *bench_shared(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		bench_error("%zu bytes of shared memory could not be had: %s", bytes,
		            strerror(errno));
		return NULL;
	}
	return memory;
}

void bench_unshare(void *memory, size_t bytes)
{
	if (memory)
		munmap(memory, bytes);
}

void bench_populate(void *memory, size_t bytes)
{
	long unit = sysconf(_SC_PAGESIZE);

	if (madvise(memory, bytes, MADV_POPULATE_WRITE) == 0)
		return;
	/* Before Linux 5.14; the other process may be writing, so add nothing. */
	for (size_t at = 0; at < bytes; at += (size_t)unit)
		atomic_fetch_add_explicit((_Atomic unsigned char *)memory + at, 0,
		                          memory_order_relaxed);
}

void bench_meet(struct bench_crew *crew, unsigned int point)
{
	_Atomic uint32_t *met = &crew->met[point];
	/* Acquire and release: what each role did before is seen by all after it. */
	uint32_t n = atomic_fetch_add_explicit(met, 1, memory_order_acq_rel) + 1;

	if (n == crew->roles) {
		bench_futex_wake(met);
		return;
	}
	for (;;) {
		/* Acquire: pairs with the release above in the other roles. */
		n = atomic_load_explicit(met, memory_order_acquire);
		if (n >= crew->roles)
			return;
		bench_futex_wait(met, n);
	}
}

static void pin(const struct bench_cast *cast, unsigned int role)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (cast->roles <= cast->cpu_count)
		CPU_SET((size_t)cast->cpus[role], &set);
	else
		for (unsigned int i = 0; i < cast->cpu_count; i++)
			CPU_SET((size_t)cast->cpus[i], &set);
	/* The CPUs were taken from our own affinity, so this fails only if it shrank since. */
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static _Noreturn void child(const struct bench_cast *cast, unsigned int role, pid_t parent)
{
	/* The parent decides what happens on Ctrl-C: it has to clean up after us. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGALRM, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	alarm(cast->timeout_s);
	pin(cast, role);
	_exit(cast->play(page, role, cast->arg) < 0 ? 1 : 0);
}

static void kill_all(const pid_t *pids, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (pids[i] > 0)
			kill(pids[i], SIGKILL);
}

/* Says why role @role ended with @status; only the first failure is told. */
static void explain(const struct bench_cast *cast, unsigned int role, int status)
{
	if (page->role[role].error[0])
		bench_error("%s: %s", cast->what, page->role[role].error);
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		bench_error("%s: process %u did not end within %u s: see --timeout", cast->what,
		            role, cast->timeout_s);
	else if (WIFSIGNALED(status))
		bench_error("%s: process %u was killed by signal %d (%s)", cast->what, role,
		            WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		bench_error("%s: process %u ended with code %d", cast->what, role,
		            WEXITSTATUS(status));
}

static int wait_all(const struct bench_cast *cast, pid_t *pids, unsigned int started)
{
	unsigned int left = started;
	int rc = started == cast->roles ? 0 : -1;

	if (rc < 0)
		kill_all(pids, started);
	while (left > 0) {
		int status;
		unsigned int role = 0;
		pid_t pid = waitpid(-1, &status, 0);

		if (pid < 0 && errno != EINTR)
			return bench_error("%s: waiting failed: %s", cast->what, strerror(errno));
		if (interrupted && rc == 0) {
			kill_all(pids, started);
			rc = -1;
		}
		while (pid > 0 && role < started && pids[role] != pid)
			role++;
		if (pid <= 0 || role == started)
			continue;
		pids[role] = 0;
		left--;
		if (rc == 0 && status != 0) {
			explain(cast, role, status);
			kill_all(pids, started);
			rc = -1;
		}
	}
	return rc;
}

const struct bench_crew *bench_crew_run(const struct bench_cast *cast)
{
	pid_t pids[BENCH_ROLES_MAX] = {0}, self = getpid();
	unsigned int started = 0;

	if (interrupted)
		return NULL;
	if (!page)
		page = bench_shared(sizeof(*page));
	if (!page)
		return NULL;
	memset(page, 0, sizeof(*page));
	page->roles = cast->roles;
	(void)fflush(NULL);
	while (started < cast->roles) {
		pid_t pid = fork();

		if (pid == 0)
			child(cast, started, self);
		if (pid < 0) {
			bench_error("%s: process %u could not be started: %s", cast->what, started,
			            strerror(errno));
			break;
		}
		pids[started++] = pid;
	}
	return wait_all(cast, pids, started) < 0 ? NULL : page;
}
