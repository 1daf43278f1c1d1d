/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A watch in the process of the peers it watches: what it tells, in which order, and to whom. */
#include "peers_kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(peers, .timeout = 120);

Test(peers, who_is_there_is_told_first_and_once)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *a = ring_join(name, WITH(.id = "a"));
	struct myelon_consumer *b = ring_join(name, WITH(.id = "b")), *left;
	struct myelon_peer_event e;
	struct myelon_peers *w;

	left = ring_join(name, WITH(.id = "left"));
	myelon_consumer_close(left);
	cr_ok(ring_push(p, 3));
	ring_pull(a, 0, 2);
	w = peers_watch(name, NULL);
	e = peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	cr_assert(e.first && e.role == MYELON_ROLE_PRODUCER && e.generation == 1 &&
	                  e.pid == getpid() && e.published == 2,
	          "%s", peers_say(&e));
	e = peers_expect(w, MYELON_CHANGE_ATTACHED, "a");
	cr_assert(e.first && e.role == MYELON_ROLE_CONSUMER && e.cursor == 1 && e.published == 2 &&
	                  e.pid == getpid() && e.index == 0,
	          "%s", peers_say(&e));
	e = peers_expect(w, MYELON_CHANGE_ATTACHED, "b");
	cr_assert(e.first && e.index == 1);
	peers_expect_none(w);
	/* Known, though nobody told of it. */
	left = ring_join(name, WITH(.id = "left"));
	e = peers_expect(w, MYELON_CHANGE_REJOINED, "left");
	cr_assert_not(e.first);
	peers_expect_none(w);
	cr_ok(myelon_peers_close(w));
	myelon_consumer_close(left);
	myelon_consumer_close(b);
	ring_close(p, a);
}

/* Who is gone before the first question was there all the same. */
Test(peers, snapshot_is_of_the_time_of_open)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *a = ring_join(name, WITH(.id = "a"));
	struct myelon_peers *w = peers_watch(name, NULL);
	struct myelon_peer_event e;

	myelon_consumer_close(a);
	a = ring_join(name, WITH(.id = "b"));
	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	e = peers_expect(w, MYELON_CHANGE_ATTACHED, "a");
	cr_assert(e.first);
	e = peers_expect(w, MYELON_CHANGE_DETACHED, "a");
	cr_assert_not(e.first);
	e = peers_expect(w, MYELON_CHANGE_ATTACHED, "b");
	cr_assert_not(e.first);
	peers_expect_none(w);
	cr_ok(myelon_peers_close(w));
	ring_close(p, a);
}

Test(peers, coming_and_going_and_eviction)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_peers *w = peers_watch(name, NULL);
	struct myelon_consumer *c;
	struct myelon_peer_event e;
	uint64_t generation;

	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	c = ring_join(name, WITH(.id = "x"));
	generation = peers_expect(w, MYELON_CHANGE_ATTACHED, "x").generation;
	cr_ok(ring_push(p, 5));
	ring_pull(c, 0, 4);
	myelon_consumer_close(c);
	e = peers_expect(w, MYELON_CHANGE_DETACHED, "x");
	cr_assert(e.cursor == 3 && e.published == 4 && e.generation == generation, "%s",
	          peers_say(&e));
	c = ring_join(name, WITH(.id = "x"));
	e = peers_expect(w, MYELON_CHANGE_REJOINED, "x");
	cr_assert(e.cursor == 3 && e.generation > generation, "%s", peers_say(&e));
	cr_assert_eq(myelon_evict(name, "x", MYELON_F_FORCE, NULL), 1);
	e = peers_expect(w, MYELON_CHANGE_EVICTED, "x");
	cr_assert_eq(e.generation, generation + 1);
	/* That was the last that is told of it. */
	myelon_consumer_close(c);
	peers_expect_none(w);
	c = ring_join(name, WITH(.id = "x"));
	peers_expect(w, MYELON_CHANGE_REJOINED, "x");
	peers_expect_none(w);
	cr_ok(myelon_peers_close(w));
	ring_close(p, c);
}

Test(peers, automatic_id_ends_with_its_owner)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, NULL);
	struct myelon_peers *w = peers_watch(name, NULL);

	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	peers_expect(w, MYELON_CHANGE_ATTACHED, "ad_0");
	myelon_consumer_close(c);
	peers_expect(w, MYELON_CHANGE_DETACHED, "ad_0");
	c = ring_join(name, NULL);
	peers_expect(w, MYELON_CHANGE_ATTACHED, "ad_0");
	/* Both between two looks. */
	myelon_consumer_close(c);
	c = ring_join(name, NULL);
	peers_expect(w, MYELON_CHANGE_DETACHED, "ad_0");
	peers_expect(w, MYELON_CHANGE_ATTACHED, "ad_0");
	peers_expect_none(w);
	cr_ok(myelon_peers_close(w));
	ring_close(p, c);
}

Test(peers, owner_that_was_replaced_between_two_looks_is_told_with_its_end)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "x"));
	struct myelon_peers *w = peers_watch(name, NULL);
	struct myelon_peer_event e;

	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	e = peers_expect(w, MYELON_CHANGE_ATTACHED, "x");
	myelon_consumer_close(c);
	c = ring_join(name, WITH(.id = "x"));
	cr_assert_eq(peers_expect(w, MYELON_CHANGE_DETACHED, "x").generation, e.generation);
	cr_assert_eq(peers_expect(w, MYELON_CHANGE_REJOINED, "x").generation, e.generation + 1);
	cr_assert_eq(myelon_evict(name, "x", MYELON_F_FORCE, NULL), 1);
	myelon_consumer_close(c);
	c = ring_join(name, WITH(.id = "x"));
	peers_expect(w, MYELON_CHANGE_EVICTED, "x");
	peers_expect(w, MYELON_CHANGE_REJOINED, "x");
	/* Came and went. */
	myelon_consumer_close(ring_join(name, WITH(.id = "y")));
	peers_expect_none(w);
	cr_ok(myelon_peers_close(w));
	ring_close(p, c);
}

Test(peers, place_of_one_that_left_given_to_another_id)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.max_consumers = 1));
	struct myelon_consumer *c = ring_join(name, WITH(.id = "x"));
	struct myelon_peers *w = peers_watch(name, NULL);

	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	peers_expect(w, MYELON_CHANGE_ATTACHED, "x");
	myelon_consumer_close(c);
	c = ring_join(name, WITH(.id = "y"));
	peers_expect(w, MYELON_CHANGE_DETACHED, "x");
	peers_expect(w, MYELON_CHANGE_ATTACHED, "y");
	myelon_consumer_close(c);
	peers_expect(w, MYELON_CHANGE_DETACHED, "y");
	/* Forgotten by the ring. */
	c = ring_join(name, WITH(.id = "x"));
	peers_expect(w, MYELON_CHANGE_ATTACHED, "x");
	cr_ok(myelon_peers_close(w));
	ring_close(p, c);
}

Test(peers, producer_closes_is_succeeded_and_the_ring_is_removed)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "x"));
	struct myelon_peers *w = peers_watch(name, NULL);
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;

	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	peers_expect(w, MYELON_CHANGE_ATTACHED, "x");
	cr_ok(ring_push(p, 1));
	myelon_producer_close(p);
	cr_assert_eq(peers_expect(w, MYELON_CHANGE_DETACHED, "").published, 0);
	cr_ok(myelon_producer_open(&p, name, NULL));
	cr_assert_eq(peers_expect(w, MYELON_CHANGE_REJOINED, "").generation, 2);
	/* Between two looks. */
	myelon_producer_close(p);
	cr_ok(myelon_producer_open(&p, name, NULL));
	cr_assert_eq(peers_expect(w, MYELON_CHANGE_DETACHED, "").generation, 2);
	cr_assert_eq(peers_expect(w, MYELON_CHANGE_REJOINED, "").generation, 3);
	peers_expect_none(w);
	myelon_consumer_close(c);
	myelon_producer_close(p);
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0, "the watch keeps the ring");
	peers_expect(w, MYELON_CHANGE_DETACHED, "");
	peers_expect(w, MYELON_CHANGE_DETACHED, "x");
	e = peers_expect(w, MYELON_CHANGE_REMOVED, "");
	cr_assert_eq(e.role, MYELON_ROLE_RING);
	cr_assert_eq(myelon_peers_next(w, &e, MYELON_FOREVER), -EPIPE);
	cr_assert_eq(myelon_peers_next(w, &e, MYELON_TRY), -EPIPE);
	cr_ok(myelon_peers_close(w));
}

Test(peers, ring_removed_by_force_or_replaced)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_peers *w = peers_watch(name, NULL);

	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	cr_assert_geq(myelon_ring_remove(name, &MYELON_DIR_OPTS(.flags = MYELON_F_FORCE)), 0);
	peers_expect(w, MYELON_CHANGE_REMOVED, "");
	cr_ok(myelon_peers_close(w));
	myelon_producer_close(p);
}

Test(peers, stalled_and_recovered)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "x"));
	struct myelon_peers *w = peers_watch(name, WATCH(.progress_ns = 20 * MS));
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;

	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	peers_expect(w, MYELON_CHANGE_ATTACHED, "x");
	/* It has nothing to read. */
	cr_assert_eq(myelon_peers_next(w, &e, myelon_deadline_after(100 * MS)), -ETIMEDOUT);
	cr_ok(ring_push(p, 3));
	cr_assert_eq(peers_expect(w, MYELON_CHANGE_STALLED, "x").cursor, -1);
	cr_assert_eq(myelon_peers_next(w, &e, myelon_deadline_after(100 * MS)), -ETIMEDOUT);
	ring_pull(c, 0, 1);
	cr_assert_eq(peers_expect(w, MYELON_CHANGE_RECOVERED, "x").cursor, 0);
	/* And again, as it goes no further. */
	peers_expect(w, MYELON_CHANGE_STALLED, "x");
	ring_pull(c, 1, 2);
	peers_expect(w, MYELON_CHANGE_RECOVERED, "x");
	cr_assert_eq(myelon_peers_next(w, &e, myelon_deadline_after(100 * MS)), -ETIMEDOUT);
	cr_ok(myelon_peers_close(w));
	ring_close(p, c);
}

Test(peers, read_only_files_suffice_and_any_owner_is_asked_for)
{
	char name[KIT_NAME], path[512];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c;
	struct myelon_peers *w;

	if (geteuid() != 0)
		kit_skip("root", "files of another user cannot be made");
	snprintf(path, sizeof(path), "%s/myelon.%s", kit_shm_dir(), name);
	cr_assert_eq(chmod(path, 0644), 0);
	cr_assert_eq(chown(path, 12345, 12345), 0);
	cr_assert_eq(chmod(kit_shm_dir(), 0755), 0);
	cr_assert_eq(seteuid(23456), 0);
	cr_assert_eq(myelon_peers_open(&w, name, NULL), -EPERM);
	cr_ok(myelon_peers_open(&w, name, WATCH(.flags = MYELON_F_ANY_OWNER)));
	cr_assert_eq(seteuid(0), 0);
	cr_assert_eq(chown(path, 0, 0), 0);
	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	c = ring_join(name, WITH(.id = "x"));
	peers_expect(w, MYELON_CHANGE_ATTACHED, "x");
	myelon_consumer_close(c);
	peers_expect(w, MYELON_CHANGE_DETACHED, "x");
	myelon_producer_close(p);
	peers_expect(w, MYELON_CHANGE_DETACHED, "");
	peers_expect(w, MYELON_CHANGE_REMOVED, "");
	cr_ok(myelon_peers_close(w));
}

Test(peers, edge_triggered_loop_hears_of_every_change)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_peers *w = peers_watch(name, NULL);
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;
	int epoll = epoll_create1(EPOLL_CLOEXEC), told = 0;
	struct epoll_event how = {.events = EPOLLIN | EPOLLET};
	struct myelon_consumer *c = NULL;

	cr_assert_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, myelon_peers_fd(w), &how), 0);
	for (int round = 0; round < 200; round++) {
		if (round % 2) {
			myelon_consumer_close(c);
			c = NULL;
		} else {
			c = ring_join(name, WITH(.id = "x"));
		}
		while (told < round + 2) {
			cr_assert_eq(kit_epoll_one(epoll, 20000), 1, "round %d", round);
			while (myelon_peers_next(w, &e, MYELON_TRY) == 0)
				told++;
		}
		cr_assert_eq(told, round + 2);
	}
	close(epoll);
	cr_ok(myelon_peers_close(w));
	myelon_producer_close(p);
}

/* Until the last change of y is that one. */
static void await_in_set(struct myelon_waitset *ws, struct myelon_peers *w,
                         enum myelon_peer_change change)
{
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;
	struct myelon_event ev;

	while (e.change != (uint32_t)change || strcmp(e.id, "y") != 0) {
		cr_assert_eq(myelon_waitset_wait(ws, &ev, 1, kit_deadline(60)), 1, "no event");
		while (myelon_peers_next(w, &e, MYELON_TRY) == 0)
			;
	}
}

static void one_in_a_wait_set(enum myelon_engine engine)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_peers *w = peers_watch(name, NULL);
	struct myelon_consumer *c = ring_join(name, WITH(.id = "x")), *other;
	struct myelon_waitset *ws;

	cr_ok(myelon_waitset_create(&ws, &MYELON_WAITSET_OPTS(.engine = engine)));
	cr_assert_geq(myelon_waitset_add_fd(ws, myelon_peers_fd(w), EPOLLIN, NULL, NULL), 0);
	cr_assert_geq(myelon_waitset_add_consumer(ws, c, NULL, NULL), 0);
	for (int round = 0; round < 50; round++) {
		other = ring_join(name, WITH(.id = "y"));
		await_in_set(ws, w, round ? MYELON_CHANGE_REJOINED : MYELON_CHANGE_ATTACHED);
		myelon_consumer_close(other);
		await_in_set(ws, w, MYELON_CHANGE_DETACHED);
	}
	myelon_waitset_close(ws);
	cr_ok(myelon_peers_close(w));
	ring_close(p, c);
}

Test(peers, watch_in_a_wait_set)
{
	one_in_a_wait_set(MYELON_ENGINE_EPOLL);
	one_in_a_wait_set(MYELON_ENGINE_AUTO);
}

Test(peers, epoll_engine_hears_as_well)
{
	char name[KIT_NAME];
	struct myelon_producer *p;
	struct myelon_consumer *c;
	struct myelon_peers *w;

	setenv("MYELON_ENGINE", "epoll", 1);
	p = ring_make(name, SMALL());
	w = peers_watch(name, NULL);
	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	for (int i = 0; i < 50; i++) {
		c = ring_join(name, WITH(.id = "x"));
		peers_expect(w, i ? MYELON_CHANGE_REJOINED : MYELON_CHANGE_ATTACHED, "x");
		myelon_consumer_close(c);
		peers_expect(w, MYELON_CHANGE_DETACHED, "x");
	}
	cr_ok(myelon_peers_close(w));
	myelon_producer_close(p);
}

Test(peers, interrupt_ends_the_current_or_next_call)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_peers *w = peers_watch(name, NULL);
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;

	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	myelon_peers_interrupt(w);
	cr_assert_eq(myelon_peers_next(w, &e, MYELON_FOREVER), -ECANCELED);
	cr_assert_eq(myelon_peers_next(w, &e, myelon_deadline_after(MS)), -ETIMEDOUT);
	cr_ok(myelon_peers_close(w));
	myelon_producer_close(p);
}

Test(peers, wrong_use_is_refused_with_a_sentence)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_peers *w;
	struct myelon_peer_event e = {0};

	cr_assert_eq(myelon_peers_open(NULL, name, NULL), -EINVAL);
	cr_assert_eq(myelon_peers_open(&w, "no-such-ring", NULL), -ENOENT);
	cr_assert_null(w);
	cr_assert_eq(myelon_peers_open(&w, name, WATCH(.progress_ns = -1)), -EINVAL);
	cr_assert_eq(myelon_peers_open(&w, name, WATCH(.flags = MYELON_F_KEEP)), -EINVAL);
	w = peers_watch(name, NULL);
	cr_assert_eq(myelon_peers_next(w, &e, MYELON_TRY), -EINVAL);
	cr_assert_eq(myelon_peers_next(w, NULL, MYELON_TRY), -EINVAL);
	cr_ok(myelon_peers_close(w));
	cr_ok(myelon_peers_close(NULL));
	cr_assert_null(myelon_peer_change_name((enum myelon_peer_change)0));
	cr_assert_null(myelon_peer_change_name((enum myelon_peer_change)99));
	cr_assert_str_eq(myelon_peer_change_name(MYELON_CHANGE_REMOVED), "removed");
	cr_assert_null(myelon_peer_role_name((enum myelon_peer_role)99));
	myelon_producer_close(p);
}

static int use_in_child(void *arg)
{
	struct myelon_peers *w = arg;
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;

	if (myelon_peers_next(w, &e, MYELON_FOREVER) != -EPERM)
		return 1;
	if (myelon_peers_fd(w) != -EPERM)
		return 2;
	myelon_peers_interrupt(w);
	return myelon_peers_close(w) == 0 ? 0 : 3;
}

Test(peers, copy_in_a_forked_child_is_refused_and_holds_nothing)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_peers *w = peers_watch(name, NULL);
	struct kit_actor a;

	myelon_peers_fd(w);
	cr_assert_eq(kit_fork(&a, use_in_child, w), 0);
	cr_assert_eq(kit_wait(&a, 30), 0);
	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	peers_expect_none(w);
	cr_ok(myelon_peers_close(w));
	myelon_producer_close(p);
}

static void ignore(void *ctx, const struct myelon_peer_event *e)
{
	(void)ctx;
	(void)e;
}

Test(peers, a_thousand_watches_leave_no_descriptor)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, NULL);
	struct myelon_peers *w;
	int before = 0;

	for (int i = 0; i < 1000; i++) {
		w = peers_watch(name, i % 8 ? NULL : WATCH(.on_peer_change = ignore));
		if (i % 4 == 1)
			peers_next(w);
		if (i % 4 == 2)
			myelon_peers_fd(w);
		cr_ok(myelon_peers_close(w));
		if (i == 15)
			before = kit_open_fds();
	}
	cr_assert_eq(kit_open_fds(), before);
	ring_close(p, c);
}
