/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The referee of storm: starts everybody, kills, stops and evicts them, and waits until all move again. */
#include "storm.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANG_S 60
#define CALM_EVERY 16 /* kills */
#define MEMFD_KILLS 8 /* of consumers, then its producer goes and the ring with it */

static bool is_memfd(const struct storm *s)
{
	return s->how->backing == MYELON_BACKING_MEMFD;
}

/* ---- actors ---- */

static int body(void *arg)
{
	struct me *m = arg;

	if (m->who == PRODUCER)
		return storm_producer(m);
	if (m->who == OBSERVER)
		return m->s->how->framed ? storm_frame_observer(m) : storm_observer(m);
	return m->s->how->framed ? storm_frame_consumer(m) : storm_consumer(m);
}

static int start(struct storm *s, unsigned int who)
{
	struct storm_log *log = &s->page->log[who];
	struct me m = {.s = s, .log = log, .who = who};
	int rc;

	log->ready = 0;
	log->incarnation++;
	m.random =
		s->seed ^ (uint64_t)(s->round + 1) << 40 ^ (uint64_t)who << 32 ^ log->incarnation;
	if (who == PRODUCER)
		s->page->producers++;
	rc = kit_fork(&s->actor[who], body, &m);
	if (rc < 0)
		printf("FAIL: fork: %s\n", strerror(-rc));
	return rc < 0;
}

/* Wait for an end. @return 0, or 1: it was not a good one. */
static int reap(struct storm *s, unsigned int who, bool killed)
{
	int rc = kit_wait(&s->actor[who], HANG_S);
	struct storm_log *log = &s->page->log[who];

	if (log->result.violations) {
		printf("FAIL: %s: %s\n", storm_id(who), log->result.text);
		return 1;
	}
	if (rc == -SIGKILL && !killed && s->how->points) {
		s->kills++;
		s->kills_of[who]++;
		s->point_kills++;
		return 0;
	}
	if (rc == 0 || (rc == -SIGKILL && killed))
		return 0;
	printf("FAIL: %s ended with %d\n", storm_id(who), rc);
	return 1;
}

static int kill_one(struct storm *s, unsigned int who)
{
	struct storm_log *log = &s->page->log[who];

	if (s->actor[who].pid <= 0)
		return 0;
	log->killed = log->incarnation;
	kit_kill(&s->actor[who], SIGKILL);
	s->kills++;
	s->kills_of[who]++;
	return reap(s, who, true);
}

/* Take notice of who has ended by itself. @return 0, 1. */
static int notice(struct storm *s)
{
	for (unsigned int i = 0; i < ACTORS; i++) {
		if (s->actor[i].pid <= 0 || kit_running(&s->actor[i]))
			continue;
		if (reap(s, i, false) != 0)
			return 1;
	}
	return 0;
}

static int restart_missing(struct storm *s)
{
	for (unsigned int i = 0; i < ACTORS; i++)
		if (s->actor[i].pid <= 0 && start(s, i) != 0)
			return 1;
	return 0;
}

/* ---- a calm: all are there, and move ---- */

static int hangs(struct storm *s, unsigned int who, const char *what)
{
	printf("FAIL: %s %s for %d s (scaled)\n", storm_id(who), what, HANG_S);
	storm_dump(s);
	return 1;
}

static bool moved(const struct storm *s, const uint64_t *from)
{
	/* One that is dead for a moment may not have moved, but will be started again. */
	for (unsigned int i = 0; i < ACTORS; i++)
		if (s->page->log[i].result.count == from[i])
			return false;
	return true;
}

static int calm(struct storm *s)
{
	int64_t until = kit_deadline(HANG_S);
	uint64_t from[ACTORS];

	for (unsigned int i = 0; i < ACTORS; i++)
		from[i] = s->page->log[i].result.count;
	while (!moved(s, from)) {
		if (notice(s) != 0 || restart_missing(s) != 0)
			return 1;
		for (unsigned int i = 0; kit_now_ns() > until && i < ACTORS; i++)
			if (s->page->log[i].result.count == from[i])
				return hangs(s, i, "does not move");
		storm_rest_us(200);
	}
	return 0;
}

/* ---- what happens to them ---- */

static unsigned int victim(struct storm *s)
{
	/* The steady one is never killed alone. */
	static const unsigned int who[] = {0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7};
	unsigned int v = who[storm_below(&s->random, sizeof(who) / sizeof(who[0]))];

	return is_memfd(s) && v == PRODUCER ? 1 : v;
}

static int pause_one(struct storm *s)
{
	unsigned int who = storm_below(&s->random, ACTORS);
	int rc = 0;

	if (s->actor[who].pid <= 0)
		return 0;
	kit_kill(&s->actor[who], SIGSTOP);
	s->pauses++;
	storm_rest_us(storm_below(&s->random, 6000));
	/* Somebody dies while it cannot move; perhaps itself. */
	if (storm_one_in(&s->random, 3))
		rc = kill_one(s, victim(s));
	if (s->actor[who].pid > 0)
		kit_kill(&s->actor[who], SIGCONT);
	return rc;
}

static int evict_one(struct storm *s, bool dead)
{
	unsigned int who = FIRST_CONSUMER + storm_below(&s->random, LEAVER - FIRST_CONSUMER + 1);
	struct storm_log *log = &s->page->log[who];
	bool stopped = !dead && s->actor[who].pid > 0 && storm_one_in(&s->random, 2);
	int rc;

	if (dead && kill_one(s, who) != 0)
		return 1;
	/* With slots in its hand, perhaps, that are overwritten before it looks again. */
	if (stopped)
		kit_kill(&s->actor[who], SIGSTOP);
	/* Before and after: one that attaches meanwhile knows the first, and may be hit all the same. */
	log->evictions++;
	rc = myelon_evict(s->name, storm_id(who), dead ? 0 : MYELON_F_FORCE, NULL);
	log->evictions++;
	if (stopped) {
		storm_rest_us(storm_below(&s->random, 8000));
		kit_kill(&s->actor[who], SIGCONT);
	}
	if (rc < 0 && rc != -ENOENT)
		return storm_bad(log, "evict %s, %s: %d: %s", storm_id(who),
		                 dead ? "dead" : "alive", rc, myelon_last_error());
	if (rc == 1 && dead)
		s->evictions++;
	else if (rc == 1)
		s->forced++;
	return 0;
}

static void signal_all(struct storm *s, int sig)
{
	for (unsigned int i = 0; i < ACTORS; i++)
		if (s->actor[i].pid > 0)
			kit_kill(&s->actor[i], sig);
}

/* Everybody at once. First all stop, so that none can see the others go and leave in order. */
static int kill_all(struct storm *s)
{
	int rc = 0;

	signal_all(s, SIGSTOP);
	for (unsigned int i = 0; rc == 0 && i < ACTORS; i++)
		rc = kill_one(s, i);
	return rc;
}

/* As well, in the middle of a round; but a ring that was closed in order goes with the last who leaves. */
static int massacre(struct storm *s)
{
	signal_all(s, SIGSTOP);
	if (!s->page->leaving) {
		s->massacres++;
		return kill_all(s);
	}
	signal_all(s, SIGCONT);
	return 0;
}

static int act(struct storm *s)
{
	uint32_t what = storm_below(&s->random, 100);
	int rc;

	/* They see to it themselves. */
	if (s->how->points && !storm_one_in(&s->random, 16))
		return 0;
	if (what < 12)
		return pause_one(s);
	if (what < 17)
		return evict_one(s, true);
	if (what < 22)
		return evict_one(s, false);
	if (what < 24 && !is_memfd(s))
		return massacre(s);
	rc = kill_one(s, victim(s));
	/* Two at once: the one who would have woken the other, perhaps. */
	if (rc == 0 && storm_one_in(&s->random, 4))
		rc = kill_one(s, victim(s));
	return rc;
}

static void rest(struct storm *s)
{
	static const uint32_t most[] = {1, 100, 1000, 3000, 10000};

	storm_rest_us(storm_below(&s->random, most[storm_below(&s->random, 5)]));
}

/* ---- a round ---- */

/* The page for a new ring; what is counted for the summary stays. */
static void forget(struct storm *s)
{
	struct storm_page *page = s->page;

	for (unsigned int i = 0; i < ACTORS; i++) {
		struct storm_log *log = &page->log[i];

		log->incarnation = log->killed = log->ready = log->known = log->attaching = 0;
		log->detached = log->evictions = log->evictions_known = log->inside = 0;
		log->before = log->after = -1;
		log->last_id = log->first_id = log->fresh = log->fresh_lost = log->copying = 0;
	}
	page->created = page->stop = page->closing = page->leaving = 0;
	page->epoch = page->epoch_closed = page->producers = 0;
	page->epoch_incarnation = 0;
	page->sending = 0;
	for (uint32_t e = 0; e < EPOCHS; e++)
		page->epoch_start[e] = -1;
	madvise((void *)(uintptr_t)page->sent, sizeof(page->sent) + sizeof(page->outcome),
	        MADV_REMOVE);
}

static int take_descriptor(struct storm *s)
{
	char byte, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = control,
	                     .msg_controllen = sizeof(control)};
	const struct cmsghdr *c;

	if (recvmsg(s->channel[0], &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0)
		return 1;
	c = CMSG_FIRSTHDR(&msg);
	if (!c)
		return 1;
	memcpy(&s->data_fd, CMSG_DATA(c), sizeof(int));
	return 0;
}

/* The producer first, as who replaces a dead ring must not find others at it; it may die of its points. */
static int begin(struct storm *s)
{
	int64_t until = kit_deadline(HANG_S);

	if (is_memfd(s) && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->channel) < 0)
		return 1;
	if (start(s, PRODUCER) != 0)
		return 1;
	while (!s->page->created) {
		if (notice(s) != 0 || (s->actor[PRODUCER].pid <= 0 && start(s, PRODUCER) != 0))
			return 1;
		if (kit_now_ns() > until)
			return hangs(s, PRODUCER, "does not come");
		storm_rest_us(200);
	}
	if (is_memfd(s) && take_descriptor(s) != 0) {
		printf("FAIL: no descriptor came\n");
		return 1;
	}
	return restart_missing(s);
}

/* Until all have ended by themselves. */
static int await_ends(struct storm *s, bool restart)
{
	int64_t until = kit_deadline(HANG_S);

	for (;;) {
		unsigned int running = 0, last = 0;

		if (notice(s) != 0)
			return 1;
		for (unsigned int i = 0; i < ACTORS; i++) {
			bool again = restart && !s->page->closing;

			if (s->actor[i].pid <= 0 && again && start(s, i) != 0)
				return 1;
			running += s->actor[i].pid > 0;
			last = s->actor[i].pid > 0 ? i : last;
		}
		if (running == 0)
			return 0;
		if (kit_now_ns() > until)
			return hangs(s, last, "does not end");
		storm_rest_us(500);
	}
}

static int end(struct storm *s)
{
	int rc;

	if (is_memfd(s) && s->ending != END_IN_ORDER) {
		/* All read what is left, and say that it died. */
		rc = restart_missing(s);
		rc = rc ? rc : kill_one(s, PRODUCER);
		return rc ? rc : await_ends(s, false);
	}
	if (s->ending == END_IN_ORDER) {
		s->page->stop = 1;
		return await_ends(s, true);
	}
	return kill_all(s);
}

/* What the last one leaves behind, by how it ended. */
static int left_behind(struct storm *s)
{
	const char *how = s->ending == END_GC ? "with all killed, and was collected" : "in order";
	int left;

	if (s->ending == END_REPLACED)
		return 0;
	if (s->how->backing == MYELON_BACKING_FILE && myelon_ring_remove(s->name, NULL) < 0)
		return storm_bad(&s->page->log[0], "remove: %s", myelon_last_error());
	/* The last one may have ended itself before it removed them. */
	if (s->ending == END_GC || s->how->points)
		myelon_gc(NULL, NULL, NULL);
	left = storm_files(s);
	if (left != 0)
		printf("FAIL: %d files are left of a ring that ended %s\n", left, how);
	return left != 0;
}

static int fight(struct storm *s, uint32_t kills)
{
	uint64_t until = s->kills + kills, next_calm = s->kills + CALM_EVERY;
	int rc = 0;

	while (rc == 0 && s->kills < until) {
		rest(s);
		rc = notice(s);
		if (rc == 0)
			rc = act(s);
		/* Now and then the dead stay dead for a while. */
		if (rc == 0 && !storm_one_in(&s->random, 4))
			rc = restart_missing(s);
		if (rc == 0 && s->kills >= next_calm) {
			rc = calm(s);
			next_calm = s->kills + CALM_EVERY;
		}
	}
	return rc ? rc : calm(s);
}

int storm_round(struct storm *s, uint32_t kills)
{
	int rc;

	forget(s);
	if (is_memfd(s) && kills > MEMFD_KILLS)
		kills = MEMFD_KILLS;
	rc = begin(s);
	if (rc == 0)
		rc = fight(s, kills);
	if (rc == 0)
		rc = end(s);
	for (unsigned int i = ACTORS; i-- > 0;)
		if (s->actor[i].pid > 0) {
			kit_kill(&s->actor[i], SIGKILL);
			kit_wait(&s->actor[i], HANG_S);
		}
	if (rc == 0 && s->how->framed)
		rc = storm_judge(s);
	if (rc == 0)
		rc = left_behind(s);
	if (s->data_fd >= 0)
		close(s->data_fd);
	s->data_fd = -1;
	if (is_memfd(s)) {
		close(s->channel[0]);
		close(s->channel[1]);
	}
	return rc;
}
