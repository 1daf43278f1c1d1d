/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon demo`: the consumer processes, as their parent sees them. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "demo.h"

extern char **environ;

/* Spinning pays only on a core of one's own. */
static bool cores_for_all(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	return sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > DEMO_CONSUMERS;
}

/*
 * Ctrl-C and the end of the terminal reach every process of the job. Here it is the parent who
 * passes them on, once and in order, so the consumers leave them alone.
 */
static int spawn(pid_t *pid, const posix_spawn_file_actions_t *actions, char *const argv[])
{
	posix_spawnattr_t attr;
	sigset_t job;
	int rc;

	sigemptyset(&job);
	sigaddset(&job, SIGINT);
	sigaddset(&job, SIGHUP);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &job);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	rc = posix_spawn(pid, "/proc/self/exe", actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	return rc;
}

static int spawn_member(struct demo *d, struct demo_member *m)
{
	char wait[32], *argv[16];
	posix_spawn_file_actions_t actions;
	int fds[2], n = 0, rc;

	/* posix_spawn() takes char * for strings it does not change. */
	union {
		const char *in;
		char *out;
	} words[] = {{"myelon"},
	             {"demo-consumer"},
	             {d->ring},
	             {"--id"},
	             {m->id},
	             {"--wait"},
	             {wait},
	             {"--shm-dir"},
	             {cli_common.shm_dir},
	             {"--hugetlb-dir"},
	             {cli_common.hugetlb_dir}};

	snprintf(wait, sizeof(wait), "%s", myelon_wait_name(m->wait));
	for (int i = 0; i < 7; i++)
		argv[n++] = words[i].out;
	for (int i = 7; i < 11; i += 2) {
		if (!words[i + 1].in)
			continue;
		argv[n++] = words[i].out;
		argv[n++] = words[i + 1].out;
	}
	argv[n] = NULL;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return cli_error(CLI_FAILURE, "cannot make a pipe: %s", strerror(errno));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	rc = spawn(&m->pid, &actions, argv);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	if (rc == 0) {
		m->out = fds[0];
		return CLI_OK;
	}
	m->pid = 0;
	close(fds[0]);
	return cli_error(CLI_FAILURE, "cannot start a consumer process: %s", strerror(rc));
}

int demo_start_crew(struct demo *d)
{
	const enum myelon_wait strategies[DEMO_CONSUMERS] = {
		MYELON_WAIT_ADAPTIVE, MYELON_WAIT_PARK,
		cores_for_all() ? MYELON_WAIT_SPIN_PAUSE : MYELON_WAIT_YIELD, MYELON_WAIT_SLEEP};

	for (int i = 0; i < DEMO_CONSUMERS; i++) {
		struct demo_member *m = &d->crew[i];
		int rc;

		snprintf(m->id, sizeof(m->id), DEMO_PREFIX "_%d", i);
		m->wait = strategies[i];
		rc = spawn_member(d, m);
		if (rc != CLI_OK)
			return rc;
	}
	return CLI_OK;
}

bool demo_crew_lost_one(struct demo *d)
{
	bool lost = false;

	for (int i = 0; i < DEMO_CONSUMERS; i++) {
		struct demo_member *m = &d->crew[i];

		if (m->pid && !m->ended && wait4(m->pid, &m->status, WNOHANG, &m->usage) == m->pid)
			m->ended = true;
		lost |= m->ended;
	}
	return lost;
}

static void read_result(struct demo_member *m)
{
	ssize_t n = read(m->out, &m->result, sizeof(m->result));

	m->reported = n == (ssize_t)sizeof(m->result) &&
	              strnlen(m->result.sum, SHA256_HEX) == SHA256_HEX - 1;
	if (!m->reported)
		m->result = (struct demo_result){0};
}

void demo_end_crew(struct demo *d, bool kill_them)
{
	for (int i = 0; i < DEMO_CONSUMERS; i++) {
		struct demo_member *m = &d->crew[i];

		if (m->pid && !m->ended && kill_them)
			kill(m->pid, SIGTERM);
	}
	for (int i = 0; i < DEMO_CONSUMERS; i++) {
		struct demo_member *m = &d->crew[i];

		while (m->pid && !m->ended) {
			if (wait4(m->pid, &m->status, 0, &m->usage) == m->pid || errno != EINTR)
				m->ended = true;
		}
		if (m->pid) {
			read_result(m);
			close(m->out);
		}
	}
}
