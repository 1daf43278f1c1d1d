/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Programs made with the original libraries, asked through pipes: a record is a length (uint32_t) and so many bytes,
 * the answer the same with a byte in front, 0, or 1 and a sentence.
 */
#ifndef TESTS_CODEC_INTEROP_TOOL_H
#define TESTS_CODEC_INTEROP_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <myelon/codec.h>

#include "kit.h"
#include "object.h"
#include "row.h"

/* What is exchanged. */
struct subject {
	const char *name;
	const struct myelon_type *type;
};
extern const struct subject subjects[3]; /* zoo, batch, node */

/* The path of program @name beside the test. @made: the build was to make it, so it must be there; else the test is
 * skipped, with @packages. */
const char *tool_path(const char *name, bool made, const char *what, const char *packages);

struct tool {
	struct kit_actor actor;
	int to, from;
	char *answer; /* and a NUL behind it */
	uint32_t len;
};

/* Asserts that it starts; up to 6 arguments, NULL-terminated. */
void tool_start(struct tool *t, const char *path, ...) __attribute__((sentinel));
/* True: the answer is bytes; false: a sentence. Asserts that there is one. */
bool tool_ask(struct tool *t, const void *bytes, size_t len);
/* Asserts that it ends in order. */
void tool_end(struct tool *t);

/* An encoded object; to be freed. Asserts. */
struct bytes {
	unsigned char *data;
	size_t len;
};
struct bytes bytes_encode(const struct myelon_codec *c, const void *object);
/* Spoil a message, the @k th way: first each byte in turn in each of some ways, if @small; then as object_mangle().
 * @return is there such a way? */
#define SPOILED_AT_RANDOM 700u
bool bytes_spoil(struct bytes *b, bool small, uint64_t k);

/* Room for any object of a subject. */
union object {
	max_align_t align;
	unsigned char bytes[1024];
};
/* Object @i of the random ones: small and large, flat and deep. SUBJECT_SMALL has something of all, also text of more than
 * 7 bytes beside other text. */
#define SUBJECT_SMALL 13u
void subject_fill(const struct subject *s, union object *object, uint64_t i,
                  struct myelon_arena *arena);

/* How two that judge the same mangled bytes agree: taken by both, by none, by us alone, by the tool alone. */
struct verdicts {
	unsigned int both, none, ours, theirs;
	char example[256]; /* what the tool says against bytes that we took */
};
/* Prints the first sentences about bytes that only one took. */
void verdict_add(struct verdicts *v, bool ours, bool theirs, const char *their_sentence);

#endif
