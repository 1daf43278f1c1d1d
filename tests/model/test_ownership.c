/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Eviction and the removal of files, in every interleaving, with and without what makes them safe. */
#include "explore.h"
#include "verdict.h"

#include <string.h>

static struct explore_result result;

/* ---- evict: the flag must say whom it means ---- */

struct evict_config {
	bool boolean; /* the mark is one, not a generation */
	bool resumed; /* the first owner dies and the second resumes its active entry */
	bool renewed; /* ... under a generation of its own */
};

struct evict_world {
	int8_t gating;       /* the entry gates */
	int8_t generation;   /* of the entry: 1 the first owner's, 2 the second's */
	int8_t flag;         /* the mark in the consumer's line; a boolean counts as 1 */
	int8_t evictor, own; /* own: 1 and 2, owner of that generation; 0 nobody */
	int8_t evicted;      /* the generation whose eviction succeeded */
};

static void evictor(struct explorer *x, const struct evict_world *s)
{
	struct evict_world w = *s;

	switch (s->evictor) {
	case 0: /* sees generation 1 gate */
		w.evictor = s->gating && s->generation == 1 ? 1 : 9;
		break;
	case 1:
		w.flag = 1;
		w.evictor = 2;
		break;
	case 2: /* compare-and-swap */
		if (s->gating && s->generation == 1) {
			w.gating = 0;
			w.evicted = 1;
		}
		w.evictor = 9;
		break;
	default:
		return;
	}
	explore_emit(x, &w, "evictor");
}

static void evict_next(struct explorer *x, const void *state, const void *config)
{
	const struct evict_world *s = state;
	const struct evict_config *c = config;
	struct evict_world w = *s;

	evictor(x, s);
	if (s->evictor == 2) {
		w.evictor = 9;
		explore_emit(x, &w, "evictor dies behind its mark");
		w = *s;
	}
	if (s->own == 1) {
		w.gating = c->resumed ? s->gating : 0;
		w.own = 0;
		explore_emit(x, &w, c->resumed ? "first owner dies" : "first owner leaves");
	} else if (s->own == 0) {
		w.own = 2;
		if (!c->resumed || c->renewed || !s->gating)
			w.generation = 2;
		w.gating = 1;
		if (c->boolean)
			w.flag = 0;
		explore_emit(x, &w, "second owner joins");
	}
}

static const char *evict_check(const void *state, const void *config)
{
	const struct evict_world *w = state;
	const struct evict_config *c = config;
	bool told = c->boolean ? w->flag != 0 : w->flag >= w->generation;

	if (w->own == 2 && told && w->evictor == 9 && w->evicted != w->generation)
		return "a consumer that was not evicted is told so";
	return NULL;
}

static void evict(struct evict_config config)
{
	struct explore_model model = {.size = sizeof(struct evict_world),
	                              .config = &config,
	                              .next = evict_next,
	                              .check = evict_check};
	struct evict_world w = {.gating = 1, .generation = 1, .own = 1};

	explore(&model, &w, 10000, &result);
}

Test(model, eviction_marked_with_its_generation_hits_only_whom_it_means)
{
	evict((struct evict_config){0});
	expect_sound(&result, "evict");
}

Test(model, eviction_hits_nobody_who_resumes_a_place_under_a_generation_of_its_own)
{
	evict((struct evict_config){.resumed = true, .renewed = true});
	expect_sound(&result, "evict and resume");
}

Test(model, eviction_is_found_to_hit_who_resumes_a_place_under_its_old_generation)
{
	evict((struct evict_config){.resumed = true});
	expect_broken(&result, "told so");
}

Test(model, eviction_marked_with_a_boolean_is_found_to_hit_the_next_owner)
{
	evict((struct evict_config){.boolean = true});
	expect_broken(&result, "told so");
}

/* ---- gc: a data file without a control file may be one of a ring about to appear ---- */

struct gc_config {
	bool lock, look_again;
};

struct gc_world {
	int8_t creator; /* 0 nothing, 1 data linked, 2 control linked too, 3 dead before that */
	int8_t data, control, locked;
	int8_t gc, saw_control;
};

static void gc_step(struct explorer *x, const struct gc_world *s, const struct gc_config *c)
{
	struct gc_world w = *s;

	switch (s->gc) {
	case 0:
		w.saw_control = s->control;
		w.gc = 1;
		break;
	case 1: /* lists the data files, and tries the lock of one nobody seems to need */
		w.gc = s->data && !s->saw_control && !(c->lock && s->locked) ? 2 : 9;
		break;
	case 2:
		w.gc = c->look_again && s->control ? 9 : 3;
		break;
	case 3:
		w.data = 0;
		w.gc = 9;
		break;
	default:
		return;
	}
	explore_emit(x, &w, "gc");
}

static void gc_next(struct explorer *x, const void *state, const void *config)
{
	const struct gc_world *s = state;
	struct gc_world w = *s;

	gc_step(x, s, config);
	if (s->creator == 0) {
		w.creator = w.data = w.locked = 1;
		explore_emit(x, &w, "data linked");
	} else if (s->creator == 1) {
		w.creator = 2;
		w.control = 1;
		explore_emit(x, &w, "control linked");
		w = *s;
		w.creator = 3;
		w.locked = 0;
		explore_emit(x, &w, "creator dies");
	}
}

static const char *gc_check(const void *state, const void *config)
{
	const struct gc_world *w = state;

	(void)config;
	return w->control && !w->data ? "a visible ring has no data" : NULL;
}

/* What a dead creator left is removed, if gc comes after it. */
static bool gc_goal(const void *state, const void *config)
{
	const struct gc_world *w = state;

	(void)config;
	return w->gc == 9;
}

static void gc(bool lock, bool look_again)
{
	struct gc_config config = {.lock = lock, .look_again = look_again};
	struct explore_model model = {.size = sizeof(struct gc_world),
	                              .config = &config,
	                              .next = gc_next,
	                              .check = gc_check,
	                              .goal = gc_goal};
	struct gc_world w = {0};

	explore(&model, &w, 10000, &result);
}

Test(model, gc_that_locks_the_data_file_leaves_a_ring_that_is_being_made_alone)
{
	gc(true, true);
	expect_sound(&result, "gc");
}

Test(model, gc_without_the_lock_is_found_to_take_the_data_of_a_new_ring)
{
	gc(false, false);
	expect_broken(&result, "no data");
}

Test(model, gc_that_only_looks_again_is_found_to_take_the_data_of_a_new_ring)
{
	gc(false, true);
	expect_broken(&result, "no data");
}
