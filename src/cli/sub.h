/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The state of `myelon sub`, what it attaches to, the output of messages (sub_out.c), and waiting (sub_wait.c). */
#ifndef CLI_SUB_H
#define CLI_SUB_H

#include <stdbool.h>
#include <stdint.h>

#include <myelon/myelon.h>

#include "progress.h"
#include "stream.h"

/* Messages looked at and written at once. */
#define SUB_BATCH 64
/* What cannot be waited for is looked at so often. */
#define SUB_TICK_NS INT64_C(500000000)

enum sub_verified { SUB_UNKNOWN, SUB_VERIFIED, SUB_WRONG };

struct sub {
	const char *name;
	struct myelon_frame_consumer *fc; /* one of these two */
	struct myelon_frame_observer *fo;
	uint32_t wait;             /* enum myelon_wait, of the handle */
	struct myelon_waitset *ws; /* NULL: the handle waits */
	bool lines;
	bool any_kind; /* no marks: every message is data */
	bool follow;
	uint64_t left; /* data messages still wanted */

	struct stream_tally stream; /* of the stream being read */
	uint64_t bytes, messages;   /* written in all */
	uint64_t lost;              /* slots or messages that will never come */
	enum sub_verified verified;
	const char *ended; /* why, for the summary */
	int code;          /* SUB_GO_ON, or the exit code */
	struct progress progress;
};

#define SUB_GO_ON (-1)

/*
 * Write the first of @n messages, all data, to stdout, up to a signal or an error.
 * @return how many were written whole; sub->code is set if that is less than @n.
 */
uint32_t sub_write(struct sub *sub, const struct myelon_message *msgs, uint32_t n);

/* Take note of a start or end mark; sub->code is set at the end of the stream. */
void sub_mark(struct sub *sub, const struct myelon_message *m, enum stream_kind kind);

/* Remember why and with which exit code it ends. */
void sub_end(struct sub *sub, const char *why, int code);

/* Something was lost; the first time it is told why. */
void sub_lose(struct sub *sub, uint64_t n, const char *why);

/* Whoever read stdout is gone. */
void sub_output_closed(struct sub *sub);

/* Ends it if that is so. */
void sub_look_at_output(struct sub *sub);

/* Prepare to wait for messages beside other things; what cannot be had is done without. */
void sub_wait_open(struct sub *sub);
void sub_wait_close(struct sub *sub);

/* How long a handle may wait by itself, before sub_wait(). */
int64_t sub_deadline(const struct sub *sub);

/* After that passed: wait on, and end if the output was closed. */
void sub_wait(struct sub *sub);

/* Read until sub->code is set. */
void sub_consume(struct sub *sub);
void sub_observe(struct sub *sub);

#endif
