/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "kit.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ARGS 32

static int last_signal; /* what kit_kill() sent: its effect is no surprise */

int64_t kit_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t kit_deadline(double seconds)
{
	const char *text = getenv("MYELON_TEST_TIMEOUT_SCALE");
	double scale = text ? strtod(text, NULL) : 1;

	return kit_now_ns() + (int64_t)(seconds * (scale > 0 ? scale : 1) * 1e9);
}

bool kit_die_with_parent(pid_t parent)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
}

/* Forks an actor; in the child returns 0 with its output redirected, in the parent the pid. */
static pid_t start(struct kit_actor *a)
{
	pid_t parent = getpid();
	pid_t pid;

	memset(a, 0, sizeof(*a));
	a->output_fd = memfd_create("actor output", MFD_CLOEXEC);
	if (a->output_fd < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		int err = errno;

		close(a->output_fd);
		return -err;
	}
	if (pid == 0) {
		if (!kit_die_with_parent(parent))
			_exit(126);
		setpgid(0, 0);
		dup2(a->output_fd, STDOUT_FILENO);
		dup2(a->output_fd, STDERR_FILENO);
		return 0;
	}
	setpgid(pid, pid);
	a->pid = pid;
	return pid;
}

/* A name without a slash means the directory of the running program. */
static int resolve(const char *path, char out[PATH_MAX])
{
	ssize_t n;
	char *slash;

	if (strchr(path, '/')) {
		if (strlen(path) >= PATH_MAX)
			return -ENAMETOOLONG;
		strcpy(out, path);
		return 0;
	}
	n = readlink("/proc/self/exe", out, PATH_MAX - 1);
	if (n < 0)
		return -errno;
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (!slash || (size_t)(slash - out) + 2 + strlen(path) > PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(slash + 1, path);
	return 0;
}

int kit_spawnv(struct kit_actor *a, const char *path, char *const argv[])
{
	char program[PATH_MAX];
	int ret = resolve(path, program);
	pid_t pid;

	if (ret < 0)
		return ret;
	fflush(NULL);
	pid = start(a);
	if (pid < 0)
		return pid;
	if (pid == 0) {
		execv(program, argv);
		dprintf(STDERR_FILENO, "cannot execute %s: %s\n", program, strerror(errno));
		_exit(127);
	}
	return 0;
}

int kit_spawn(struct kit_actor *a, const char *path, ...)
{
	const char *args[MAX_ARGS] = {path};
	size_t n = 1;
	va_list ap;

	va_start(ap, path);
	while (n < MAX_ARGS && (args[n] = va_arg(ap, const char *)))
		n++;
	va_end(ap);
	if (n == MAX_ARGS)
		return -E2BIG;
	/* execv() does not write to its arguments; its type is older than const. */
	return kit_spawnv(a, path, (char *const *)(uintptr_t)args);
}

int kit_fork(struct kit_actor *a, int (*fn)(void *arg), void *arg)
{
	pid_t pid;

	fflush(NULL);
	pid = start(a);
	if (pid < 0)
		return pid;
	if (pid == 0) {
		int ret = fn(arg);

		fflush(NULL);
		_exit(ret);
	}
	return 0;
}

int kit_kill(struct kit_actor *a, int sig)
{
	if (a->pid <= 0)
		return -ESRCH;
	last_signal = sig;
	return kill(a->pid, sig) < 0 ? -errno : 0;
}

bool kit_running(const struct kit_actor *a)
{
	siginfo_t info = {0};

	return a->pid > 0 && waitid(P_PID, (id_t)a->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == 0;
}

static void take_output(struct kit_actor *a)
{
	off_t size = lseek(a->output_fd, 0, SEEK_END);
	off_t from = size > KIT_OUTPUT - 1 ? size - (KIT_OUTPUT - 1) : 0;
	ssize_t n = pread(a->output_fd, a->output, KIT_OUTPUT - 1, from);

	a->output[n > 0 ? n : 0] = '\0';
	close(a->output_fd);
	a->output_fd = -1;
}

int kit_wait(struct kit_actor *a, double seconds)
{
	int64_t deadline = kit_deadline(seconds);
	const struct timespec pause = {.tv_nsec = 1000000};
	bool late = false;
	int status, result;
	pid_t pid;

	if (a->pid <= 0)
		return -ECHILD;
	while ((pid = waitpid(a->pid, &status, WNOHANG)) == 0) {
		if (!late && kit_now_ns() >= deadline) {
			late = true;
			kill(-a->pid, SIGKILL);
			kill(a->pid, SIGKILL);
		}
		nanosleep(&pause, NULL);
	}
	if (pid < 0)
		return -errno;
	take_output(a);
	result = late ? -ETIME : WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	if (result != 0 && result != -last_signal)
		fprintf(stderr, "actor %d ended with %d%s, its output:\n%s\n", a->pid, result,
		        late ? " (watchdog)" : "", a->output);
	a->pid = 0;
	return result;
}
