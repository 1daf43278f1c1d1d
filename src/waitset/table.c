/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Sources by id. An id is a slot of the table and how often the slot was used; freed slots wait in a queue
 * that is never shorter than a few, so that an id comes again only after many others.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "waitset/set.h"

#define SLOT_BITS 17
#define SLOT_MASK ((1u << SLOT_BITS) - 1)
#define GENERATIONS (1u << (31 - SLOT_BITS))
#define SPARE 8 /* times GENERATIONS is more than 65,536 */

static_assert(MYE_SET_MAX + SPARE <= SLOT_MASK, "the slots fit an id");
static_assert(SPARE * GENERATIONS > 65536, "an id comes again only after 65,536 others");

struct mye_source *mye_source_of(const struct myelon_waitset *ws, int64_t id)
{
	struct mye_source *s;

	if (id < 0 || id > INT32_MAX || ((uint32_t)id & SLOT_MASK) >= ws->slot_count)
		return NULL;
	s = ws->slots[(uint32_t)id & SLOT_MASK].source;
	return s && s->id == id ? s : NULL;
}

/* @return room for one more, or NULL. */
static void *grown(void *list, uint32_t count, uint32_t *room, size_t each)
{
	uint32_t more = *room ? *room * 2 : 16;

	if (count < *room)
		return list;
	list = reallocarray(list, more, each);
	if (list)
		*room = more;
	return list;
}

static int slot_take(struct myelon_waitset *ws, uint32_t *slot)
{
	struct mye_slot *slots;

	if (ws->free_count > SPARE) {
		*slot = ws->free_first;
		ws->free_first = ws->slots[*slot].next_free;
		ws->free_count--;
		return 0;
	}
	slots = grown(ws->slots, ws->slot_count, &ws->slot_room, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	ws->slots = slots;
	*slot = ws->slot_count++;
	slots[*slot] = (struct mye_slot){.source = NULL};
	return 0;
}

static void slot_give(struct myelon_waitset *ws, uint32_t slot)
{
	struct mye_slot *s = &ws->slots[slot];

	s->source = NULL;
	s->generation = (s->generation + 1) % GENERATIONS;
	if (ws->free_count++)
		ws->slots[ws->free_last].next_free = slot;
	else
		ws->free_first = slot;
	ws->free_last = slot;
}

struct mye_source *mye_source_new(struct myelon_waitset *ws, uint32_t kind, myelon_event_fn fn,
                                  void *user, int *error)
{
	struct mye_source *s;
	uint32_t slot;

	if (ws->sources >= MYE_SET_MAX) {
		*error = mye_fail(-ENOSPC, "the wait set has %u sources, no more fit", ws->sources);
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s || slot_take(ws, &slot) < 0) {
		free(s);
		*error = mye_fail_static(-ENOMEM, "no memory for one more source of the wait set");
		return NULL;
	}
	s->set = ws;
	s->kind = kind;
	s->fn = fn;
	s->user = user;
	s->id = (int32_t)(ws->slots[slot].generation << SLOT_BITS | slot);
	ws->slots[slot].source = s;
	ws->sources++;
	return s;
}

void mye_source_free(struct mye_source *s)
{
	slot_give(s->set, (uint32_t)s->id & SLOT_MASK);
	s->set->sources--;
	free(s);
}

int mye_sources_add(struct mye_sources *list, struct mye_source *s)
{
	struct mye_source **at =
		grown(list->at, list->count, &list->room, sizeof(struct mye_source *));

	if (!at)
		return mye_fail_static(-ENOMEM, "no memory for one more source of the wait set");
	list->at = at;
	s->place = list->count;
	at[list->count++] = s;
	return 0;
}

void mye_sources_remove(struct mye_sources *list, struct mye_source *s)
{
	struct mye_source *last = list->at[--list->count];

	list->at[s->place] = last;
	last->place = s->place;
}

void mye_batch_add(struct mye_batch *b, const struct mye_source *s, int32_t result, uint32_t events,
                   uint64_t count)
{
	b->event[b->n++] = (struct myelon_event){
		.id = s->id,
		.kind = s->kind,
		.result = result,
		.events = events,
		.count = count,
		.user = s->user,
	};
}
