/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Streams between processes: every consumer gets every message, whole and in order. */
#include "ring_cast.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void expect_all(struct cast *c, unsigned int i, uint64_t count)
{
	struct kit_result *r = cast_done_well(c, i);

	cr_assert_eq(r->count, count, "consumer %u got %llu", i, (unsigned long long)r->count);
	cr_assert_eq(r->value[2], 0);
	cr_assert_eq(r->lost, 0);
}

/* One producer (actor 0) and @k consumers; options for both sides. */
static void broadcast(unsigned int k, bool producer_first, uint64_t count, const char *p,
                      const char *q)
{
	struct cast c;

	cast_begin(&c);
	if (producer_first) {
		cast_start(&c, 0, "publish", "until=%u count=%llu %s", k, (unsigned long long)count,
		           p);
		cast_attached(&c, 0);
	}
	for (unsigned int i = 1; i <= k; i++)
		cast_start(&c, i, "consume", "%s", q);
	if (!producer_first)
		cast_start(&c, 0, "publish", "for=%u count=%llu %s", k, (unsigned long long)count,
		           p);
	for (unsigned int i = 1; i <= k; i++)
		expect_all(&c, i, count);
	cast_done_well(&c, 0);
	cast_end(&c, false);
}

Test(stream, one_consumer_gets_8192_messages_through_64_slots)
{
	broadcast(1, true, 8192, "window=64", "");
	broadcast(1, false, 8192, "window=64", "");
	broadcast(1, false, 9001, "window=64 batch=64", "batch=7");
}

Test(stream, one_to_four_consumers_come_first_or_last)
{
	for (unsigned int k = 1; k <= 4; k++) {
		broadcast(k, true, 5000, "window=64", "");
		broadcast(k, false, 5000, "window=64", "");
	}
}

Test(stream, every_wait_strategy_delivers)
{
	static const char *const waits[] = {"adaptive", "spin",  "spin-pause",
	                                    "yield",    "sleep", "park"};
	char options[64];

	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		snprintf(options, sizeof(options), "wait=%s window=64", waits[i]);
		broadcast(2, false, 2000, options, "wait=park");
		snprintf(options, sizeof(options), "wait=%s", waits[i]);
		broadcast(2, false, 2000, "wait=park window=64", options);
	}
}

Test(stream, window_that_is_no_power_of_two_and_slots_of_all_sizes)
{
	broadcast(2, false, 5000, "window=3", "");
	broadcast(2, false, 20000, "window=1000 slot=8 batch=1000", "");
	broadcast(2, false, 20000, "window=777 slot=1 batch=50", "");
	broadcast(2, false, 5000, "window=33 slot=192 batch=33", "batch=5");
	broadcast(1, false, 300, "window=4 slot=65536", "");
	broadcast(1, false, 500, "window=1 wait=park", "wait=park");
}

Test(stream, counts_around_a_multiple_of_the_window_do_not_deadlock)
{
	for (uint64_t count = 65535; count <= 65537; count++)
		broadcast(1, false, count, "window=512", "");
	broadcast(2, false, 65536, "window=512 batch=512", "");
}

Test(stream, slow_consumer_holds_the_producer_and_loses_nothing)
{
	struct cast c;

	cast_begin(&c);
	cast_start(&c, 1, "consume", "pause=%d wait=park", GO);
	cast_start(&c, 2, "consume", "wait=park");
	cast_start(&c, 0, "publish", "for=2 count=1000 window=16 deadline=10 wait=park");
	cast_progress(&c, 2, 16);
	cast_rest(50);
	cr_assert_eq(c.page->result[0].count, 16);
	cr_assert_eq(c.page->result[2].count, 16);
	kit_set(c.page, GO, 1);
	expect_all(&c, 1, 1000);
	expect_all(&c, 2, 1000);
	cr_assert_geq(cast_done_well(&c, 0)->value[2], 1, "deadlines passed meanwhile");
	cast_end(&c, false);
}

Test(stream, consumer_that_never_reads_stops_the_producer_until_it_leaves)
{
	struct myelon_producer *p;
	struct myelon_span s;
	struct cast c;
	uint64_t n = 0;

	cast_begin(&c);
	cr_assert_eq(
		myelon_producer_create(&p, c.name,
	                               &MYELON_RING_OPTS(.window = 8,
	                                                 .unattended = MYELON_UNATTENDED_OVERWRITE,
	                                                 .backing = MYELON_BACKING_SHM)),
		0);
	cast_start(&c, 1, "consume", "pause=%d count=0", GO);
	cast_attached(&c, 1);
	while (myelon_claim(p, 1, MYELON_TRY, &s) == 0 && ++n <= 8)
		cr_assert_eq(myelon_publish(p, 1), 0);
	cr_assert_eq(n, 8);
	cr_assert_eq(myelon_claim(p, 1, myelon_deadline_after(20000000), &s), -ETIMEDOUT);
	kit_set(c.page, GO, 1);
	cr_assert_eq(myelon_claim(p, 1, kit_deadline(20), &s), 0, "leaving makes room");
	cast_done(&c, 1);
	myelon_producer_close(p);
	cast_end(&c, false);
}

/* Copies race with a producer that never waits: each one is whole or counted as lost. */
static void observed(const char *p, const char *o)
{
	struct kit_result *r;
	struct cast c;

	cast_begin(&c);
	cast_start(&c, 1, "observe", "%s", o);
	cast_start(&c, 2, "observe", "wait=park batch=1");
	cast_start(&c, 0, "publish", "for=1 count=300000 window=64 batch=4 %s", p);
	/* Nothing is published before the consumer comes, and it comes when both are there. */
	cast_attached(&c, 1);
	cast_attached(&c, 2);
	cast_start(&c, 3, "consume", "%s", "");
	for (unsigned int i = 1; i <= 2; i++) {
		r = cast_done_well(&c, i);
		cr_assert_eq(r->value[0], 299999, "observer %u saw the end", i);
		cr_assert_gt(r->count, 0);
	}
	cr_assert_eq(cast_done_well(&c, 3)->count, 300000);
	cast_done_well(&c, 0);
	cast_end(&c, false);
}

Test(stream, observers_at_full_load_see_whole_messages_and_count_the_rest)
{
	observed("slot=64", "slot=64");
	observed("slot=64 wait=park", "slot=64 batch=7 wait=yield");
}

Test(backing, shm_with_transparent_huge_pages)
{
	char options[64];

	snprintf(options, sizeof(options), "backing=%d huge=%d window=40000",
	         MYELON_BACKING_SHM_THP, MYELON_HUGE_TRY);
	broadcast(2, false, 100000, options, "");
}

Test(backing, hugetlb)
{
	char options[64];

	if (!kit_hugetlb_dir())
		kit_skip("hugepages", "no hugetlbfs directory was given to the tests");
	if (!kit_hugepages_reserve(2))
		kit_skip("hugepages", "two 2 MiB pages cannot be reserved");
	snprintf(options, sizeof(options), "backing=%d huge=%d window=32768",
	         MYELON_BACKING_HUGETLB, MYELON_HUGE_REQUIRE);
	broadcast(2, false, 100000, options, "");
	kit_hugepages_restore();
	cr_assert_eq(kit_dir_entries(kit_hugetlb_dir()), 0);
}

/* Plain files: the name is a path. */
static void file_name(struct cast *c)
{
	cast_begin(c);
	cr_assert_lt(snprintf(c->name, sizeof(c->name), "%s/r", kit_tmp_dir()),
	             (int)sizeof(c->name));
}

Test(backing, plain_file_outlives_its_processes_and_goes_on)
{
	struct myelon_consumer *r;
	struct myelon_view v;
	struct cast c;

	file_name(&c);
	cast_start(&c, 0, "publish", "backing=%d count=100 window=128 for=1", MYELON_BACKING_FILE);
	cast_start(&c, 1, "consume", "id=reader count=80 batch=1");
	cr_assert_eq(cast_done_well(&c, 1)->count, 80);
	cr_assert_eq(cast_done_well(&c, 0)->value[0], 99);
	cr_assert_eq(access(c.name, F_OK), 0);
	cast_start(&c, 1, "consume", "id=reader");
	cr_assert_eq(cast_done_well(&c, 1)->value[2], 80);
	cr_assert_eq(c.page->result[1].count, 20);
	cr_assert_eq(myelon_consumer_attach(&r, c.name, &MYELON_ATTACH_OPTS(.id = "reader")), 0);
	cast_start(&c, 0, "publish", "open=1 count=50");
	cr_assert_eq(cast_done_well(&c, 0)->value[0], 149);
	cr_assert_eq(myelon_consumer_epoch(r), 2);
	cr_assert_eq(myelon_peek(r, MYELON_ALL, MYELON_TRY, &v), 50);
	cr_assert_eq(v.seq, 100);
	for (uint32_t i = 0; i < 50; i++)
		cr_assert_eq(kit_check((const char *)v.base + (size_t)i * 64, 64, 1, 100 + i), -1);
	cr_assert_eq(myelon_release(r, 50), 0);
	myelon_consumer_close(r);
	cr_assert_eq(access(c.name, F_OK), 0);
	cr_assert_eq(myelon_ring_remove(c.name, NULL), 0, "%s", myelon_last_error());
	cr_assert_neq(access(c.name, F_OK), 0);
	cast_end(&c, false);
}

Test(backing, plain_file_streams_to_two)
{
	struct cast c;

	file_name(&c);
	for (unsigned int i = 1; i <= 2; i++)
		cast_start(&c, i, "consume", "%s", "");
	cast_start(&c, 0, "publish", "backing=%d count=20000 window=256 for=2 batch=100",
	           MYELON_BACKING_FILE);
	for (unsigned int i = 1; i <= 2; i++)
		expect_all(&c, i, 20000);
	cast_done_well(&c, 0);
	cr_assert_eq(myelon_ring_remove(c.name, NULL), 0);
	cast_end(&c, false);
}
