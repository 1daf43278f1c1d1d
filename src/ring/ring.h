/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The handles of layer 0 as the library sees them, and what the layers above need of them. The public
 * hot part is the first member, so that a public pointer is a pointer to the whole.
 */
#ifndef MYE_RING_RING_H
#define MYE_RING_RING_H

#include <myelon/consumer.h>
#include <myelon/observer.h>
#include <myelon/producer.h>

#include "liveness/ending.h"
#include "segment/segment.h"
#include "wait/waiter.h"

#define MYE_PRODUCER_MAGIC 0x70796d31u
#define MYE_CONSUMER_MAGIC 0x63796d31u
#define MYE_OBSERVER_MAGIC 0x6f796d31u

/* What the producer knows of one table entry. */
struct mye_gate_entry {
	uint64_t generation; /* of the entry when last_good was taken */
	int64_t last_good;   /* last cursor in range */
	int64_t bad;         /* last one that was not */
	bool seen;
	bool alerted;
};

/* The producer's private side of the gate (design: docs/architecture.md, the gate). */
struct mye_gate {
	int64_t limit;                /* nothing above it is written */
	int64_t gate;                 /* lowest gating cursor + window at the last scan */
	int64_t ceiling;              /* our own copy of the announced ceiling */
	int64_t step;                 /* announce ahead: max(1, window/8) */
	uint64_t generation;          /* join_generation the list was made under */
	bool listed;                  /* the list is valid for that generation */
	uint32_t count;               /* entries in the list */
	uint32_t *list;               /* indices of gating entries, max_consumers + 1 */
	struct mye_gate_entry *known; /* per entry */
	bool holding;                 /* the hold gates */
	uint32_t active;              /* entries that finished their join */
	int64_t minimum;              /* at the last scan, INT64_MAX: nobody gates */
};

/*
 * What a handle is a member of (a wait set), which may be NULL. Close calls leave, so that nobody is left
 * with a handle that is gone.
 */
struct mye_member {
	void (*leave)(struct mye_member *m);
};

static inline void mye_member_leave(struct mye_member *m)
{
	if (m)
		m->leave(m);
}

/* What tools see of a wait for consumers (blocked.h). */
struct mye_blocked {
	bool shown;      /* it is in the producer page */
	uint64_t ns;     /* since when, CLOCK_REALTIME; 0: the last wait got what it wanted */
	int64_t next;    /* hot.next of that wait */
	int64_t left_ns; /* when it was given up */
};
struct mye_whom;
struct mye_guard;

struct mye_producer {
	struct myelon_producer hot;
	uint32_t magic;
	uint32_t interrupted; /* set by interrupt(), taken by the next wait */
	size_t bytes;         /* of this allocation */
	struct mye_segment seg;
	struct mye_waiter waiter;
	struct mye_gate gate;
	uint32_t flags;     /* MYELON_F_EINTR */
	bool hold_by_count; /* the hold ends when hold_need consumers are active */
	uint32_t hold_need;
	uint32_t hold_max;
	uint32_t exact_episodes; /* blocked episodes that ask for the exact need at once */
	uint32_t soft_more;      /* how much more than that the others ask for */
	uint32_t soft_reached;   /* how often in a row that was reached in time */
	struct mye_blocked blocked;
	uint32_t in_call; /* debug builds: thread inside a slow path */
	bool leased;      /* the lease is ours */
	uint64_t alerts;
	struct mye_whom *wait_for;     /* whom it was made to wait for; NULL: nobody */
	struct mye_guard *guard;       /* NULL: nobody is required (guard.h) */
	bool managed_open;             /* managed claims may use the room there is */
	bool as_managed;               /* plain claims made now are part of a managed call */
	struct mye_adoption *adoption; /* NULL until a consumer sleeps on a descriptor (adopt.c) */
	struct mye_member *member;
};

/* What a reader knows of the producer's life (peer.c). */
struct mye_peer {
	uint64_t epoch;   /* as last seen */
	int verdict;      /* -EPIPE or -EOWNERDEAD once found for this epoch, else 0 */
	int64_t asked_ns; /* when its lock was last asked for */
	int64_t dying_ns; /* how long to sleep until it is asked for again, when it is dying; 0: it is not */
	/* The end of its process, for who sleeps without a lease. */
	struct mye_ending ending;
	uint64_t lasted;  /* epoch in which a sleep lasted; 0: none */
	uint64_t watched; /* epoch whose producer is watched, or cannot be; 0: none */
	uint64_t ended;   /* epoch whose producer's process has ended; 0: none */
};

struct mye_descriptor;
struct mye_adoption;

struct mye_consumer {
	struct myelon_consumer hot;
	/* What each refill uses, beside it. */
	uint32_t magic;
	uint32_t interrupted;
	int64_t refill_from; /* hot.next when the last refill began; -1: it is accounted for */
	uint32_t long_polls; /* polls it made in myelon_peek_wait() */
	size_t bytes;
	struct mye_segment seg;
	struct mye_waiter waiter;
	struct mye_gather gather;
	uint32_t index; /* of our entry */
	uint32_t flags;
	uint32_t in_call;
	struct mye_peer peer;
	uint64_t lost;
	uint64_t alerts;
	bool leased;                       /* the lease of our entry is ours */
	struct mye_descriptor *descriptor; /* NULL: it has none (descriptor.c) */
	struct mye_member *member;
	char id[MYE_ID_BYTES];
};

struct mye_observer {
	uint32_t magic;
	uint32_t interrupted;
	size_t bytes;
	struct mye_segment seg;
	struct mye_waiter waiter;
	uint32_t flags;
	int64_t next;    /* sequence to be copied next */
	int64_t poll_ns; /* next nap of an observer that cannot park */
	uint32_t in_call;
	struct mye_peer peer;
	uint64_t lost;
};

/* Is there a refill to be accounted for that did not find something at once? */
static inline bool mye_refill_waited(const struct mye_consumer *c)
{
	return c->refill_from >= 0 && c->hot.polled + c->long_polls > 0;
}

static inline struct mye_producer *mye_producer_of(struct myelon_producer *p)
{
	return (struct mye_producer *)(void *)p;
}

static inline struct mye_consumer *mye_consumer_of(struct myelon_consumer *c)
{
	return (struct mye_consumer *)(void *)c;
}

static inline struct mye_observer *mye_observer_of(struct myelon_observer *o)
{
	return (struct mye_observer *)(void *)o;
}

/* The constructors with the ring kind; the public ones pass MYELON_KIND_RAW (attach: also a check). */
int mye_producer_make(struct myelon_producer **out, const char *name,
                      const struct myelon_ring_opts *user, enum myelon_kind kind);
int mye_producer_takeover(struct myelon_producer **out, const char *name,
                          const struct myelon_open_opts *user, enum myelon_kind kind);
int mye_consumer_join(struct myelon_consumer **out, const char *name,
                      const struct myelon_attach_opts *user, enum myelon_kind kind);
int mye_observer_join(struct myelon_observer **out, const char *name,
                      const struct myelon_attach_opts *user, enum myelon_kind kind);

/*
 * Record the start of a frame, after claim and before publish: the first start in each step of
 * max(1, window/8) sequences is kept in one of 16 marks.
 */
void mye_frame_mark(struct mye_producer *p, int64_t seq);

/* The lowest recorded frame start >= lo, or published + 1, which always is one. */
int64_t mye_frame_start(const struct mye_segment *seg, int64_t lo, int64_t published);

/*
 * Observers of framed rings. wait: until something is published at or after next; @return how many
 * slots, or as myelon_observe(). read: copy bytes of the slots from seq on (contiguous), then prove
 * that seq was not overwritten meanwhile; @return 0, or -ESTALE: overtaken.
 */
int64_t mye_observer_wait(struct mye_observer *o, int64_t deadline);
int mye_observer_read(struct mye_observer *o, int64_t seq, size_t offset, void *buf, size_t bytes);
/* Go on at the oldest frame start that is intact; @return slots lost by it. */
uint64_t mye_observer_catch_up(struct mye_observer *o);

#endif
