/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "wake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW 4096u
#define IDLE_WINDOW 64u
#define SETTLE_NS INT64_C(3000000000)

static const struct timespec a_millisecond = {.tv_nsec = 1000000};

void bench_wake_plan(struct bench_wake *w, const struct bench_options *o,
                     const struct bench_place *place, struct bench_trips *trips, unsigned int which,
                     uint32_t rings)
{
	memset(w, 0, sizeof(*w));
	w->which = which;
	w->way.epoll = -1;
	w->rings = bench_way_kind(which) == BENCH_WAY_SET ? rings : 1;
	w->trips = trips;
	bench_ring_plan(&w->ring, o, place, false);
	w->ring.consumers = 1;
	w->ring.producer_wait = MYELON_WAIT_PARK;
	if (!o->window)
		w->ring.window = WINDOW;
	w->idle = w->ring;
	w->idle.window = IDLE_WINDOW;
}

static void idle_name(char name[64], const char *stem, uint32_t i)
{
	(void)snprintf(name, 64, "%s-%u", stem, i);
}

int bench_wake_make(struct bench_wake *w, const char *stem, struct bench_role *me)
{
	char name[64];

	w->idle_out = calloc(w->rings, sizeof(*w->idle_out));
	if (!w->idle_out)
		return bench_fail(me, "out of memory");
	for (uint32_t i = 1; i < w->rings; i++) {
		idle_name(name, stem, i);
		if (bench_out_create(&w->idle_out[i], &w->idle, name, me) < 0)
			return -1;
	}
	/* The last one: who finds it finds the others, too. */
	return bench_out_create(&w->out, &w->ring, stem, me);
}

int bench_wake_read(struct bench_wake *w, const char *stem, struct bench_role *me)
{
	enum myelon_wait wait = bench_way_wait(w->which);
	char name[64];

	w->idle_in = calloc(w->rings, sizeof(*w->idle_in));
	if (!w->idle_in)
		return bench_fail(me, "out of memory");
	if (bench_in_attach(&w->in, &w->ring, stem, wait, me) < 0)
		return -1;
	for (uint32_t i = 1; i < w->rings; i++) {
		idle_name(name, stem, i);
		if (bench_in_attach(&w->idle_in[i], &w->idle, name, wait, me) < 0)
			return -1;
	}
	return bench_way_open(&w->way, w->which, &w->in, w->idle_in + 1, w->rings - 1, me);
}

/* Everything that is there, unread. */
static int drain(struct bench_wake *w)
{
	struct myelon_view v;
	int n;

	while ((n = myelon_peek(w->in.raw, MYELON_ALL, MYELON_TRY, &v)) > 0)
		if (myelon_release(w->in.raw, v.count) < 0)
			return -1;
	return n == -EAGAIN ? 0 : n;
}

static int publish_nothing(struct bench_wake *w)
{
	struct myelon_span s;
	int rc = myelon_claim(w->out.raw, 1, MYELON_TRY, &s);

	if (rc < 0)
		return rc == -EAGAIN ? 0 : rc;
	memset(s.base, 0, w->ring.payload);
	return myelon_publish(w->out.raw, 1);
}

/*
 * A producer takes a descriptor over when it comes by: messages without content go through the rings
 * until everybody who reads is woken as it shall be.
 */
int bench_wake_settle(struct bench_wake *w, struct bench_crew *crew, struct bench_role *me)
{
	_Atomic uint32_t *settled = &crew->met[BENCH_COUNT_SETTLED];
	int64_t deadline;
	bool told = false;

	bench_meet(crew, BENCH_MEET_OPEN);
	deadline = myelon_deadline_after(SETTLE_NS);
	/* Relaxed: the meeting orders what follows. */
	while (atomic_load_explicit(settled, memory_order_relaxed) < crew->roles) {
		if ((w->out.raw && publish_nothing(w) < 0) || (w->in.raw && drain(w) < 0))
			return bench_library_fail(me, "a message could not be moved");
		if (!told && (!w->in.raw || bench_way_settled(&w->way))) {
			atomic_fetch_add_explicit(settled, 1, memory_order_relaxed);
			told = true;
		}
		if (myelon_now() > deadline)
			return bench_fail(
				me,
				"the descriptor is still woken by another engine (%s) after 3 s",
				w->in.raw ? myelon_engine_name(myelon_consumer_fd_engine(w->in.raw))
					  : "in the consumer");
		nanosleep(&a_millisecond, NULL);
	}
	bench_meet(crew, BENCH_MEET_QUIET);
	if (w->in.raw && drain(w) < 0)
		return bench_library_fail(me, "a message could not be read");
	/* From here on there is only what is measured. */
	bench_meet(crew, BENCH_MEET_EMPTY);
	return 0;
}

void bench_wake_close(struct bench_wake *w, struct bench_role *me)
{
	bench_way_close(&w->way);
	for (uint32_t i = 1; i < w->rings; i++) {
		if (w->idle_in)
			bench_in_close(&w->idle_in[i], me);
		if (w->idle_out)
			bench_out_close(&w->idle_out[i], me);
	}
	bench_in_close(&w->in, me);
	bench_out_close(&w->out, me);
	free(w->idle_in);
	free(w->idle_out);
}

enum { WORKS = 1, FAILS = 2 };

/* That a way does not exist is an answer: its sentence stays in the role. */
static int play_probe(struct bench_crew *crew, unsigned int role, void *arg)
{
	struct bench_wake *w = arg;
	struct bench_role *me = &crew->role[role];
	int rc;

	if (role == 0 && bench_wake_make(w, "there", me) < 0)
		return -1;
	if (role == 1)
		me->messages = bench_wake_read(w, "there", me) < 0 ? FAILS : WORKS;
	bench_meet(crew, BENCH_MEET_DECIDED);
	if (crew->role[1].messages == WORKS) {
		rc = bench_wake_settle(w, crew, me);
		if (role == 1 && rc < 0)
			me->messages = FAILS;
	}
	bench_meet(crew, BENCH_MEET_END);
	bench_wake_close(w, me);
	return 0;
}

int bench_wake_probe(struct bench_wake *w, char *reason, size_t size)
{
	const struct bench_options *o = w->ring.o;
	const struct bench_cast cast = {.what = bench_way_name(w->which),
	                                .roles = 2,
	                                .play = play_probe,
	                                .arg = w,
	                                .cpus = o->cpus,
	                                .cpu_count = 2,
	                                .timeout_s = o->timeout_s};
	const struct bench_crew *crew = bench_crew_run(&cast);

	bench_place_clear(w->ring.place);
	if (!crew)
		return -1;
	(void)snprintf(reason, size, "%s", crew->role[1].error);
	return crew->role[1].messages == WORKS;
}
