/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Names and JSON of a ring's description, for `ls` and `info`. */
#ifndef CLI_INFO_H
#define CLI_INFO_H

#include <myelon/myelon.h>

#include "json.h"

/* Never NULL, whatever the value. */
const char *info_kind_name(uint32_t kind);
const char *info_backing_name(uint32_t backing);

/* The members of an object that stands open. */
void info_json(struct json *j, const struct myelon_ring_info *r);

/* info_place.c: where pages and participants are. */
void info_place_json(struct json *j, const struct myelon_ring_info *r);
void info_print_place(const struct myelon_ring_info *r);
/* Of consumer @id, or NULL: of the producer. */
void info_print_advice(const char *ring, const struct myelon_dir_opts *o, const char *id,
                       uint32_t wait);
void info_advice_json(struct json *j, const char *ring, const struct myelon_dir_opts *o,
                      const char *id);

#endif
