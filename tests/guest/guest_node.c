/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Rings on the node asked for, and nodes that cannot be asked for. */
#include "guest.h"

#include <linux/mempolicy.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct myelon_producer *strict_ring(int node, uint32_t backing)
{
	struct myelon_producer *p;

	OK(myelon_producer_create(&p, "placed",
	                          &MYELON_RING_OPTS(.slot_size = RING_SLOT, .window = RING_WINDOW,
	                                            .backing = backing, .numa = MYELON_NUMA_NODE,
	                                            .numa_node = (uint32_t)node,
	                                            .flags = MYELON_F_NUMA_STRICT)));
	return p;
}

static int try_node(uint32_t node)
{
	struct myelon_producer *p;
	int rc = myelon_producer_create(&p, "refused",
	                                &MYELON_RING_OPTS(.numa = MYELON_NUMA_NODE,
	                                                  .numa_node = node,
	                                                  .flags = MYELON_F_NUMA_STRICT));

	if (rc == 0)
		myelon_producer_close(p);
	return rc;
}

static void the_guest_has_two_nodes_with_memory_and_one_without(void)
{
	unsigned int cpu, node;

	for (int i = 0; i < NODES; i++) {
		CHECK((guest_meminfo(i, "MemTotal") > 0) == (i != NODE_BARE));
		guest_pin(CPU_OF(i));
		CHECK_EQ(syscall(SYS_getcpu, &cpu, &node, NULL), 0);
		CHECK_EQ(node, i);
		if (i != NODE_BARE)
			CHECK_EQ(guest_pool_free(i), POOL_PAGES);
	}
	CHECK_EQ(guest_read_number("/sys/devices/system/node/node0/distance"), 10);
	CHECK_EQ(guest_read_number("/sys/devices/system/node/node1/distance"), REMOTE_DISTANCE);
}

static void strict_huge_pages_are_all_on_each_node(void)
{
	long before[NODE_BARE];

	for (int node = 0; node < NODE_BARE; node++) {
		struct myelon_ring_info info = MYELON_RING_INFO_INIT;
		struct myelon_producer *p;

		for (int i = 0; i < NODE_BARE; i++)
			before[i] = guest_pool_free(i);
		/* From the other node's CPU: the policy decides, not who touches. */
		guest_pin(CPU_OF(1 - node));
		p = strict_ring(node, MYELON_BACKING_HUGETLB);
		OK(myelon_producer_info(p, &info));
		CHECK_EQ(info.backing, MYELON_BACKING_HUGETLB);
		CHECK_EQ(info.page_size, HUGE_PAGE);
		CHECK_EQ(info.node_asked, node);
		guest_all_on(p, node);
		CHECK_EQ(guest_pool_free(node), before[node] - RING_PAGES);
		CHECK_EQ(guest_pool_free(1 - node), before[1 - node]);
		myelon_producer_close(p);
		CHECK_EQ(guest_pool_free(node), before[node]);
	}
}

static void strict_small_pages_are_all_on_each_node(void)
{
	for (int node = 0; node < NODE_BARE; node++) {
		struct myelon_ring_info info = MYELON_RING_INFO_INIT;
		struct myelon_producer *p;

		guest_pin(CPU_OF(1 - node));
		p = strict_ring(node, MYELON_BACKING_SHM);
		OK(myelon_producer_info(p, &info));
		CHECK_EQ(info.backing, MYELON_BACKING_SHM);
		CHECK_EQ(info.page_size, 4096);
		CHECK_EQ(info.data_bytes, RING_BYTES);
		guest_all_on(p, node);
		myelon_producer_close(p);
	}
}

static void strict_transparent_huge_pages_are_all_on_each_node(void)
{
	for (int node = 0; node < NODE_BARE; node++) {
		struct myelon_producer *p;

		guest_pin(CPU_OF(1 - node));
		p = strict_ring(node, MYELON_BACKING_SHM_THP);
		guest_all_on(p, node);
		myelon_producer_close(p);
	}
}

static void local_is_the_node_of_the_cpu(void)
{
	for (int node = 0; node < NODE_BARE; node++) {
		uint32_t backing[] = {MYELON_BACKING_HUGETLB, MYELON_BACKING_SHM};

		for (int i = 0; i < 2; i++) {
			struct myelon_producer *p;

			guest_pin(CPU_OF(node));
			OK(myelon_producer_create(
				&p, "local",
				&MYELON_RING_OPTS(.window = RING_WINDOW, .backing = backing[i],
			                          .numa = MYELON_NUMA_LOCAL,
			                          .flags = MYELON_F_NUMA_STRICT)));
			guest_all_on(p, node);
			myelon_producer_close(p);
		}
	}
}

static void a_node_without_memory_is_refused(void)
{
	REFUSED(try_node(NODE_BARE), -EINVAL);
	CHECK_HAS(myelon_last_error(), "node 2 has no memory");
	CHECK_HAS(myelon_last_error(), "0-1");
}

static void local_is_the_nearest_node_or_refused_where_the_cpu_has_no_memory(void)
{
	struct myelon_producer *p;

	guest_pin(CPU_OF(NODE_BARE));
	REFUSED(myelon_producer_create(&p, "local",
	                               &MYELON_RING_OPTS(.numa = MYELON_NUMA_LOCAL,
	                                                 .flags = MYELON_F_NUMA_STRICT)),
	        -EINVAL);
	CHECK_HAS(myelon_last_error(), "node 2, which has no memory");
	/* Not strictly: the nearest that has some; both are as far. */
	OK(myelon_producer_create(&p, "local", &MYELON_RING_OPTS(.numa = MYELON_NUMA_LOCAL)));
	guest_all_on(p, 0);
	myelon_producer_close(p);
}

static void unknown_nodes_are_refused(void)
{
	REFUSED(try_node(7), -EINVAL);
	CHECK_HAS(myelon_last_error(), "node 7");
	REFUSED(try_node(100000), -EINVAL);
	CHECK_HAS(myelon_last_error(), "node 100000");
	REFUSED(try_node(UINT32_MAX), -EINVAL);
}

/* Into a group that may have memory of node 0 only. */
static void into_cpuset(void)
{
	CHECK_EQ(mkdir(CGROUP_DIR "/case", 0700), 0);
	guest_write(CGROUP_DIR "/case/cpuset.mems", "0");
	guest_write(CGROUP_DIR "/case/cgroup.procs", "0");
}

static void out_of_cpuset(void)
{
	guest_write(CGROUP_DIR "/cgroup.procs", "0");
	CHECK_EQ(rmdir(CGROUP_DIR "/case"), 0);
}

static void a_node_outside_the_cpuset_is_refused(void)
{
	struct myelon_producer *p;

	into_cpuset();
	REFUSED(try_node(1), -EINVAL);
	CHECK_HAS(myelon_last_error(), "cpuset");
	CHECK_HAS(myelon_last_error(), "node 1");
	p = strict_ring(0, MYELON_BACKING_HUGETLB);
	guest_all_on(p, 0);
	myelon_producer_close(p);
	out_of_cpuset();
	CHECK_EQ(try_node(1), 0);
}

/* Moves every page of @path that is there to @node, whoever maps it. */
static void move_all(const char *path, size_t bytes, size_t page, int node)
{
	char *at = guest_map(path, bytes);

	for (size_t off = 0; off < bytes; off += page) {
		void *where = at + off;
		int status = -1;

		(void)__atomic_load_n(at + off, __ATOMIC_RELAXED);
		if (syscall(SYS_move_pages, 0, 1, &where, &node, &status, MPOL_MF_MOVE_ALL) != 0)
			FAIL("move_pages: %s", strerror(errno));
		CHECK_EQ(status, node);
	}
	munmap(at, bytes);
}

/* What is written before is read after. */
static void moved_ring_is_found_elsewhere(uint32_t backing)
{
	struct myelon_producer *p = strict_ring(0, backing);
	struct myelon_ring_info info;
	struct guest_census census = guest_census_of_producer(p, &info);
	struct myelon_consumer *c;
	struct myelon_span s;
	struct myelon_view v = {0};

	CHECK_EQ(census.node[0], census.all);
	OK(myelon_consumer_attach(&c, "placed", &MYELON_ATTACH_OPTS(.id = "c")));
	OK(myelon_claim(p, RING_WINDOW, MYELON_TRY, &s));
	for (uint32_t i = 0; i < RING_WINDOW; i++)
		memset((char *)s.base + (size_t)i * RING_SLOT, (int)(i % 251), RING_SLOT);
	OK(myelon_publish(p, RING_WINDOW));
	move_all(info.data_path, info.data_bytes, info.page_size, 1);
	census = guest_census_of_producer(p, &info);
	CHECK_EQ(census.node[1], census.all);
	CHECK_EQ(census.node[0], 0);
	/* What was recorded at create is what was true then; who asks again is told. */
	CHECK_EQ(info.node_asked, 0);
	CHECK_EQ(info.node_obtained, 0);
	CHECK_EQ(OK(myelon_producer_verify(p, &info)), (int)census.all);
	CHECK_EQ(info.node_obtained, 1);
	CHECK_EQ(info.node_pages[1], census.all);
	CHECK_EQ(OK(myelon_consumer_verify(c, &info)), (int)census.all);
	CHECK_EQ(OK(myelon_peek(c, MYELON_ALL, MYELON_TRY, &v)), RING_WINDOW);
	for (uint32_t i = 0; i < RING_WINDOW; i++)
		CHECK_EQ(((const unsigned char *)v.base)[(size_t)i * RING_SLOT + i % RING_SLOT],
		         i % 251);
	OK(myelon_release(c, RING_WINDOW));
	myelon_producer_close(p);
	myelon_consumer_close(c);
}

static void moved_huge_pages_are_found_elsewhere_and_hold_the_data(void)
{
	moved_ring_is_found_elsewhere(MYELON_BACKING_HUGETLB);
}

static void moved_small_pages_are_found_elsewhere_and_hold_the_data(void)
{
	moved_ring_is_found_elsewhere(MYELON_BACKING_SHM);
}

/* As migratepages(8) does it to a whole process. */
static void migrated_process_has_its_ring_elsewhere(void)
{
	struct myelon_producer *p = strict_ring(0, MYELON_BACKING_SHM);
	unsigned long from = 1, to = 2;
	struct myelon_ring_info info;
	struct guest_census census;

	if (syscall(SYS_migrate_pages, 0, 8 * sizeof(from), &from, &to) < 0)
		FAIL("migrate_pages: %s", strerror(errno));
	census = guest_census_of_producer(p, &info);
	CHECK_EQ(census.node[1], census.all);
	/* Its control pages went along. */
	CHECK(OK(myelon_producer_verify(p, &info)) > (int)census.all);
	CHECK_EQ(info.control_node, 1);
	myelon_producer_close(p);
}

const struct guest_case guest_node_cases[] = {
	GUEST_CASE(the_guest_has_two_nodes_with_memory_and_one_without),
	GUEST_CASE(strict_huge_pages_are_all_on_each_node),
	GUEST_CASE(strict_small_pages_are_all_on_each_node),
	GUEST_CASE(strict_transparent_huge_pages_are_all_on_each_node),
	GUEST_CASE(local_is_the_node_of_the_cpu),
	GUEST_CASE(a_node_without_memory_is_refused),
	GUEST_CASE(local_is_the_nearest_node_or_refused_where_the_cpu_has_no_memory),
	GUEST_CASE(unknown_nodes_are_refused),
	GUEST_CASE(a_node_outside_the_cpuset_is_refused),
	GUEST_CASE(moved_huge_pages_are_found_elsewhere_and_hold_the_data),
	GUEST_CASE(moved_small_pages_are_found_elsewhere_and_hold_the_data),
	GUEST_CASE(migrated_process_has_its_ring_elsewhere),
	{0},
};
