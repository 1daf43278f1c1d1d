/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * How a handle waits: polling by its strategy, then sleeping on a doorbell. The loop itself (what is
 * checked, which flag is announced) belongs to the ring; this is what both sides share.
 */
#ifndef MYE_WAIT_WAITER_H
#define MYE_WAIT_WAITER_H

#include <stdbool.h>
#include <stdint.h>

#include <myelon/producer.h>
#include <myelon/wait.h>

#include "segment/segment.h"
#include "sys/sys.h"
#include "wait/gather.h"

#define MYE_CAP_NS 1000000000ll         /* no sleep is longer */
#define MYE_NO_BARRIER_CAP_NS 1000000ll /* a heavy side that cannot call membarrier */
#define MYE_ASK_NS 10000000ll           /* spinners ask for the peer's lock this often */

/* The strategy of one handle, what it learned, and its counters. */
struct mye_waiter {
	enum myelon_wait strategy;
	bool full_fence; /* this handle fences on its light side */
	bool no_barrier; /* asymmetric mode, but membarrier is denied to us as the heavy side */
	bool full_mode;  /* the ring's mode is FULL */
	int pinned;      /* CPU, or -1 */
	bool quota;      /* a CPU quota is in force */
	uint32_t cpus;   /* usable CPUs */
	uint32_t
		first_burst; /* polls a wait begins with, before its first step; 0: it must look around */
	int64_t cost_ns;       /* measured cost of one park and wake: the spin budget of adaptive */
	int64_t counted_ns;    /* when the spinners were last counted */
	bool crowded;          /* ... and there were more than CPUs */
	int64_t park_begun_ns; /* when the last barrier was called */
	uint32_t yield_skip;   /* waits until a yield is tried again */
	uint32_t yield_backoff;      /* waits without after one that did not pay */
	int64_t sleep_ns;            /* next sleep of MYELON_WAIT_SLEEP */
	uint32_t *parked_word;       /* where tools see that we sleep; may be NULL */
	struct mye_futex watched[2]; /* the next park ends when one of these changes, too */
	unsigned int watching;       /* how many there are */
	/* How the next park sleeps, as mye_futex_wait(); NULL: that way. */
	int (*doze)(void *ctx, const uint32_t *bell, uint32_t value, int64_t until);
	void *doze_ctx;
	struct myelon_handle_stats stats;
};

void mye_waiter_init(struct mye_waiter *w, enum myelon_wait strategy, const struct mye_segment *seg,
                     uint32_t *parked_word);

/* The heavy side's barrier between its announcement and its re-check. */
void mye_waiter_barrier(struct mye_waiter *w);

/*
 * One wait episode: begin; then alternate step and, where it says poll, up to burst polls; end when
 * something was found.
 */
struct mye_episode {
	int64_t deadline;
	int64_t begun_ns; /* 0: the clock was not read yet */
	int64_t now_ns;   /* as last read */
	int64_t asked_ns; /* when step last said MYE_STEP_ASK */
	uint32_t steps;
	uint32_t burst; /* out: polls to make before the next step */
	bool parked;    /* step said park at least once */
	bool yielded;   /* the CPU was given away before that */
};

enum mye_step {
	MYE_STEP_POLL,    /* look again, burst times */
	MYE_STEP_ASK,     /* the same, but first ask whether the peer lives: 10 ms went by */
	MYE_STEP_PARK,    /* sleep on the doorbell */
	MYE_STEP_TIMEOUT, /* the deadline passed */
	MYE_STEP_EINTR,   /* a signal ended a sleep */
};

void mye_episode_begin(struct mye_episode *e, int64_t deadline);
enum mye_step mye_episode_step(struct mye_waiter *w, struct mye_episode *e,
                               const struct mye_segment *seg);
/* @p found: how many messages, or slots of room, there are now. */
void mye_episode_end(struct mye_waiter *w, const struct mye_episode *e, uint64_t found);

/*
 * Sleep on @p bell while it has @p value, until deadline or the cap. Counts, keeps the parked word,
 * learns the cost of a wake from @p wake_ns (the waker's time stamp). @return 0, -EINTR, -ETIMEDOUT
 * (only the caller's deadline), -EAGAIN (value had changed), 1: the cap ended it, -EFAULT.
 */
int mye_waiter_park(struct mye_waiter *w, const struct mye_segment *seg, const uint32_t *bell,
                    uint32_t value, const uint64_t *wake_ns, int64_t deadline);

/* Raise a doorbell; wake nobody. */
void mye_raise_bell(uint32_t *bell, uint64_t *wake_ns);
/* Raise a doorbell and wake all who sleep on it. Async-signal-safe. */
void mye_ring_bell(uint32_t *bell, uint64_t *wake_ns);

#endif
