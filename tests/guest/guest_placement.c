/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Placement that is not one node: interleaved pages, and the policy of the calling thread. */
#include "guest.h"

#include <linux/mempolicy.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <myelon/numa.h>

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

/* How a ring is asked for this, in one place. */
#define OF_CPU(number) .numa = MYELON_NUMA_CPU, .numa_cpu = (number)
#define INTERLEAVED .numa = MYELON_NUMA_INTERLEAVE
#define PIN(number) .pin = MYELON_PIN(number)

static void an_interleaved_ring_has_as_many_pages_on_each_node_and_counts_them(void)
{
	uint32_t backings[] = {MYELON_BACKING_HUGETLB, MYELON_BACKING_SHM};

	for (int i = 0; i < 2; i++) {
		struct myelon_ring_info info;
		struct guest_census census;
		struct myelon_producer *p;

		guest_pin(CPU_OF(NODE_BARE));
		OK(myelon_producer_create(&p, "spread",
		                          &MYELON_RING_OPTS(.window = RING_WINDOW, INTERLEAVED,
		                                            .backing = backings[i],
		                                            .flags = MYELON_F_NUMA_STRICT)));
		census = guest_census_of_producer(p, &info);
		for (int node = 0; node < NODE_BARE; node++) {
			CHECK_EQ(census.node[node], census.all / 2);
			CHECK_EQ(info.node_pages[node], census.node[node]);
		}
		CHECK_EQ(info.node_pages[NODE_BARE], 0);
		CHECK_EQ(info.node_obtained, -1);
		myelon_producer_close(p);
	}
}

static void interleaving_is_refused_when_one_node_is_short(void)
{
	struct myelon_producer *p;

	REFUSED(myelon_producer_create(&p, "spread",
	                               &MYELON_RING_OPTS(.window = RING_WINDOW, INTERLEAVED,
	                                                 .backing = MYELON_BACKING_SHM_THP)),
	        -EINVAL);
	CHECK_HAS(myelon_last_error(), "interleave");

	CHECK_EQ(guest_pool_set(1, 1), 1);
	REFUSED(myelon_producer_create(&p, "spread",
	                               &MYELON_RING_OPTS(.window = RING_WINDOW, INTERLEAVED,
	                                                 .backing = MYELON_BACKING_HUGETLB,
	                                                 .flags = MYELON_F_NUMA_STRICT)),
	        -ENOSPC);
	CHECK_HAS(myelon_last_error(), "node 1");
	CHECK_EQ(guest_pool_free(0), POOL_PAGES);
	CHECK_EQ(guest_pool_free(1), 1);
	guest_pool_set(1, POOL_PAGES);
}

static void a_ring_of_a_cpu_is_on_its_node_wherever_the_creator_runs(void)
{
	for (int node = 0; node < NODE_BARE; node++) {
		struct myelon_ring_info info;
		struct guest_census census;
		struct myelon_producer *p;

		guest_pin(CPU_OF(1 - node));
		OK(myelon_producer_create(&p, "of-cpu",
		                          &MYELON_RING_OPTS(.window = RING_WINDOW,
		                                            OF_CPU(CPU_OF(node)),
		                                            .backing = MYELON_BACKING_HUGETLB,
		                                            .flags = MYELON_F_NUMA_STRICT)));
		guest_all_on(p, node);
		census = guest_census_of_producer(p, &info);
		CHECK_EQ(info.node_pages[node], census.all);
		CHECK_EQ(info.node_pages[1 - node], 0);
		myelon_producer_close(p);
	}
}

static void a_ring_of_a_cpu_without_memory_or_that_is_not_there_is_refused(void)
{
	struct myelon_producer *p;

	REFUSED(myelon_producer_create(&p, "of-cpu", &MYELON_RING_OPTS(OF_CPU(CPU_OF(NODE_BARE)))),
	        -EINVAL);
	CHECK_HAS(myelon_last_error(), "node 2, which has no memory");
	REFUSED(myelon_producer_create(&p, "of-cpu", &MYELON_RING_OPTS(OF_CPU(99))), -EINVAL);
	CHECK_HAS(myelon_last_error(), "99");
}

static void pinning_goes_to_every_node_and_comes_before_the_memory(void)
{
	for (int node = 0; node < NODE_BARE; node++) {
		struct myelon_producer *p;

		guest_pin(CPU_OF(1 - node));
		OK(myelon_producer_create(&p, "pinned",
		                          &MYELON_RING_OPTS(.window = RING_WINDOW,
		                                            PIN(CPU_OF(node)),
		                                            .numa = MYELON_NUMA_LOCAL,
		                                            .flags = MYELON_F_NUMA_STRICT)));
		CHECK_EQ(sched_getcpu(), CPU_OF(node));
		guest_all_on(p, node);
		myelon_producer_close(p);
	}
	for (int node = 0; node < NODES; node++) {
		OK(myelon_pin(CPU_OF(node)));
		CHECK_EQ(sched_getcpu(), CPU_OF(node));
	}
}

static void pinning_outside_the_cpuset_or_the_machine_is_refused(void)
{
	REFUSED(myelon_pin(99), -EINVAL);
	CHECK_HAS(myelon_last_error(), "99");
	CHECK_EQ(mkdir(CGROUP_DIR "/case", 0700), 0);
	guest_write(CGROUP_DIR "/case/cpuset.cpus", "0-1");
	guest_write(CGROUP_DIR "/case/cgroup.procs", "0");
	REFUSED(myelon_pin(CPU_OF(1)), -EINVAL);
	CHECK_HAS(myelon_last_error(), "cpuset");
	OK(myelon_pin(1));
	guest_write(CGROUP_DIR "/cgroup.procs", "0");
	CHECK_EQ(rmdir(CGROUP_DIR "/case"), 0);
}

static void advice_tells_who_works_on_memory_of_another_node(void)
{
	struct myelon_advice a = MYELON_ADVICE_INIT;

	OK(myelon_advise(CPU_OF(1), 1, 4096, &a));
	CHECK_EQ(a.node, 1);
	CHECK_EQ(a.flags & MYELON_ADVICE_REMOTE, 0);
	OK(myelon_advise(CPU_OF(1), 0, 4096, &a));
	CHECK_EQ(a.flags & MYELON_ADVICE_REMOTE, MYELON_ADVICE_REMOTE);
	CHECK_EQ(a.flags & MYELON_ADVICE_NOT_ISOLATED, MYELON_ADVICE_NOT_ISOLATED);
	/* The guest's kernel balances. */
	CHECK_EQ(a.flags & MYELON_ADVICE_BALANCING, MYELON_ADVICE_BALANCING);
	OK(myelon_advise(CPU_OF(1), 0, HUGE_PAGE, &a));
	CHECK_EQ(a.flags & MYELON_ADVICE_BALANCING, 0);
}

const struct guest_case guest_placement_cases[] = {
	GUEST_CASE(an_interleaved_ring_has_as_many_pages_on_each_node_and_counts_them),
	GUEST_CASE(interleaving_is_refused_when_one_node_is_short),
	GUEST_CASE(a_ring_of_a_cpu_is_on_its_node_wherever_the_creator_runs),
	GUEST_CASE(a_ring_of_a_cpu_without_memory_or_that_is_not_there_is_refused),
	GUEST_CASE(pinning_goes_to_every_node_and_comes_before_the_memory),
	GUEST_CASE(pinning_outside_the_cpuset_or_the_machine_is_refused),
	GUEST_CASE(advice_tells_who_works_on_memory_of_another_node),
	GUEST_CASE(a_ring_that_asks_for_no_node_follows_the_policy_of_its_thread),
	GUEST_CASE(a_node_asked_for_overrides_the_policy_of_the_thread_and_puts_it_back),
	{0},
};
