/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The baselines: what this machine gives when there is nothing but the mechanism itself. One call
 * is one round in two fresh processes on two CPUs.
 */
#ifndef MYELON_BENCH_BARE_H
#define MYELON_BENCH_BARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_trips;

struct bench_bare {
	const int *cpus; /* two of them */
	unsigned int timeout_s;
	struct bench_trips *trips; /* shared; filled by the round trip calls */
	bool silent;               /* as bench_trip_plan_silent() */
	double silence_ns;
	bool wrong; /* some message was not what was sent */
};

/* Round trips; @messages of them. 0 or -1. */
int bench_bare_line(struct bench_bare *b, uint64_t messages);
int bench_bare_futex(struct bench_bare *b, uint64_t messages);
int bench_bare_eventfd(struct bench_bare *b, uint64_t messages);
int bench_bare_epoll(struct bench_bare *b, uint64_t messages); /* an eventfd in an epoll loop */

/*
 * The bare cursor ring: a published and a consumer's cursor, each on a line of its own; the gate
 * cached, the cursor stored per message, one pause between polls. @depth requests are under way.
 */
int bench_bare_ring(struct bench_bare *b, size_t payload, uint32_t window, uint32_t depth,
                    uint64_t messages);

/*
 * One way through the bare cursor ring, published in batches of @batch, the cursor stored as often;
 * @rate: messages per second.
 */
int bench_bare_stream(struct bench_bare *b, size_t payload, uint32_t window, uint32_t batch,
                      uint64_t messages, double *rate);

#endif
