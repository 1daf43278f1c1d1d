/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * How the death of a producer is noticed while its consumers sleep. The verdict is its lock's, as
 * everywhere; here is only when to ask. A pidfd of its process, shared by all rings of that process, is
 * an event that says "now". Without one every ring is asked for at each cap of 1 s; with it a few are, in
 * turn, since a process may lose its lock and live on (exec).
 *
 * The epoll engine sleeps on words alone in one call, and needs threads for words and descriptors
 * together: a set of rings only does without pidfds there.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/handle.h"
#include "ring/sleeper.h"
#include "sys/sys.h"
#include "waitset/set.h"

#define BACKOFF_FIRST_NS 1000000
#define BACKOFF_LAST_NS MYE_CAP_NS
#define ASK_IN_TURN 16 /* of those that are watched, at each cap */

static struct mye_identity identity_of(const struct mye_consumer *c)
{
	const struct mye_identity *from = &c->seg.producer->identity;
	struct mye_identity who = {
		.pid = __atomic_load_n(&from->pid, __ATOMIC_RELAXED),
		.start_ticks = __atomic_load_n(&from->start_ticks, __ATOMIC_RELAXED),
		.pidns = __atomic_load_n(&from->pidns, __ATOMIC_RELAXED),
		.pidfd_ino = __atomic_load_n(&from->pidfd_ino, __ATOMIC_RELAXED),
		.boot_id = {__atomic_load_n(&from->boot_id[0], __ATOMIC_RELAXED),
	                    __atomic_load_n(&from->boot_id[1], __ATOMIC_RELAXED)},
		.cpu = __atomic_load_n(&from->cpu, __ATOMIC_RELAXED),
	};

	return who;
}

static struct mye_host *host_find(const struct myelon_waitset *ws, const struct mye_identity *who)
{
	struct mye_host *h;

	for (h = ws->hosts; h; h = h->next)
		if (h->pid == who->pid && h->start_ticks == who->start_ticks &&
		    h->pidns == who->pidns && h->pidfd_ino == who->pidfd_ino)
			break;
	return h;
}

static int open_pidfd(const struct mye_identity *who)
{
	int fd;

	mye_fork_enter();
	fd = mye_fork_keep(mye_pidfd_of(who));
	mye_fork_leave();
	return fd;
}

/* @return 0, also if it cannot be watched; -ESRCH: it is gone. */
static int watch(struct myelon_waitset *ws, struct mye_host *h, const struct mye_identity *who)
{
	int fd;

	if (!ws->watching || h->own || h->refused || h->pidfd >= 0)
		return 0;
	fd = open_pidfd(who);
	if (fd == -ESRCH)
		return fd;
	if (fd >= 0 &&
	    mye_loop_add_fd(ws->loop, fd, MYE_HOST_EVENTS, MYE_TAG_HOST | h->number) < 0) {
		mye_fork_close(fd);
		fd = -1;
	}
	h->pidfd = fd < 0 ? -1 : fd;
	h->refused = fd < 0;
	ws->watched += fd >= 0;
	return 0;
}

static void unwatch(struct myelon_waitset *ws, struct mye_host *h)
{
	if (h->pidfd < 0)
		return;
	mye_loop_remove(ws->loop, MYE_TAG_HOST | h->number);
	mye_fork_close(h->pidfd);
	h->pidfd = -1;
	ws->watched--;
}

static struct mye_host *host_new(struct myelon_waitset *ws, const struct mye_identity *who)
{
	struct mye_host *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->number = ws->host_number++;
	h->pid = who->pid;
	h->start_ticks = who->start_ticks;
	h->pidns = who->pidns;
	h->pidfd_ino = who->pidfd_ino;
	h->cpu = who->cpu;
	h->pidfd = -1;
	h->own = who->pid == mye_pid() && who->pidns == mye_pid_namespace() &&
	         who->start_ticks == mye_start_ticks(0);
	h->next = ws->hosts;
	ws->hosts = h;
	ws->host_count++;
	return h;
}

static void host_drop(struct myelon_waitset *ws, struct mye_host *h)
{
	struct mye_host **at = &ws->hosts;

	unwatch(ws, h);
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	ws->host_count--;
	free(h);
}

void mye_host_leave(struct myelon_waitset *ws, struct mye_source *s)
{
	struct mye_host *h = s->consumer.host;

	s->consumer.host = NULL;
	s->consumer.dying = s->consumer.ask = false;
	if (h && --h->rings == 0)
		host_drop(ws, h);
}

/* Its process is gone: ask until its lock is, too, which may take as long as its memory takes to be freed. */
static void begin_dying(struct myelon_waitset *ws, struct mye_source *s)
{
	mye_host_leave(ws, s);
	s->consumer.dying = s->consumer.ask = true;
	s->consumer.backoff_ns = BACKOFF_FIRST_NS;
	s->consumer.ask_at = 0;
	ws->retry_at = 0;
}

void mye_host_follow(struct myelon_waitset *ws, struct mye_source *s, uint64_t epoch)
{
	struct mye_identity who = identity_of(s->consumer.c);
	struct mye_host *h;

	mye_host_leave(ws, s);
	s->consumer.epoch = epoch;
	if (s->consumer.told == epoch)
		return;
	s->consumer.ask = true;
	h = host_find(ws, &who);
	if (!h)
		h = host_new(ws, &who);
	if (!h)
		return;
	h->rings++;
	s->consumer.host = h;
	if (watch(ws, h, &who) < 0)
		begin_dying(ws, s);
}

void mye_host_ended(struct myelon_waitset *ws, uint64_t tag)
{
	struct mye_host *h;
	uint32_t i;

	for (h = ws->hosts; h && h->number != (uint32_t)tag; h = h->next)
		;
	if (!h)
		return;
	unwatch(ws, h);
	/* The last of them takes it away. */
	for (i = 0; i < ws->rings.count; i++) {
		struct mye_source *s = ws->rings.at[i];
		bool last = h->rings == 1;

		if (s->kind != MYELON_EVENT_CONSUMER || s->consumer.host != h)
			continue;
		begin_dying(ws, s);
		if (last)
			return;
	}
}

void mye_hosts_revise(struct myelon_waitset *ws)
{
	bool watching = ws->pollable || ws->descriptors > 0 ||
	                mye_loop_engine(ws->loop) == MYELON_ENGINE_URING;
	struct mye_host *h;
	uint32_t i;

	if (watching == ws->watching)
		return;
	ws->watching = watching;
	for (h = ws->hosts; h; h = h->next) {
		unwatch(ws, h);
		h->refused = false;
	}
	/* They are looked for again with the next look. */
	for (i = 0; i < ws->rings.count; i++)
		if (ws->rings.at[i]->kind == MYELON_EVENT_CONSUMER)
			ws->rings.at[i]->consumer.epoch = 0;
}

int mye_hosts_enter(struct mye_loop *loop, const struct myelon_waitset *ws)
{
	const struct mye_host *h;
	int rc = 0;

	for (h = ws->hosts; h && rc == 0; h = h->next)
		if (h->pidfd >= 0)
			rc = mye_loop_add_fd(loop, h->pidfd, MYE_HOST_EVENTS,
			                     MYE_TAG_HOST | h->number);
	return rc;
}

void mye_hosts_ask(struct myelon_waitset *ws, int64_t now)
{
	uint32_t count = ws->rings.count, turn = ws->ask_next, in_turn = 0;

	ws->asked_ns = now;
	mye_hosts_revise(ws);
	for (uint32_t i = 0; i < count; i++, turn++) {
		struct mye_set_consumer *own;

		if (turn >= count)
			turn = 0;
		own = &ws->rings.at[turn]->consumer;
		if (ws->rings.at[turn]->kind != MYELON_EVENT_CONSUMER || own->dying ||
		    own->told == own->epoch)
			continue;
		if (own->host && (own->host->own || own->host->pidfd >= 0)) {
			if (in_turn == ASK_IN_TURN)
				continue;
			in_turn++;
			ws->ask_next = turn + 1;
		}
		own->ask = true;
	}
}

void mye_hosts_retry(struct myelon_waitset *ws, int64_t now)
{
	if (now < ws->retry_at)
		return;
	ws->retry_at = INT64_MAX;
	for (uint32_t i = 0; i < ws->rings.count; i++) {
		struct mye_source *s = ws->rings.at[i];

		if (s->kind != MYELON_EVENT_CONSUMER || !s->consumer.dying)
			continue;
		if (s->consumer.ask_at <= now)
			s->consumer.ask = true;
		else if (s->consumer.ask_at < ws->retry_at)
			ws->retry_at = s->consumer.ask_at;
	}
}

void mye_host_later(struct myelon_waitset *ws, struct mye_source *s)
{
	struct mye_set_consumer *own = &s->consumer;

	own->ask_at = mye_now() + own->backoff_ns;
	if (own->backoff_ns < BACKOFF_LAST_NS)
		own->backoff_ns *= 2;
	if (own->ask_at < ws->retry_at)
		ws->retry_at = own->ask_at;
}

void mye_hosts_close(struct myelon_waitset *ws)
{
	while (ws->hosts)
		host_drop(ws, ws->hosts);
}
