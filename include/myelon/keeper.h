/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file keeper.h - the one sleeping thread of a process.
 *
 * Some promises need somebody who sleeps while the application does something else: a descriptor
 * consumer without io_uring, the adoption of descriptors, leases. For these the library starts one
 * thread per process, when first needed: all signals blocked, ordinary scheduling, off the CPU its
 * creator is pinned to, and ended when nothing needs it any longer.
 *
 * An application that wants no thread drives the keeper itself: call myelon_keeper_fd() before
 * anything starts the thread, watch the descriptor, and call myelon_keeper_service() when it is
 * readable. Then there are no leases: the death of this process is seen by its peers through its
 * pidfd or within 1 s.
 *
 * Concurrency: any thread; only one at a time inside myelon_keeper_service(). A forked child has no
 * keeper until it needs one of its own.
 */
#ifndef MYELON_KEEPER_H
#define MYELON_KEEPER_H

#include <stdint.h>

#include <myelon/export.h>
#include <myelon/wait.h>

#ifdef __cplusplus
extern "C" {
#endif

/** From now on the application drives the keeper. @return a descriptor that is readable when service
 * should be called; it belongs to the library. -EBUSY: the thread runs already; -EMFILE, -ENOMEM. */
MYELON_API int myelon_keeper_fd(void);

/** Do what is due, wait at most until @p deadline for something (MYELON_TRY: not at all). @return how
 * many things were done, 0; -EINVAL (the application does not drive the keeper); -EINTR. */
MYELON_API int myelon_keeper_service(int64_t deadline);

struct myelon_keeper_info {
	uint32_t size;
	uint32_t running; /* 0: not needed now, 1: a thread, 2: driven by the application */
	uint32_t engine;  /* enum myelon_engine: URING or EPOLL */
	uint32_t tid;     /* of the thread, 0 */
	uint32_t proxies; /* descriptor consumers it wakes */
	uint32_t adopted; /* descriptors of other processes held by producers of this one */
	uint32_t leases;  /* held */
	uint32_t refused; /* offers and connections that were dropped as rubbish */
	uint64_t wakes;   /* descriptors written for consumers of this process */
	uint64_t loops;   /* times it woke up */
};
MYELON_API int myelon_keeper_info(struct myelon_keeper_info *info);

#ifdef __cplusplus
}
#endif
#endif
