/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One rung: a file that is allocated to the last page, placed and mapped, before
 * anybody can see it. The order matters. hugetlb reserves at mmap without
 * looking at nodes, keeps no policy with the file, and what cannot be had shows
 * only when the pages are touched; so policy, mmap, mbind, populate, verify, and
 * only then the name.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "base/text.h"
#include "hugepages/hugepages.h"
#include "segment/data_rung.h"
#include "segment/map.h"
#include "sys/sys.h"

struct attempt {
	struct mye_data *d;
	const struct mye_rung *rung;
	uint64_t slots, bytes;
	int dir_fd, fd;
	char temp[64]; /* private name, "": it has none */
	void *map;
	char *why;
	size_t cap;
};

static bool is_memfd(const struct attempt *a)
{
	return a->rung->backing == MYELON_BACKING_MEMFD;
}

static bool is_hugetlb(const struct attempt *a)
{
	return a->rung->backing == MYELON_BACKING_HUGETLB ||
	       (is_memfd(a) && a->rung->page > mye_page_size());
}

/* The short reason, and the sentence with it. */
static int refuse(struct attempt *a, int err, const char *what)
{
	snprintf(a->why, a->cap, "%s: %s", what, myelon_strerror(err));
	return mye_fail(err, "cannot make the data file of '%s' (%s) in %s: %s: %s",
	                a->d->place->name, mye_bytes_text(a->bytes).text, a->rung->dir, what,
	                myelon_strerror(err));
}

/* Give the pages back first: what is missing is counted without what this attempt got. */
static void explain_hugetlb(struct attempt *a, char *help, size_t cap)
{
	const char *dir = is_memfd(a) ? NULL : a->rung->dir;
	int node = a->rung->place == MYE_NUMA_BIND ? a->d->numa.node : -1;

	if (a->fd < 0) {
		snprintf(a->why, a->cap, "no file left on %s", a->rung->dir);
		snprintf(help, cap, "it has as many files as it may (mount option nr_inodes)");
		return;
	}
	if (a->map)
		mye_mirror_release(a->map, a->bytes);
	a->map = NULL;
	mye_truncate(a->fd, 0);
	mye_huge_shortage(a->rung->page, node, a->bytes, dir, a->why, a->cap);
	mye_huge_explain(a->rung->page, node, a->bytes, dir, help, cap);
}

/* The backing has no room: say how much is missing and what helps. */
static int no_room(struct attempt *a)
{
	char help[448];
	uint64_t left = 0;

	if (is_hugetlb(a)) {
		explain_hugetlb(a, help, sizeof(help));
	} else if (is_memfd(a)) {
		snprintf(a->why, a->cap, "out of memory");
		snprintf(
			help, sizeof(help),
			"out of memory: make the window smaller, or raise the limit of the cgroup");
	} else {
		mye_statfs(a->dir_fd, NULL, NULL, &left);
		snprintf(a->why, a->cap, "%s has %s free", a->rung->dir, mye_bytes_text(left).text);
		snprintf(help, sizeof(help),
		         "%s free: remove files there (myelon gc), enlarge it, or make the window "
		         "smaller",
		         mye_bytes_text(left).text);
	}
	return mye_fail(-ENOSPC, "no room for the data file of '%s' (%s) in %s: %s",
	                a->d->place->name, mye_bytes_text(a->bytes).text, a->rung->dir, help);
}

/* With a private name, where a file cannot be made without one. gc takes such a file for a leftover
 * until it is locked. */
static int open_private(struct attempt *a)
{
	int fd, rc, tries;
	struct stat st;

	snprintf(a->temp, sizeof(a->temp), MYE_DATA_TEMP_PREFIX "%016" PRIx64 "%016" PRIx64,
	         a->d->nonce[0], a->d->nonce[1]);
	for (tries = 0; tries < 3; tries++) {
		mye_fork_enter();
		fd = mye_fork_keep(mye_create_excl(a->dir_fd, a->temp, a->d->mode));
		mye_fork_leave();
		if (fd < 0)
			break;
		rc = mye_lock_set(fd, MYE_LOCK_DATA, MYE_LOCK_SHARED);
		if (rc == 0)
			rc = mye_fstat(fd, &st);
		if (rc == 0 && st.st_nlink > 0)
			return fd;
		if (rc && rc != -EAGAIN)
			mye_unlink_at(a->dir_fd, a->temp);
		mye_fork_close(fd);
		fd = rc ? rc : -EBUSY;
		if (rc && rc != -EAGAIN)
			break;
	}
	a->temp[0] = '\0';
	return fd;
}

static int open_file(struct attempt *a)
{
	int rc;

	a->dir_fd = mye_fork_open_dir(a->rung->dir);
	if (a->dir_fd < 0)
		return refuse(a, a->dir_fd, "the directory cannot be opened");
	mye_fork_enter();
	a->fd = mye_fork_keep(mye_open_tmpfile(a->dir_fd, a->d->mode));
	mye_fork_leave();
	if (a->fd == -EOPNOTSUPP)
		a->fd = open_private(a);
	if (a->fd == -ENOSPC)
		return no_room(a);
	if (a->fd < 0)
		return refuse(a, a->fd, "no file can be made there");
	rc = mye_lock_set(a->fd, MYE_LOCK_DATA, MYE_LOCK_SHARED);
	return rc ? refuse(a, rc, "it cannot be locked") : 0;
}

static int make_file(struct attempt *a)
{
	int rc = 0;

	if (is_memfd(a)) {
		a->fd = mye_memfd_make(a->d->place->name, a->rung->page);
		if (a->fd < 0)
			return refuse(a, a->fd, "the kernel gives none");
	} else {
		rc = open_file(a);
	}
	if (rc)
		return rc;
	rc = mye_truncate(a->fd, a->bytes);
	if (rc == -ENOSPC)
		return no_room(a);
	return rc ? refuse(a, rc, "the file cannot be made that long") : 0;
}

/* For file systems that do not allocate: zeros. */
static int write_zeros(struct attempt *a)
{
	static const unsigned char zeros[64 * 1024];
	uint64_t off;
	size_t n;
	int rc;

	for (off = 0; off < a->bytes; off += n) {
		n = a->bytes - off < sizeof(zeros) ? (size_t)(a->bytes - off) : sizeof(zeros);
		rc = mye_write_all(a->fd, zeros, n, off);
		if (rc)
			return rc;
	}
	return 0;
}

/*
 * Make shortage an error of a call instead of a SIGBUS later. Not where touching decides about huge
 * pages and populate tells the shortage: hugetlb, whose fallocate would bypass the reservation and
 * keep what it got, and THP, which allocates small pages.
 */
static int allocate(struct attempt *a)
{
	int rc;

	if ((is_hugetlb(a) || a->rung->backing == MYELON_BACKING_SHM_THP) && mye_can_populate())
		return 0;
	rc = mye_allocate(a->fd, a->bytes);
	if (rc == -EOPNOTSUPP && a->rung->backing == MYELON_BACKING_FILE)
		rc = write_zeros(a);
	if (rc == -ENOSPC || (rc == -ENOMEM && !is_hugetlb(a)))
		return no_room(a);
	return rc ? refuse(a, rc, "the file system cannot allocate it") : 0;
}

static int map_file(struct attempt *a)
{
	uint64_t align = a->rung->page, thp = 0;
	int rc;

	if (a->rung->backing == MYELON_BACKING_SHM_THP)
		thp = mye_huge_thp_size();
	if (thp && a->bytes >= thp)
		align = thp;
	rc = mye_mirror_map(a->fd, a->bytes, align, true, &a->map);
	if (rc == -ENOMEM && is_hugetlb(a))
		return no_room(a);
	return rc ? refuse(a, rc, "it cannot be mapped") : 0;
}

/* Every page of both halves. */
static int populate(struct attempt *a)
{
	unsigned char *at = a->map;
	int rc, i;

	for (i = 0; i < MYE_MIRRORS; i++) {
		rc = mye_populate(at + (size_t)i * a->bytes, a->bytes, true);
		if (rc == -EFAULT || rc == -ENOSPC || (rc == -ENOMEM && is_hugetlb(a)))
			return no_room(a);
		if (rc)
			return refuse(a, rc, "its pages cannot be had");
	}
	return 0;
}

/* Small pages are good enough unless all_huge: the rest is a matter of the reason. */
static int collapse(struct attempt *a)
{
	size_t all = MYE_MIRRORS * a->bytes;
	int64_t huge;

	mye_collapse(a->map, a->bytes);
	if (MYE_MIRRORS > 1)
		mye_collapse((char *)a->map + a->bytes, a->bytes);
	huge = mye_huge_thp_mapped(a->map, all);
	if (huge >= 0)
		huge /= MYE_MIRRORS;
	if (huge < 0)
		snprintf(a->why, a->cap, "how much is in huge pages is not known");
	else
		snprintf(a->why, a->cap, "%s of %s in huge pages",
		         mye_bytes_text((uint64_t)huge).text, mye_bytes_text(a->bytes).text);
	if (a->rung->all_huge && huge != (int64_t)a->bytes)
		return mye_fail(-ENOSPC,
		                "'%s' must have huge pages, but only %s: free memory, or see "
		                "/sys/kernel/mm/transparent_hugepage/shmem_enabled",
		                a->d->place->name, a->why);
	return populate(a); /* collapsing one half takes the other out of the page table */
}

/* What runs under the thread's policy. */
static int fill(struct attempt *a)
{
	bool thp = a->rung->backing == MYELON_BACKING_SHM_THP;
	int rc = allocate(a);

	if (rc == 0)
		rc = map_file(a);
	if (rc)
		return rc;
	/* Refused: where the pages came to lie decides. */
	mye_numa_bind(a->map, MYE_MIRRORS * a->bytes, &a->d->numa, a->rung->place);
	if (thp)
		mye_hugepage_advise(a->map, MYE_MIRRORS * a->bytes);
	rc = populate(a);
	return rc == 0 && thp ? collapse(a) : rc;
}

/* What was asked for, as sentences have it. */
static void wanted(const struct mye_numa_want *want, const char *numa, char *buf, size_t cap)
{
	if (want->node >= 0)
		snprintf(buf, cap, "on %snode %d", numa, (int)want->node);
	else
		snprintf(buf, cap, "on %u nodes in turn", want->count);
}

/* Every single page, looked up. */
static int verify_nodes(struct attempt *a)
{
	struct mye_data *d = a->d;
	char where[200], should[64];
	uint64_t wrong;

	mye_numa_count(a->map, a->bytes, a->rung->page, &d->census);
	wrong = mye_census_wrong(&d->census, &d->numa);
	if (!d->numa.count || (d->census.known && wrong == 0))
		return 0;
	wanted(&d->numa, "", should, sizeof(should));
	if (!d->census.known) {
		mye_append(a->why, a->cap, "%s%s asked, not verified: nobody tells where pages are",
		           a->why[0] ? ", " : "", should);
	} else {
		mye_census_text(&d->census, where, sizeof(where));
		mye_append(a->why, a->cap,
		           "%s%" PRIu64 " of %" PRIu64 " pages not %s as asked (%s)",
		           a->why[0] ? ", " : "", wrong, d->census.pages, should, where);
	}
	if (!d->numa.strict)
		return 0;
	wanted(&d->numa, "NUMA ", should, sizeof(should));
	return mye_fail(d->census.known ? -ENOSPC : -ENOTSUP,
	                "the data of '%s' must be %s: %s: free memory there, or drop the strict "
	                "flag",
	                d->place->name, should, a->why);
}

static int link_file(struct attempt *a)
{
	char name[300];
	int rc;

	mye_data_name(name, sizeof(name), a->d->place, a->d->nonce);
	if (a->temp[0]) {
		rc = mye_link_at(a->dir_fd, a->temp, name);
		if (rc == 0) {
			mye_unlink_at(a->dir_fd, a->temp);
			a->temp[0] = '\0';
		}
	} else {
		rc = mye_link_fd(a->fd, a->dir_fd, name);
	}
	if (rc != -EEXIST)
		return rc ? refuse(a, rc, "it cannot be given its name") : 0;
	snprintf(a->why, a->cap, "%s exists", name);
	return mye_fail(rc,
	                "%s/%s exists, but no ring that it belongs to: remove it if it is what a "
	                "killed process left",
	                a->rung->dir, name);
}

/* Once all pages are there and mapped: nobody can take them away, or write, any more. */
static int seal_memfd(struct attempt *a)
{
	bool writes;
	int rc = mye_memfd_seal(a->fd, &writes);

	if (rc)
		return refuse(a, rc, "it cannot be sealed");
	if (!writes)
		mye_append(a->why, a->cap, "%sthis kernel cannot seal it against writes",
		           a->why[0] ? ", " : "");
	return 0;
}

static int keep(struct attempt *a)
{
	struct mye_data *d = a->d;
	struct stat st;
	int rc = mye_fstat(a->fd, &st);

	if (rc)
		return refuse(a, rc, "it cannot be looked at");
	d->slots = a->slots;
	d->bytes = a->bytes;
	d->data_page = a->rung->page;
	d->backing_got = a->rung->backing;
	d->fd = a->fd;
	d->dev = st.st_dev;
	d->ino = st.st_ino;
	d->map = a->map;
	snprintf(d->dir, sizeof(d->dir), "%s", is_memfd(a) ? "" : a->rung->dir);
	return 0;
}

static void roll_back(struct attempt *a)
{
	if (a->map)
		mye_mirror_release(a->map, a->bytes);
	if (a->temp[0])
		mye_unlink_at(a->dir_fd, a->temp);
	/* Without a name the file and what was allocated go with the descriptor. */
	mye_fork_close(a->fd);
	a->d->fd = -1;
	a->d->map = NULL;
}

int mye_rung_build(struct mye_data *d, const struct mye_rung *rung, char *why, size_t cap)
{
	struct attempt a = {.d = d, .rung = rung, .dir_fd = -1, .fd = -1, .why = why, .cap = cap};
	struct mye_numa_saved saved = {.valid = false};
	int rc;

	why[0] = '\0';
	rc = mye_slots_for(d->slot_size, d->window, rung->unit, &a.slots);
	if (rc) {
		snprintf(why, cap, "too big");
		return rc;
	}
	a.bytes = a.slots * d->slot_size;
	rc = make_file(&a);
	if (rc == 0) {
		mye_numa_begin(&d->numa, rung->place, &saved);
		rc = fill(&a);
		mye_numa_end(&saved);
	}
	if (rc == 0)
		rc = verify_nodes(&a);
	if (rc == 0)
		rc = keep(&a);
	if (rc == 0)
		rc = is_memfd(&a) ? seal_memfd(&a) : link_file(&a);
	if (rc)
		roll_back(&a);
	if (rc == 0 && is_hugetlb(&a))
		d->dir_fd = a.dir_fd;
	else
		mye_fork_close(a.dir_fd);
	return rc;
}
