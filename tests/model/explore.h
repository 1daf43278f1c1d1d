/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Explicit-state exploration, breadth first, so that the first counterexample is a shortest one. A
 * model is a plain struct without padding between its values (or with padding zeroed), a function that
 * emits every successor, and what must hold in each state.
 */
#ifndef MYELON_TEST_EXPLORE_H
#define MYELON_TEST_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct explorer;

struct explore_model {
	size_t size; /* bytes of a state */
	const void *config;
	void (*next)(struct explorer *x, const void *state, const void *config);
	/* What is violated in @state, or NULL. */
	const char *(*check)(const void *state, const void *config);
	/* From every state one of these must be reachable (no deadlock, no livelock). NULL: not asked. */
	bool (*goal)(const void *state, const void *config);
};

struct explore_result {
	size_t states;
	bool complete;       /* false: more than the limit, nothing is proved */
	char violation[128]; /* "": none */
	char trace[6000];    /* the steps that lead there */
};

/* Explores from @start; at most @limit states. */
void explore(const struct explore_model *model, const void *start, size_t limit,
             struct explore_result *result);

/* From next(): a successor; @label is a string that lives on. */
void explore_emit(struct explorer *x, const void *state, const char *label);

/* From next(): the step @label violates @text. */
void explore_violation(struct explorer *x, const char *label, const char *text);

#endif
