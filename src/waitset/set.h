/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The wait set inside. What is added is a source, in a table by its id; the handles among them are also in
 * one dense array that every wait looks through, in rotation. The loop (wait/loop.h) does the sleeping.
 *
 *   table.c   sources and their ids           rings.c   looking at handles, announcing them
 *   add.c     the public add, want, set        hosts.c   producers' processes: how their death is noticed
 *   timers.c  timers, by time                  spin.c    whether and how long to spin before a sleep
 *   wait.c    the wait                         waitset.c make, close, the descriptor, counters
 */
#ifndef MYE_WAITSET_SET_H
#define MYE_WAITSET_SET_H

#include <stdbool.h>
#include <stdint.h>

#include <myelon/waitset.h>

#include "ring/ring.h"
#include "wait/loop.h"

#define MYE_SET_MAGIC 0x77733031u
#define MYE_SET_MAX 65536u

/* Tags of the loop: a source's id, or one of these and a number. */
#define MYE_HOST_EVENTS 1u /* EPOLLIN: it ended */
#define MYE_TAG_HOST (1ull << 32)
#define MYE_TAG_TIMER (2ull << 32)
#define MYE_TAG_LEASE (3ull << 32)
#define MYE_TAG_CLASS (~0ull << 32)

/* A process that is the producer of rings in the set; found by what it wrote about itself. */
struct mye_host {
	struct mye_host *next;
	uint32_t number; /* in its tag */
	uint32_t rings;
	uint32_t pid;
	uint64_t start_ticks, pidns, pidfd_ino;
	int32_t cpu;  /* pinned to, -1 */
	int pidfd;    /* -1: none is to be had, or it is this process */
	bool own;     /* this process */
	bool in_loop; /* its end ends a sleep */
	/* Else the lease of one of its rings is watched, if one has a lease: all are marked together. */
	struct mye_source *leased; /* NULL: none is */
	uint32_t lease;            /* that word as it was then */
};

struct mye_set_consumer {
	struct mye_consumer *c;
	struct mye_host *host; /* of its producer in that epoch; NULL: unknown, or nobody */
	uint64_t epoch;        /* the host is that of; 0: look for it */
	uint64_t told;         /* the end of the producer of this epoch was reported */
	bool ask;              /* the next look asks for the producer's lock */
	bool dying;            /* its process is gone, but it still has the lock */
	int64_t ask_at;        /* then: when to ask again */
	int64_t backoff_ns;
};

struct mye_set_producer {
	struct mye_producer *p;
	const struct myelon_frame_producer *framed; /* NULL: it is not */
	uint32_t want;                              /* slots; 0: it does not wait */
};

struct mye_set_timer {
	int64_t at; /* INT64_MAX: never */
	int64_t period;
};

struct mye_set_fd {
	int fd;
	uint32_t events;
	bool ours; /* closed with the source */
	bool done; /* the process ended and was reported */
};

struct mye_source {
	struct mye_member member; /* first */
	struct myelon_waitset *set;
	int32_t id;
	uint32_t kind;  /* enum myelon_event_kind */
	uint32_t place; /* in the array of rings, or of timers */
	myelon_event_fn fn;
	void *user;
	union {
		struct mye_set_consumer consumer;
		struct mye_set_producer producer;
		struct mye_set_timer timer;
		struct mye_set_fd fd;
	};
};

/* A growing array of sources. */
struct mye_sources {
	struct mye_source **at;
	uint32_t count;
	uint32_t room;
};

struct mye_slot {
	struct mye_source *source; /* NULL: free */
	uint32_t generation;
	uint32_t next_free;
};

/* What is known of spinning (spin.c). */
struct mye_set_spin {
	int64_t asked_ns; /* as in the options */
	int64_t cost_ns;  /* measured: one sleep and wake */
	uint32_t skip;    /* waits until a spin is tried again */
	uint32_t backoff; /* waits without after one that did not pay */
	uint32_t cpus;
	int pinned;
	bool quota;
};

struct myelon_waitset {
	uint32_t magic;
	uint32_t woken; /* by myelon_waitset_wake(), taken by a wait */
	uint32_t in_call;
	enum myelon_engine engine; /* as asked for */
	struct mye_loop *loop;
	struct mye_loop
		*left; /* the first one, after the descriptor was made: a waker may still use it */
	bool pollable;
	bool armed;    /* the descriptor waits for everything */
	int timer_fd;  /* pollable: ends the sleep of others; -1 */
	int64_t timer; /* what it is set to */
	int64_t cap_at;

	struct mye_slot *slots;
	uint32_t slot_count, slot_room;
	uint32_t free_first, free_last, free_count;
	uint32_t sources;
	struct mye_sources rings; /* consumers and producers */
	struct mye_sources timers;
	uint32_t next_ring; /* where the next look begins */
	uint32_t look_next; /* ... and the next one at a cap */
	uint32_t consumers;
	uint32_t asymmetric;  /* rings whose publishers do not fence */
	uint32_t wanting;     /* producers that wait */
	uint32_t descriptors; /* of the user: polled, too */

	struct mye_host *hosts;
	uint32_t host_count, host_number;
	uint32_t watched;  /* hosts in the loop */
	bool watching;     /* hosts belong in the loop */
	uint32_t ask_next; /* whose producer is asked for at the next cap */
	bool asking;       /* somebody is to be asked for who has no turn at a cap */
	int64_t asked_ns;
	int64_t retry_at; /* when somebody dying is to be asked for again; INT64_MAX */

	uint32_t calls; /* waits since the descriptors were polled */
	int64_t polled_ns;
	bool others_first; /* in the last wait descriptors and timers came first */
	bool timers_first;
	struct mye_set_spin spin;
	struct myelon_waitset_stats stats;
};

/* Events to be returned. */
struct mye_batch {
	struct myelon_event *event;
	int max;
	int n;
};

/* table.c */
struct mye_source *mye_source_new(struct myelon_waitset *ws, uint32_t kind, myelon_event_fn fn,
                                  void *user, int *error);
/* What it was in besides the table must have been left. */
void mye_source_free(struct mye_source *s);
/* NULL: no source, or no longer. */
struct mye_source *mye_source_of(const struct myelon_waitset *ws, int64_t id);
int mye_sources_add(struct mye_sources *list, struct mye_source *s);
void mye_sources_remove(struct mye_sources *list, struct mye_source *s);
void mye_batch_add(struct mye_batch *b, const struct mye_source *s, int32_t result, uint32_t events,
                   uint64_t count);

/* add.c */
int mye_set_check(const struct myelon_waitset *ws, const char *call);
/* The descriptor is to be waited for anew: something changed that it does not know of. */
void mye_set_rouse(struct myelon_waitset *ws);
/* Put the source's word or descriptor into a loop. */
int mye_source_enter(struct mye_loop *loop, const struct mye_source *s);
void mye_source_remove(struct mye_source *s);

/* timers.c */
int mye_timers_add(struct myelon_waitset *ws, struct mye_source *s);
void mye_timers_remove(struct myelon_waitset *ws, struct mye_source *s);
void mye_timers_moved(struct myelon_waitset *ws, struct mye_source *s);
/* INT64_MAX: none. */
int64_t mye_timers_next(const struct myelon_waitset *ws);
void mye_timers_due(struct myelon_waitset *ws, struct mye_batch *b, int64_t now);

/* rings.c */
void mye_ring_look(struct myelon_waitset *ws, struct mye_source *s, struct mye_batch *b);
void mye_rings_look(struct myelon_waitset *ws, struct mye_batch *b);
/* At a cap: 4 of them in turn, and who is to be asked for. @return whether nothing was found, and their
 * announcements stand. */
bool mye_rings_look_in_turn(struct myelon_waitset *ws, struct mye_batch *b);
/* After the loop listens: announce all, one barrier. @return false: nobody may sleep for long. */
bool mye_rings_announce(struct myelon_waitset *ws);

/* hosts.c */
/* Find the process behind the consumer's present producer; @p epoch: as just read. */
void mye_host_follow(struct myelon_waitset *ws, struct mye_source *s, uint64_t epoch);
void mye_host_leave(struct myelon_waitset *ws, struct mye_source *s);
/* The loop reported it: the process ended. */
void mye_host_ended(struct myelon_waitset *ws, uint64_t tag);
/* The loop reported it: the lease that is watched changed. */
void mye_host_lease_changed(struct myelon_waitset *ws, uint64_t tag);
/* Should processes be watched with descriptors? To be asked again when the set's make-up changes. */
void mye_hosts_revise(struct myelon_waitset *ws);
int mye_hosts_enter(struct mye_loop *loop, const struct myelon_waitset *ws);
/* A second went by: ask for producers' locks. */
void mye_hosts_ask(struct myelon_waitset *ws, int64_t now);
/* Ask for those who are dying, if it is time. */
void mye_hosts_retry(struct myelon_waitset *ws, int64_t now);
/* An ask found the lock still held. */
void mye_host_later(struct myelon_waitset *ws, struct mye_source *s);
void mye_hosts_close(struct myelon_waitset *ws);

/* spin.c */
void mye_spin_init(struct mye_set_spin *spin, int64_t asked_ns);
/* How long to spin now; 0: not at all. */
int64_t mye_spin_budget(struct myelon_waitset *ws);
void mye_spin_judge(struct myelon_waitset *ws, bool found);
/* A bell ended a sleep: rung at @p rung_ns, the sleep took @p entry_ns to begin, the wait began at @p begun_ns. */
void mye_spin_learn(struct mye_set_spin *spin, int64_t begun_ns, int64_t entry_ns, int64_t rung_ns,
                    int64_t now);

static inline bool mye_set_woken(struct myelon_waitset *ws)
{
	return __atomic_load_n(&ws->woken, __ATOMIC_RELAXED) &&
	       /* Seq_cst: pairs with the store in myelon_waitset_wake(). */
	       __atomic_exchange_n(&ws->woken, 0, __ATOMIC_SEQ_CST);
}

#endif
