/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Placement that is not one node: interleaved pages, and the policy of the calling thread. */
#include "guest.h"

#include <linux/mempolicy.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void policy(int mode, unsigned long nodes)
{
	if (syscall(SYS_set_mempolicy, mode, nodes ? &nodes : NULL, nodes ? 8 * sizeof(nodes) : 0))
		FAIL("set_mempolicy: %s", strerror(errno));
}

/* As numactl --interleave=all does it: a ring that asks for nothing takes what its thread has. */
static void a_ring_that_asks_for_no_node_follows_the_policy_of_its_thread(void)
{
	uint32_t backings[] = {MYELON_BACKING_HUGETLB, MYELON_BACKING_SHM};

	for (int i = 0; i < 2; i++) {
		struct myelon_ring_info info;
		struct guest_census census;
		struct myelon_producer *p;

		policy(MPOL_INTERLEAVE, 3);
		OK(myelon_producer_create(
			&p, "spread",
			&MYELON_RING_OPTS(.window = RING_WINDOW, .backing = backings[i])));
		policy(MPOL_DEFAULT, 0);
		census = guest_census_of_producer(p, &info);
		CHECK_EQ(census.node[0], census.all / 2);
		CHECK_EQ(census.node[1], census.all / 2);
		CHECK_EQ(info.node_asked, -1);
		CHECK_EQ(info.node_obtained, -1);
		myelon_producer_close(p);
	}
}

/* A node asked for is stronger, and the thread's own policy is as it was. */
static void a_node_asked_for_overrides_the_policy_of_the_thread_and_puts_it_back(void)
{
	unsigned long nodes[16] = {0};
	struct myelon_producer *p;
	int mode;

	policy(MPOL_INTERLEAVE, 3);
	OK(myelon_producer_create(&p, "strict",
	                          &MYELON_RING_OPTS(.window = RING_WINDOW,
	                                            .backing = MYELON_BACKING_HUGETLB,
	                                            .numa = MYELON_NUMA_NODE, .numa_node = 1,
	                                            .flags = MYELON_F_NUMA_STRICT)));
	guest_all_on(p, 1);
	if (syscall(SYS_get_mempolicy, &mode, nodes, 8 * sizeof(nodes), NULL, 0))
		FAIL("get_mempolicy: %s", strerror(errno));
	CHECK_EQ(mode, MPOL_INTERLEAVE);
	CHECK_EQ(nodes[0], 3);
	myelon_producer_close(p);
}

const struct guest_case guest_placement_cases[] = {
	GUEST_CASE(a_ring_that_asks_for_no_node_follows_the_policy_of_its_thread),
	GUEST_CASE(a_node_asked_for_overrides_the_policy_of_the_thread_and_puts_it_back),
	{0},
};
