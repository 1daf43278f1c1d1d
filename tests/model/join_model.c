/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "join_model.h"

#include <string.h>

#define SLOTS_MAX 8
#define BUFFER 4
#define INF 127
#define NO_RESUME (-2)
#define HOLD 2 /* index of its entry */
#define STATES_MAX 6000000

enum { FREE, JOINING, ACTIVE, RELEASED, HOLDING };

/* What the producer does next. */
enum {
	P_CLAIM,
	P_GEN,
	P_LIST,
	P_END_HOLD,
	P_RAISE,
	P_REGEN,
	P_CURSORS,
	P_ANNOUNCE,
	P_VERIFY,
	P_WRITE,
	P_PUBLISH,
	P_BLOCKED,
	P_DONE
};

/* What the joiner does next. */
enum {
	J_TAKE,
	J_PROVISIONAL,
	J_JOINING,
	J_GEN,
	J_CEILING,
	J_PUBLISHED,
	J_HOLD,
	J_RAISE,
	J_ACTIVE,
	J_TELL,
	J_READ,
	J_LEFT,
	J_GONE
};

enum { X_READ, X_LEFT, X_GONE };

enum { ST_CEILING, ST_SLOT, ST_PUBLISHED, ST_CURSOR, ST_STATE, ST_GEN };

struct store {
	int8_t what, value;
};

struct buffer {
	int8_t n;
	struct store store[BUFFER];
};

struct entry {
	int8_t state, cursor, resume;
};

struct world {
	/* shared */
	int8_t ceiling, published, gen;
	int8_t slot[SLOTS_MAX];
	struct entry entry[3];
	/* the producer */
	int8_t p, next, limit, gate, known_ceiling, list_gen, now, minimum, k, list;
	bool listed, whole, final, holding;
	int8_t active, written, p_deaths;
	/* the joiner */
	int8_t j, j_ceiling, j_published, wanted, stored, j_deaths, j_leaves;
	bool known;
	/* the other */
	int8_t x;
	struct buffer pb, jb;
};

#define C const struct join_config *c

static int max(int a, int b)
{
	return a > b ? a : b;
}

static int min(int a, int b)
{
	return a < b ? a : b;
}

static int joiner_entry(C)
{
	return c->reuse ? 0 : 1;
}

/* ---- shared stores, perhaps through a buffer ---- */

static void perform(struct world *w, C, struct store s)
{
	struct entry *e = &w->entry[joiner_entry(c)];

	switch (s.what) {
	case ST_CEILING:
		w->ceiling = s.value;
		break;
	case ST_SLOT:
		w->slot[s.value % c->slots] = s.value;
		break;
	case ST_PUBLISHED:
		w->published = s.value;
		break;
	case ST_CURSOR:
		e->cursor = s.value;
		break;
	case ST_STATE:
		e->state = s.value;
		break;
	default:
		w->gen = s.value;
		break;
	}
}

static void store(struct world *w, C, struct buffer *b, int what, int value)
{
	struct store s = {.what = (int8_t)what, .value = (int8_t)value};

	if (c->buffers)
		b->store[b->n++] = s;
	else
		perform(w, c, s);
}

static bool drain_one(struct world *w, C, struct buffer *b)
{
	if (b->n == 0)
		return false;
	perform(w, c, b->store[0]);
	b->n--;
	memmove(b->store, b->store + 1, sizeof(b->store) - sizeof(b->store[0]));
	memset(&b->store[BUFFER - 1], 0, sizeof(b->store[0]));
	return true;
}

static void drain(struct world *w, C, struct buffer *b)
{
	while (drain_one(w, c, b))
		;
}

/* ---- the producer ---- */

static int need_of(const struct world *w, C)
{
	return w->next + min(c->claim, c->total - w->next) - 1;
}

static void adopt(struct world *w, C)
{
	int to = c->bug == JOIN_NO_CEILING ? w->gate : min(w->gate, w->known_ceiling);

	w->limit = (int8_t)max(w->limit, to);
	w->written = 0;
	w->whole = w->final = false;
	w->p = w->limit >= need_of(w, c) ? P_WRITE : P_BLOCKED;
}

/* After a scan, or without one: announce if that is needed. */
static void go_on(struct world *w, C)
{
	if (w->gate < need_of(w, c)) {
		w->whole = w->final = false;
		w->p = P_BLOCKED;
	} else if (!w->final && (w->known_ceiling < need_of(w, c) || c->bug == JOIN_NO_CEILING)) {
		w->p = P_ANNOUNCE;
	} else {
		adopt(w, c);
	}
}

static void claim(struct world *w, C, bool whole)
{
	w->final = false;
	w->whole = whole;
	if (w->next >= c->total) {
		w->p = P_DONE;
	} else if (w->limit >= need_of(w, c)) {
		w->written = 0;
		w->p = P_WRITE;
	} else if (whole || !w->listed || w->gate < need_of(w, c)) {
		w->p = P_GEN;
	} else {
		go_on(w, c);
	}
}

static void begin_list(struct world *w)
{
	w->list = 0;
	w->holding = false;
	w->active = 0;
	w->k = 0;
	w->p = P_LIST;
}

static void begin_cursors(struct world *w)
{
	w->k = 0;
	w->minimum = INF;
	w->p = P_CURSORS;
}

static int hold_need(C)
{
	return c->other ? 2 : 1;
}

static void list_one(struct world *w, C)
{
	int8_t state = w->entry[w->k].state;

	if (state == JOINING || state == ACTIVE || state == HOLDING) {
		w->list |= (int8_t)(1 << w->k);
		w->active += state == ACTIVE;
		w->holding |= state == HOLDING;
	}
	if (++w->k <= HOLD)
		return;
	w->list_gen = w->now;
	w->now = 0;
	w->listed = true;
	if (w->holding && w->active >= hold_need(c))
		w->p = P_END_HOLD;
	else
		begin_cursors(w);
}

static void end_scan(struct world *w, C)
{
	if (!(c->bug == JOIN_STALE_GATE && w->final)) {
		if (w->minimum != INF)
			w->gate = (int8_t)(w->minimum + c->window);
		else if (c->overwrite)
			w->gate = (int8_t)(w->next - 1 + c->window);
	}
	w->minimum = w->k = 0; /* what is not used any more must not tell states apart */
	go_on(w, c);
}

/* @return false: a cursor is out of range. */
static bool read_one(struct world *w, C)
{
	bool good = true;

	if (w->list & 1 << w->k) {
		int8_t cursor = w->entry[w->k].cursor;

		good = cursor >= -1 && cursor < w->next;
		w->minimum = (int8_t)min(w->minimum, cursor);
	}
	if (++w->k > HOLD)
		end_scan(w, c);
	return good;
}

static void announce(struct world *w, C)
{
	int want = max(w->known_ceiling + c->step, need_of(w, c));

	if (c->bug != JOIN_BEYOND_GATE)
		want = min(want, w->gate);
	if (c->bug != JOIN_NO_CEILING && want > w->known_ceiling) {
		w->known_ceiling = (int8_t)want;
		store(w, c, &w->pb, ST_CEILING, want);
	}
	w->p = P_VERIFY;
}

/* @return false: the fence waits for the buffer. */
static bool verify(struct world *w, C)
{
	if (w->pb.n > 0 && c->bug != JOIN_NO_PRODUCER_FENCE)
		return false;
	if (w->gen == w->list_gen || c->bug == JOIN_NO_RECHECK) {
		adopt(w, c);
	} else {
		w->final = w->whole = true;
		w->p = P_GEN;
	}
	return true;
}

static void write_one(struct world *w, C)
{
	store(w, c, &w->pb, ST_SLOT, w->next + w->written);
	if (w->next + ++w->written > need_of(w, c))
		w->p = P_PUBLISH;
}

static void publish(struct world *w, C)
{
	w->next = (int8_t)(need_of(w, c) + 1);
	w->written = 0;
	store(w, c, &w->pb, ST_PUBLISHED, w->next - 1);
	w->p = P_CLAIM;
}

/* mye_gate_reset() of a successor, which comes when the lock is free and all stores are out. */
static void take_over(struct world *w, C)
{
	drain(w, c, &w->pb);
	w->p_deaths++;
	w->next = (int8_t)(w->published + 1);
	w->known_ceiling = w->ceiling;
	w->gate = (int8_t)max(w->ceiling, c->window - 1);
	w->limit = (int8_t)(c->bug == JOIN_CEILING_AFTER_RESET ? w->ceiling : w->next - 1);
	w->listed = w->final = w->whole = w->holding = false;
	w->list_gen = w->now = w->minimum = w->k = w->list = w->active = w->written = 0;
	w->p = P_CLAIM;
}

static const char *const producer_labels[] = {
	"P claim",     "P read generation", "P read state",  "P end hold",
	"P raise gen", "P read generation", "P read cursor", "P announce",
	"P check gen", "P write",           "P publish",     "P look again",
};

static void producer(struct explorer *x, const struct world *s, C)
{
	struct world w = *s;
	const char *label = producer_labels[s->p == P_DONE ? 0 : s->p];

	if (w.pb.n == BUFFER && (w.p == P_ANNOUNCE || w.p == P_WRITE || w.p == P_PUBLISH))
		return;
	switch (s->p) {
	case P_CLAIM:
		claim(&w, c, false);
		break;
	case P_GEN:
		if (w.whole || !w.listed || w.gen != w.list_gen) {
			w.now = w.gen;
			begin_list(&w);
		} else {
			begin_cursors(&w);
		}
		break;
	case P_LIST:
		list_one(&w, c);
		break;
	case P_END_HOLD:
		w.entry[HOLD].state = FREE;
		w.p = P_RAISE;
		break;
	case P_RAISE:
		w.gen++;
		w.p = P_REGEN;
		break;
	case P_REGEN:
		w.now = w.gen;
		begin_list(&w);
		break;
	case P_CURSORS:
		if (!read_one(&w, c)) {
			explore_violation(x, label,
			                  "a cursor in order was taken for a corrupt one");
			return;
		}
		break;
	case P_ANNOUNCE:
		announce(&w, c);
		break;
	case P_VERIFY:
		if (!verify(&w, c))
			return;
		break;
	case P_WRITE:
		write_one(&w, c);
		break;
	case P_PUBLISH:
		publish(&w, c);
		break;
	case P_BLOCKED:
		claim(&w, c, false);
		explore_emit(x, &w, label);
		w = *s;
		claim(&w, c, true);
		break;
	default:
		return;
	}
	explore_emit(x, &w, label);
}

/* ---- the joiner ---- */

/* Reads the entry it now owns, and where the producer is. */
static void j_take(struct world *w, C)
{
	struct entry *e = &w->entry[joiner_entry(c)];

	w->j_ceiling = c->bug == JOIN_NO_CEILING ? w->published : w->ceiling;
	w->known = e->state != FREE;
	if (e->state == ACTIVE) {
		w->j = J_TELL;
	} else if (e->state == JOINING && c->bug == JOIN_RESUME_JOINING) {
		e->state = ACTIVE;
		w->j = J_TELL;
	} else if (c->bug == JOIN_CURSOR_AFTER_STATE) {
		w->j = J_JOINING;
	} else {
		w->j = J_PROVISIONAL;
	}
	if (e->state == RELEASED && c->reuse && w->j_leaves == 0) {
		/* The place of another id: nothing of it is inherited. */
		e->state = FREE;
		e->resume = NO_RESUME;
		w->known = false;
	}
}

static void j_provisional(struct world *w, C)
{
	const struct entry *e = &w->entry[joiner_entry(c)];
	int cursor = max(-1, w->j_ceiling - c->window);

	if (e->state == JOINING && c->bug != JOIN_CURSOR_AFTER_STATE)
		cursor = max(cursor, e->cursor);
	w->stored = (int8_t)cursor;
	store(w, c, &w->jb, ST_CURSOR, cursor);
	w->j = c->bug == JOIN_CURSOR_AFTER_STATE ? J_CEILING : J_JOINING;
}

static void j_forget(struct world *w)
{
	w->j_ceiling = w->j_published = w->wanted = w->stored = 0;
	w->known = false;
}

static int oldest_of(const struct world *w, C)
{
	return max(w->j_ceiling - c->window + 1, 0);
}

static void j_choose(struct world *w, C)
{
	const struct entry *e = &w->entry[joiner_entry(c)];

	w->wanted = (int8_t)(w->j_published + 1);
	if (c->start == JOIN_DEFAULT && w->known && e->resume >= -1 && e->resume <= w->j_published)
		w->wanted = (int8_t)(e->resume + 1);
	else if (c->start == JOIN_OLDEST ||
	         (c->start == JOIN_DEFAULT && w->entry[HOLD].state == HOLDING))
		w->wanted = (int8_t)oldest_of(w, c);
	w->j = J_RAISE;
}

static void j_step(struct world *w, C)
{
	struct entry *e = &w->entry[joiner_entry(c)];

	switch (w->j) {
	case J_TAKE:
		j_take(w, c);
		break;
	case J_PROVISIONAL:
		j_provisional(w, c);
		break;
	case J_JOINING:
		store(w, c, &w->jb, ST_STATE, JOINING);
		w->j = J_GEN;
		break;
	case J_GEN:
		store(w, c, &w->jb, ST_GEN, w->gen + 1);
		w->j = c->bug == JOIN_CURSOR_AFTER_STATE ? J_PROVISIONAL : J_CEILING;
		break;
	case J_CEILING:
		w->j_ceiling = c->bug == JOIN_NO_CEILING ? w->published : w->ceiling;
		w->j = J_PUBLISHED;
		break;
	case J_PUBLISHED:
		w->j_published = w->published;
		w->j = J_HOLD;
		break;
	case J_HOLD:
		j_choose(w, c);
		break;
	case J_RAISE:
		w->stored = (int8_t)(max(max(w->wanted, oldest_of(w, c)), w->stored + 1) - 1);
		store(w, c, &w->jb, ST_CURSOR, w->stored);
		w->j = J_ACTIVE;
		break;
	case J_ACTIVE:
		store(w, c, &w->jb, ST_STATE, ACTIVE);
		w->j = J_TELL;
		break;
	case J_TELL:
		if (!c->buffers)
			w->gen++;
		j_forget(w);
		w->j = J_READ;
		break;
	case J_LEFT:
		w->gen++;
		w->j = w->j_leaves < c->joiner_leaves ? J_TAKE : J_GONE;
		w->j_leaves++;
		break;
	default:
		e->cursor++;
		break;
	}
}

static const char *const joiner_labels[] = {
	"J take",         "J provisional cursor", "J joining",      "J raise gen",
	"J read ceiling", "J read published",     "J read hold",    "J cursor",
	"J active",       "J raise gen",          "J read message", "J raise gen",
};

static bool joiner_may_step(const struct world *w, C)
{
	switch (w->j) {
	case J_TAKE:
		return (!c->reuse || w->x == X_GONE) && w->jb.n == 0;
	case J_PROVISIONAL:
	case J_JOINING:
	case J_GEN:
	case J_RAISE:
	case J_ACTIVE:
		return w->jb.n < BUFFER;
	case J_CEILING:
		return w->jb.n == 0 || c->bug == JOIN_NO_JOINER_FENCE;
	case J_READ:
		return w->jb.n == 0 && w->entry[joiner_entry(c)].cursor < w->published;
	case J_GONE:
		return false;
	default:
		return true;
	}
}

static void joiner(struct explorer *x, const struct world *s, C)
{
	struct world w = *s;
	struct entry *e = &w.entry[joiner_entry(c)];

	if (joiner_may_step(s, c)) {
		j_step(&w, c);
		if (c->hold && s->j == J_RAISE && s->j_leaves == 0 && w.stored != -1)
			explore_violation(x, joiner_labels[s->j], "a message of the hold is lost");
		explore_emit(x, &w, joiner_labels[s->j]);
	}
	if (s->j == J_READ && s->jb.n == 0 && s->j_leaves <= c->joiner_leaves &&
	    c->joiner_leaves > 0) {
		w = *s;
		e->resume = e->cursor;
		e->state = RELEASED;
		w.j = J_LEFT;
		explore_emit(x, &w, "J leave");
	}
	if (s->j != J_TAKE && s->j != J_GONE && s->j_deaths < c->joiner_deaths) {
		w = *s;
		drain(&w, c, &w.jb);
		j_forget(&w);
		if (s->j == J_LEFT)
			w.j_leaves++;
		w.j_deaths++;
		w.j = w.j_leaves <= c->joiner_leaves ? J_TAKE : J_GONE;
		explore_emit(x, &w, "J dies");
	}
}

/* ---- the other consumer ---- */

static void other(struct explorer *x, const struct world *s, C)
{
	struct world w = *s;

	if (s->x == X_READ && s->entry[0].cursor < s->published) {
		w.entry[0].cursor++;
		explore_emit(x, &w, "X read message");
	}
	if (s->x == X_READ && c->other_detaches) {
		w = *s;
		w.entry[0].resume = w.entry[0].cursor;
		w.entry[0].state = RELEASED;
		w.x = X_LEFT;
		explore_emit(x, &w, "X leave");
	}
	if (s->x == X_LEFT) {
		w = *s;
		w.x = X_GONE;
		explore_emit(x, &w, "X dies while leaving");
		w.gen++;
		explore_emit(x, &w, "X raise gen");
	}
}

static void next(struct explorer *x, const void *state, const void *config)
{
	const struct world *s = state;
	C = config;
	struct world w = *s;

	producer(x, s, c);
	if (s->p_deaths < c->producer_deaths && s->p != P_DONE) {
		take_over(&w, c);
		explore_emit(x, &w, "P dies, another comes");
		w = *s;
	}
	joiner(x, s, c);
	other(x, s, c);
	if (drain_one(&w, c, &w.pb))
		explore_emit(x, &w, "P's store comes out");
	w = *s;
	if (drain_one(&w, c, &w.jb))
		explore_emit(x, &w, "J's store comes out");
}

static const char *check(const void *state, const void *config)
{
	const struct world *w = state;
	C = config;

	for (int i = 0; i < HOLD; i++)
		for (int q = w->entry[i].cursor + 1;
		     w->entry[i].state == ACTIVE && q <= w->published; q++)
			if (w->slot[q % c->slots] != q)
				return "an active consumer has a message that was overwritten";
	for (int q = max(w->ceiling - c->slots + 1, 0);
	     c->bug != JOIN_NO_CEILING && q <= w->published; q++)
		if (w->slot[q % c->slots] != q)
			return "an observer takes an overwritten slot for an intact one";
	return NULL;
}

/* All is published; or nobody will ever gate again and the producer may not go on alone. */
static bool goal(const void *state, const void *config)
{
	const struct world *w = state;
	C = config;

	return w->published == c->total - 1 ||
	       (!c->overwrite && w->j == J_GONE && w->x == X_GONE && w->p == P_BLOCKED);
}

void join_explore(const struct join_config *c, struct explore_result *result)
{
	struct explore_model model = {.size = sizeof(struct world),
	                              .config = c,
	                              .next = next,
	                              .check = check,
	                              .goal = goal};
	struct world w;

	memset(&w, 0, sizeof(w));
	memset(w.slot, -1, sizeof(w.slot));
	w.ceiling = w.published = w.known_ceiling = w.limit = -1;
	w.gate = (int8_t)(c->window - 1);
	for (int i = 0; i <= HOLD; i++)
		w.entry[i] = (struct entry){.state = FREE, .cursor = -1, .resume = NO_RESUME};
	if (c->other)
		w.entry[0].state = ACTIVE;
	else
		w.x = X_GONE;
	if (c->hold)
		w.entry[HOLD].state = HOLDING;
	explore(&model, &w, STATES_MAX, result);
}
