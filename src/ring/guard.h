/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Watching who is in the way of a managed claim (liveness.h): the guard of a producer.
 *
 * A suspect is a gating consumer below the cursor that is needed, or a required one that does not gate.
 * guard.c: what is required, the start, alerts and failures. suspect.c: the look, which judges every
 * suspect. guard_sleep.c: the sleep that the end of a suspect's process ends.
 */
#ifndef MYE_RING_GUARD_H
#define MYE_RING_GUARD_H

#include <myelon/liveness.h>

#include "ring/ring.h"
#include "wait/loop.h"

struct mye_suspect {
	uint64_t round;    /* of the last look at it */
	int64_t cursor;    /* as last seen to move */
	int64_t since_ns;  /* when that was */
	int64_t opened_ns; /* its alert window; 0: none is open */
	bool dead;         /* by the last look */
	bool dying;        /* by the last look: it ended, and its lock was not free yet */
	bool known;        /* who is what it wrote of itself */
	bool ended;        /* that process, as its pidfd said */
	bool tried;        /* to have a pidfd of it */
	bool in_loop;      /* the pidfd */
	bool leased;       /* its lease word is in the loop */
	int pidfd;
	uint32_t lease; /* that word's value when it was last watched */
	int64_t retry_ns;
	struct mye_identity who;
	char id[MYE_ID_BYTES];
};

struct mye_guard {
	size_t bytes;          /* of this allocation, with all that follows */
	struct mye_whom *whom; /* who is required (coordination.h) */
	uint32_t on_failure;
	int64_t startup_ns, progress_ns, check_ns, grace_ns;
	myelon_alert_fn hook;
	void *ctx;
	bool started;        /* the required ones have come once */
	int64_t startup_end; /* 0: the start has not begun */
	int failed;          /* what every managed call returns; 0: none */
	struct myelon_failure failure;
	uint64_t round;     /* looks so far */
	int64_t looked_ns;  /* when the last one was */
	int64_t planned_ns; /* when the next one is due at the latest; 0: this call made none yet */
	uint64_t generation;   /* join generation of the last one */
	int64_t look_at;       /* next look while spinning */
	int64_t wake_at;       /* latest end of the next sleep */
	struct mye_loop *loop; /* NULL until a sleep lasts */
	bool no_loop;          /* it cannot be had */
	uint32_t names;        /* required by id */
	uint32_t entries;
	struct mye_suspect *missing; /* one per name, and one for the count */
	struct mye_suspect *entry;   /* one per table entry */
};

/* First thing in a managed claim: the start, if it was not yet. @return 0 or what the call returns. */
int mye_guard_start(struct mye_producer *p, struct mye_guard *g, int64_t deadline);

/* Before plain claims that are part of a managed call, behind which p->as_managed is reset. @return 0, the
 * failure that stays, or -EINVAL. */
int mye_guard_enter(struct mye_producer *p);

/*
 * Judge everyone who is below the cursor @p need. @p parking: a sleep follows, which the end of a
 * suspect's process shall end. @return 0, or the failure.
 */
int mye_guard_look(struct mye_producer *p, struct mye_guard *g, int64_t need, int64_t now,
                   bool parking);

/* While spinning: does a lease say of one of those who were in the way that it is dying? A few loads. */
bool mye_guard_marked(const struct mye_producer *p, const struct mye_guard *g);

/* One alert, or the failure after it. @return look's: 0, or the failure. */
int mye_guard_judge(struct mye_producer *p, struct mye_guard *g, struct mye_suspect *s,
                    enum myelon_cause cause, int64_t now);
void mye_guard_alert(struct mye_producer *p, const struct mye_guard *g,
                     const struct myelon_failure *alert);

/* Who is in entry @p index now? What was found of another one before is forgotten. */
void mye_guard_meet(struct mye_producer *p, struct mye_guard *g, uint32_t index);
/* The sleep of a parked producer, on the space bell and the suspects' processes and leases. */
void mye_guard_watch(struct mye_producer *p, struct mye_guard *g, uint32_t index);
void mye_guard_listen(struct mye_guard *g);
int mye_guard_park(struct mye_producer *p, struct mye_guard *g, uint32_t bell, int64_t until);
void mye_guard_unwatch(struct mye_guard *g);

void mye_guard_close(struct mye_producer *p);

#endif
