/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What consumers of slots and of frames have in common in storm: attach, look again and again, detach. */
#include "storm.h"

#include <errno.h>

static int attach(struct storm_reader *r)
{
	struct me *m = r->m;
	uint32_t evictions;
	int rc, tries = 0;

	do {
		struct myelon_attach_opts opts = storm_attach_opts(m);

		evictions = storm_attach_begin(m);
		rc = r->how->attach(r, &opts);
	} while (rc < 0 && storm_attach_again(m, rc, tries++));
	if (rc == -ENOENT && m->s->page->closing)
		return THE_END;
	if (rc < 0)
		return storm_bad(m->log, "%s cannot attach: %d: %s", storm_id(m->who), rc,
		                 myelon_last_error());
	rc = storm_attach_end(m, r->c, evictions);
	r->how->begin(r);
	return rc ? rc : storm_wait_begin(m, &r->wait, r->c);
}

static void detach(struct storm_reader *r)
{
	storm_wait_end(&r->wait);
	r->m->log->detached = 1;
	r->how->close(r);
	r->c = NULL;
}

static int handle(struct storm_reader *r, int rc, uint64_t epoch)
{
	struct me *m = r->m;
	bool set = r->wait.way == WAY_SET;

	switch (rc) {
	case 0:
		return GO_ON;
	case VIOLATED:
		return VIOLATED;
	case -EAGAIN:
	case -ETIMEDOUT:
		storm_wait_idle(m, &r->wait);
		return GO_ON;
	case -EPIPE:
	case -EOWNERDEAD:
		rc = storm_producer_gone(m, r->c, rc, epoch, set);
		if (rc == GO_ON && set)
			storm_wait_idle(m, &r->wait);
		return rc;
	case -ESTALE:
		rc = storm_stale(m);
		detach(r);
		return rc ? rc : attach(r);
	}
	return storm_bad(m->log, "%s: peek: %d: %s", storm_id(m->who), rc, myelon_last_error());
}

int storm_read(struct storm_reader *r)
{
	struct me *m = r->m;
	uint32_t left = storm_below(&m->random, 300);
	int rc;

	storm_arm_points(m);
	rc = attach(r);
	while (rc == GO_ON) {
		uint64_t epoch = myelon_consumer_epoch(r->c);

		rc = handle(r, r->how->look(r), epoch);
		if (m->who == LEAVER && rc == GO_ON && left-- == 0 && !m->s->page->stop)
			rc = THE_END;
	}
	if (rc == VIOLATED)
		return 1;
	detach(r);
	return 0;
}
