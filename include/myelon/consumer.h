/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file consumer.h - the read side of a ring.
 *
 * peek() gives everything that is there as one flat array, in place; release()
 * gives the first n of it back to the producer with one store. A consumer
 * gates: what it has not released is not overwritten. Delivery across a crash
 * is at least once: what was read but not released comes again.
 *
 * If attach returned 0 you must close; if it returned an error you owe nothing. Only close takes NULL.
 *
 * Concurrency: a handle belongs to one thread at a time; only
 * myelon_consumer_interrupt() may be called from other threads and from signal
 * handlers. After fork the child's copy answers -EPERM.
 */
#ifndef MYELON_CONSUMER_H
#define MYELON_CONSUMER_H

#include <string.h>

#include <myelon/error.h>
#include <myelon/producer.h>
#include <myelon/ring.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Not in the first polls, where a line that is just being written would be taken from its writer. */
#define MYELON_POLLS_UNTIL_PREFETCH_ 4

/**
 * The hot part of a consumer handle, visible so that peek and release can be inlined; the rest lies
 * behind it. Read-only for callers. end - next slots are there to be read; none sends every call to
 * the slow path.
 */
struct myelon_consumer {
	int64_t next;              /* sequence of the next slot to release */
	int64_t end;               /* first sequence not known to be published */
	int64_t held;              /* end of what the last peek gave out; <= next: all released */
	const unsigned char *data; /* slot 0; mapped twice in a row */
	uint64_t mask;             /* slots - 1 */
	uint32_t slot_size;
	uint32_t fence; /* release needs a full fence before it looks at space_target */
	int64_t *cursor;
	const uint64_t *evicted;     /* highest generation of this entry that was evicted */
	uint64_t generation;         /* ours */
	const int64_t *space_target; /* cursor a blocked producer waits for */
	const int64_t *published;    /* the producer's */
	uint64_t run;                /* most that the polls of peek may take at once */
	uint32_t polled;             /* polls the last refill made in peek itself */
	uint32_t relax;              /* pause between polls */
};

/**
 * Attach to the ring @p name as a consumer, under an id of one's own.
 * @return 0; -ENOENT (no ring within timeout_ns); -EBUSY (a living process owns
 * the id); -ENOSPC (the consumer table is full); -EPROTO; -EINVAL (slot size or
 * schema differ; bad id); -EACCES; -EPERM (the files belong to somebody else,
 * see MYELON_F_ANY_OWNER). A ring in a memfd: -EINVAL (no data_fd, or not the
 * ring's), -EBADF (it is not open), -EPROTO (it is not sealed against truncation).
 */
MYELON_API int myelon_consumer_attach(struct myelon_consumer **out, const char *name,
                                      const struct myelon_attach_opts *opts);

/** Detach: the producer no longer waits for this id; it may resume later. NULL
 * is allowed. */
MYELON_API void myelon_consumer_close(struct myelon_consumer *c);

/** Slow path of myelon_peek(), first half: whatever can be done before the first look at the ring.
 * @return how often peek polls by itself before it calls the second half, or negative. */
MYELON_API int myelon_peek_begin(struct myelon_consumer *c, uint32_t max, int64_t deadline);
/** Second half, with the value of published that peek saw last: wait. @return how much is there, > 0,
 * or negative. */
MYELON_API int myelon_peek_wait(struct myelon_consumer *c, int64_t published, int64_t deadline);
/** Slow path of myelon_release(). */
MYELON_API int myelon_release_slow(struct myelon_consumer *c, uint32_t n);
/** Wake the producer that waits for room. */
MYELON_API void myelon_consumer_wake(struct myelon_consumer *c);

/*
 * Nothing is left of what was there. The polls are made here and not behind a call: from the moment
 * the producer's store arrives, a round trip consists of what follows it, and a call with its
 * registers is a tenth of that (docs/benchmarks.md).
 */
static inline int myelon_refill_(struct myelon_consumer *c, uint32_t max, int64_t deadline)
{
	int polls = myelon_peek_begin(c, max, deadline), i = 0;
	const unsigned char *slot;
	int64_t have, published;

	if (polls < 0)
		return polls;
	slot = c->data + ((uint64_t)c->next & c->mask) * c->slot_size;
	have = c->next - 1;
	/* Acquire: pairs with the release store in myelon_publish(); the slots up to it are written. */
	while ((published = __atomic_load_n(c->published, __ATOMIC_ACQUIRE)) == have && i < polls) {
		if (c->relax)
			myelon_relax();
		/* It is written before published is: now both come at the same time. */
		if (i++ >= MYELON_POLLS_UNTIL_PREFETCH_)
			__builtin_prefetch(slot);
	}
	c->polled = (uint32_t)i;
	/* Nothing, and what cannot be, are out of range in the same way. */
	if (__builtin_expect((uint64_t)published - (uint64_t)have - 1 >= c->run, 0))
		return myelon_peek_wait(c, published, deadline);
	c->end = published + 1;
	return (int)(published - have);
}

/**
 * Look at the messages that follow the last released one, in place; waits until
 * there is one.
 *
 * The same slots are given again until they are released. They stay intact
 * until then, unless the consumer is evicted (myelon_evict()), which release tells.
 * @param max       at most this many slots (MYELON_ALL: everything there is).
 * @param deadline  MYELON_TRY, MYELON_FOREVER or an absolute time.
 * The death of the producer ends a wait: a polling one within about 10 ms, a sleep at once where its process
 * can be watched (io_uring, the same pid namespace) or it has a lease (MYELON_F_LEASE), else within 1 s.
 * @return the count, > 0; -EAGAIN; -ETIMEDOUT; -EPIPE, -EOWNERDEAD (only when
 * all is read; repeated until a new producer opens the ring); -ESTALE; -EINVAL
 * (max is 0); -ECANCELED; -EINTR; -EPERM; -EPROTO (what the ring says cannot be:
 * its producer is broken, or its control file was truncated).
 */
static inline int myelon_peek(struct myelon_consumer *c, uint32_t max, int64_t deadline,
                              struct myelon_view *view)
{
	uint64_t n = (uint64_t)(c->end - c->next);

	if (__builtin_expect(n - 1 >= max, 0)) {
		if (n == 0 || max == 0) {
			int rc = myelon_refill_(c, max, deadline);

			if (rc < 0)
				return rc;
			n = (uint64_t)rc;
		}
		if (n > max)
			n = max;
	}
	c->held = c->next + (int64_t)n;
	view->base = c->data + ((uint64_t)c->next & c->mask) * c->slot_size;
	view->count = (uint32_t)n;
	view->seq = c->next;
	return (int)n;
}

/**
 * Give the first @p n slots of the last peek back to the producer.
 *
 * @return 0; -ESTALE: evicted meanwhile, what was read since peek may have been
 * overwritten and is not to be trusted: close and attach again, the id goes on behind the last
 * release that returned 0 and is told what it lost; -EINVAL (n is 0 or more than was
 * peeked); -EPERM.
 */
__attribute__((warn_unused_result)) static inline int myelon_release(struct myelon_consumer *c,
                                                                     uint32_t n)
{
	int64_t target;

	if (__builtin_expect(n - 1u >= (uint64_t)(c->held - c->next), 0))
		return myelon_release_slow(c, n);
	/* Acquire: pairs with the fence of an evictor; whoever read bytes written behind it sees the flag.
	   Before the cursor: what is not to be trusted does not count as read, so it is lost for the next. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__builtin_expect(__atomic_load_n(c->evicted, __ATOMIC_RELAXED) >= c->generation, 0))
		return myelon_release_slow(c, n);
	c->next += n;
	MYELON_POINT_();
	/* Release: pairs with the producer's acquire load of cursors (gate); our
   * reads are done. */
	__atomic_store_n(c->cursor, c->next - 1, __ATOMIC_RELEASE);
	MYELON_POINT_();
	if (__builtin_expect(c->fence, 0))
		/* Pairs with the fence between a blocked producer's target and its rescan.
     */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	else
		/* Light side: pairs with the membarrier of a blocked producer. */
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	target = __atomic_load_n(c->space_target, __ATOMIC_RELAXED);
	if (__builtin_expect(target < c->next && target >= c->next - (int64_t)n, 0))
		myelon_consumer_wake(c);
	return 0;
}

/** Copy up to @p max slots into @p slots and release them. @return the count,
 * or as peek and release. */
static inline int myelon_consume_copy(struct myelon_consumer *c, void *slots, uint32_t max,
                                      int64_t deadline)
{
	struct myelon_view v = {NULL, 0, 0, 0};
	int n = myelon_peek(c, max, deadline, &v), rc;

	if (n < 0)
		return n;
	memcpy(slots, v.base, (size_t)v.count * c->slot_size);
	rc = myelon_release(c, v.count);
	return rc < 0 ? rc : n;
}

/** Our id. */
MYELON_API const char *myelon_consumer_id(const struct myelon_consumer *c);

/** Last released sequence, -1: none. */
MYELON_API int64_t myelon_consumer_cursor(const struct myelon_consumer *c);

/** Published but not released messages, read now. */
MYELON_API int64_t myelon_consumer_lag(const struct myelon_consumer *c);

/** Last published sequence, read now. */
MYELON_API int64_t myelon_consumer_published(const struct myelon_consumer *c);

/** 1 at create, +1 at each takeover by a new producer. */
MYELON_API uint64_t myelon_consumer_epoch(const struct myelon_consumer *c);

/** After -EPIPE or -EOWNERDEAD: wait until a new producer opens the ring.
 * @return 0, -ETIMEDOUT, -EAGAIN, -ENOENT (the name was removed), -ECANCELED.
 */
MYELON_API int myelon_consumer_wait_producer(struct myelon_consumer *c, int64_t deadline);

/** Describe the ring. @return 0 or -EINVAL. */
MYELON_API int myelon_consumer_info(struct myelon_consumer *c, struct myelon_ring_info *info);

/** As info, but with every page looked up now: since create they may have been moved (migratepages, a
 * cpuset, automatic balancing). @return how many pages, of slots and control, are not where the ring's
 * creator wanted them, 0: all are, or nothing was wanted; -ENOTSUP (nobody tells); -EINVAL; -EPERM after fork. */
MYELON_API int myelon_consumer_verify(struct myelon_consumer *c, struct myelon_ring_info *info);

/** Advice about the place of this consumer (myelon_ring_advice()). @return 0, -EINVAL, or -EPERM after
 * fork. */
MYELON_API int myelon_consumer_advice(const struct myelon_consumer *c,
                                      struct myelon_advice *advice);

MYELON_API int myelon_consumer_stats(const struct myelon_consumer *c,
                                     struct myelon_handle_stats *stats);

/** Make the current or next wait of @p c return -ECANCELED. Any thread, signal
 * handlers too. */
MYELON_API void myelon_consumer_interrupt(struct myelon_consumer *c);

/** How a descriptor consumer is woken. Zero means default. */
struct myelon_fd_opts {
	uint32_t size;
	uint32_t engine; /* enum myelon_engine; AUTO: the best that works here */
	/* A peek that finds nothing looks for so long before it arms; 0: as long as arming costs, while
	 * that pays; MYELON_NO_SPIN: never, every -EAGAIN arms at once. */
	int64_t spin_ns;
};
#define MYELON_FD_OPTS(...)                                                                        \
	((struct myelon_fd_opts){.size = sizeof(struct myelon_fd_opts), __VA_ARGS__})

/**
 * A descriptor for an event loop (epoll, poll, select, libuv, asyncio, io_uring): readable when there
 * is something to peek, or when the producer closed or died, or we were evicted. When it is, call peek with MYELON_TRY,
 * and release, until it returns -EAGAIN: that call clears the descriptor and arms it again. So level and edge
 * triggered loops both work. It may become readable without reason (at most about once a second while
 * nothing comes); then peek returns -EAGAIN at once.
 *
 * The first call makes it, later ones return the same (@p opts are then ignored). It belongs to the
 * handle and ends with it; only wait for it, never read it. Waiting calls still work. While messages
 * stream, a peek that would return -EAGAIN looks for some us longer, at most what arming costs.
 *
 * @return the descriptor; -ENOTSUP (the engine asked for is not to be had, the sentence says why);
 * -EMFILE; -ENOMEM; -EINVAL; -EPERM (after fork).
 */
MYELON_API int myelon_consumer_fd(struct myelon_consumer *c, const struct myelon_fd_opts *opts);

/** What wakes it now: MYELON_ENGINE_URING, MYELON_ENGINE_DIRECT or MYELON_ENGINE_PROXY; AUTO: it has no
 * descriptor. */
MYELON_API enum myelon_engine myelon_consumer_fd_engine(const struct myelon_consumer *c);

/* Exported twins of the inline functions, for other languages. */
MYELON_API int myelon_peek_fn(struct myelon_consumer *c, uint32_t max, int64_t deadline,
                              struct myelon_view *view);
MYELON_API int myelon_release_fn(struct myelon_consumer *c, uint32_t n);
MYELON_API int myelon_consume_copy_fn(struct myelon_consumer *c, void *slots, uint32_t max,
                                      int64_t deadline);

#ifdef __cplusplus
}
#endif
#endif
