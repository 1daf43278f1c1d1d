/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A new ring: data, then control, each complete before anybody can see it; then one link. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/handle.h"
#include "segment/control.h"
#include "segment/data.h"

#define PRIVATE_TRIES 8

void mye_segment_begin(struct mye_segment *seg, enum mye_role role)
{
	memset(seg, 0, sizeof(*seg));
	seg->dir_fd = seg->control_fd = seg->data_fd = seg->data_dir_fd = -1;
	seg->role = role;
	seg->open = true;
}

int mye_segment_open_dir(struct mye_segment *seg)
{
	int fd = mye_fork_open_dir(seg->place.dir);

	if (fd < 0)
		return mye_dir_failed(fd, seg->place.dir);
	seg->dir_fd = fd;
	return 0;
}

static int make_data(struct mye_segment *seg, const struct myelon_ring_opts *o, struct mye_data *d)
{
	int rc;

	memset(d, 0, sizeof(*d));
	d->fd = d->dir_fd = -1;
	d->slot_size = o->slot_size;
	d->window = o->window;
	d->backing = o->backing;
	d->huge = o->huge;
	d->page_size = o->page_size;
	d->mode = o->flags & MYELON_F_GROUP ? 0660 : 0600;
	d->place = &seg->place;
	rc = mye_numa_want(&d->numa, o->numa, o->numa_node, o->numa_cpu, o->numa_nodes,
	                   (o->flags & MYELON_F_NUMA_STRICT) != 0);
	if (rc == 0)
		rc = mye_nonce_make(seg->dir_fd, d->nonce);
	if (rc == 0)
		rc = mye_data_create(d);
	if (rc < 0)
		return rc;
	seg->data_fd = d->fd;
	seg->data_dir_fd = d->dir_fd;
	seg->data = d->map;
	memcpy(seg->data_dir, d->dir, sizeof(seg->data_dir));
	return 0;
}

static void fill_placement(struct mye_header *h, const struct mye_data *d)
{
	const struct mye_census *c = &d->census;

	h->node_asked = d->numa.node;
	h->node_obtained = mye_census_node(c);
	h->numa = d->numa.mode;
	h->numa_strict = d->numa.strict;
	h->nodes_asked = d->numa.nodes.word[0];
	h->control_node = -1;
	h->data_pages = c->known ? c->pages : 0;
	h->other_pages = c->other;
	h->absent_pages = c->absent;
	memcpy(h->node_pages, c->node, sizeof(h->node_pages));
}

static void fill_header(struct mye_segment *seg, const struct myelon_ring_opts *o,
                        const struct mye_data *d, enum myelon_kind kind, enum myelon_fence fence)
{
	struct mye_header *h = &seg->header;
	struct mye_identity who;

	mye_identify(&who);
	h->magic = MYE_MAGIC;
	h->version = MYE_LAYOUT_VERSION;
	h->header_bytes = sizeof(*h);
	h->kind = kind;
	h->page_unit = (uint32_t)mye_page_size();
	h->control_bytes = mye_control_bytes(o->max_consumers, h->page_unit);
	h->slot_size = o->slot_size;
	h->window = o->window;
	h->slots = d->slots;
	h->data_bytes = d->bytes;
	h->data_page = d->data_page;
	h->backing = d->backing_got;
	h->max_consumers = o->max_consumers;
	h->producers = 1;
	h->unattended = o->unattended;
	h->fence = fence;
	h->flags = o->flags & (MYELON_F_KEEP | MYELON_F_GROUP);
	h->schema = o->schema;
	fill_placement(h, d);
	memcpy(h->nonce, d->nonce, sizeof(h->nonce));
	h->stagger = (uint32_t)(d->nonce[1] % MYE_STAGGER_STEPS) * MYE_STAGGER_STEP;
	h->data_dev = d->dev;
	h->data_ino = d->ino;
	memcpy(h->boot_id, who.boot_id, sizeof(h->boot_id));
	h->created_ns = mye_realtime();
	h->creator_pid = who.pid;
	h->creator_uid = who.uid;
	memcpy(h->reason, d->reason, sizeof(h->reason));
	h->reason[sizeof(h->reason) - 1] = '\0';
}

/* Without O_TMPFILE or /proc: a private name. gc may take it away before it is locked. */
static int open_private(struct mye_segment *seg, mode_t mode)
{
	for (int i = 0; i < PRIVATE_TRIES; i++) {
		uint64_t r[2];
		struct stat st;
		int fd, rc = mye_random(r, sizeof(r));

		if (rc < 0)
			return rc;
		snprintf(seg->temp, sizeof(seg->temp), MYE_TEMP_PREFIX "%016llx%016llx",
		         (unsigned long long)r[0], (unsigned long long)r[1]);
		mye_fork_enter();
		fd = mye_fork_keep(mye_create_excl(seg->dir_fd, seg->temp, mode));
		mye_fork_leave();
		if (fd < 0)
			return fd;
		rc = mye_lock_set(fd, MYE_LOCK_LIFE, MYE_LOCK_SHARED);
		if (rc == 0)
			rc = mye_fstat(fd, &st);
		if (rc == 0 && st.st_nlink > 0)
			return fd;
		if (rc < 0 && rc != -EAGAIN)
			mye_unlink_at(seg->dir_fd, seg->temp);
		mye_fork_close(fd);
		if (rc < 0 && rc != -EAGAIN)
			return rc;
	}
	return -EBUSY;
}

static int open_control(struct mye_segment *seg)
{
	mode_t mode = seg->header.flags & MYELON_F_GROUP ? 0660 : 0600;
	struct stat st;
	int fd = -EOPNOTSUPP, rc;

	if (mye_stat_at(-1, "/proc/self/fd", &st) == 0) {
		mye_fork_enter();
		fd = mye_fork_keep(mye_open_tmpfile(seg->dir_fd, mode));
		mye_fork_leave();
	}
	if (fd == -EOPNOTSUPP)
		fd = open_private(seg, mode);
	if (fd < 0) {
		seg->temp[0] = '\0';
		return fd;
	}
	seg->control_fd = fd;
	rc = mye_fstat(fd, &st);
	if (rc < 0)
		return rc;
	seg->control_dev = st.st_dev;
	seg->control_ino = st.st_ino;
	seg->owner = st.st_uid;
	return 0;
}

/* Room for good: a page that is not there when it is stored to kills the process. */
static int allocate_control(const struct mye_segment *seg)
{
	static const unsigned char zeros[4096];
	int rc = mye_allocate(seg->control_fd, seg->header.control_bytes);

	if (rc != -EOPNOTSUPP)
		return rc;
	rc = 0;
	for (uint64_t off = 0; rc == 0 && off < seg->header.control_bytes; off += sizeof(zeros))
		rc = mye_write_all(seg->control_fd, zeros, sizeof(zeros), off);
	return rc;
}

/* Where did the control pages come to lie? */
static int verify_control(struct mye_segment *seg, const struct mye_numa_want *want)
{
	struct mye_census census;

	mye_numa_count(seg->control, seg->header.control_bytes, mye_page_size(), &census);
	seg->header.control_node = mye_census_node(&census);
	if (want->node < 0 || !want->strict || seg->header.control_node == want->node)
		return 0;
	return mye_fail(census.known ? -ENOSPC : -ENOTSUP,
	                "the control pages of '%s' must be on NUMA node %d, but %s: free memory on "
	                "that node, or drop the strict flag",
	                seg->place.name, (int)want->node,
	                census.known ? "they are not" : "nobody tells where they are");
}

static int write_header(struct mye_segment *seg)
{
	seg->header.checksum = mye_header_checksum(&seg->header);
	return mye_write_all(seg->control_fd, &seg->header, sizeof(seg->header), 0);
}

static int cannot_make(const struct mye_segment *seg, int rc)
{
	return mye_fail(rc, "the control file of ring '%s' (%llu bytes) cannot be made in %s: %s",
	                seg->place.name, (unsigned long long)seg->header.control_bytes,
	                seg->place.dir, myelon_strerror(rc));
}

/*
 * The control pages go where the slots are; if these go to several nodes in turn, where the creator
 * is. The header says where they are and lies in them, so it is written at the end.
 */
static int make_control(struct mye_segment *seg, const struct mye_numa_want *want)
{
	struct mye_numa_saved saved = {.valid = false};
	int rc = open_control(seg);

	if (rc == 0)
		rc = mye_lock_set(seg->control_fd, MYE_LOCK_LIFE, MYE_LOCK_SHARED);
	if (rc == 0)
		rc = mye_lock_set(seg->control_fd, MYE_LOCK_PRODUCER, MYE_LOCK_EXCLUSIVE);
	if (rc < 0)
		return cannot_make(seg, rc);
	if (want->node >= 0)
		mye_numa_begin(want, MYE_NUMA_PREFER, &saved);
	rc = allocate_control(seg);
	if (rc < 0)
		cannot_make(seg, rc);
	else
		rc = mye_control_map(seg);
	mye_numa_end(&saved);
	if (rc == 0)
		rc = verify_control(seg, want);
	if (rc < 0)
		return rc;
	rc = write_header(seg);
	return rc < 0 ? cannot_make(seg, rc) : 0;
}

/* Nobody sees the words yet, so plain stores do. */
static void fill_words(struct mye_segment *seg, const struct myelon_ring_opts *o)
{
	struct mye_producer_page *p = seg->producer;
	uint64_t asked = mye_wait_for_total(&o->wait_for);
	uint32_t need = o->buffer_until > asked ? o->buffer_until : (uint32_t)asked;

	p->hot.published = -1;
	p->gate.ceiling = -1;
	p->space.space_target = INT64_MAX;
	p->slow.epoch = 1;
	p->slow.state = MYE_PRODUCER_OPEN;
	p->slow.wait = o->wait;
	mye_identify(&p->identity);
	p->report.since_ns = mye_realtime();
	for (int i = 0; i < MYE_FRAME_MARKS; i++)
		p->frame_marks[i] = -1;
	for (uint32_t i = 0; i <= seg->header.max_consumers; i++) {
		seg->entries[i].hot.cursor = -1;
		seg->entries[i].slow.resume_from = -1;
	}
	if (need == 0)
		return;
	seg->entries[MYE_HOLD_INDEX(seg)].slow.state = MYE_STATE(1, MYE_ENTRY_HOLD);
	p->slow.hold_need = need;
	p->slow.hold_max = o->buffer_max ? o->buffer_max : o->window;
}

int mye_segment_build(struct mye_segment *seg, const char *name,
                      const struct myelon_ring_opts *opts, enum myelon_kind kind,
                      enum myelon_fence fence)
{
	struct myelon_ring_opts o = {.size = sizeof(o)};
	struct mye_data d;
	int rc;

	if (opts)
		o = *opts;
	mye_segment_begin(seg, MYE_ROLE_PRODUCER);
	seg->built = true;
	seg->writable = true;
	rc = mye_place_resolve(&seg->place, name, o.shm_dir, o.hugetlb_dir);
	if (rc == 0)
		rc = mye_options_check(&o, &seg->place, kind);
	if (rc == 0)
		rc = mye_segment_open_dir(seg);
	if (rc == 0)
		rc = mye_name_clear(&seg->place, o.flags);
	if (rc == 0)
		rc = make_data(seg, &o, &d);
	if (rc == 0) {
		fill_header(seg, &o, &d, kind, fence);
		rc = make_control(seg, &d.numa);
	}
	if (rc < 0) {
		mye_segment_leave(seg);
		return rc;
	}
	fill_words(seg, &o);
	return 0;
}

int mye_segment_publish(struct mye_segment *seg)
{
	char path[MYE_TEXT_MAX];
	int rc;

	if (seg->temp[0])
		rc = mye_link_at(seg->dir_fd, seg->temp, seg->place.file);
	else
		rc = mye_link_fd(seg->control_fd, seg->dir_fd, seg->place.file);
	if (rc == 0) {
		seg->linked = seg->joined = true;
		if (seg->temp[0])
			mye_unlink_at(seg->dir_fd, seg->temp);
		return 0;
	}
	mye_place_path(&seg->place, path, sizeof(path));
	if (rc == -EEXIST)
		return mye_fail(rc, "%s exists: another process created it a moment ago", path);
	return mye_fail(rc, "%s cannot be linked: %s", path, myelon_strerror(rc));
}
