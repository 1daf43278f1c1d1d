/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Messages of 1 to 5 slots whose payload looks like frame headers, and how to tell a true one. */
#ifndef TESTS_MP_FRAME_STORM_H
#define TESTS_MP_FRAME_STORM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <myelon/frame.h>

#define STORM_SLOT 64u
#define STORM_KIND 7u
#define STORM_MAGIC 0x6d795f747275746bull

static inline size_t storm_bytes(uint32_t id)
{
	return (1 + id % 5) * STORM_SLOT - 16;
}

static inline void storm_fill(unsigned char *buf, uint32_t id)
{
	/* Length 48, kind 99, FIRST and LAST, index 0: a sound message of one slot. */
	static const unsigned char fake[16] = {48, 0, 0, 0, 0xad, 0xde, 0, 0, 99, 3};
	uint64_t tag[2] = {id, STORM_MAGIC ^ id};
	size_t bytes = storm_bytes(id);

	memcpy(buf, tag, sizeof(tag));
	for (size_t at = sizeof(tag); at < bytes; at += sizeof(fake))
		memcpy(buf + at, fake, sizeof(fake));
}

static inline bool storm_true(const struct myelon_message *m)
{
	uint64_t tag[2];

	if (m->kind != STORM_KIND || m->len != storm_bytes(m->id))
		return false;
	memcpy(tag, m->data, sizeof(tag));
	return tag[0] == m->id && tag[1] == (STORM_MAGIC ^ m->id);
}

#endif
