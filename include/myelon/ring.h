/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file ring.h - what a ring is: options, descriptions, names.
 *
 * A ring is a power-of-two array of fixed-size slots in shared memory, written
 * by one producer and read by any number of consumers, each of which sees
 * everything (strict broadcast). Two files make it: a control file
 * `myelon.<name>` in the shm directory (MYELON_SHM_DIR or /dev/shm), which is
 * its name and holds every changing word, and a data file with the slots.
 *
 * Names are 1..64 of [A-Za-z0-9_.-] without a leading dot. A name with a '/' in
 * it is a path: the ring is then a plain file there (`<path>` control,
 * `<path>.data` slots), it survives its processes and a reboot, and
 * myelon_producer_open() goes on where it ended.
 *
 * Concurrency: the functions here may be called from any thread.
 */
#ifndef MYELON_RING_H
#define MYELON_RING_H

#include <stddef.h>
#include <stdint.h>

#include <myelon/export.h>
#include <myelon/numa.h>
#include <myelon/wait.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MYELON_NAME_MAX 64
#define MYELON_MAX_CONSUMERS 1024
#define MYELON_ALL UINT32_MAX

/** Where the slots lie. */
enum myelon_backing {
	MYELON_BACKING_AUTO =
		0, /**< hugetlbfs if it can be had (see huge), else shm; a path name: file */
	MYELON_BACKING_HUGETLB = 1, /**< a file on a hugetlbfs mount */
	MYELON_BACKING_SHM = 2,     /**< a file in the shm directory */
	MYELON_BACKING_SHM_THP =
		3, /**< shm, with transparent huge pages where the kernel gives them */
	MYELON_BACKING_FILE = 4, /**< a plain file; the name must be a path */
	/** a sealed memfd, on huge pages if they can be had (see huge; no mount is needed): only who
	 *  is handed its descriptor can read it, and the ring ends with its producer (producer.h,
	 *  myelon_producer_data_fd()) */
	MYELON_BACKING_MEMFD = 5,
};

/** Whether huge pages are wanted. */
enum myelon_huge {
	MYELON_HUGE_TRY = 0,     /**< use them if possible; the reason of a fallback is recorded */
	MYELON_HUGE_REQUIRE = 1, /**< fail without them; the slot count is rounded up to a page */
	MYELON_HUGE_OFF = 2,
};

/** What a producer does while nobody gates it. */
enum myelon_unattended {
	MYELON_UNATTENDED_BLOCK = 0,     /**< keep the last minimum: stop after one window */
	MYELON_UNATTENDED_OVERWRITE = 1, /**< go on; whoever joins starts at what is left */
};

/** How publish and park agree that no wake-up is lost (docs/ordering.md). */
enum myelon_fence {
	MYELON_FENCE_AUTO = 0, /**< membarrier where the kernel allows it, else full */
	MYELON_FENCE_ASYM = 1, /**< publish pays nothing, parking calls membarrier */
	MYELON_FENCE_FULL = 2, /**< both sides fence; nobody interrupts an isolated core */
};

/** Where a consumer starts to read. */
enum myelon_start {
	/** Where this id left off if it is known, else latest (oldest while the producer buffers
	 *  for its first consumers). */
	MYELON_START_DEFAULT = 0,
	MYELON_START_LATEST = 1, /**< after what is published now */
	MYELON_START_OLDEST = 2, /**< the oldest message that is surely still there */
	MYELON_START_RESUME = 3, /**< where this id left off; -ENOENT if the id is unknown */
};

enum myelon_kind {
	MYELON_KIND_RAW = 1,    /**< fixed-size slots */
	MYELON_KIND_FRAMED = 2, /**< byte messages (frame.h) */
};

/** Where the pages of a ring shall be: its slots, and (but for INTERLEAVE) its control pages. */
enum myelon_numa {
	MYELON_NUMA_ANY = 0,        /**< leave it to the kernel */
	MYELON_NUMA_LOCAL = 1,      /**< the node of the calling thread's CPU */
	MYELON_NUMA_NODE = 2,       /**< the node in numa_node */
	MYELON_NUMA_CPU = 3,        /**< the node of the CPU in numa_cpu, such as a consumer's */
	MYELON_NUMA_INTERLEAVE = 4, /**< page by page on the nodes in numa_nodes in turn */
};

/* Flags of myelon_ring_opts, myelon_attach_opts and myelon_open_opts. */
/** create: replace a ring of this name that nobody uses any more. The old one goes first, so that the new
 *  one may have its room: if that cannot be made, the old one is gone too. */
#define MYELON_F_REPLACE_DEAD (1u << 0)
#define MYELON_F_KEEP (1u << 1)  /**< create: leave the files when the last participant closes */
#define MYELON_F_GROUP (1u << 2) /**< create: file mode 0660 instead of 0600 */
/** Waits that sleep (park, sleep, adaptive) return -EINTR on a signal instead of going on. A signal between
 *  two looks, or while spinning, is not seen: to end a wait surely, call interrupt() in the handler. */
#define MYELON_F_EINTR (1u << 3)
/** accept files that belong to another user; without it those of this user and of root */
#define MYELON_F_ANY_OWNER (1u << 4)
/** create: fail when even one page is not where numa says; without it that is only recorded */
#define MYELON_F_NUMA_STRICT (1u << 5)
/** create, open: own a lease: readers of this ring that sleep hear of this process's death in well under a
 *  millisecond, also in other pid namespaces and where io_uring is denied, instead of at their cap of 1 s. Starts the keeper's thread
 *  (keeper.h). Where there can be none (more than 2000 in a process, the kernel refuses set_robust_list,
 *  the application drives the keeper) a warning is logged and the call succeeds. A consumer's attach: the
 *  same for a producer that waits for it in a managed call (liveness.h), which then also hears of an exec;
 *  the first 14 places of the table have one, whoever gets another place is warned. Ignored by observers. */
#define MYELON_F_LEASE (1u << 6)

/** Value of the option pin. The thread that creates, opens or attaches is pinned before anything is
 *  set up, and stays so; if the call fails it runs where it ran before. */
#define MYELON_PIN(cpu) ((uint32_t)(cpu) + 1u)

/** Whom a producer waits for. All zero: nobody. The parts add up. */
struct myelon_wait_for {
	uint32_t count;        /**< this many live consumers of any id */
	uint32_t prefix_count; /**< with prefix: ids <prefix>_0 .. <prefix>_<prefix_count-1> */
	const char *prefix;
	const char *const *ids; /**< these ids */
	uint32_t id_count;
	uint32_t reserved;
};

/** Options of myelon_producer_create(). Zero means default; append only. */
struct myelon_ring_opts {
	uint32_t size;      /**< sizeof(struct myelon_ring_opts), set by the macro */
	uint32_t flags;     /**< MYELON_F_* */
	uint32_t slot_size; /**< bytes; a multiple of 64, or a power of two below; default 64 */
	uint32_t
		window; /**< slots that may be ahead of the slowest consumer; default 1024, 1 .. 2^30 */
	uint32_t max_consumers; /**< places in the table; default 64, 1 .. 1024 */
	uint32_t backing;       /**< enum myelon_backing */
	uint32_t huge;          /**< enum myelon_huge */
	uint32_t unattended;    /**< enum myelon_unattended */
	uint32_t fence;         /**< enum myelon_fence */
	uint32_t wait;          /**< enum myelon_wait: how this producer waits for room */
	uint32_t numa;          /**< enum myelon_numa */
	uint32_t numa_node;
	uint64_t page_size; /**< huge page size wanted, bytes; default: the smallest there is */
	uint64_t schema;    /**< hash of the payload's schema; attach checks it; 0: none */
	struct myelon_wait_for wait_for; /**< create() returns when they are there, or fails */
	int64_t wait_timeout_ns;         /**< for wait_for; default 15 s; MYELON_FOREVER */
	uint32_t buffer_until; /**< keep all from sequence 0 until this many consumers came */
	uint32_t buffer_max;   /**< slots that may be published before; default the window */
	const char *
		hugetlb_dir; /**< a directory on hugetlbfs; default MYELON_HUGETLB_DIR, else /proc/mounts */
	const char *shm_dir; /**< default MYELON_SHM_DIR, else /dev/shm */
	uint32_t numa_cpu;   /**< for MYELON_NUMA_CPU */
	uint32_t pin;        /**< MYELON_PIN(cpu); 0: MYELON_CPU if that is set, else not pinned */
	uint64_t numa_nodes; /**< for MYELON_NUMA_INTERLEAVE: bit per node, 0: all with memory */
};
#define MYELON_RING_OPTS(...)                                                                      \
	((struct myelon_ring_opts){.size = sizeof(struct myelon_ring_opts), __VA_ARGS__})

/** Options of myelon_producer_open(). Zero means default; append only. */
struct myelon_open_opts {
	uint32_t size;
	uint32_t flags;     /**< MYELON_F_EINTR, MYELON_F_ANY_OWNER, MYELON_F_LEASE */
	uint32_t wait;      /**< enum myelon_wait */
	uint32_t slot_size; /**< 0: any; else must be the ring's */
	uint64_t schema;    /**< 0: any; else must be the ring's */
	struct myelon_wait_for wait_for;
	int64_t wait_timeout_ns;
	const char *hugetlb_dir;
	const char *shm_dir;
	uint32_t pin; /**< MYELON_PIN(cpu); 0: MYELON_CPU if that is set, else not pinned */
	uint32_t reserved;
};
#define MYELON_OPEN_OPTS(...)                                                                      \
	((struct myelon_open_opts){.size = sizeof(struct myelon_open_opts), __VA_ARGS__})

/** Options of myelon_consumer_attach() and myelon_observer_attach(). Zero means
 * default; append only. */
struct myelon_attach_opts {
	uint32_t size;
	uint32_t flags; /**< MYELON_F_EINTR, MYELON_F_ANY_OWNER, MYELON_F_LEASE */
	const char
		*id; /**< 1..64 of [A-Za-z0-9_.-]; NULL: automatic, ad_<k>. Observers have none. */
	uint32_t wait;      /**< enum myelon_wait */
	uint32_t start;     /**< enum myelon_start */
	uint32_t slot_size; /**< 0: any; else must be the ring's */
	uint32_t pin;       /**< MYELON_PIN(cpu); 0: MYELON_CPU if that is set, else not pinned */
	uint64_t schema;    /**< 0: any; else must be the ring's */
	int64_t timeout_ns; /**< how long to wait for the ring to appear; default 0: not at all */
	const char *hugetlb_dir;
	const char *shm_dir;
	/** MYELON_FD(descriptor) of the slots of a ring in a memfd; 0: none. It stays the caller's, who
	 *  may close it once attach has returned. */
	int32_t data_fd;
	uint32_t reserved;
};
/** A descriptor as an option: descriptor 0 must not look like an option left out. */
#define MYELON_FD(fd) ((fd) + 1)
#define MYELON_ATTACH_OPTS(...)                                                                    \
	((struct myelon_attach_opts){.size = sizeof(struct myelon_attach_opts), __VA_ARGS__})

/** Options of the calls that look at names: list, describe, remove, evict, gc. Zero
 * means default. */
struct myelon_dir_opts {
	uint32_t size;
	uint32_t flags; /**< remove, evict, gc: MYELON_F_ANY_OWNER, of no effect where one only
	                 *   looks; remove: MYELON_F_FORCE; gc: MYELON_F_DRY_RUN */
	const char *hugetlb_dir;
	const char *shm_dir;
};
#define MYELON_DIR_OPTS(...)                                                                       \
	((struct myelon_dir_opts){.size = sizeof(struct myelon_dir_opts), __VA_ARGS__})
/** remove: take away the name of a ring that is still used; evict: also a consumer that lives */
#define MYELON_F_FORCE (1u << 8)
/** gc: report what would be removed, and remove nothing */
#define MYELON_F_DRY_RUN (1u << 9)

/** A run of slots to write. */
struct myelon_span {
	void *base;     /**< first slot; the others follow without a gap */
	uint32_t count; /**< slots */
	uint32_t reserved;
	int64_t seq; /**< sequence of the first slot */
};

/** A run of slots to read. */
struct myelon_view {
	const void *base;
	uint32_t count;
	uint32_t reserved;
	int64_t seq;
};

/** What is known of a ring. */
struct myelon_ring_info {
	uint32_t size;  /**< in: sizeof(struct myelon_ring_info) */
	uint32_t kind;  /**< enum myelon_kind */
	char name[256]; /**< name, or path of a plain-file ring */
	uint32_t slot_size;
	uint32_t window;
	uint64_t slots;
	uint32_t max_consumers;
	uint32_t backing;   /**< enum myelon_backing, as obtained */
	uint64_t page_size; /**< of the data mapping */
	uint64_t data_bytes;
	uint32_t unattended;   /**< enum myelon_unattended */
	uint32_t fence;        /**< enum myelon_fence: ASYM or FULL */
	int32_t node_asked;    /**< -1: any */
	int32_t node_obtained; /**< -1: unknown or mixed */
	uint64_t schema;
	char reason[160];        /**< why this backing, pages and node (the fallback, if any) */
	int64_t published;       /**< last published sequence, -1: none */
	int64_t minimum;         /**< lowest gating cursor; published if nobody gates */
	uint64_t epoch;          /**< 1 at create, +1 at each takeover */
	uint32_t consumers;      /**< gating entries */
	uint32_t producer_state; /**< enum myelon_peer_state */
	int32_t producer_pid;
	uint32_t producer_wait; /**< enum myelon_wait */
	uint32_t
		buffering_for; /**< consumers still missing until buffering ends, 0: not buffering */
	uint32_t keep;
	uint64_t created_ns; /**< CLOCK_REALTIME */
	char data_path
		[256]; /**< where the slots are now, as found by this process; "" if not found,
	                *   or in a memfd, which has no path */
	uint32_t numa; /**< enum myelon_numa, as asked */
	uint32_t numa_strict;  /**< 1: every page is where it was asked for, or create had failed */
	uint64_t nodes_asked;  /**< bit per node below 64; 0: any */
	int32_t control_node;  /**< of the control pages at create, -1: unknown or mixed */
	int32_t producer_cpu;  /**< pinned to, -1: not pinned */
	uint64_t data_pages;   /**< pages of the slots, each looked up at create; 0: nobody tells */
	uint64_t other_pages;  /**< of these on nodes above 63 */
	uint64_t absent_pages; /**< of these on no node */
	uint64_t node_pages[MYELON_NUMA_NODES_MAX]; /**< of these on each node */
	/* Times are of CLOCK_REALTIME and reports: they decide nothing, and follow steps of the clock. */
	uint64_t producer_since_ns; /**< when this producer created or took over, 0: unknown */
	/** Since when the living producer waits for consumers (for room, or until all is read), 0: it does
	 *  not. Waits of less than 10 ms and claims that only try are mostly not seen. */
	uint64_t blocked_since_ns;
	int64_t blocked_need;    /**< then: it goes on when every gating cursor has reached this */
	uint32_t dead_consumers; /**< gating entries whose owner is dead */
	uint32_t reserved;
};
#define MYELON_RING_INFO_INIT                                                                      \
	{                                                                                          \
		.size = sizeof(struct myelon_ring_info)                                            \
	}

enum myelon_peer_state {
	MYELON_PEER_ABSENT = 0, /**< nobody there (a consumer: detached, its id may resume) */
	MYELON_PEER_ALIVE = 1,  /**< holds its lock */
	MYELON_PEER_DEAD = 2,   /**< its lock is free though it never closed */
	MYELON_PEER_CLOSED = 3, /**< producer: closed in order */
	MYELON_PEER_JOINING = 4,
	MYELON_PEER_EVICTED = 5,
};

/** One entry of the consumer table. */
struct myelon_consumer_entry {
	uint32_t size;
	uint32_t index;
	char id[MYELON_NAME_MAX + 4];
	int32_t pid;     /**< as its owner saw it */
	uint32_t state;  /**< enum myelon_peer_state */
	uint32_t wait;   /**< enum myelon_wait */
	uint32_t parked; /**< 1: asleep in the kernel now */
	int32_t cpu;     /**< pinned to this CPU, -1: not pinned */
	uint32_t gating; /**< 1: the producer waits for it */
	int64_t cursor;  /**< last released sequence, -1: none */
	uint64_t lag;    /**< published - cursor */
	uint64_t lost;   /**< messages skipped at its last resume */
	uint32_t
		engine; /**< enum myelon_engine: what wakes its descriptor, if wait is MYELON_WAIT_FD */
	uint32_t reserved;
	/* As the times in myelon_ring_info. */
	uint64_t attached_ns; /**< when its owner, or last owner, attached, 0: unknown */
	uint64_t left_ns;     /**< absent, evicted: when it left or was evicted, 0: unknown */
	/** Since when the producer has waited for this consumer among others, 0: it does not. */
	uint64_t holds_up_since_ns;
};

/** Return non-zero to stop; that value is returned by the caller. */
typedef int (*myelon_consumer_fn)(void *ctx, const struct myelon_consumer_entry *entry);
typedef int (*myelon_ring_fn)(void *ctx, const struct myelon_ring_info *info);

/**
 * Describe the ring @p name without joining it.
 * @return 0; -ENOENT; -EPROTO (not a ring of this layout, the message says
 * which field); -EACCES; -EINVAL.
 */
MYELON_API int myelon_ring_describe(const char *name, const struct myelon_dir_opts *opts,
                                    struct myelon_ring_info *info);

/** Call @p fn for each entry of the consumer table that is in use or may
 * resume. @return 0, fn's value, or as describe. */
MYELON_API int myelon_ring_consumers(const char *name, const struct myelon_dir_opts *opts,
                                     myelon_consumer_fn fn, void *ctx);

/**
 * Advice about the place of consumer @p id of ring @p name, NULL: of its producer: is it pinned, to a
 * CPU of its own, near the slots? Looks at the load of the core's other thread for 30 ms, if it has one.
 * @return 0; -ENOENT (no such ring or consumer); -EINVAL; else as describe.
 */
MYELON_API int myelon_ring_advice(const char *name, const struct myelon_dir_opts *opts,
                                  const char *id, struct myelon_advice *advice);

/**
 * Call @p fn for each ring of the shm directory, also for files that cannot be
 * read as one (kind 0, reason says why). @return 0, fn's value, or an error
 * about the directory.
 */
MYELON_API int myelon_ring_list(const struct myelon_dir_opts *opts, myelon_ring_fn fn, void *ctx);

/**
 * Remove a ring nobody uses. @return 0; -EBUSY with the holders in
 * myelon_last_error() (MYELON_F_FORCE removes only the name: those who use it
 * go on, nobody new finds it); -ENOENT; -EPERM (another owner).
 */
MYELON_API int myelon_ring_remove(const char *name, const struct myelon_dir_opts *opts);

/**
 * Stop waiting for consumer @p id of ring @p name: its place no longer holds the producer up, and what it
 * has not read may be overwritten. A dead one's place is freed. A living one is only evicted with
 * MYELON_F_FORCE in @p flags: whatever it calls next, peek, release or a copying call, returns -ESTALE,
 * and its place is given to nobody else before it closed or died. Either way the same id may attach again;
 * it goes on behind what it released last, and is told what was lost. Other consumers notice nothing.
 *
 * Where it was the last one and the ring was created with MYELON_UNATTENDED_BLOCK, the producer still stops
 * after one window. What the producer buffers for consumers to come is no consumer and cannot be evicted.
 *
 * Works whether the producer lives, is blocked, dead or closed; if it is killed in between, call it again.
 * @return 1: evicted; 0: it was not waited for (it left, or had been evicted); -EBUSY: it lives, the process
 * is in the sentence; -ENOENT: no such ring or consumer; -EACCES, -EPERM: no right to write the control file,
 * another owner (MYELON_F_ANY_OWNER in opts->flags); -EINVAL; -EPROTO.
 */
MYELON_API int myelon_evict(const char *name, const char *id, uint32_t flags,
                            const struct myelon_dir_opts *opts);

/** What gc found. */
struct myelon_gc_item {
	uint32_t size;
	int32_t error; /**< 0: removed, or would be; else why not (-EBUSY: in use; -EPERM: not to be removed) */
	uint64_t bytes;
	char path[256];
	char reason[160];
};
typedef int (*myelon_gc_fn)(void *ctx, const struct myelon_gc_item *item);

/**
 * Remove every control and data file of the shm and hugetlb directories that no
 * live process owns, and nothing else; plain-file rings, rings created with
 * MYELON_F_KEEP or by a library of another layout version, and files that are no
 * rings stay. @p fn may be NULL.
 * With MYELON_F_DRY_RUN nothing is removed; @p fn is told what would be, as things are at that moment.
 * @return files removed, or that would be, or an error about the directories.
 */
MYELON_API int myelon_gc(const struct myelon_dir_opts *opts, myelon_gc_fn fn, void *ctx);

/** "hugetlb", "shm", "shm+thp", "file", "memfd", "auto"; NULL for an unknown value. */
MYELON_API const char *myelon_backing_name(enum myelon_backing backing);

/** "absent", "alive", "dead", "closed", "joining", "evicted". */
MYELON_API const char *myelon_peer_state_name(enum myelon_peer_state state);

#ifdef __cplusplus
}
#endif
#endif
