/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Processes killed at every point of create, attach, leave, gc and remove. What
 * is left afterwards never blocks the name for good, never leads an attacher
 * astray, and goes away by gc to the last file; who lives on is not disturbed.
 */
#include "../unit/segment_help.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kill_at.h"
#include "kit.h"
#include "segment/control.h"
#include "segment/data.h"

/* Wrong things, as numbers for what. */
enum {
	OK,
	NOT_CLEAN,   /* files are left after gc */
	NOT_USABLE,  /* the name exists, but is not a ring that can be taken over */
	NOT_CREATED, /* the same call fails afterwards */
	DISTURBED,   /* somebody who lives lost something */
	STILL_HELD,  /* a role of the dead one is not free */
	SETUP,       /* the test itself */
	MISSING,     /* something that must stay is gone */
};

struct world {
	struct kill_test t;
	char name[KIT_NAME], path[4300];
	struct mye_segment live; /* a producer of this process */
	struct mye_segment kept;
	unsigned int runs;
};

static struct world w;

static int found(int code)
{
	if (code != OK)
		snprintf(w.t.what, sizeof(w.t.what), "%.400s; files: %d", myelon_last_error(),
		         help_files());
	return code;
}

/* A name that is visible is a whole ring. */
static int usable_or_absent(const char *ring)
{
	struct mye_segment seg;
	int rc = help_attach(&seg, ring, MYE_ROLE_PRODUCER);

	if (rc == -ENOENT)
		return OK;
	if (rc < 0)
		return NOT_USABLE;
	help_die(&seg);
	return OK;
}

static int clean(void)
{
	if (myelon_gc(NULL, NULL, NULL) < 0)
		return NOT_CLEAN;
	return help_files() == 0 ? OK : NOT_CLEAN;
}

static int after_create(void *ctx, bool killed)
{
	struct myelon_ring_opts o = help_opts();
	struct mye_segment seg;
	int rc = usable_or_absent(w.name);

	(void)ctx;
	(void)killed;
	if (rc != OK)
		return found(rc);
	/* The name is to be had again at once, also without gc. */
	o.flags = MYELON_F_REPLACE_DEAD;
	if (w.runs++ % 2) {
		if (help_create(&seg, w.name, &o) < 0)
			return found(NOT_CREATED);
		help_close(&seg);
	}
	return found(clean());
}

static int make_dead(void *ctx)
{
	(void)ctx;
	return found(help_dead(w.name, NULL) == 0 ? OK : SETUP);
}

static void every_point(const char *scenario, int (*before)(void *), int (*after)(void *, bool))
{
	int n;

	w.t.actor = "segment_actor";
	w.t.scenario = scenario;
	w.t.ring = w.t.ring ? w.t.ring : w.name;
	w.t.before = before;
	w.t.after = after;
	n = kill_at_every_point(&w.t);
	cr_assert_gt(n, 1, "%s", w.t.what);
	cr_log_info("%s: %d points", scenario, n);
}

static void setup(void)
{
	memset(&w, 0, sizeof(w));
	kit_ring_name(w.name, "kill");
}

TestSuite(kill, .init = setup);

Test(kill, in_create_leaves_nothing_that_stays)
{
	every_point("create", NULL, after_create);
}

Test(kill, in_replace_leaves_a_whole_ring_or_none)
{
	every_point("replace", make_dead, after_create);
}

Test(kill, in_close_leaves_nothing_that_stays)
{
	every_point("close", NULL, after_create);
}

Test(kill, in_leave_of_the_last_consumer_leaves_nothing_that_stays)
{
	every_point("leave", NULL, after_create);
}

Test(kill, in_forced_removal_leaves_nothing_that_stays)
{
	every_point("force", NULL, after_create);
}

static int after_plain(void *ctx, bool killed)
{
	struct myelon_ring_opts o = help_opts();
	struct mye_segment seg;
	char data[4400];
	int rc = usable_or_absent(w.path);

	(void)ctx;
	if (rc != OK)
		return found(rc);
	snprintf(data, sizeof(data), "%s.data", w.path);
	if (!killed && !help_exists(data))
		return found(MISSING);
	o.flags = MYELON_F_REPLACE_DEAD;
	o.backing = MYELON_BACKING_FILE;
	/* Killed between the two files: the user's to judge. */
	if (help_exists(data) && !help_exists(w.path)) {
		if (help_create(&seg, w.path, &o) != -EEXIST || !help_says("remove it yourself"))
			return found(NOT_CREATED);
		if (unlink(data) < 0)
			return found(SETUP);
	}
	if (help_create(&seg, w.path, &o) < 0)
		return found(NOT_CREATED);
	help_close(&seg);
	if (myelon_ring_remove(w.path, NULL) < 0 || help_exists(w.path) || help_exists(data))
		return found(NOT_CLEAN);
	return OK;
}

static int make_plain(void *ctx)
{
	(void)ctx;
	return found(help_dead(w.path, NULL) == 0 ? OK : SETUP);
}

Test(kill, in_create_of_a_plain_file_leaves_a_whole_ring_or_none)
{
	snprintf(w.path, sizeof(w.path), "%s/kill_plain", kit_tmp_dir());
	w.t.ring = w.path;
	every_point("plain", NULL, after_plain);
	every_point("plain", make_plain, after_plain);
}

static int make_live(void *ctx)
{
	(void)ctx;
	return found(help_create(&w.live, w.name, NULL) == 0 ? OK : SETUP);
}

/* The producer is untouched, and nobody holds what the dead one held. */
static int after_attach(void *ctx, bool killed)
{
	struct mye_segment c;

	(void)ctx;
	(void)killed;
	if (mye_segment_named(&w.live) != 1 || help_files() != 2)
		return found(DISTURBED);
	if (mye_role_held(&w.live, MYE_LOCK_LIFE) != 0 ||
	    mye_role_held(&w.live, MYE_LOCK_ENTRY(1)) != 0)
		return found(STILL_HELD);
	if (help_attach(&c, w.name, MYE_ROLE_CONSUMER) < 0 || mye_role_take(&c, MYE_LOCK_ENTRY(1)))
		return found(NOT_USABLE);
	mye_segment_leave(&c);
	help_close(&w.live);
	return found(help_files() == 0 ? OK : NOT_CLEAN);
}

Test(kill, in_attach_of_a_consumer_does_not_disturb_the_producer)
{
	every_point("consumer", make_live, after_attach);
}

Test(kill, in_attach_of_an_observer_does_not_disturb_the_producer)
{
	every_point("observer", make_live, after_attach);
}

static int after_takeover(void *ctx, bool killed)
{
	struct mye_segment p;

	(void)ctx;
	(void)killed;
	if (help_attach(&p, w.name, MYE_ROLE_PRODUCER) < 0)
		return found(STILL_HELD);
	help_close(&p);
	return found(help_files() == 0 ? OK : NOT_CLEAN);
}

Test(kill, in_takeover_leaves_the_ring_to_the_next)
{
	every_point("takeover", make_dead, after_takeover);
}

/* One ring of each kind: live, kept, dead, and data without a ring. */
static int make_all(void *ctx)
{
	struct myelon_ring_opts o = help_opts();
	struct mye_segment orphan;

	(void)ctx;
	if (help_create(&w.live, "live", NULL) < 0 || help_dead("dead", NULL) < 0)
		return found(SETUP);
	o.flags = MYELON_F_KEEP;
	if (help_create(&w.kept, "kept", &o) < 0)
		return found(SETUP);
	help_close(&w.kept);
	if (help_create(&orphan, "orphan", NULL) < 0 || unlink(help_path("orphan")) < 0)
		return found(SETUP);
	help_die(&orphan);
	return OK;
}

static int after_gc(void *ctx, bool killed)
{
	struct mye_segment seg;

	(void)ctx;
	if (mye_segment_named(&w.live) != 1 || help_attach(&seg, "live", MYE_ROLE_CONSUMER) < 0)
		return found(DISTURBED);
	mye_segment_leave(&seg);
	if (help_attach(&seg, "kept", MYE_ROLE_CONSUMER) < 0)
		return found(MISSING);
	mye_segment_leave(&seg);
	if (usable_or_absent("dead") != OK)
		return found(NOT_USABLE);
	if (myelon_gc(NULL, NULL, NULL) < 0 || help_files() != 4)
		return found(NOT_CLEAN);
	if (!killed && help_exists(help_path("dead")))
		return found(NOT_CLEAN);
	help_close(&w.live);
	if (myelon_ring_remove("kept", NULL) < 0)
		return found(NOT_CLEAN);
	return found(help_files() == 0 ? OK : NOT_CLEAN);
}

Test(kill, in_gc_leaves_work_for_the_next_gc_and_nothing_worse)
{
	every_point("gc", make_all, after_gc);
}

static int after_remove(void *ctx, bool killed)
{
	(void)ctx;
	if (usable_or_absent(w.name) != OK)
		return found(NOT_USABLE);
	if (!killed && help_files() != 0)
		return found(NOT_CLEAN);
	return found(clean());
}

Test(kill, in_remove_leaves_work_for_gc_and_nothing_worse)
{
	every_point("remove", make_dead, after_remove);
}

static struct myelon_ring_opts in_memfd(void)
{
	struct myelon_ring_opts o = help_opts();

	o.flags = MYELON_F_REPLACE_DEAD;
	o.backing = MYELON_BACKING_MEMFD;
	return o;
}

/* The control file is all there is, whole or not at all; the memory went with the process. */
static int after_memfd(void *ctx, bool killed)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct myelon_ring_opts o = in_memfd();
	struct mye_segment seg;
	int rc = myelon_ring_describe(w.name, NULL, &info);

	(void)ctx;
	if (rc != (help_exists(help_path(w.name)) ? 0 : -ENOENT) || help_files() > 1)
		return found(NOT_USABLE);
	if (!killed && rc < 0)
		return found(MISSING);
	if (help_attach(&seg, w.name, MYE_ROLE_PRODUCER) != (rc ? rc : -ENOTSUP))
		return found(DISTURBED);
	if (w.runs++ % 2) {
		if (help_create(&seg, w.name, &o) < 0)
			return found(NOT_CREATED);
		help_close(&seg);
	}
	return found(clean());
}

static int make_dead_memfd(void *ctx)
{
	struct myelon_ring_opts o = in_memfd();

	(void)ctx;
	return found(help_dead(w.name, &o) == 0 ? OK : SETUP);
}

Test(kill, in_create_of_a_memfd_ring_leaves_a_whole_control_file_or_none)
{
	every_point("memfd", NULL, after_memfd);
	every_point("memfd", make_dead_memfd, after_memfd);
}

/* Inherited by the actor: without close-on-exec. */
static int make_live_memfd(void *ctx)
{
	struct myelon_ring_opts o = in_memfd();
	int fd;

	(void)ctx;
	if (help_create(&w.live, w.name, &o) < 0)
		return found(SETUP);
	fd = mye_memfd_hand_over(&w.live);
	if (fd < 0 || dup2(fd, KILL_FD) < 0)
		return found(SETUP);
	close(fd);
	return OK;
}

static int after_handed(void *ctx, bool killed)
{
	struct mye_attach want = {.role = MYE_ROLE_CONSUMER, .data_fd = MYELON_FD(KILL_FD)};
	struct mye_segment c;

	(void)ctx;
	(void)killed;
	if (mye_segment_named(&w.live) != 1 || help_files() != 1)
		return found(DISTURBED);
	if (mye_role_held(&w.live, MYE_LOCK_LIFE) != 0 ||
	    mye_role_held(&w.live, MYE_LOCK_ENTRY(1)) != 0)
		return found(STILL_HELD);
	if (mye_segment_attach(&c, w.name, &want) < 0 || mye_role_take(&c, MYE_LOCK_ENTRY(1)))
		return found(NOT_USABLE);
	mye_segment_leave(&c);
	help_close(&w.live);
	close(KILL_FD);
	return found(help_files() == 0 ? OK : NOT_CLEAN);
}

Test(kill, in_attach_by_descriptor_does_not_disturb_the_producer)
{
	every_point("handed", make_live_memfd, after_handed);
}
