/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon pub`: a ring whose name was taken away (rm --force). Whoever is not attached cannot come. */
#include <errno.h>

#include "cli.h"
#include "pub.h"
#include "stop.h"

bool pub_name_gone(struct pub *pub)
{
	struct myelon_ring_info own = MYELON_RING_INFO_INIT, named = MYELON_RING_INFO_INIT;
	struct myelon_dir_opts o = MYELON_DIR_OPTS(.hugetlb_dir = cli_common.hugetlb_dir,
	                                           .shm_dir = cli_common.shm_dir);
	int rc = myelon_ring_describe(pub->name, &o, &named);

	if (rc == -ENOENT || rc == -ENOTDIR)
		return true;
	return rc == 0 && myelon_producer_info(pub->ring, &own) == 0 &&
	       named.created_ns != own.created_ns;
}

struct pace {
	int64_t cursor; /* the lowest one that gates, INT64_MAX: nobody gates */
	bool dead;      /* its owner is */
};

static int look(void *ctx, const struct myelon_consumer_entry *e)
{
	struct pace *p = ctx;

	if (e->gating && e->cursor < p->cursor) {
		p->cursor = e->cursor;
		p->dead = e->state == MYELON_PEER_DEAD;
	}
	return 0;
}

bool pub_stuck(struct pub *pub)
{
	struct pace p = {.cursor = INT64_MAX};

	if (myelon_producer_consumers(pub->ring, look, &p) < 0)
		return false;
	return (p.cursor == INT64_MAX || p.dead) && pub_name_gone(pub);
}

int pub_wait_for(struct pub *pub, const struct myelon_wait_for *whom, int64_t deadline)
{
	for (;;) {
		int64_t tick = myelon_deadline_after(PUB_TICK_NS);
		int rc = myelon_producer_wait_for(pub->ring, whom,
		                                  deadline < tick ? deadline : tick);

		if (rc != -ETIMEDOUT || deadline < tick || stop_signal())
			return rc;
		if (pub_name_gone(pub))
			return -ENOENT;
	}
}
