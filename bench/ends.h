/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The ends of a ring as a subject uses them: created and attached in the measured processes. */
#ifndef MYELON_BENCH_ENDS_H
#define MYELON_BENCH_ENDS_H

#include <myelon/myelon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "place.h"

#define BENCH_SLOT 64u   /* of framed rings, and what raw slots are a multiple of */
#define BENCH_HEADER 16u /* of a frame */

struct bench_role;

/* The ring a subject wants; filled before the fork. */
struct bench_ring {
	const struct bench_options *o;
	const struct bench_place *place;
	bool framed;
	size_t payload;
	uint32_t slot;
	uint32_t window;
	uint32_t consumers; /* places needed */
	uint32_t backing;   /* enum myelon_backing */
	int node;           /* where the memory is, strictly; -1: wherever */
	enum myelon_wait producer_wait;
	const struct myelon_codec *codec; /* framed: of its messages; NULL: bytes */
};

/* Which are set depends on the ring. */
struct bench_out {
	struct myelon_producer *raw;
	struct myelon_frame_producer *framed;
	struct myelon_typed_producer *typed; /* then framed is what it is made of */
};

struct bench_in {
	struct myelon_consumer *raw;
	struct myelon_frame_consumer *framed;
	struct myelon_typed_consumer *typed;
};

/* Chooses slot and window for the options; --window and --slot win. */
void bench_ring_plan(struct bench_ring *r, const struct bench_options *o,
                     const struct bench_place *place, bool framed);

/* Slots of a message, and the payload of a bare ring that moves as much. */
uint32_t bench_ring_slots_each(const struct bench_ring *r);
size_t bench_ring_bytes_each(const struct bench_ring *r);

/* Window in messages. */
uint32_t bench_ring_messages(const struct bench_ring *r);

/* 0, or -1 with the sentence in @role. */
int bench_out_create(struct bench_out *out, const struct bench_ring *r, const char *stem,
                     struct bench_role *role);
int bench_in_attach(struct bench_in *in, const struct bench_ring *r, const char *stem,
                    enum myelon_wait wait, struct bench_role *role);

/* For round trips: each of two processes, @index 0 and 1, makes one ring and reads the other's. */
int bench_ends_open(struct bench_out *out, struct bench_in *in, const struct bench_ring *r,
                    unsigned int index, struct bench_role *role);

/* Close and keep the handle's counters in @role. */
void bench_out_close(struct bench_out *out, struct bench_role *role);
void bench_in_close(struct bench_in *in, struct bench_role *role);

/* Keeps the library's sentence for @what in @role; returns -1. */
int bench_library_fail(struct bench_role *role, const char *what);

#endif
