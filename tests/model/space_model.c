/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "space_model.h"

#include <string.h>

#define NOBODY 127 /* space_target of a producer that does not wait */

/* A producer: publishes, or sleeps until it can. */
enum { S_TRY, S_BELL, S_TARGET, S_BARRIER, S_CHECK, S_WAIT, S_ASLEEP, S_AGAIN, S_IDLE };
/* A consumer: stores its cursor, then looks whether somebody waits for it. */
enum { R_STORE, R_LOOK, R_RING };

struct ring {
	int8_t published, cursor, target, bell;
};

static int min(int a, int b)
{
	return a < b ? a : b;
}

/* ---- two rings ---- */

struct process {
	int8_t pc, seen_bell, looks; /* looks: R_* of its consumer, when pc is S_IDLE */
	int8_t sent, received;
	bool exact, soft;
};

struct rings_world {
	struct ring ring[2]; /* process i is the producer of ring i */
	struct process process[2];
};

#define RC const struct rings_config *c

static bool fits(const struct ring *r, RC)
{
	return r->published - r->cursor < c->window;
}

/* What a process does next: the first sends as long as few are under way, the second answers. */
static bool wants_to_send(const struct process *me, int i, RC)
{
	if (i == 0)
		return me->sent < c->messages && me->sent - me->received < c->under_way;
	return me->sent < me->received;
}

static void choose_target(struct process *me, struct ring *r, RC)
{
	int need = r->published + 1 - c->window, more = min(need + c->more, r->published);

	me->exact = me->exact || c->ask == SPACE_EXACT || more <= need;
	r->target = (int8_t)(me->exact ? need : more);
}

static void wake(struct process *sleeper)
{
	if (sleeper->pc == S_ASLEEP)
		sleeper->pc = S_AGAIN;
}

static void send_step(struct explorer *x, const struct rings_world *s, RC, int i)
{
	static const char *const labels[2][9] = {
		{"A try", "A read bell", "A target", "A barrier", "A check", "A wait",
	         "A 1 ms over", "A look again", "A"},
		{"B try", "B read bell", "B target", "B barrier", "B check", "B wait",
	         "B 1 ms over", "B look again", "B"},
	};
	struct rings_world w = *s;
	struct process *me = &w.process[i];
	struct ring *r = &w.ring[i];

	switch (me->pc) {
	case S_TRY:
		me->pc = S_BELL;
		if (fits(r, c)) {
			r->published++;
			me->sent++;
			me->exact = false;
			me->pc = S_IDLE;
		}
		break;
	case S_CHECK:
		/* While it asks for more, the need alone does not keep it awake. */
		me->pc = (me->exact ? fits(r, c) : r->cursor >= r->target) ? S_AGAIN : S_WAIT;
		break;
	case S_BELL:
		me->seen_bell = r->bell;
		me->pc = S_TARGET;
		break;
	case S_TARGET:
		choose_target(me, r, c);
		me->pc = S_CHECK;
		break;
	case S_WAIT:
		me->pc = r->bell == me->seen_bell ? S_ASLEEP : S_AGAIN;
		break;
	case S_ASLEEP:
		if (me->exact || c->ask != SPACE_MORE_1_MS)
			return;
		me->exact = true;
		me->pc = S_AGAIN;
		break;
	case S_AGAIN:
		r->target = NOBODY;
		me->seen_bell = 0;
		me->pc = S_TRY;
		break;
	default:
		return;
	}
	if (me->pc != S_WAIT && me->pc != S_CHECK && me->pc != S_TARGET)
		me->seen_bell = 0;
	explore_emit(x, &w, labels[i][s->process[i].pc]);
}

static void receive_step(struct explorer *x, const struct rings_world *s, RC, int i)
{
	static const char *const labels[2][3] = {{"A release", "A look at target", "A ring"},
	                                         {"B release", "B look at target", "B ring"}};
	struct rings_world w = *s;
	struct process *me = &w.process[i];
	struct ring *r = &w.ring[1 - i];

	switch (me->looks) {
	case R_STORE:
		if (wants_to_send(me, i, c)) {
			me->pc = S_TRY;
			break;
		}
		if (r->published == r->cursor)
			return; /* sleeps; that it is woken is proved by the model of parking */
		r->cursor++;
		me->received++;
		me->looks = R_LOOK;
		break;
	case R_LOOK:
		me->looks = r->cursor - 1 < r->target && r->target <= r->cursor ? R_RING : R_STORE;
		break;
	default:
		r->bell++;
		wake(&w.process[1 - i]);
		me->looks = R_STORE;
		break;
	}
	explore_emit(x, &w, labels[i][s->process[i].looks]);
}

static void rings_next(struct explorer *x, const void *state, const void *config)
{
	const struct rings_world *s = state;

	for (int i = 0; i < 2; i++)
		if (s->process[i].pc == S_IDLE)
			receive_step(x, s, config, i);
		else
			send_step(x, s, config, i);
}

static bool rings_goal(const void *state, const void *config)
{
	const struct rings_world *w = state;
	RC = config;

	return w->process[0].received == c->messages;
}

void rings_explore(const struct rings_config *c, struct explore_result *result)
{
	struct explore_model model = {.size = sizeof(struct rings_world),
	                              .config = c,
	                              .next = rings_next,
	                              .goal = rings_goal};
	struct rings_world w;

	memset(&w, 0, sizeof(w));
	for (int i = 0; i < 2; i++) {
		w.ring[i] = (struct ring){.published = -1, .cursor = -1, .target = NOBODY};
		w.process[i].pc = S_IDLE;
	}
	explore(&model, &w, 2000000, result);
}

/* ---- one ring, two consumers with store buffers ---- */

struct releaser {
	int8_t pc, cursor, old; /* its own view; old: before the release under way */
	int8_t visible;         /* what others see of its cursor: one store may be buffered */
};

struct release_world {
	struct ring ring; /* cursor is not used */
	int8_t pc, seen_bell;
	struct releaser releaser[2];
};

#define LC const struct release_config *c

static bool has_room(const struct release_world *w, LC)
{
	return w->ring.published - min(w->releaser[0].visible, w->releaser[1].visible) < c->window;
}

static void sleeper(struct explorer *x, const struct release_world *s, LC)
{
	static const char *const labels[] = {"P publish", "P read bell", "P target",
	                                     "P barrier", "P check",     "P wait",
	                                     "P",         "P look again"};
	struct release_world w = *s;
	bool late = c->bug == RELEASE_TARGET_LATE;

	switch (s->pc) {
	case S_TRY:
		if (w.ring.published == c->messages - 1)
			return;
		if (has_room(&w, c))
			w.ring.published++;
		else
			w.pc = S_BELL;
		break;
	case S_BELL:
		w.seen_bell = w.ring.bell;
		w.pc = late ? S_BARRIER : S_TARGET;
		break;
	case S_TARGET:
		w.ring.target = (int8_t)(w.ring.published + 1 - c->window);
		w.pc = late ? S_WAIT : S_BARRIER;
		break;
	case S_BARRIER:
		for (int i = 0; i < 2 && c->bug != RELEASE_NO_BARRIER; i++)
			w.releaser[i].visible = w.releaser[i].cursor;
		w.pc = S_CHECK;
		break;
	case S_CHECK:
		w.pc = has_room(&w, c) ? S_AGAIN : late ? S_TARGET : S_WAIT;
		break;
	case S_WAIT:
		w.pc = w.ring.bell == w.seen_bell ? S_ASLEEP : S_AGAIN;
		w.seen_bell = 0;
		break;
	case S_AGAIN:
		w.ring.target = NOBODY;
		w.seen_bell = 0;
		w.pc = S_TRY;
		break;
	default:
		return;
	}
	explore_emit(x, &w, labels[s->pc]);
}

static bool rings_bell(const struct release_world *w, LC, int i)
{
	const struct releaser *me = &w->releaser[i];
	int8_t target = w->ring.target;

	if (c->bug == RELEASE_ONLY_AT)
		return me->cursor == target;
	if (!(me->old < target && target <= me->cursor))
		return false;
	return c->bug != RELEASE_LAST_RINGS || w->releaser[1 - i].visible >= target;
}

static void releaser(struct explorer *x, const struct release_world *s, LC, int i)
{
	static const char *const labels[2][3] = {{"A release", "A look at target", "A ring"},
	                                         {"B release", "B look at target", "B ring"}};
	struct release_world w = *s;
	struct releaser *me = &w.releaser[i];

	if (me->visible != me->cursor) {
		me->visible = me->cursor;
		explore_emit(x, &w, "a cursor comes out");
		w = *s;
	}
	switch (s->releaser[i].pc) {
	case R_STORE:
		if (me->visible != me->cursor)
			return;
		for (int n = 1; n <= c->batch && s->releaser[i].cursor + n <= w.ring.published;
		     n++) {
			me->old = s->releaser[i].cursor;
			me->cursor = (int8_t)(me->old + n);
			me->pc = R_LOOK;
			explore_emit(x, &w, labels[i][R_STORE]);
		}
		return;
	case R_LOOK:
		me->pc = rings_bell(&w, c, i) ? R_RING : R_STORE;
		break;
	default:
		me->visible = me->cursor;
		w.ring.bell++;
		if (w.pc == S_ASLEEP)
			w.pc = S_AGAIN;
		me->pc = R_STORE;
		break;
	}
	me->old = 0;
	explore_emit(x, &w, labels[i][s->releaser[i].pc]);
}

static void release_next(struct explorer *x, const void *state, const void *config)
{
	sleeper(x, state, config);
	releaser(x, state, config, 0);
	releaser(x, state, config, 1);
}

static bool release_goal(const void *state, const void *config)
{
	const struct release_world *w = state;
	LC = config;

	return w->ring.published == c->messages - 1;
}

void release_explore(const struct release_config *c, struct explore_result *result)
{
	struct explore_model model = {.size = sizeof(struct release_world),
	                              .config = c,
	                              .next = release_next,
	                              .goal = release_goal};
	struct release_world w;

	memset(&w, 0, sizeof(w));
	w.ring = (struct ring){.published = -1, .target = NOBODY};
	for (int i = 0; i < 2; i++)
		w.releaser[i].cursor = w.releaser[i].visible = -1;
	explore(&model, &w, 2000000, result);
}
