/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What tests of odd ways to live and die add to the cast of a supervised producer: a producer that is a
 * process, and what others see of both. */
#ifndef MYELON_TEST_ODD_CAST_H
#define MYELON_TEST_ODD_CAST_H

#include "liveness_cast.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>

#define DONE 48 /* word: whoever hangs may go on */

/* A producer in a process of its own: publishes, says READY + index, then does something odd. */
struct host {
	struct kit_page *page;
	const char *name;
	unsigned int index;
	uint32_t flags;
	uint32_t count; /* messages it publishes */
	bool open;      /* takes the ring over */
	int (*then)(const struct host *h);
};

static inline int host_fail(const char *what, int rc)
{
	fprintf(stderr, "%s: %d: %s\n", what, rc, myelon_last_error());
	return 1;
}

static inline int host_publish(struct myelon_producer *p, uint32_t n)
{
	unsigned char slot[SLOT];
	int rc = 0;

	while (rc == 0 && n-- > 0) {
		kit_fill(slot, sizeof(slot), SEED, (uint64_t)myelon_producer_published(p) + 1);
		rc = myelon_publish_copy(p, slot, 1, kit_deadline(60));
	}
	return rc;
}

static inline int host_make(const struct host *h, struct myelon_producer **p)
{
	if (h->open)
		return myelon_producer_open(p, h->name, &MYELON_OPEN_OPTS(.flags = h->flags));
	return myelon_producer_create(p, h->name,
	                              &MYELON_RING_OPTS(.slot_size = SLOT, .window = WINDOW,
	                                                .backing = MYELON_BACKING_SHM,
	                                                .huge = MYELON_HUGE_OFF,
	                                                .flags = h->flags));
}

static inline int host_run(void *arg)
{
	const struct host *h = arg;
	struct myelon_producer *p;
	int rc = host_make(h, &p);

	if (rc == 0)
		rc = host_publish(p, h->count);
	if (rc < 0)
		return host_fail("producer", rc);
	kit_set(h->page, READY + h->index, 1);
	return h->then(h);
}

_Noreturn static inline int host_hang(const struct host *h)
{
	(void)h;
	for (;;)
		pause();
}

/* Actor @p i as a producer; READY when it returns. */
static inline void host_start(unsigned int i, const struct host *model)
{
	static struct host h[CAST];

	h[i] = *model;
	h[i].page = cast.page;
	h[i].name = cast.name;
	h[i].index = i;
	if (!h[i].then)
		h[i].then = host_hang;
	kit_set(cast.page, READY + i, 0);
	cr_assert_eq(kit_fork(&cast.actor[i], host_run, &h[i]), 0);
	cr_assert(kit_await(cast.page, READY + i, 1, 30), "no producer comes");
}

static inline struct myelon_consumer *odd_join(const char *id, uint32_t wait)
{
	struct myelon_consumer *c = NULL;
	int rc = myelon_consumer_attach(
		&c, cast.name,
		&MYELON_ATTACH_OPTS(.id = id, .wait = wait, .start = MYELON_START_OLDEST));

	cr_assert_eq(rc, 0, "%s: %d: %s", id, rc, myelon_last_error());
	return c;
}

/* Reads, from @p next on, until there is an error. @return it. */
static inline int odd_read_on(struct myelon_consumer *c, int64_t *next, int64_t deadline)
{
	struct myelon_view v;
	int rc;

	while ((rc = myelon_peek(c, 1, deadline, &v)) > 0) {
		cr_assert_eq(v.seq, *next);
		cr_assert_eq(kit_check(v.base, SLOT, SEED, (uint64_t)v.seq), -1);
		cr_assert_eq(myelon_release(c, 1), 0);
		++*next;
	}
	return rc;
}

struct seen {
	const char *id;
	struct myelon_consumer_entry entry;
};

static inline int see(void *ctx, const struct myelon_consumer_entry *e)
{
	struct seen *s = ctx;

	if (strcmp(s->id, e->id) != 0)
		return 0;
	s->entry = *e;
	return 1;
}

static inline struct myelon_consumer_entry odd_entry(const char *id)
{
	struct seen s = {.id = id};

	cr_assert_eq(myelon_ring_consumers(cast.name, NULL, see, &s), 1, "%s is not listed", id);
	return s.entry;
}

static inline struct myelon_ring_info odd_info(void)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;

	cr_assert_eq(myelon_ring_describe(cast.name, NULL, &info), 0, "%s", myelon_last_error());
	return info;
}

/* Waits until consumer @p id is in @p state, which must come without anybody's doing. */
static inline void odd_becomes(const char *id, uint32_t state)
{
	int64_t deadline = kit_deadline(30);

	while (odd_entry(id).state != state) {
		cr_assert_lt(kit_now_ns(), deadline, "%s is %s", id,
		             myelon_peer_state_name((enum myelon_peer_state)odd_entry(id).state));
		cast_rest(1);
	}
}

static inline void odd_producer_becomes(uint32_t state)
{
	int64_t deadline = kit_deadline(30);

	while (odd_info().producer_state != state) {
		cr_assert_lt(kit_now_ns(), deadline, "the producer is %u",
		             odd_info().producer_state);
		cast_rest(1);
	}
}

/* Stopped, and not just about to be. */
static inline void odd_stop(unsigned int i)
{
	siginfo_t info;

	cr_assert_eq(kit_kill(&cast.actor[i], SIGSTOP), 0);
	cr_assert_eq(waitid(P_PID, (id_t)cast.actor[i].pid, &info, WSTOPPED), 0);
}

/* Dead, and not reaped: it stays a zombie. */
static inline void odd_kill_unreaped(unsigned int i)
{
	siginfo_t info;

	cr_assert_eq(kit_kill(&cast.actor[i], SIGKILL), 0);
	cr_assert_eq(waitid(P_PID, (id_t)cast.actor[i].pid, &info, WEXITED | WNOWAIT), 0);
}

static inline void odd_reap(unsigned int i)
{
	cr_assert_eq(kit_wait(&cast.actor[i], 30), -SIGKILL);
}

/* `myelon info NAME --stalled 100ms`: its exit code. */
static inline int odd_info_stalled(void)
{
	const char *command = getenv("MYELON_COMMAND");
	struct kit_actor a;
	int rc;

	if (!command || access(command, X_OK) < 0)
		return -ENOENT;
	cr_assert_eq(kit_spawn(&a, command, "info", cast.name, "--stalled", "100ms", NULL), 0);
	rc = kit_wait(&a, 30);
	cr_assert(rc != 9 || strstr(a.output, "stalled") || strstr(a.output, "dead"), "%s",
	          a.output);
	return rc;
}

static inline uint64_t odd_caps(void)
{
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;

	cr_assert_eq(myelon_producer_stats(ring, &s), 0);
	return s.caps;
}

/* ---- processes in namespaces of their own ---- */

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#define NOT_ALLOWED 77

/* What runs there; its pid as it is here goes into the first value of result OUTSIDE + index. */
struct elsewhere {
	int flag;         /* CLONE_NEWPID, CLONE_NEWTIME */
	int64_t offset_s; /* of CLOCK_MONOTONIC there */
	struct kit_page *page;
	unsigned int index;
	int (*fn)(void *arg);
	void *arg;
};

#define OUTSIDE 40

static inline bool set_offset(int64_t seconds)
{
	int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && dprintf(fd, "monotonic %lld 0\nboottime %lld 0\n", (long long)seconds,
	                             (long long)seconds) > 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Ends as its child does there; a kill is an exit code of 128 + signal. */
static inline int elsewhere_run(void *arg)
{
	const struct elsewhere *e = arg;
	pid_t parent = getpid(), pid;
	int status;

	if (unshare(e->flag) < 0 || (e->flag == CLONE_NEWTIME && !set_offset(e->offset_s)))
		return NOT_ALLOWED;
	pid = fork();
	if (pid == 0)
		_exit(kit_die_with_parent(e->flag == CLONE_NEWPID ? 0 : parent) ? e->fn(e->arg)
		                                                                : 3);
	if (pid < 0)
		return NOT_ALLOWED;
	e->page->result[OUTSIDE + e->index].value[0] = (uint64_t)pid;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 4;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static inline void need_namespace(int flag, int64_t offset_s)
{
	struct kit_page *page = kit_page_create();
	struct elsewhere e = {.flag = flag, .offset_s = offset_s, .page = page, .fn = nothing};
	struct kit_actor a;
	int rc;

	cr_assert_eq(kit_fork(&a, elsewhere_run, &e), 0);
	rc = kit_wait(&a, 30);
	kit_page_destroy(page);
	if (rc == NOT_ALLOWED)
		kit_skip(flag == CLONE_NEWPID ? "pidns" : "timens",
		         "this process may not make such a namespace");
	cr_assert_eq(rc, 0);
}

static inline void elsewhere_start(unsigned int i, const struct elsewhere *model)
{
	static struct elsewhere e[CAST];

	e[i] = *model;
	e[i].page = cast.page;
	e[i].index = i;
	cr_assert_eq(kit_fork(&cast.actor[i], elsewhere_run, &e[i]), 0);
}

static inline pid_t elsewhere_pid(unsigned int i)
{
	int64_t deadline = kit_deadline(30);

	while (!cast.page->result[OUTSIDE + i].value[0]) {
		cr_assert_lt(kit_now_ns(), deadline);
		cast_rest(1);
	}
	return (pid_t)cast.page->result[OUTSIDE + i].value[0];
}

/* Kills who is in there; the actor outside ends as well. */
static inline void elsewhere_kill(unsigned int i)
{
	cr_assert_eq(kill(elsewhere_pid(i), SIGKILL), 0);
	cr_assert_eq(kit_wait(&cast.actor[i], 30), 128 + SIGKILL);
}

static inline void odd_begin(void)
{
	cast_begin(&cast);
	memset(&heard, 0, sizeof(heard));
	heard.count = 0;
}

static inline void odd_end(void)
{
	cast_end(&cast, true);
}

#endif
