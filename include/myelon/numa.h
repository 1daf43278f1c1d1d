/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file numa.h - nodes, CPUs, pinning, and what stands in the way of a low latency.
 *
 * Where a ring's memory goes is an option of the ring (ring.h, `numa`); this tells what there is, pins
 * threads, and says what a handle's place costs it. On a machine without NUMA there is node 0.
 *
 * Concurrency: any thread.
 */
#ifndef MYELON_NUMA_H
#define MYELON_NUMA_H

#include <stddef.h>
#include <stdint.h>

#include <myelon/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Nodes whose pages are counted one by one; what lies on others is counted together. */
#define MYELON_NUMA_NODES_MAX 64

/** A NUMA node. */
struct myelon_numa_node {
	uint32_t size; /**< sizeof(struct myelon_numa_node) */
	int32_t node;
	uint32_t allowed;      /**< 1: this process may have memory on it (cpuset) */
	uint32_t cpus;         /**< CPUs of it, usable or not */
	uint64_t memory_total; /**< bytes, 0: a node without memory */
	uint64_t memory_free;  /**< bytes */
	/** Distance to node i, 10: itself; 0: unknown or no such node. */
	uint8_t distance[MYELON_NUMA_NODES_MAX];
	char cpu_list[256]; /**< "0-3,8-11" */
};
/** Return non-zero to stop; that value is returned by the caller. */
typedef int (*myelon_numa_node_fn)(void *ctx, const struct myelon_numa_node *node);

/** Call @p fn for each node, in order. @return 0 or fn's value. */
MYELON_API int myelon_numa_nodes(myelon_numa_node_fn fn, void *ctx);

/** A CPU that is online. */
struct myelon_cpu {
	uint32_t size;
	int32_t cpu;
	int32_t node;
	int32_t sibling;   /**< another hardware thread of its core, -1: none */
	uint32_t allowed;  /**< 1: in the affinity of the calling thread */
	uint32_t usable;   /**< 1: in the cpuset of this process, so it may be pinned to */
	uint32_t isolated; /**< 1: no load balancing (isolcpus=, isolated partition) */
	uint32_t nohz;     /**< 1: nohz_full=: no tick while one thread runs */
	char governor[24]; /**< frequency governor, "": none */
};
typedef int (*myelon_cpu_fn)(void *ctx, const struct myelon_cpu *cpu);

/** Call @p fn for each CPU that is online, in order. @return 0 or fn's value. */
MYELON_API int myelon_cpus(myelon_cpu_fn fn, void *ctx);

/** Let the calling thread run on @p cpu only. @return 0; -EINVAL (the sentence says whether it is
 * offline, unknown or outside the cpuset, and what is possible); -EPERM. */
MYELON_API int myelon_pin(int cpu);

/** What may cost a pinned thread latency; bits of myelon_advice.flags. */
#define MYELON_ADVICE_NOT_PINNED (1u << 0)   /**< may run anywhere */
#define MYELON_ADVICE_NOT_ISOLATED (1u << 1) /**< others may be scheduled on its CPU */
#define MYELON_ADVICE_SIBLING (1u << 2)      /**< its core's other thread is in use */
#define MYELON_ADVICE_REMOTE (1u << 3)       /**< not on the node of the ring's slots */
#define MYELON_ADVICE_BALANCING (1u << 4)    /**< automatic NUMA balancing may move small pages */
#define MYELON_ADVICE_GOVERNOR (1u << 5)     /**< the frequency governor is not performance */
#define MYELON_ADVICE_TICK (1u << 6)         /**< not nohz_full: a tick per jiffy */
#define MYELON_ADVICE_SHARED (1u << 7)       /**< another participant is pinned to the same CPU */

/** Advice about one participant. */
struct myelon_advice {
	uint32_t size;
	uint32_t flags; /**< MYELON_ADVICE_*: what is so; 0: nothing to say */
	int32_t cpu;    /**< pinned to, -1: not pinned */
	int32_t node;   /**< of that CPU, -1: not pinned */
	char text[512]; /**< a sentence for each flag, "; " between them */
};
#define MYELON_ADVICE_INIT                                                                         \
	{                                                                                          \
		.size = sizeof(struct myelon_advice)                                               \
	}

/** Advice for somebody on @p cpu (-1: not pinned) who works on memory of @p node (-1: any) in pages
 * of @p page_size bytes. @return 0; -EINVAL. */
MYELON_API int myelon_advise(int cpu, int node, uint64_t page_size, struct myelon_advice *advice);

#ifdef __cplusplus
}
#endif
#endif
