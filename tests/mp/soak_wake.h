/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the files of soak_wake share. */
#ifndef MYELON_TEST_SOAK_WAKE_H
#define MYELON_TEST_SOAK_WAKE_H

#include "kit.h"

#include <myelon/myelon.h>

#define SLOT 64
#define SEED 0x50a4ull
#define SKIPPED 77

enum how { HOW_CALL, HOW_POLL, HOW_LEVEL, HOW_EDGE, HOW_SET };

/* Who sleeps, and how. */
struct combination {
	const char *name;
	bool room;  /* the producer sleeps, for room; else the consumer */
	bool awake; /* it never sleeps */
	uint32_t window;
	uint32_t wait;   /* enum myelon_wait of who sleeps */
	enum how how;    /* the consumer's */
	uint32_t engine; /* enum myelon_engine, of a descriptor or a wait set */
	int64_t spin_ns; /* of a wait set */
};

/* result[SLEEPER] and result[WAKER]: count is how far it is, value[0] where. */
enum { WAKER, SLEEPER };
enum place { AT_START, AT_CLAIM, AT_TURN, AT_DELAY, AT_WAKE, AT_SLEEP, AT_CHECK, AT_END };

struct soak {
	const struct combination *how;
	struct kit_page *page;
	char name[KIT_NAME];
	uint64_t count;
};

/* Aims at the moment in which the other one falls asleep. */
struct aim {
	struct kit_result *me, *sleeper;
	uint64_t random;
	uint64_t parks; /* of the sleeper, as last seen */
	int64_t ns;     /* from its being ready until it sleeps, about */
	bool fixed;     /* which is not learnt */
};

void soak_at(struct kit_result *r, enum place place);
int soak_fail(const char *what, int rc);

void soak_pin(int which);
void aim_begin(struct aim *a, const struct soak *s);
/* Until the sleeper is about to wait for number @n, and then a little longer. @return false: it gave up. */
bool aim_wait(struct aim *a, uint64_t n);

/* The sleeper says that it will wait for number @n next; it has slept that often. */
void soak_ready(struct kit_result *r, uint64_t n, uint64_t parks);

/* Children: exit codes. */
int soak_publisher(void *arg);
int soak_consumer(void *arg);

/* How the sleeper waits (soak_sleep.c). peek, claim: @return as those. */
struct sleeping {
	const struct combination *how;
	struct myelon_consumer *c; /* one of these */
	struct myelon_producer *p;
	int fd, ep; /* -1: none */
	struct myelon_waitset *ws;
	int id;                  /* in it */
	enum myelon_engine used; /* for the last message */
	uint64_t parks, lost;
};
int sleeping_begin(struct sleeping *s);
int sleeping_peek(struct sleeping *s, struct myelon_view *v);
int sleeping_claim(struct sleeping *s, struct myelon_span *span);
/* Fills in parks and lost: wakes that only a cap found. */
void sleeping_count(struct sleeping *s);
/* @return 0, or SKIPPED: not what was asked for. */
int sleeping_end(struct sleeping *s);

#endif
