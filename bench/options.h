/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a benchmark is asked to do. */
#ifndef MYELON_BENCH_OPTIONS_H
#define MYELON_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <myelon/myelon.h>

#include "crew.h"

#define BENCH_LIST_MAX 16
#define BENCH_RINGS_MAX 1024

enum bench_layer { BENCH_RAW, BENCH_FRAMED };
enum bench_touch { BENCH_TOUCH_ALL, BENCH_TOUCH_LINE };

struct bench_list {
	uint32_t count;
	uint64_t value[BENCH_LIST_MAX];
};

struct bench_options {
	const char *bench;
	uint32_t layer; /* enum bench_layer */
	uint32_t backing_choice;
	uint64_t payload;
	uint64_t slot;   /* 0: for the payload */
	uint64_t window; /* slots; 0: for the payload */
	uint64_t consumers;
	uint64_t messages; /* per round; 0: for the payload and strategy */
	uint64_t batch;
	uint64_t depth;
	uint64_t peek; /* slots per peek and release; 0: all there is, one with --work */
	uint64_t rounds;
	double rate;
	struct bench_list wait; /* enum myelon_wait; wake, idle: also the others of way.h */
	struct bench_list producer_wait;
	struct bench_list consumer_wait;
	struct bench_list work; /* ns per message */
	struct bench_list compare_consumers;
	struct bench_list compare_producer_wait;
	bool compare_copy;
	uint64_t fragment;
	uint32_t touch;            /* enum bench_touch */
	uint64_t ring_bytes;       /* place: of the rings whose pages are compared */
	struct bench_list rates;   /* wake: messages per second */
	struct bench_list fanout;  /* wake: sleepers */
	uint32_t shape;            /* codec: enum bench_shape */
	struct bench_list codecs;  /* codec: which of bench_formats */
	struct bench_list records; /* codec: in a message */
	uint64_t kills;            /* death */
	uint64_t victim_memory;    /* death: bytes that each victim touches */
	uint64_t rings;            /* in a wait set */
	const char *plot;          /* file name, or NULL */
	int64_t silence_ns;        /* wake: before each round trip */
	int64_t idle_ns;           /* wake: per combination; 0: by the rate */
	int64_t timeout_ns;
	bool json;

	/* Derived. */
	int cpus[BENCH_CPUS_MAX];
	unsigned int cpu_count;
	unsigned int timeout_s;
};

/* The strategy of a role after all three options; the i-th of a list, round and round. */
enum myelon_wait bench_producer_wait(const struct bench_options *o);
enum myelon_wait bench_consumer_wait(const struct bench_options *o, unsigned int index);

/*
 * Parses for the benchmark argv[0]. Returns ARGS_RUN of src/cli/args.h with everything filled in
 * but window, slot and messages, which each benchmark chooses; else the exit code.
 */
int bench_options_parse(struct bench_options *o, int argc, char **argv);

/* True if @name is a benchmark. */
bool bench_known(const char *name);

#endif
