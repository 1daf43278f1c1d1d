/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The watch of a ring (<myelon/peers.h>).
 *
 * peers_look.c: the diff between what is known of each place and what it says now; peers_hear.c: what ends
 * a sleep; peers.c: the calls; peers_hook.c: the keeper calls the hook.
 *
 * A look goes through all places, the producer first, one at a time: it stops while changes found at one
 * are to be handed out. It begins when the word `peers` has moved, a process ended, or a time is due. The
 * locks are asked for then of those who are new or about whom something was heard; of everybody each
 * second, which is how a change is found that nobody told (killed before it could, exec).
 */
#ifndef MYE_RING_PEERS_H
#define MYE_RING_PEERS_H

#include <myelon/peers.h>

#include "ring/ring.h"
#include "wait/keeper.h"
#include "wait/loop.h"

#define MYE_PEERS_MAGIC 0x77796d31u
#define MYE_PEERS_TOLD 6 /* changes that one place can have at one look */

/* What was told of one place last. */
enum mye_standing {
	MYE_NOBODY = 0,
	MYE_COMING, /* its lock was not asked for yet, or its join is not finished */
	MYE_HERE,
	MYE_GONE, /* dead, and its place is as it left it */
	MYE_LEFT,
	MYE_OUSTED, /* evicted */
};

/* One place: of a consumer, or the producer's. */
struct mye_peer_record {
	enum mye_standing standing;
	bool back;      /* the owner's id was here before */
	bool automatic; /* its id goes with it */
	bool ended;     /* its process did, or so it was heard */
	bool dying;     /* ... and that was told */
	bool stalled;
	bool unseen; /* there is no descriptor of its process */
	bool watched;
	uint32_t untold; /* enum myelon_peer_change found when the watch was opened; 0: none */
	int pidfd;
	int32_t pid;
	uint64_t generation;  /* or epoch */
	uint64_t released_ns; /* who leaves in order changes it */
	int64_t cursor;
	int64_t moved_ns; /* at that look it moved, or had read everything */
	int64_t ask_at;   /* when its lock is to be asked for */
	int64_t retry_ns;
	char id[MYE_ID_BYTES];
};

struct mye_peers {
	uint32_t magic;
	uint32_t interrupted;
	uint32_t flags;
	uint32_t in_call;
	struct mye_segment seg;
	int64_t progress_ns;

	/* Hearing. */
	struct mye_loop *loop;
	int timer_fd;
	bool polled;  /* somebody else sleeps, on its descriptor */
	bool poked;   /* which is readable since somebody was told */
	bool bell_on; /* the word is in the loop */
	bool lease_on;
	uint32_t lease_value;
	int64_t deaf_until; /* to a word that was raised for nothing */
	int64_t lease_deaf_until;
	bool heard; /* look, whatever the word says */

	/* The look. */
	uint32_t records; /* producer, consumers */
	uint32_t at;      /* next place of a look under way; records: it is over */
	bool whole;       /* it asks for all locks */
	bool opening;     /* the first one, which tells nobody */
	bool rung;        /* it began because the word had moved */
	bool found;       /* something */
	uint32_t bell;    /* the word when it began */
	int64_t now;
	int64_t due;      /* of the next look */
	int64_t whole_at; /* of the next whole one */
	int64_t name_ns;  /* nobody is here: how long until the name is looked at again */
	bool nameless;    /* the name is gone; one more look, then it is told */
	bool over;
	struct mye_peer_record *record;

	struct myelon_peer_event told[MYE_PEERS_TOLD + 1]; /* and the removal */
	uint32_t told_at, told_end;

	/* The hook. */
	myelon_peer_fn hook;
	void *ctx;
	struct mye_task task;
	uint32_t hook_tid; /* thread that is in it, 0 */
	bool failing;
};

static inline void mye_sooner(int64_t *at, int64_t when)
{
	if (when < *at)
		*at = when;
}

/* peers.c: what a call with MYELON_TRY does. @return 0: @p e is filled in; -EAGAIN: the descriptor waits; -EPIPE;
 * another negative errno with a sentence. */
int mye_peers_try(struct mye_peers *w, struct myelon_peer_event *e);
/* Close everything but the hook. */
void mye_peers_drop(struct mye_peers *w);

/* peers_look.c. Of all who are there now: nobody is told, but will be. */
void mye_peers_begin(struct mye_peers *w);
/* Go on looking. @return whether there is something to tell: told[told_at]. */
bool mye_peers_look(struct mye_peers *w);
/* Is it time to? */
bool mye_peers_due(struct mye_peers *w);

/* peers_hear.c */
int mye_peers_hear(struct mye_peers *w);
void mye_peers_hear_end(struct mye_peers *w);
/* Hear of the word, or no longer. */
void mye_peers_listen(struct mye_peers *w);
void mye_peers_deaf(struct mye_peers *w);
/* Sleep until @p deadline, which may be MYELON_TRY, or something is heard or due. @return 0, -EINTR, negative. */
int mye_peers_sleep(struct mye_peers *w, int64_t deadline);
/* Somebody else sleeps. */
int mye_peers_arm(struct mye_peers *w);
/* There may be more to tell: the descriptor stays readable. */
void mye_peers_poke(struct mye_peers *w);
/* Hear of the end of a process, from now on; of another one no longer. */
void mye_peers_watch(struct mye_peers *w, uint32_t place, const struct mye_identity *who);
void mye_peers_unwatch(struct mye_peers *w, uint32_t place);
/* The producer's lease: hear of it if it is held. @return whether it says that its owner is dying. */
bool mye_peers_lease(struct mye_peers *w);

/* peers_hook.c */
int mye_peers_hook_begin(struct mye_peers *w);
void mye_peers_hook_end(struct mye_peers *w);

#endif
