/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Segment calls to be killed in; see test_segment_kill.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../unit/segment_help.h"
#include "kill_at.h"
#include "segment/control.h"

static int result(int rc)
{
	if (rc < 0)
		fprintf(stderr, "%d: %s\n", rc, myelon_last_error());
	return rc < 0 ? 1 : 0;
}

static int run_create(const char *ring)
{
	struct mye_segment seg;

	kill_from_here();
	return result(help_create(&seg, ring, NULL));
}

static int run_replace(const char *ring)
{
	struct myelon_ring_opts o = help_opts();
	struct mye_segment seg;

	o.flags = MYELON_F_REPLACE_DEAD;
	kill_from_here();
	return result(help_create(&seg, ring, &o));
}

static int run_plain(const char *ring)
{
	struct myelon_ring_opts o = help_opts();
	struct mye_segment seg;

	o.flags = MYELON_F_REPLACE_DEAD;
	o.backing = MYELON_BACKING_FILE;
	kill_from_here();
	return result(help_create(&seg, ring, &o));
}

static int run_memfd(const char *ring)
{
	struct myelon_ring_opts o = help_opts();
	struct mye_segment seg;

	o.flags = MYELON_F_REPLACE_DEAD;
	o.backing = MYELON_BACKING_MEMFD;
	kill_from_here();
	return result(help_create(&seg, ring, &o));
}

/* The test's descriptor is inherited. */
static int run_handed(const char *ring)
{
	struct mye_attach want = {.role = MYE_ROLE_CONSUMER, .data_fd = MYELON_FD(KILL_FD)};
	struct mye_segment seg;
	int rc;

	kill_from_here();
	rc = mye_segment_attach(&seg, ring, &want);
	if (rc == 0)
		rc = mye_role_take(&seg, MYE_LOCK_ENTRY(1));
	if (rc == 0)
		mye_segment_leave(&seg);
	return result(rc);
}

static int attach(const char *ring, enum mye_role role, int64_t byte)
{
	struct mye_segment seg;
	int rc;

	kill_from_here();
	rc = help_attach(&seg, ring, role);
	if (rc == 0 && byte >= 0)
		rc = mye_role_take(&seg, byte);
	if (rc == 0)
		mye_segment_leave(&seg);
	return result(rc);
}

static int run_consumer(const char *ring)
{
	return attach(ring, MYE_ROLE_CONSUMER, MYE_LOCK_ENTRY(1));
}

static int run_observer(const char *ring)
{
	return attach(ring, MYE_ROLE_OBSERVER, -1);
}

static int run_takeover(const char *ring)
{
	return attach(ring, MYE_ROLE_PRODUCER, -1);
}

static int run_close(const char *ring)
{
	struct mye_segment seg;
	int rc = help_create(&seg, ring, NULL);

	if (rc < 0)
		return result(rc);
	kill_from_here();
	help_close(&seg);
	return 0;
}

/* The consumer that turns off the light. */
static int run_leave(const char *ring)
{
	struct mye_segment seg, consumer;
	int rc = help_create(&seg, ring, NULL);

	if (rc == 0)
		rc = help_attach(&consumer, ring, MYE_ROLE_CONSUMER);
	if (rc < 0)
		return result(rc);
	help_close(&seg);
	kill_from_here();
	mye_segment_leave(&consumer);
	return 0;
}

static int run_gc(const char *ring)
{
	(void)ring;
	kill_from_here();
	return result(myelon_gc(NULL, NULL, NULL));
}

static int run_remove(const char *ring)
{
	kill_from_here();
	return result(myelon_ring_remove(ring, NULL));
}

static int run_force(const char *ring)
{
	struct myelon_dir_opts force = MYELON_DIR_OPTS(.flags = MYELON_F_FORCE);
	struct mye_segment seg;
	int rc = help_create(&seg, ring, NULL);

	if (rc < 0)
		return result(rc);
	kill_from_here();
	rc = myelon_ring_remove(ring, &force);
	help_close(&seg);
	return result(rc);
}

static const struct kill_scenario scenarios[] = {
	{"create", run_create},     {"replace", run_replace},   {"plain", run_plain},
	{"consumer", run_consumer}, {"observer", run_observer}, {"takeover", run_takeover},
	{"close", run_close},       {"leave", run_leave},       {"gc", run_gc},
	{"remove", run_remove},     {"force", run_force},       {"memfd", run_memfd},
	{"handed", run_handed},
};

int main(int argc, char **argv)
{
	return kill_actor_main(argc, argv, scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
}
