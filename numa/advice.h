/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Advice as it is put together. Internal. */
#ifndef MYE_NUMA_ADVICE_H
#define MYE_NUMA_ADVICE_H

#include <stdint.h>

#include <myelon/numa.h>

/* myelon_advise() on a struct of the library's own. */
int mye_advise(int cpu, int node, uint64_t page_size, struct myelon_advice *own);

/* One thing more. */
void mye_advice_add(struct myelon_advice *own, uint32_t flag, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
