/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

struct origin {
	uint32_t parent;
	const char *label;
};

struct edge {
	uint32_t from, to;
};

struct explorer {
	const struct explore_model *model;
	unsigned char *states; /* in order of discovery: also the queue */
	struct origin *origins;
	uint32_t count, room, limit;
	uint32_t *table; /* index of a state, NONE: empty */
	size_t mask;
	struct edge *edges;
	size_t edge_count, edge_room;
	uint32_t current;
	bool overflow;
	struct explore_result *result;
};

static void *grown(void *old, size_t count, size_t size)
{
	void *p = realloc(old, count * size);

	if (!p) {
		perror("explore");
		abort();
	}
	return p;
}

static uint64_t hash_of(const unsigned char *p, size_t n)
{
	uint64_t h = 0x9e3779b97f4a7c15ull;

	for (; n >= 8; p += 8, n -= 8) {
		uint64_t w;

		memcpy(&w, p, 8);
		h = (h ^ w) * 0xff51afd7ed558ccdull;
		h ^= h >> 32;
	}
	while (n-- > 0)
		h = (h ^ *p++) * 0x100000001b3ull;
	h *= 0xc4ceb9fe1a85ec53ull;
	return h ^ h >> 29;
}

static void rehash(struct explorer *x)
{
	size_t size = x->model->size, slots = (x->mask + 1) * 2;

	x->table = grown(x->table, slots, sizeof(*x->table));
	memset(x->table, 0xff, slots * sizeof(*x->table));
	x->mask = slots - 1;
	for (uint32_t i = 0; i < x->count; i++) {
		size_t at = hash_of(x->states + i * size, size) & x->mask;

		while (x->table[at] != NONE)
			at = (at + 1) & x->mask;
		x->table[at] = i;
	}
}

/* The index of @state, which is added if it is new; NONE: no room. */
static uint32_t intern(struct explorer *x, const void *state, const char *label)
{
	size_t size = x->model->size;
	size_t at = hash_of(state, size) & x->mask;

	for (; x->table[at] != NONE; at = (at + 1) & x->mask)
		if (memcmp(x->states + x->table[at] * size, state, size) == 0)
			return x->table[at];
	if (x->count == x->limit) {
		x->overflow = true;
		return NONE;
	}
	if (x->count == x->room) {
		x->room *= 2;
		x->states = grown(x->states, x->room, size);
		x->origins = grown(x->origins, x->room, sizeof(*x->origins));
	}
	memcpy(x->states + x->count * size, state, size);
	x->origins[x->count] = (struct origin){.parent = x->current, .label = label};
	x->table[at] = x->count++;
	if ((size_t)x->count * 2 > x->mask)
		rehash(x);
	return x->count - 1;
}

static void report(struct explorer *x, uint32_t at, const char *last, const char *text)
{
	struct explore_result *r = x->result;
	uint32_t path[400], n = 0;
	size_t used = 0;

	snprintf(r->violation, sizeof(r->violation), "%s", text);
	for (; at != NONE && n < 400; at = x->origins[at].parent)
		path[n++] = at;
	while (n-- > 0 && used < sizeof(r->trace)) {
		const char *label = x->origins[path[n]].label;

		if (label)
			used += (size_t)snprintf(r->trace + used, sizeof(r->trace) - used, "%s; ",
			                         label);
	}
	if (last && used < sizeof(r->trace))
		snprintf(r->trace + used, sizeof(r->trace) - used, "%s", last);
}

void explore_emit(struct explorer *x, const void *state, const char *label)
{
	uint32_t to = intern(x, state, label);

	if (to == NONE || !x->model->goal)
		return;
	if (x->edge_count == x->edge_room) {
		x->edge_room *= 2;
		x->edges = grown(x->edges, x->edge_room, sizeof(*x->edges));
	}
	x->edges[x->edge_count++] = (struct edge){.from = x->current, .to = to};
}

void explore_violation(struct explorer *x, const char *label, const char *text)
{
	if (!x->result->violation[0])
		report(x, x->current, label, text);
}

/* Is a goal reachable from everywhere? Walks the edges backwards from the goals. */
static void check_goals(struct explorer *x)
{
	size_t size = x->model->size;
	uint32_t *first = calloc((size_t)x->count + 1, sizeof(*first));
	uint32_t *from = calloc(x->edge_count + 1, sizeof(*from));
	uint32_t *stack = calloc(x->count, sizeof(*stack)), depth = 0;
	bool *reached = calloc(x->count, sizeof(*reached));

	if (!first || !from || !stack || !reached)
		abort();
	for (size_t e = 0; e < x->edge_count; e++)
		first[x->edges[e].to]++;
	for (uint32_t i = 0, sum = 0; i <= x->count; i++) {
		sum += first[i];
		first[i] = sum;
	}
	for (size_t e = 0; e < x->edge_count; e++)
		from[--first[x->edges[e].to]] = x->edges[e].from;
	for (uint32_t i = 0; i < x->count; i++)
		if (x->model->goal(x->states + i * size, x->model->config)) {
			reached[i] = true;
			stack[depth++] = i;
		}
	while (depth > 0) {
		uint32_t i = stack[--depth];

		for (uint32_t e = first[i]; e < first[i + 1]; e++)
			if (!reached[from[e]]) {
				reached[from[e]] = true;
				stack[depth++] = from[e];
			}
	}
	for (uint32_t i = 0; i < x->count; i++)
		if (!reached[i]) {
			report(x, i, NULL, "stuck: nothing that can happen from here helps");
			break;
		}
	free(first);
	free(from);
	free(stack);
	free(reached);
}

void explore(const struct explore_model *model, const void *start, size_t limit,
             struct explore_result *result)
{
	struct explorer x = {.model = model, .result = result, .room = 1024, .current = NONE};

	memset(result, 0, sizeof(*result));
	x.limit = (uint32_t)limit;
	x.mask = 4095;
	x.table = grown(NULL, x.mask + 1, sizeof(*x.table));
	memset(x.table, 0xff, (x.mask + 1) * sizeof(*x.table));
	x.states = grown(NULL, x.room, model->size);
	x.origins = grown(NULL, x.room, sizeof(*x.origins));
	x.edge_room = 4096;
	x.edges = grown(NULL, x.edge_room, sizeof(*x.edges));
	intern(&x, start, NULL);
	for (uint32_t i = 0; i < x.count && !result->violation[0]; i++) {
		_Alignas(16) unsigned char state[256];
		const char *bad;

		/* A copy: the states may move when one is added. */
		memcpy(state, x.states + i * model->size, model->size);
		x.current = i;
		bad = model->check ? model->check(state, model->config) : NULL;
		if (bad)
			report(&x, i, NULL, bad);
		else
			model->next(&x, state, model->config);
	}
	result->states = x.count;
	result->complete = !x.overflow;
	if (model->goal && !result->violation[0] && !x.overflow)
		check_goals(&x);
	free(x.states);
	free(x.origins);
	free(x.table);
	free(x.edges);
}
