/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file peers.h - be told who comes to a ring and who goes, while nobody is blocked.
 *
 * A watch looks at one ring by its name, from the producer's process, a consumer's, or any other. It
 * never holds anybody up, needs no more than permission to read the control file, and does not keep the
 * ring from being removed: it says "removed" then.
 *
 *     static void on_change(void *ctx, const struct myelon_peer_event *e)
 *     {
 *         printf("%s %s\n", e->id, myelon_peer_change_name(e->change));
 *     }
 *     struct myelon_peers *w;
 *     myelon_peers_open(&w, "feed", &MYELON_PEERS_OPTS(.on_peer_change = on_change));
 *
 * With the hook the keeper's thread (keeper.h) calls it. Without, the application asks: myelon_peers_next(),
 * alone or when myelon_peers_fd() is readable, which may be in any event loop or wait set
 * (myelon_waitset_add_fd()).
 *
 * Who is there when the watch is opened is told first, as attached. Then every change is, in the order
 * in which it is found; the producer's before those of consumers that are found at the same time. What
 * happened and was undone between two looks may be left out: an id that came and left. An owner that
 * was replaced is not: died (or detached, or evicted), then rejoined, with another generation.
 *
 * How soon: at once for attach, detach, eviction, close and takeover, and for a death where its process
 * can be seen from here (same pid namespace) or, of a producer, if it has a lease (MYELON_F_LEASE); else
 * within 100 ms. A process that lives on without its lock (exec) is found within 1 s. A ring that
 * nobody uses any more is found to be removed at once, one that was removed by force within 1 s.
 *
 * Costs half a dozen descriptors, and one for each place whose process can be seen from here: with a
 * thousand consumers mind the limit (ulimit -n). Where it is reached, deaths are found within 100 ms.
 *
 * Whether somebody is dead is its lock's word alone; nothing that is written in the ring can make a
 * living one "died".
 *
 * Concurrency: a watch belongs to one thread at a time; only myelon_peers_interrupt() may be called
 * from others and from signal handlers. After fork the child's copy answers -EPERM.
 */
#ifndef MYELON_PEERS_H
#define MYELON_PEERS_H

#include <stdint.h>

#include <myelon/export.h>
#include <myelon/ring.h>
#include <myelon/wait.h>

#ifdef __cplusplus
extern "C" {
#endif

struct myelon_peers;

enum myelon_peer_change {
	MYELON_CHANGE_ATTACHED = 1, /**< it is there */
	/** An id that had detached, died or was evicted is back, perhaps as another process; the producer:
	 *  another one took the ring over. */
	MYELON_CHANGE_REJOINED = 2,
	MYELON_CHANGE_DETACHED = 3, /**< it left in order; the producer: it closed the ring */
	/** Its process has ended, or ends, and its lock is not free yet (much memory to give back, a child
	 *  that holds a copy of its descriptors). */
	MYELON_CHANGE_DYING = 4,
	/** Its lock is free though it never left. A consumer holds the producer up until its id is back or
	 *  evicted. Not attached before: it was killed while it joined. */
	MYELON_CHANGE_DIED = 5,
	MYELON_CHANGE_EVICTED = 6, /**< nobody waits for it any more; the last that is told of it */
	MYELON_CHANGE_STALLED =
		7, /**< it had something to read, and released nothing for progress_ns */
	MYELON_CHANGE_RECOVERED = 8, /**< ... and does again, or has read everything */
	MYELON_CHANGE_REMOVED =
		9, /**< the ring's name is gone or another ring's; nothing follows */
};

enum myelon_peer_role {
	MYELON_ROLE_RING = 0, /**< of MYELON_CHANGE_REMOVED */
	MYELON_ROLE_PRODUCER = 1,
	MYELON_ROLE_CONSUMER = 2,
};

struct myelon_peer_event {
	uint32_t size;                /**< in: sizeof(struct myelon_peer_event) */
	uint32_t change;              /**< enum myelon_peer_change */
	uint32_t role;                /**< enum myelon_peer_role */
	uint32_t first;               /**< 1: so it was when the watch was opened */
	char id[MYELON_NAME_MAX + 4]; /**< of a consumer, else "" */
	int32_t pid;                  /**< as its owner saw it; 0: unknown */
	uint32_t index;               /**< of a consumer's place in the table, else 0 */
	uint32_t reserved;
	uint64_t generation; /**< of the owner of that place; of the producer: the epoch */
	int64_t cursor;      /**< consumer: last released sequence, -1: none; else published */
	int64_t published;   /**< last published sequence, -1: none */
	int64_t noticed_ns;  /**< when this was found; CLOCK_MONOTONIC */
};
#define MYELON_PEER_EVENT_INIT                                                                     \
	{                                                                                          \
		.size = sizeof(struct myelon_peer_event)                                           \
	}

/**
 * The hook. Runs on the keeper's thread (or inside myelon_keeper_service(), where the application drives
 * the keeper), one call after the other, perhaps before myelon_peers_open() has returned. It may call
 * anything but what waits long, since meanwhile nobody is served whom the keeper wakes, and not
 * myelon_peers_close() of its own watch (-EDEADLK). The event is the library's.
 */
typedef void (*myelon_peer_fn)(void *ctx, const struct myelon_peer_event *event);

/** Options of myelon_peers_open(). Zero means default; append only. */
struct myelon_peers_opts {
	uint32_t size;
	uint32_t flags;                /**< MYELON_F_EINTR, MYELON_F_ANY_OWNER */
	myelon_peer_fn on_peer_change; /**< NULL: the application calls myelon_peers_next() */
	void *ctx;
	/** Tell of stalled consumers: of who has something to read and releases nothing for so long (found
	 *  after at most one and a half times that). 0: do not. Costs a look every half of it. */
	int64_t progress_ns;
	int64_t timeout_ns; /**< how long to wait for the ring to appear; default 0: not at all */
	const char *hugetlb_dir;
	const char *shm_dir;
};
#define MYELON_PEERS_OPTS(...)                                                                     \
	((struct myelon_peers_opts){.size = sizeof(struct myelon_peers_opts), __VA_ARGS__})

/**
 * Watch the ring @p name, raw or framed. @p opts may be NULL.
 * @return 0; -ENOENT; -EPROTO (not a ring of this layout); -EACCES; -EPERM (another user's);
 * -EINVAL; -EMFILE; -ENOMEM; -EINTR.
 */
MYELON_API int myelon_peers_open(struct myelon_peers **out, const char *name,
                                 const struct myelon_peers_opts *opts);

/** The hook is not running and not called any more when it returns. NULL is allowed. @return 0;
 * -EDEADLK (called by the hook of this watch, which stays as it is). */
MYELON_API int myelon_peers_close(struct myelon_peers *w);

/**
 * The next change.
 * @param deadline  MYELON_TRY, MYELON_FOREVER or an absolute time.
 * @return 0: @p event is filled in; -EAGAIN (MYELON_TRY: there is none); -ETIMEDOUT; -ECANCELED
 * (myelon_peers_interrupt()); -EINTR (with MYELON_F_EINTR); -EPIPE (the removal of the ring was told:
 * nothing follows); -EBUSY (the watch has a hook, which is told instead); -EINVAL; -EPERM.
 */
MYELON_API int myelon_peers_next(struct myelon_peers *w, struct myelon_peer_event *event,
                                 int64_t deadline);

/**
 * A descriptor for an event loop: readable when there may be a change. Then call myelon_peers_next()
 * with MYELON_TRY until it returns -EAGAIN (an edge triggered loop must), which is what makes it wait
 * again. It may be readable without reason, at least once a second. Stays the watch's: take it
 * out of the loop before the watch is closed.
 * @return it; -EBUSY (the watch has a hook); -EPERM.
 */
MYELON_API int myelon_peers_fd(struct myelon_peers *w);

/** Make the current or the next myelon_peers_next() return -ECANCELED. Any thread, signal handlers too. */
MYELON_API void myelon_peers_interrupt(struct myelon_peers *w);

/** "attached", "rejoined", ...; NULL for an unknown value. */
MYELON_API const char *myelon_peer_change_name(enum myelon_peer_change change);
/** "ring", "producer", "consumer"; NULL for an unknown value. */
MYELON_API const char *myelon_peer_role_name(enum myelon_peer_role role);

#ifdef __cplusplus
}
#endif
#endif
