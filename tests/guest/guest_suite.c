/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Runs the cases inside the guest: guest_suite [--list] [NAME...]. One line for each,
 * "case ok NAME (N ms)" or "case FAIL NAME: why".
 */
#include "guest.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A watchdog, not a measure: SIGALRM ends the case. */
#define CASE_SECONDS 120

static const struct guest_case *const lists[] = {
	guest_node_cases,   guest_shortage_cases,  guest_kernel_cases,
	guest_stream_cases, guest_placement_cases,
};
#define LISTS (sizeof(lists) / sizeof(lists[0]))

/* Removes the files of a directory. @return how many there were. */
static int sweep(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *e;
	int n = 0;

	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		printf("  left behind: %s/%s\n", path, e->d_name);
		unlinkat(dirfd(dir), e->d_name, 0);
		n++;
	}
	if (dir)
		closedir(dir);
	return n;
}

/* What a case took it has to give back; the next one finds the machine in order in any case. */
static bool left_in_order(void)
{
	bool ok = sweep(SHM_DIR) + sweep(HUGE_DIR) == 0;

	for (int node = 0; node < NODE_BARE; node++) {
		long total = guest_pool_total(node), available = guest_pool_free(node);

		if (total == POOL_PAGES && available == POOL_PAGES)
			continue;
		printf("  node %d has %ld huge pages, %ld of them free, instead of %d\n", node,
		       total, available, POOL_PAGES);
		ok = guest_pool_set(node, POOL_PAGES) < 0;
	}
	return ok;
}

static int run_child(const struct guest_case *c)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		alarm(CASE_SECONDS);
		c->run();
		fflush(stdout);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("fork");
		exit(1);
	}
	/* Whoever the case started and did not wait for. */
	kill(-pid, SIGKILL);
	return status;
}

static bool run_case(const struct guest_case *c)
{
	int64_t begin = myelon_now();
	int status = run_child(c);
	bool ordered = left_in_order();

	if (WIFSIGNALED(status))
		printf("case FAIL %s: killed by signal %d (%s)\n", c->name, WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0)
		printf("case FAIL %s: see above\n", c->name);
	else if (!ordered)
		printf("case FAIL %s: it left something behind\n", c->name);
	else
		printf("case ok %s (%lld ms)\n", c->name,
		       (long long)(myelon_now() - begin) / 1000000);
	return status == 0 && ordered;
}

static bool asked(const char *name, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

/* What is not the guest has files in its directories that are none of our business. */
static bool in_the_guest(void)
{
	char line[2048] = "";
	FILE *f = fopen("/proc/cmdline", "re");
	bool yes = f && fgets(line, sizeof(line), f) && strstr(line, "myelon_guest");

	if (f)
		fclose(f);
	return yes;
}

int main(int argc, char **argv)
{
	bool list = argc > 1 && strcmp(argv[1], "--list") == 0;
	int failed = 0, ran = 0;

	if (!list && !in_the_guest()) {
		fputs("guest_suite: only for the machine that two_nodes.sh boots\n", stderr);
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < LISTS; i++) {
		for (const struct guest_case *c = lists[i]; c->name; c++) {
			if (list)
				puts(c->name);
			else if (asked(c->name, argv + 1) && ++ran)
				failed += !run_case(c);
		}
	}
	return list || (ran && !failed) ? 0 : 1;
}
