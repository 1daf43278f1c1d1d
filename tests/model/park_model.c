/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "park_model.h"

#include <string.h>

#define CONSUMERS 2
#define BUFFER 3

enum { P_PUBLISH, P_FENCE, P_LOOK, P_TAKE, P_BELL, P_WAKE, P_LATE_TAKE, P_DONE };
enum {
	C_POLL,
	C_READ_BELL,
	C_ANNOUNCE,
	C_BARRIER,
	C_CHECK,
	C_LATE_BELL,
	C_WAIT,
	C_ASLEEP,
	C_AGAIN,
	C_DONE
};

struct consumer {
	int8_t pc, read, bell;
};

struct park_world {
	int8_t published, flag, bell; /* shared; the flag and the bell only by atomic operations */
	int8_t p, sent, interrupts;
	int8_t pending; /* stores of published in the publisher's buffer, oldest first */
	int8_t buffer[BUFFER];
	struct consumer consumer[CONSUMERS];
};

#define C const struct park_config *c

static void drain_one(struct park_world *w)
{
	w->published = w->buffer[0];
	memmove(w->buffer, w->buffer + 1, BUFFER - 1);
	w->buffer[BUFFER - 1] = 0;
	w->pending--;
}

static void drain(struct park_world *w)
{
	while (w->pending > 0)
		drain_one(w);
}

static int after_publish(C)
{
	return c->fence == PARK_FULL || c->fence == PARK_UNREGISTERED ? P_FENCE : P_LOOK;
}

static int next_message(const struct park_world *w, C)
{
	return w->sent == c->messages ? P_DONE : P_PUBLISH;
}

static void wake_all(struct park_world *w, C)
{
	for (int i = 0; i < c->consumers; i++)
		if (w->consumer[i].pc == C_ASLEEP)
			w->consumer[i].pc = c->bug == PARK_INNER_LOOP ? C_AGAIN : C_POLL;
}

static void publisher(struct explorer *x, const struct park_world *s, C)
{
	static const char *const labels[] = {"P publish",       "P fence", "P look at flag",
	                                     "P take flag",     "P ring",  "P wake",
	                                     "P take flag late"};
	struct park_world w = *s;

	switch (s->p) {
	case P_PUBLISH:
		if (w.pending == BUFFER)
			return;
		w.buffer[w.pending++] = ++w.sent;
		w.p = (int8_t)after_publish(c);
		break;
	case P_FENCE:
		drain(&w);
		w.p = P_LOOK;
		break;
	case P_LOOK:
		w.p = (int8_t)next_message(&w, c);
		if (w.flag)
			w.p = c->bug == PARK_FLAG_LAST ? P_BELL : P_TAKE;
		break;
	case P_TAKE:
		drain(&w);
		w.p = (int8_t)(w.flag ? P_BELL : next_message(&w, c));
		w.flag = 0;
		break;
	case P_BELL:
		drain(&w);
		w.bell++;
		w.p = P_WAKE;
		break;
	case P_WAKE:
		wake_all(&w, c);
		w.p = (int8_t)(c->bug == PARK_FLAG_LAST ? P_LATE_TAKE : next_message(&w, c));
		break;
	case P_LATE_TAKE:
		w.flag = 0;
		w.p = (int8_t)next_message(&w, c);
		break;
	default:
		return;
	}
	explore_emit(x, &w, labels[s->p]);
}

static void check_again(struct park_world *w, C, struct consumer *k)
{
	k->pc = c->bug == PARK_LATE_BELL ? C_LATE_BELL : C_WAIT;
	if (w->published > k->read && c->bug != PARK_NO_CHECK) {
		k->pc = C_POLL;
		k->bell = 0;
	}
}

static void consumer(struct explorer *x, const struct park_world *s, C, int i)
{
	static const char *const labels[] = {"C poll",    "C read bell", "C announce",
	                                     "C barrier", "C check",     "C read bell",
	                                     "C wait",    "C interrupt", "C sleep again"};
	struct park_world w = *s;
	struct consumer *k = &w.consumer[i];

	switch (k->pc) {
	case C_POLL:
		k->bell = 0;
		if (w.published > k->read)
			k->read = w.published;
		else
			k->pc = c->bug == PARK_LATE_BELL ? C_ANNOUNCE : C_READ_BELL;
		if (k->read == c->messages)
			k->pc = C_DONE;
		break;
	case C_READ_BELL:
		k->bell = w.bell;
		k->pc = C_ANNOUNCE;
		break;
	case C_ANNOUNCE:
		w.flag = 1;
		k->pc = C_BARRIER;
		break;
	case C_BARRIER:
		if (c->fence == PARK_ASYM)
			drain(&w);
		k->pc = C_CHECK;
		break;
	case C_CHECK:
		check_again(&w, c, k);
		break;
	case C_LATE_BELL:
		k->bell = w.bell;
		k->pc = C_WAIT;
		break;
	case C_WAIT:
		k->pc = w.bell == k->bell ? C_ASLEEP : C_POLL;
		if (k->pc == C_POLL && c->bug == PARK_INNER_LOOP)
			k->pc = C_AGAIN;
		break;
	case C_ASLEEP:
		if (w.interrupts == c->interrupts)
			return;
		w.interrupts++;
		k->pc = c->bug == PARK_INNER_LOOP ? C_AGAIN : C_POLL;
		break;
	case C_AGAIN:
		/* Looks, finds nothing, and waits for the bell as it is now. */
		k->bell = w.bell;
		k->pc = w.published > k->read ? C_POLL : C_WAIT;
		break;
	default:
		return;
	}
	explore_emit(x, &w, labels[s->consumer[i].pc]);
}

static void next(struct explorer *x, const void *state, const void *config)
{
	const struct park_world *s = state;
	C = config;
	struct park_world w = *s;

	publisher(x, s, c);
	for (int i = 0; i < c->consumers; i++)
		consumer(x, s, c, i);
	if (w.pending > 0) {
		drain_one(&w);
		explore_emit(x, &w, "P's store comes out");
	}
}

static bool goal(const void *state, const void *config)
{
	const struct park_world *w = state;
	C = config;

	for (int i = 0; i < c->consumers; i++)
		if (w->consumer[i].pc != C_DONE)
			return false;
	return true;
}

void park_explore(const struct park_config *c, struct explore_result *result)
{
	struct explore_model model = {
		.size = sizeof(struct park_world), .config = c, .next = next, .goal = goal};
	struct park_world w;

	memset(&w, 0, sizeof(w));
	explore(&model, &w, 2000000, result);
}
