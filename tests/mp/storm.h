/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the files of storm share: the page on which all actors write down what they do, and who is who. */
#ifndef MYELON_TEST_STORM_H
#define MYELON_TEST_STORM_H

#include "kit.h"

#include <myelon/myelon.h>

#define ACTORS 8 /* the producer, consumers, the observer */
#define IDS (1u << 21)
#define EPOCHS 4096u
#define STORM_PATH 256
#define SLOTS_MAX 16u /* of a claim or a peek */

enum { PRODUCER = 0, FIRST_CONSUMER = 1, LEAVER = 5, STEADY = 6, OBSERVER = 7 };

/* One way to run the storm. */
struct storm_case {
	const char *name;
	uint32_t backing; /* enum myelon_backing */
	uint32_t huge;
	bool framed;
	bool managed; /* the producer is told why nobody makes room */
	bool lease;
	bool points; /* actors also kill themselves between two stores (test library only) */
	uint32_t fence;
};

/* What becomes of the ring at the end of a round. */
enum ending { END_IN_ORDER, END_GC, END_REPLACED, ENDINGS };

/* Bits of outcome[consumer][message id]. */
#define SEEN 1u     /* whole and right */
#define RELEASED 2u /* ... and given back */
#define CUT 4u      /* reported as cut off */
#define STRAY 8u    /* ... as the first thing after an attach: it began before */
#define GAP 16u     /* not seen, between two attachments */
#define LOST 32u    /* ... and the library said that something is lost there */

/* What an actor writes about itself; who comes after it under the same id goes on with it. */
struct storm_log {
	struct kit_result result; /* violations; count: progress */
	_Atomic uint32_t incarnation, killed;
	_Atomic uint32_t ready;     /* this incarnation is attached */
	_Atomic uint32_t known;     /* somebody of this id has been attached */
	_Atomic uint32_t attaching; /* in a call that attaches, whose result is not written yet */
	_Atomic uint32_t detached;  /* left in order */
	_Atomic uint32_t evictions, evictions_known;
	_Atomic uint32_t inside; /* in a call that may release more than what is written here */
	_Atomic int64_t before, after; /* cursor: about to be this, has been this */
	/* Framed. */
	_Atomic uint32_t last_id;    /* last one handled */
	_Atomic uint32_t first_id;   /* first one ever handled */
	_Atomic uint32_t fresh;      /* attached, and nothing handled since */
	_Atomic uint32_t fresh_lost; /* ... and something was lost at that attach */
	_Atomic uint32_t copying;    /* in a call that releases what nobody has written down yet */
	/* For the summary. */
	_Atomic uint64_t verified, repeats, cuts, strays, lost, deaths, stale, kills, alerts;
};

struct storm_page {
	struct storm_log log[ACTORS];
	/* Of the ring of this round. */
	_Atomic uint32_t created, stop, closing;
	_Atomic uint32_t
		leaving; /* the producer is closing in order, or has, and none came after it */
	_Atomic uint64_t epoch;             /* of the producer that was ready last */
	_Atomic uint64_t epoch_closed;      /* of the one that closes, or did */
	_Atomic uint32_t epoch_incarnation; /* who wrote epoch */
	_Atomic int64_t
		epoch_start[EPOCHS]; /* first sequence that may be its, -1 before it is ready */
	_Atomic uint64_t producers;  /* started */
	_Atomic uint64_t takeovers;
	_Atomic uint32_t sending;                       /* message id */
	_Alignas(4096) _Atomic unsigned char sent[IDS]; /* messages: 1 when send said so */
	_Atomic unsigned char outcome[ACTORS][IDS];
};

struct storm {
	const struct storm_case *how;
	struct storm_page *page;
	char name[STORM_PATH];
	uint64_t seed;
	uint32_t round;
	/* Of this round. */
	uint32_t slot_size, window, buffer_until;
	enum ending ending;
	int data_fd; /* of a ring in a memfd, -1 */
	int channel[2];
	/* Referee. */
	struct kit_actor actor[ACTORS];
	uint64_t kills, kills_of[ACTORS], pauses, evictions, forced, point_kills, massacres;
	uint64_t random;
};

/* The calling actor. */
struct me {
	struct storm *s;
	struct storm_log *log;
	unsigned int who;
	uint64_t random;
	bool was_attaching;   /* who was here before died in an attach, or our last try failed */
	int64_t repeat_until; /* last sequence somebody before us may have read and not released */
};

/* ---- storm.c ---- */
uint64_t storm_next(uint64_t *random);
uint32_t storm_below(uint64_t *random, uint32_t n);
/* One in @n. */
bool storm_one_in(uint64_t *random, uint32_t n);
void storm_rest_us(uint64_t us);
const char *storm_id(unsigned int who);
/* Count a violation of who, with the place. @return 1, an exit code. */
int storm_bad(struct storm_log *log, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void storm_arm_points(struct me *m);
/* Files of rings, in the shm directory and, if it is for huge pages, there. */
int storm_files(const struct storm *s);

/* ---- storm_produce.c ---- */
int storm_producer(struct me *m);
/* Seed of the payload of a raw slot, of a message; its length. */
uint64_t storm_slot_seed(const struct storm *s, uint64_t epoch);
size_t storm_length(const struct storm *s, uint32_t id);

/* ---- storm_consume.c ---- */
int storm_consumer(struct me *m);
int storm_observer(struct me *m);
struct myelon_attach_opts storm_attach_opts(struct me *m);
/* Around an attach: is it where the last one of this id ended? @c: attached. @return 0, 1. */
uint32_t storm_attach_begin(struct me *m);
int storm_attach_end(struct me *m, const struct myelon_consumer *c, uint32_t evictions);
/* -ESTALE came: was there a reason? @return 0, 1. */
int storm_stale(struct me *m);
/* May this attach be tried again? */
bool storm_attach_again(struct me *m, int rc, int tries);
/* What an actor does next. */
enum { GO_ON, VIOLATED, THE_END };
/* After -EPIPE or -EOWNERDEAD under @epoch; @set: a wait set waits for the next one. @return one of them. */
int storm_producer_gone(struct me *m, struct myelon_consumer *c, int rc, uint64_t epoch, bool set);

/* ---- storm_frames.c ---- */
int storm_frame_consumer(struct me *m);
int storm_frame_observer(struct me *m);

/* ---- storm_wait.c ---- */
enum way { WAY_CALL, WAY_SET, WAY_FD, WAYS };
struct storm_wait {
	enum way way;
	struct myelon_consumer *c;
	struct myelon_waitset *ws;
	int fd;
};
int storm_wait_begin(struct me *m, struct storm_wait *w, struct myelon_consumer *c);
/* Before a call that looks for messages: wait if that is not its own business. @return the deadline for it. */
int64_t storm_wait(struct me *m, struct storm_wait *w);
/* It found nothing: for a set or a descriptor, wait. */
void storm_wait_idle(struct me *m, struct storm_wait *w);
void storm_wait_end(struct storm_wait *w);

/* ---- storm_read.c ---- */
struct storm_reader;
struct storm_reading {
	int (*attach)(struct storm_reader *r, const struct myelon_attach_opts *opts); /* sets c */
	void (*begin)(struct storm_reader *r); /* behind storm_attach_end() */
	int (*look)(struct storm_reader *r); /* @return 0, negative as peek and release, VIOLATED */
	void (*close)(struct storm_reader *r);
};
/* The first member of what reads. */
struct storm_reader {
	struct me *m;
	const struct storm_reading *how;
	struct myelon_consumer *c;
	struct storm_wait wait;
};
/* A consumer's life. @return an exit code. */
int storm_read(struct storm_reader *r);

/* ---- storm_referee.c ---- */
/* A round: a ring from its beginning to its end. @return 0, or 1: failed, and it was said why. */
int storm_round(struct storm *s, uint32_t kills);

/* ---- storm_judge.c ---- */
/* When all are gone: do the consumers agree? @return violations. */
int storm_judge(const struct storm *s);
void storm_dump(const struct storm *s);

#endif
