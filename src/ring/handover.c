/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "ring/handover.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/error.h"
#include "base/handle.h"
#include "ring/adopt.h"
#include "segment/data.h"
#include "sys/sys.h"
#include "wait/loop.h"

#define PACKET_MAGIC 0x6d79686fu /* "ohym" in memory */
#define SPEAK_NS 1000000000ll    /* a client that says nothing is dropped after that */
#define CLIENTS_MAX 256          /* at once, for a ring with few consumers */

/* What a client says, once. */
struct packet {
	uint32_t magic;
	uint32_t index;
	uint32_t offer;
	uint32_t reserved; /* 0 */
	uint64_t nonce[2];
};

struct client {
	struct mye_task task;
	struct mye_handover_server *server;
	struct client *next, *prev;
	int fd;
	bool accepted; /* its offer was taken */
	uint32_t index, offer;
};

struct mye_handover_server {
	struct mye_task task;
	struct mye_adoption *adoption;
	const struct mye_segment *seg;
	struct client *clients;
	uint32_t count, max;
	int fd;
	bool warned;
};

/* The consumer's side. */

static void connection_ended(struct mye_task *t, uint32_t events)
{
	struct mye_handover *h = MYE_CONTAINER(t, struct mye_handover, task);

	(void)events;
	mye_handover_withdraw(h);
	h->ended(h);
}

static bool may_be(const struct mye_segment *seg, int fd)
{
	uint32_t uid, gid;

	return mye_socket_peer(fd, &uid, &gid) == 0 &&
	       (uid == seg->owner || uid == mye_euid() || uid == 0);
}

int mye_handover_offer(struct mye_handover *h, const struct mye_segment *seg, uint32_t index,
                       uint32_t offer, int event_fd)
{
	const struct packet p = {.magic = PACKET_MAGIC,
	                         .index = index,
	                         .offer = offer,
	                         .nonce = {seg->header.nonce[0], seg->header.nonce[1]}};
	char name[MYE_SOCKET_NAME];
	int rc;

	mye_handover_withdraw(h);
	mye_socket_name(name, seg->header.nonce);
	mye_fork_enter();
	rc = h->fd = mye_fork_keep(mye_socket_connect(seg->dir_fd, name));
	mye_fork_leave();
	if (rc < 0)
		return rc;
	/* A socket of somebody else under this name gets no descriptor of ours. */
	rc = may_be(seg, h->fd) ? mye_socket_send(h->fd, &p, sizeof(p), event_fd) : -EPERM;
	if (rc == 0) {
		h->task = (struct mye_task){.ready = connection_ended, .deadline = MYELON_FOREVER};
		rc = mye_task_fd(&h->task, h->fd, EPOLLIN | EPOLLRDHUP);
	}
	if (rc < 0)
		mye_handover_withdraw(h);
	return rc;
}

void mye_handover_withdraw(struct mye_handover *h)
{
	mye_task_end(&h->task);
	mye_fork_close(h->fd);
	h->fd = -1;
}

/* The producer's side. */

static void drop_client(struct client *c)
{
	struct mye_handover_server *s = c->server;

	mye_task_end(&c->task);
	mye_fork_close(c->fd);
	if (c->accepted)
		mye_adopted_drop(s->adoption, c->index, c->offer);
	if (c->next)
		c->next->prev = c->prev;
	if (c->prev)
		c->prev->next = c->next;
	else
		s->clients = c->next;
	s->count--;
	free(c);
}

/* Rubbish, silence or a stranger: one warning per ring, however many there are. */
static void refuse(struct client *c, const char *why)
{
	struct mye_handover_server *s = c->server;

	__atomic_fetch_add(&mye_keeper_counts()->refused, 1, __ATOMIC_RELAXED);
	if (!s->warned)
		mye_warn("ring %s: a connection to its socket was dropped: %s", s->seg->place.name,
		         why);
	s->warned = true;
	drop_client(c);
}

static bool valid(const struct mye_handover_server *s, const struct packet *p, ssize_t n)
{
	return n == (ssize_t)sizeof(*p) && p->magic == PACKET_MAGIC && p->reserved == 0 &&
	       p->nonce[0] == s->seg->header.nonce[0] && p->nonce[1] == s->seg->header.nonce[1];
}

static void client_spoke(struct mye_task *t, uint32_t events)
{
	struct client *c = MYE_CONTAINER(t, struct client, task);
	struct packet p = {0};
	ssize_t n;
	int fd;

	(void)events;
	mye_fork_enter();
	n = mye_socket_receive(c->fd, &p, sizeof(p), &fd);
	if (fd >= 0 && mye_fork_register(fd) < 0) {
		mye_close(fd);
		fd = -1;
	}
	mye_fork_leave();
	if (n == -EAGAIN)
		return;
	if (c->accepted || n == 0) {
		mye_fork_close(fd);
		if (n <= 0 && c->accepted)
			drop_client(c);
		else
			refuse(c, n == 0 ? "it closed without an offer" : "it spoke twice");
		return;
	}
	if (fd < 0 || !valid(c->server, &p, n)) {
		mye_fork_close(fd);
		refuse(c, "it sent something else than an offer");
		return;
	}
	if (mye_adopt(c->server->adoption, p.index, p.offer, fd) < 0) {
		refuse(c, "it offered what no consumer of the ring has");
		return;
	}
	c->accepted = true;
	c->index = p.index;
	c->offer = p.offer;
	c->task.deadline = MYELON_FOREVER;
}

static void client_silent(struct mye_task *t)
{
	refuse(MYE_CONTAINER(t, struct client, task), "it said nothing");
}

/*
 * Not the group of a ring that has one: who gives a descriptor can make a write to it block, and the
 * write is made in publish(). Others are woken by their keepers.
 */
static bool welcome(const struct mye_handover_server *s, int fd)
{
	uint32_t uid, gid;

	if (mye_socket_peer(fd, &uid, &gid) < 0)
		return false;
	return uid == s->seg->owner || uid == mye_euid() || uid == 0;
}

static void admit(struct mye_handover_server *s, int fd)
{
	struct client *c = s->count < s->max ? calloc(1, sizeof(*c)) : NULL;

	if (!c) {
		mye_fork_close(fd);
		return;
	}
	c->server = s;
	c->fd = fd;
	c->task = (struct mye_task){
		.ready = client_spoke, .expired = client_silent, .deadline = mye_now() + SPEAK_NS};
	c->next = s->clients;
	if (c->next)
		c->next->prev = c;
	s->clients = c;
	s->count++;
	if (!welcome(s, fd))
		refuse(c, "it is of another user");
	else if (mye_task_fd(&c->task, fd, EPOLLIN | EPOLLRDHUP) < 0)
		drop_client(c);
}

/* Only with room for the descriptor that is to come, too: without it an offer would be refused for good. */
static int let_in(const struct mye_handover_server *s)
{
	int spare, fd;

	mye_fork_enter();
	fd = spare = mye_event_open();
	if (spare >= 0) {
		fd = mye_fork_keep(mye_socket_accept(s->fd));
		mye_close(spare);
	}
	mye_fork_leave();
	return fd;
}

static void knocked(struct mye_task *t, uint32_t events)
{
	struct mye_handover_server *s = MYE_CONTAINER(t, struct mye_handover_server, task);
	int fd = let_in(s);

	(void)events;
	if (fd >= 0) {
		admit(s, fd);
		return;
	}
	/* No descriptor left: the connection stays in the queue, and the listener readable. */
	if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM) {
		mye_task_end(&s->task);
		s->task.deadline = mye_now() + SPEAK_NS;
		mye_task_timer(&s->task);
	}
}

static void listen_again(struct mye_task *t)
{
	struct mye_handover_server *s = MYE_CONTAINER(t, struct mye_handover_server, task);

	mye_task_end(t);
	if (mye_task_fd(t, s->fd, EPOLLIN) < 0) {
		t->deadline = mye_now() + SPEAK_NS;
		mye_task_timer(t);
	}
}

/* Only the producer has this name, and its lock: what lies there is of a dead one. */
static int bind_name(const struct mye_segment *seg, const char *name)
{
	int fd = mye_socket_listen(seg->dir_fd, name, 0600);
	struct stat st;

	if (fd != -EADDRINUSE)
		return fd;
	if (mye_stat_at(seg->dir_fd, name, &st) < 0 || !S_ISSOCK(st.st_mode) ||
	    mye_unlink_at(seg->dir_fd, name) < 0)
		return -EADDRINUSE;
	return mye_socket_listen(seg->dir_fd, name, 0600);
}

static int begin(void *arg)
{
	struct mye_handover_server *s = arg;

	s->task = (struct mye_task){
		.ready = knocked, .expired = listen_again, .deadline = MYELON_FOREVER};
	return mye_task_fd(&s->task, s->fd, EPOLLIN);
}

static int end(void *arg)
{
	struct mye_handover_server *s = arg;
	struct client *c, *next;

	for (c = s->clients; c; c = next) {
		next = c->next;
		drop_client(c);
	}
	mye_task_end(&s->task);
	return 0;
}

static int open_socket(struct mye_handover_server *s)
{
	char name[MYE_SOCKET_NAME];

	mye_socket_name(name, s->seg->header.nonce);
	mye_fork_enter();
	s->fd = mye_fork_keep(bind_name(s->seg, name));
	mye_fork_leave();
	if (s->fd >= 0)
		return 0;
	return mye_fail(s->fd, "socket %s/%s cannot be made: %s", s->seg->place.dir, name,
	                myelon_strerror(s->fd));
}

static void close_socket(struct mye_handover_server *s)
{
	char name[MYE_SOCKET_NAME];

	mye_socket_name(name, s->seg->header.nonce);
	mye_unlink_at(s->seg->dir_fd, name);
	mye_fork_close(s->fd);
}

static int serve(struct mye_handover_server *s)
{
	int rc = mye_keeper_hold();

	if (rc < 0)
		return rc;
	rc = mye_keeper_call(begin, s);
	if (rc < 0)
		mye_keeper_drop();
	return rc;
}

int mye_handover_serve(struct mye_handover_server **out, struct mye_adoption *a,
                       const struct mye_segment *seg)
{
	struct mye_handover_server *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return mye_fail_static(-ENOMEM, "no memory for a socket");
	s->adoption = a;
	s->seg = seg;
	s->max = seg->header.max_consumers + CLIENTS_MAX;
	rc = open_socket(s);
	if (rc == 0) {
		rc = serve(s);
		if (rc < 0)
			close_socket(s);
	}
	if (rc < 0) {
		free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void mye_handover_stop(struct mye_handover_server *s)
{
	if (!s)
		return;
	mye_keeper_call(end, s);
	mye_keeper_drop();
	close_socket(s);
	free(s);
}
