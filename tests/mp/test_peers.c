/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a watch tells of processes that come, leave, stop, die, are replaced, or become other programs. */
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

TestSuite(peers, .timeout = 180);

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

static int fail(const char *what, int rc)
{
	fprintf(stderr, "%s: %d: %s\n", what, rc, myelon_last_error());
	return 1;
}

/* A child that the library knows nothing of: it holds everything that is open until GO. */
static void leave_a_copy(struct kit_page *page)
{
	if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) != 0)
		return;
	kit_set(page, COPIED, 1);
	kit_await(page, GO, 1, 60);
	_exit(0);
}

static int live(struct part *me)
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

static int run(void *arg)
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

static void begin(void)
{
	memset(&stage, 0, sizeof(stage));
	stage.page = kit_page_create();
	cr_assert_not_null(stage.page);
	kit_ring_name(stage.name, "peers");
}

static void end(void)
{
	myelon_gc(NULL, NULL, NULL);
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0, "files are left");
	kit_page_destroy(stage.page);
}

/* @return false: no pid namespace can be made. */
static bool come(struct kit_actor *a, struct part part)
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

static void killed(struct kit_actor *a)
{
	kit_kill(a, SIGKILL);
	cr_assert_eq(kit_wait(a, 30), -SIGKILL);
}

/* ---- death ---- */

static void deaths(uint32_t flags)
{
	struct myelon_peer_event e;
	struct myelon_peers *w;
	pid_t first;

	begin();
	come(&stage.producer, (struct part){.flags = flags});
	come(&stage.consumer, (struct part){.id = "x"});
	w = peers_watch(stage.name, NULL);
	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	e = peers_expect(w, MYELON_CHANGE_ATTACHED, "x");
	cr_assert_eq(e.pid, stage.consumer.pid);
	peers_expect_none(w);
	peers_hear_only(w);
	for (int round = 0; round < 3; round++) {
		first = stage.consumer.pid;
		killed(&stage.consumer);
		e = peers_next(w);
		if (e.change == MYELON_CHANGE_DYING)
			e = peers_next(w);
		cr_assert(e.change == MYELON_CHANGE_DIED && e.pid == first, "%s", peers_say(&e));
		come(&stage.consumer, (struct part){.id = "x"});
		e = peers_expect(w, MYELON_CHANGE_REJOINED, "x");
		cr_assert_eq(e.pid, stage.consumer.pid);
		first = stage.producer.pid;
		killed(&stage.producer);
		e = peers_next(w);
		if (e.change == MYELON_CHANGE_DYING)
			e = peers_next(w);
		cr_assert(e.change == MYELON_CHANGE_DIED && e.role == MYELON_ROLE_PRODUCER &&
		                  e.pid == first && e.generation == (uint64_t)round + 1,
		          "%s", peers_say(&e));
		come(&stage.producer, (struct part){.flags = flags});
		e = peers_expect(w, MYELON_CHANGE_REJOINED, "");
		cr_assert_eq(e.generation, (uint64_t)round + 2);
		cr_assert_eq(e.pid, stage.producer.pid);
	}
	peers_expect_none(w);
	killed(&stage.consumer);
	cr_assert_eq(myelon_evict(stage.name, "x", 0, NULL), 1);
	do
		e = peers_next(w);
	while (e.change == MYELON_CHANGE_DYING || e.change == MYELON_CHANGE_DIED);
	cr_assert_eq(e.change, MYELON_CHANGE_EVICTED, "%s", peers_say(&e));
	cr_ok(myelon_peers_close(w));
	killed(&stage.producer);
	end();
}

Test(peers, killed_consumer_and_producer_die_and_are_back)
{
	deaths(0);
}

Test(peers, killed_producer_with_a_lease)
{
	deaths(MYELON_F_LEASE);
}

Test(peers, deaths_are_heard_with_epoll_as_well)
{
	setenv("MYELON_ENGINE", "epoll", 1);
	deaths(0);
}

/* All of it between two questions. */
Test(peers, death_and_return_between_two_looks_are_both_told)
{
	struct myelon_peer_event e;
	struct myelon_peers *w;
	uint64_t generation;
	pid_t first;

	begin();
	come(&stage.producer, (struct part){0});
	come(&stage.consumer, (struct part){.id = "x"});
	w = peers_watch(stage.name, NULL);
	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	generation = peers_expect(w, MYELON_CHANGE_ATTACHED, "x").generation;
	first = stage.consumer.pid;
	killed(&stage.consumer);
	killed(&stage.producer);
	come(&stage.consumer, (struct part){.id = "x"});
	come(&stage.producer, (struct part){0});
	e = peers_expect(w, MYELON_CHANGE_DIED, "");
	cr_assert(e.generation == 1 && e.role == MYELON_ROLE_PRODUCER);
	e = peers_expect(w, MYELON_CHANGE_REJOINED, "");
	cr_assert(e.generation == 2 && e.pid == stage.producer.pid);
	e = peers_expect(w, MYELON_CHANGE_DIED, "x");
	cr_assert(e.generation == generation && e.pid == first);
	e = peers_expect(w, MYELON_CHANGE_REJOINED, "x");
	cr_assert(e.generation == generation + 1 && e.pid == stage.consumer.pid);
	peers_expect_none(w);
	cr_ok(myelon_peers_close(w));
	killed(&stage.consumer);
	killed(&stage.producer);
	end();
}

/* One that died comes back and is gone again before the next look; then another one comes. */
static void visit_after_a_death(bool evicted)
{
	struct myelon_peers *w;
	struct myelon_peer_event e;
	uint64_t dead;
	int32_t pid;

	begin();
	come(&stage.producer, (struct part){.end = HANGS});
	come(&stage.consumer, (struct part){.id = "x", .end = HANGS});
	w = peers_watch(stage.name, NULL);
	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	dead = peers_expect(w, MYELON_CHANGE_ATTACHED, "x").generation;
	killed(&stage.consumer);
	e = peers_next(w);
	if (e.change == MYELON_CHANGE_DYING)
		e = peers_next(w);
	cr_assert_eq(e.change, MYELON_CHANGE_DIED, "%s", peers_say(&e));
	cr_assert_eq(e.generation, dead);
	come(&stage.consumer, (struct part){.id = "x", .end = CLOSES});
	pid = (int32_t)stage.consumer.pid;
	if (evicted)
		cr_assert_eq(myelon_evict(stage.name, "x", MYELON_F_FORCE, NULL), 1);
	kit_set(stage.page, GO, 1);
	cr_assert_eq(kit_wait(&stage.consumer, 30), 0);
	e = peers_expect(w, MYELON_CHANGE_REJOINED, "x");
	cr_assert(e.generation == dead + 1 && e.pid == pid, "%s", peers_say(&e));
	e = peers_expect(w, evicted ? MYELON_CHANGE_EVICTED : MYELON_CHANGE_DETACHED, "x");
	cr_assert(e.generation == dead + 1 && e.pid == pid, "%s", peers_say(&e));
	peers_expect_none(w);
	cr_ok(myelon_peers_close(w));
	killed(&stage.producer);
	end();
}

Test(peers, visit_between_two_looks_that_ends_a_death_is_told)
{
	visit_after_a_death(false);
	visit_after_a_death(true);
}

/* ... and who comes then is told behind the death, which was no eviction. */
Test(peers, dead_one_is_not_called_evicted_for_what_its_successor_was)
{
	struct myelon_consumer *c;
	struct myelon_peers *w;
	uint64_t dead;

	begin();
	come(&stage.producer, (struct part){.end = HANGS});
	come(&stage.consumer, (struct part){.id = "x", .end = HANGS});
	w = peers_watch(stage.name, NULL);
	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	dead = peers_expect(w, MYELON_CHANGE_ATTACHED, "x").generation;
	killed(&stage.consumer);
	while (peers_next(w).change != MYELON_CHANGE_DIED)
		;
	come(&stage.consumer, (struct part){.id = "x", .end = CLOSES});
	cr_assert_eq(myelon_evict(stage.name, "x", MYELON_F_FORCE, NULL), 1);
	kit_set(stage.page, GO, 1);
	cr_assert_eq(kit_wait(&stage.consumer, 30), 0);
	cr_ok(myelon_consumer_attach(&c, stage.name, WITH(.id = "x")));
	cr_assert_eq(peers_expect(w, MYELON_CHANGE_REJOINED, "x").generation, dead + 2);
	peers_expect_none(w);
	myelon_consumer_close(c);
	peers_expect(w, MYELON_CHANGE_DETACHED, "x");
	cr_ok(myelon_peers_close(w));
	killed(&stage.producer);
	end();
}

Test(peers, dead_when_the_watch_is_opened)
{
	struct myelon_peers *w;

	begin();
	come(&stage.producer, (struct part){0});
	come(&stage.consumer, (struct part){.id = "x"});
	killed(&stage.consumer);
	killed(&stage.producer);
	w = peers_watch(stage.name, NULL);
	cr_assert(peers_expect(w, MYELON_CHANGE_DIED, "").first);
	cr_assert(peers_expect(w, MYELON_CHANGE_DIED, "x").first);
	peers_expect_none(w);
	come(&stage.producer, (struct part){0});
	peers_expect(w, MYELON_CHANGE_REJOINED, "");
	cr_ok(myelon_peers_close(w));
	killed(&stage.producer);
	end();
}

/* The process is gone, its lock is not: a child of it that the library does not know has it. */
Test(peers, dying_is_told_until_the_lock_is_free)
{
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;
	struct myelon_peers *w;

	begin();
	come(&stage.producer, (struct part){0});
	come(&stage.consumer, (struct part){.id = "x", .end = LEAVES_A_COPY});
	cr_assert(kit_await(stage.page, COPIED, 1, 30));
	w = peers_watch(stage.name, NULL);
	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	peers_expect(w, MYELON_CHANGE_ATTACHED, "x");
	peers_expect_none(w);
	peers_hear_only(w);
	kit_kill(&stage.consumer, SIGKILL);
	peers_expect(w, MYELON_CHANGE_DYING, "x");
	cr_assert_eq(myelon_peers_next(w, &e, myelon_deadline_after(100 * MS)), -ETIMEDOUT);
	kit_set(stage.page, GO, 1);
	peers_expect(w, MYELON_CHANGE_DIED, "x");
	cr_assert_eq(kit_wait(&stage.consumer, 30), -SIGKILL);
	peers_expect_none(w);
	cr_ok(myelon_peers_close(w));
	killed(&stage.producer);
	end();
}

static void exec_one(struct kit_actor *a, struct part part, const char *id)
{
	struct myelon_peer_event e;
	struct myelon_peers *w;

	begin();
	if (id[0])
		come(&stage.producer, (struct part){0});
	part.end = EXECS;
	come(a, part);
	w = peers_watch(stage.name, NULL);
	do
		e = peers_next(w);
	while (strcmp(e.id, id) != 0);
	cr_assert_eq(e.change, MYELON_CHANGE_ATTACHED);
	kit_set(stage.page, GO, 1);
	e = peers_next(w);
	/* The lease is marked some time before the descriptors are closed. */
	if (e.change == MYELON_CHANGE_DYING)
		e = peers_next(w);
	cr_assert(e.change == MYELON_CHANGE_DIED && strcmp(e.id, id) == 0, "%s", peers_say(&e));
	cr_assert(kit_running(a));
	cr_ok(myelon_peers_close(w));
	killed(a);
	if (id[0])
		killed(&stage.producer);
	end();
}

Test(peers, process_that_becomes_another_program_died)
{
	exec_one(&stage.consumer, (struct part){.id = "x"}, "x");
	exec_one(&stage.producer, (struct part){0}, "");
	exec_one(&stage.producer, (struct part){.flags = MYELON_F_LEASE}, "");
}

/* Nothing of its process can be seen from here. */
static void die_elsewhere(struct part part, const char *id)
{
	struct myelon_peer_event e;
	struct myelon_peers *w;
	struct kit_actor *a = id[0] ? &stage.consumer : &stage.producer;

	begin();
	if (id[0])
		come(&stage.producer, (struct part){0});
	part.elsewhere = true;
	if (!come(a, part)) {
		if (id[0])
			killed(&stage.producer);
		end();
		kit_skip("root", "a pid namespace cannot be made");
	}
	cr_assert(kit_await(stage.page, COPIED, 1, 30));
	w = peers_watch(stage.name, NULL);
	do
		e = peers_next(w);
	while (strcmp(e.id, id) != 0);
	if (id[0])
		peers_expect_none(w);
	peers_hear_only(w);
	kill((pid_t)stage.page->result[0].value[0], SIGKILL);
	e = peers_next(w);
	if (e.change == MYELON_CHANGE_DYING)
		e = peers_next(w);
	cr_assert(e.change == MYELON_CHANGE_DIED && strcmp(e.id, id) == 0, "%s", peers_say(&e));
	cr_ok(myelon_peers_close(w));
	cr_assert_eq(kit_wait(a, 30), 0);
	if (id[0])
		killed(&stage.producer);
	end();
}

Test(peers, death_in_another_pid_namespace)
{
	die_elsewhere((struct part){.id = "x"}, "x");
	die_elsewhere((struct part){0}, "");
	die_elsewhere((struct part){.flags = MYELON_F_LEASE}, "");
}

Test(peers, stopped_consumer_stalls_recovers_and_is_never_dead)
{
	struct myelon_producer *p;
	struct myelon_peers *w;

	begin();
	cr_ok(myelon_producer_create(&p, stage.name, SMALL()));
	come(&stage.consumer, (struct part){.id = "x", .end = CLOSES});
	w = peers_watch(stage.name, WATCH(.progress_ns = 50 * MS));
	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	peers_expect(w, MYELON_CHANGE_ATTACHED, "x");
	kit_kill(&stage.consumer, SIGSTOP);
	cr_ok(ring_push(p, 1));
	peers_expect(w, MYELON_CHANGE_STALLED, "x");
	kit_kill(&stage.consumer, SIGCONT);
	kit_set(stage.page, GO, 1);
	cr_assert_eq(kit_wait(&stage.consumer, 30), 0);
	peers_expect(w, MYELON_CHANGE_DETACHED, "x");
	cr_ok(myelon_peers_close(w));
	myelon_producer_close(p);
	end();
}

/* ---- the same in an event loop, and by the hook ---- */

static void heard_in_epoll(uint32_t mode)
{
	struct epoll_event how = {.events = EPOLLIN | mode};
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;
	int epoll = epoll_create1(EPOLL_CLOEXEC), died = 0;
	struct myelon_peers *w;

	begin();
	come(&stage.producer, (struct part){0});
	come(&stage.consumer, (struct part){.id = "x"});
	w = peers_watch(stage.name, NULL);
	cr_assert_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, myelon_peers_fd(w), &how), 0);
	while (myelon_peers_next(w, &e, MYELON_TRY) == 0)
		;
	peers_hear_only(w);
	peers_expect_none(w);
	for (int victim = 0; victim < 2; victim++) {
		killed(victim ? &stage.producer : &stage.consumer);
		while (died <= victim) {
			cr_assert_eq(kit_epoll_one(epoll, 20000), 1);
			while (myelon_peers_next(w, &e, MYELON_TRY) == 0)
				died += e.change == MYELON_CHANGE_DIED;
		}
		cr_assert_eq(e.role, victim ? MYELON_ROLE_PRODUCER : MYELON_ROLE_CONSUMER);
	}
	close(epoll);
	cr_ok(myelon_peers_close(w));
	end();
}

Test(peers, death_makes_the_descriptor_readable)
{
	heard_in_epoll(0);
	heard_in_epoll(EPOLLET);
}

/* Both are heard by the first question; one question for each time it is readable is enough. */
Test(peers, descriptor_stays_readable_until_both_deaths_were_told)
{
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;
	struct epoll_event how = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC), died = 0;
	struct myelon_peers *w;

	begin();
	come(&stage.producer, (struct part){0});
	come(&stage.consumer, (struct part){.id = "x"});
	w = peers_watch(stage.name, NULL);
	cr_assert_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, myelon_peers_fd(w), &how), 0);
	while (myelon_peers_next(w, &e, MYELON_TRY) == 0)
		;
	peers_hear_only(w);
	peers_expect_none(w);
	killed(&stage.consumer);
	killed(&stage.producer);
	while (died < 2) {
		cr_assert_eq(kit_epoll_one(epoll, 20000), 1, "%d were told", died);
		if (myelon_peers_next(w, &e, MYELON_TRY) == 0)
			died += e.change == MYELON_CHANGE_DIED;
	}
	close(epoll);
	cr_ok(myelon_peers_close(w));
	end();
}

static void note(void *ctx, const struct myelon_peer_event *e)
{
	struct kit_page *page = ctx;

	if (e->change == MYELON_CHANGE_DIED)
		kit_set(page, 10 + e->role, 1);
	if (e->change == MYELON_CHANGE_REJOINED)
		kit_set(page, 20 + e->role, 1);
}

Test(peers, hook_is_called_while_this_process_does_nothing)
{
	struct myelon_peers *w;

	begin();
	come(&stage.producer, (struct part){0});
	come(&stage.consumer, (struct part){.id = "x"});
	w = peers_watch(stage.name, WATCH(.on_peer_change = note, .ctx = stage.page));
	killed(&stage.consumer);
	cr_assert(kit_await(stage.page, 10 + MYELON_ROLE_CONSUMER, 1, 30));
	killed(&stage.producer);
	cr_assert(kit_await(stage.page, 10 + MYELON_ROLE_PRODUCER, 1, 30));
	come(&stage.producer, (struct part){0});
	cr_assert(kit_await(stage.page, 20 + MYELON_ROLE_PRODUCER, 1, 30));
	come(&stage.consumer, (struct part){.id = "x"});
	cr_assert(kit_await(stage.page, 20 + MYELON_ROLE_CONSUMER, 1, 30));
	cr_ok(myelon_peers_close(w));
	killed(&stage.consumer);
	killed(&stage.producer);
	end();
}

/* ---- many ---- */

#define STORM 4
#define VISITS 250

static int visit(void *arg)
{
	struct part *me = arg;
	struct myelon_consumer *c = NULL;
	char id[16];
	int rc = 0;

	snprintf(id, sizeof(id), "v%d", getpid() % 3);
	for (int i = 0; i < VISITS && rc == 0; i++) {
		/* Two processes may want one id. */
		do
			rc = myelon_consumer_attach(&c, me->name, WITH(.id = i % 3 ? id : NULL));
		while (rc == -EBUSY);
		if (rc == 0 && (i < VISITS - 1 || getpid() % 2))
			myelon_consumer_close(c);
	}
	if (rc < 0)
		return fail("visit", rc);
	kit_set(me->page, 30 + (unsigned int)me->flags, 1);
	for (;;)
		pause();
}

struct table {
	struct {
		char id[MYELON_NAME_MAX + 4];
		bool here, dead;
	} place[64];
};

static void follow(struct table *t, const struct myelon_peer_event *e)
{
	if (e->role != MYELON_ROLE_CONSUMER)
		return;
	cr_assert_lt(e->index, 64u);
	switch (e->change) {
	case MYELON_CHANGE_ATTACHED:
	case MYELON_CHANGE_REJOINED:
		cr_assert_not(t->place[e->index].here, "twice: %s", peers_say(e));
		memcpy(t->place[e->index].id, e->id, sizeof(e->id));
		t->place[e->index].here = true;
		t->place[e->index].dead = false;
		break;
	case MYELON_CHANGE_DIED:
		t->place[e->index].dead = true;
		t->place[e->index].here = false;
		break;
	case MYELON_CHANGE_DETACHED:
		cr_assert(t->place[e->index].here || t->place[e->index].dead, "%s", peers_say(e));
		cr_assert_str_eq(t->place[e->index].id, e->id);
		t->place[e->index].here = t->place[e->index].dead = false;
		break;
	default:
		break;
	}
}

static int compare(void *ctx, const struct myelon_consumer_entry *e)
{
	struct table *t = ctx;
	bool here = e->state == MYELON_PEER_ALIVE, dead = e->state == MYELON_PEER_DEAD;

	cr_assert(t->place[e->index].here == here && t->place[e->index].dead == dead,
	          "place %u (%s): state %u, but told here %d dead %d", e->index, e->id, e->state,
	          t->place[e->index].here, t->place[e->index].dead);
	if (here || dead)
		cr_assert_str_eq(t->place[e->index].id, e->id);
	/* Seen. */
	t->place[e->index].here = t->place[e->index].dead = false;
	return 0;
}

static void settle(struct myelon_peers *w, struct table *t)
{
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;

	while (myelon_peers_next(w, &e, myelon_deadline_after(1500 * MS)) == 0)
		follow(t, &e);
}

Test(peers, a_thousand_visits_end_in_what_the_table_says)
{
	struct kit_actor a[STORM];
	struct part part[STORM];
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;
	struct myelon_producer *p;
	struct myelon_peers *w;
	struct table t = {0}, copy;

	begin();
	cr_ok(myelon_producer_create(&p, stage.name, SMALL()));
	w = peers_watch(stage.name, NULL);
	for (unsigned int i = 0; i < STORM; i++) {
		part[i] = (struct part){.page = stage.page, .name = stage.name, .flags = i};
		cr_assert_eq(kit_fork(&a[i], visit, &part[i]), 0);
	}
	for (unsigned int i = 0; i < STORM; i++)
		while (!kit_await(stage.page, 30 + i, 1, 0.001)) {
			cr_assert(kit_running(&a[i]), "visitor %u ended", i);
			while (myelon_peers_next(w, &e, MYELON_TRY) == 0)
				follow(&t, &e);
		}
	settle(w, &t);
	copy = t;
	cr_ok(myelon_ring_consumers(stage.name, NULL, compare, &copy));
	for (int i = 0; i < 64; i++)
		cr_assert_not(copy.place[i].here || copy.place[i].dead, "place %d is free", i);
	for (unsigned int i = 0; i < STORM; i++)
		killed(&a[i]);
	settle(w, &t);
	copy = t;
	cr_ok(myelon_ring_consumers(stage.name, NULL, compare, &copy));
	cr_ok(myelon_peers_close(w));
	myelon_producer_close(p);
	end();
}

/* ---- cost ---- */

static int64_t cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
	       u.ru_stime.tv_usec;
}

Test(peers, watch_of_an_idle_ring_sleeps)
{
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;
	struct myelon_peers *w;
	int64_t before;
	struct rusage u, v;

	begin();
	come(&stage.producer, (struct part){0});
	come(&stage.consumer, (struct part){.id = "x"});
	w = peers_watch(stage.name, NULL);
	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	peers_expect(w, MYELON_CHANGE_ATTACHED, "x");
	before = cpu_us();
	getrusage(RUSAGE_SELF, &u);
	cr_assert_eq(myelon_peers_next(w, &e, myelon_deadline_after(3000 * MS)), -ETIMEDOUT);
	getrusage(RUSAGE_SELF, &v);
	printf("a watch of an idle ring: %lld us of CPU, %ld sleeps in 3 s\n",
	       (long long)(cpu_us() - before), v.ru_nvcsw - u.ru_nvcsw);
	cr_assert_leq(v.ru_nvcsw - u.ru_nvcsw, 12, "it sleeps %ld times", v.ru_nvcsw - u.ru_nvcsw);
	cr_ok(myelon_peers_close(w));
	killed(&stage.consumer);
	killed(&stage.producer);
	end();
}
