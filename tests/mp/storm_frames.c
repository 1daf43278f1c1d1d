/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Consumers of messages, and an observer, in storm. */
#include "storm.h"

#include <errno.h>
#include <stdlib.h>

#define BATCH 8u

struct receiving {
	struct storm_reader reader; /* first */
	struct myelon_frame_consumer *fc;
	uint32_t last; /* id this handle saw last */
};

static bool is_true(const struct me *m, const struct myelon_message *msg)
{
	return msg->kind == (uint8_t)msg->id && msg->len == storm_length(m->s, msg->id) &&
	       kit_check(msg->data, msg->len, storm_slot_seed(m->s, 0), msg->id) == -1;
}

/* ---- what becomes of each message ---- */

static void mark(struct me *m, uint32_t id, unsigned char bits)
{
	m->s->page->outcome[m->who][id] |= bits;
}

/* The first thing after an attach: what lies between was perhaps begun by who was here before. */
static void mark_gap(struct me *m, uint32_t id)
{
	struct storm_log *log = m->log;
	unsigned char bits = GAP | (log->fresh_lost ? LOST : 0u);

	if (log->first_id == 0)
		log->first_id = id;
	else
		for (uint32_t i = log->last_id + 1; i < id; i++)
			mark(m, i, bits);
	log->fresh = log->fresh_lost = 0;
}

/* Message @id is here, or a report that it was cut off. @return 0, 1. */
static int next_id(struct receiving *w, uint32_t id, bool cut)
{
	struct me *m = w->reader.m;
	bool first = m->log->fresh;

	if (id == 0 || id >= IDS || id <= w->last)
		return storm_bad(m->log, "%s: message %u %s after %u", storm_id(m->who), id,
		                 cut ? "is said to be cut" : "comes", w->last);
	for (uint32_t i = w->last + 1; !first && i < id; i++)
		if (m->s->page->sent[i])
			return storm_bad(m->log, "%s: message %u comes after %u, %u is missing",
			                 storm_id(m->who), id, w->last, i);
	if (cut && !first && m->s->page->sent[id])
		return storm_bad(m->log, "%s: message %u was sent, and is said to be cut",
		                 storm_id(m->who), id);
	if (m->s->page->outcome[m->who][id] & RELEASED)
		return storm_bad(m->log, "%s: message %u was released, and comes again%s",
		                 storm_id(m->who), id, cut ? ", cut" : "");
	if (first)
		mark_gap(m, id);
	if (cut)
		mark(m, id, first ? CUT | STRAY : CUT);
	w->last = id;
	if (id > m->log->last_id)
		m->log->last_id = id;
	m->log->result.count++;
	return 0;
}

static int whole(struct receiving *w, const struct myelon_message *msg)
{
	struct me *m = w->reader.m;

	if (next_id(w, msg->id, false) != 0)
		return VIOLATED;
	m->log->repeats += (m->s->page->outcome[m->who][msg->id] & SEEN) != 0;
	mark(m, msg->id, SEEN);
	m->log->verified++;
	return 0;
}

static int cut_off(struct receiving *w, const struct myelon_message *msg)
{
	bool stray = w->reader.m->log->fresh;

	if (next_id(w, msg->id, true) != 0)
		return VIOLATED;
	w->reader.m->log->cuts += !stray;
	w->reader.m->log->strays += stray;
	return 0;
}

/* ---- reading ---- */

static void at_rest(struct receiving *w)
{
	struct storm_log *log = w->reader.m->log;

	log->after = log->before = myelon_consumer_cursor(w->reader.c);
	log->inside = 0;
}

/* Peek and release, @n messages of which the first few are given back. */
static int take(struct receiving *w, const struct myelon_message *msgs, uint32_t n)
{
	struct me *m = w->reader.m;
	uint32_t give = storm_one_in(&m->random, 4) ? 1 + storm_below(&m->random, n) : n, bad = n;
	int rc;

	for (uint32_t i = 0; i < give; i++)
		if (!is_true(m, &msgs[i]))
			bad = bad < i ? bad : i;
	/* Written before the release, and only what is right: after an eviction it may be anything. */
	for (uint32_t i = 0; i < give && i < bad; i++)
		if (whole(w, &msgs[i]) != 0)
			return VIOLATED;
	if (storm_one_in(&m->random, 32))
		storm_rest_us(storm_below(&m->random, 500));
	m->log->inside = 1;
	rc = myelon_frame_release(w->fc, give);
	if (rc < 0)
		return rc;
	at_rest(w);
	for (uint32_t i = 0; i < give && i < bad; i++)
		mark(m, msgs[i].id, RELEASED);
	return bad < give ? storm_bad(m->log, "%s: message %u of %zu bytes, kind %u, is not right",
	                              storm_id(m->who), msgs[bad].id, msgs[bad].len, msgs[bad].kind)
	                  : 0;
}

/* A copying call: it is released by now. */
static int took(struct receiving *w, const struct myelon_message *msg)
{
	if (!is_true(w->reader.m, msg))
		return storm_bad(w->reader.m->log,
		                 "%s: copied message %u of %zu bytes is not right",
		                 storm_id(w->reader.m->who), msg->id, msg->len);
	if (whole(w, msg) != 0)
		return VIOLATED;
	mark(w->reader.m, msg->id, RELEASED);
	return 0;
}

static int look(struct storm_reader *r)
{
	struct receiving *w = (struct receiving *)(void *)r;
	struct myelon_message msgs[BATCH] = {0};
	struct me *m = r->m;
	int64_t deadline = storm_wait(m, &r->wait);
	uint32_t form = storm_below(&m->random, 16);
	int rc;

	m->log->inside = 1;
	if (form == 0) {
		m->log->copying = 1;
		rc = myelon_frame_recv_owned(w->fc, deadline, msgs);
	} else if (form < 8) {
		rc = myelon_frame_peek_batch(w->fc, msgs, BATCH, deadline);
	} else {
		rc = myelon_frame_peek(w->fc, deadline, msgs);
	}
	if (rc == 1 && form == 0) {
		rc = took(w, msgs);
		myelon_message_free(msgs);
	} else if (rc > 0) {
		return take(w, msgs, (uint32_t)rc);
	} else if (rc == -EBADMSG) {
		rc = cut_off(w, msgs);
	}
	m->log->copying = 0;
	if (rc != -ESTALE)
		at_rest(w);
	return rc;
}

static int attach(struct storm_reader *r, const struct myelon_attach_opts *opts)
{
	struct receiving *w = (struct receiving *)(void *)r;
	int rc = myelon_frame_consumer_attach(&w->fc, r->m->s->name, opts);

	r->c = rc < 0 ? NULL : myelon_frame_consumer_ring(w->fc);
	return rc;
}

static void begin(struct storm_reader *r)
{
	((struct receiving *)(void *)r)->last = 0;
}

static void close_reader(struct storm_reader *r)
{
	struct receiving *w = (struct receiving *)(void *)r;

	myelon_frame_consumer_close(w->fc);
	w->fc = NULL;
}

int storm_frame_consumer(struct me *m)
{
	static const struct storm_reading how = {attach, begin, look, close_reader};
	struct receiving w = {.reader = {.m = m, .how = &how}};

	return storm_read(&w.reader);
}

/* ---- an observer ---- */

/* @return 0, 1. */
static int observed(struct me *m, const struct myelon_message *msg, bool cut, uint64_t lost,
                    uint32_t *last)
{
	if (msg->id <= *last || msg->id >= IDS)
		return storm_bad(m->log, "observed message %u after %u", msg->id, *last);
	if (!cut && !is_true(m, msg))
		return storm_bad(m->log, "observed message %u of %zu bytes is not right", msg->id,
		                 msg->len);
	for (uint32_t i = *last + 1; *last && lost == 0 && i < msg->id; i++)
		if (m->s->page->sent[i])
			return storm_bad(m->log, "observed message %u after %u, nothing was lost",
			                 msg->id, *last);
	*last = msg->id;
	m->log->verified += !cut;
	m->log->cuts += cut;
	m->log->result.count++;
	return 0;
}

static int observe(struct me *m, struct myelon_frame_observer *fo)
{
	uint64_t lost_before = 0;
	uint32_t last = 0;

	for (;;) {
		struct myelon_message msg;
		uint64_t lost = 0;
		int64_t deadline = storm_one_in(&m->random, 2) ? MYELON_FOREVER
		                                               : myelon_deadline_after(2000000);
		int rc = myelon_frame_observe(fo, deadline, &msg, &lost);

		m->log->lost += lost;
		lost_before += lost;
		if (rc == -EPIPE && m->s->page->closing)
			return 0;
		if (rc == -EOWNERDEAD && m->s->how->backing == MYELON_BACKING_MEMFD)
			return 0;
		if (rc == -EPIPE || rc == -EOWNERDEAD)
			storm_rest_us(1000);
		else if (rc < 0 && rc != -ETIMEDOUT && rc != -EAGAIN && rc != -EBADMSG)
			return storm_bad(m->log, "observe: %d: %s", rc, myelon_last_error());
		if (rc != 1 && rc != -EBADMSG)
			continue;
		if (observed(m, &msg, rc != 1, lost_before, &last) != 0)
			return 1;
		/* What was lost may have been the rest of this one, and what followed it. */
		if (rc == 1 || lost == 0)
			lost_before = 0;
	}
}

int storm_frame_observer(struct me *m)
{
	struct myelon_attach_opts opts = storm_attach_opts(m);
	struct myelon_frame_observer *fo;
	int rc;

	storm_arm_points(m);
	opts.start = storm_one_in(&m->random, 2) ? MYELON_START_OLDEST : MYELON_START_LATEST;
	rc = myelon_frame_observer_attach(&fo, m->s->name, &opts);
	if (rc == -ENOENT && m->s->page->closing)
		return 0;
	if (rc < 0)
		return storm_bad(m->log, "the observer cannot attach: %d: %s", rc,
		                 myelon_last_error());
	m->log->ready = 1;
	rc = observe(m, fo);
	myelon_frame_observer_close(fo);
	return rc;
}
