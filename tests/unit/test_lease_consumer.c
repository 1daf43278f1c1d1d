/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Lease words of consumers: whose they are, and who clears what a dead one left. */
#include "ring_kit.h"

#include <myelon/keeper.h>
#include <myelon/log.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "liveness/lease.h"
#include "ring/ring.h"

TestSuite(lease_consumer, .timeout = 120);

static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void store(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

static struct myelon_keeper_info keeper_info(void)
{
	struct myelon_keeper_info info = {.size = sizeof(info)};

	cr_ok(myelon_keeper_info(&info));
	return info;
}

static char warned[256];

static void keep_warning(void *ctx, enum myelon_log_level level, const char *text)
{
	(void)ctx;
	(void)level;
	snprintf(warned, sizeof(warned), "%s", text);
}

static enum mye_lease_state state_of(struct myelon_producer *p, uint32_t entry)
{
	return mye_lease_look(&mye_producer_of(p)->seg, MYE_LEASE_ENTRY(entry));
}

static uint32_t *entry_word(struct myelon_producer *p, uint32_t entry)
{
	return &mye_producer_of(p)->seg.shared->lease.lease[MYE_LEASE_ENTRY(entry)];
}

#define LEASED(...) WITH(.flags = MYELON_F_LEASE, __VA_ARGS__)

Test(lease_consumer, first_fourteen_consumers_have_one_and_the_others_are_told)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.max_consumers = 16));
	struct myelon_consumer *c[16];

	myelon_set_log(keep_warning, NULL);
	for (uint32_t i = 0; i < 16; i++) {
		*warned = '\0';
		c[i] = ring_join(name, LEASED(.id = NULL));
		cr_assert_eq(mye_consumer_of(c[i])->index, i);
		cr_assert_eq(state_of(p, i), i < 14 ? MYE_LEASE_HELD : MYE_LEASE_NONE, "%u", i);
		cr_assert_eq(strstr(warned, "first 14") != NULL, i >= 14, "%u: %s", i, warned);
	}
	cr_assert_eq(keeper_info().leases, 14);
	cr_assert_eq(mye_lease_look(&mye_producer_of(p)->seg, MYE_LEASE_PRODUCER), MYE_LEASE_NONE);
	for (uint32_t i = 0; i < 16; i++) {
		myelon_consumer_close(c[i]);
		cr_assert_eq(state_of(p, i), MYE_LEASE_NONE);
	}
	cr_assert_eq(keeper_info().running, 0, "the keeper is not needed any more");
	myelon_set_log(NULL, NULL);
	myelon_producer_close(p);
}

Test(lease_consumer, consumer_s_is_only_taken_when_asked_for_and_when_it_attached)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.flags = 0));
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a")), *other;

	cr_assert_eq(state_of(p, 0), MYE_LEASE_NONE);
	cr_assert_eq(myelon_consumer_attach(&other, name, LEASED(.id = "a")), -EBUSY);
	cr_assert_eq(state_of(p, 0), MYE_LEASE_NONE);
	cr_assert_eq(keeper_info().running, 0);
	ring_close(p, c);
}

struct leaver {
	const char *name, *id;
};

static int attach_and_die(void *arg)
{
	const struct leaver *l = arg;
	struct myelon_consumer *c;

	if (myelon_consumer_attach(&c, l->name, LEASED(.id = l->id)) < 0)
		return 1;
	_exit(0);
}

/* One that died in entry 0, whose word the kernel marked. */
static struct myelon_producer *with_a_dead_one(char name[KIT_NAME], const char *id)
{
	struct myelon_producer *p = ring_make(name, SMALL(.flags = 0));
	struct leaver l = {name, id};
	struct kit_actor a;

	cr_assert_eq(kit_fork(&a, attach_and_die, &l), 0);
	cr_assert_eq(kit_wait(&a, 30), 0);
	cr_assert_eq(state_of(p, 0), MYE_LEASE_DYING, "the kernel did not mark it");
	return p;
}

static void taken_over_by(const char *id, uint32_t flags)
{
	char name[KIT_NAME];
	struct myelon_producer *p = with_a_dead_one(name, id);
	struct myelon_consumer *c = ring_join(name, WITH(.id = id, .flags = flags));

	cr_assert_eq(mye_consumer_of(c)->index, 0);
	cr_assert_eq(state_of(p, 0), flags ? MYE_LEASE_HELD : MYE_LEASE_NONE);
	myelon_consumer_close(c);
	cr_assert_eq(load(entry_word(p, 0)), 0);
	myelon_producer_close(p);
}

Test(lease_consumer, who_takes_over_the_entry_of_a_dead_consumer_replaces_its_mark)
{
	taken_over_by("a", 0);
	taken_over_by("a", MYELON_F_LEASE);
	/* Automatic ids adopt dead ones. */
	taken_over_by(NULL, 0);
	taken_over_by(NULL, MYELON_F_LEASE);
}

Test(lease_consumer, evict_of_a_dead_consumer_clears_its_mark)
{
	char name[KIT_NAME];
	struct myelon_producer *p = with_a_dead_one(name, "a");

	cr_assert_eq(myelon_evict(name, "a", 0, NULL), 1);
	cr_assert_eq(load(entry_word(p, 0)), 0);
	myelon_producer_close(p);
}

/* It still holds its entry, and will give the word back itself. */
Test(lease_consumer, evicted_consumer_that_lives_keeps_its_own_until_it_closes)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.flags = 0));
	struct myelon_consumer *c = ring_join(name, LEASED(.id = "a"));

	cr_assert_eq(myelon_evict(name, "a", MYELON_F_FORCE, NULL), 1);
	cr_assert_eq(state_of(p, 0), MYE_LEASE_HELD);
	myelon_consumer_close(c);
	cr_assert_eq(load(entry_word(p, 0)), 0);
	myelon_producer_close(p);
}

Test(lease_consumer, child_of_a_consumer_neither_has_nor_ends_it)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.flags = 0));
	struct myelon_consumer *c = ring_join(name, LEASED(.id = "a"));
	uint32_t before = load(entry_word(p, 0));
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct myelon_consumer *own;
		int rc;

		myelon_consumer_close(c);
		rc = myelon_consumer_attach(&own, name, LEASED(.id = "child"));
		if (rc == 0)
			myelon_consumer_close(own);
		_exit(rc == 0 ? 0 : 1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	cr_assert_eq(load(entry_word(p, 0)), before);
	ring_close(p, c);
}

struct heard {
	unsigned int count;
	enum myelon_cause cause;
};

static void hear(void *ctx, const struct myelon_failure *alert)
{
	struct heard *h = ctx;

	h->count++;
	h->cause = (enum myelon_cause)alert->cause;
}

/* Anybody can write there: it opens a window, which is closed like any other, and is no failure. */
static void forged(uint32_t wait)
{
	char name[KIT_NAME];
	struct heard heard = {0};
	struct myelon_producer *p = ring_make(name, SMALL(.wait = wait));
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));
	struct myelon_span s;

	cr_ok(myelon_producer_require(p, &MYELON_LIVENESS_OPTS(.progress_ns = 600000 * MS,
	                                                       .grace_ns = MYELON_NO_GRACE,
	                                                       .hook = hear, .ctx = &heard)));
	ring_fill(p);
	store(entry_word(p, 0), MYE_ROBUST_DIED | 77);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(myelon_claim_managed(p, 1, myelon_deadline_after(100 * MS), &s),
		             -ETIMEDOUT);
	cr_assert_eq(myelon_producer_failure(p, NULL), 0, "%s", myelon_last_error());
	cr_assert_eq(heard.count, 1);
	cr_assert_eq(heard.cause, MYELON_CAUSE_DYING);
	ring_pull(c, 0, 8);
	cr_ok(myelon_claim_managed(p, 1, kit_deadline(30), &s));
	cr_ok(myelon_cancel(p));
	ring_close(p, c);
}

Test(lease_consumer, word_that_lies_is_told_once_and_makes_no_consumer_dead)
{
	forged(MYELON_WAIT_PARK);
	forged(MYELON_WAIT_SPIN_PAUSE);
}
