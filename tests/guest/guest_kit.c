/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Checks, processes, and the kernel's text files. */
#include "guest.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void guest_fail(const char *file, int line, const char *fmt, ...)
{
	const char *slash = strrchr(file, '/');
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("  %s:%d: %s\n", slash ? slash + 1 : file, line, text);
	fflush(stdout);
	_exit(1);
}

void guest_check_eq(const char *file, int line, const char *what, long found, long expected)
{
	if (found != expected)
		guest_fail(file, line, "%s is %ld instead of %ld", what, found, expected);
}

void guest_check_has(const char *file, int line, const char *text, const char *part)
{
	if (!strstr(text, part))
		guest_fail(file, line, "'%s' is not in '%s'", part, text);
}

int guest_ok(const char *file, int line, const char *what, int rc)
{
	if (rc < 0)
		guest_fail(file, line, "%s: %d, %s", what, rc, myelon_last_error());
	return rc;
}

void guest_refused(const char *file, int line, const char *what, int rc, int err)
{
	if (rc == 0)
		guest_fail(file, line, "%s succeeded", what);
	if (rc != err)
		guest_fail(file, line, "%s: %d instead of %d, %s", what, rc, err,
		           myelon_last_error());
}

pid_t guest_spawn(void (*run)(void *), void *arg)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		FAIL("fork: %s", strerror(errno));
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run(arg);
	fflush(stdout);
	_exit(0);
}

void guest_join(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		FAIL("waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status))
		FAIL("a process was killed by signal %d (%s)", WTERMSIG(status),
		     strsignal(WTERMSIG(status)));
	CHECK_EQ(WEXITSTATUS(status), 0);
}

long guest_read_number(const char *fmt, ...)
{
	char path[256];
	long value;
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%ld", &value) != 1)
		FAIL("%s cannot be read", path);
	fclose(f);
	return value;
}

void guest_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		FAIL("cannot write '%s' to %s: %s", text, path, strerror(errno));
	close(fd);
}

size_t guest_meminfo(int node, const char *key)
{
	char path[96], line[160], format[64];
	unsigned long kib = 0;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
	snprintf(format, sizeof(format), "Node %d %s:", node, key);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f))
		found = strncmp(line, format, strlen(format)) == 0 &&
		        sscanf(line + strlen(format), "%lu", &kib) == 1;
	if (f)
		fclose(f);
	if (!found)
		FAIL("%s has no %s", path, key);
	return kib * 1024;
}

#define POOL "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/"

long guest_pool_free(int node)
{
	return guest_read_number(POOL "free_hugepages", node);
}

long guest_pool_total(int node)
{
	return guest_read_number(POOL "nr_hugepages", node);
}

long guest_pool_set(int node, long pages)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), POOL "nr_hugepages", node);
	snprintf(text, sizeof(text), "%ld", pages);
	guest_write(path, text);
	return guest_pool_total(node);
}

void guest_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		FAIL("CPU %d: %s", cpu, strerror(errno));
	CHECK_EQ(sched_getcpu(), cpu);
}

void guest_deny(long call, int advice, int err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)call, 0, 4),
		BPF_JUMP(BPF_JMP | BPF_JA, advice < 0 ? 2 : 0, 0, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)advice, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned int)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &prog))
		FAIL("seccomp: %s", strerror(errno));
}
