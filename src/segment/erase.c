/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Taking files away. A name goes only while byte 0 of the inode it names is
 * held exclusively, looked at again under the lock; control first, then data
 * under its own lock. So there is never a visible control file without data,
 * and what a crash leaves is data that no control file has the nonce of.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "segment/control.h"
#include "segment/data.h"

struct nonce_search {
	int shm_fd;
	const char *data_name;
	uint32_t owner;
};

static int compare_nonce(void *ctx, const char *file)
{
	const struct nonce_search *s = ctx;
	static const struct mye_place no_path;
	uint64_t nonce[2] = {0};
	char name[256];
	struct stat st;
	int fd;

	if (strncmp(file, MYE_CONTROL_PREFIX, sizeof(MYE_CONTROL_PREFIX) - 1) != 0)
		return 0;
	if (mye_stat_at(s->shm_fd, file, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	fd = mye_open_at(s->shm_fd, file, false);
	if (fd == -ENOENT)
		return 0;
	/* A control file we may not read could have the nonce, if it has this owner. */
	if (fd < 0)
		return st.st_uid == s->owner;
	mye_read_at(fd, nonce, sizeof(nonce), offsetof(struct mye_header, nonce));
	mye_close(fd);
	mye_data_name(name, sizeof(name), &no_path, nonce);
	return strcmp(name, s->data_name) == 0;
}

bool mye_nonce_in_use(int shm_fd, const char *data_name, uint32_t owner)
{
	struct nonce_search s = {.shm_fd = shm_fd, .data_name = data_name, .owner = owner};

	return mye_each_name(shm_fd, compare_nonce, &s) != 0;
}

static int erase_locked(struct mye_data_erase *e, int dir_fd, int fd, const struct stat *st)
{
	int rc = mye_lock_set(fd, MYE_LOCK_DATA, MYE_LOCK_EXCLUSIVE);

	if (rc == -EAGAIN || rc == -EACCES)
		return MYE_ERASE_HELD;
	if (rc < 0)
		return rc;
	e->bytes = (uint64_t)st->st_size;
	if (!mye_name_leads_to(dir_fd, e->name, st->st_dev, st->st_ino))
		rc = MYE_ERASE_GONE;
	else if (e->shm_fd >= 0 && mye_nonce_in_use(e->shm_fd, e->name, e->owner))
		rc = MYE_ERASE_KEPT;
	else if ((rc = mye_unlink_at(dir_fd, e->name)) == 0)
		rc = MYE_ERASED;
	return rc;
}

int mye_erase_data_in(struct mye_data_erase *e, int dir_fd)
{
	struct stat st;
	int fd, rc = mye_stat_at(dir_fd, e->name, &st);

	if (rc == 0 && (!S_ISREG(st.st_mode) || st.st_uid != e->owner ||
	                (e->ino && (st.st_ino != e->ino || st.st_dev != e->dev)))) {
		rc = MYE_ERASE_KEPT;
	} else if (rc == 0) {
		mye_fork_enter();
		fd = mye_fork_keep(mye_open_at(dir_fd, e->name, true));
		mye_fork_leave();
		rc = fd < 0 ? fd : mye_fstat(fd, &st);
		if (rc == 0 && (!S_ISREG(st.st_mode) || st.st_uid != e->owner ||
		                (e->ino && (st.st_ino != e->ino || st.st_dev != e->dev))))
			rc = MYE_ERASE_KEPT;
		else if (rc == 0)
			rc = erase_locked(e, dir_fd, fd, &st);
		mye_fork_close(fd);
	}
	return rc == -ENOENT ? MYE_ERASE_GONE : rc;
}

int mye_erase_data(struct mye_data_erase *e)
{
	int dir_fd = mye_fork_open_dir(e->dir), rc;

	if (dir_fd < 0)
		return dir_fd == -ENOENT ? MYE_ERASE_GONE : dir_fd;
	rc = mye_erase_data_in(e, dir_fd);
	mye_fork_close(dir_fd);
	return rc;
}

void mye_erase_socket(int dir_fd, const uint64_t nonce[2])
{
	char name[MYE_SOCKET_NAME];
	struct stat st;

	mye_socket_name(name, nonce);
	if (mye_stat_at(dir_fd, name, &st) == 0 && S_ISSOCK(st.st_mode))
		mye_unlink_at(dir_fd, name);
}

int mye_claim_name(const struct mye_control *c, const struct mye_place *place)
{
	int rc = mye_lock_set(c->fd, MYE_LOCK_LIFE, MYE_LOCK_EXCLUSIVE);

	if (rc == -EAGAIN || rc == -EACCES)
		return -EBUSY;
	if (rc < 0)
		return rc;
	return mye_name_leads_to(c->dir_fd, place->file, c->st.st_dev, c->st.st_ino) ? 0 : -ESTALE;
}

struct data_search {
	struct mye_data_erase e;
	mye_erase_fn fn;
	void *ctx;
	int count;
};

static int erase_in(void *ctx, const char *dir)
{
	struct data_search *s = ctx;
	int rc;

	s->e.dir = dir;
	rc = mye_erase_data(&s->e);
	if (rc < 0)
		mye_warn("data file %s in %s cannot be removed: %s", s->e.name, dir,
		         myelon_strerror(rc));
	if (rc != MYE_ERASED)
		return 0;
	s->count++;
	if (s->fn)
		s->fn(s->ctx, dir, s->e.name, s->e.bytes);
	return 0;
}

int mye_erase_data_of(const struct mye_place *place, const uint64_t nonce[2], uint32_t owner,
                      int dir_fd, mye_erase_fn fn, void *ctx)
{
	char name[sizeof(place->file) + 8];
	struct data_search s = {.fn = fn, .ctx = ctx};

	mye_data_name(name, sizeof(name), place, nonce);
	s.e.name = name;
	s.e.owner = owner;
	s.e.shm_fd = place->plain ? -1 : dir_fd;
	if (place->plain)
		erase_in(&s, place->dir);
	else
		mye_data_dirs(place, erase_in, &s);
	return s.count;
}

int mye_erase_ring(const struct mye_control *c, const struct mye_place *place, mye_erase_fn fn,
                   void *ctx)
{
	int rc = mye_unlink_at(c->dir_fd, place->file);

	if (rc < 0) {
		char path[MYE_TEXT_MAX];

		mye_place_path(place, path, sizeof(path));
		return mye_fail(rc, "%s cannot be removed: %s", path, myelon_strerror(rc));
	}
	if (fn)
		fn(ctx, place->dir, place->file, (uint64_t)c->st.st_size);
	if (c->valid == 0)
		mye_erase_socket(c->dir_fd, c->header.nonce);
	/* The nonce of a damaged header is not believed: such data is an orphan, which gc finds. */
	if (c->valid < 0 && !(place->plain && c->file))
		return 1;
	if (c->valid == 0 && c->header.backing == MYELON_BACKING_MEMFD)
		return 1;
	return 1 + mye_erase_data_of(place, c->header.nonce, c->st.st_uid, c->dir_fd, fn, ctx);
}
