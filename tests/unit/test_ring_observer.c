/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Observers: copies, never gates, counts exactly what it missed. */
#include "ring_kit.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOT 64

static struct myelon_observer *observe(const char *name, const struct myelon_attach_opts *opts)
{
	struct myelon_observer *o = NULL;
	int rc = myelon_observer_attach(&o, name, opts);

	cr_assert(rc == 0 && o, "attach: %d: %s", rc, myelon_last_error());
	return o;
}

/* What an observer got and missed, checked slot by slot. */
struct seen {
	int64_t next; /* after the last sequence accounted for */
	uint64_t got;
	uint64_t lost;
};

/* One call; @return as myelon_observe(). */
static int look(struct myelon_observer *o, struct seen *s, uint32_t max)
{
	static unsigned char buf[128 * SLOT];
	uint64_t lost = 99;
	int64_t seq = -99;
	int n = myelon_observe(o, buf, max, MYELON_TRY, &seq, &lost);

	s->lost += lost;
	s->next += (int64_t)lost;
	if (n < 0)
		return n;
	cr_assert_gt(n, 0);
	cr_assert_leq((uint32_t)n, max);
	cr_assert_eq(seq, s->next, "delivered and lost must add up");
	for (int i = 0; i < n; i++)
		cr_assert_eq(kit_check(buf + (size_t)i * SLOT, SLOT, RING_SEED, (uint64_t)seq + i),
		             -1);
	s->got += (uint64_t)n;
	s->next += n;
	return n;
}

static uint64_t total_lost(struct myelon_observer *o)
{
	struct myelon_handle_stats st = MYELON_HANDLE_STATS_INIT;

	cr_ok(myelon_observer_stats(o, &st));
	cr_assert_eq(st.caps_found, 0);
	return st.lost;
}

Test(observer, delivered_and_lost_add_up_to_what_was_published)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, RING(SLOT, 64));
	struct myelon_consumer *c = ring_join(name, NULL);
	struct myelon_observer *o = observe(name, NULL);
	struct seen s = {0};
	int64_t out = 0;
	int rc;

	srand(11);
	while (out < 30000) {
		uint32_t n = 1 + (uint32_t)rand() % 64;

		cr_ok(ring_push(p, n));
		ring_pull(c, out, n);
		out += n;
		if (rand() % 4 == 0)
			look(o, &s, 1 + (uint32_t)rand() % 128);
	}
	while ((rc = look(o, &s, 7)) > 0)
		;
	cr_assert_eq(rc, -EAGAIN);
	cr_assert_eq(s.got + s.lost, (uint64_t)out);
	cr_assert_gt(s.lost, 0, "this one was overtaken");
	cr_assert_gt(s.got, 0);
	cr_assert_eq(total_lost(o), s.lost);
	myelon_observer_close(o);
	ring_close(p, c);
}

/* Stay @lag behind a producer that publishes one by one and a reader at its heels. */
static uint64_t lost_at_lag(uint32_t window, uint32_t lag, uint32_t batch)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, RING(SLOT, window));
	struct myelon_consumer *c = ring_join(name, NULL);
	struct myelon_observer *o = observe(name, NULL);
	struct seen s = {0};
	int64_t out = 0;

	while (out < 2000) {
		cr_ok(ring_push(p, batch));
		ring_pull(c, out, batch);
		out += batch;
		while (out - s.next > (int64_t)lag - (int64_t)batch)
			cr_assert_gt(look(o, &s, 1), 0);
	}
	myelon_observer_close(o);
	ring_close(p, c);
	return s.lost;
}

Test(observer, three_quarters_behind_loses_nothing)
{
	cr_assert_eq(lost_at_lag(64, 48, 1), 0);
	cr_assert_eq(lost_at_lag(64, 48, 8), 0);
	cr_assert_eq(lost_at_lag(128, 96, 1), 0);
}

Test(observer, loses_nothing_up_to_the_documented_bound)
{
	cr_assert_eq(lost_at_lag(64, 64 - 8 - 1, 1), 0);
	cr_assert_eq(lost_at_lag(64, 64 - 16 - 1, 16), 0);
}

Test(observer, does_not_gate)
{
	char name[KIT_NAME];
	struct myelon_producer *p =
		ring_make(name, SMALL(.unattended = MYELON_UNATTENDED_OVERWRITE));
	struct myelon_observer *o = observe(name, NULL);
	struct seen s = {0};

	for (int i = 0; i < 1000; i++)
		cr_ok(ring_push(p, 1));
	cr_assert_eq(myelon_producer_minimum(p), 999);
	while (look(o, &s, 3) > 0)
		;
	cr_assert_eq(s.got + s.lost, 1000);
	myelon_observer_close(o);
	ring_close(p, NULL);
}

Test(observer, starts_at_latest_or_oldest)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_observer *o, *old;
	struct seen s = {.next = 5}, all = {0};

	cr_ok(ring_push(p, 5));
	o = observe(name, WITH(.start = MYELON_START_LATEST));
	old = observe(name, WITH(.start = MYELON_START_OLDEST));
	cr_assert_eq(look(o, &s, 128), -EAGAIN);
	cr_ok(ring_push(p, 3));
	cr_assert_eq(look(o, &s, 128), 3);
	cr_assert_eq(look(old, &all, 128), 8);
	cr_assert_eq(all.lost, 0);
	myelon_observer_close(o);
	myelon_observer_close(old);
	ring_close(p, NULL);
}

Test(observer, wrong_arguments_are_refused)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_observer *o = observe(name, NULL);
	unsigned char buf[SLOT];
	int64_t deadline = myelon_deadline_after(5 * MS);

	cr_assert_eq(myelon_observe(o, buf, 0, MYELON_TRY, NULL, NULL), -EINVAL);
	cr_assert_eq(myelon_observe(o, NULL, 1, MYELON_TRY, NULL, NULL), -EINVAL);
	cr_assert_eq(myelon_observe(o, buf, 1, MYELON_TRY, NULL, NULL), -EAGAIN);
	cr_assert_eq(myelon_observe(o, buf, 1, deadline, NULL, NULL), -ETIMEDOUT);
	cr_assert_geq(myelon_now(), deadline);
	cr_ok(ring_push(p, 1));
	cr_assert_eq(myelon_observe(o, buf, 1, MYELON_TRY, NULL, NULL), 1);
	myelon_observer_close(o);
	ring_close(p, NULL);
}

Test(observer, does_not_keep_the_files_and_reads_the_rest_of_a_removed_ring)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_observer *o = observe(name, NULL);
	struct seen s = {0};

	cr_ok(ring_push(p, 4));
	ring_close(p, NULL);
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0);
	cr_assert_eq(look(o, &s, 3), 3);
	cr_assert_eq(look(o, &s, 3), 1);
	cr_assert_eq(look(o, &s, 3), -EPIPE);
	cr_assert_eq(look(o, &s, 3), -EPIPE);
	myelon_observer_close(o);
}

Test(observer, interrupt_ends_one_wait)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_observer *o = observe(name, WITH(.wait = MYELON_WAIT_PARK));
	unsigned char buf[SLOT];

	myelon_observer_interrupt(o);
	cr_assert_eq(myelon_observe(o, buf, 1, MYELON_FOREVER, NULL, NULL), -ECANCELED);
	cr_assert_eq(myelon_observe(o, buf, 1, MYELON_TRY, NULL, NULL), -EAGAIN);
	myelon_observer_close(o);
	ring_close(p, NULL);
}

struct publish_later {
	struct myelon_producer *p;
	int rc;
};

static void *publish_later(void *arg)
{
	const struct timespec pause = {.tv_nsec = 20 * MS};
	struct publish_later *l = arg;
	unsigned char slot[SLOT];

	nanosleep(&pause, NULL);
	kit_fill(slot, SLOT, RING_SEED, 0);
	l->rc = myelon_publish_copy(l->p, slot, 1, MYELON_TRY);
	return NULL;
}

static void expect_woken(struct myelon_producer *p, struct myelon_observer *o)
{
	struct publish_later l = {.p = p};
	unsigned char buf[SLOT];
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, publish_later, &l), 0);
	cr_assert_eq(myelon_observe(o, buf, 1, kit_deadline(20), NULL, NULL), 1);
	cr_assert_eq(kit_check(buf, SLOT, RING_SEED, 0), -1);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_assert_eq(l.rc, 0);
}

Test(observer, parked_one_is_woken)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_observer *o = observe(name, WITH(.wait = MYELON_WAIT_PARK));

	expect_woken(p, o);
	cr_assert_eq(total_lost(o), 0);
	myelon_observer_close(o);
	ring_close(p, NULL);
}

/* In a directory of @uid's own, so that an ordinary user may be one. */
static void become(uid_t uid, char dir[256])
{
	snprintf(dir, 256, "%s/user", kit_shm_dir());
	cr_assert_eq(chmod(kit_shm_dir(), 0777), 0);
	cr_assert_eq(mkdir(dir, 0700), 0);
	if (uid != getuid()) {
		cr_assert_eq(chown(dir, uid, uid), 0);
		cr_assert_eq(setresuid(uid, uid, uid), 0);
	}
	cr_assert_eq(setenv("MYELON_SHM_DIR", dir, 1), 0);
}

static void set_modes(const char *dir, mode_t mode)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[600];

	cr_assert_not_null(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		cr_assert_eq(chmod(path, mode), 0);
	}
	closedir(d);
}

Test(observer, with_read_only_files_polls_and_counts_as_exactly)
{
	struct myelon_handle_stats st = MYELON_HANDLE_STATS_INIT;
	char name[KIT_NAME], dir[256];
	struct myelon_consumer *none;
	struct myelon_producer *p;
	struct myelon_observer *o;
	struct seen s = {.next = 1};

	become(getuid() ? getuid() : 65534, dir);
	p = ring_make(name, SMALL(.unattended = MYELON_UNATTENDED_OVERWRITE));
	set_modes(dir, 0400);
	cr_assert_eq(myelon_consumer_attach(&none, name, NULL), -EACCES);
	o = observe(name, WITH(.wait = MYELON_WAIT_PARK));
	expect_woken(p, o);
	for (int i = 1; i < 500; i++)
		cr_ok(ring_push(p, 1));
	while (look(o, &s, 5) > 0)
		;
	cr_assert_eq(s.got + s.lost, 499);
	cr_ok(myelon_observer_stats(o, &st));
	cr_assert_eq(st.lost, s.lost);
	myelon_observer_interrupt(o);
	cr_assert_eq(look(o, &s, 5), -ECANCELED);
	/* Whoever removes the data must be able to lock it. */
	set_modes(dir, 0600);
	ring_close(p, NULL);
	cr_assert_eq(look(o, &s, 5), -EPIPE);
	myelon_observer_close(o);
	cr_assert_eq(kit_dir_entries(dir), 0);
	rmdir(dir);
}
