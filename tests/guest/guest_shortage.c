/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* One node is short while the other has plenty: the clear error, or what the fallback says. */
#include "guest.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHORT 2 /* huge pages that node 1 has: half of what a ring needs */

static int create_on_1(struct myelon_producer **p, uint32_t backing, uint32_t huge, uint32_t flags)
{
	return myelon_producer_create(p, "short",
	                              &MYELON_RING_OPTS(.slot_size = RING_SLOT,
	                                                .window = RING_WINDOW, .backing = backing,
	                                                .huge = huge, .numa = MYELON_NUMA_NODE,
	                                                .numa_node = 1, .flags = flags));
}

static void untouched(void)
{
	CHECK_EQ(guest_pool_free(0), POOL_PAGES);
	CHECK_EQ(guest_pool_free(1), SHORT);
	CHECK_EQ(guest_read_number("/proc/sys/vm/nr_hugepages"), POOL_PAGES + SHORT);
	CHECK_EQ(guest_read_number("/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages"), 0);
}

static void strict_is_refused(uint32_t backing, uint32_t huge)
{
	struct myelon_producer *p;

	REFUSED(create_on_1(&p, backing, huge, MYELON_F_NUMA_STRICT), -ENOSPC);
	CHECK_HAS(myelon_last_error(), "pool of node 1 has 2 free pages, 2 are missing");
	CHECK_HAS(myelon_last_error(),
	          "echo 4 > "
	          "/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages");
	untouched();
}

static void strict_shortage_on_one_node_names_it_and_changes_nothing(void)
{
	CHECK_EQ(guest_pool_set(1, SHORT), SHORT);
	strict_is_refused(MYELON_BACKING_HUGETLB, MYELON_HUGE_TRY);
	strict_is_refused(MYELON_BACKING_AUTO, MYELON_HUGE_REQUIRE);
	guest_pool_set(1, POOL_PAGES);
}

static void the_command_in_the_error_is_all_it_takes(void)
{
	struct myelon_producer *p;
	const char *command;

	CHECK_EQ(guest_pool_set(1, SHORT), SHORT);
	REFUSED(create_on_1(&p, MYELON_BACKING_HUGETLB, 0, MYELON_F_NUMA_STRICT), -ENOSPC);
	command = strstr(myelon_last_error(), "echo ");
	CHECK(command != NULL);
	CHECK_EQ(system(command), 0);
	OK(create_on_1(&p, MYELON_BACKING_HUGETLB, 0, MYELON_F_NUMA_STRICT));
	guest_all_on(p, 1);
	myelon_producer_close(p);
	guest_pool_set(1, POOL_PAGES);
}

static void try_falls_back_to_small_pages_of_the_node_and_says_why(void)
{
	uint32_t flags[] = {0, MYELON_F_NUMA_STRICT};

	CHECK_EQ(guest_pool_set(1, SHORT), SHORT);
	for (int i = 0; i < 2; i++) {
		struct myelon_ring_info info = MYELON_RING_INFO_INIT;
		struct myelon_producer *p;

		OK(create_on_1(&p, MYELON_BACKING_AUTO, MYELON_HUGE_TRY, flags[i]));
		OK(myelon_producer_info(p, &info));
		CHECK_EQ(info.backing, MYELON_BACKING_SHM);
		CHECK_HAS(info.reason, "pool of node 1 has 2 free pages, 2 are missing");
		guest_all_on(p, 1);
		untouched();
		myelon_producer_close(p);
	}
	guest_pool_set(1, POOL_PAGES);
}

static void huge_pages_that_must_be_come_from_the_other_node_if_it_need_not(void)
{
	struct myelon_ring_info info;
	struct guest_census census;
	struct myelon_producer *p;

	CHECK_EQ(guest_pool_set(1, SHORT), SHORT);
	OK(create_on_1(&p, MYELON_BACKING_AUTO, MYELON_HUGE_REQUIRE, 0));
	census = guest_census_of_producer(p, &info);
	CHECK_EQ(info.backing, MYELON_BACKING_HUGETLB);
	CHECK_EQ(census.node[1], SHORT);
	CHECK_EQ(census.node[0], RING_PAGES - SHORT);
	CHECK_EQ(info.node_obtained, -1);
	CHECK_HAS(info.reason, "2 of 4 pages not on node 1 as asked");
	myelon_producer_close(p);
	guest_pool_set(1, POOL_PAGES);
}

static void no_huge_pages_on_any_node_is_an_error_of_the_machine(void)
{
	struct myelon_producer *p;

	CHECK_EQ(guest_pool_set(0, 0), 0);
	CHECK_EQ(guest_pool_set(1, 0), 0);
	REFUSED(myelon_producer_create(
			&p, "none",
			&MYELON_RING_OPTS(.window = RING_WINDOW, .huge = MYELON_HUGE_REQUIRE)),
	        -ENOSPC);
	CHECK_HAS(myelon_last_error(), "0 free pages, 4 are missing");
	guest_pool_set(0, POOL_PAGES);
	guest_pool_set(1, POOL_PAGES);
}

/*
 * Node 1 has less free memory than the ring needs, the rest is in its pool: small pages then come to
 * lie on node 0, which only a look at them tells.
 */
static uint32_t fill_node_1(void)
{
	uint32_t bytes = RING_BYTES;
	size_t spare = guest_meminfo(1, "MemFree");

	CHECK(spare > RING_BYTES);
	guest_pool_set(1, POOL_PAGES + (long)((spare - RING_BYTES / 2) / HUGE_PAGE));
	while (bytes < 2 * guest_meminfo(1, "MemFree"))
		bytes *= 2;
	CHECK(3ul * bytes < 2 * guest_meminfo(0, "MemFree"));
	return bytes / RING_SLOT;
}

static void small_pages_on_the_wrong_node_are_detected(void)
{
	struct myelon_ring_info info;
	struct guest_census census;
	struct myelon_producer *p;
	struct myelon_ring_opts opts =
		MYELON_RING_OPTS(.slot_size = RING_SLOT, .window = fill_node_1(),
	                         .backing = MYELON_BACKING_SHM, .numa = MYELON_NUMA_NODE,
	                         .numa_node = 1, .flags = MYELON_F_NUMA_STRICT);

	REFUSED(myelon_producer_create(&p, "full", &opts), -ENOSPC);
	CHECK_HAS(myelon_last_error(), "must be on NUMA node 1");
	CHECK_HAS(myelon_last_error(), "pages not on node 1");
	opts.flags = 0;
	OK(myelon_producer_create(&p, "full", &opts));
	census = guest_census_of_producer(p, &info);
	CHECK(census.node[0] > 0);
	CHECK(info.node_obtained != 1);
	CHECK_HAS(info.reason, "pages not on node 1 as asked");
	myelon_producer_close(p);
	guest_pool_set(1, POOL_PAGES);
}

static void limited(const char *file)
{
	char path[96];
	struct myelon_producer *p;

	snprintf(path, sizeof(path), CGROUP_DIR "/case/%s", file);
	guest_write(path, "4194304");
	REFUSED(create_on_1(&p, MYELON_BACKING_HUGETLB, 0, MYELON_F_NUMA_STRICT), -ENOSPC);
	CHECK_HAS(myelon_last_error(), "control group /case may");
	CHECK_EQ(guest_pool_free(1), POOL_PAGES);
	OK(create_on_1(&p, MYELON_BACKING_AUTO, 0, MYELON_F_NUMA_STRICT));
	guest_all_on(p, 1);
	myelon_producer_close(p);
	guest_write(path, "max");
}

static void a_full_control_group_is_an_error_and_not_a_signal(void)
{
	CHECK_EQ(mkdir(CGROUP_DIR "/case", 0700), 0);
	guest_write(CGROUP_DIR "/case/cgroup.procs", "0");
	limited("hugetlb.2MB.max");
	limited("hugetlb.2MB.rsvd.max");
	guest_write(CGROUP_DIR "/cgroup.procs", "0");
	CHECK_EQ(rmdir(CGROUP_DIR "/case"), 0);
}

#define RACE_ROUNDS 20

struct race {
	int arrived[2];
	int won, lost;
};

static void meet(struct race *r, int stage, int all)
{
	__atomic_fetch_add(&r->arrived[stage], 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&r->arrived[stage], __ATOMIC_SEQ_CST) < all)
		sched_yield();
}

/* Nobody closes before the other has tried, so at most one can have them all. */
static void racer(void *arg)
{
	struct race *r = arg;
	char name[32];

	snprintf(name, sizeof(name), "racer-%d", (int)getpid());
	for (int i = 1; i <= RACE_ROUNDS; i++) {
		struct myelon_producer *p = NULL;
		int rc;

		meet(r, 0, 2 * i);
		rc = myelon_producer_create(
			&p, name,
			&MYELON_RING_OPTS(.window = RING_WINDOW, .backing = MYELON_BACKING_HUGETLB,
		                          .numa = MYELON_NUMA_NODE, .numa_node = 1,
		                          .flags = MYELON_F_NUMA_STRICT));
		__atomic_fetch_add(rc == 0 ? &r->won : &r->lost, 1, __ATOMIC_SEQ_CST);
		if (rc) {
			CHECK_EQ(rc, -ENOSPC);
			CHECK_HAS(myelon_last_error(), "node 1");
		} else {
			guest_all_on(p, 1);
		}
		meet(r, 1, 2 * i);
		if (rc == 0)
			myelon_producer_close(p);
	}
}

static void racers_for_the_last_pages_get_them_or_the_error(void)
{
	struct race *r =
		mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[2];

	CHECK(r != MAP_FAILED);
	CHECK_EQ(guest_pool_set(1, RING_PAGES), RING_PAGES);
	for (int i = 0; i < 2; i++)
		pids[i] = guest_spawn(racer, r);
	for (int i = 0; i < 2; i++)
		guest_join(pids[i]);
	CHECK_EQ(r->won + r->lost, 2 * RACE_ROUNDS);
	CHECK(r->won <= RACE_ROUNDS);
	printf("  of %d pairs %d had a winner\n", RACE_ROUNDS, r->won);
	CHECK_EQ(guest_pool_free(0), POOL_PAGES);
	CHECK_EQ(guest_pool_free(1), RING_PAGES);
	guest_pool_set(1, POOL_PAGES);
}

const struct guest_case guest_shortage_cases[] = {
	GUEST_CASE(strict_shortage_on_one_node_names_it_and_changes_nothing),
	GUEST_CASE(the_command_in_the_error_is_all_it_takes),
	GUEST_CASE(try_falls_back_to_small_pages_of_the_node_and_says_why),
	GUEST_CASE(huge_pages_that_must_be_come_from_the_other_node_if_it_need_not),
	GUEST_CASE(no_huge_pages_on_any_node_is_an_error_of_the_machine),
	GUEST_CASE(small_pages_on_the_wrong_node_are_detected),
	GUEST_CASE(a_full_control_group_is_an_error_and_not_a_signal),
	GUEST_CASE(racers_for_the_last_pages_get_them_or_the_error),
	{0},
};
