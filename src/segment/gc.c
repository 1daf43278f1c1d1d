/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Garbage collection. First the control files nobody holds, each with its data,
 * but for what is kept, was never a ring, or is not of this library's version;
 * then data files nobody holds whose nonce no control file has: what creators
 * and removers left that were killed between their two files.
 *
 * A dry run asks for locks instead of taking them, and goes by the data of the
 * control files that would be removed as if they were.
 *
 * Huge page directories are shared by many shm directories and containers: only
 * data whose nonce carries the tag of our shm directory is looked at there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "segment/control.h"
#include "segment/data.h"

#define FILE_MAX 256
#define NOT_OURS "it belongs to another user"

/* Names of data files. */
struct names {
	char (*at)[sizeof(MYE_DATA_PREFIX) + MYE_NONCE_DIGITS];
	size_t count, cap;
};

struct gc {
	struct mye_place place; /* only its directories */
	uint32_t flags;
	bool dry;
	int shm_fd;
	struct stat shm;
	char tag[9];
	myelon_gc_fn fn;
	void *ctx;
	int removed;
	int stopped;        /* what fn returned */
	struct names known; /* of the data of the control files that are left, sorted */
	struct names gone;  /* dry run: of the data of those that would be removed, sorted */
	/* the directory being worked on in the second pass */
	const char *dir;
	int dir_fd;
};

static int report(struct gc *g, const char *dir, const char *name, uint64_t bytes, int error,
                  const char *reason)
{
	struct myelon_gc_item item = {.size = sizeof(item), .error = error, .bytes = bytes};

	g->removed += error == 0;
	if (!g->fn || g->stopped)
		return g->stopped;
	if (snprintf(item.path, sizeof(item.path), "%s/%s", dir, name) >= (int)sizeof(item.path))
		item.path[sizeof(item.path) - 1] = '\0';
	snprintf(item.reason, sizeof(item.reason), "%.159s", reason);
	g->stopped = g->fn(g->ctx, &item);
	return g->stopped;
}

static bool ours(const struct gc *g, const struct stat *st)
{
	return st->st_uid == mye_euid() || (g->flags & MYELON_F_ANY_OWNER);
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int remember(struct names *n, const uint64_t nonce[2])
{
	static const struct mye_place no_path;

	if (n->count == n->cap) {
		size_t cap = n->cap ? 2 * n->cap : 64;
		void *more = realloc(n->at, cap * sizeof(*n->at));

		if (!more)
			return -ENOMEM;
		n->at = more;
		n->cap = cap;
	}
	mye_data_name(n->at[n->count++], sizeof(*n->at), &no_path, nonce);
	return 0;
}

static void sort(struct names *n)
{
	if (n->count)
		qsort(n->at, n->count, sizeof(*n->at), compare);
}

static bool among(const struct names *n, const char *file)
{
	return n->count && bsearch(file, n->at, n->count, sizeof(*n->at), compare);
}

/* What an erased ring consisted of; told when its lock is given up again. */
struct erased {
	struct {
		char dir[MYE_PATH_MAX], name[FILE_MAX];
		uint64_t bytes;
	} file[2];
	int count;
	char why[160]; /* not, if that is to be put together */
};

static void note(void *ctx, const char *dir, const char *name, uint64_t bytes)
{
	struct erased *e = ctx;

	if (e->count == 2)
		return;
	snprintf(e->file[e->count].dir, MYE_PATH_MAX, "%s", dir);
	snprintf(e->file[e->count].name, FILE_MAX, "%s", name);
	e->file[e->count].bytes = bytes;
	e->count++;
}

/* Why a file nobody may use is not for gc to remove; NULL: it is. */
static const char *to_be_kept(const struct mye_control *c)
{
	if (c->valid == 0)
		return c->header.flags & MYELON_F_KEEP
		               ? "created to be kept (MYELON_F_KEEP): remove it by name"
		               : NULL;
	/* A control file gets its name when it is complete: no killed creator leaves one like this. */
	if (!c->magic && !c->blank)
		return "not a ring: remove it by name if it is of no use";
	if (c->file)
		return "a plain-file ring: remove it yourself, with its .data, if it is of no use";
	if (c->foreign)
		return "a ring of another version of the library: remove it with that, or by name";
	return NULL;
}

/* Who uses a ring, for its reason. */
static const char *in_use(const struct mye_control *c, struct erased *e)
{
	static const char by[] = "in use by ";
	bool producer;

	memcpy(e->why, by, sizeof(by));
	if (c->valid == 0)
		mye_holders(c->fd, &c->header, e->why + sizeof(by) - 1,
		            sizeof(e->why) - sizeof(by) + 1, &producer);
	return c->valid == 0 && e->why[sizeof(by) - 1] ? e->why : "in use";
}

/* A dry run's claim of the name and removal. */
static int would_erase(struct gc *g, const struct mye_control *c, const struct mye_place *place,
                       struct erased *e)
{
	int rc = mye_lock_query(c->fd, MYE_LOCK_LIFE, MYE_LOCK_EXCLUSIVE);

	if (rc == 0)
		rc = remember(&g->gone, c->header.nonce);
	if (rc == 0)
		note(e, place->dir, place->file, (uint64_t)c->st.st_size);
	return rc > 0 ? -EBUSY : rc;
}

/* @return 0 if erased, else why not, with a reason. */
static int erase_control(struct gc *g, struct mye_control *c, const struct mye_place *place,
                         struct erased *e, const char **reason)
{
	int rc;

	if (!ours(g, &c->st)) {
		*reason = NOT_OURS;
		return -EPERM;
	}
	*reason = to_be_kept(c);
	if (*reason)
		return -EPERM;
	rc = g->dry ? would_erase(g, c, place, e) : mye_claim_name(c, place);
	if (rc == -EBUSY)
		*reason = in_use(c, e);
	else if (rc < 0)
		*reason = rc == -ESTALE ? "removed by somebody else" : "it cannot be locked";
	else if (!g->dry && mye_erase_ring(c, place, note, e) < 0) {
		*reason = myelon_last_error();
		rc = -EACCES;
	}
	return rc;
}

static int control_pass(void *ctx, const char *file)
{
	struct gc *g = ctx;
	const char *reason = NULL;
	struct erased e = {.count = 0};
	struct mye_place place;
	struct mye_control c;
	struct stat st;
	int rc;

	if (!mye_place_of_file(&place, g->place.dir, g->place.hugetlb_dir, file))
		return 0;
	rc = mye_control_open(&c, &place, true);
	if (rc == -ENOENT)
		return 0;
	/* A file that may not even be opened may still be looked at. */
	if (rc < 0 && mye_stat_at(g->shm_fd, file, &st) == 0 && !ours(g, &st))
		return report(g, place.dir, file, (uint64_t)st.st_size, -EPERM, NOT_OURS);
	if (rc < 0)
		return report(g, place.dir, file, 0, rc, myelon_last_error());
	rc = erase_control(g, &c, &place, &e, &reason);
	mye_control_close(&c);
	if (rc == -ESTALE)
		return 0;
	if (rc < 0)
		return report(g, place.dir, file, (uint64_t)c.st.st_size, rc, reason);
	reason = c.valid == 0 ? "no process uses the ring"
	                      : "not a readable ring, and nobody holds it";
	for (int i = 0; i < e.count; i++)
		report(g, e.file[i].dir, e.file[i].name, e.file[i].bytes, 0, reason);
	return g->stopped;
}

/* A private name of a file being made; whoever still works on it holds its byte 0. */
static int unfinished(struct gc *g, const char *file)
{
	struct stat st;
	bool erased;
	int fd;

	mye_fork_enter();
	fd = mye_fork_keep(mye_open_at(g->dir_fd, file, true));
	mye_fork_leave();
	if (fd < 0)
		return 0;
	erased = mye_fstat(fd, &st) == 0 && ours(g, &st);
	if (erased && g->dry)
		erased = mye_lock_query(fd, MYE_LOCK_LIFE, MYE_LOCK_EXCLUSIVE) == 0;
	else if (erased)
		erased = mye_lock_set(fd, MYE_LOCK_LIFE, MYE_LOCK_EXCLUSIVE) == 0 &&
		         mye_name_leads_to(g->dir_fd, file, st.st_dev, st.st_ino) &&
		         mye_unlink_at(g->dir_fd, file) == 0;
	mye_fork_close(fd);
	return erased ? report(g, g->dir, file, (uint64_t)st.st_size, 0,
	                       "left by a creator that was killed")
	              : 0;
}

static bool hex_nonce(const char *s)
{
	return strspn(s, "0123456789abcdef") == MYE_NONCE_DIGITS && !s[MYE_NONCE_DIGITS];
}

/* The nonce in a file name with this prefix; NULL: another name. */
static const char *nonce_in(const char *file, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(file, prefix, n) == 0 && hex_nonce(file + n) ? file + n : NULL;
}

/* 0 is no tag: that of a directory nobody could look at. */
static bool tagged(const struct gc *g, const char *nonce)
{
	return strcmp(g->tag, "00000000") != 0 && strncmp(nonce, g->tag, strlen(g->tag)) == 0;
}

static bool at_home(const struct gc *g)
{
	struct stat st;

	return mye_fstat(g->dir_fd, &st) == 0 && st.st_dev == g->shm.st_dev &&
	       st.st_ino == g->shm.st_ino;
}

static int known_pass(void *ctx, const char *file)
{
	static const struct mye_place no_path;
	char data[sizeof(MYE_DATA_PREFIX) + MYE_NONCE_DIGITS];
	struct gc *g = ctx;
	uint64_t nonce[2];
	int fd, rc = 0;

	if (strncmp(file, MYE_CONTROL_PREFIX, sizeof(MYE_CONTROL_PREFIX) - 1) != 0)
		return 0;
	fd = mye_open_at(g->shm_fd, file, false);
	if (fd < 0)
		return 0;
	if (mye_read_at(fd, nonce, sizeof(nonce), offsetof(struct mye_header, nonce)) ==
	    sizeof(nonce)) {
		mye_data_name(data, sizeof(data), &no_path, nonce);
		if (!among(&g->gone, data))
			rc = remember(&g->known, nonce);
	}
	mye_close(fd);
	return rc;
}

/* As mye_erase_data(), without erasing. */
static int would_erase_data(struct gc *g, struct mye_data_erase *e, const struct stat *st)
{
	int fd = mye_open_at(g->dir_fd, e->name, false), held;

	if (fd < 0)
		return fd;
	held = mye_lock_query(fd, MYE_LOCK_DATA, MYE_LOCK_EXCLUSIVE);
	mye_close(fd);
	e->bytes = (uint64_t)st->st_size;
	if (held)
		return held < 0 ? held : MYE_ERASE_HELD;
	if (!among(&g->gone, e->name) && mye_nonce_in_use(g->shm_fd, e->name, e->owner))
		return MYE_ERASE_KEPT;
	return MYE_ERASED;
}

static int orphan(struct gc *g, const char *file)
{
	struct mye_data_erase e = {.dir = g->dir, .name = file, .shm_fd = g->shm_fd};
	struct stat st;
	int rc;

	/* A first look, not to get in the way of who attaches; the verdict falls under the lock. */
	if (among(&g->known, file))
		return 0;
	if (mye_stat_at(g->dir_fd, file, &st) < 0 || !S_ISREG(st.st_mode) || !ours(g, &st))
		return 0;
	e.owner = st.st_uid;
	rc = g->dry ? would_erase_data(g, &e, &st) : mye_erase_data(&e);
	if (rc == MYE_ERASED)
		return report(g, g->dir, file, e.bytes, 0,
		              among(&g->gone, file) ? "no process uses the ring"
		                                    : "no control file has its nonce");
	if (rc == MYE_ERASE_HELD)
		return report(g, g->dir, file, (uint64_t)st.st_size, -EBUSY,
		              "in use, though its ring has no name any more or not yet");
	if (rc < 0)
		return report(g, g->dir, file, (uint64_t)st.st_size, rc, myelon_strerror(rc));
	return 0;
}

/* The socket of a producer that was killed, and whose ring is gone: nobody listens. */
static int lonely_socket(struct gc *g, const char *file, const char *nonce)
{
	char data[sizeof(MYE_DATA_PREFIX) + MYE_NONCE_DIGITS];
	struct stat st;
	int fd;

	snprintf(data, sizeof(data), MYE_DATA_PREFIX "%s", nonce);
	/* That of a ring goes with it. */
	if (among(&g->known, data) || among(&g->gone, data))
		return 0;
	if (mye_stat_at(g->dir_fd, file, &st) < 0 || !S_ISSOCK(st.st_mode) || !ours(g, &st))
		return 0;
	fd = mye_socket_connect(g->dir_fd, file);
	if (fd != -ECONNREFUSED) {
		mye_close(fd);
		return 0;
	}
	return g->dry || mye_unlink_at(g->dir_fd, file) == 0
	               ? report(g, g->dir, file, 0, 0, "a socket nobody listens to")
	               : 0;
}

static int data_pass(void *ctx, const char *file)
{
	struct gc *g = ctx;
	bool home = at_home(g);
	const char *nonce;

	if (home && nonce_in(file, MYE_TEMP_PREFIX))
		return unfinished(g, file);
	nonce = nonce_in(file, MYE_DATA_TEMP_PREFIX);
	if (nonce)
		return home || tagged(g, nonce) ? unfinished(g, file) : 0;
	nonce = nonce_in(file, MYE_SOCKET_PREFIX);
	if (nonce)
		return home ? lonely_socket(g, file, nonce) : 0;
	nonce = nonce_in(file, MYE_DATA_PREFIX);
	return nonce && (home || tagged(g, nonce) || among(&g->gone, file)) ? orphan(g, file) : 0;
}

static int data_dir(void *ctx, const char *dir)
{
	struct gc *g = ctx;

	g->dir = dir;
	g->dir_fd = mye_fork_open_dir(dir);
	if (g->dir_fd < 0)
		return 0;
	mye_each_name(g->dir_fd, data_pass, g);
	mye_fork_close(g->dir_fd);
	return g->stopped;
}

static int run(struct gc *g)
{
	int rc;

	g->shm_fd = mye_fork_open_dir(g->place.dir);
	if (g->shm_fd < 0)
		return mye_dir_failed(g->shm_fd, g->place.dir);
	rc = mye_fstat(g->shm_fd, &g->shm);
	if (rc == 0) {
		snprintf(g->tag, sizeof(g->tag), "%08x", mye_dir_tag(g->shm_fd));
		rc = mye_each_name(g->shm_fd, control_pass, g);
	}
	sort(&g->gone);
	if (rc == 0)
		rc = mye_each_name(g->shm_fd, known_pass, g);
	if (rc == 0) {
		sort(&g->known);
		rc = mye_data_dirs(&g->place, data_dir, g);
	}
	mye_fork_close(g->shm_fd);
	if (g->stopped)
		return g->stopped;
	if (rc < 0)
		return mye_fail(rc, "the directory %s cannot be read: %s", g->place.dir,
		                myelon_strerror(rc));
	return g->removed;
}

int myelon_gc(const struct myelon_dir_opts *opts, myelon_gc_fn fn, void *ctx)
{
	struct myelon_dir_opts o;
	struct gc *g;
	int rc = mye_dir_opts_read(&o, opts, MYELON_F_ANY_OWNER | MYELON_F_DRY_RUN);

	if (rc < 0)
		return rc;
	g = calloc(1, sizeof(*g));
	if (!g)
		return mye_fail_static(-ENOMEM, "no memory for gc");
	/* Any name does: only the directories of the place matter here. */
	rc = mye_place_resolve(&g->place, "x", o.shm_dir, o.hugetlb_dir);
	if (rc == 0) {
		g->flags = o.flags;
		g->dry = o.flags & MYELON_F_DRY_RUN;
		g->fn = fn;
		g->ctx = ctx;
		rc = run(g);
	}
	free(g->known.at);
	free(g->gone.at);
	free(g);
	return rc;
}
