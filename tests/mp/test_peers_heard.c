/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* How a watch is heard of: descriptor, wait set, hook; a storm of visits, and the cost of silence. */
#include "peers_cast.h"

TestSuite(peers_heard, .timeout = 180);

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

Test(peers_heard, death_makes_the_descriptor_readable)
{
	heard_in_epoll(0);
	heard_in_epoll(EPOLLET);
}

/* Both are heard by the first question; one question for each time it is readable is enough. */
Test(peers_heard, descriptor_stays_readable_until_both_deaths_were_told)
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

Test(peers_heard, hook_is_called_while_this_process_does_nothing)
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

Test(peers_heard, a_thousand_visits_end_in_what_the_table_says)
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

Test(peers_heard, watch_of_an_idle_ring_sleeps)
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
