/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the tests of watches share. */
#ifndef MYELON_TEST_PEERS_KIT_H
#define MYELON_TEST_PEERS_KIT_H

#include "ring_kit.h"

#include <stdio.h>
#include <string.h>

#define WATCH(...) (&MYELON_PEERS_OPTS(__VA_ARGS__))

static inline struct myelon_peers *peers_watch(const char *name,
                                               const struct myelon_peers_opts *opts)
{
	struct myelon_peers *w = NULL;

	cr_ok(myelon_peers_open(&w, name, opts));
	return w;
}

static inline const char *peers_say(const struct myelon_peer_event *e)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s %s '%s' pid %d generation %llu cursor %lld%s",
	         myelon_peer_role_name((enum myelon_peer_role)e->role),
	         myelon_peer_change_name((enum myelon_peer_change)e->change), e->id, e->pid,
	         (unsigned long long)e->generation, (long long)e->cursor, e->first ? " first" : "");
	return text;
}

/* The next change, within the watchdog's time. */
static inline struct myelon_peer_event peers_next(struct myelon_peers *w)
{
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;
	int rc = myelon_peers_next(w, &e, kit_deadline(60));

	cr_assert_eq(rc, 0, "next: %d: %s", rc, myelon_last_error());
	return e;
}

/* The next change is that one. @id "": of the producer. */
static inline struct myelon_peer_event peers_expect(struct myelon_peers *w,
                                                    enum myelon_peer_change change, const char *id)
{
	struct myelon_peer_event e = peers_next(w);

	cr_assert(e.change == (uint32_t)change && strcmp(e.id, id) == 0, "%s, not %s '%s'",
	          peers_say(&e), myelon_peer_change_name(change), id);
	return e;
}

/* There is no change, and this is not for lack of time: a look at everything is made. */
static inline void peers_expect_none(struct myelon_peers *w)
{
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;
	int rc = myelon_peers_next(w, &e, MYELON_TRY);

	cr_assert_eq(rc, -EAGAIN, "%d, %s", rc, rc == 0 ? peers_say(&e) : myelon_last_error());
}

#endif
