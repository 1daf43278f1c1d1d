/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Supervised sending: the plain calls, whose claims are told that they are part of a managed one. */
#include <myelon/liveness.h>

#include <errno.h>

#include "base/error.h"
#include "frame/assembly.h"
#include "ring/guard.h"

static int begin(struct myelon_frame_producer *fp)
{
	struct myelon_producer *ring = myelon_frame_producer_ring(fp);

	return ring ? mye_guard_enter(mye_producer_of(ring)) : mye_frame_not_open(fp);
}

static int end(struct myelon_frame_producer *fp, int rc)
{
	struct myelon_producer *ring = myelon_frame_producer_ring(fp);

	if (ring)
		mye_producer_of(ring)->as_managed = false;
	return rc;
}

int myelon_frame_claim_managed_slow(struct myelon_frame_producer *fp, size_t bytes,
                                    int64_t deadline, void **buf)
{
	int rc = begin(fp);

	return rc < 0 ? rc : end(fp, myelon_frame_claim_slow(fp, bytes, deadline, buf));
}

int myelon_frame_send_managed(struct myelon_frame_producer *fp, const void *data, size_t bytes,
                              uint8_t kind, int64_t deadline)
{
	int rc = begin(fp);

	return rc < 0 ? rc : end(fp, myelon_frame_send(fp, data, bytes, kind, deadline));
}

int myelon_frame_sendv_managed(struct myelon_frame_producer *fp, const struct iovec *iov,
                               int iovcnt, uint8_t kind, int64_t deadline)
{
	int rc = begin(fp);

	return rc < 0 ? rc : end(fp, myelon_frame_sendv(fp, iov, iovcnt, kind, deadline));
}

int myelon_frame_claim_managed_fn(struct myelon_frame_producer *fp, size_t bytes, int64_t deadline,
                                  void **buf)
{
	return myelon_frame_claim_managed(fp, bytes, deadline, buf);
}
