/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The producer of storm: creates the ring or takes it over, and publishes until it is killed or told to stop. */
#include "storm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LONGEST (3u << 20)

struct producing {
	struct me *m;
	struct myelon_producer *p;
	struct myelon_frame_producer *fp; /* framed: p is its ring */
	struct myelon_waitset *ws;        /* waits for room; NULL: the call does */
	int id;                           /* in it */
	uint64_t epoch;
	unsigned char *buf; /* framed: a message */
};

uint64_t storm_slot_seed(const struct storm *s, uint64_t epoch)
{
	return s->seed ^ (uint64_t)s->round << 32 ^ epoch;
}

/* Most fit into a slot or some; some need fragments, a few are longer than the ring. */
size_t storm_length(const struct storm *s, uint32_t id)
{
	uint64_t random = storm_slot_seed(s, 0) ^ id;
	uint32_t ring = s->window * s->slot_size, frame = ring / 2 - 16;

	switch (storm_below(&random, 16)) {
	case 0:
	case 1:
	case 2:
		return frame + storm_below(&random, ring);
	case 3:
		return ring + storm_below(&random, 2 * ring);
	case 4:
	case 5:
		return storm_below(&random, frame + 1);
	default:
		return storm_below(&random, (frame < 200 ? frame : 200) + 1);
	}
}

/* ---- coming ---- */

static void alert(void *ctx, const struct myelon_failure *f)
{
	struct storm_log *log = ctx;

	(void)f;
	log->alerts++;
}

static uint32_t any_wait(struct me *m)
{
	static const uint32_t waits[] = {
		MYELON_WAIT_ADAPTIVE, MYELON_WAIT_ADAPTIVE, MYELON_WAIT_PARK,      MYELON_WAIT_PARK,
		MYELON_WAIT_YIELD,    MYELON_WAIT_SLEEP,    MYELON_WAIT_SPIN_PAUSE};

	return waits[storm_below(&m->random, 7)];
}

static int create(struct producing *w)
{
	struct storm *s = w->m->s;
	const struct myelon_ring_opts opts =
		MYELON_RING_OPTS(.slot_size = s->slot_size, .window = s->window,
	                         .flags = MYELON_F_REPLACE_DEAD |
	                                  (s->how->lease ? MYELON_F_LEASE : 0),
	                         .backing = s->how->backing, .huge = s->how->huge,
	                         .fence = s->how->fence, .max_consumers = 16,
	                         .wait = any_wait(w->m), .buffer_until = s->buffer_until,
	                         .hugetlb_dir = kit_hugetlb_dir());
	int rc = s->how->framed ? myelon_frame_producer_create(&w->fp, s->name, &opts)
	                        : myelon_producer_create(&w->p, s->name, &opts);

	return rc;
}

static int take_over(struct producing *w)
{
	struct storm *s = w->m->s;
	const struct myelon_open_opts opts =
		MYELON_OPEN_OPTS(.flags = s->how->lease ? MYELON_F_LEASE : 0,
	                         .wait = any_wait(w->m), .hugetlb_dir = kit_hugetlb_dir());

	return s->how->framed ? myelon_frame_producer_open(&w->fp, s->name, &opts)
	                      : myelon_producer_open(&w->p, s->name, &opts);
}

static int send_descriptor(struct producing *w)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = "", .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = control,
	                     .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int fd = myelon_producer_data_fd(w->p);

	if (fd < 0)
		return fd;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	return sendmsg(w->m->s->channel[1], &msg, 0) < 0 ? -errno : 0;
}

static uint64_t epoch_of(const struct producing *w)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;

	return myelon_producer_info(w->p, &info) < 0 ? 0 : info.epoch;
}

/* Is @at what the last one left behind? Framed, each that tried to take over may have added an ABORT. */
static bool is_kept(const struct producing *w, int64_t at)
{
	const struct storm_log *log = w->m->log;

	if (!w->fp)
		return at == log->after || at == log->before;
	return at >= log->after &&
	       (log->inside || at <= log->after + (int64_t)(log->incarnation - log->known));
}

/* What was published stays, what was not is not there, and numbers go on. */
static int check_takeover(struct producing *w, bool created)
{
	struct storm_page *page = w->m->s->page;
	struct storm_log *log = w->m->log;
	int64_t at = myelon_producer_published(w->p);
	uint32_t id = w->fp ? myelon_frame_last_id(w->fp) : 0;

	w->epoch = epoch_of(w);
	if (created && (at != -1 || w->epoch != 1))
		return storm_bad(log, "a new ring begins at %lld, epoch %llu", (long long)at,
		                 (unsigned long long)w->epoch);
	if (!created && !is_kept(w, at))
		return storm_bad(log, "published is %lld after a takeover, it was %lld, then %lld",
		                 (long long)at, (long long)log->after, (long long)log->before);
	if (w->epoch <= page->epoch || w->epoch > page->producers || w->epoch >= EPOCHS)
		return storm_bad(log, "epoch %llu follows %llu, after %llu starts",
		                 (unsigned long long)w->epoch, (unsigned long long)page->epoch,
		                 (unsigned long long)page->producers);
	if (w->fp && id != page->sending && id + 1 != page->sending)
		return storm_bad(log, "last message id is %u, sent was at most %u", id,
		                 page->sending);
	log->after = log->before = at;
	page->epoch_start[w->epoch] = at + 1;
	page->epoch_incarnation = log->incarnation;
	page->epoch = w->epoch;
	log->known = log->incarnation;
	page->takeovers += !created;
	return 0;
}

static int supervise(struct producing *w)
{
	return myelon_producer_require(
		w->p,
		&MYELON_LIVENESS_OPTS(.on_failure = MYELON_ON_FAILURE_LOG, .progress_ns = 20000000,
	                              .check_ns = 1000000, .hook = alert, .ctx = w->m->log));
}

/* Until it is created nobody else is there, so one that died at it is replaced. */
static int come(struct producing *w)
{
	return w->m->s->page->created ? take_over(w) : create(w);
}

static int begin(struct producing *w)
{
	struct storm *s = w->m->s;
	int64_t until = kit_deadline(30);
	bool created;
	int rc;

	storm_arm_points(w->m);
	/* The last round's ring may be held for a moment by what is left of its processes. */
	while ((rc = come(w)) == -EEXIST && kit_now_ns() < until)
		storm_rest_us(1000);
	if (rc < 0)
		return storm_bad(w->m->log, "the producer cannot come: %d: %s", rc,
		                 myelon_last_error());
	if (w->fp)
		w->p = myelon_frame_producer_ring(w->fp);
	if (s->how->backing == MYELON_BACKING_MEMFD && send_descriptor(w) < 0)
		return storm_bad(w->m->log, "no descriptor: %s", myelon_last_error());
	created = !s->page->created;
	s->page->created = 1;
	if (check_takeover(w, created) != 0)
		return 1;
	if (s->how->managed && supervise(w) < 0)
		return storm_bad(w->m->log, "require: %s", myelon_last_error());
	s->page->leaving = 0;
	w->m->log->ready = 1;
	return 0;
}

/* ---- publishing ---- */

static int64_t any_deadline(struct me *m)
{
	switch (storm_below(&m->random, 8)) {
	case 0:
		return MYELON_TRY;
	case 1:
		return myelon_deadline_after(2000000);
	default:
		return MYELON_FOREVER;
	}
}

/* There was no room for @amount. */
static void no_room(struct producing *w, uint64_t amount)
{
	struct myelon_event e;

	if (!w->ws)
		storm_rest_us(50);
	else if (myelon_waitset_want(w->ws, w->id, amount) == 0)
		myelon_waitset_wait(w->ws, &e, 1, myelon_deadline_after(500000000));
}

static void fill_slot(const struct producing *w, void *slot, int64_t seq)
{
	const struct storm *s = w->m->s;

	memcpy(slot, &seq, sizeof(seq));
	memcpy((char *)slot + 8, &w->epoch, sizeof(w->epoch));
	kit_fill((char *)slot + 16, s->slot_size - 16, storm_slot_seed(s, w->epoch), (uint64_t)seq);
}

static int publish_slots(struct producing *w)
{
	struct me *m = w->m;
	uint32_t most = m->s->window < SLOTS_MAX ? m->s->window : SLOTS_MAX;
	uint32_t n = 1 + storm_below(&m->random, most), used;
	int64_t deadline = w->ws ? MYELON_TRY : any_deadline(m);
	struct myelon_span span;
	int rc;

	rc = m->s->how->managed ? myelon_claim_managed(w->p, n, deadline, &span)
	                        : myelon_claim(w->p, n, deadline, &span);
	if (rc == -EAGAIN || rc == -ETIMEDOUT) {
		no_room(w, n);
		return 0;
	}
	if (rc < 0)
		return storm_bad(m->log, "claim: %d: %s", rc, myelon_last_error());
	if (span.seq != m->log->after + 1 || span.count != n)
		return storm_bad(m->log, "claim of %u behind %lld gave %u from %lld", n,
		                 (long long)m->log->after, span.count, (long long)span.seq);
	used = storm_one_in(&m->random, 4) ? 1 + storm_below(&m->random, n) : n;
	for (uint32_t i = 0; i < used; i++)
		fill_slot(w, (char *)span.base + (size_t)i * m->s->slot_size, span.seq + i);
	if (storm_one_in(&m->random, 16))
		return myelon_cancel(w->p) < 0 ? storm_bad(m->log, "cancel") : 0;
	m->log->before = span.seq + used - 1;
	rc = myelon_publish(w->p, used);
	m->log->after = m->log->before;
	m->log->result.count += used;
	return rc < 0 ? storm_bad(m->log, "publish: %d: %s", rc, myelon_last_error()) : 0;
}

static int send_in_place(struct producing *w, uint32_t id, size_t bytes, int64_t deadline)
{
	struct me *m = w->m;
	size_t max = myelon_frame_producer_max_frame(w->fp);
	size_t room = bytes + storm_below(&m->random, (uint32_t)(max - bytes) + 1);
	void *buf;
	int rc = m->s->how->managed ? myelon_frame_claim_managed(w->fp, room, deadline, &buf)
	                            : myelon_frame_claim(w->fp, room, deadline, &buf);

	if (rc < 0)
		return rc;
	kit_fill(buf, bytes, storm_slot_seed(m->s, 0), id);
	return myelon_frame_commit(w->fp, bytes, (uint8_t)id);
}

static int send_copy(struct producing *w, uint32_t id, size_t bytes, int64_t deadline)
{
	struct me *m = w->m;
	size_t cut = bytes ? storm_below(&m->random, (uint32_t)bytes) : 0;
	const struct iovec iov[2] = {{w->buf, cut}, {w->buf + cut, bytes - cut}};
	bool managed = m->s->how->managed;

	kit_fill(w->buf, bytes, storm_slot_seed(m->s, 0), id);
	if (storm_one_in(&m->random, 2))
		return managed ? myelon_frame_sendv_managed(w->fp, iov, 2, (uint8_t)id, deadline)
		               : myelon_frame_sendv(w->fp, iov, 2, (uint8_t)id, deadline);
	return managed ? myelon_frame_send_managed(w->fp, w->buf, bytes, (uint8_t)id, deadline)
	               : myelon_frame_send(w->fp, w->buf, bytes, (uint8_t)id, deadline);
}

static int send_message(struct producing *w)
{
	struct me *m = w->m;
	uint32_t id = myelon_frame_last_id(w->fp) + 1;
	size_t bytes = storm_length(m->s, id), max = myelon_frame_producer_max_frame(w->fp);
	int64_t deadline = any_deadline(m);
	int rc;

	if (id >= IDS || bytes > LONGEST) {
		storm_rest_us(1000);
		return 0;
	}
	if (deadline == MYELON_TRY &&
	    bytes + 16ull * (bytes / max + 2) > m->s->window * m->s->slot_size)
		deadline = MYELON_FOREVER;
	m->s->page->sending = id;
	m->log->inside = 1;
	rc = bytes <= max && storm_one_in(&m->random, 2) ? send_in_place(w, id, bytes, deadline)
	                                                 : send_copy(w, id, bytes, deadline);
	if (rc == 0 && myelon_frame_last_id(w->fp) != id)
		return storm_bad(m->log, "message %u got id %u", id, myelon_frame_last_id(w->fp));
	if (rc == 0)
		m->s->page->sent[id] = 1;
	m->log->after = m->log->before = myelon_producer_published(w->p);
	m->log->inside = 0;
	m->log->result.count++;
	if (rc == -EAGAIN || rc == -ETIMEDOUT || rc == -EMSGSIZE)
		no_room(w, bytes <= max && bytes ? bytes : 1);
	else if (rc < 0)
		return storm_bad(m->log, "send of %zu bytes: %d: %s", bytes, rc,
		                 myelon_last_error());
	return 0;
}

/* ---- the actor ---- */

static int wait_in_set(struct producing *w)
{
	if (w->m->s->how->managed || !storm_one_in(&w->m->random, 4))
		return 0;
	if (myelon_waitset_create(&w->ws, NULL) < 0)
		return storm_bad(w->m->log, "no wait set: %s", myelon_last_error());
	w->id = w->fp ? myelon_waitset_add_frame_producer(w->ws, w->fp, 0, NULL, NULL)
	              : myelon_waitset_add_producer(w->ws, w->p, 0, NULL, NULL);
	return w->id < 0 ? storm_bad(w->m->log, "wait set: %s", myelon_last_error()) : 0;
}

/* A ring that was closed goes with the last who leaves: not before the steady one is there. */
static bool may_close(const struct storm_page *page)
{
	const struct storm_log *steady = &page->log[STEADY];

	return steady->ready && steady->killed < steady->incarnation;
}

static int publish(struct producing *w)
{
	struct me *m = w->m;
	struct storm_page *page = m->s->page;
	uint32_t pace = 1 + storm_below(&m->random, 256);
	/* A memfd ends with its producer: there is nobody who could go on. */
	bool leaves = m->s->how->backing != MYELON_BACKING_MEMFD && storm_one_in(&m->random, 4);
	uint32_t left = leaves ? storm_below(&m->random, 400) : 0;
	int rc = 0;

	while (rc == 0 && !page->stop && !(leaves && left-- == 0 && may_close(page))) {
		rc = w->fp ? send_message(w) : publish_slots(w);
		if (storm_one_in(&m->random, pace))
			storm_rest_us(storm_below(&m->random, 300));
	}
	return rc;
}

static void leave(struct producing *w)
{
	/* From now on nobody can say for whom a death is meant. */
	w->m->s->page->epoch_closed = w->epoch;
	w->m->s->page->leaving = 1;
	if (w->m->s->page->stop)
		w->m->s->page->closing = 1;
	/* Before the handle or after it, both must do. */
	if (storm_one_in(&w->m->random, 2)) {
		myelon_waitset_close(w->ws);
		w->ws = NULL;
	}
	if (w->fp)
		myelon_frame_producer_close(w->fp);
	else
		myelon_producer_close(w->p);
	myelon_waitset_close(w->ws);
}

int storm_producer(struct me *m)
{
	struct producing w = {.m = m, .buf = malloc(LONGEST)};
	int rc = w.buf ? begin(&w) : 1;

	if (rc == 0)
		rc = wait_in_set(&w);
	if (rc == 0)
		rc = publish(&w);
	if (rc == 0)
		leave(&w);
	free(w.buf);
	return rc;
}
