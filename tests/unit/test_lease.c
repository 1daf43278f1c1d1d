/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Lease words inside one process: who owns them, who may write what into them, and how many there can be. */
#include "ring_kit.h"

#include <myelon/keeper.h>
#include <myelon/log.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "liveness/lease.h"
#include "ring/ring.h"
#include "wait/keeper.h"

TestSuite(lease, .timeout = 120);

static uint32_t *word_of(struct myelon_producer *p)
{
	return &mye_producer_of(p)->seg.shared->lease.lease[MYE_LEASE_PRODUCER];
}

static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

static enum mye_lease_state state(struct myelon_producer *p)
{
	return mye_lease_look(&mye_producer_of(p)->seg, MYE_LEASE_PRODUCER);
}

static struct myelon_keeper_info keeper_info(void)
{
	struct myelon_keeper_info info = {.size = sizeof(info)};

	cr_ok(myelon_keeper_info(&info));
	return info;
}

static void run(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, fn, arg), 0);
	cr_assert_eq(pthread_join(thread, NULL), 0);
}

/* ---- the owner ---- */

Test(lease, belongs_to_the_keeper_and_goes_with_the_handle)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.flags = MYELON_F_LEASE));

	cr_assert_eq(load(word_of(p)), keeper_info().tid);
	cr_assert_eq(keeper_info().leases, 1);
	cr_assert_eq(state(p), MYE_LEASE_HELD);
	myelon_producer_close(p);
	cr_assert_eq(keeper_info().leases, 0);
	cr_assert_eq(keeper_info().running, 0, "the keeper is not needed any more");
}

Test(lease, is_only_taken_when_asked_for)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, RING(64, 4));

	cr_assert_eq(state(p), MYE_LEASE_NONE);
	cr_assert_eq(keeper_info().running, 0);
	myelon_producer_close(p);
}

struct made {
	char name[KIT_NAME];
	struct myelon_producer *p;
};

static void *make_in_thread(void *arg)
{
	struct made *m = arg;

	m->p = ring_make(m->name, SMALL(.flags = MYELON_F_LEASE));
	return NULL;
}

static void *close_in_thread(void *arg)
{
	myelon_producer_close(((struct made *)arg)->p);
	return NULL;
}

Test(lease, survives_the_thread_that_made_the_ring_and_is_closed_by_another)
{
	struct myelon_consumer *c;
	struct myelon_view v;

	for (int i = 0; i < 20; i++) {
		struct made m, other;

		run(make_in_thread, &m);
		run(make_in_thread, &other);
		cr_assert_eq(state(m.p), MYE_LEASE_HELD);
		c = ring_join(m.name, NULL);
		run(close_in_thread, &m);
		cr_assert_eq(myelon_peek(c, 1, kit_deadline(30), &v), -EPIPE);
		cr_assert_eq(load(&mye_consumer_of(c)->seg.shared->lease.lease[0]), 0);
		myelon_consumer_close(c);
		/* The list is whole: the neighbour is still in it, and can leave it. */
		cr_assert_eq(state(other.p), MYE_LEASE_HELD);
		myelon_producer_close(other.p);
	}
}

Test(lease, child_of_fork_neither_has_nor_ends_it)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.flags = MYELON_F_LEASE));
	uint32_t before = load(word_of(p));
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct myelon_producer *own;
		char own_name[KIT_NAME];
		int rc;

		myelon_producer_close(p);
		kit_ring_name(own_name, "child");
		rc = myelon_producer_create(&own, own_name, SMALL(.flags = MYELON_F_LEASE));
		if (rc == 0 && state(own) != MYE_LEASE_HELD)
			rc = -ENOLCK;
		if (rc == 0)
			myelon_producer_close(own);
		_exit(rc == 0 ? 0 : 1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	child = fork();
	if (child == 0) {
		raise(SIGKILL);
		_exit(1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(load(word_of(p)), before);
	cr_ok(ring_push(p, 1));
	myelon_producer_close(p);
}

/* ---- takeover ---- */

struct sleeper {
	uint32_t *word;
	uint32_t value;
	uint32_t asleep;
	int rc;
};

static void *sleep_on_word(void *arg)
{
	struct sleeper *s = arg;

	store(&s->asleep, mye_tid());
	s->rc = mye_futex_wait(s->word, s->value, kit_deadline(30));
	return NULL;
}

static void rest(int ms)
{
	const struct timespec t = {.tv_nsec = (long)ms * MS};

	nanosleep(&t, NULL);
}

/* Who slept on the old word, whatever it was, sleeps on it no more. */
static void takeover_over(uint32_t left, uint32_t flags)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.flags = MYELON_F_KEEP));
	struct myelon_consumer *c = ring_join(name, NULL);
	struct sleeper s = {.word = &mye_consumer_of(c)->seg.shared->lease.lease[0], .value = left};
	pthread_t thread;

	myelon_producer_close(p);
	store(s.word, left);
	cr_assert_eq(pthread_create(&thread, NULL, sleep_on_word, &s), 0);
	while (!load(&s.asleep))
		rest(1);
	rest(5);
	cr_ok(myelon_producer_open(&p, name, &MYELON_OPEN_OPTS(.flags = flags)));
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_assert(s.rc == 0 || s.rc == -EAGAIN, "%d", s.rc);
	cr_assert_eq(state(p), flags ? MYE_LEASE_HELD : MYE_LEASE_NONE);
	myelon_consumer_close(c);
	myelon_producer_close(p);
	cr_ok(myelon_ring_remove(name, NULL));
}

Test(lease, takeover_wakes_who_sleeps_on_the_old_word)
{
	const uint32_t left[] = {12345, 12345 | MYE_ROBUST_WAITERS,
	                         MYE_ROBUST_DIED | MYE_ROBUST_WAITERS, MYE_ROBUST_DIED};

	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		takeover_over(left[i], MYELON_F_LEASE);
		takeover_over(left[i], 0);
	}
}

/* ---- how many ---- */

#define WORD_STEP 16 /* bytes: as much as an entry takes */

/* Words with room for their entries, MYE_ROBUST_DISTANCE before them. */
static uint32_t *make_words(uint32_t n)
{
	size_t bytes = MYE_ROBUST_DISTANCE + (size_t)n * WORD_STEP;
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(at, MAP_FAILED);
	return (uint32_t *)(void *)(at + MYE_ROBUST_DISTANCE);
}

static uint32_t *nth(uint32_t *words, uint32_t i)
{
	return words + i * (WORD_STEP / sizeof(uint32_t));
}

struct crowd {
	uint32_t *words;
	uint32_t n;
	int last;
	uint32_t tid;
};

static void *own_all_and_end(void *arg)
{
	struct crowd *c = arg;

	c->last = mye_robust_install();
	c->tid = mye_tid();
	for (uint32_t i = 0; c->last == 0 && i < c->n; i++)
		c->last = mye_robust_own(nth(c->words, i));
	/* Every third is given back, from the middle of the list. */
	for (uint32_t i = 0; i < MYE_ROBUST_MAX; i += 3)
		mye_robust_disown(nth(c->words, i));
	return NULL;
}

Test(lease, two_thousand_are_marked_by_the_kernel_and_one_more_is_refused)
{
	struct crowd c = {.n = MYE_ROBUST_MAX + 1, .words = make_words(MYE_ROBUST_MAX + 1)};

	run(own_all_and_end, &c);
	cr_assert_eq(c.last, -ENOSPC);
	for (uint32_t i = 0; i < MYE_ROBUST_MAX; i++)
		cr_assert_eq(load(nth(c.words, i)), i % 3 ? MYE_ROBUST_DIED : 0, "word %u", i);
	cr_assert_eq(load(nth(c.words, MYE_ROBUST_MAX)), 0);
}

static int own_many(void *arg)
{
	uint32_t *words = arg;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < MYE_ROBUST_MAX; i++)
		rc = mye_robust_own(nth(words, i));
	return rc;
}

static char warned[256];

static void keep_warning(void *ctx, enum myelon_log_level level, const char *text)
{
	(void)ctx;
	(void)level;
	snprintf(warned, sizeof(warned), "%s", text);
}

Test(lease, ring_is_made_without_one_when_there_are_too_many)
{
	char name[KIT_NAME];
	struct myelon_producer *p;

	myelon_set_log(keep_warning, NULL);
	cr_ok(mye_keeper_hold());
	cr_ok(mye_keeper_call(own_many, make_words(MYE_ROBUST_MAX)));
	p = ring_make(name, SMALL(.flags = MYELON_F_LEASE));
	cr_assert_eq(state(p), MYE_LEASE_NONE);
	cr_assert_not_null(strstr(warned, "2000"), "%s", warned);
	myelon_producer_close(p);
	mye_keeper_drop();
	myelon_set_log(NULL, NULL);
}

Test(lease, ring_is_made_without_one_when_the_application_drives_the_keeper)
{
	char name[KIT_NAME];
	struct myelon_producer *p;

	if (myelon_keeper_fd() < 0)
		kit_skip("keeper", "it cannot be driven here");
	myelon_set_log(keep_warning, NULL);
	p = ring_make(name, SMALL(.flags = MYELON_F_LEASE));
	cr_assert_eq(state(p), MYE_LEASE_NONE);
	cr_assert_not_null(strstr(warned, "drives the keeper"), "%s", warned);
	myelon_producer_close(p);
	myelon_set_log(NULL, NULL);
}

/* ---- words that say anything ---- */

static const uint32_t lies[] = {
	1,
	1 | MYE_ROBUST_WAITERS,
	MYE_ROBUST_WAITERS,
	MYE_ROBUST_DIED,
	MYE_ROBUST_DIED | MYE_ROBUST_WAITERS | 77,
	MYE_ROBUST_TID,
	UINT32_MAX,
};

#define LIES (sizeof(lies) / sizeof(lies[0]))

static struct myelon_handle_stats stats_of(struct myelon_consumer *c)
{
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;

	cr_ok(myelon_consumer_stats(c, &s));
	return s;
}

struct late {
	struct myelon_producer *p;
	int rc;
};

static void *publish_late(void *arg)
{
	struct late *l = arg;
	struct myelon_span s;

	rest(20);
	l->rc = myelon_claim(l->p, 1, MYELON_TRY, &s);
	if (l->rc == 0) {
		kit_fill(s.base, 64, RING_SEED, (uint64_t)s.seq);
		l->rc = myelon_publish(l->p, 1);
	}
	return NULL;
}

Test(lease, word_that_lies_makes_nobody_dead_busy_or_deaf)
{
	for (size_t i = 0; i < LIES; i++) {
		char name[KIT_NAME];
		struct myelon_producer *p = ring_make(name, RING(64, 4));
		struct myelon_consumer *c = ring_join(name, WITH(.wait = MYELON_WAIT_PARK));
		struct late late = {.p = p};
		struct myelon_view v;
		pthread_t thread;

		store(word_of(p), lies[i]);
		cr_assert_eq(myelon_peek(c, 1, myelon_deadline_after(500 * MS), &v), -ETIMEDOUT,
		             "lie %zu: %s", i, myelon_last_error());
		/* 50, 100, 200 us .. 20 ms, then 20 ms each: half a second takes about 34. */
		cr_assert_leq(stats_of(c).parks, 40, "lie %zu", i);
		cr_assert_eq(pthread_create(&thread, NULL, publish_late, &late), 0);
		cr_assert_eq(myelon_peek(c, 1, kit_deadline(30), &v), 1, "lie %zu", i);
		cr_assert_eq(pthread_join(thread, NULL), 0);
		cr_ok(late.rc);
		cr_ok(myelon_release(c, 1));
		cr_assert_eq(stats_of(c).caps, 0);
		ring_close(p, c);
	}
}

static int die_with_a_lie(void *arg)
{
	struct made *m = arg;
	int rc = myelon_producer_create(&m->p, m->name, RING(64, 4));

	return rc < 0 ? 1 : 0;
}

Test(lease, death_is_found_behind_a_word_that_lies)
{
	for (size_t i = 0; i < LIES; i++) {
		struct made m = {.p = NULL};
		struct kit_actor dead;
		struct myelon_consumer *c;
		struct myelon_view v;

		kit_ring_name(m.name, "liar");
		cr_assert_eq(kit_fork(&dead, die_with_a_lie, &m), 0);
		cr_assert_eq(kit_wait(&dead, 30), 0);
		c = ring_join(m.name, WITH(.wait = MYELON_WAIT_PARK));
		store(&mye_consumer_of(c)->seg.shared->lease.lease[0], lies[i]);
		cr_assert_eq(myelon_peek(c, 1, kit_deadline(30), &v), -EOWNERDEAD, "lie %zu", i);
		myelon_consumer_close(c);
		myelon_gc(NULL, NULL, NULL);
	}
}

Test(lease, word_that_is_not_somebody_s_gets_no_bit)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, RING(64, 4));
	struct mye_segment *seg = &mye_producer_of(p)->seg;
	const uint32_t none[] = {0, MYE_ROBUST_WAITERS, MYE_ROBUST_DIED, MYE_ROBUST_DIED | 5};

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		store(word_of(p), none[i]);
		cr_assert_eq(mye_lease_watch(seg, MYE_LEASE_PRODUCER), none[i]);
		cr_assert_eq(load(word_of(p)), none[i]);
	}
	store(word_of(p), 5);
	cr_assert_eq(mye_lease_watch(seg, MYE_LEASE_PRODUCER), 5 | MYE_ROBUST_WAITERS);
	cr_assert_eq(load(word_of(p)), 5 | MYE_ROBUST_WAITERS);
	myelon_producer_close(p);
}

/* A word that is somebody else's by now is not cleared by who leaves. */
Test(lease, release_leaves_what_is_not_its_own)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.flags = MYELON_F_LEASE));
	struct myelon_consumer *c = ring_join(name, NULL);
	uint32_t *word = &mye_consumer_of(c)->seg.shared->lease.lease[0];
	uint32_t other = (load(word) ^ 1) & MYE_ROBUST_TID;

	store(word, other);
	myelon_producer_close(p);
	cr_assert_eq(load(word), other);
	myelon_consumer_close(c);
}
