/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What every slow path starts with, and the first released sizes of option structs. */
#ifndef MYE_RING_CALL_H
#define MYE_RING_CALL_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include <myelon/ring.h>

#include "base/error.h"
#include "segment/segment.h"
#include "sys/sys.h"

#define MYE_FIRST_SIZE(type, last) (offsetof(struct type, last) + sizeof(((struct type *)0)->last))
#define MYE_RING_OPTS_FIRST MYE_FIRST_SIZE(myelon_ring_opts, shm_dir)
#define MYE_OPEN_OPTS_FIRST MYE_FIRST_SIZE(myelon_open_opts, shm_dir)
#define MYE_ATTACH_OPTS_FIRST MYE_FIRST_SIZE(myelon_attach_opts, shm_dir)

int mye_opened_before_fork(const char *call);
int mye_wait_check(uint32_t wait);

/* What an attacher with these options demands; its time to wait begins now. */
static inline struct mye_attach mye_attach_of(const struct myelon_attach_opts *opts,
                                              enum mye_role role, enum myelon_kind kind)
{
	return (struct mye_attach){
		.role = role,
		.flags = opts->flags,
		.kind = kind,
		.slot_size = opts->slot_size,
		.schema = opts->schema,
		.deadline = opts->timeout_ns ? myelon_deadline_after(opts->timeout_ns) : MYELON_TRY,
		.shm_dir = opts->shm_dir,
		.hugetlb_dir = opts->hugetlb_dir,
		.data_fd = opts->data_fd,
	};
}

/* Debug builds: notice two threads inside one handle. @return 0, or -EINVAL. */
static inline int mye_call_begin(uint32_t *in_call, const char *what)
{
#ifdef MYE_DEBUG_CHECKS
	uint32_t none = 0;

	if (!__atomic_compare_exchange_n(in_call, &none, mye_tid(), 0, __ATOMIC_RELAXED,
	                                 __ATOMIC_RELAXED))
		return mye_fail(-EINVAL, "%s handle used by threads %u and %u at once", what, none,
		                mye_tid());
#else
	(void)in_call;
	(void)what;
#endif
	return 0;
}

static inline void mye_call_end(uint32_t *in_call)
{
#ifdef MYE_DEBUG_CHECKS
	__atomic_store_n(in_call, 0, __ATOMIC_RELAXED);
#else
	(void)in_call;
#endif
}

#endif
