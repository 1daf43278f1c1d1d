/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What `myelon hugepages show` shows. */
#ifndef CLI_HUGEPAGES_H
#define CLI_HUGEPAGES_H

#include <stdint.h>

#include "json.h"

/* Pools, mounts and limits of the page size @only (0: all). @return 0, or a negative errno of the
 * library. */
int hugepages_table(uint64_t only);
int hugepages_json(uint64_t only);

#endif
