/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The processes a watch is to tell of: a producer and consumers that live until they are told how to end. */
#ifndef TESTS_MP_PEERS_CAST_H
#define TESTS_MP_PEERS_CAST_H

#include "../unit/peers_inside.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_NEWPID
#define CLONE_NEWPID 0x20000000
#endif
int unshare(int flags);

#define READY 1
#define GO 2
#define COPIED 3

enum end { HANGS, EXECS, LEAVES_A_COPY, CLOSES };

struct part {
	struct kit_page *page;
	const char *name;
	const char *id; /* NULL: the producer */
	uint32_t flags;
	enum end end;
	bool elsewhere; /* in a pid namespace of its own */
};

static struct stage {
	char name[KIT_NAME];
	struct kit_page *page;
	struct kit_actor producer, consumer;
} stage;

static inline int fail(const char *what, int rc)
{
	fprintf(stderr, "%s: %d: %s\n", what, rc, myelon_last_error());
	return 1;
}

/* A child that the library knows nothing of: it holds everything that is open until GO. */
static inline void leave_a_copy(struct kit_page *page)
{
	if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) != 0)
		return;
	kit_set(page, COPIED, 1);
	kit_await(page, GO, 1, 60);
	_exit(0);
}

static inline int live(struct part *me)
{
	struct myelon_producer *p = NULL;
	struct myelon_consumer *c = NULL;
	int rc;

	if (me->id)
		rc = myelon_consumer_attach(&c, me->name, WITH(.id = me->id));
	else if (myelon_producer_open(&p, me->name, &MYELON_OPEN_OPTS(.flags = me->flags)) == 0)
		rc = 0;
	else
		rc = myelon_producer_create(&p, me->name, SMALL(.flags = me->flags));
	if (rc < 0)
		return fail("come", rc);
	kit_set(me->page, READY, 1);
	if (me->end == LEAVES_A_COPY)
		leave_a_copy(me->page);
	if (me->end == HANGS || me->end == LEAVES_A_COPY)
		for (;;)
			pause();
	if (!kit_await(me->page, GO, 1, 120))
		return 2;
	if (me->end == EXECS)
		execlp("sleep", "sleep", "1000", (char *)NULL);
	myelon_consumer_close(c);
	myelon_producer_close(p);
	return 0;
}

static inline int run(void *arg)
{
	struct part *me = arg;
	int status = 0;
	pid_t pid;

	if (!me->elsewhere)
		return live(me);
	if (unshare(CLONE_NEWPID) < 0)
		return 77;
	pid = fork();
	if (pid == 0)
		_exit(live(me));
	me->page->result[0].value[0] = (uint64_t)pid;
	kit_set(me->page, COPIED, 1);
	return waitpid(pid, &status, 0) == pid ? 0 : 1;
}

static inline void begin(void)
{
	memset(&stage, 0, sizeof(stage));
	stage.page = kit_page_create();
	cr_assert_not_null(stage.page);
	kit_ring_name(stage.name, "peers");
}

static inline void end(void)
{
	myelon_gc(NULL, NULL, NULL);
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0, "files are left");
	kit_page_destroy(stage.page);
}

/* @return false: no pid namespace can be made. */
static inline bool come(struct kit_actor *a, struct part part)
{
	static struct part parts[8];
	static unsigned int n;
	struct part *mine = &parts[n++ % 8];

	*mine = part;
	mine->page = stage.page;
	mine->name = stage.name;
	kit_set(stage.page, READY, 0);
	kit_set(stage.page, GO, 0);
	kit_set(stage.page, COPIED, 0);
	cr_assert_eq(kit_fork(a, run, mine), 0);
	while (!kit_await(stage.page, READY, 1, 0.2))
		if (!kit_running(a)) {
			cr_assert_eq(kit_wait(a, 10), 77, "%s", a->output);
			return false;
		}
	return true;
}

static inline void killed(struct kit_actor *a)
{
	kit_kill(a, SIGKILL);
	cr_assert_eq(kit_wait(a, 30), -SIGKILL);
}

#endif
