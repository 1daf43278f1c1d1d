/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file producer.h - the write side of a ring.
 *
 * claim() gives room for n slots as one flat array, publish() makes them
 * visible to every consumer with one store. A claim that was not published was
 * never there, also after a crash.
 *
 * If create or open returned 0 you must close; if it returned an error you owe
 * nothing. Only close takes NULL.
 *
 * Concurrency: a handle belongs to one thread at a time (it may be handed
 * over); only myelon_producer_interrupt() may be called from other threads and
 * from signal handlers. Other processes need no exclusion. Publish is
 * wait-free; claim waits for the slowest gating consumer. After fork the
 * child's copy answers -EPERM; close it there or not, as you like.
 */
#ifndef MYELON_PRODUCER_H
#define MYELON_PRODUCER_H

#include <stdbool.h>
#include <string.h>

#include <myelon/error.h>
#include <myelon/ring.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The hot part of a producer handle, visible so that claim and publish can be inlined; the rest of
 * the handle lies behind it. Read-only for callers: only the functions below write it. There is room
 * for end - next slots; none sends every call to the slow path, which knows all the reasons (first
 * call, full, closed, forked). Few words are stored per message on purpose: stores to shared lines
 * wait for the other core in the same queue, and every other store in it makes that queue shorter.
 */
struct myelon_producer {
	int64_t next;        /* sequence of the next slot to claim */
	int64_t end;         /* first sequence that may not be claimed without asking */
	int64_t claimed;     /* end of the open claim; <= next: none is open */
	unsigned char *data; /* slot 0; mapped twice in a row */
	uint64_t mask;       /* slots - 1 */
	uint32_t slot_size;
	uint32_t fence; /* publish needs a full fence before it looks at parked */
	int64_t *published;
	uint32_t *parked;
	int64_t managed_end; /* end for managed claims (liveness.h); 0: they all ask */
};

/**
 * Create the ring @p name and become its producer.
 *
 * All memory is allocated, placed and touched before the name appears; nothing
 * can fail for lack of memory later.
 * @return 0; -EEXIST (the message says whether it is alive, and by whom it is
 * held); -EINVAL; -EMSGSIZE (sizes overflow); -ENOSPC/-ENOMEM (the message
 * names the pool or directory); -EACCES; -ETIMEDOUT (wait_for was not met: the
 * message names who is missing, and the ring is removed again).
 */
MYELON_API int myelon_producer_create(struct myelon_producer **out, const char *name,
                                      const struct myelon_ring_opts *opts);

/**
 * Take over an existing ring whose producer closed or died: sequences, epoch
 * and consumers go on.
 * @return 0; -EBUSY (its producer lives; the message has its pid); -ENOENT;
 * -ENOTSUP (a ring in a memfd ends with its producer); -EPROTO; -EACCES; as create.
 */
MYELON_API int myelon_producer_open(struct myelon_producer **out, const char *name,
                                    const struct myelon_open_opts *opts);

/** Close in order: consumers read what is left, then get -EPIPE. NULL is
 * allowed. */
MYELON_API void myelon_producer_close(struct myelon_producer *p);

/** Slow path of myelon_claim(): make room for @p n slots. */
MYELON_API int myelon_claim_slow(struct myelon_producer *p, uint32_t n, int64_t deadline);
/** Slow path of myelon_publish(). */
MYELON_API int myelon_publish_slow(struct myelon_producer *p, uint32_t n);
/** Wake whoever announced that it parks. */
MYELON_API void myelon_producer_wake(struct myelon_producer *p);

#ifdef MYE_TEST_POINTS
MYELON_API void mye_point(void);
#define MYELON_POINT_() mye_point()
#else
#define MYELON_POINT_() ((void)0)
#endif

/**
 * Claim @p n consecutive slots to write in place; at most one claim is open at
 * a time.
 *
 * @param n         1 .. window; more can never succeed: -EMSGSIZE at once.
 * @param deadline  MYELON_TRY, MYELON_FOREVER or an absolute time (wait.h).
 * @param span      out: one flat array of exactly n slots.
 * @return 0; -EAGAIN; -ETIMEDOUT; -EMSGSIZE; -EINVAL (n is 0, or a claim is
 * open); -ECANCELED; -EPERM.
 */
static inline int myelon_claim(struct myelon_producer *p, uint32_t n, int64_t deadline,
                               struct myelon_span *span)
{
	if (__builtin_expect((int64_t)(n - 1u) >= p->end - p->next || p->claimed > p->next, 0)) {
		int rc = myelon_claim_slow(p, n, deadline);

		if (rc < 0)
			return rc;
	}
	p->claimed = p->next + n;
	span->base = p->data + ((uint64_t)p->next & p->mask) * p->slot_size;
	span->count = n;
	span->seq = p->next;
	return 0;
}

/**
 * Make the first @p n slots of the open claim visible, in one step; the rest is
 * given back.
 *
 * @param n  1 .. the claimed count.
 * @return 0; -EINVAL (n is 0 or more than was claimed, or no claim is open);
 * -EPERM.
 */
static inline int myelon_publish(struct myelon_producer *p, uint32_t n)
{
	if (__builtin_expect(n - 1u >= (uint64_t)(p->claimed - p->next), 0))
		return myelon_publish_slow(p, n);
	p->next += n;
	if (__builtin_expect(p->claimed != p->next, 0))
		p->claimed = p->next;
	MYELON_POINT_();
	/* Release: pairs with the acquire loads of published in consumers and
   * observers (refill). */
	__atomic_store_n(p->published, p->next - 1, __ATOMIC_RELEASE);
	MYELON_POINT_();
	if (__builtin_expect(p->fence, 0))
		/* Pairs with the fence between a parking consumer's flag and its re-check.
     */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	else
		/* Light side: pairs with the membarrier of a parking consumer
     * (docs/ordering.md). */
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__builtin_expect(__atomic_load_n(p->parked, __ATOMIC_RELAXED) != 0, 0))
		myelon_producer_wake(p);
	return 0;
}

/** Give the open claim back; nothing becomes visible. @return 0, or -EINVAL if
 * no claim is open. */
MYELON_API int myelon_cancel(struct myelon_producer *p);

/** Copy @p n slots from @p slots and publish them in one step. @return as
 * claim. */
static inline int myelon_publish_copy(struct myelon_producer *p, const void *slots, uint32_t n,
                                      int64_t deadline)
{
	struct myelon_span s = {NULL, 0, 0, 0};
	int rc = myelon_claim(p, n, deadline, &s);

	if (rc < 0)
		return rc;
	memcpy(s.base, slots, (size_t)n * p->slot_size);
	return myelon_publish(p, n);
}

/**
 * Wait until the consumers of @p whom are attached and alive.
 * @return 0; -ETIMEDOUT, or -EAGAIN with MYELON_TRY, with the missing ones in myelon_last_error();
 * -EINVAL; -ECANCELED; -EINTR. The handle stays usable; ask again as often as you like.
 */
MYELON_API int myelon_producer_wait_for(struct myelon_producer *p,
                                        const struct myelon_wait_for *whom, int64_t deadline);

/** Last published sequence, -1: none yet. */
MYELON_API int64_t myelon_producer_published(const struct myelon_producer *p);

/** Lowest cursor of the gating consumers, read now; published if nobody gates; -1 after fork. */
MYELON_API int64_t myelon_producer_minimum(struct myelon_producer *p);

/** 1 if every gating consumer released @p seq, 0 if not; -EINVAL if it was
 * never published. */
MYELON_API int myelon_producer_is_consumed(struct myelon_producer *p, int64_t seq);

/** Wait until every gating consumer released @p seq (all published: pass
 * myelon_producer_published()). @return 0, -EAGAIN, -ETIMEDOUT, -EINVAL,
 * -ECANCELED. */
MYELON_API int myelon_producer_wait_consumed(struct myelon_producer *p, int64_t seq,
                                             int64_t deadline);

/** The cursor of consumer @p id. @return 0, or -ENOENT. */
MYELON_API int myelon_producer_cursor(struct myelon_producer *p, const char *id, int64_t *cursor);

/** Call @p fn for each entry of the consumer table. @return 0 or fn's value. */
MYELON_API int myelon_producer_consumers(struct myelon_producer *p, myelon_consumer_fn fn,
                                         void *ctx);

/**
 * A descriptor of the slots of a ring created with MYELON_BACKING_MEMFD, for those who shall read
 * it: they attach with it in data_fd (MYELON_FD()). Nobody else can, and there is no other way.
 *
 * Each call gives a new one, read-only and close-on-exec, which the caller owns, sends (SCM_RIGHTS)
 * or lets a child inherit, and closes. It is a key, not a hold: whoever has it can attach, again
 * and again, as long as the ring has a name, also after the producer died. The memory goes when the
 * last descriptor and the last mapping are gone.
 * @return the descriptor; -EINVAL (the ring is not in a memfd); -EMFILE; -EPERM after fork.
 */
MYELON_API int myelon_producer_data_fd(struct myelon_producer *p);

/** Describe the ring. @return 0 or -EINVAL. */
MYELON_API int myelon_producer_info(struct myelon_producer *p, struct myelon_ring_info *info);

/** As info, but with every page looked up now: since create they may have been moved (migratepages, a
 * cpuset, automatic balancing). @return how many pages, of slots and control, are not where the ring's
 * creator wanted them, 0: all are, or nothing was wanted; -ENOTSUP (nobody tells); -EINVAL; -EPERM after fork. */
MYELON_API int myelon_producer_verify(struct myelon_producer *p, struct myelon_ring_info *info);

/** Advice about the place of this producer (myelon_ring_advice()). @return 0, -EINVAL, or -EPERM after
 * fork. */
MYELON_API int myelon_producer_advice(const struct myelon_producer *p,
                                      struct myelon_advice *advice);

/** Counters of this handle since it was opened. */
struct myelon_handle_stats {
	uint32_t size; /**< in: sizeof(struct myelon_handle_stats) */
	uint32_t reserved;
	uint64_t waits;        /**< times the ring was found full (producer) or empty (consumer) */
	uint64_t spin_ns;      /**< time spent spinning before parks (adaptive) */
	uint64_t parks;        /**< sleeps in the kernel */
	uint64_t futile_spins; /**< spins that ended in a park */
	uint64_t wakes;        /**< wake calls made for others */
	uint64_t caps;         /**< sleeps that ended at the 1 s cap */
	uint64_t
		caps_found; /**< ... and found something: 0 unless somebody was killed or stopped */
	uint64_t alerts;    /**< values in shared memory that were out of range */
	uint64_t lost;    /**< messages skipped at a resume (consumer) or overwritten (observer) */
	uint64_t gathers; /**< polls delayed to gather messages (consumer) */
	uint64_t yields;  /**< times the CPU was given away before a park (adaptive) */
};
#define MYELON_HANDLE_STATS_INIT                                                                   \
	{                                                                                          \
		.size = sizeof(struct myelon_handle_stats)                                         \
	}
/** Fill @p stats. @return 0, -EINVAL, or -EPERM after fork. */
MYELON_API int myelon_producer_stats(const struct myelon_producer *p,
                                     struct myelon_handle_stats *stats);

/** Make the current or next wait of @p p return -ECANCELED. Any thread, signal
 * handlers too. */
MYELON_API void myelon_producer_interrupt(struct myelon_producer *p);

/* Exported twins of the inline functions, for other languages. */
MYELON_API int myelon_claim_fn(struct myelon_producer *p, uint32_t n, int64_t deadline,
                               struct myelon_span *span);
MYELON_API int myelon_publish_fn(struct myelon_producer *p, uint32_t n);
MYELON_API int myelon_publish_copy_fn(struct myelon_producer *p, const void *slots, uint32_t n,
                                      int64_t deadline);

#ifdef __cplusplus
}
#endif
#endif
