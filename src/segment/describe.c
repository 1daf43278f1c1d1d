/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the words of a ring say, checked on the way out: they may be anything. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "segment/control.h"
#include "segment/data.h"

#define TRIES 3 /* to find a state and its lock as they were at one time */

static int64_t load_published(const struct mye_segment *seg)
{
	/* Acquire: pairs with the release store of publish; cursors loaded later are as new. */
	int64_t published = __atomic_load_n(&seg->producer->hot.published, __ATOMIC_ACQUIRE);

	return published < -1 ? -1 : published;
}

static int64_t load_cursor(const struct mye_entry *e, int64_t published)
{
	int64_t cursor = __atomic_load_n(&e->hot.cursor, __ATOMIC_RELAXED);

	return cursor < -1 ? -1 : cursor > published ? published : cursor;
}

static uint64_t load_state(const struct mye_entry *e)
{
	/* Acquire: pairs with the compare-and-swap that set the state; the entry's text is its. */
	return __atomic_load_n(&e->slow.state, __ATOMIC_ACQUIRE);
}

static bool gating(uint64_t state)
{
	return MYE_STATE_OF(state) == MYE_ENTRY_JOINING || MYE_STATE_OF(state) == MYE_ENTRY_ACTIVE;
}

/*
 * A word as it is in the file, after its lock was found free: what we look at may be a copy from before
 * its owner left in order. @return false: it cannot be read.
 */
static bool read_again(const struct mye_segment *seg, void *word, size_t bytes, uint64_t offset)
{
	return mye_read_at(seg->control_fd, word, bytes, offset) == (ssize_t)bytes;
}

static uint32_t producer_state(const struct mye_segment *seg)
{
	uint32_t state = __atomic_load_n(&seg->producer->slow.state, __ATOMIC_RELAXED);

	if (seg->role == MYE_ROLE_PRODUCER || mye_role_held(seg, MYE_LOCK_PRODUCER) == 1)
		return MYELON_PEER_ALIVE;
	read_again(seg, &state, sizeof(state),
	           mye_producer_offset(&seg->header) +
	                   offsetof(struct mye_producer_page, slow.state));
	/* Or it was free between two producers, and this is the word of the second. */
	if (state == MYE_PRODUCER_OPEN && mye_role_held(seg, MYE_LOCK_PRODUCER) == 1)
		return MYELON_PEER_ALIVE;
	switch (state) {
	case MYE_PRODUCER_OPEN:
		return MYELON_PEER_DEAD;
	case MYE_PRODUCER_CLOSED:
		return MYELON_PEER_CLOSED;
	default:
		return MYELON_PEER_ABSENT;
	}
}

/* A time that was written down: 0 if it cannot be, before the ring was made or after now. */
static uint64_t load_time(const struct mye_segment *seg, const uint64_t *word)
{
	uint64_t ns = __atomic_load_n(word, __ATOMIC_RELAXED);

	return ns >= seg->header.created_ns && ns <= mye_realtime() ? ns : 0;
}

/* Since when the producer waits, 0: it does not; and for which cursor. */
static uint64_t load_blocked(const struct mye_segment *seg, int64_t published, int64_t *need)
{
	const struct mye_producer_page *p = seg->producer;
	uint64_t since = load_time(seg, &p->report.blocked_ns);
	int64_t cursor = __atomic_load_n(&p->report.blocked_need, __ATOMIC_RELAXED);

	*need = cursor < -1 ? -1 : cursor > published ? published : cursor;
	/* A producer that was killed while it waited leaves the word behind. */
	return since && producer_state(seg) == MYELON_PEER_ALIVE ? since : 0;
}

/*
 * A lock that nobody else holds may be this handle's own: then it was this process that wrote the
 * entry.
 */
static bool own_entry(const struct mye_segment *seg, const struct mye_entry *e)
{
	struct mye_identity wrote, who;

	mye_identity_read(&wrote, &e->about.who);
	if (seg->role != MYE_ROLE_CONSUMER || wrote.pid != mye_pid())
		return false;
	mye_identify(&who);
	return wrote.start_ticks == who.start_ticks && wrote.pidns == who.pidns;
}

/* Does its owner live? @state: in, out: as it was when that was asked. */
static bool entry_held(const struct mye_segment *seg, uint32_t index, uint64_t *state)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t before = *state;

		if (mye_role_held(seg, MYE_LOCK_ENTRY(index)) == 1 ||
		    own_entry(seg, &seg->entries[index]))
			return true;
		/* Who leaves says so first and then gives up the lock. */
		if (!read_again(seg, state, sizeof(*state),
		                mye_entry_offset(&seg->header, index) +
		                        offsetof(struct mye_entry, slow.state)) ||
		    *state == before)
			break;
	}
	return false;
}

/* Who gates. @return the lowest cursor, INT64_MAX: nobody does. */
static int64_t describe_gating(const struct mye_segment *seg, struct myelon_ring_info *info)
{
	const struct mye_entry *hold = &seg->entries[MYE_HOLD_INDEX(seg)];
	int64_t minimum = INT64_MAX, cursor;

	for (uint32_t i = 0; i <= seg->header.max_consumers; i++) {
		const struct mye_entry *e = &seg->entries[i];
		uint64_t state = load_state(e);

		if (!gating(state) && !(e == hold && MYE_STATE_OF(state) == MYE_ENTRY_HOLD))
			continue;
		if (e != hold) {
			if (!entry_held(seg, i, &state))
				info->dead_consumers += gating(state);
			if (!gating(state))
				continue;
			info->consumers++;
		}
		cursor = load_cursor(e, info->published);
		minimum = cursor < minimum ? cursor : minimum;
	}
	return minimum;
}

static void describe_words(const struct mye_segment *seg, struct myelon_ring_info *info)
{
	const struct mye_producer_page *p = seg->producer;
	const struct mye_entry *hold = &seg->entries[MYE_HOLD_INDEX(seg)];
	bool holding = MYE_STATE_OF(load_state(hold)) == MYE_ENTRY_HOLD;
	int64_t minimum;
	uint64_t joined;
	uint32_t need;

	info->published = load_published(seg);
	minimum = describe_gating(seg, info);
	info->minimum = minimum == INT64_MAX ? info->published : minimum;
	info->producer_since_ns = load_time(seg, &p->report.since_ns);
	info->blocked_since_ns = load_blocked(seg, info->published, &info->blocked_need);
	/* It was reached, and the producer has not noticed yet. */
	if (!holding && minimum != INT64_MAX && minimum >= info->blocked_need)
		info->blocked_since_ns = 0;
	if (!info->blocked_since_ns)
		info->blocked_need = 0;
	info->epoch = __atomic_load_n(&p->slow.epoch, __ATOMIC_RELAXED);
	info->producer_state = producer_state(seg);
	info->producer_pid = (int32_t)__atomic_load_n(&p->identity.pid, __ATOMIC_RELAXED);
	info->producer_wait = __atomic_load_n(&p->slow.wait, __ATOMIC_RELAXED);
	info->producer_cpu = __atomic_load_n(&p->identity.cpu, __ATOMIC_RELAXED);
	if (holding) {
		need = __atomic_load_n(&p->slow.hold_need, __ATOMIC_RELAXED);
		joined = __atomic_load_n(&seg->shared->join.joined, __ATOMIC_RELAXED);
		if (joined < info->consumers)
			joined = info->consumers;
		info->buffering_for = need > joined ? need - (uint32_t)joined : 0;
	}
}

void mye_segment_describe(const struct mye_segment *seg, struct myelon_ring_info *info)
{
	const struct mye_header *h = &seg->header;
	char name[sizeof(seg->place.file) + 8];

	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	info->kind = h->kind;
	memcpy(info->name, seg->place.name, sizeof(info->name));
	info->slot_size = h->slot_size;
	info->window = h->window;
	info->slots = h->slots;
	info->max_consumers = h->max_consumers;
	info->backing = h->backing;
	info->page_size = h->data_page;
	info->data_bytes = h->data_bytes;
	info->unattended = h->unattended;
	info->fence = h->fence;
	info->node_asked = h->node_asked;
	info->node_obtained = h->node_obtained;
	info->numa = h->numa;
	info->numa_strict = h->numa_strict;
	info->nodes_asked = h->nodes_asked;
	info->control_node = h->control_node;
	info->data_pages = h->data_pages;
	info->other_pages = h->other_pages;
	info->absent_pages = h->absent_pages;
	memcpy(info->node_pages, h->node_pages, sizeof(info->node_pages));
	info->schema = h->schema;
	memcpy(info->reason, h->reason, sizeof(info->reason));
	info->keep = (h->flags & MYELON_F_KEEP) != 0;
	info->created_ns = h->created_ns;
	if (seg->data_dir[0]) {
		mye_data_name(name, sizeof(name), &seg->place, h->nonce);
		if (snprintf(info->data_path, sizeof(info->data_path), "%s/%s", seg->data_dir,
		             name) >= (int)sizeof(info->data_path))
			info->data_path[0] = '\0';
	}
	describe_words(seg, info);
}

static uint32_t entry_state(uint64_t state, bool held)
{
	switch (MYE_STATE_OF(state)) {
	case MYE_ENTRY_JOINING:
		return held ? MYELON_PEER_JOINING : MYELON_PEER_DEAD;
	case MYE_ENTRY_ACTIVE:
		return held ? MYELON_PEER_ALIVE : MYELON_PEER_DEAD;
	case MYE_ENTRY_EVICTED:
		return MYELON_PEER_EVICTED;
	case MYE_ENTRY_RELEASED:
	case MYE_ENTRY_FREE:
	case MYE_ENTRY_HOLD:
	default:
		return MYELON_PEER_ABSENT;
	}
}

static bool used(uint64_t state)
{
	return MYE_STATE_OF(state) >= MYE_ENTRY_JOINING && MYE_STATE_OF(state) <= MYE_ENTRY_EVICTED;
}

static void describe_times(const struct mye_segment *seg, const struct mye_entry *e,
                           int64_t published, struct myelon_consumer_entry *out)
{
	uint64_t left = load_time(seg, &e->slow.released_ns), since;
	int64_t need;

	out->attached_ns = load_time(seg, &e->slow.attached_ns);
	/* Of one that was evicted while it lives nobody wrote it down. */
	if (!out->gating && left >= out->attached_ns)
		out->left_ns = left;
	if (!out->gating || !__atomic_load_n(&seg->producer->report.blocked_ns, __ATOMIC_RELAXED))
		return;
	since = load_blocked(seg, published, &need);
	if (since && out->cursor < need)
		out->holds_up_since_ns = since > out->attached_ns ? since : out->attached_ns;
}

bool mye_segment_entry(const struct mye_segment *seg, uint32_t index,
                       struct myelon_consumer_entry *out)
{
	const struct mye_entry *e;
	int64_t published;
	uint64_t state;
	bool held;

	if (index >= seg->header.max_consumers)
		return false;
	e = &seg->entries[index];
	state = load_state(e);
	if (!used(state))
		return false;
	held = entry_held(seg, index, &state);
	if (!used(state))
		return false;
	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	out->index = index;
	static_assert(sizeof(out->id) < sizeof(e->about.id), "ids are cut to what is public");
	memcpy(out->id, e->about.id, sizeof(out->id) - 1);
	for (char *c = out->id; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	out->pid = (int32_t)__atomic_load_n(&e->about.who.pid, __ATOMIC_RELAXED);
	out->state = entry_state(state, held);
	out->wait = __atomic_load_n(&e->slow.wait, __ATOMIC_RELAXED);
	out->parked = held && __atomic_load_n(&e->slow.parked, __ATOMIC_RELAXED) != 0;
	out->cpu = __atomic_load_n(&e->about.who.cpu, __ATOMIC_RELAXED);
	out->gating = gating(state);
	published = load_published(seg);
	out->cursor = load_cursor(e, published);
	out->lag = (uint64_t)published - (uint64_t)out->cursor;
	out->lost = __atomic_load_n(&e->slow.lost, __ATOMIC_RELAXED);
	describe_times(seg, e, published, out);
	if (out->wait == MYELON_WAIT_FD)
		out->engine = __atomic_load_n(&e->slow.engine, __ATOMIC_RELAXED);
	return true;
}
