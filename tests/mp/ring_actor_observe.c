/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* An observer beside a producer that does not wait for it. */
#include "ring_actor.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS 256

/* What was copied is whole, and begins where the last call and the losses end. */
static void check(struct actor *a, const unsigned char *buf, int n, int64_t seq, int64_t *next)
{
	if (seq != *next)
		kit_violation(a->r, "sequence %lld instead of %lld", (long long)seq,
		              (long long)*next);
	for (int i = 0; i < n; i++)
		if (kit_check(buf + (size_t)i * a->slot, a->slot, a->seed, (uint64_t)seq + i) != -1)
			kit_violation(a->r, "bytes of sequence %lld", (long long)seq + i);
	*next = seq + n;
}

int actor_observe(struct actor *a)
{
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	unsigned char *buf = malloc(SLOTS * a->slot);
	struct myelon_observer *o;
	int64_t next = -1, seq;
	uint64_t lost;
	int rc = myelon_observer_attach(&o, a->name,
	                                &MYELON_ATTACH_OPTS(.wait = a->wait,
	                                                    .start = (uint32_t)a->start,
	                                                    .timeout_ns = 60000000000ll));

	if (rc < 0 || !buf)
		return actor_fail("observe", rc);
	kit_set(a->page, (unsigned int)a->index, 1);
	while ((rc = myelon_observe(o, buf, a->batch ? (uint32_t)a->batch : SLOTS, MYELON_FOREVER,
	                            &seq, &lost)) > 0) {
		if (next < 0)
			next = seq - (int64_t)lost;
		a->r->value[1] += lost;
		next += (int64_t)lost;
		check(a, buf, rc, seq, &next);
		a->r->count += (uint64_t)rc;
		a->r->value[0] = (uint64_t)next - 1;
		actor_slow(a, a->r->count);
	}
	if (rc != -EPIPE && rc != -EOWNERDEAD)
		return actor_fail("observe", rc);
	myelon_observer_stats(o, &stats);
	if (stats.lost < a->r->value[1])
		kit_violation(a->r, "%llu lost", (unsigned long long)stats.lost);
	a->r->bytes = stats.caps_found;
	rc = actor_end(a);
	myelon_observer_close(o);
	free(buf);
	return rc;
}
