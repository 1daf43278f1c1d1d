/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Consumers of slots, and an observer, in storm. Also what attaching means, for framed ones as well. */
#include "storm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TRIES 200

/* ---- attaching ---- */

struct myelon_attach_opts storm_attach_opts(struct me *m)
{
	static const uint32_t waits[] = {
		MYELON_WAIT_ADAPTIVE, MYELON_WAIT_ADAPTIVE,   MYELON_WAIT_PARK,
		MYELON_WAIT_PARK,     MYELON_WAIT_PARK,       MYELON_WAIT_YIELD,
		MYELON_WAIT_SLEEP,    MYELON_WAIT_SPIN_PAUSE, MYELON_WAIT_SPIN};
	const struct storm *s = m->s;
	struct myelon_attach_opts o =
		MYELON_ATTACH_OPTS(.id = m->who == OBSERVER ? NULL : storm_id(m->who),
	                           .wait = waits[storm_below(&m->random, 9)],
	                           .hugetlb_dir = kit_hugetlb_dir());

	if (m->who != OBSERVER && m->log->known && storm_one_in(&m->random, 2))
		o.start = MYELON_START_RESUME;
	if (s->how->backing == MYELON_BACKING_MEMFD)
		o.data_fd = MYELON_FD(s->data_fd);
	return o;
}

bool storm_attach_again(struct me *m, int rc, int tries)
{
	/* Evicted in the middle of it. */
	if (rc != -EBUSY || tries >= TRIES || m->log->evictions == m->log->evictions_known)
		return false;
	storm_rest_us(1000);
	return true;
}

uint32_t storm_attach_begin(struct me *m)
{
	m->was_attaching = m->log->attaching;
	m->log->attaching = 1;
	return m->log->evictions;
}

static uint64_t lost_of(const struct myelon_consumer *c)
{
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;

	myelon_consumer_stats(c, &stats);
	return stats.lost;
}

/* Somebody of this id was here before: it ended at after, or at before if it was killed in the middle. */
static bool goes_on(const struct me *m, int64_t cursor, int64_t lost)
{
	const struct storm_log *log = m->log;
	bool may_lose = log->detached || log->evictions != log->evictions_known;
	int64_t from = cursor - lost;

	if (lost > 0 && !may_lose)
		return false;
	/* One that was killed while it attached may have been told of a loss that nobody wrote down. */
	if ((m->was_attaching && may_lose) || log->inside)
		return from >= log->after;
	return from == log->after || from == log->before;
}

int storm_attach_end(struct me *m, const struct myelon_consumer *c, uint32_t evictions)
{
	struct storm_log *log = m->log;
	int64_t cursor = myelon_consumer_cursor(c), lost = (int64_t)lost_of(c);
	bool may_lose = log->detached || log->evictions != log->evictions_known;

	if (log->known && !goes_on(m, cursor, lost))
		return storm_bad(log,
		                 "%s goes on at %lld and lost %lld, but ended at %lld or %lld "
		                 "(evictions %u of %u, detached %u, attaching %u, inside %u)",
		                 storm_id(m->who), (long long)cursor + 1, (long long)lost,
		                 (long long)log->after, (long long)log->before,
		                 log->evictions_known, log->evictions, log->detached,
		                 m->was_attaching, log->inside);
	if (!log->known && m->s->buffer_until && log->evictions == 0 && cursor != -1)
		return storm_bad(log, "%s begins at %lld of a ring that buffers", storm_id(m->who),
		                 (long long)cursor + 1);
	log->fresh_lost |= lost > 0 || (may_lose && m->was_attaching);
	log->fresh_lost |= log->copying;
	log->copying = 0;
	log->fresh = 1;
	log->lost += (uint64_t)lost;
	m->repeat_until = log->known ? log->before : -1;
	log->before = log->after = cursor;
	log->inside = 0;
	log->detached = 0;
	log->evictions_known = evictions;
	log->known = 1;
	log->attaching = 0;
	log->ready = 1;
	return 0;
}

int storm_stale(struct me *m)
{
	if (m->log->evictions == 0)
		return storm_bad(m->log, "%s was evicted by nobody", storm_id(m->who));
	m->log->stale++;
	m->log->before = m->log->after;
	return 0;
}

/* Is this a false report of a death? Who is to be killed is written down before, as is a close. */
static bool lives(const struct me *m, uint64_t epoch)
{
	const struct storm_page *page = m->s->page;
	const struct storm_log *log = &page->log[PRODUCER];

	return !m->s->how->points && epoch == page->epoch &&
	       page->epoch_incarnation == log->incarnation && page->epoch_closed < epoch &&
	       log->killed < log->incarnation && page->epoch == epoch;
}

int storm_producer_gone(struct me *m, struct myelon_consumer *c, int rc, uint64_t epoch, bool set)
{
	bool memfd = m->s->how->backing == MYELON_BACKING_MEMFD;
	int64_t published = myelon_consumer_published(c);

	if (rc == -EOWNERDEAD && lives(m, epoch))
		return storm_bad(m->log, "the producer of epoch %llu is said to be dead",
		                 (unsigned long long)epoch);
	m->log->deaths += rc == -EOWNERDEAD;
	if ((rc == -EPIPE && m->s->page->closing) || (rc == -EOWNERDEAD && memfd)) {
		if (myelon_consumer_cursor(c) != published)
			return storm_bad(m->log, "the end (%d) at %lld of %lld", rc,
			                 (long long)myelon_consumer_cursor(c),
			                 (long long)published);
		return THE_END;
	}
	if (set)
		return GO_ON;
	rc = myelon_consumer_wait_producer(c, MYELON_FOREVER);
	return rc < 0 ? storm_bad(m->log, "wait for a producer: %d: %s", rc, myelon_last_error())
	              : GO_ON;
}

/* ---- slots ---- */

/* @return 0, or why it is wrong. */
static const char *check_slot(const struct me *m, const void *slot, int64_t seq)
{
	const struct storm *s = m->s;
	int64_t is, start, next;
	uint64_t epoch;

	memcpy(&is, slot, sizeof(is));
	memcpy(&epoch, (const char *)slot + 8, sizeof(epoch));
	if (is != seq)
		return "another sequence";
	if (epoch == 0 || epoch >= EPOCHS)
		return "no epoch";
	if (kit_check((const char *)slot + 16, s->slot_size - 16, storm_slot_seed(s, epoch),
	              (uint64_t)seq) != -1)
		return "other bytes";
	start = s->page->epoch_start[epoch];
	if (start < 0 || seq < start)
		return "before its producer came";
	for (uint64_t e = epoch + 1; e < EPOCHS && e <= s->page->epoch; e++) {
		next = s->page->epoch_start[e];
		if (next >= 0)
			return seq >= next ? "after its producer had gone" : NULL;
	}
	return NULL;
}

/* All @n slots from @seq. */
static int check_slots(struct me *m, const void *slots, uint32_t n, int64_t seq)
{
	for (uint32_t i = 0; i < n; i++) {
		const char *why =
			check_slot(m, (const char *)slots + (size_t)i * m->s->slot_size, seq + i);

		if (why)
			return storm_bad(m->log, "%s: slot %lld (%u of %u): %s", storm_id(m->who),
			                 (long long)seq + i, i, n, why);
	}
	return 0;
}

struct consuming {
	struct storm_reader reader; /* first */
	int64_t next;
};

static void count(struct me *m, int64_t seq, uint32_t n)
{
	int64_t again = m->repeat_until - seq + 1;

	m->log->verified += n;
	m->log->result.count += n;
	if (again > 0)
		m->log->repeats += again < n ? (uint64_t)again : n;
}

/* Read them, write that down, give them back. What was read counts if that succeeds. */
static int take(struct consuming *w, const struct myelon_view *v)
{
	struct me *m = w->reader.m;
	uint32_t n = storm_one_in(&m->random, 4) ? 1 + storm_below(&m->random, v->count) : v->count;
	const char *why = NULL;
	int64_t at = v->seq - 1;
	int rc;

	if (v->seq != w->next)
		return storm_bad(m->log, "%s got %lld instead of %lld", storm_id(m->who),
		                 (long long)v->seq, (long long)w->next);
	while (!why && ++at < v->seq + n)
		why = check_slot(m, (const char *)v->base + (size_t)(at - v->seq) * m->s->slot_size,
		                 at);
	m->log->before = v->seq + n - 1;
	if (storm_one_in(&m->random, 32))
		storm_rest_us(storm_below(&m->random, 500));
	rc = myelon_release(w->reader.c, n);
	if (rc < 0)
		return rc;
	m->log->after = m->log->before;
	w->next += n;
	if (why)
		return storm_bad(m->log, "%s: slot %lld: %s", storm_id(m->who), (long long)at, why);
	count(m, v->seq, n);
	return 0;
}

static int copy(struct consuming *w, uint32_t max, int64_t deadline)
{
	unsigned char slots[SLOTS_MAX * 4096];
	struct me *m = w->reader.m;
	int n;

	m->log->inside = 1;
	n = myelon_consume_copy(w->reader.c, slots, max, deadline);
	if (n > 0) {
		if (check_slots(m, slots, (uint32_t)n, w->next) != 0)
			return VIOLATED;
		count(m, w->next, (uint32_t)n);
		w->next += n;
		m->log->after = m->log->before = w->next - 1;
	}
	m->log->inside = 0;
	return n < 0 ? n : 0;
}

static int look(struct storm_reader *r)
{
	struct consuming *w = (struct consuming *)(void *)r;
	struct me *m = r->m;
	uint32_t max = 1 + storm_below(&m->random, SLOTS_MAX);
	int64_t deadline = storm_wait(m, &r->wait);
	struct myelon_view v;
	int n;

	if (storm_one_in(&m->random, 8))
		return copy(w, max, deadline);
	n = myelon_peek(r->c, max, deadline, &v);
	return n < 0 ? n : take(w, &v);
}

static int attach(struct storm_reader *r, const struct myelon_attach_opts *opts)
{
	return myelon_consumer_attach(&r->c, r->m->s->name, opts);
}

static void begin(struct storm_reader *r)
{
	((struct consuming *)(void *)r)->next = r->m->log->after + 1;
}

static void close_reader(struct storm_reader *r)
{
	myelon_consumer_close(r->c);
}

int storm_consumer(struct me *m)
{
	static const struct storm_reading how = {attach, begin, look, close_reader};
	struct consuming w = {.reader = {.m = m, .how = &how}};

	return storm_read(&w.reader);
}

/* ---- an observer ---- */

static int observe(struct me *m, struct myelon_observer *o)
{
	static unsigned char slots[SLOTS_MAX * 4096];
	int64_t next = -1, seq;

	for (;;) {
		uint64_t lost = 0;
		int64_t deadline = storm_one_in(&m->random, 2) ? MYELON_FOREVER
		                                               : myelon_deadline_after(2000000);
		int n = myelon_observe(o, slots, 1 + storm_below(&m->random, SLOTS_MAX), deadline,
		                       &seq, &lost);

		m->log->lost += lost;
		if (next >= 0)
			next += (int64_t)lost;
		if (n == -EPIPE && m->s->page->closing)
			return 0;
		if (n == -EPIPE || n == -EOWNERDEAD)
			storm_rest_us(1000);
		else if (n < 0 && n != -ETIMEDOUT && n != -EAGAIN)
			return storm_bad(m->log, "observe: %d: %s", n, myelon_last_error());
		if (n == -EOWNERDEAD && m->s->how->backing == MYELON_BACKING_MEMFD)
			return 0;
		if (n <= 0)
			continue;
		if (next >= 0 && seq != next)
			return storm_bad(m->log, "observed %lld instead of %lld", (long long)seq,
			                 (long long)next);
		if (check_slots(m, slots, (uint32_t)n, seq) != 0)
			return 1;
		next = seq + n;
		m->log->verified += (uint64_t)n;
		m->log->result.count += (uint64_t)n;
	}
}

int storm_observer(struct me *m)
{
	struct myelon_attach_opts opts = storm_attach_opts(m);
	struct myelon_observer *o;
	int rc;

	storm_arm_points(m);
	opts.start = storm_one_in(&m->random, 2) ? MYELON_START_OLDEST : MYELON_START_LATEST;
	rc = myelon_observer_attach(&o, m->s->name, &opts);
	if (rc == -ENOENT && m->s->page->closing)
		return 0;
	if (rc < 0)
		return storm_bad(m->log, "the observer cannot attach: %d: %s", rc,
		                 myelon_last_error());
	m->log->ready = 1;
	rc = observe(m, o);
	myelon_observer_close(o);
	return rc;
}
