/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What this kernel has and newer or older ones have not: each with and without. */
#include "guest.h"

#include <fcntl.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static int create(struct myelon_producer **p, uint32_t backing, uint32_t huge)
{
	return myelon_producer_create(
		p, "kernel",
		&MYELON_RING_OPTS(.slot_size = RING_SLOT, .window = RING_WINDOW, .backing = backing,
	                          .huge = huge, .numa = MYELON_NUMA_NODE, .numa_node = 1,
	                          .flags = MYELON_F_NUMA_STRICT));
}

static uint32_t fence_of_a_ring(void)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct myelon_producer *p;

	OK(myelon_producer_create(&p, "fence", &MYELON_RING_OPTS(.backing = MYELON_BACKING_SHM)));
	OK(myelon_producer_info(p, &info));
	myelon_producer_close(p);
	return info.fence;
}

static void membarrier_makes_publishing_free(void)
{
	long have = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	CHECK(have > 0 && (have & MEMBARRIER_CMD_GLOBAL_EXPEDITED));
	CHECK_EQ(fence_of_a_ring(), MYELON_FENCE_ASYM);
}

static void without_membarrier_both_sides_fence(void)
{
	guest_deny(SYS_membarrier, -1, ENOSYS);
	CHECK_EQ(fence_of_a_ring(), MYELON_FENCE_FULL);
}

static size_t mapped_huge(const void *at)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long begin, end, kib, sum = 0;
	bool ours = false;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
			ours = begin == (uintptr_t)at;
		else if (ours && sscanf(line, "ShmemPmdMapped: %lu", &kib) == 1)
			sum += kib;
	}
	if (f)
		fclose(f);
	return sum * 1024;
}

static void transparent_huge_pages_are_collapsed_though_shmem_has_them_off(void)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct myelon_producer *p;
	struct myelon_span s;

	OK(create(&p, MYELON_BACKING_SHM_THP, MYELON_HUGE_REQUIRE));
	OK(myelon_producer_info(p, &info));
	CHECK_EQ(info.backing, MYELON_BACKING_SHM_THP);
	OK(myelon_claim(p, 1, MYELON_TRY, &s));
	CHECK(mapped_huge(s.base) > 0 && mapped_huge(s.base) % HUGE_PAGE == 0);
	CHECK_HAS(info.reason, "8 MiB of 8 MiB in huge pages");
	guest_all_on(p, 1);
	myelon_producer_close(p);
}

static void without_collapse_required_huge_pages_are_refused_and_others_small(void)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct myelon_producer *p;

	guest_deny(SYS_madvise, MADV_COLLAPSE, EINVAL);
	REFUSED(create(&p, MYELON_BACKING_SHM_THP, MYELON_HUGE_REQUIRE), -ENOSPC);
	CHECK_HAS(myelon_last_error(), "must have huge pages");
	OK(create(&p, MYELON_BACKING_SHM_THP, MYELON_HUGE_TRY));
	OK(myelon_producer_info(p, &info));
	CHECK_HAS(info.reason, "of 8 MiB in huge pages");
	guest_all_on(p, 1);
	myelon_producer_close(p);
}

static void without_populate_pages_are_still_had_or_refused_in_time(void)
{
	uint32_t backings[] = {MYELON_BACKING_HUGETLB, MYELON_BACKING_SHM, MYELON_BACKING_SHM_THP};
	struct myelon_producer *p;

	guest_deny(SYS_madvise, MADV_POPULATE_WRITE, EINVAL);
	for (int i = 0; i < 3; i++) {
		OK(create(&p, backings[i], MYELON_HUGE_TRY));
		guest_all_on(p, 1);
		myelon_producer_close(p);
	}
	CHECK_EQ(guest_pool_set(1, RING_PAGES - 1), RING_PAGES - 1);
	REFUSED(create(&p, MYELON_BACKING_HUGETLB, MYELON_HUGE_TRY), -ENOSPC);
	CHECK_HAS(myelon_last_error(), "node 1");
	/* A failing fallocate keeps what it got until the file is gone. */
	CHECK_EQ(guest_pool_free(1), RING_PAGES - 1);
	CHECK_EQ(guest_pool_free(0), POOL_PAGES);
	guest_pool_set(1, POOL_PAGES);
}

static void where_move_pages_is_denied_numa_maps_tells(void)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	uint32_t backings[] = {MYELON_BACKING_HUGETLB, MYELON_BACKING_SHM};
	struct myelon_producer *p;

	guest_deny(SYS_move_pages, -1, EPERM);
	for (int i = 0; i < 2; i++) {
		OK(create(&p, backings[i], MYELON_HUGE_TRY));
		OK(myelon_producer_info(p, &info));
		CHECK_EQ(info.node_obtained, 1);
		myelon_producer_close(p);
	}
}

/* As in a container without CAP_SYS_NICE: the policy cannot be had, so the pages may lie anywhere. */
static void where_policies_are_denied_a_strict_ring_is_verified_or_refused(void)
{
	struct myelon_producer *p;
	int rc;

	guest_deny(SYS_set_mempolicy, -1, EPERM);
	guest_deny(SYS_mbind, -1, EPERM);
	guest_pin(CPU_OF(0));
	rc = create(&p, MYELON_BACKING_HUGETLB, MYELON_HUGE_TRY);
	if (rc == 0) {
		guest_all_on(p, 1);
		myelon_producer_close(p);
		return;
	}
	CHECK_EQ(rc, -ENOSPC);
	CHECK_HAS(myelon_last_error(), "4 of 4 pages not on node 1");
	CHECK_EQ(guest_pool_free(0), POOL_PAGES);
}

const struct guest_case guest_kernel_cases[] = {
	GUEST_CASE(membarrier_makes_publishing_free),
	GUEST_CASE(without_membarrier_both_sides_fence),
	GUEST_CASE(transparent_huge_pages_are_collapsed_though_shmem_has_them_off),
	GUEST_CASE(without_collapse_required_huge_pages_are_refused_and_others_small),
	GUEST_CASE(without_populate_pages_are_still_had_or_refused_in_time),
	GUEST_CASE(where_move_pages_is_denied_numa_maps_tells),
	GUEST_CASE(where_policies_are_denied_a_strict_ring_is_verified_or_refused),
	{0},
};
