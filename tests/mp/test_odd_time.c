/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Peers whose clocks differ: time namespaces, in which CLOCK_MONOTONIC is hours off. Time stamps that cross
 * processes are for measuring only, every deadline is of the process that waits.
 */
#include "odd_cast.h"

#include <poll.h>

#include <myelon/keeper.h>

#define MESSAGES 3000u
#define READER 2
#define DAY 86400

TestSuite(odd_time, .timeout = 150);

/* Ahead, and behind: no clock may be before the boot. */
static const int64_t offsets_s[] = {DAY, -60, 0};

struct visitor {
	struct member m;
	uint32_t wait;
	enum myelon_engine engine; /* AUTO: no descriptor */
	bool set;                  /* in a wait set */
};

static int visitor_fail(const struct visitor *v, const char *what, int rc)
{
	return member_fail(&v->m, what, rc);
}

/* A wait for nothing ends at its deadline, by the clock of who waits. */
static int waits_in_vain(const struct visitor *v, struct myelon_consumer *c)
{
	int64_t begun = kit_now_ns(), took;
	struct myelon_view view;
	int rc = myelon_peek(c, 1, myelon_deadline_after(50 * MS), &view);

	took = kit_now_ns() - begun;
	if (rc != -ETIMEDOUT || took < 50 * MS || took > 60000 * MS)
		return visitor_fail(v, "a wait of 50 ms", rc);
	return 0;
}

/* What was measured is no longer than the time there was. */
static int measured_well(const struct visitor *v, struct myelon_consumer *c, int64_t begun)
{
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;
	uint64_t took = (uint64_t)(kit_now_ns() - begun);

	myelon_consumer_stats(c, &s);
	if (s.spin_ns > took || s.caps_found || s.caps > took / 900000000 + 1)
		return visitor_fail(v, "figures", (int)s.caps_found);
	return 0;
}

/* Sleeps until there is something, in a way that is not a call of peek. */
static int sleep_outside(const struct visitor *v, struct myelon_waitset *ws, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct myelon_event e;

	if (v->set)
		return myelon_waitset_wait(ws, &e, 1, myelon_deadline_after(30000 * MS)) == 1;
	return poll(&p, 1, 30000) == 1;
}

static int read_stream(const struct visitor *v, struct myelon_consumer *c)
{
	struct kit_result *r = &v->m.page->result[v->m.index];
	bool outside = v->set || v->engine != MYELON_ENGINE_AUTO;
	struct myelon_waitset *ws = NULL;
	int rc = 0, fd = -1;

	if (v->engine != MYELON_ENGINE_AUTO)
		rc = fd = myelon_consumer_fd(c, &MYELON_FD_OPTS(.engine = v->engine));
	if (v->set)
		rc = myelon_waitset_create(&ws, NULL);
	if (v->set && rc == 0)
		rc = myelon_waitset_add_consumer(ws, c, NULL, NULL);
	while (rc >= 0) {
		struct myelon_view view;

		rc = myelon_peek(c, 1, outside ? MYELON_TRY : kit_deadline(30), &view);
		if (rc == -EAGAIN && outside) {
			rc = sleep_outside(v, ws, fd) ? 0 : -ETIMEDOUT;
			continue;
		}
		if (rc < 0)
			break;
		if ((uint64_t)view.seq != r->count ||
		    kit_check(view.base, SLOT, SEED, (uint64_t)view.seq) >= 0)
			kit_violation(r, "sequence %lld", (long long)view.seq);
		r->count++;
		rc = myelon_release(c, 1);
	}
	myelon_waitset_close(ws);
	return rc;
}

static int visit(void *arg)
{
	const struct visitor *v = arg;
	struct myelon_consumer *c;
	int64_t begun = kit_now_ns();
	int rc = myelon_consumer_attach(&c, v->m.name,
	                                &MYELON_ATTACH_OPTS(.id = v->m.id, .wait = v->wait));

	if (rc < 0)
		return visitor_fail(v, "attach", rc);
	if (waits_in_vain(v, c))
		return 1;
	kit_set(v->m.page, READY + v->m.index, 1);
	rc = read_stream(v, c);
	if (rc != -EPIPE)
		return visitor_fail(v, "the stream's end", rc);
	rc = measured_well(v, c, begun);
	myelon_consumer_close(c);
	return rc;
}

static void expect_well(unsigned int i, uint64_t count)
{
	cr_assert_eq(kit_wait(&cast.actor[i], 60), 0, "%s", member_of(i)->text);
	cr_assert_eq(member_of(i)->violations, 0, "%s", member_of(i)->text);
	cr_assert_eq(member_of(i)->count, count);
}

static void stream_to(const struct visitor *how, uint32_t wait, int64_t offset_s, bool managed)
{
	struct visitor v = *how;
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;
	int64_t begun = kit_now_ns();
	int rc = 0;

	begin_ring(wait);
	v.m = (struct member){.page = cast.page, .name = cast.name, .id = "w", .index = READER};
	elsewhere_start(READER, &(struct elsewhere){.flag = CLONE_NEWTIME,
	                                            .offset_s = offset_s,
	                                            .fn = visit,
	                                            .arg = &v});
	cr_assert(kit_await(cast.page, READY + READER, 1, 30), "no consumer: %s",
	          member_of(READER)->text);
	REQUIRE(.required.count = 1, .progress_ns = 20000 * MS, .grace_ns = MYELON_NO_GRACE);
	for (uint32_t i = 0; rc == 0 && i < MESSAGES; i++)
		rc = managed ? send() : send_plain();
	cr_assert_eq(rc, 0, "%s", myelon_last_error());
	cr_assert_eq(heard.count, 0);
	cr_assert_eq(myelon_producer_wait_consumed(ring, MESSAGES - 1, kit_deadline(60)), 0);
	cr_assert_eq(myelon_producer_stats(ring, &s), 0);
	cr_assert_leq(s.spin_ns, (uint64_t)(kit_now_ns() - begun));
	cr_assert_eq(s.caps_found, 0);
	myelon_producer_close(ring);
	ring = NULL;
	expect_well(READER, MESSAGES);
	end_ring();
}

Test(odd_time, stream_between_two_clocks_is_whole_and_its_figures_are_sane)
{
	static const uint32_t waits[] = {MYELON_WAIT_ADAPTIVE, MYELON_WAIT_PARK,
	                                 MYELON_WAIT_SPIN_PAUSE, MYELON_WAIT_SLEEP};

	need_namespace(CLONE_NEWTIME, DAY);
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
		for (size_t k = 0; offsets_s[k]; k++)
			stream_to(&(struct visitor){.wait = waits[i]}, waits[i], offsets_s[k],
			          i % 2 == k % 2);
}

Test(odd_time, descriptor_and_wait_set_work_between_two_clocks)
{
	static const enum myelon_engine engines[] = {MYELON_ENGINE_URING, MYELON_ENGINE_DIRECT,
	                                             MYELON_ENGINE_PROXY};

	need_namespace(CLONE_NEWTIME, DAY);
	for (size_t i = 0; i < 3; i++)
		stream_to(&(struct visitor){.engine = engines[i]}, MYELON_WAIT_PARK,
		          offsets_s[i % 2], false);
	for (size_t k = 0; offsets_s[k]; k++)
		stream_to(&(struct visitor){.set = true}, MYELON_WAIT_PARK, offsets_s[k], true);
	setenv("MYELON_ENGINE", "epoll", 1);
	for (size_t k = 0; offsets_s[k]; k++)
		stream_to(&(struct visitor){.set = true}, MYELON_WAIT_PARK, offsets_s[k], true);
}

/* ---- verdicts ---- */

/* How long the producer saw no progress is its own time. */
static void judged(uint32_t wait, int64_t offset_s)
{
	struct member m = {.id = "w", .index = READER};
	int64_t begun = kit_now_ns();

	begin_ring(wait);
	REQUIRE(.required.count = 1, .progress_ns = 100 * MS, .grace_ns = HANG_NS);
	m.page = cast.page;
	m.name = cast.name;
	kit_set(cast.page, ALLOW + READER, 3);
	elsewhere_start(READER, &(struct elsewhere){.flag = CLONE_NEWTIME,
	                                            .offset_s = offset_s,
	                                            .fn = member_run,
	                                            .arg = &m});
	cr_assert(kit_await(cast.page, READY + READER, 1, 30));
	heard.allow = ALLOW + READER; /* it goes on when the alert was heard */
	cr_assert_eq(send_all(100), 0, "%s", myelon_last_error());
	cr_assert_geq(heard.count, 1);
	cr_assert_eq(heard.last.cause, MYELON_CAUSE_STALLED);
	cr_assert_geq(heard.last.stalled_ns, 100 * MS);
	cr_assert_leq(heard.last.stalled_ns, kit_now_ns() - begun);
	REQUIRE(.required.count = 1, .progress_ns = HANG_NS, .check_ns = 2 * MS,
	        .grace_ns = MYELON_NO_GRACE);
	kit_set(cast.page, ALLOW + READER, 103);
	strike_later(3, elsewhere_pid(READER), SIGKILL);
	cr_assert_eq(send_all(10000000), -EOWNERDEAD, "%s", myelon_last_error());
	cr_assert_eq(failure().cause, MYELON_CAUSE_DEAD);
	cr_assert_lt(failure().stalled_ns, kit_now_ns() - begun);
	cr_assert_eq(odd_caps(), 0, "found by a look at the cap");
	cr_assert_eq(kit_wait(&cast.actor[READER], 30), 128 + SIGKILL);
	cr_assert_eq(kit_wait(&cast.actor[3], 30), 0);
	end_ring();
}

Test(odd_time, stalled_and_dead_are_judged_by_the_producers_own_clock)
{
	need_namespace(CLONE_NEWTIME, DAY);
	judged(MYELON_WAIT_PARK, DAY);
	judged(MYELON_WAIT_PARK, -60);
	judged(MYELON_WAIT_SPIN_PAUSE, DAY);
}

/* A producer in another time: supervised, blocked by nobody, then killed or replaced. */
static void producer_there(uint32_t wait, uint32_t flags, int64_t offset_s)
{
	struct host h = {.index = 1, .flags = flags, .count = 3, .then = host_hang};
	struct myelon_consumer *c;
	struct myelon_producer *p;
	int64_t next = 0;

	odd_begin();
	h.page = cast.page;
	h.name = cast.name;
	elsewhere_start(
		1, &(struct elsewhere){
			   .flag = CLONE_NEWTIME, .offset_s = offset_s, .fn = host_run, .arg = &h});
	cr_assert(kit_await(cast.page, READY + 1, 1, 30), "no producer");
	c = odd_join("r", wait);
	cr_assert_eq(odd_read_on(c, &next, kit_deadline(0.1)), -ETIMEDOUT);
	cr_assert_eq(next, 3);
	elsewhere_kill(1);
	cr_assert_eq(odd_read_on(c, &next, kit_deadline(30)), -EOWNERDEAD);
	cr_assert_eq(odd_info().producer_state, MYELON_PEER_DEAD);
	cr_assert_eq(myelon_producer_open(&p, cast.name, NULL), 0, "%s", myelon_last_error());
	cr_assert_eq(host_publish(p, 2), 0);
	cr_assert_eq(odd_read_on(c, &next, MYELON_TRY), -EAGAIN);
	cr_assert_eq(next, 5);
	myelon_producer_close(p);
	myelon_consumer_close(c);
	odd_end();
}

Test(odd_time, death_of_a_producer_with_another_clock_is_told)
{
	need_namespace(CLONE_NEWTIME, DAY);
	for (size_t k = 0; offsets_s[k]; k++) {
		producer_there(MYELON_WAIT_PARK, 0, offsets_s[k]);
		producer_there(MYELON_WAIT_PARK, MYELON_F_LEASE, offsets_s[k]);
		producer_there(MYELON_WAIT_ADAPTIVE, MYELON_F_LEASE, offsets_s[k]);
		producer_there(MYELON_WAIT_SPIN_PAUSE, 0, offsets_s[k]);
	}
}

/* ---- the keeper and timers in another time ---- */

static int idle_there(void *arg)
{
	struct member *m = arg;
	struct myelon_keeper_info before = {.size = sizeof(before)}, after = before;
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;
	struct myelon_waitset *ws = NULL;
	struct myelon_consumer *c = NULL;
	struct myelon_event e;
	int64_t begun = kit_now_ns();
	int rc = myelon_consumer_attach(&c, m->name, NULL), timer;

	if (rc == 0 && myelon_consumer_fd(c, &MYELON_FD_OPTS(.engine = MYELON_ENGINE_PROXY)) < 0)
		return member_fail(m, "fd", -1);
	if (rc == 0)
		rc = myelon_waitset_create(&ws, NULL);
	if (rc < 0)
		return member_fail(m, "set-up", rc);
	timer = myelon_waitset_add_timer(ws, myelon_deadline_after(100 * MS), 0, NULL, NULL);
	rc = myelon_waitset_wait(ws, &e, 1, myelon_deadline_after(60000 * MS));
	if (timer < 0 || rc != 1 || e.id != timer || kit_now_ns() - begun < 100 * MS)
		return member_fail(m, "timer", rc);
	rc = myelon_waitset_wait(ws, &e, 1, myelon_deadline_after(100 * MS));
	if (rc != 0 && rc != -ETIMEDOUT)
		return member_fail(m, "deadline of a set", rc);
	/* Nobody turns: neither a timer in the past nor one that is far too late. */
	myelon_keeper_info(&before);
	cast_rest(1500);
	myelon_keeper_info(&after);
	myelon_consumer_stats(c, &s);
	if (after.loops - before.loops < 1 || after.loops - before.loops > 50)
		return member_fail(m, "turns of the keeper", (int)(after.loops - before.loops));
	myelon_waitset_close(ws);
	myelon_consumer_close(c);
	return 0;
}

Test(odd_time, keeper_and_timers_go_by_the_clock_of_their_process)
{
	need_namespace(CLONE_NEWTIME, DAY);
	for (size_t k = 0; offsets_s[k]; k++) {
		for (int engine = 0; engine < 2; engine++) {
			struct member m = {.index = READER};

			if (engine)
				setenv("MYELON_ENGINE", "epoll", 1);
			else
				unsetenv("MYELON_ENGINE");
			begin_ring(MYELON_WAIT_PARK);
			m.page = cast.page;
			m.name = cast.name;
			elsewhere_start(READER, &(struct elsewhere){.flag = CLONE_NEWTIME,
			                                            .offset_s = offsets_s[k],
			                                            .fn = idle_there,
			                                            .arg = &m});
			cr_assert_eq(kit_wait(&cast.actor[READER], 60), 0, "%s",
			             member_of(READER)->text);
			cr_assert_eq(member_of(READER)->violations, 0, "%s",
			             member_of(READER)->text);
			end_ring();
		}
	}
}
