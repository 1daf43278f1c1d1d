/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a watch tells of processes that come, leave, stop, die, are replaced, or become other programs. */
#include "peers_cast.h"

TestSuite(peers, .timeout = 180);

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
