/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Names and JSON of a ring's description, for `ls` and `info`. */
#ifndef CLI_INFO_H
#define CLI_INFO_H

#include <stdbool.h>
#include <stddef.h>

#include <myelon/myelon.h>

#include "fmt.h"
#include "json.h"

/* Never NULL, whatever the value. */
const char *info_kind_name(uint32_t kind);
const char *info_backing_name(uint32_t backing);

/* The members of an object that stands open. */
void info_json(struct json *j, const struct myelon_ring_info *r);

const char *info_state_name(uint32_t state);
const char *info_wait_name(uint32_t wait);
/* null for a negative node or CPU */
void info_node_json(struct json *j, const char *key, int32_t node);
/* Alive or joining. */
bool info_is_there(uint32_t state);

/* info_time.c: moments of CLOCK_REALTIME, 0: unknown. */
void info_format_time(uint64_t ns, char *text, size_t size);
/* How long ago, "-" if unknown. */
const char *info_age(struct fmt *f, uint64_t since_ns);
/* Two members: the age in ns as @key_ns, the moment as @key; null if unknown. */
void info_age_json(struct json *j, const char *key_ns, const char *key, uint64_t since_ns);

/* info_table.c: the consumers. */
struct info_table {
	struct myelon_consumer_entry rows[MYELON_MAX_CONSUMERS];
	bool stalled[MYELON_MAX_CONSUMERS];
	size_t count;
};
/* @ctx: struct info_table; a myelon_consumer_fn. */
int info_table_add(void *ctx, const struct myelon_consumer_entry *e);
/* Mark in @now who has not moved since @before. @return how many are stalled or dead. */
unsigned int info_table_compare(const struct info_table *before, struct info_table *now);
void info_table_print(const struct info_table *t);
/* @looked_twice: who is stalled is known. */
void info_table_json(struct json *j, const struct info_table *t, const char *ring,
                     const struct myelon_dir_opts *o, bool looked_twice);
/* What to do about each that is dead or stalled and gates. */
void info_table_hints(const struct info_table *t, const struct myelon_ring_info *r);
/* "worker (dead), slow (stalled) and 3 more" */
void info_table_held_up(const struct info_table *t, char *text, size_t size);

/* info_place.c: where pages and participants are. */
void info_place_json(struct json *j, const struct myelon_ring_info *r);
void info_print_place(const struct myelon_ring_info *r);
/* Of consumer @id, or NULL: of the producer. */
void info_print_advice(const char *ring, const struct myelon_dir_opts *o, const char *id,
                       uint32_t wait);
void info_advice_json(struct json *j, const char *ring, const struct myelon_dir_opts *o,
                      const char *id);

#endif
