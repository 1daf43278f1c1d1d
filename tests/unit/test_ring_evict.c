/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Eviction within one process: states, what the evicted handle says, where its id goes on. */
#include "ring_kit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ring/ring.h"

static struct mye_entry *entry_of(struct myelon_consumer *c)
{
	return &mye_consumer_of(c)->seg.entries[mye_consumer_of(c)->index];
}

/* As if it had been killed: the entry stays as it is, the lock goes. */
static void die(struct myelon_consumer *c)
{
	struct mye_consumer *m = mye_consumer_of(c);

	mye_segment_leave(&m->seg);
	m->magic = 0;
	myelon_consumer_close(c);
}

static uint64_t lost_of(const struct myelon_consumer *c)
{
	struct myelon_handle_stats s = MYELON_HANDLE_STATS_INIT;

	cr_ok(myelon_consumer_stats(c, &s));
	return s.lost;
}

struct look {
	const char *id;
	uint32_t state;
	bool gating;
};

static int look_at(void *ctx, const struct myelon_consumer_entry *e)
{
	struct look *l = ctx;

	if (strcmp(e->id, l->id) != 0)
		return 0;
	l->state = e->state;
	l->gating = e->gating;
	return 1;
}

static struct look look(const char *ring, const char *id)
{
	struct look l = {.id = id, .state = 99};

	myelon_ring_consumers(ring, NULL, look_at, &l);
	return l;
}

static int force(const char *ring, const char *id)
{
	return myelon_evict(ring, id, MYELON_F_FORCE, NULL);
}

Test(evict, dead_consumer_no_longer_holds_the_producer_up)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *keep = ring_join(name, WITH(.id = "keep"));
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));

	cr_assert_eq(ring_fill(p), 8);
	ring_pull(c, 0, 3);
	ring_pull(keep, 0, 8);
	die(c);
	cr_assert_eq(ring_fill(p), 3);
	cr_assert_eq(myelon_evict(name, "a", 0, NULL), 1);
	cr_assert_eq(look(name, "a").state, MYELON_PEER_EVICTED);
	cr_assert_not(look(name, "a").gating);
	cr_assert_eq(myelon_evict(name, "a", 0, NULL), 0, "once is enough");
	cr_assert_eq(ring_fill(p), 5);
	ring_pull(keep, 8, 8);
	/* It goes on where it left off, as far as that is still there. */
	c = ring_join(name, WITH(.id = "a"));
	cr_assert_eq(myelon_consumer_cursor(c) + 1, 3 + (int64_t)lost_of(c));
	cr_assert_eq(lost_of(c), 5);
	ring_pull(c, 8, 8);
	cr_assert_eq(ring_fill(p), 8);
	ring_pull(keep, 16, 8);
	ring_pull(c, 16, 8);
	myelon_consumer_close(keep);
	ring_close(p, c);
}

Test(evict, living_consumer_is_refused_without_force_and_its_process_named)
{
	char name[KIT_NAME], pid[16];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));

	snprintf(pid, sizeof(pid), "%d", getpid());
	cr_assert_eq(myelon_evict(name, "a", 0, NULL), -EBUSY);
	cr_assert_not_null(strstr(myelon_last_error(), pid), "%s", myelon_last_error());
	cr_assert_not_null(strstr(myelon_last_error(), "MYELON_F_FORCE"));
	cr_ok(ring_push(p, 2));
	ring_pull(c, 0, 2);
	ring_close(p, c);
}

Test(evict, by_force_ends_the_handle_and_keeps_its_place_until_it_closes)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *keep = ring_join(name, WITH(.id = "keep"));
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a")), *d;
	unsigned char slot[64];
	struct myelon_view v;

	cr_assert_eq(ring_fill(p), 8);
	ring_pull(c, 0, 2);
	cr_assert_eq(myelon_peek(c, 4, MYELON_TRY, &v), 4);
	cr_assert_eq(force(name, "a"), 1);
	cr_assert_eq(look(name, "a").state, MYELON_PEER_EVICTED);
	ring_pull(keep, 0, 8);
	cr_assert_eq(ring_fill(p), 8);
	cr_assert_eq(myelon_consumer_attach(&d, name, WITH(.id = "a")), -EBUSY);
	cr_assert_eq(myelon_release(c, 4), -ESTALE);
	cr_assert_eq(myelon_consumer_cursor(c), 1, "what is not to be trusted is not read");
	cr_assert_eq(myelon_peek(c, 4, MYELON_TRY, &v), -ESTALE);
	cr_assert_eq(myelon_peek(c, 4, MYELON_FOREVER, &v), -ESTALE);
	cr_assert_eq(myelon_consume_copy(c, slot, 1, MYELON_FOREVER), -ESTALE);
	cr_assert_not_null(strstr(myelon_last_error(), "attach again"));
	myelon_consumer_close(c);
	c = ring_join(name, WITH(.id = "a"));
	cr_assert_eq(lost_of(c), 6);
	ring_pull(c, 8, 8);
	ring_pull(keep, 8, 8);
	myelon_consumer_close(keep);
	ring_close(p, c);
}

Test(evict, id_whose_evicted_owner_died_goes_on_behind_its_last_good_release)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *keep = ring_join(name, WITH(.id = "keep"));
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));
	struct myelon_view v;

	cr_assert_eq(ring_fill(p), 8);
	ring_pull(c, 0, 5);
	cr_assert_eq(myelon_peek(c, 3, MYELON_TRY, &v), 3);
	cr_assert_eq(force(name, "a"), 1);
	cr_assert_eq(myelon_release(c, 3), -ESTALE);
	die(c);
	c = ring_join(name, WITH(.id = "a", .start = MYELON_START_RESUME));
	cr_assert_eq(lost_of(c), 0);
	ring_pull(c, 5, 3);
	ring_pull(keep, 0, 8);
	cr_assert_eq(ring_fill(p), 8);
	ring_pull(c, 8, 8);
	myelon_consumer_close(keep);
	ring_close(p, c);
}

Test(evict, joiner_goes_back_to_where_its_id_was)
{
	for (int known = 0; known < 2; known++) {
		char name[KIT_NAME];
		struct myelon_producer *p = ring_make(name, SMALL());
		struct myelon_consumer *keep = ring_join(name, WITH(.id = "keep"));
		struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));

		cr_assert_eq(ring_fill(p), 8);
		if (known) {
			ring_pull(c, 0, 6);
			myelon_consumer_close(c);
			c = ring_join(name, WITH(.id = "a"));
		}
		/* It died in the middle of its join, with a provisional cursor. */
		entry_of(c)->slow.state = MYE_STATE(c->generation, MYE_ENTRY_JOINING);
		entry_of(c)->hot.cursor = -1;
		die(c);
		ring_pull(keep, 0, 8);
		cr_assert_eq(ring_fill(p), 0);
		cr_assert_eq(myelon_evict(name, "a", 0, NULL), 1);
		cr_assert_eq(ring_fill(p), 8);
		ring_pull(keep, 8, 8);
		c = ring_join(name, WITH(.id = "a"));
		cr_assert_eq(myelon_consumer_cursor(c), known ? 7 : 15);
		cr_assert_eq(lost_of(c), known ? 2 : 0);
		myelon_consumer_close(keep);
		ring_close(p, c);
	}
}

Test(evict, automatic_place_of_a_dead_one_is_free)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.max_consumers = 1));
	struct myelon_consumer *c = ring_join(name, NULL);

	cr_ok(ring_push(p, 4));
	ring_pull(c, 0, 1);
	die(c);
	cr_assert_eq(myelon_evict(name, "ad_0", 0, NULL), 1);
	cr_assert_eq(look(name, "ad_0").state, 99);
	cr_assert_eq(myelon_evict(name, "ad_0", 0, NULL), -ENOENT);
	/* The next one is not where the dead one was. */
	c = ring_join(name, NULL);
	cr_assert_eq(myelon_consumer_cursor(c), 3);
	ring_close(p, c);
}

Test(evict, tombstone_of_a_dead_owner_is_given_to_another_id)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.max_consumers = 1));
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));

	cr_assert_eq(ring_fill(p), 8);
	cr_assert_eq(force(name, "a"), 1);
	cr_assert_eq(
		myelon_consumer_attach(&(struct myelon_consumer *){NULL}, name, WITH(.id = "b")),
		-ENOSPC, "its owner lives");
	die(c);
	c = ring_join(name, WITH(.id = "b", .start = MYELON_START_LATEST));
	cr_assert_eq(myelon_consumer_cursor(c), 7);
	cr_assert_eq(lost_of(c), 0, "nothing is inherited");
	cr_assert_eq(ring_fill(p), 8);
	ring_pull(c, 8, 8);
	ring_close(p, c);
}

Test(evict, needs_no_producer_alive)
{
	for (int closed = 0; closed < 2; closed++) {
		char name[KIT_NAME];
		struct myelon_producer *p = ring_make(name, SMALL(.flags = MYELON_F_KEEP)), *q;
		struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));
		struct mye_producer *m = mye_producer_of(p);

		cr_assert_eq(ring_fill(p), 8);
		die(c);
		if (!closed) {
			mye_segment_leave(&m->seg);
			m->magic = 0;
		}
		myelon_producer_close(p);
		cr_assert_eq(myelon_evict(name, "a", 0, NULL), 1);
		cr_ok(myelon_producer_open(&q, name, NULL));
		c = ring_join(name, WITH(.id = "b"));
		ring_fill(q);
		myelon_consumer_close(c);
		myelon_producer_close(q);
		cr_ok(myelon_ring_remove(name, NULL));
	}
}

Test(evict, leaves_a_ring_that_ended_to_be_removed)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));

	die(c);
	myelon_producer_close(p);
	/* Whoever looks in last takes the files away. */
	(void)myelon_evict(name, "a", 0, NULL);
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0);
}

Test(evict, whoever_is_not_waited_for_is_no_error_and_who_never_came_is)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));

	myelon_consumer_close(c);
	cr_assert_eq(myelon_evict(name, "a", 0, NULL), 0);
	cr_assert_eq(myelon_evict(name, "b", 0, NULL), -ENOENT);
	cr_assert_not_null(strstr(myelon_last_error(), "no consumer b"));
	cr_assert_eq(myelon_evict("there-is-none", "a", 0, NULL), -ENOENT);
	cr_assert_eq(myelon_evict(name, NULL, 0, NULL), -EINVAL);
	cr_assert_eq(myelon_evict(name, "a/b", 0, NULL), -EINVAL);
	cr_assert_eq(myelon_evict(name, "a", 1, NULL), -EINVAL);
	cr_assert_eq(myelon_evict(name, "a", 0, &MYELON_DIR_OPTS(.flags = MYELON_F_FORCE)),
	             -EINVAL);
	ring_close(p, NULL);
}

Test(evict, hold_is_no_consumer)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.buffer_until = 1));
	static const char *const names[] = {"hold", "ad_64", "x"};

	ring_fill(p);
	/* Whatever id somebody wrote there. */
	memcpy(mye_producer_of(p)->seg.entries[64].about.id, "x", 2);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(force(name, names[i]), -ENOENT);
	cr_assert_eq(ring_push(p, 1), -EAGAIN);
	ring_close(p, NULL);
}

Test(evict, of_the_last_one_leaves_a_blocking_ring_at_its_window)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));

	ring_fill(p);
	ring_pull(c, 0, 2);
	die(c);
	cr_assert_eq(myelon_evict(name, "a", 0, NULL), 1);
	cr_assert_eq(ring_fill(p), 2);
	ring_close(p, NULL);
	p = ring_make(name, SMALL(.unattended = MYELON_UNATTENDED_OVERWRITE));
	c = ring_join(name, WITH(.id = "a"));
	ring_fill(p);
	die(c);
	cr_assert_eq(myelon_evict(name, "a", 0, NULL), 1);
	for (int i = 0; i < 100; i++)
		cr_ok(ring_push(p, 1));
	ring_close(p, NULL);
}

Test(evict, killed_behind_its_flag_does_not_end_whoever_resumes_the_id)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));

	cr_assert_eq(ring_fill(p), 8);
	ring_pull(c, 0, 2);
	entry_of(c)->hot.evicted = c->generation;
	die(c);
	c = ring_join(name, WITH(.id = "a"));
	ring_pull(c, 2, 6);
	cr_assert_eq(ring_fill(p), 8);
	ring_pull(c, 8, 8);
	ring_close(p, c);
}

Test(evict, stops_at_nothing_that_the_table_may_say)
{
	static const uint64_t states[] = {0,
	                                  UINT64_MAX,
	                                  MYE_STATE(7, 6),
	                                  MYE_STATE(7, MYE_ENTRY_HOLD),
	                                  MYE_STATE(UINT64_MAX >> 8, MYE_ENTRY_ACTIVE),
	                                  MYE_STATE(UINT64_MAX >> 8, MYE_ENTRY_JOINING),
	                                  MYE_STATE(0, MYE_ENTRY_ACTIVE),
	                                  MYE_STATE(3, MYE_ENTRY_EVICTED)};
	static const int64_t cursors[] = {INT64_MIN, INT64_MAX, -2, 1ll << 40};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		for (size_t k = 0; k < 4; k++) {
			char name[KIT_NAME];
			struct myelon_producer *p = ring_make(name, SMALL(.max_consumers = 3));
			struct myelon_consumer *keep = ring_join(name, WITH(.id = "keep"));
			struct mye_entry *e = &mye_producer_of(p)->seg.entries[1];
			struct myelon_consumer *c;
			int rc;

			memcpy(e->about.id, "a", 2);
			memset(mye_producer_of(p)->seg.entries[2].about.id, 'x', MYE_ID_BYTES);
			mye_producer_of(p)->seg.entries[2].slow.state =
				MYE_STATE(1, MYE_ENTRY_ACTIVE);
			e->hot.cursor = cursors[k];
			e->hot.evicted = k % 2 ? UINT64_MAX : 0;
			e->slow.resume_from = cursors[3 - k];
			e->slow.state = states[i];
			rc = myelon_evict(name, "a", k % 2 ? MYELON_F_FORCE : 0, NULL);
			cr_assert(rc == 1 || rc == 0 || rc == -ENOENT, "%zu %zu: %d", i, k, rc);
			cr_assert_eq(myelon_evict(name, "xxx", 0, NULL), -ENOENT);
			mye_producer_of(p)->seg.entries[2].slow.state = 0;
			cr_assert_eq(ring_fill(p), 8);
			ring_pull(keep, 0, 8);
			cr_assert_eq(ring_fill(p), 8, "%zu %zu", i, k);
			ring_pull(keep, 8, 8);
			/* It can be had again; who wrote the flag can end it. */
			if (myelon_consumer_attach(&c, name, WITH(.id = "a")) == 0) {
				cr_assert_leq(myelon_consumer_cursor(c), 15);
				myelon_consumer_close(c);
			}
			cr_assert_eq(ring_fill(p), 8, "%zu %zu", i, k);
			ring_pull(keep, 16, 8);
			ring_close(p, keep);
		}
}

Test(evict, control_file_that_is_none_is_eproto)
{
	char name[KIT_NAME], path[512];
	FILE *f;

	kit_ring_name(name, "rubbish");
	snprintf(path, sizeof(path), "%s/myelon.%s", kit_shm_dir(), name);
	f = fopen(path, "w");
	cr_assert_not_null(f);
	for (int i = 0; i < 5000; i++)
		fputc('x', f);
	fclose(f);
	cr_assert_eq(force(name, "a"), -EPROTO);
	unlink(path);
}
