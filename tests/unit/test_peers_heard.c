/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a watch hears at once, since the look each second does not come. */
#include "peers_inside.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

TestSuite(peers_heard, .timeout = 120);

static int hold_until_killed(void *arg)
{
	struct myelon_consumer *c;

	if (myelon_consumer_attach(&c, arg, WITH(.id = "y")) < 0)
		return 1;
	for (;;)
		pause();
}

Test(peers_heard, nothing_is_left_to_the_cap_that_can_be_heard)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c;
	struct myelon_peers *w = peers_watch(name, NULL);
	struct myelon_peer_event event;
	struct kit_actor a;

	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	peers_expect_none(w);
	peers_hear_only(w);
	c = ring_join(name, WITH(.id = "x"));
	peers_expect(w, MYELON_CHANGE_ATTACHED, "x");
	cr_assert_eq(myelon_evict(name, "x", MYELON_F_FORCE, NULL), 1);
	peers_expect(w, MYELON_CHANGE_EVICTED, "x");
	myelon_consumer_close(c);
	c = ring_join(name, WITH(.id = "x"));
	peers_expect(w, MYELON_CHANGE_REJOINED, "x");
	myelon_producer_close(p);
	peers_expect(w, MYELON_CHANGE_DETACHED, "");
	cr_ok(myelon_producer_open(&p, name, NULL));
	peers_expect(w, MYELON_CHANGE_REJOINED, "");
	cr_assert_eq(kit_fork(&a, hold_until_killed, name), 0);
	peers_expect(w, MYELON_CHANGE_ATTACHED, "y");
	kit_kill(&a, SIGKILL);
	do
		event = peers_next(w);
	while (event.change == MYELON_CHANGE_DYING);
	cr_assert(event.change == MYELON_CHANGE_DIED, "%s", peers_say(&event));
	cr_assert_eq(kit_wait(&a, 30), -SIGKILL);
	myelon_consumer_close(c);
	peers_expect(w, MYELON_CHANGE_DETACHED, "x");
	myelon_producer_close(p);
	peers_expect(w, MYELON_CHANGE_DETACHED, "");
	/* Who left last took the files. */
	peers_expect(w, MYELON_CHANGE_REMOVED, "");
	cr_ok(myelon_peers_close(w));
}

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 20000) == 1;
}

/* One question for each time it is readable is enough. */
Test(peers_heard, descriptor_stays_readable_until_everything_was_told)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c[3];
	struct myelon_peers *w = peers_watch(name, NULL);
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;
	int fd = myelon_peers_fd(w), told;

	cr_assert_geq(fd, 0);
	peers_expect(w, MYELON_CHANGE_ATTACHED, "");
	peers_expect_none(w);
	peers_hear_only(w);
	peers_expect_none(w);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 3; i++)
			c[i] = ring_join(name, NULL);
		for (told = 0; told < 3;) {
			cr_assert(readable(fd), "%d were told", told);
			told += myelon_peers_next(w, &e, MYELON_TRY) == 0;
		}
		for (int i = 0; i < 3; i++)
			myelon_consumer_close(c[i]);
		for (told = 0; told < 3;) {
			cr_assert(readable(fd), "%d were told", told);
			told += myelon_peers_next(w, &e, MYELON_TRY) == 0;
		}
	}
	cr_ok(myelon_peers_close(w));
	myelon_producer_close(p);
}
