/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file waitset.h - one thread waits for many things.
 *
 * Rings to be read, producers that need room, timers, processes and descriptors of one's own, up to
 * 65,536 in all. While nothing happens it sleeps in the kernel and costs nothing, however many they are.
 *
 *     struct myelon_waitset *ws;
 *     struct myelon_event ev[16];
 *     myelon_waitset_create(&ws, NULL);
 *     int ticks = myelon_waitset_add_consumer(ws, c, NULL, NULL);
 *     for (;;) {
 *         int n = myelon_waitset_wait(ws, ev, 16, MYELON_FOREVER);
 *         for (int i = 0; i < n; i++)
 *             if (ev[i].id == ticks && ev[i].result > 0)
 *                 ... myelon_peek(c, MYELON_ALL, MYELON_TRY, &v) ...
 *     }
 *
 * Rings are level triggered: a consumer is reported by every wait until it was read empty. Of more
 * things that are ready than fit, the next wait reports the others first. However busy some rings are,
 * the others, timers and descriptors have their turn.
 *
 * The end of a producer is an event, too: -EPIPE at once; -EOWNERDEAD within milliseconds where its
 * process can be watched or its lease tells, else within a second (docs/waiting.md). After it was reported the consumer is silent until
 * a new producer opens the ring.
 *
 * Engine: io_uring, or epoll with eventfd and futex_waitv where that is forbidden or old;
 * the option and the environment variable MYELON_ENGINE choose.
 *
 * Concurrency: a wait set, and the handles in it, belong to one thread at a time; only
 * myelon_waitset_wake() may be called from other threads and from signal handlers, and
 * myelon_waitset_fd() may be polled by any. After fork the child's copy answers -EPERM.
 */
#ifndef MYELON_WAITSET_H
#define MYELON_WAITSET_H

#include <stdint.h>
#include <sys/types.h>

#include <myelon/consumer.h>
#include <myelon/export.h>
#include <myelon/frame.h>
#include <myelon/producer.h>
#include <myelon/wait.h>

#ifdef __cplusplus
extern "C" {
#endif

struct myelon_waitset;

enum myelon_event_kind {
	MYELON_EVENT_CONSUMER = 1,
	MYELON_EVENT_PRODUCER = 2,
	MYELON_EVENT_TIMER = 3,
	MYELON_EVENT_PROCESS = 4,
	MYELON_EVENT_FD = 5,
};

struct myelon_event {
	int32_t id;    /* what add returned */
	uint32_t kind; /* enum myelon_event_kind */
	int32_t result; /* consumer: slots to peek, or what peek would return: -EPIPE, -EOWNERDEAD once
	                  * per epoch; -ECANCELED until peek has returned it; -ESTALE, -EPROTO by every
	                  * wait until it is removed. producer: 1, or -ECANCELED, which takes the
	                  * interrupt. process: 0, it ended. else 1 */
	uint32_t events; /* descriptor: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP */
	uint64_t count;  /* timer: how often it ran out since it was last reported */
	void *user;      /* as given to add */
};

/** Called by myelon_waitset_dispatch(). May add and remove, also itself, and close handles; not the set. */
typedef void (*myelon_event_fn)(const struct myelon_event *event, void *user);

struct myelon_waitset_opts {
	uint32_t size;
	uint32_t engine; /* enum myelon_engine: AUTO, URING or EPOLL */
	int64_t spin_ns; /* spin at most so long before a sleep; 0: the measured cost of one sleep and wake
	                  * while that pays; MYELON_NO_SPIN */
};
#define MYELON_WAITSET_OPTS(...)                                                                   \
	((struct myelon_waitset_opts){.size = sizeof(struct myelon_waitset_opts), __VA_ARGS__})

/** @return 0; -ENOTSUP (the engine asked for is not to be had, the sentence says why); -EMFILE; -ENOMEM; -EINVAL. */
MYELON_API int myelon_waitset_create(struct myelon_waitset **out,
                                     const struct myelon_waitset_opts *opts);
/** Everything in it is taken out; the handles and descriptors stay the caller's. NULL is allowed. */
MYELON_API void myelon_waitset_close(struct myelon_waitset *ws);

/*
 * Adding. @p fn may be NULL for those who use myelon_waitset_wait(). Closing a handle takes it out;
 * descriptors must be removed before they are closed. @return an id >= 0, used again only after 65,536
 * others; -EBUSY (the handle is in a wait set already); -ENOSPC; -EINVAL; -EPERM after fork; -ENOMEM.
 */
MYELON_API int myelon_waitset_add_consumer(struct myelon_waitset *ws, struct myelon_consumer *c,
                                           myelon_event_fn fn, void *user);
MYELON_API int myelon_waitset_add_frame_consumer(struct myelon_waitset *ws,
                                                 struct myelon_frame_consumer *fc,
                                                 myelon_event_fn fn, void *user);
/** Once: reported when @p slots can be claimed without waiting, then not until
 * myelon_waitset_want(). 0 slots: only from the next want on. @return also -EMSGSIZE (more than the
 * window). */
MYELON_API int myelon_waitset_add_producer(struct myelon_waitset *ws, struct myelon_producer *p,
                                           uint32_t slots, myelon_event_fn fn, void *user);
/** The same for a message of @p bytes, in all its fragments; for an empty one say 1. */
MYELON_API int myelon_waitset_add_frame_producer(struct myelon_waitset *ws,
                                                 struct myelon_frame_producer *fp, uint64_t bytes,
                                                 myelon_event_fn fn, void *user);
/** Wait for room once more: slots, or bytes of a framed producer; 0: no longer. @return 0, -EINVAL, -EMSGSIZE. */
MYELON_API int myelon_waitset_want(struct myelon_waitset *ws, int id, uint64_t amount);
/** First at @p first (absolute, CLOCK_MONOTONIC), then every @p period ns (0: once). Times that were
 * missed are counted, not repeated. MYELON_FOREVER: not before it is set anew. */
MYELON_API int myelon_waitset_add_timer(struct myelon_waitset *ws, int64_t first, int64_t period,
                                        myelon_event_fn fn, void *user);
/** Set a timer anew. @return 0, -EINVAL. */
MYELON_API int myelon_waitset_set_timer(struct myelon_waitset *ws, int id, int64_t first,
                                        int64_t period);
/** Reported once, when the process ends. @return also -ESRCH. */
MYELON_API int myelon_waitset_add_process(struct myelon_waitset *ws, pid_t pid, myelon_event_fn fn,
                                          void *user);
/** The same for a pidfd, which stays the caller's. */
MYELON_API int myelon_waitset_add_pidfd(struct myelon_waitset *ws, int pidfd, myelon_event_fn fn,
                                        void *user);
/** Level triggered. @p events: EPOLLIN, EPOLLOUT (sys/epoll.h). The descriptor stays the caller's:
 * remove it before it is closed. @return also -EPERM (a file that cannot be polled; with io_uring a device like /dev/null is just always ready), -EBADF, -EEXIST (it is in
 * the set already: ask for both events at once). */
MYELON_API int myelon_waitset_add_fd(struct myelon_waitset *ws, int fd, uint32_t events,
                                     myelon_event_fn fn, void *user);
MYELON_API int myelon_waitset_set_fd(struct myelon_waitset *ws, int id, uint32_t events);

/** Nothing of it is reported after this. @return 0 or -EINVAL. */
MYELON_API int myelon_waitset_remove(struct myelon_waitset *ws, int id);

/**
 * Wait until something is ready; no callback is called.
 * @param deadline  MYELON_TRY, MYELON_FOREVER or an absolute time.
 * @return how many @p events were filled in, at most @p max; 0: the deadline passed, or with
 * MYELON_TRY nothing is ready; -ECANCELED (myelon_waitset_wake() was called); -EINVAL; -EPERM.
 */
MYELON_API int myelon_waitset_wait(struct myelon_waitset *ws, struct myelon_event *events, int max,
                                   int64_t deadline);
/** The same, but calls the function of each event (at most @p max of them) instead. Events of sources
 * without a function are dropped. @return how many functions were called, or as wait; 64 at most. */
MYELON_API int myelon_waitset_dispatch(struct myelon_waitset *ws, int max, int64_t deadline);

/** End the current wait, or else the next one, with -ECANCELED; several at once count as one. Any
 * thread, signal handlers too. */
MYELON_API void myelon_waitset_wake(struct myelon_waitset *ws);

/**
 * A descriptor for somebody else's event loop: readable when a wait might report something. Call
 * wait or dispatch with MYELON_TRY until it returns 0, then it is waited for again; so both level
 * and edge triggered loops work. Made by the first call; belongs to the wait set. @return it, or negative.
 */
MYELON_API int myelon_waitset_fd(struct myelon_waitset *ws);

/** MYELON_ENGINE_URING or MYELON_ENGINE_EPOLL: what it sleeps with now. */
MYELON_API enum myelon_engine myelon_waitset_engine(const struct myelon_waitset *ws);

struct myelon_waitset_stats {
	uint32_t size;
	uint32_t sources;
	uint64_t waits;   /* calls that had to wait */
	uint64_t sleeps;  /* in the kernel */
	uint64_t spin_ns; /* spun before sleeps and instead of them */
	uint64_t caps;    /* sleeps ended by the bound of 1 s */
	uint64_t
		caps_found; /* ... after which something was there; 0 unless somebody was killed or stopped */
};
MYELON_API int myelon_waitset_stats(const struct myelon_waitset *ws,
                                    struct myelon_waitset_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
