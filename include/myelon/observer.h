/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file observer.h - watch a ring without holding it up.
 *
 * An observer never gates: it copies what is there and is told exactly how many
 * messages it lost when the producer overtook it. One that is less than slots -
 * max(window/8, largest claim) behind loses nothing. Read permission on the
 * files is enough; then it polls instead of parking.
 *
 * Concurrency: a handle belongs to one thread at a time; interrupt from
 * anywhere.
 */
#ifndef MYELON_OBSERVER_H
#define MYELON_OBSERVER_H

#include <myelon/producer.h>
#include <myelon/ring.h>

#ifdef __cplusplus
extern "C" {
#endif

struct myelon_observer;

/** Attach; opts->id must be NULL, start is latest (default) or oldest. @return
 * as myelon_consumer_attach(). */
MYELON_API int myelon_observer_attach(struct myelon_observer **out, const char *name,
                                      const struct myelon_attach_opts *opts);

MYELON_API void myelon_observer_close(struct myelon_observer *o);

/**
 * Copy up to @p max consecutive slots into @p slots.
 *
 * @param seq   out: sequence of the first slot copied; may be NULL.
 * @param lost  out: messages lost before the first one copied (also counted
 * when 0 is returned with an error); may be NULL.
 * @return the count; -EAGAIN; -ETIMEDOUT; -EPIPE; -EOWNERDEAD; -ECANCELED;
 * -EINVAL; -EPERM.
 */
MYELON_API int myelon_observe(struct myelon_observer *o, void *slots, uint32_t max,
                              int64_t deadline, int64_t *seq, uint64_t *lost);

/** Messages published but not observed yet, read now. */
MYELON_API int64_t myelon_observer_lag(const struct myelon_observer *o);

MYELON_API int myelon_observer_info(struct myelon_observer *o, struct myelon_ring_info *info);
MYELON_API int myelon_observer_stats(const struct myelon_observer *o,
                                     struct myelon_handle_stats *stats);
MYELON_API void myelon_observer_interrupt(struct myelon_observer *o);

/** As info, but with every page looked up now: since create they may have been moved (migratepages, a
 * cpuset, automatic balancing). @return how many pages, of slots and control, are not where the ring's
 * creator wanted them, 0: all are, or nothing was wanted; -ENOTSUP (nobody tells); -EINVAL; -EPERM after fork. */
MYELON_API int myelon_observer_verify(struct myelon_observer *o, struct myelon_ring_info *info);

#ifdef __cplusplus
}
#endif
#endif
