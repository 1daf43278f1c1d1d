/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The `pin` option of handles. Internal. */
#ifndef MYE_NUMA_PINNING_H
#define MYE_NUMA_PINNING_H

#include <stdbool.h>
#include <stdint.h>

#include "sys/sys.h"

/* The affinity to go back to if what follows fails. */
struct mye_pinned {
	bool valid;
	struct mye_cpu_mask before;
};

/*
 * Pin the calling thread as an option says: MYELON_PIN(cpu), or 0: as MYELON_CPU says, if it is set.
 * Before anything is placed or touched. @return 0; -EINVAL, -EPERM as myelon_pin(); -EINVAL if
 * MYELON_CPU is no number.
 */
int mye_pin_begin(uint32_t pin, struct mye_pinned *pinned);
/* @p rc: what became of it. After a failure the thread runs where it ran before. @return rc. */
int mye_pin_end(const struct mye_pinned *pinned, int rc);

#endif
