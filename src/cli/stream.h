/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A byte stream over a framed ring, as `pub` writes it and `sub` reads it:
 *
 *   start  kind 3, 16 bytes: u64 bytes to come (all ones: unknown), u64 0
 *   data   kind 1, any length
 *   end    kind 2, 16 bytes: u64 bytes, u64 messages sent since the start
 *
 * Numbers are little endian. Who saw start and end knows whether anything is missing between them.
 */
#ifndef CLI_STREAM_H
#define CLI_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include <myelon/myelon.h>

enum stream_kind { STREAM_DATA = 1, STREAM_END = 2, STREAM_START = 3 };

#define STREAM_UNKNOWN UINT64_MAX

/* What a side has sent or received since the start of the stream. */
struct stream_tally {
	uint64_t bytes;
	uint64_t messages;
	bool from_start;
};

/* @return 0 or as myelon_frame_send(). */
int stream_send_start(struct myelon_frame_producer *fp, uint64_t expected);
int stream_send_end(struct myelon_frame_producer *fp, const struct stream_tally *sent);

/* What @m is; anything that is not a mark of ours is data. */
enum stream_kind stream_kind_of(const struct myelon_message *m);

/* The numbers of a start or end mark. */
void stream_read_mark(const struct myelon_message *m, uint64_t *first, uint64_t *second);

#endif
