/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A watch without its look at everything each second. */
#ifndef MYELON_TEST_PEERS_INSIDE_H
#define MYELON_TEST_PEERS_INSIDE_H

#include "peers_kit.h"
#include "ring/peers.h"

/* That would find it all: so what is told from now on was heard, or looked for in time. */
static inline void peers_hear_only(struct myelon_peers *w)
{
	struct mye_peers *inside = (struct mye_peers *)(void *)w;
	bool only = inside->due == inside->whole_at;

	inside->whole_at = kit_now_ns() + 3600000 * MS;
	if (only)
		inside->due = inside->whole_at;
}

#endif
