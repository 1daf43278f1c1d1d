/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <errno.h>

#include "base/error.h"
#include "segment/control.h"

static int in_use(const struct mye_control *c, const char *path)
{
	char holders[512] = "";
	bool producer;

	if (c->valid == 0)
		mye_holders(c->fd, &c->header, holders, sizeof(holders), &producer);
	return mye_fail(-EBUSY,
	                "%s is in use by %s: close them, or pass MYELON_F_FORCE to take away "
	                "only the name",
	                path, holders[0] ? holders : "a process that attaches to it or removes it");
}

static int remove_opened(struct mye_control *c, const struct mye_place *place, uint32_t flags,
                         const char *path)
{
	int rc = mye_owner_check(&c->st, flags, path);

	if (rc < 0)
		return rc;
	if (place->plain && !c->file)
		return mye_fail(-EPROTO,
		                "%s is not a ring, so it is not removed: do it yourself if it "
		                "is of no use",
		                path);
	rc = mye_claim_name(c, place);
	if (rc == 0) {
		rc = mye_erase_ring(c, place, NULL, NULL);
		return rc < 0 ? rc : 0;
	}
	if (rc == -ESTALE)
		return mye_fail(-ENOENT, "%s was removed by somebody else", path);
	if (rc != -EBUSY)
		return mye_fail(rc, "%s cannot be locked: %s", path, myelon_strerror(rc));
	if (!(flags & MYELON_F_FORCE))
		return in_use(c, path);
	if (!mye_name_leads_to(c->dir_fd, place->file, c->st.st_dev, c->st.st_ino))
		return mye_fail(-ENOENT, "%s was removed by somebody else", path);
	/* Whoever leaves last takes the data away. */
	rc = mye_unlink_at(c->dir_fd, place->file);
	return rc < 0 ? mye_fail(rc, "%s cannot be removed: %s", path, myelon_strerror(rc)) : 0;
}

int myelon_ring_remove(const char *name, const struct myelon_dir_opts *opts)
{
	char path[MYE_TEXT_MAX];
	struct myelon_dir_opts o;
	struct mye_place place = {0};
	struct mye_control c = {0};
	int rc = mye_dir_opts_read(&o, opts, MYELON_F_ANY_OWNER | MYELON_F_FORCE);

	if (rc == 0)
		rc = mye_place_resolve(&place, name, o.shm_dir, o.hugetlb_dir);
	if (rc < 0)
		return rc;
	mye_place_path(&place, path, sizeof(path));
	rc = mye_control_open(&c, &place, true);
	if (rc == -ENOENT)
		return mye_fail(rc, "there is no ring '%s': no file %s in %s", place.name,
		                place.file, place.dir);
	if (rc < 0)
		return rc;
	rc = remove_opened(&c, &place, o.flags, path);
	mye_control_close(&c);
	return rc;
}
