/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Supervised and framed calls to be killed in; see test_odd_kill.c. Nothing is closed: who dies does not. */
#include "../unit/ring_kit.h"
#include "kill_at.h"
#include "odd_kill.h"

#include <stdio.h>
#include <unistd.h>

#include "sys/points.h"

/* No leak check: what the keeper and the loop allocated hangs on handles. */
static int leave(int rc)
{
	if (rc < 0)
		fprintf(stderr, "%d: %s\n", rc, myelon_last_error());
	mye_points_kill_in(0);
	_exit(rc < 0);
}

static int push_managed(struct myelon_producer *p, uint32_t n)
{
	struct myelon_span s;
	int rc = myelon_claim_managed(p, n, kit_deadline(30), &s);

	for (uint32_t i = 0; rc == 0 && i < n; i++)
		kit_fill((char *)s.base + (size_t)i * 64, 64, RING_SEED, (uint64_t)s.seq + i);
	return rc < 0 ? rc : myelon_publish(p, n);
}

/* Supervises, waits for the start, publishes, is blocked by a reader that takes its time. */
static int run_managed(const char *ring)
{
	struct myelon_producer *p;
	int rc = myelon_producer_open(&p, ring, &MYELON_OPEN_OPTS(.wait = MYELON_WAIT_PARK));

	kill_from_here();
	if (rc == 0)
		rc = myelon_producer_require(
			p,
			&MYELON_LIVENESS_OPTS(.required.count = 1, .progress_ns = 5 * MS,
		                              .check_ns = MS, .on_failure = MYELON_ON_FAILURE_LOG));
	for (int i = 0; rc == 0 && i < MANAGED; i++)
		rc = push_managed(p, 1);
	return leave(rc);
}

/* The one who is in the way is dead: the alert, the failure, and plain calls after it. */
static int run_managed_dead(const char *ring)
{
	struct myelon_producer *p;
	int rc = myelon_producer_open(&p, ring, &MYELON_OPEN_OPTS(.wait = MYELON_WAIT_PARK));

	kill_from_here();
	if (rc == 0)
		rc = myelon_producer_require(
			p, &MYELON_LIVENESS_OPTS(.check_ns = MS, .grace_ns = MYELON_NO_GRACE));
	while (rc == 0)
		rc = push_managed(p, 1);
	return leave(rc == -EOWNERDEAD ? 0 : rc);
}

static int send(struct myelon_frame_producer *fp, size_t bytes)
{
	static unsigned char buf[LONG_BYTES];

	kit_fill(buf, bytes, RING_SEED, bytes);
	return myelon_frame_send(fp, buf, bytes, 1, kit_deadline(30));
}

/* A long message of its own; what a predecessor left half sent is ended first. */
static int run_fragments(const char *ring)
{
	struct myelon_frame_producer *fp;
	int rc;

	kill_from_here();
	rc = myelon_frame_producer_open(&fp, ring, NULL);
	if (rc == 0)
		rc = send(fp, SHORT_BYTES);
	if (rc == 0)
		rc = send(fp, LONG_BYTES);
	return leave(rc);
}

static const struct kill_scenario scenarios[] = {
	{"managed", run_managed},
	{"managed_dead", run_managed_dead},
	{"fragments", run_fragments},
};

int main(int argc, char **argv)
{
	return kill_actor_main(argc, argv, scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
}
