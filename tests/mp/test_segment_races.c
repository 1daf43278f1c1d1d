/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Several processes at one name: creators, removers, leavers. Children count
 * what they did and report violations in the page; nobody sleeps to hit a
 * window, the rounds do. MYELON_TEST_SCALE multiplies them.
 */
#include "../unit/segment_help.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kit.h"
#include "segment/control.h"
#include "sys/sys.h"

#define WAIT 120

static char name[KIT_NAME];
static struct kit_page *page;
static unsigned int rounds;

static void setup(void)
{
	kit_ring_name(name, "race");
	page = kit_page_create();
	cr_assert_not_null(page);
}

/* Criterion takes no notice of what fails in a .fini. */
static void finish(void)
{
	for (int i = 0; i < 8; i++)
		cr_assert_eq(page->result[i].violations, 0, "%d: %s", i, page->result[i].text);
	kit_page_destroy(page);
	cr_assert_eq(help_files(), 0);
}

TestSuite(races, .init = setup);

static bool stopped(void)
{
	return atomic_load(&page->word[0]) != 0;
}

/* What a published ring of ours must be, whatever others do: there, whole, and to be attached to. */
static void check_live(struct mye_segment *seg, struct kit_result *r)
{
	struct mye_segment c;
	char path[256];
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	int rc;

	if (mye_segment_named(seg) != 1)
		kit_violation(r, "the name of a living ring is gone");
	rc = myelon_ring_describe(name, NULL, &info);
	if (rc < 0 || info.producer_state != MYELON_PEER_ALIVE)
		kit_violation(r, "describe: %d %s", rc, myelon_last_error());
	snprintf(path, sizeof(path), "%s", info.data_path);
	if (!help_exists(path))
		kit_violation(r, "the data of a living ring is gone: %s", path);
	rc = help_attach(&c, name, MYE_ROLE_CONSUMER);
	if (rc < 0)
		kit_violation(r, "attach to a living ring: %d %s", rc, myelon_last_error());
	else
		mye_segment_leave(&c);
}

/* Replaces the ring it left dead the last time, again and again. */
static int replacer(void *arg)
{
	struct kit_result *r = &page->result[(uintptr_t)arg];
	struct myelon_ring_opts o = help_opts();
	struct mye_segment seg;

	o.flags = MYELON_F_REPLACE_DEAD;
	for (unsigned int i = 0; i < rounds; i++) {
		int rc = help_create(&seg, name, &o);

		/* Somebody attaches to the dead one, or the other replacer was first. */
		if (rc == -EEXIST) {
			atomic_fetch_add(&r->lost, 1);
			continue;
		}
		if (rc < 0) {
			kit_violation(r, "create: %d %s", rc, myelon_last_error());
			continue;
		}
		atomic_fetch_add(&r->count, 1);
		if (i % 4 == 0)
			check_live(&seg, r);
		if (mye_segment_named(&seg) != 1)
			kit_violation(r, "the name of a living ring is gone");
		if (i % 3)
			help_die(&seg);
		else
			help_close(&seg);
	}
	return 0;
}

static int collector(void *arg)
{
	struct kit_result *r = &page->result[(uintptr_t)arg];

	while (!stopped()) {
		int rc = myelon_gc(NULL, NULL, NULL);

		if (rc < 0)
			kit_violation(r, "gc: %d %s", rc, myelon_last_error());
		else
			atomic_fetch_add(&r->count, (unsigned int)rc);
	}
	return 0;
}

static int visitor(void *arg)
{
	struct kit_result *r = &page->result[(uintptr_t)arg];
	struct mye_segment c;

	for (unsigned int i = 0; !stopped(); i++) {
		int rc = help_attach(&c, name, i % 2 ? MYE_ROLE_CONSUMER : MYE_ROLE_OBSERVER);

		if (rc == 0) {
			atomic_fetch_add(&r->count, 1);
			mye_segment_leave(&c);
		} else if (rc != -ENOENT) {
			kit_violation(r, "attach: %d %s", rc, myelon_last_error());
		}
	}
	return 0;
}

Test(races, gc_against_replace_never_takes_a_living_ring, .timeout = 300)
{
	struct kit_actor a[4];

	rounds = help_scaled(3000);
	cr_assert_eq(kit_fork(&a[0], replacer, (void *)0), 0);
	cr_assert_eq(kit_fork(&a[1], collector, (void *)1), 0);
	cr_assert_eq(kit_fork(&a[2], collector, (void *)2), 0);
	cr_assert_eq(kit_wait(&a[0], WAIT), 0);
	kit_set(page, 0, 1);
	for (int i = 1; i < 3; i++)
		cr_assert_eq(kit_wait(&a[i], WAIT), 0);
	cr_assert_eq(page->result[0].count, rounds, "nobody else holds it: %u refused",
	             (unsigned int)page->result[0].lost);
	cr_assert_gt(page->result[1].count + page->result[2].count, 0, "they never met");
	myelon_gc(NULL, NULL, NULL);
	finish();
}

Test(races, replacers_collectors_and_visitors_keep_every_ring_whole, .timeout = 300)
{
	struct kit_actor a[5];

	rounds = help_scaled(1500);
	cr_assert_eq(kit_fork(&a[0], replacer, (void *)0), 0);
	cr_assert_eq(kit_fork(&a[1], replacer, (void *)1), 0);
	cr_assert_eq(kit_fork(&a[2], collector, (void *)2), 0);
	cr_assert_eq(kit_fork(&a[3], visitor, (void *)3), 0);
	cr_assert_eq(kit_fork(&a[4], visitor, (void *)4), 0);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(kit_wait(&a[i], WAIT), 0);
	kit_set(page, 0, 1);
	for (int i = 2; i < 5; i++)
		cr_assert_eq(kit_wait(&a[i], WAIT), 0);
	for (int i = 0; i < 2; i++)
		cr_assert_gt(page->result[i].count, 0);
	myelon_gc(NULL, NULL, NULL);
	finish();
}

/* Round by round at the same time; who got it stays until both have tried. */
static int creator(void *arg)
{
	struct kit_result *r = &page->result[(uintptr_t)arg];
	struct mye_segment seg;

	for (unsigned int i = 0; i < rounds; i++) {
		int rc;

		if (!kit_barrier(page, 0, 2, WAIT))
			return 1;
		rc = help_create(&seg, name, NULL);
		if (rc == 0) {
			atomic_fetch_add(&r->count, 1);
			if (mye_segment_named(&seg) != 1)
				kit_violation(r, "the winner has no name");
		} else if (rc != -EEXIST) {
			kit_violation(r, "create: %d %s", rc, myelon_last_error());
		}
		if (!kit_barrier(page, 1, 2, WAIT))
			return 1;
		if (rc == 0)
			help_close(&seg);
		if (!kit_barrier(page, 2, 2, WAIT))
			return 1;
		if (help_files() != 0)
			kit_violation(r, "round %u left files", i);
	}
	return 0;
}

Test(races, of_two_creators_exactly_one_wins, .timeout = 300)
{
	struct kit_actor a[2];

	rounds = help_scaled(1000);
	for (uintptr_t i = 0; i < 2; i++)
		cr_assert_eq(kit_fork(&a[i], creator, (void *)i), 0);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(kit_wait(&a[i], WAIT), 0);
	cr_assert_eq(page->result[0].count + page->result[1].count, rounds);
	finish();
}

/* 0 produces; all leave at the same time. */
static int leaver(void *arg)
{
	struct kit_result *r = &page->result[(uintptr_t)arg];
	bool producer = arg == NULL;
	struct mye_segment seg;

	for (unsigned int i = 0; i < rounds; i++) {
		int rc = producer ? help_create(&seg, name, NULL) : 0;

		if (!kit_barrier(page, 0, 3, WAIT))
			return 1;
		if (!producer)
			rc = help_attach(&seg, name, MYE_ROLE_CONSUMER);
		if (rc < 0) {
			kit_violation(r, "round %u: %d %s", i, rc, myelon_last_error());
			return 1;
		}
		if (!kit_barrier(page, 1, 3, WAIT))
			return 1;
		if (producer)
			help_close(&seg);
		else
			mye_segment_leave(&seg);
		if (!kit_barrier(page, 2, 3, WAIT))
			return 1;
		if (help_files() != 0)
			kit_violation(r, "round %u left files", i);
		if (!kit_barrier(page, 3, 3, WAIT))
			return 1;
	}
	return 0;
}

Test(races, whoever_leaves_last_of_all_at_once_removes_the_files, .timeout = 300)
{
	struct kit_actor a[3];

	rounds = help_scaled(1000);
	for (uintptr_t i = 0; i < 3; i++)
		cr_assert_eq(kit_fork(&a[i], leaver, (void *)i), 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(kit_wait(&a[i], WAIT), 0);
	finish();
}

/* Two that want one id, and probes that only ask. */
static int owner(void *arg)
{
	struct kit_result *r = &page->result[(uintptr_t)arg];
	struct mye_segment seg;

	if (help_attach(&seg, name, MYE_ROLE_CONSUMER) < 0)
		return 1;
	for (unsigned int i = 0; i < rounds; i++) {
		int rc = mye_role_take(&seg, MYE_LOCK_ENTRY(0));

		if (rc == -EBUSY)
			continue;
		if (rc < 0)
			kit_violation(r, "take: %d", rc);
		if (atomic_fetch_add(&page->word[1], 1) != 0)
			kit_violation(r, "two owners at once");
		atomic_fetch_add(&r->count, 1);
		atomic_fetch_sub(&page->word[1], 1);
		mye_role_drop(&seg, MYE_LOCK_ENTRY(0));
	}
	mye_segment_leave(&seg);
	return 0;
}

static int prober(void *arg)
{
	struct kit_result *r = &page->result[(uintptr_t)arg];
	struct mye_segment seg;

	if (help_attach(&seg, name, MYE_ROLE_OBSERVER) < 0)
		return 1;
	while (!stopped()) {
		if (mye_role_held(&seg, MYE_LOCK_ENTRY(1)) != 0)
			kit_violation(r, "a role nobody took is held");
		mye_role_held(&seg, MYE_LOCK_ENTRY(0));
		mye_role_held(&seg, MYE_LOCK_PRODUCER);
	}
	mye_segment_leave(&seg);
	return 0;
}

Test(races, one_role_has_one_owner_and_probes_do_not_disturb, .timeout = 300)
{
	struct mye_segment p, alone;
	struct kit_actor a[4];

	rounds = help_scaled(2000);
	cr_assert_eq(help_create(&p, name, NULL), 0);
	for (uintptr_t i = 0; i < 4; i++)
		cr_assert_eq(kit_fork(&a[i], i < 2 ? owner : prober, (void *)i), 0);
	cr_assert_eq(help_attach(&alone, name, MYE_ROLE_CONSUMER), 0);
	for (unsigned int i = 0; i < rounds; i++) {
		cr_assert_eq(mye_role_take(&alone, MYE_LOCK_ENTRY(3)), 0);
		mye_role_drop(&alone, MYE_LOCK_ENTRY(3));
	}
	for (int i = 0; i < 2; i++)
		cr_assert_eq(kit_wait(&a[i], WAIT), 0);
	kit_set(page, 0, 1);
	for (int i = 2; i < 4; i++)
		cr_assert_eq(kit_wait(&a[i], WAIT), 0);
	cr_assert_gt(page->result[0].count + page->result[1].count, 0);
	mye_segment_leave(&alone);
	help_close(&p);
	finish();
}
