/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file liveness.h - publishing under supervision: a producer that is told why nobody makes room.
 *
 * A plain claim waits for the slowest consumer for as long as that takes. After myelon_producer_require()
 * the managed calls wait the same way, but while they do they watch who is in the way: a consumer whose
 * lock is free is dead, one whose process ended is dying until then, one that releases nothing for
 * progress_ns is stalled, a required one that is not attached is missing. That opens an alert window for this consumer: one warning (log.h), one call of the
 * hook. It closes when the same id releases something again, after it came back or was continued; no
 * other id can close it. A window open for grace_ns is a failure: this managed call and all that follow
 * return it, with the cause as it is then: what was told as dying or stalled may be dead by now.
 *
 * Time in which the producer itself did not run (it was stopped, or the machine was) counts neither for
 * progress_ns nor for the grace: it looks at least every progress_ns / 4 or check_ns, and a look that is
 * late by more than progress_ns / 2 (20 ms at least) leaves out the time since the one before. Between two
 * calls progress_ns / 2 counts at most, so calls that come seldom find out later.
 *
 * Only who is waited for is watched, and only while a managed call waits: whoever is slow but goes on,
 * and a ring where nothing happens, never alert. Nobody is evicted, nothing is delivered to fewer
 * consumers. Plain calls on the same handle keep their meaning at any time, also after a failure.
 *
 * A managed claim with room is the same code as a plain one, publish is the same call.
 *
 * How fast, in a managed call that has waited for a millisecond: a consumer with a lease (MYELON_F_LEASE at
 * attach) ends the sleep when it dies or calls exec, wherever it is, and before the kernel takes back its
 * memory; a spinning producer sees that as soon. Without one the end of a process that can be seen from
 * here (same pid namespace) ends the sleep, once its memory is taken back; an exec is found within the
 * longer of check_ns and 50 ms. All else, and all without a lease while spinning, is looked for every
 * check_ns.
 */
#ifndef MYELON_LIVENESS_H
#define MYELON_LIVENESS_H

#include <myelon/frame.h>
#include <myelon/producer.h>

#ifdef __cplusplus
extern "C" {
#endif

enum myelon_cause {
	MYELON_CAUSE_NONE = 0,
	MYELON_CAUSE_MISSING = 1, /**< required, and not attached */
	MYELON_CAUSE_DEAD = 2,    /**< attached, and its lock is free */
	MYELON_CAUSE_STALLED = 3, /**< attached, and released nothing for progress_ns */
	/** Its process ended, or became another program (known by its lease), but its lock is not free yet: the
	 *  kernel is taking back its memory, or a child it forked keeps the lock. Until then nobody can
	 *  attach under its id (-EBUSY). */
	MYELON_CAUSE_DYING = 4,
};

/** Who is in the way, and how. */
struct myelon_failure {
	uint32_t size;                /**< in: sizeof(struct myelon_failure) */
	uint32_t cause;               /**< enum myelon_cause */
	char id[MYELON_NAME_MAX + 4]; /**< ""; if only a number of consumers was asked for */
	int32_t pid;                  /**< as the consumer saw it; 0: unknown */
	int64_t last_seq;   /**< last sequence this id released, -1: none, or it was never here */
	int64_t stalled_ns; /**< for how long the producer has seen no progress */
};
#define MYELON_FAILURE_INIT                                                                        \
	{                                                                                          \
		.size = sizeof(struct myelon_failure)                                              \
	}

/**
 * The alert hook. Runs on the thread inside the managed call, once per window. It must not call
 * anything of the handle it is told about, but myelon_producer_interrupt().
 */
typedef void (*myelon_alert_fn)(void *ctx, const struct myelon_failure *alert);

enum myelon_on_failure {
	MYELON_ON_FAILURE_FAIL = 0, /**< the managed calls fail after the grace, for good */
	MYELON_ON_FAILURE_LOG = 1,  /**< alert, and go on waiting */
};

/** Value of grace_ns: none, an alert is a failure; but DYING only when it is dead, or after progress_ns. */
#define MYELON_NO_GRACE (-1)

/** Flag of myelon_liveness_opts: whom this producer waited for when it was made or opened (wait_for of its
 *  options) is required. -EINVAL if that was nobody, or if required is not empty. */
#define MYELON_LIVENESS_AS_RING (1u << 0)

/** Options of myelon_producer_require(). Zero means default; append only. */
struct myelon_liveness_opts {
	uint32_t size;
	uint32_t on_failure; /**< enum myelon_on_failure */
	/** Who must be attached and alive before the first managed claim returns; all zero: nobody, or see
	 *  flags. The ids are copied; one that is named twice counts once. Whoever else attaches and is in
	 *  the way is watched as well. */
	struct myelon_wait_for required;
	int64_t startup_ns;   /**< how long the first managed call waits for them; default 5 s */
	int64_t progress_ns;  /**< released nothing for that long: stalled; default 250 ms */
	int64_t check_ns;     /**< between looks while spinning; default 5 ms */
	int64_t grace_ns;     /**< from the alert to the failure; default 1 s; MYELON_NO_GRACE */
	myelon_alert_fn hook; /**< may be NULL */
	void *ctx;
	uint32_t flags; /**< MYELON_LIVENESS_AS_RING */
	uint32_t reserved;
};
#define MYELON_LIVENESS_OPTS(...)                                                                  \
	((struct myelon_liveness_opts){.size = sizeof(struct myelon_liveness_opts), __VA_ARGS__})

/**
 * Supervise the managed calls of @p p from now on; @p opts may be NULL. Does not wait. A second call
 * replaces the first and forgets a failure. An open claim stays open.
 * @return 0; -EINVAL, -ENAMETOOLONG (an id); -ENOMEM; -EPERM after fork.
 */
MYELON_API int myelon_producer_require(struct myelon_producer *p,
                                       const struct myelon_liveness_opts *opts);

/**
 * What made a managed call fail, or at the start, whom the last one waited for in vain.
 * @param failure  out, may be NULL.
 * @return 1: there is a failure; 0: none (@p failure has cause NONE); -EINVAL (not required);
 * -EPERM after fork.
 */
MYELON_API int myelon_producer_failure(const struct myelon_producer *p,
                                       struct myelon_failure *failure);

/** "none", "missing", "dead", "stalled", "dying"; NULL for an unknown value. */
MYELON_API const char *myelon_cause_name(enum myelon_cause cause);

/** Slow path of myelon_claim_managed(). */
MYELON_API int myelon_claim_managed_slow(struct myelon_producer *p, uint32_t n, int64_t deadline);

/**
 * As myelon_claim(), supervised. The first one waits for the required consumers, whether there is room
 * or not.
 * @return as myelon_claim(); also -EINVAL (myelon_producer_require() was not called). Failures:
 * -EOWNERDEAD (a consumer is dead or dying), -ENOENT (a required one left and is missing), -ETIMEDOUT (it is
 * stalled, or at the start the required ones did not come in startup_ns). The first three stay: every
 * further managed call returns them at once. The start may be tried again. A deadline of the caller's
 * that passed is -ETIMEDOUT, too; myelon_producer_failure() tells them apart.
 */
static inline int myelon_claim_managed(struct myelon_producer *p, uint32_t n, int64_t deadline,
                                       struct myelon_span *span)
{
	/* Signed: managed_end is 0, which is not beyond next, when every managed call is to ask. */
	if (__builtin_expect((int64_t)(n - 1u) >= p->managed_end - p->next || p->claimed > p->next,
	                     0)) {
		int rc = myelon_claim_managed_slow(p, n, deadline);

		if (rc < 0)
			return rc;
	}
	p->claimed = p->next + n;
	span->base = p->data + ((uint64_t)p->next & p->mask) * p->slot_size;
	span->count = n;
	span->seq = p->next;
	return 0;
}

/** Copy @p n slots and publish them in one step. @return as myelon_claim_managed(). */
static inline int myelon_publish_copy_managed(struct myelon_producer *p, const void *slots,
                                              uint32_t n, int64_t deadline)
{
	struct myelon_span s = {NULL, 0, 0, 0};
	int rc = myelon_claim_managed(p, n, deadline, &s);

	if (rc < 0)
		return rc;
	memcpy(s.base, slots, (size_t)n * p->slot_size);
	return myelon_publish(p, n);
}

/** Slow path of myelon_frame_claim_managed(). */
MYELON_API int myelon_frame_claim_managed_slow(struct myelon_frame_producer *fp, size_t bytes,
                                               int64_t deadline, void **buf);

/** As myelon_frame_claim(), supervised; the ring handle (myelon_frame_producer_ring()) is the one that
 * requires and is asked for the failure. @return as that and myelon_claim_managed(). */
static inline int myelon_frame_claim_managed(struct myelon_frame_producer *fp, size_t bytes,
                                             int64_t deadline, void **buf)
{
	struct myelon_span span;
	int rc;

	if (__builtin_expect(!fp || bytes >= fp->below || !buf, 0))
		return myelon_frame_claim_managed_slow(fp, bytes, deadline, buf);
	rc = myelon_claim_managed(fp->ring, myelon_frame_slots(&fp->limits, (uint32_t)bytes),
	                          deadline, &span);
	if (__builtin_expect(rc < 0, 0))
		return rc;
	fp->base = span.base;
	fp->seq = span.seq;
	fp->claimed = (uint32_t)bytes;
	*buf = (unsigned char *)span.base + MYELON_FRAME_HEADER;
	return 0;
}

/** As myelon_frame_send(), supervised, also in the middle of a message in fragments: one that fails
 * there is cut off for its receivers. @return as that and myelon_claim_managed(). */
MYELON_API int myelon_frame_send_managed(struct myelon_frame_producer *fp, const void *data,
                                         size_t bytes, uint8_t kind, int64_t deadline);
/** The same, gathered from @p iovcnt pieces. */
MYELON_API int myelon_frame_sendv_managed(struct myelon_frame_producer *fp, const struct iovec *iov,
                                          int iovcnt, uint8_t kind, int64_t deadline);

/* Exported twins of the inline functions, for other languages. */
MYELON_API int myelon_claim_managed_fn(struct myelon_producer *p, uint32_t n, int64_t deadline,
                                       struct myelon_span *span);
MYELON_API int myelon_publish_copy_managed_fn(struct myelon_producer *p, const void *slots,
                                              uint32_t n, int64_t deadline);
MYELON_API int myelon_frame_claim_managed_fn(struct myelon_frame_producer *fp, size_t bytes,
                                             int64_t deadline, void **buf);

#ifdef __cplusplus
}
#endif
#endif
