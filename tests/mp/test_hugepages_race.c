/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Many who want the last huge pages at once, and many who add some at once. */
#include <errno.h>

#include <myelon/myelon.h>

#include "../unit/hugepages_kit.h"
#include "../unit/mount_kit.h"

#define CREATORS 8
#define ROOM 3 /* rings that fit into the pool */
#define ROUNDS 4
#define SLOTS 32768

struct race {
	struct kit_page *page;
	char dir[512];
	uint32_t huge;
	uint32_t slot_size; /* 64 bytes are one page */
	int64_t base;       /* spare pages before */
};

struct actor_arg {
	const struct race *race;
	unsigned int index;
};

/* The pages that were promised are there: a missing one would be SIGBUS. */
static void write_all_slots(struct myelon_producer *p, size_t slot_size, struct kit_result *r)
{
	struct myelon_span s;

	if (myelon_claim(p, SLOTS, MYELON_TRY, &s) || s.count != SLOTS)
		kit_violation(r, "no claim: %s", myelon_last_error());
	else
		memset(s.base, 0x5a, s.count * slot_size);
	if (myelon_publish(p, SLOTS))
		kit_violation(r, "no publication: %s", myelon_last_error());
}

/* What became of the ring of one creator. */
static void note(struct kit_result *r, const struct race *race, const char *name, int rc)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	const char *text = strstr(myelon_last_error(), "2 MiB pool");

	atomic_store(&r->value[0], (uint64_t)-rc);
	if (rc) {
		snprintf(r->text, sizeof(r->text), "%s", text ? text : myelon_last_error());
		return;
	}
	if (myelon_ring_describe(name, &MYELON_DIR_OPTS(.hugetlb_dir = race->dir), &info))
		kit_violation(r, "no description: %s", myelon_last_error());
	atomic_store(&r->value[1], info.backing);
	snprintf(r->text, sizeof(r->text), "%s", info.reason);
}

static int create_one(void *arg)
{
	const struct actor_arg *a = arg;
	const struct race *race = a->race;
	struct kit_result *result = &race->page->result[a->index];
	struct myelon_ring_opts o =
		MYELON_RING_OPTS(.slot_size = race->slot_size, .window = SLOTS, .huge = race->huge,
	                         .unattended = MYELON_UNATTENDED_OVERWRITE,
	                         .hugetlb_dir = race->dir);
	struct myelon_producer *p = NULL;
	char name[KIT_NAME];
	int rc;

	snprintf(name, sizeof(name), "racer-%u", a->index);
	CHILD_CHECK(kit_barrier(race->page, 0, CREATORS, 30), "nobody else");
	rc = myelon_producer_create(&p, name, &o);
	note(result, race, name, rc);
	if (rc == 0)
		write_all_slots(p, race->slot_size, result);
	/* Nobody gives pages back before everybody has tried. */
	CHILD_CHECK(kit_barrier(race->page, 1, CREATORS, 30), "somebody is gone");
	if (p)
		myelon_producer_close(p);
	CHILD_CHECK(atomic_load(&result->violations) == 0, "%s", result->text);
	return 0;
}

static void race_once(struct race *race)
{
	struct actor_arg args[CREATORS];
	struct kit_actor actors[CREATORS];
	unsigned int i;

	race->page = kit_page_create();
	cr_assert_not_null(race->page);
	for (i = 0; i < CREATORS; i++) {
		args[i] = (struct actor_arg){race, i};
		cr_assert_eq(kit_fork(&actors[i], create_one, &args[i]), 0);
	}
	for (i = 0; i < CREATORS; i++)
		cr_assert_eq(kit_wait(&actors[i], 60), 0, "creator %u", i);
}

static bool tells_why(const char *text)
{
	return strstr(text, "2 MiB pool has ") &&
	       (strstr(text, " missing") || strstr(text, "somebody had them"));
}

/* As many pages as ROOM rings take, and fewer than one more. */
static void last_pages(struct race *race)
{
	if (!kit_hugepages_reserve(2 * ROOM + 1))
		kit_skip("hugepages", "cannot get a pool of 2 MiB pages");
	atexit(kit_hugepages_restore);
	mount_private(race->dir, sizeof(race->dir), "huge", "hugetlbfs", "pagesize=2M");
	race->base = pool_spare(MIB2);
	race->slot_size = 64 * (uint32_t)(race->base / ROOM);
}

Test(last_pages, go_to_some_creators_and_the_others_are_told_what_is_missing)
{
	struct race race = {.huge = MYELON_HUGE_REQUIRE};
	int round, i, made;

	last_pages(&race);
	for (round = 0; round < ROUNDS; round++) {
		race_once(&race);
		for (i = made = 0; i < CREATORS; i++) {
			const struct kit_result *r = &race.page->result[i];

			if (atomic_load(&r->value[0]) == 0) {
				cr_assert_eq(atomic_load(&r->value[1]), MYELON_BACKING_HUGETLB);
				made++;
				continue;
			}
			cr_assert_eq(atomic_load(&r->value[0]), ENOSPC, "%s", r->text);
			cr_assert(tells_why(r->text), "%s", r->text);
		}
		cr_assert(made >= 1 && made <= ROOM, "%d rings", made);
		kit_page_destroy(race.page);
		cr_assert_eq(pool_spare(MIB2), race.base, "all pages are back");
		cr_assert_eq(kit_dir_entries(race.dir), 0);
	}
}

Test(last_pages, go_to_some_creators_and_the_others_take_shared_memory)
{
	struct race race = {.huge = MYELON_HUGE_TRY};
	int i, huge = 0;

	last_pages(&race);
	race_once(&race);
	for (i = 0; i < CREATORS; i++) {
		const struct kit_result *r = &race.page->result[i];

		cr_assert_eq(atomic_load(&r->value[0]), 0, "%s", r->text);
		if (atomic_load(&r->value[1]) == MYELON_BACKING_HUGETLB) {
			huge++;
			continue;
		}
		cr_assert_eq(atomic_load(&r->value[1]), MYELON_BACKING_SHM);
		cr_assert_not_null(strstr(r->text, "no huge pages: "), "%s", r->text);
		cr_assert(tells_why(r->text), "%s", r->text);
	}
	cr_assert(huge >= 1 && huge <= ROOM, "%d rings", huge);
	kit_page_destroy(race.page);
	cr_assert_eq(pool_spare(MIB2), race.base);
	cr_assert_eq(kit_dir_entries(race.dir), 0);
}

/* Each wants another number; whoever wants the most must find them when all are done. */
static int reserve_some(void *arg)
{
	const struct actor_arg *a = arg;
	uint64_t want = (uint64_t)a->race->base + a->index + 1, got;
	int rc;

	CHILD_CHECK(kit_barrier(a->race->page, 0, CREATORS, 30), "nobody else");
	rc = myelon_hugepage_reserve(MIB2, a->index % 2 ? 0 : -1, want, &got);
	CHILD_CHECK(rc == 0 && got >= want, "%d %s", rc, myelon_last_error());
	return 0;
}

Test(adding, by_many_at_once_loses_no_pages)
{
	struct actor_arg args[CREATORS];
	struct kit_actor actors[CREATORS];
	struct race race = {.huge = 0};
	unsigned int i;
	int round;

	pool_keep(MIB2);
	race.base = pool_spare(MIB2);
	for (round = 0; round < 5 * ROUNDS; round++) {
		race.page = kit_page_create();
		cr_assert_not_null(race.page);
		for (i = 0; i < CREATORS; i++) {
			args[i] = (struct actor_arg){&race, i};
			cr_assert_eq(kit_fork(&actors[i], reserve_some, &args[i]), 0);
		}
		for (i = 0; i < CREATORS; i++)
			cr_assert_eq(kit_wait(&actors[i], 60), 0, "reserver %u", i);
		cr_assert_eq(pool_spare(MIB2), race.base + CREATORS);
		kit_page_destroy(race.page);
		cr_assert(pool_resize(MIB2, kept_total));
	}
}
