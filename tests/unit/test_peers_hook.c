/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A watch with a hook: on which thread it runs, what it may do there, and how it ends. */
#include "peers_kit.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

TestSuite(peers_hook, .timeout = 120);

#define TOLD 256

/* What the hook was told, and what it does. */
static struct heard {
	pthread_mutex_t lock;
	pthread_cond_t more;
	unsigned int count;
	struct myelon_peer_event event[TOLD];
	pid_t tid;
	struct myelon_peers *close; /* by the hook of that, or of another one */
	int close_rc;
	const char *join; /* the hook attaches to this ring, once */
	struct myelon_consumer *joined;
	struct myelon_producer *led;
} heard = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static void hear(void *ctx, const struct myelon_peer_event *e)
{
	struct heard *h = ctx;
	struct myelon_peers *w;
	const char *join;

	pthread_mutex_lock(&h->lock);
	h->event[h->count++ % TOLD] = *e;
	h->tid = gettid();
	w = h->close;
	h->close = NULL;
	join = h->join;
	h->join = NULL;
	pthread_cond_broadcast(&h->more);
	pthread_mutex_unlock(&h->lock);
	if (w)
		h->close_rc = myelon_peers_close(w);
	if (join)
		myelon_consumer_attach(&h->joined, join, WITH(.id = "by-the-hook"));
	if (join)
		myelon_producer_create(&h->led, "led", SMALL(.flags = MYELON_F_LEASE));
}

/* The @nth call is that one. */
static struct myelon_peer_event heard_is(unsigned int nth, enum myelon_peer_change change,
                                         const char *id)
{
	struct myelon_peer_event e;

	pthread_mutex_lock(&heard.lock);
	while (heard.count <= nth)
		pthread_cond_wait(&heard.more, &heard.lock);
	e = heard.event[nth];
	pthread_mutex_unlock(&heard.lock);
	cr_assert(e.change == (uint32_t)change && strcmp(e.id, id) == 0, "%s, not %s '%s'",
	          peers_say(&e), myelon_peer_change_name(change), id);
	return e;
}

#define HOOK WATCH(.on_peer_change = hear, .ctx = &heard)

static uint32_t keeper_tid(void)
{
	struct myelon_keeper_info info = {.size = sizeof(info)};

	cr_ok(myelon_keeper_info(&info));
	return info.tid;
}

Test(peers_hook, keepers_thread_calls_while_nobody_waits)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_peers *w = peers_watch(name, HOOK);
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;
	struct myelon_consumer *c = NULL;

	heard_is(0, MYELON_CHANGE_ATTACHED, "");
	cr_assert_eq((uint32_t)heard.tid, keeper_tid());
	for (unsigned int i = 0; i < 50; i++) {
		c = ring_join(name, WITH(.id = "x"));
		heard_is(2 * i + 1, i ? MYELON_CHANGE_REJOINED : MYELON_CHANGE_ATTACHED, "x");
		myelon_consumer_close(c);
		heard_is(2 * i + 2, MYELON_CHANGE_DETACHED, "x");
	}
	/* It is the keeper who asks. */
	cr_assert_eq(myelon_peers_next(w, &e, MYELON_TRY), -EBUSY);
	cr_assert_eq(myelon_peers_fd(w), -EBUSY);
	myelon_peers_interrupt(w);
	myelon_producer_close(p);
	heard_is(101, MYELON_CHANGE_DETACHED, "");
	heard_is(102, MYELON_CHANGE_REMOVED, "");
	cr_ok(myelon_peers_close(w));
	cr_assert_eq(keeper_tid(), 0, "the keeper runs on");
	cr_assert_eq(heard.count, 103);
}

Test(peers_hook, is_not_called_after_close)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());

	for (int i = 0; i < 200; i++) {
		struct myelon_peers *w = peers_watch(name, HOOK);
		struct myelon_consumer *c = ring_join(name, NULL);
		unsigned int count;

		cr_ok(myelon_peers_close(w));
		count = heard.count;
		myelon_consumer_close(c);
		cr_assert_eq(heard.count, count);
	}
	myelon_producer_close(p);
}

Test(peers_hook, closes_itself_in_vain_and_another_watch)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_peers *w = peers_watch(name, HOOK), *other;
	struct myelon_consumer *c;

	heard_is(0, MYELON_CHANGE_ATTACHED, "");
	pthread_mutex_lock(&heard.lock);
	heard.close = w;
	pthread_mutex_unlock(&heard.lock);
	c = ring_join(name, WITH(.id = "x"));
	heard_is(1, MYELON_CHANGE_ATTACHED, "x");
	myelon_consumer_close(c);
	heard_is(2, MYELON_CHANGE_DETACHED, "x");
	cr_assert_eq(heard.close_rc, -EDEADLK);
	other = peers_watch(name, WATCH(.on_peer_change = hear, .ctx = &heard));
	heard_is(3, MYELON_CHANGE_ATTACHED, "");
	pthread_mutex_lock(&heard.lock);
	heard.close = other;
	pthread_mutex_unlock(&heard.lock);
	/* Whichever hook comes first: one of the two answers. */
	c = ring_join(name, WITH(.id = "x"));
	heard_is(4, MYELON_CHANGE_REJOINED, "x");
	myelon_consumer_close(c);
	pthread_mutex_lock(&heard.lock);
	while (heard.count <= 5)
		pthread_cond_wait(&heard.more, &heard.lock);
	pthread_mutex_unlock(&heard.lock);
	cr_assert(heard.close_rc == 0 || heard.close_rc == -EDEADLK);
	heard_is(5, heard.close_rc ? MYELON_CHANGE_REJOINED : MYELON_CHANGE_DETACHED, "x");
	if (heard.close_rc)
		cr_ok(myelon_peers_close(other));
	cr_ok(myelon_peers_close(w));
	myelon_producer_close(p);
}

/* What needs the keeper itself, too: a lease. */
Test(peers_hook, may_attach_and_create)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_peers *w;

	heard.join = name;
	w = peers_watch(name, HOOK);
	heard_is(0, MYELON_CHANGE_ATTACHED, "");
	heard_is(1, MYELON_CHANGE_ATTACHED, "by-the-hook");
	cr_ok(myelon_peers_close(w));
	cr_assert_not_null(heard.joined);
	cr_assert_not_null(heard.led);
	myelon_producer_close(heard.led);
	myelon_consumer_close(heard.joined);
	myelon_producer_close(p);
}

Test(peers_hook, application_that_drives_the_keeper_is_called_there)
{
	struct pollfd poll_fd = {.events = POLLIN};
	char name[KIT_NAME];
	struct myelon_producer *p;
	struct myelon_consumer *c;
	struct myelon_peers *w;
	unsigned int want = 1;

	poll_fd.fd = myelon_keeper_fd();
	cr_assert_geq(poll_fd.fd, 0);
	p = ring_make(name, SMALL());
	w = peers_watch(name, HOOK);
	for (int i = 0; i < 20; i++) {
		while (heard.count < want) {
			cr_assert_eq(poll(&poll_fd, 1, 20000), 1, "round %d", i);
			cr_assert_geq(myelon_keeper_service(MYELON_TRY), 0);
		}
		cr_assert_eq(heard.tid, gettid());
		c = ring_join(name, WITH(.id = "x"));
		want++;
		while (heard.count < want) {
			cr_assert_eq(poll(&poll_fd, 1, 20000), 1, "round %d", i);
			cr_assert_geq(myelon_keeper_service(MYELON_TRY), 0);
		}
		heard.close = w;
		myelon_consumer_close(c);
		want++;
	}
	while (heard.count < want)
		cr_assert_geq(myelon_keeper_service(kit_deadline(20)), 0);
	cr_assert_eq(heard.close_rc, -EDEADLK);
	cr_ok(myelon_peers_close(w));
	myelon_producer_close(p);
}
