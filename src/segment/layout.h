/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The layout of the control file, version 1. docs/layout.md is its
 * specification.
 *
 * Pages by writer: page 0 is written once at creation; the producer page only
 * by the producer, and mapped read-only by everyone else; everything behind it
 * is written by several. A page here is the control page unit recorded in the
 * header (the system page size of the creator). Words that change often lie
 * alone on a line of 128 bytes (two cache lines: the adjacent-line prefetcher
 * pairs them).
 *
 * No two words of the hot path have the same address modulo 4 KiB: a load whose
 * low 12 bits are those of an older store still under way waits for it, however
 * far apart the two are. Counted in lines modulo 4, published is on 0,
 * space_target on 1, parked on 2, cursor and evicted on 3; `stagger` does the
 * same for two rings in one process, handles lie elsewhere (base/handle.c).
 *
 * The comment behind a field: who writes it; who reads it.
 */
#ifndef MYE_SEGMENT_LAYOUT_H
#define MYE_SEGMENT_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define MYE_LINE 128
#define MYE_ALIGNED __attribute__((aligned(MYE_LINE)))

#define MYE_MAGIC 0x31304e4f4c45594dull /* "MYELON01", little endian */
#define MYE_LAYOUT_VERSION 1u
#define MYE_FRAME_MARKS 16
#define MYE_NODES 64 /* nodes whose pages are counted apart */
#define MYE_ID_BYTES 72

/* Bits of header.required: an attacher that does not know one refuses. None is
 * defined yet. */
#define MYE_REQUIRED_KNOWN 0ull

/* Page 0. Constant after publication; the checksum covers it up to the checksum
 * itself. */
struct mye_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_bytes;  /* sizeof(struct mye_header) */
	uint64_t required;      /* features an attacher must know */
	uint64_t optional;      /* features it may ignore */
	uint32_t kind;          /* enum myelon_kind */
	uint32_t page_unit;     /* bytes of a control page */
	uint64_t control_bytes; /* of the whole control file */
	uint32_t slot_size;
	uint32_t window;
	uint64_t slots;      /* power of two, slots * slot_size is a multiple of data_page */
	uint64_t data_bytes; /* slots * slot_size */
	uint64_t data_page;  /* page size of the data mapping */
	uint32_t backing;    /* enum myelon_backing, not AUTO */
	uint32_t max_consumers;
	uint32_t producers;  /* entries of the producer table: 1 */
	uint32_t unattended; /* enum myelon_unattended */
	uint32_t fence;      /* MYELON_FENCE_ASYM or MYELON_FENCE_FULL */
	uint32_t flags;      /* MYELON_F_KEEP, MYELON_F_GROUP as created */
	uint64_t schema;
	int32_t node_asked;    /* -1: any */
	int32_t node_obtained; /* -1: unknown or mixed */
	uint64_t nonce[2]; /* names the data file; nonce[0] high half: tag of the shm directory */
	uint64_t data_dev; /* reports only for plain files */
	uint64_t data_ino;
	uint64_t boot_id[2];   /* report */
	uint64_t created_ns;   /* report, CLOCK_REALTIME */
	uint32_t creator_pid;  /* report */
	uint32_t creator_uid;  /* report */
	char reason[160];      /* report: how backing, pages and node came about; NUL-terminated */
	uint32_t stagger;      /* offset of the words in the producer page and the shared page */
	uint32_t numa;         /* enum myelon_numa, as asked */
	uint32_t numa_strict;  /* 1: a page elsewhere would have been an error */
	int32_t control_node;  /* report: of the control pages, -1 unknown or mixed */
	uint64_t nodes_asked;  /* bit per node below 64; 0: any */
	uint64_t data_pages;   /* report: pages of the slots that were looked up, 0: nobody tells */
	uint64_t other_pages;  /* report: of these on nodes above 63 */
	uint64_t absent_pages; /* report: of these on no node */
	uint64_t node_pages[MYE_NODES]; /* report: of these on each node */
	uint64_t reserved[14];          /* 0 */
	uint64_t checksum;              /* FNV-1a 64 of all bytes before it */
};

/* Who a handle is; for reports only, never for a verdict. Written under the
 * lock of its role. */
struct mye_identity {
	uint32_t pid;
	uint32_t tid;
	uint64_t start_ticks; /* /proc/self/stat */
	uint64_t pidns;       /* inode of the PID namespace */
	uint64_t pidfd_ino;   /* inode of a pidfd (pidfs), 0 if the kernel has none */
	uint64_t boot_id[2];
	int32_t cpu; /* pinned to, -1 */
	uint32_t uid;
};

enum mye_producer_state {
	MYE_PRODUCER_NONE = 0,
	MYE_PRODUCER_OPEN = 1,   /* alive if byte 1 is locked, dead if not */
	MYE_PRODUCER_CLOSED = 2, /* closed in order */
};

/* Producer table entry, at the start of page 1 (read-only for everyone but the
 * producer). */
struct mye_producer_page {
	struct {
		int64_t published;   /* producer; consumers, observers: last visible sequence, -1 */
		uint32_t message_id; /* framed producer; next producer: last id used */
		uint32_t
			closed_epoch; /* producer at close; watches: low half of the last epoch that closed */
	} MYE_ALIGNED hot;
	struct {
		int64_t space_target; /* producer; consumers: cursor a blocked producer waits for, INT64_MAX */
	} MYE_ALIGNED space;
	struct {
		int64_t ceiling; /* producer; joiners, observers: nothing above it is ever written */
	} MYE_ALIGNED gate;
	struct {
		uint64_t epoch;         /* producer; all: 1, +1 at each takeover */
		uint32_t state;         /* producer; all: enum mye_producer_state */
		uint32_t wait;          /* producer; tools */
		uint32_t parked;        /* producer; spinners counting CPUs */
		uint32_t fragment_open; /* framed producer; its successor: a message in fragments */
		uint32_t fragmenting;   /* framed producer; its successor: 1 until it is complete */
		uint32_t hold_need;     /* producer; tools: consumers that end the hold */
		uint32_t hold_max;      /* producer; its successor: slots published meanwhile */
		int64_t hold_begin;     /* reserved for later holds: 0 */
	} MYE_ALIGNED slow;
	struct mye_identity identity MYE_ALIGNED;
	/* framed producer; joiners: frame starts, -1 */
	int64_t frame_marks[MYE_FRAME_MARKS] MYE_ALIGNED;
	struct {
		uint64_t
			since_ns; /* producer; tools: when it created or took over, CLOCK_REALTIME */
		uint64_t
			blocked_ns; /* producer; tools: waits for consumers since, 0: it does not */
		int64_t blocked_need;  /* producer; tools: the cursor it waits for */
		uint64_t counters[45]; /* later: counters of the producer */
	} MYE_ALIGNED report;
};

/* Bits of parked. */
#define MYE_PARKED_FUTEX 1u
#define MYE_PARKED_FD 2u /* a sleeper waits on a descriptor: look for armed entries */

/* Page 2: words several processes write. */
struct mye_shared_page {
	struct {
		uint32_t
			doorbell; /* publisher, closers, takeover, interrupt: +1; sleepers wait on it */
		uint32_t reserved;
		uint64_t wake_ns; /* waker: time of its last wake call, to measure wake latency */
	} MYE_ALIGNED bell;
	struct {
		uint64_t generation; /* whoever changes the gating set: +1; producer */
		uint64_t joined; /* joiners, +1 when a new id is active; producer: ends the hold */
	} MYE_ALIGNED join;
	struct {
		uint32_t parked; /* sleepers set, publisher exchanges for 0 */
	} MYE_ALIGNED park;
	struct {
		uint32_t
			bell; /* consumers that pass space_target, joiners, leavers: +1; producer waits */
		uint32_t peers; /* whoever changes who is there: +1; watches wait on it */
		uint64_t wake_ns;
	} MYE_ALIGNED space;
	struct {
		/* owner, its kernel at its death, sleepers set a bit: robust futexes. [0] the producer's,
		   [2 * (i + 1)] consumer entry i's */
		uint32_t lease[30];
	} MYE_ALIGNED lease;
	uint64_t counters[48] MYE_ALIGNED; /* later: counters shared by all */
};

/* State word of a consumer entry: generation << 8 | state; changed by
 * compare-and-swap. */
enum mye_entry_state {
	MYE_ENTRY_FREE = 0,     /* cursor and resume_from mean nothing */
	MYE_ENTRY_JOINING = 1,  /* gates; the join was not finished */
	MYE_ENTRY_ACTIVE = 2,   /* gates */
	MYE_ENTRY_RELEASED = 3, /* detached; resume_from is valid */
	MYE_ENTRY_EVICTED =
		4, /* tombstone until acknowledged or the lock is free; the cursor says where it was */
	MYE_ENTRY_HOLD = 5, /* pseudo consumer: gates at its cursor until enough consumers came */
};
#define MYE_STATE(gen, st) ((uint64_t)(gen) << 8 | (uint64_t)(st))
#define MYE_STATE_OF(word) ((enum mye_entry_state)((word)&0xff))
#define MYE_GEN_OF(word) ((uint64_t)(word) >> 8)

/* The answer to an offer; the other bits are the low half of the epoch it was given in. */
#define MYE_ADOPTED(epoch, offer) (((uint64_t)(epoch)&0x7fffffffu) << 32 | (uint64_t)(offer))
#define MYE_ADOPTED_REFUSED (1ull << 63)

/*
 * Consumer table entry. There are max_consumers of them and one more, the last,
 * for the hold. Everything but evicted and state is written only by whoever
 * holds lock byte 2 + index.
 */
struct mye_entry {
	struct {
		uint64_t state;      /* consumer, evictor (CAS); producer */
		int64_t resume_from; /* consumer at detach, next owner of an evicted entry: itself */
		uint64_t lost;       /* consumer; tools: skipped at the last resume */
		uint32_t wait;       /* consumer; tools */
		uint32_t parked;     /* consumer; tools, spinners counting CPUs: 1 asleep */
		uint32_t automatic;  /* consumer: the id is ad_<index> */
		uint32_t armed; /* consumer 1, producer 0: asleep on a descriptor that is offered */
		uint64_t
			released_ns; /* consumer at detach, CLOCK_REALTIME: whose place is taken first */
		uint32_t engine; /* consumer; tools: enum myelon_engine of its descriptor, 0 none */
		uint32_t offer;  /* consumer; producer: number of its offer, 0 none */
		int32_t wake_fd; /* consumer; producer: the eventfd offered, in the consumer's process */
		uint32_t reserved; /* 0 */
		uint64_t adopted;  /* producer; consumer: MYE_ADOPTED() of the offer it answered */
		uint64_t attached_ns; /* consumer; tools: when it attached, CLOCK_REALTIME */
		uint64_t counters[4]; /* later */
	} MYE_ALIGNED slow;
	struct {
		char id[MYE_ID_BYTES]; /* NUL-terminated */
		struct mye_identity who;
	} MYE_ALIGNED about;
	struct {
		uint64_t depends[16]; /* later: consumers this one follows; 0 */
	} MYE_ALIGNED chain;
	struct {
		int64_t cursor;   /* consumer; producer: last released sequence, -1 */
		uint64_t evicted; /* evictor, only raised; consumer: highest evicted generation */
	} MYE_ALIGNED hot;
};

/* Lock bytes of the control file (open-file-description locks). */
#define MYE_LOCK_LIFE 0     /* shared by every participant, exclusive to remove the name */
#define MYE_LOCK_PRODUCER 1 /* exclusive by the producer */
#define MYE_LOCK_ENTRY(i) (2 + (int64_t)(i))
/* Exclusive while a joiner chooses its entry: the byte of the hold, which nobody owns. */
#define MYE_LOCK_TABLE(seg) MYE_LOCK_ENTRY((seg)->header.max_consumers)
/* Lock byte 0 of the data file: shared by every participant, exclusive to
 * remove it. */
#define MYE_LOCK_DATA 0

static_assert(sizeof(struct mye_header) == 1024, "header is 1024 bytes");
static_assert(offsetof(struct mye_header, checksum) == 1016, "checksum ends the header");
static_assert(sizeof(struct mye_identity) == 56, "identity is 56 bytes");
static_assert(sizeof(struct mye_entry) == 4 * MYE_LINE, "entry is four lines");
static_assert(offsetof(struct mye_producer_page, identity) == 4 * MYE_LINE, "producer page layout");
static_assert(offsetof(struct mye_shared_page, space) == 3 * MYE_LINE, "shared page layout");

#define MYE_LINE_CLASS(type, member) (offsetof(struct type, member) / MYE_LINE % 4)
static_assert(MYE_LINE_CLASS(mye_producer_page, hot.published) == 0, "line modulo 4");
static_assert(MYE_LINE_CLASS(mye_producer_page, space.space_target) == 1, "line modulo 4");
static_assert(MYE_LINE_CLASS(mye_shared_page, park.parked) == 2, "line modulo 4");
static_assert(MYE_LINE_CLASS(mye_entry, hot.cursor) == 3, "line modulo 4");

/* Steps of header.stagger, and how many leave the words inside the smallest page. */
#define MYE_STAGGER_STEP (4u * MYE_LINE)
#define MYE_STAGGER_STEPS 6u
#define MYE_STAGGER_MAX ((MYE_STAGGER_STEPS - 1) * MYE_STAGGER_STEP)
static_assert(MYE_STAGGER_MAX + sizeof(struct mye_producer_page) <= 4096, "fits the smallest page");
static_assert(MYE_STAGGER_MAX + sizeof(struct mye_shared_page) <= 4096, "fits the smallest page");

/* Where the parts of a control file begin. */
static inline uint64_t mye_producer_offset(const struct mye_header *h)
{
	return (uint64_t)h->page_unit + h->stagger;
}

static inline uint64_t mye_shared_offset(const struct mye_header *h)
{
	return 2ull * h->page_unit + h->stagger;
}

static inline uint64_t mye_entry_offset(const struct mye_header *h, uint32_t index)
{
	return 3ull * h->page_unit + index * sizeof(struct mye_entry);
}

#endif
