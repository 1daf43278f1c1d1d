/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <endian.h>
#include <string.h>

#include "stream.h"

enum { MARK_BYTES = 16 };

static int send_mark(struct myelon_frame_producer *fp, uint64_t first, uint64_t second,
                     enum stream_kind kind)
{
	uint64_t mark[2] = {htole64(first), htole64(second)};

	return myelon_frame_send(fp, mark, sizeof(mark), (uint8_t)kind, MYELON_FOREVER);
}

int stream_send_start(struct myelon_frame_producer *fp, uint64_t expected)
{
	return send_mark(fp, expected, 0, STREAM_START);
}

int stream_send_end(struct myelon_frame_producer *fp, const struct stream_tally *sent)
{
	return send_mark(fp, sent->bytes, sent->messages, STREAM_END);
}

enum stream_kind stream_kind_of(const struct myelon_message *m)
{
	if (m->len == MARK_BYTES && (m->kind == STREAM_END || m->kind == STREAM_START))
		return (enum stream_kind)m->kind;
	return STREAM_DATA;
}

void stream_read_mark(const struct myelon_message *m, uint64_t *first, uint64_t *second)
{
	uint64_t mark[2];

	memcpy(mark, m->data, sizeof(mark));
	*first = le64toh(mark[0]);
	*second = le64toh(mark[1]);
}
