/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The look of a watch: each place is compared with what was told of it last.
 *
 * Each owner of a place has a generation of its own, so a new one is a new owner, whatever happened in
 * between. How the old one ended is in what it left: the evicted flag names generations, and only who
 * leaves in order writes a time of leaving (the producer: its epoch). Words of the ring say who is
 * there; "died" is said by the lock alone, and only if the place did not change while it was asked for.
 */
#include <string.h>

#include "ring/join.h"
#include "ring/peer.h"
#include "ring/peers.h"
#include "sys/sys.h"

#define UNSEEN_NS 100000000
#define DEAF_NS 10000000
#define AGAIN_NS 1000000      /* a place was being changed */
#define NAME_LAST_NS 50000000 /* then every second will do */
#define TICK_MIN_NS 1000000

/* A place as it is now; a copy, checked. */
struct sight {
	uint64_t word;
	uint64_t generation;
	enum mye_entry_state state;
	uint64_t evicted;
	uint64_t released_ns;
	int64_t cursor;
	bool automatic;
	struct mye_identity who;
	char id[MYE_ID_BYTES];
};

static int64_t load_published(const struct mye_peers *w)
{
	/* Acquire: pairs with the release store in myelon_publish(). */
	int64_t published = __atomic_load_n(&w->seg.producer->hot.published, __ATOMIC_ACQUIRE);

	return published < -1 ? -1 : published;
}

static uint64_t load_word(const struct mye_peers *w, uint32_t index)
{
	/* Acquire: pairs with the CAS of joiners, leavers and evictors; the rest of the entry is seen. */
	return __atomic_load_n(&w->seg.entries[index].slow.state, __ATOMIC_ACQUIRE);
}

static void tell(struct mye_peers *w, uint32_t place, enum myelon_peer_change change)
{
	struct mye_peer_record *r = &w->record[place];
	struct myelon_peer_event *e;

	w->found = true;
	if (w->opening) {
		r->untold = change;
		return;
	}
	if (w->told_end == MYE_PEERS_TOLD)
		return;
	e = &w->told[w->told_end++];
	*e = (struct myelon_peer_event){.size = sizeof(*e), .change = change, .noticed_ns = w->now};
	e->first = r->untold != 0;
	e->published = load_published(w);
	e->role = place ? MYELON_ROLE_CONSUMER : MYELON_ROLE_PRODUCER;
	e->index = place ? place - 1 : 0;
	e->pid = r->pid;
	e->generation = r->generation;
	e->cursor = place ? r->cursor : e->published;
	memcpy(e->id, r->id, sizeof(e->id) - 1);
}

static void tell_removed(struct mye_peers *w)
{
	struct myelon_peer_event *e = &w->told[w->told_end++];

	*e = (struct myelon_peer_event){
		.size = sizeof(*e), .change = MYELON_CHANGE_REMOVED, .noticed_ns = w->now};
	e->published = e->cursor = load_published(w);
	w->over = true;
}

static bool gates(enum mye_entry_state state)
{
	return state == MYE_ENTRY_JOINING || state == MYE_ENTRY_ACTIVE;
}

static void printable(char *id)
{
	for (; *id; id++)
		if (*id < ' ' || *id > '~')
			*id = '?';
}

/* @return false: it changed meanwhile. */
static bool see(const struct mye_peers *w, uint32_t index, struct sight *s)
{
	const struct mye_entry *e = &w->seg.entries[index];
	int64_t published;

	s->word = load_word(w, index);
	s->generation = MYE_GEN_OF(s->word);
	s->state = MYE_STATE_OF(s->word);
	if (s->state > MYE_ENTRY_EVICTED)
		s->state = MYE_ENTRY_FREE;
	s->evicted = __atomic_load_n(&e->hot.evicted, __ATOMIC_RELAXED);
	s->released_ns = __atomic_load_n(&e->slow.released_ns, __ATOMIC_RELAXED);
	s->automatic = __atomic_load_n(&e->slow.automatic, __ATOMIC_RELAXED) != 0;
	s->cursor = __atomic_load_n(&e->hot.cursor, __ATOMIC_RELAXED);
	mye_identity_read(&s->who, &e->about.who);
	mye_entry_id(&w->seg, index, s->id);
	printable(s->id);
	/* Acquire: all that was loaded before the word again; its writers change the word first. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	published = load_published(w);
	s->cursor = s->cursor < -1 ? -1 : s->cursor > published ? published : s->cursor;
	return load_word(w, index) == s->word;
}

/* The old owner is gone, and @p s is what is there now. */
static void part(struct mye_peers *w, uint32_t place, const struct sight *s)
{
	struct mye_peer_record *r = &w->record[place];
	bool same = s->generation == r->generation;
	enum mye_standing was = r->standing;

	if (was != MYE_HERE && was != MYE_COMING && was != MYE_GONE)
		return;
	mye_peers_unwatch(w, place);
	r->stalled = r->dying = false;
	/* It was told, and what the next one with its id came to is told next. Of several who were evicted
	   the flag names the last. */
	if (was == MYE_GONE && !same && s->evicted != r->generation && strcmp(r->id, s->id) == 0)
		return;
	if (s->evicted >= r->generation && (same || s->evicted < s->generation)) {
		r->standing = MYE_OUSTED;
		tell(w, place, MYELON_CHANGE_EVICTED);
		return;
	}
	if (was == MYE_GONE && gates(s->state))
		return;
	if (was == MYE_HERE && !same && s->released_ns == r->released_ns) {
		r->standing = MYE_GONE;
		tell(w, place, MYELON_CHANGE_DIED);
		if (gates(s->state) || strcmp(r->id, s->id) == 0)
			return;
	}
	r->standing = was == MYE_COMING && !r->back ? MYE_NOBODY : MYE_LEFT;
	if (was != MYE_COMING)
		tell(w, place, MYELON_CHANGE_DETACHED);
}

/* Is the id that is there now one that was there before? An automatic one ends when its owner leaves. */
static bool known(const struct mye_peer_record *r, const char *id)
{
	return (r->standing == MYE_GONE ||
	        ((r->standing == MYE_LEFT || r->standing == MYE_OUSTED) && !r->automatic)) &&
	       strcmp(r->id, id) == 0;
}

/* Of one that came back after a death that was told, and is gone already, both is told: the death is over. */
static void new_owner(struct mye_peers *w, uint32_t place, const struct sight *s)
{
	static const enum mye_standing standing[] = {
		[MYE_ENTRY_FREE] = MYE_NOBODY,    [MYE_ENTRY_JOINING] = MYE_COMING,
		[MYE_ENTRY_ACTIVE] = MYE_COMING,  [MYE_ENTRY_RELEASED] = MYE_LEFT,
		[MYE_ENTRY_EVICTED] = MYE_OUSTED,
	};
	struct mye_peer_record *r = &w->record[place];
	bool gone = r->standing == MYE_GONE;

	mye_peers_unwatch(w, place);
	*r = (struct mye_peer_record){
		.standing = standing[s->state],
		.back = known(r, s->id),
		.automatic = s->automatic,
		.untold = r->untold,
		.generation = s->generation,
		.released_ns = s->released_ns,
		.pid = (int32_t)s->who.pid,
		.cursor = s->cursor,
		.moved_ns = w->now,
		.ask_at = INT64_MAX,
	};
	memcpy(r->id, s->id, sizeof(r->id));
	if (r->standing == MYE_COMING)
		mye_peers_watch(w, place, &s->who);
	if (gone && r->back && !gates(s->state)) {
		tell(w, place, MYELON_CHANGE_REJOINED);
		tell(w, place,
		     s->evicted >= s->generation ? MYELON_CHANGE_EVICTED : MYELON_CHANGE_DETACHED);
	}
}

/* @return whether the lock of a place is to be asked for now. */
static bool to_ask(const struct mye_peers *w, const struct mye_peer_record *r)
{
	return w->whole || r->standing == MYE_COMING || w->now >= r->ask_at;
}

/* Somebody holds the lock. @p here: it says so itself. */
static void is_alive(struct mye_peers *w, uint32_t place, bool here)
{
	struct mye_peer_record *r = &w->record[place];

	if (here && r->standing == MYE_COMING) {
		r->standing = MYE_HERE;
		r->moved_ns = w->now;
		tell(w, place, r->back ? MYELON_CHANGE_REJOINED : MYELON_CHANGE_ATTACHED);
	}
	r->ask_at = r->unseen ? w->now + UNSEEN_NS : INT64_MAX;
	if (!r->ended)
		return;
	if (!r->dying && r->standing == MYE_HERE && !w->opening) {
		r->dying = true;
		tell(w, place, MYELON_CHANGE_DYING);
	}
	r->retry_ns = mye_dying_pause(r->retry_ns);
	/* What was heard is not heard again. */
	r->ask_at = w->now + r->retry_ns;
}

/* Nobody does, and it did not leave. */
static void is_dead(struct mye_peers *w, uint32_t place, bool here)
{
	struct mye_peer_record *r = &w->record[place];

	/* Unlike one that left, it is still in the way. */
	if (here && r->standing == MYE_COMING && !w->opening)
		tell(w, place, r->back ? MYELON_CHANGE_REJOINED : MYELON_CHANGE_ATTACHED);
	r->standing = MYE_GONE;
	r->stalled = r->dying = false;
	r->ask_at = INT64_MAX;
	mye_peers_unwatch(w, place);
	tell(w, place, MYELON_CHANGE_DIED);
}

static void follow(struct mye_peers *w, uint32_t place, int64_t cursor)
{
	struct mye_peer_record *r = &w->record[place];
	bool moved = cursor != r->cursor || cursor >= load_published(w);

	r->cursor = cursor;
	if (!w->progress_ns || r->standing != MYE_HERE)
		return;
	if (moved) {
		r->moved_ns = w->now;
		if (r->stalled)
			tell(w, place, MYELON_CHANGE_RECOVERED);
		r->stalled = false;
	} else if (!r->stalled && w->now - r->moved_ns >= w->progress_ns) {
		r->stalled = true;
		tell(w, place, MYELON_CHANGE_STALLED);
	}
	mye_sooner(&w->due,
	           w->now + (w->progress_ns / 2 > TICK_MIN_NS ? w->progress_ns / 2 : TICK_MIN_NS));
}

static void ask(struct mye_peers *w, uint32_t place, const struct sight *s)
{
	struct mye_peer_record *r = &w->record[place];
	bool here = s->state == MYE_ENTRY_ACTIVE;

	if (to_ask(w, r)) {
		if (mye_role_held(&w->seg, MYE_LOCK_ENTRY(place - 1)) != 0)
			is_alive(w, place, here);
		else if (load_word(w, place - 1) == s->word)
			/* Who leaves says so before it gives up the lock. */
			is_dead(w, place, here);
		else
			r->ask_at = w->now + AGAIN_NS;
	}
	if (r->standing == MYE_COMING)
		mye_sooner(&r->ask_at, w->now + UNSEEN_NS);
	mye_sooner(&w->due, r->ask_at);
}

static void tell_untold(struct mye_peers *w, uint32_t place)
{
	struct mye_peer_record *r = &w->record[place];

	if (!r->untold || w->opening)
		return;
	tell(w, place, (enum myelon_peer_change)r->untold);
	r->untold = 0;
}

static void look_at_entry(struct mye_peers *w, uint32_t place)
{
	struct mye_peer_record *r = &w->record[place];
	struct sight s;

	tell_untold(w, place);
	if (!see(w, place - 1, &s)) {
		mye_sooner(&w->due, w->now + AGAIN_NS);
		return;
	}
	if (s.generation == r->generation && gates(s.state) &&
	    (r->standing == MYE_HERE || r->standing == MYE_COMING)) {
		follow(w, place, s.cursor);
	} else if (s.generation != r->generation || !gates(s.state) || r->standing != MYE_GONE) {
		if (s.generation == r->generation)
			r->cursor = s.cursor;
		part(w, place, &s);
		if (s.generation != r->generation || gates(s.state))
			new_owner(w, place, &s);
	}
	if (r->standing == MYE_HERE || r->standing == MYE_COMING)
		ask(w, place, &s);
}

static uint64_t load_epoch(const struct mye_peers *w)
{
	/* Acquire: pairs with the release store of a new producer (announce_takeover). */
	return __atomic_load_n(&w->seg.producer->slow.epoch, __ATOMIC_ACQUIRE);
}

static void new_producer(struct mye_peers *w, uint64_t epoch)
{
	struct mye_peer_record *r = &w->record[0];
	struct mye_identity who;

	if (r->standing == MYE_HERE) {
		uint32_t last =
			__atomic_load_n(&w->seg.producer->hot.closed_epoch, __ATOMIC_RELAXED);
		/* Did a later one close, then nobody knows how this one ended: not by the word of a lock. */
		bool closed = last && (int32_t)(last - (uint32_t)r->generation) >= 0;

		r->standing = closed ? MYE_LEFT : MYE_GONE;
		tell(w, 0, closed ? MYELON_CHANGE_DETACHED : MYELON_CHANGE_DIED);
	}
	mye_peers_unwatch(w, 0);
	mye_identity_read(&who, &w->seg.producer->identity);
	*r = (struct mye_peer_record){
		.standing = MYE_COMING,
		.back = r->standing != MYE_NOBODY,
		.untold = r->untold,
		.generation = epoch,
		.pid = (int32_t)who.pid,
		.ask_at = INT64_MAX,
	};
	mye_peers_watch(w, 0, &who);
}

static void producer_left(struct mye_peers *w)
{
	mye_peers_unwatch(w, 0);
	w->record[0].standing = MYE_LEFT;
	w->record[0].dying = false;
	tell(w, 0, MYELON_CHANGE_DETACHED);
}

static void look_at_producer(struct mye_peers *w)
{
	struct mye_peer_record *r = &w->record[0];
	uint64_t epoch = load_epoch(w);

	tell_untold(w, 0);
	if (epoch != r->generation || r->standing == MYE_NOBODY)
		new_producer(w, epoch);
	if (r->standing != MYE_HERE && r->standing != MYE_COMING)
		return;
	/* The epoch again: what a successor says of itself must not be said of this one. */
	if (mye_peer_closed(&w->seg, epoch) && load_epoch(w) == epoch) {
		producer_left(w);
		return;
	}
	if (mye_peers_lease(w) && !r->ended) {
		r->ended = true;
		r->ask_at = w->now;
	}
	if (to_ask(w, r)) {
		if (mye_role_held(&w->seg, MYE_LOCK_PRODUCER) != 0)
			is_alive(w, 0, true);
		else if (load_epoch(w) == epoch && !mye_peer_closed(&w->seg, epoch))
			is_dead(w, 0, true);
		else
			r->ask_at = w->now + AGAIN_NS;
	}
	mye_sooner(&w->due, r->ask_at);
}

static bool anybody_here(const struct mye_peers *w)
{
	for (uint32_t i = 0; i < w->records; i++)
		if (w->record[i].standing == MYE_HERE || w->record[i].standing == MYE_COMING)
			return true;
	return false;
}

/* Who leaves last takes the name away, a moment later; any other removal is found when all is looked at. */
static void look_at_name(struct mye_peers *w)
{
	bool alone = !anybody_here(w);

	if (alone && w->found)
		w->name_ns = mye_dying_pause(0);
	if (!alone)
		w->name_ns = 0;
	if (!w->whole && !w->name_ns)
		return;
	if (!mye_segment_named(&w->seg)) {
		/* What happened before is told before. */
		w->nameless = true;
		w->due = w->now;
		return;
	}
	if (w->name_ns > NAME_LAST_NS)
		w->name_ns = 0;
	if (!w->name_ns)
		return;
	mye_sooner(&w->due, w->now + w->name_ns);
	w->name_ns *= 2;
}

static void look_begins(struct mye_peers *w)
{
	/* Acquire: pairs with mye_peers_changed(). */
	uint32_t bell = __atomic_load_n(&w->seg.shared->space.peers, __ATOMIC_ACQUIRE);

	w->rung = w->bell_on && bell != w->bell;
	w->bell = bell;
	w->whole = w->now >= w->whole_at || w->nameless;
	if (w->whole)
		w->whole_at = w->now + MYE_CAP_NS;
	/* Behind the load: what changes from there on is another look. */
	if (w->now >= w->deaf_until)
		mye_peers_listen(w);
	w->due = w->whole_at;
	w->heard = w->found = false;
	w->at = 0;
}

static void look_ends(struct mye_peers *w)
{
	if (w->nameless) {
		tell_removed(w);
		return;
	}
	look_at_name(w);
	/* Whoever rings for nothing, over and over, must not keep us busy. */
	if (w->rung && !w->found && !w->opening) {
		w->deaf_until = w->now + DEAF_NS;
		mye_peers_deaf(w);
	}
	if (w->deaf_until > w->now)
		mye_sooner(&w->due, w->deaf_until);
}

bool mye_peers_due(struct mye_peers *w)
{
	/* Relaxed: the look itself loads it with acquire. */
	uint32_t bell = __atomic_load_n(&w->seg.shared->space.peers, __ATOMIC_RELAXED);

	if (w->over)
		return false;
	if (w->heard || (w->bell_on && bell != w->bell))
		return true;
	return mye_now() >= w->due;
}

bool mye_peers_look(struct mye_peers *w)
{
	w->told_at = w->told_end = 0;
	w->now = mye_now();
	if (w->at == w->records)
		look_begins(w);
	while (w->told_end == 0 && w->at < w->records) {
		if (w->at == 0)
			look_at_producer(w);
		else
			look_at_entry(w, w->at);
		if (++w->at == w->records)
			look_ends(w);
	}
	return w->told_end > 0;
}

void mye_peers_begin(struct mye_peers *w)
{
	w->at = w->records;
	w->opening = true;
	mye_peers_look(w);
	w->opening = false;
	w->heard = true;
}
