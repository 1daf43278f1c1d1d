/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * How the death of a producer is noticed while its consumers sleep. The verdict is its lock's, as
 * everywhere; here is only when to ask. A pidfd of its process, shared by all rings of that process, says when:
 * in the loop its end is an event. Where there is none the lock is asked for at each cap of 1 s; with it
 * some are, in turn, since a process may lose its lock and live on (exec).
 *
 * The epoll engine sleeps on words alone in one call, and needs threads for words and descriptors
 * together: there the pidfds of a set of rings only are looked at with each cap instead.
 *
 * A process that is not watched by its pidfd may have a lease (liveness/lease.h): a word, so any engine sleeps
 * on it. One ring's stands for all of the process.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/handle.h"
#include "ring/peer.h"
#include "ring/sleeper.h"
#include "sys/sys.h"
#include "waitset/set.h"

#define BACKOFF_FIRST_NS 1000000
#define BACKOFF_LAST_NS MYE_CAP_NS
#define ASK_IN_TURN 1 /* of those whose process lives, at each cap */
#define ASK_AT_ONCE 64

/* With the next look. */
static void ask(struct myelon_waitset *ws, struct mye_source *s)
{
	s->consumer.ask = true;
	ws->asking = true;
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

static void watch(struct myelon_waitset *ws, struct mye_host *h)
{
	if (!ws->watching || h->pidfd < 0 || h->in_loop)
		return;
	h->in_loop =
		mye_loop_add_fd(ws->loop, h->pidfd, MYE_HOST_EVENTS, MYE_TAG_HOST | h->number) == 0;
	ws->watched += h->in_loop;
}

static void unwatch(struct myelon_waitset *ws, struct mye_host *h)
{
	if (!h->in_loop)
		return;
	mye_loop_remove(ws->loop, MYE_TAG_HOST | h->number);
	h->in_loop = false;
	ws->watched--;
}

static const uint32_t *lease_word(const struct mye_source *s)
{
	return &s->consumer.c->seg.shared->lease.lease[MYE_LEASE_PRODUCER];
}

static void watch_lease(struct myelon_waitset *ws, struct mye_host *h, struct mye_source *s)
{
	uint32_t lease;

	if (h->own || h->in_loop || h->leased)
		return;
	lease = mye_peer_lease(&s->consumer.c->seg);
	if (mye_lease_state_of(lease) != MYE_LEASE_HELD ||
	    mye_loop_add_word(ws->loop, lease_word(s), MYE_TAG_LEASE | h->number) < 0)
		return;
	h->leased = s;
	h->lease = lease;
}

static void unwatch_lease(struct myelon_waitset *ws, struct mye_host *h)
{
	if (!h->leased)
		return;
	mye_loop_remove(ws->loop, MYE_TAG_LEASE | h->number);
	h->leased = NULL;
}

/* The first that is found. */
static void watch_some_lease(struct myelon_waitset *ws, struct mye_host *h)
{
	for (uint32_t i = 0; i < ws->rings.count && !h->leased; i++) {
		struct mye_source *s = ws->rings.at[i];

		if (s->kind == MYELON_EVENT_CONSUMER && s->consumer.host == h)
			watch_lease(ws, h, s);
	}
}

/* @return 0, also if there is no memory for it; -ESRCH: it is gone. */
static int host_new(struct myelon_waitset *ws, const struct mye_identity *who,
                    struct mye_host **out)
{
	struct mye_host *h = calloc(1, sizeof(*h));

	*out = h;
	if (!h)
		return 0;
	h->number = ws->host_number++;
	h->pid = who->pid;
	h->start_ticks = who->start_ticks;
	h->pidns = who->pidns;
	h->pidfd_ino = who->pidfd_ino;
	h->cpu = who->cpu;
	h->own = mye_identity_is_own(who);
	h->pidfd = h->own ? -1 : mye_fork_open_pidfd(who);
	if (h->pidfd == -ESRCH) {
		free(h);
		return -ESRCH;
	}
	h->next = ws->hosts;
	ws->hosts = h;
	ws->host_count++;
	watch(ws, h);
	return 0;
}

static void host_drop(struct myelon_waitset *ws, struct mye_host *h)
{
	struct mye_host **at = &ws->hosts;

	unwatch(ws, h);
	mye_fork_close(h->pidfd);
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	ws->host_count--;
	free(h);
}

void mye_host_leave(struct myelon_waitset *ws, struct mye_source *s)
{
	struct mye_host *h = s->consumer.host;
	bool leased = h && h->leased == s;

	s->consumer.host = NULL;
	s->consumer.dying = s->consumer.ask = false;
	if (leased)
		unwatch_lease(ws, h);
	if (h && --h->rings == 0)
		host_drop(ws, h);
	else if (leased)
		watch_some_lease(ws, h);
}

/* Its process is gone: ask until its lock is, too, which may take as long as its memory takes to be freed. */
static void begin_dying(struct myelon_waitset *ws, struct mye_source *s)
{
	mye_host_leave(ws, s);
	s->consumer.dying = true;
	ask(ws, s);
	s->consumer.backoff_ns = BACKOFF_FIRST_NS;
	s->consumer.ask_at = 0;
	ws->retry_at = 0;
}

void mye_host_follow(struct myelon_waitset *ws, struct mye_source *s, uint64_t epoch)
{
	struct mye_identity who;
	struct mye_host *h;

	mye_identity_read(&who, &s->consumer.c->seg.producer->identity);
	mye_host_leave(ws, s);
	s->consumer.epoch = epoch;
	if (s->consumer.told == epoch)
		return;
	ask(ws, s);
	h = host_find(ws, &who);
	if (!h && host_new(ws, &who, &h) < 0) {
		begin_dying(ws, s);
		return;
	}
	if (!h)
		return;
	h->rings++;
	s->consumer.host = h;
	watch_lease(ws, h, s);
	/* Also if that is news since the line above, which the loop took for what the word was. */
	if (mye_lease_look(&s->consumer.c->seg, MYE_LEASE_PRODUCER) == MYE_LEASE_DYING)
		begin_dying(ws, s);
}

static void host_ended(struct myelon_waitset *ws, struct mye_host *h)
{
	unwatch(ws, h);
	unwatch_lease(ws, h);
	/* The last of them takes it away. */
	for (uint32_t i = 0; i < ws->rings.count; i++) {
		struct mye_source *s = ws->rings.at[i];
		bool last = h->rings == 1;

		if (s->kind != MYELON_EVENT_CONSUMER || s->consumer.host != h)
			continue;
		begin_dying(ws, s);
		if (last)
			return;
	}
}

static struct mye_host *host_of(const struct myelon_waitset *ws, uint64_t tag)
{
	struct mye_host *h;

	for (h = ws->hosts; h && h->number != (uint32_t)tag; h = h->next)
		;
	return h;
}

void mye_host_ended(struct myelon_waitset *ws, uint64_t tag)
{
	struct mye_host *h = host_of(ws, tag);

	if (h)
		host_ended(ws, h);
}

/* It is dying, or it closed this ring, or another has it. */
void mye_host_lease_changed(struct myelon_waitset *ws, uint64_t tag)
{
	struct mye_host *h = host_of(ws, tag);
	struct mye_segment *seg;

	if (!h || !h->leased)
		return;
	seg = &h->leased->consumer.c->seg;
	mye_lease_pass_on(seg, MYE_LEASE_PRODUCER, h->lease);
	unwatch_lease(ws, h);
	if (mye_lease_look(seg, MYE_LEASE_PRODUCER) == MYE_LEASE_DYING)
		host_ended(ws, h);
	else
		watch_some_lease(ws, h);
}

/* Those whose end is not an event, all in one call. */
static void ask_processes(struct myelon_waitset *ws)
{
	struct mye_host *host[ASK_AT_ONCE], *h = ws->hosts;
	bool ended[ASK_AT_ONCE];
	int fd[ASK_AT_ONCE], n;

	while (h) {
		for (n = 0; h && n < ASK_AT_ONCE; h = h->next) {
			if (h->pidfd < 0 || h->in_loop)
				continue;
			fd[n] = h->pidfd;
			host[n++] = h;
		}
		if (n == 0 || mye_pidfds_ended(fd, ended, n) == 0)
			continue;
		for (int i = 0; i < n; i++)
			if (ended[i])
				host_ended(ws, host[i]);
	}
}

void mye_hosts_revise(struct myelon_waitset *ws)
{
	bool watching = ws->pollable || ws->descriptors > 0 ||
	                mye_loop_engine(ws->loop) == MYELON_ENGINE_URING;
	struct mye_host *h;

	if (watching == ws->watching)
		return;
	ws->watching = watching;
	for (h = ws->hosts; h; h = h->next) {
		if (watching)
			watch(ws, h);
		else
			unwatch(ws, h);
		if (h->in_loop)
			unwatch_lease(ws, h);
		else
			watch_some_lease(ws, h);
	}
}

int mye_hosts_enter(struct mye_loop *loop, const struct myelon_waitset *ws)
{
	const struct mye_host *h;
	int rc = 0;

	for (h = ws->hosts; h && rc == 0; h = h->next) {
		if (h->in_loop)
			rc = mye_loop_add_fd(loop, h->pidfd, MYE_HOST_EVENTS,
			                     MYE_TAG_HOST | h->number);
		else if (h->leased)
			rc = mye_loop_add_word(loop, lease_word(h->leased),
			                       MYE_TAG_LEASE | h->number);
	}
	return rc;
}

/* Is there a process that cannot be seen, so that its rings are asked for at every cap? */
static bool any_unseen(const struct myelon_waitset *ws)
{
	const struct mye_host *h = ws->hosts;

	while (h && (h->own || h->pidfd >= 0))
		h = h->next;
	return h != NULL;
}

void mye_hosts_ask(struct myelon_waitset *ws, int64_t now)
{
	uint32_t count = ws->rings.count, turn = ws->ask_next, in_turn = 0;
	bool every;

	ws->asked_ns = now;
	mye_hosts_revise(ws);
	ask_processes(ws);
	every = any_unseen(ws);
	for (uint32_t i = 0; i < count; i++, turn++) {
		struct mye_set_consumer *own;

		/* Sources are not touched for nothing: after a second of sleep each is far away. */
		if (!every && in_turn == ASK_IN_TURN)
			break;
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
			own->ask = true;
			continue;
		}
		ask(ws, ws->rings.at[turn]);
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
			ask(ws, s);
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
