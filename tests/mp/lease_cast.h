/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One producer and its sleepers, each a forked process. Part i writes result i and word i. */
#ifndef MYELON_TEST_LEASE_CAST_H
#define MYELON_TEST_LEASE_CAST_H

#include "../unit/ring_kit.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLEEPERS 8
#define PRODUCER SLEEPERS /* index of its part */
#define PARTS (SLEEPERS + 1)
#define ENDED 20 /* + index: a word for what a part has done */
#define GO 40

/* What a process is given. */
struct part {
	struct kit_page *page;
	const char *name;
	uint32_t wait;
	unsigned int index;
};

struct play {
	char name[KIT_NAME];
	struct kit_page *page;
	struct kit_actor actor[PARTS];
	struct part part[PARTS];
	int64_t begun_ns, killed_ns;
};

static inline int part_fail(const char *what, int rc)
{
	fprintf(stderr, "%s: %d: %s\n", what, rc, myelon_last_error());
	return 1;
}

static inline void part_ready(struct part *me)
{
	kit_set(me->page, me->index, 1);
}

static inline void part_note(struct part *me, int rc, const struct myelon_handle_stats *s)
{
	struct kit_result *r = &me->page->result[me->index];

	r->value[0] = (uint64_t)-rc;
	r->value[1] = s->caps;
	r->count = s->parks;
}

static inline int play_create_with(struct part *me, uint32_t flags)
{
	struct myelon_producer *p;

	return myelon_producer_create(&p, me->name, SMALL(.flags = flags));
}

static inline int play_create(struct part *me)
{
	return play_create_with(me, MYELON_F_LEASE);
}

static inline int hold(struct part *me, uint32_t flags)
{
	int rc = play_create_with(me, flags);

	if (rc < 0)
		return part_fail("create", rc);
	part_ready(me);
	for (;;)
		pause();
}

/* Producers that hold a ring until they are killed. */
static inline int play_hold(void *arg)
{
	return hold(arg, MYELON_F_LEASE);
}

static inline int play_hold_without(void *arg)
{
	return hold(arg, 0);
}

#define PLAY_MUCH (1ull << 30)

/* One that takes long to die: from the mark to the free lock it is neither. */
static inline int hold_much(struct part *me, int (*then)(void *))
{
	void *much = mmap(NULL, PLAY_MUCH, PROT_READ | PROT_WRITE,
	                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return much == MAP_FAILED ? part_fail("mmap", -errno) : then(me);
}

static inline int play_hold_much(void *arg)
{
	return hold_much(arg, play_hold);
}

static inline void play_need_memory(void)
{
	struct sysinfo info;

	cr_assert_eq(sysinfo(&info), 0);
	if (info.freeram * info.mem_unit < 2 * PLAY_MUCH)
		kit_skip("memory", "2 GiB are not free");
}

/* Producers in a pid namespace of their own, where their ids are others; the inner one is value[2]. */
static inline int hold_elsewhere(struct part *me, int (*then)(void *))
{
	pid_t child;
	int status;

	if (unshare(CLONE_NEWPID) < 0)
		return part_fail("unshare", -errno);
	child = fork();
	if (child == 0)
		_exit(kit_die_with_parent(0) ? then(me) : 2);
	me->page->result[PRODUCER].value[2] = (uint64_t)child;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	for (;;)
		pause();
}

static inline int play_hold_elsewhere(void *arg)
{
	return hold_elsewhere(arg, play_hold);
}

static inline int play_hold_elsewhere_without(void *arg)
{
	return hold_elsewhere(arg, play_hold_without);
}

static inline int play_hold_much_elsewhere(void *arg)
{
	return hold_elsewhere(arg, play_hold_much);
}

static inline int play_try_unshare(void *arg)
{
	(void)arg;
	return unshare(CLONE_NEWPID) < 0 ? 1 : 0;
}

/* Ends the test where that is not allowed. */
static inline void play_need_pidns(void)
{
	struct kit_actor probe;

	cr_assert_eq(kit_fork(&probe, play_try_unshare, NULL), 0);
	if (kit_wait(&probe, 30) != 0)
		kit_skip("pidns", "this process may not make a pid namespace");
}

/* A consumer that waits for a message, and notes what it was told instead. */
static inline int play_read(void *arg)
{
	struct part *me = arg;
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;
	struct myelon_consumer *c;
	struct myelon_view v;
	int rc = myelon_consumer_attach(&c, me->name, WITH(.wait = me->wait));

	if (rc < 0)
		return part_fail("attach", rc);
	part_ready(me);
	rc = myelon_peek(c, 1, MYELON_FOREVER, &v);
	myelon_consumer_stats(c, &s);
	part_note(me, rc, &s);
	myelon_consumer_close(c);
	return 0;
}

/* The same with an observer. */
static inline int play_observe(void *arg)
{
	struct part *me = arg;
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;
	struct myelon_observer *o;
	char slot[64];
	int rc = myelon_observer_attach(&o, me->name, WITH(.wait = me->wait));

	if (rc < 0)
		return part_fail("observe", rc);
	part_ready(me);
	rc = (int)myelon_observe(o, slot, 1, MYELON_FOREVER, NULL, NULL);
	myelon_observer_stats(o, &s);
	part_note(me, rc, &s);
	myelon_observer_close(o);
	return 0;
}

static inline void play_begin(struct play *p)
{
	memset(p, 0, sizeof(*p));
	p->page = kit_page_create();
	cr_assert_not_null(p->page);
}

static inline void play_end(struct play *p)
{
	myelon_gc(NULL, NULL, NULL);
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0, "files are left");
	kit_page_destroy(p->page);
}

/* A new ring, which nobody has made yet. */
static inline void play_ring(struct play *p)
{
	kit_ring_name(p->name, "lease");
	for (unsigned int i = 0; i < PARTS; i++) {
		kit_set(p->page, i, 0);
		kit_set(p->page, ENDED + i, 0);
		memset(&p->page->result[i], 0, sizeof(p->page->result[i]));
	}
	kit_set(p->page, GO, 0);
	p->begun_ns = p->killed_ns = 0;
}

static inline void play_start(struct play *p, unsigned int i, int (*fn)(void *), uint32_t wait)
{
	kit_set(p->page, i, 0);
	p->part[i] = (struct part){.page = p->page, .name = p->name, .wait = wait, .index = i};
	if (i != PRODUCER && !p->begun_ns)
		p->begun_ns = kit_now_ns();
	cr_assert_eq(kit_fork(&p->actor[i], fn, &p->part[i]), 0);
}

static inline void play_over(struct play *p, unsigned int i)
{
	int rc = kit_wait(&p->actor[i], 60);

	cr_assert_eq(rc, 0, "part %u: %d: %s", i, rc, p->actor[i].output);
}

static inline void play_await(struct play *p, unsigned int i)
{
	int64_t deadline = kit_deadline(30);

	while (!kit_await(p->page, i, 1, 0.2)) {
		if (!kit_running(&p->actor[i]))
			play_over(p, i);
		cr_assert_lt(kit_now_ns(), deadline, "part %u does not come", i);
	}
}

static inline void play_rest(int ms)
{
	const struct timespec t = {.tv_nsec = (long)ms * 1000000};

	nanosleep(&t, NULL);
}

static inline int count_parked(void *ctx, const struct myelon_consumer_entry *e)
{
	*(unsigned int *)ctx += e->parked;
	return 0;
}

/* Until that many sleep, or are a few instructions away from it. */
static inline void play_asleep(struct play *p, unsigned int n)
{
	int64_t deadline = kit_deadline(30);
	unsigned int parked = 0;

	for (unsigned int i = 0; i < n; i++)
		play_await(p, i);
	while (parked < n) {
		cr_assert_lt(kit_now_ns(), deadline, "they do not sleep");
		play_rest(1);
		parked = 0;
		cr_ok(myelon_ring_consumers(p->name, NULL, count_parked, &parked));
	}
	play_rest(2);
}

static inline void play_kill(struct play *p, unsigned int i)
{
	p->killed_ns = kit_now_ns();
	cr_assert_eq(kit_kill(&p->actor[i], SIGKILL), 0);
	cr_assert_eq(kit_wait(&p->actor[i], 60), -SIGKILL);
}

static inline void play_kill_elsewhere(struct play *p)
{
	p->killed_ns = kit_now_ns();
	cr_assert_eq(kill((pid_t)p->page->result[PRODUCER].value[2], SIGKILL), 0);
}

/* Could a cap have ended a sleep before the death did? Then nothing is to be learnt from it. */
static inline bool play_slow(const struct play *p)
{
	return p->killed_ns - p->begun_ns > 900 * MS;
}

static inline int play_rc(const struct play *p, unsigned int i)
{
	return -(int)p->page->result[i].value[0];
}

static inline uint64_t play_caps(const struct play *p, unsigned int i)
{
	return p->page->result[i].value[1];
}

static inline unsigned int play_count(unsigned int n)
{
	const char *text = getenv("MYELON_TEST_SCALE");
	double scale = text ? strtod(text, NULL) : 1;

	return scale * n < 1 ? 1 : (unsigned int)(scale * n);
}

/* A producer and those who sleep until it dies. */
struct play_scene {
	int (*producer)(void *);
	uint32_t producer_wait;
	int (*sleeper)(void *);
	uint32_t wait;
	unsigned int sleepers;
	void (*asleep)(struct play *p, unsigned int sleepers); /* returns when they all sleep */
};

/* @return false: it took too long to set the scene. */
static inline bool play_death(struct play *p, const struct play_scene *s)
{
	play_ring(p);
	play_start(p, PRODUCER, s->producer, s->producer_wait);
	play_await(p, PRODUCER);
	for (unsigned int i = 0; i < s->sleepers; i++)
		play_start(p, i, s->sleeper, s->wait);
	s->asleep(p, s->sleepers);
	play_kill(p, PRODUCER);
	for (unsigned int i = 0; i < s->sleepers; i++) {
		play_over(p, i);
		cr_assert_eq(play_rc(p, i), -EOWNERDEAD, "sleeper %u: %d", i, play_rc(p, i));
	}
	if (play_slow(p))
		return false;
	for (unsigned int i = 0; i < s->sleepers; i++)
		cr_assert_eq(play_caps(p, i), 0, "sleeper %u of %u was woken by its cap", i,
		             s->sleepers);
	return true;
}

static inline void play_death_wakes_all(struct play *p, const struct play_scene *s)
{
	for (int i = 0; i < 20; i++)
		if (play_death(p, s))
			return;
	cr_assert_fail("this machine is too slow to set a scene within a second");
}

#endif
