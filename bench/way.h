/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Every way to wait for messages: the strategies of a handle, a descriptor in an epoll loop with each
 * engine, and a wait set with each engine.
 */
#ifndef MYELON_BENCH_WAY_H
#define MYELON_BENCH_WAY_H

#include <errno.h>
#include <myelon/myelon.h>
#include <stdint.h>

#include "ends.h"

enum bench_way_kind { BENCH_WAY_HANDLE, BENCH_WAY_FD, BENCH_WAY_SET };

/* In the order of enum myelon_wait, then descriptors and wait sets. */
enum {
	BENCH_FD_URING = MYELON_WAIT_PARK + 1,
	BENCH_FD_DIRECT,
	BENCH_FD_PROXY,
	BENCH_SET_URING,
	BENCH_SET_EPOLL,
	BENCH_WAYS,
};

/* All of them, from the one that never sleeps to those that always do. */
extern const unsigned int bench_ways_in_order[BENCH_WAYS];

struct bench_way {
	unsigned int which;
	enum bench_way_kind kind;
	int64_t deadline;          /* for peek: MYELON_FOREVER, or MYELON_TRY where others wait */
	struct myelon_consumer *c; /* whose messages are waited for */
	int epoll;
	struct myelon_waitset *set;
};

/* "park", "fd/uring", "set/epoll" */
const char *bench_way_name(unsigned int which);
/* The way of a name, or -1. */
int bench_way_parse(const char *name);
enum bench_way_kind bench_way_kind(unsigned int which);
/* The strategy to attach with. */
enum myelon_wait bench_way_wait(unsigned int which);

/*
 * Prepares to wait for @in; a wait set also has the @idle consumers. A wait set never spins: what is
 * measured is its wake. 0, or -1 with the sentence in @role.
 */
int bench_way_open(struct bench_way *w, unsigned int which, struct bench_in *in,
                   struct bench_in *idle, uint32_t idle_count, struct bench_role *role);
void bench_way_close(struct bench_way *w);

/* True once it is woken by the engine asked for: a producer takes a descriptor over a little later. */
bool bench_way_settled(const struct bench_way *w);

/* In the kernel, so far. */
uint64_t bench_way_sleeps(const struct bench_way *w);

/* After a peek with @w->deadline returned -EAGAIN: until there may be something. 0 or negative. */
int bench_way_sleep(struct bench_way *w);

/* Peek, and wait if there is nothing. */
static inline int bench_way_peek(struct bench_way *w, uint32_t max, struct myelon_view *v)
{
	int n;

	while ((n = myelon_peek(w->c, max, w->deadline, v)) == -EAGAIN) {
		n = bench_way_sleep(w);
		if (n < 0)
			break;
	}
	return n;
}

#endif
