/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A name that is taken: by whom, and whether a new ring may have it. */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "segment/control.h"
#include "segment/data.h"

#define HELD_TRIES 20
#define HELD_PAUSE_NS 1000000

/* Somebody holds the ring: who? */
static int alive(const struct mye_control *c, const char *path, const char *holders, bool producer)
{
	if (c->valid < 0)
		return mye_fail(-EEXIST,
		                "%s exists and is held by a process, but is not a ring this "
		                "library can read: choose another name",
		                path);
	if (!holders[0])
		return mye_fail(-EEXIST,
		                "%s exists and a process is attaching to it or removing it: "
		                "try again, or choose another name",
		                path);
	if (!producer && c->header.backing != MYELON_BACKING_MEMFD)
		return mye_fail(
			-EEXIST,
			"%s exists; its producer is gone, but it is used by %s: go on with it "
			"through myelon_producer_open(), or close them",
			path, holders);
	return mye_fail(-EEXIST, "%s exists and is used by %s: close them, or choose another name",
	                path, holders);
}

/* Nobody holds it: may it go? */
static int dead(const struct mye_control *c, const struct mye_place *place, uint32_t flags,
                const char *path)
{
	int rc;

	/*
	 * A path can name any file of the user: only one that was such a ring is taken away, and the
	 * data with it. myelon.<name> in the shm directory is ours: there anything goes that is a
	 * regular file, unheld, and the caller's own.
	 */
	if (place->plain && !c->file)
		return mye_fail(-EEXIST,
		                "%s exists and is not a ring: choose another path, or remove "
		                "it yourself",
		                path);
	if (!(flags & MYELON_F_REPLACE_DEAD) && c->st.st_uid && c->st.st_uid != mye_euid())
		return mye_fail(-EEXIST,
		                "%s exists, belongs to user %u and nobody uses it: choose another "
		                "name, or let its owner remove it",
		                path, (unsigned int)c->st.st_uid);
	if (!(flags & MYELON_F_REPLACE_DEAD) && c->valid < 0)
		return mye_fail(-EEXIST,
		                "%s exists, nobody uses it and it is not a ring this library can "
		                "read: pass MYELON_F_REPLACE_DEAD to replace it, or remove it",
		                path);
	if (!(flags & MYELON_F_REPLACE_DEAD))
		return mye_fail(
			-EEXIST,
			"%s exists and nobody uses it: pass MYELON_F_REPLACE_DEAD to replace "
			"it, %sor %s",
			path,
			c->header.backing == MYELON_BACKING_MEMFD
				? ""
				: "go on with it through myelon_producer_open(), ",
			place->plain ? "remove it" : "clean up with myelon_gc()");
	rc = mye_owner_check(&c->st, flags, path);
	if (rc < 0)
		return rc;
	if (!c->magic && c->st.st_uid != mye_euid())
		return mye_fail(-EEXIST,
		                "%s exists, is not a ring and belongs to user %u: choose another "
		                "name, or let its owner remove it",
		                path, (unsigned int)c->st.st_uid);
	rc = mye_claim_name(c, place);
	if (rc == -EBUSY || rc == -ESTALE)
		return -EAGAIN;
	if (rc < 0)
		return mye_fail(rc, "%s cannot be locked: %s", path, myelon_strerror(rc));
	rc = mye_erase_ring(c, place, NULL, NULL);
	return rc < 0 ? rc : 0;
}

/* @return 0: the name is free; -EAGAIN: look again; else the verdict. */
static int look(const struct mye_place *place, uint32_t flags, const char *path, bool last)
{
	struct mye_control c;
	char holders[512];
	bool producer;
	int rc = mye_control_open(&c, place, (flags & MYELON_F_REPLACE_DEAD) != 0);

	if (rc == -ENOENT)
		return 0;
	if (rc == -EPROTO)
		return mye_fail(-EEXIST, "%s exists and is not a regular file: choose another name",
		                path);
	if (rc < 0)
		return rc;
	rc = mye_lock_query(c.fd, MYE_LOCK_LIFE, MYE_LOCK_EXCLUSIVE);
	if (rc == 0) {
		rc = dead(&c, place, flags, path);
	} else if (rc > 0) {
		holders[0] = '\0';
		producer = false;
		if (c.valid == 0)
			mye_holders(c.fd, &c.header, holders, sizeof(holders), &producer);
		/* Nobody in a role: it is being attached to or removed, which soon ends. */
		rc = !holders[0] && !last ? -EAGAIN : alive(&c, path, holders, producer);
	}
	mye_control_close(&c);
	return rc;
}

/*
 * What a plain-file ring's creator leaves that is killed before it has a control file. It looks like
 * any file of the user with such a name, so it is the user who removes it.
 */
static int check_stray_data(const struct mye_place *place)
{
	static const uint64_t none[2];
	char name[sizeof(place->file) + 8];
	struct stat st;
	int dir_fd, rc;

	mye_data_name(name, sizeof(name), place, none);
	dir_fd = mye_fork_open_dir(place->dir);
	if (dir_fd < 0)
		return dir_fd;
	rc = mye_stat_at(dir_fd, name, &st);
	mye_fork_close(dir_fd);
	if (rc < 0)
		return 0;
	return mye_fail(
		-EEXIST,
		"%s/%s exists without the ring it would belong to: remove it yourself if it "
		"is what a killed process left, or choose another path",
		place->dir, name);
}

int mye_name_clear(const struct mye_place *place, uint32_t flags)
{
	char path[MYE_TEXT_MAX];
	int rc;

	mye_place_path(place, path, sizeof(path));
	for (int i = 1;; i++) {
		rc = look(place, flags, path, i == HELD_TRIES);
		if (rc != -EAGAIN)
			break;
		if (i >= HELD_TRIES)
			return mye_fail(-EEXIST,
			                "%s exists, and other processes keep replacing it: "
			                "choose another name",
			                path);
		mye_sleep_until(mye_now() + HELD_PAUSE_NS);
	}
	if (rc == 0 && place->plain)
		rc = check_stray_data(place);
	return rc;
}
