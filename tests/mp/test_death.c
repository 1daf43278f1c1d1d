/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Death of a producer that has no lease: its process is watched by whoever sleeps for long, so no sleep of
 * theirs lasts until its cap. Never judged by the clock: the caps are counted, and a sleep counts as one
 * that lasts when its process has the io_uring of the watch.
 */
#include "lease_cast.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/syscall.h>

#define THREADS 64

static struct play p;

static int try_uring(void *arg)
{
	char params[120] = {0};

	(void)arg;
	return syscall(SYS_io_uring_setup, 1, params) < 0 ||
	       syscall(SYS_futex_waitv, 0, 1, 0) == 0 || errno == ENOSYS;
}

static void begin(void)
{
	struct kit_actor probe;

	play_begin(&p);
	cr_assert_eq(kit_fork(&probe, try_uring, NULL), 0);
	if (kit_wait(&probe, 30) != 0)
		kit_skip("uring", "io_uring or futex_waitv is denied, or not there");
}

static void end(void)
{
	play_end(&p);
}

TestSuite(death, .init = begin, .fini = end, .timeout = 180);

/* How many watches a process has. */
static int watches_of(pid_t pid)
{
	char dir[64], link[400], what[64];
	struct dirent *e;
	int n = 0;
	DIR *d;

	snprintf(dir, sizeof(dir), "/proc/%d/fd", (int)pid);
	d = opendir(dir);
	while (d && (e = readdir(d))) {
		ssize_t bytes;

		snprintf(link, sizeof(link), "%s/%s", dir, e->d_name);
		bytes = readlink(link, what, sizeof(what) - 1);
		n += bytes > 0 && !strncmp(what, "anon_inode:[io_uring]", (size_t)bytes);
	}
	if (d)
		closedir(d);
	return n;
}

static void await_watches(unsigned int i, int n)
{
	int64_t deadline = kit_deadline(30);

	while (watches_of(p.actor[i].pid) != n) {
		if (!kit_running(&p.actor[i]))
			play_over(&p, i);
		cr_assert_lt(kit_now_ns(), deadline, "part %u watches nobody", i);
		play_rest(1);
	}
	/* The sleep follows. */
	play_rest(2);
}

static void start_producer(int (*fn)(void *))
{
	play_start(&p, PRODUCER, fn, 0);
	play_await(&p, PRODUCER);
}

static void all_watch(struct play *play, unsigned int readers)
{
	(void)play;
	for (unsigned int i = 0; i < readers; i++)
		await_watches(i, 1);
}

static void wakes_all(int (*reader)(void *), uint32_t wait, unsigned int readers)
{
	play_death_wakes_all(
		&p, &(struct play_scene){play_hold_without, 0, reader, wait, readers, all_watch});
}

Test(death, wakes_every_parked_consumer_at_once)
{
	wakes_all(play_read, MYELON_WAIT_PARK, 1);
	wakes_all(play_read, MYELON_WAIT_PARK, 4);
	wakes_all(play_read, MYELON_WAIT_ADAPTIVE, 2);
}

Test(death, wakes_observers_too)
{
	wakes_all(play_observe, MYELON_WAIT_PARK, 1);
	wakes_all(play_observe, MYELON_WAIT_ADAPTIVE, 2);
}

/* What the others are compared with: that they count the cap at all. */
static int read_without_uring(void *arg)
{
	return kit_deny(SYS_io_uring_setup, EPERM) < 0 ? 3 : play_read(arg);
}

Test(death, is_found_by_the_cap_where_io_uring_is_denied)
{
	play_ring(&p);
	start_producer(play_hold_without);
	play_start(&p, 0, read_without_uring, MYELON_WAIT_PARK);
	play_asleep(&p, 1);
	/* Behind the first part of its sleep, which would find it. */
	play_rest(300);
	play_asleep(&p, 1);
	play_kill(&p, PRODUCER);
	play_over(&p, 0);
	cr_assert_eq(play_rc(&p, 0), -EOWNERDEAD);
	cr_assert_geq(play_caps(&p, 0), 1);
}

Test(death, before_the_attach_is_told_without_a_sleep)
{
	play_ring(&p);
	start_producer(play_hold_without);
	/* The ring outlives them all. */
	play_kill(&p, PRODUCER);
	for (unsigned int i = 0; i < 2; i++) {
		play_start(&p, i, i ? play_observe : play_read, MYELON_WAIT_PARK);
		play_over(&p, i);
		cr_assert_eq(play_rc(&p, i), -EOWNERDEAD);
		cr_assert_eq(p.page->result[i].count, 0, "it slept first");
	}
}

/* A watch that was asked once, and whose process does something else then. */
static int watch_and_forget(void *arg)
{
	struct part *me = arg;
	struct myelon_peers *w;
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;
	int rc = myelon_peers_open(&w, me->name, NULL);

	while (rc == 0)
		rc = myelon_peers_next(w, &e, MYELON_TRY);
	if (rc != -EAGAIN)
		return part_fail("watch", rc);
	part_ready(me);
	for (;;)
		pause();
}

/* The kernel wakes one who sleeps on a lease, and that one does not pass it on. */
static bool heard_beside_a_watch(void)
{
	play_ring(&p);
	start_producer(play_hold);
	play_start(&p, 2, watch_and_forget, 0);
	play_await(&p, 2);
	p.begun_ns = 0;
	for (unsigned int i = 0; i < 2; i++)
		play_start(&p, i, play_read, MYELON_WAIT_PARK);
	for (unsigned int i = 0; i < 2; i++)
		await_watches(i, 1);
	play_kill(&p, PRODUCER);
	for (unsigned int i = 0; i < 2; i++) {
		play_over(&p, i);
		cr_assert_eq(play_rc(&p, i), -EOWNERDEAD, "reader %u: %d", i, play_rc(&p, i));
	}
	kit_kill(&p.actor[2], SIGKILL);
	kit_wait(&p.actor[2], 30);
	if (play_slow(&p))
		return false;
	cr_assert_eq(play_caps(&p, 0) + play_caps(&p, 1), 0, "woken by the cap");
	return true;
}

Test(death, of_a_producer_with_a_lease_is_heard_of_though_a_watch_had_the_only_wake)
{
	for (int i = 0; i < 20; i++)
		if (heard_beside_a_watch())
			return;
	cr_assert_fail("this machine is too slow to set a scene within a second");
}

/* ---- one producer after the other ---- */

/* A reader that goes on with the next producer; told of two deaths. */
static int follow(void *arg)
{
	struct part *me = arg;
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;
	struct myelon_consumer *c;
	struct myelon_view v;
	uint64_t caps;
	int rc = myelon_consumer_attach(&c, me->name, WITH(.wait = me->wait));

	for (uint32_t i = 1; rc == 0 && i <= 2; i++) {
		part_ready(me);
		rc = myelon_peek(c, 1, MYELON_FOREVER, &v);
		/* Those of waiting for somebody are no matter here. */
		caps = s.caps;
		myelon_consumer_stats(c, &s);
		me->page->result[me->index].value[2] += s.caps - caps;
		kit_set(me->page, ENDED + me->index, i);
		if (rc == -EOWNERDEAD && i == 1)
			rc = myelon_consumer_wait_producer(c, MYELON_FOREVER);
		myelon_consumer_stats(c, &s);
	}
	part_note(me, rc, &s);
	myelon_consumer_close(c);
	return 0;
}

static int take_over(void *arg)
{
	struct part *me = arg;
	struct myelon_producer *producer;
	int rc = myelon_producer_open(&producer, me->name, NULL);

	if (rc < 0)
		return part_fail("open", rc);
	part_ready(me);
	for (;;)
		pause();
}

static bool two_deaths(void)
{
	int64_t slept;

	play_ring(&p);
	start_producer(play_hold_without);
	play_start(&p, 0, follow, MYELON_WAIT_PARK);
	await_watches(0, 1);
	play_kill(&p, PRODUCER);
	slept = p.killed_ns - p.begun_ns;
	cr_assert(kit_await(p.page, ENDED, 1, 30));
	await_watches(0, 0);
	start_producer(take_over);
	p.begun_ns = kit_now_ns();
	await_watches(0, 1);
	play_kill(&p, PRODUCER);
	play_over(&p, 0);
	cr_assert_eq(play_rc(&p, 0), -EOWNERDEAD);
	if (play_slow(&p) || slept > 900 * MS)
		return false;
	cr_assert_eq(p.page->result[0].value[2], 0, "woken by the cap");
	return true;
}

Test(death, of_the_next_producer_is_heard_of_too)
{
	for (int i = 0; i < 20; i++)
		if (two_deaths())
			return;
	cr_assert_fail("this machine is too slow to set a scene within a second");
}

/* Closes the ring, and ends when its reader has heard of that. */
static int close_and_linger(void *arg)
{
	struct part *me = arg;
	struct myelon_producer *producer;
	int rc = myelon_producer_create(&producer, me->name, SMALL(.flags = MYELON_F_KEEP));

	if (rc < 0)
		return part_fail("create", rc);
	part_ready(me);
	if (!kit_await(me->page, GO, 1, 60))
		return 3;
	myelon_producer_close(producer);
	return kit_await(me->page, GO, 2, 60) ? 0 : 3;
}

/* Sleeps under one producer for long, then for half a second under the next. */
static int sleep_under_two(void *arg)
{
	struct part *me = arg;
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;
	struct myelon_consumer *c;
	struct myelon_view v;
	uint64_t parks;
	int rc = myelon_consumer_attach(&c, me->name, WITH(.wait = me->wait));

	if (rc == 0)
		rc = myelon_peek(c, 1, MYELON_FOREVER, &v);
	if (rc != -EPIPE)
		return part_fail("peek", rc);
	part_ready(me);
	rc = myelon_consumer_wait_producer(c, MYELON_FOREVER);
	myelon_consumer_stats(c, &s);
	parks = s.parks;
	if (rc == 0)
		rc = myelon_peek(c, 1, myelon_deadline_after(500 * MS), &v);
	myelon_consumer_stats(c, &s);
	s.parks -= parks;
	part_note(me, rc, &s);
	myelon_consumer_close(c);
	return 0;
}

Test(death, of_a_predecessor_that_had_closed_is_not_that_of_its_successor)
{
	play_ring(&p);
	start_producer(close_and_linger);
	play_start(&p, 0, sleep_under_two, MYELON_WAIT_PARK);
	await_watches(0, 1);
	kit_set(p.page, GO, 1);
	play_await(&p, 0);
	kit_set(p.page, GO, 2);
	play_over(&p, PRODUCER);
	start_producer(take_over);
	play_over(&p, 0);
	cr_assert_eq(play_rc(&p, 0), -ETIMEDOUT);
	cr_assert_leq(p.page->result[0].count, 8, "its lock is asked for again and again");
	play_kill(&p, PRODUCER);
	cr_ok(myelon_ring_remove(p.name, NULL));
}

static int wait_for_producer(void *arg)
{
	struct part *me = arg;
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;
	struct myelon_consumer *c;
	struct myelon_view v;
	int rc = myelon_consumer_attach(&c, me->name, WITH(.wait = me->wait));

	if (rc < 0 || myelon_peek(c, 1, MYELON_TRY, &v) != -EOWNERDEAD)
		return part_fail("attach", rc);
	part_ready(me);
	rc = myelon_consumer_wait_producer(c, MYELON_FOREVER);
	myelon_consumer_stats(c, &s);
	part_note(me, rc, &s);
	myelon_consumer_close(c);
	return 0;
}

static bool wait_ends_at_once(void)
{
	play_ring(&p);
	start_producer(play_hold_without);
	play_kill(&p, PRODUCER);
	play_start(&p, 0, wait_for_producer, MYELON_WAIT_PARK);
	play_asleep(&p, 1);
	start_producer(take_over);
	play_over(&p, 0);
	/* Whatever happened until here happened behind the end of the wait. */
	p.killed_ns = kit_now_ns();
	play_kill(&p, PRODUCER);
	cr_assert_eq(play_rc(&p, 0), 0);
	if (play_slow(&p))
		return false;
	cr_assert_eq(play_caps(&p, 0), 0, "woken by the cap");
	return true;
}

Test(death, wait_for_the_next_producer_ends_when_it_comes)
{
	for (int i = 0; i < 20; i++)
		if (wait_ends_at_once())
			return;
	cr_assert_fail("this machine is too slow to set a scene within a second");
}

/* ---- no death ---- */

static int read_in_pieces(void *arg)
{
	struct part *me = arg;
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;
	struct myelon_consumer *c;
	struct myelon_view v;
	int rc = myelon_consumer_attach(&c, me->name, WITH(.wait = me->wait));

	if (rc < 0)
		return part_fail("attach", rc);
	part_ready(me);
	do {
		rc = myelon_peek(c, 1, myelon_deadline_after(100 * MS), &v);
		kit_set(me->page, ENDED + me->index, me->page->word[ENDED + me->index] + 1);
	} while (rc == -ETIMEDOUT);
	myelon_consumer_stats(c, &s);
	part_note(me, rc, &s);
	myelon_consumer_close(c);
	return 0;
}

Test(death, stopped_producer_is_not_dead)
{
	play_ring(&p);
	start_producer(play_hold_without);
	play_start(&p, 0, read_in_pieces, MYELON_WAIT_PARK);
	await_watches(0, 1);
	cr_assert_eq(kit_kill(&p.actor[PRODUCER], SIGSTOP), 0);
	cr_assert(kit_await(p.page, ENDED, p.page->word[ENDED] + 4, 30));
	cr_assert(kit_running(&p.actor[0]), "it was told: %d", play_rc(&p, 0));
	cr_assert_eq(watches_of(p.actor[0].pid), 1);
	play_kill(&p, PRODUCER);
	play_over(&p, 0);
	cr_assert_eq(play_rc(&p, 0), -EOWNERDEAD);
}

Test(death, is_found_by_the_cap_where_the_process_cannot_be_seen)
{
	play_need_pidns();
	play_ring(&p);
	start_producer(play_hold_elsewhere_without);
	play_start(&p, 0, play_read, MYELON_WAIT_PARK);
	play_asleep(&p, 1);
	play_rest(300);
	play_asleep(&p, 1);
	play_kill_elsewhere(&p);
	play_over(&p, 0);
	cr_assert_eq(play_rc(&p, 0), -EOWNERDEAD);
	cr_assert_geq(play_caps(&p, 0), 1);
	play_kill(&p, PRODUCER);
}

/* ---- threads ---- */

struct crowd {
	struct part *me;
	struct myelon_consumer *c[THREADS];
	int rc[THREADS];
	unsigned int next;
};

static void *read_one(void *arg)
{
	struct crowd *crowd = arg;
	unsigned int i = __atomic_fetch_add(&crowd->next, 1, __ATOMIC_RELAXED);
	struct myelon_view v;

	crowd->rc[i] = myelon_peek(crowd->c[i], 1, MYELON_FOREVER, &v);
	return NULL;
}

/* Many sleepers in one process. */
static int crowd_reads(void *arg)
{
	struct crowd crowd = {.me = arg};
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT, one = MYELON_HANDLE_STATS_INIT;
	pthread_t thread[THREADS];
	int fds = kit_open_fds(), rc = -EOWNERDEAD;

	for (int i = 0; i < THREADS; i++)
		if (myelon_consumer_attach(&crowd.c[i], crowd.me->name,
		                           WITH(.wait = crowd.me->wait)) < 0)
			return part_fail("attach", 0);
	part_ready(crowd.me);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, read_one, &crowd))
			return 4;
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < THREADS; i++) {
		if (crowd.rc[i] != -EOWNERDEAD)
			rc = crowd.rc[i];
		myelon_consumer_stats(crowd.c[i], &one);
		s.caps += one.caps;
		myelon_consumer_close(crowd.c[i]);
	}
	part_note(crowd.me, rc, &s);
	return kit_open_fds() != fds;
}

static int hold_for_many(void *arg)
{
	struct part *me = arg;
	struct myelon_producer *producer;
	int rc = myelon_producer_create(&producer, me->name, SMALL(.max_consumers = THREADS));

	if (rc < 0)
		return part_fail("create", rc);
	part_ready(me);
	for (;;)
		pause();
}

static bool crowd_hears_of_it(void)
{
	play_ring(&p);
	start_producer(hold_for_many);
	play_start(&p, 0, crowd_reads, MYELON_WAIT_PARK);
	play_await(&p, 0);
	p.begun_ns = kit_now_ns();
	await_watches(0, THREADS);
	play_kill(&p, PRODUCER);
	play_over(&p, 0);
	cr_assert_eq(play_rc(&p, 0), -EOWNERDEAD);
	if (play_slow(&p))
		return false;
	cr_assert_eq(play_caps(&p, 0), 0, "%d caps", (int)play_caps(&p, 0));
	return true;
}

Test(death, wakes_64_sleepers_of_one_process)
{
	for (int i = 0; i < 20; i++)
		if (crowd_hears_of_it())
			return;
	cr_assert_fail("this machine is too slow to set a scene within a second");
}

static void *read_until_interrupt(void *arg)
{
	struct myelon_view v;

	return (void *)(intptr_t)myelon_peek(arg, 1, MYELON_FOREVER, &v);
}

/* One thread sleeps for long and ends, then another has the handle. */
static int read_in_two_threads(void *arg)
{
	struct part *me = arg;
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;
	struct myelon_consumer *c;
	pthread_t thread;
	void *rc;

	if (myelon_consumer_attach(&c, me->name, WITH(.wait = me->wait)) < 0)
		return part_fail("attach", 0);
	part_ready(me);
	for (int i = 0; i < 2; i++) {
		if (pthread_create(&thread, NULL, read_until_interrupt, c))
			return 4;
		if (i == 0 && kit_await(me->page, GO, 1, 60))
			myelon_consumer_interrupt(c);
		pthread_join(thread, &rc);
		if (i == 0 && (intptr_t)rc != -ECANCELED)
			return 5;
		kit_set(me->page, ENDED + me->index, 1);
	}
	myelon_consumer_stats(c, &s);
	part_note(me, (int)(intptr_t)rc, &s);
	myelon_consumer_close(c);
	return 0;
}

static bool second_thread_hears_of_it(void)
{
	play_ring(&p);
	start_producer(play_hold_without);
	play_start(&p, 0, read_in_two_threads, MYELON_WAIT_PARK);
	await_watches(0, 1);
	kit_set(p.page, GO, 1);
	cr_assert(kit_await(p.page, ENDED, 1, 30));
	play_asleep(&p, 1);
	play_rest(20);
	await_watches(0, 1);
	play_kill(&p, PRODUCER);
	play_over(&p, 0);
	cr_assert_eq(play_rc(&p, 0), -EOWNERDEAD);
	if (play_slow(&p))
		return false;
	cr_assert_eq(play_caps(&p, 0), 0, "woken by the cap");
	return true;
}

Test(death, is_heard_of_by_the_thread_that_has_the_handle_now)
{
	for (int i = 0; i < 20; i++)
		if (second_thread_hears_of_it())
			return;
	cr_assert_fail("this machine is too slow to set a scene within a second");
}
