/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <myelon/ring.h>

#include "base/error.h"
#include "kit.h"
#include "numa/placement.h"
#include "sys/sys.h"

#define PAGES 600 /* more than one query takes */

/* As a ring has it: private memory may be one mapping with its neighbour. */
static void *mapped(size_t bytes)
{
	int dir = mye_open_dir(kit_shm_dir()), fd = mye_open_tmpfile(dir, 0600);
	void *at;

	cr_assert_eq(mye_truncate(fd, bytes), 0);
	cr_assert_eq(mye_reserve(bytes, mye_page_size(), &at), 0);
	cr_assert_eq(mye_map_fixed(at, bytes, fd, 0, MYE_MAP_WRITE), 0);
	mye_close(fd);
	mye_close(dir);
	return at;
}

static void *populated(size_t *bytes)
{
	void *at;

	*bytes = PAGES * mye_page_size();
	at = mapped(*bytes);
	cr_assert_eq(mye_populate(at, *bytes, true), 0);
	return at;
}

Test(numa, local_node_is_there_and_others_are_refused_by_name)
{
	cr_assert_eq(mye_numa_check(mye_current_node()), 0);
	cr_assert_eq(mye_numa_check(1000), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "node 1000"));
	cr_assert_eq(mye_numa_check(-1), -EINVAL);
	cr_assert_eq(mye_numa_check(MYE_NUMA_NODES), -EINVAL);
}

static struct mye_numa_want here(void)
{
	struct mye_numa_want want;

	cr_assert_eq(mye_numa_want(&want, MYELON_NUMA_LOCAL, 0, 0, 0, true), 0, "%s",
	             myelon_last_error());
	return want;
}

Test(numa, options_become_sets_of_nodes)
{
	int node = mye_current_node();
	struct mye_numa_want want;

	cr_assert_eq(mye_numa_want(&want, MYELON_NUMA_ANY, 7, 7, 7, false), 0);
	cr_assert_eq(want.count, 0);
	want = here();
	cr_assert_eq(want.count, 1);
	cr_assert_eq(want.node, node);
	cr_assert(mye_nodes_has(&want.nodes, node));
	cr_assert_not(mye_nodes_has(&want.nodes, node + 1));
	cr_assert_eq(mye_numa_want(&want, MYELON_NUMA_NODE, (uint32_t)node, 0, 0, false), 0);
	cr_assert_eq(want.node, node);
	cr_assert_eq(mye_numa_want(&want, MYELON_NUMA_INTERLEAVE, 0, 0, 0, false), 0);
	cr_assert_geq(want.count, 1);
	cr_assert_eq(mye_numa_want(&want, MYELON_NUMA_INTERLEAVE, 0, 0, 1ull << node, false), 0);
	cr_assert_eq(want.node, node);
}

Test(numa, options_that_nothing_here_fulfils_say_what_there_is)
{
	struct mye_numa_want want;

	cr_assert_eq(mye_numa_want(&want, MYELON_NUMA_NODE, 1000, 0, 0, false), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "node 1000"));
	cr_assert_eq(mye_numa_want(&want, MYELON_NUMA_NODE, UINT32_MAX, 0, 0, false), -EINVAL);
	cr_assert_eq(mye_numa_want(&want, MYELON_NUMA_CPU, 0, 16383, 0, false), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "CPU 16383"));
	cr_assert_eq(mye_numa_want(&want, MYELON_NUMA_CPU, 0, UINT32_MAX, 0, false), -EINVAL);
	cr_assert_eq(mye_numa_want(&want, MYELON_NUMA_INTERLEAVE, 0, 0, 1ull << 63, false),
	             -EINVAL);
	cr_assert_eq(mye_numa_want(&want, 5, 0, 0, 0, false), -EINVAL);
}

Test(numa, pages_placed_on_a_node_are_found_there)
{
	struct mye_numa_want want = here(), other = {.mode = MYELON_NUMA_NODE, .count = 1};
	struct mye_numa_saved saved;
	struct mye_census census;
	size_t bytes;
	void *at;
	int rc = mye_numa_begin(&want, MYE_NUMA_BIND, &saved);

	if (rc == -ENOTSUP)
		kit_skip("numa", "memory cannot be placed here");
	cr_assert_eq(rc, 0);
	at = populated(&bytes);
	cr_assert_eq(mye_numa_bind(at, bytes, &want, MYE_NUMA_BIND), 0);
	mye_numa_end(&saved);
	mye_numa_count(at, bytes, mye_page_size(), &census);
	cr_assert(census.known);
	cr_assert_eq(census.pages, PAGES);
	cr_assert_eq(census.node[want.node], PAGES);
	cr_assert_eq(mye_census_node(&census), want.node);
	cr_assert_eq(mye_census_wrong(&census, &want), 0);
	mye_nodes_add(&other.nodes, want.node + 1);
	cr_assert_eq(mye_census_wrong(&census, &other), PAGES);
}

Test(numa, in_turns_means_that_every_node_has_its_share)
{
	struct mye_numa_want want = {.mode = MYELON_NUMA_INTERLEAVE, .node = -1, .count = 3};
	struct mye_census c = {.known = true, .pages = 10, .node = {4, 3, 3}};
	char text[80];

	for (int node = 0; node < 3; node++)
		mye_nodes_add(&want.nodes, node);
	cr_assert_eq(mye_census_wrong(&c, &want), 0);
	cr_assert_eq(mye_census_node(&c), -1);
	mye_census_text(&c, text, sizeof(text));
	cr_assert_str_eq(text, "node 0: 4, node 1: 3, node 2: 3");
	c = (struct mye_census){.known = true, .pages = 10, .node = {7, 2, 1}};
	cr_assert_eq(mye_census_wrong(&c, &want), 3);
	c = (struct mye_census){.known = true, .pages = 10, .node = {4, 3, 2, 1}};
	cr_assert_eq(mye_census_wrong(&c, &want), 1);
	c = (struct mye_census){.known = true, .pages = 10, .node = {3, 3, 2}, .absent = 2};
	cr_assert_eq(mye_census_wrong(&c, &want), 2);
}

Test(numa, policy_of_the_thread_is_put_back)
{
	struct mye_numa_want want = here();
	struct mye_numa_saved first, second;

	if (mye_numa_begin(&want, MYE_NUMA_PREFER, &first))
		kit_skip("numa", "memory cannot be placed here");
	mye_numa_end(&first);
	cr_assert_eq(mye_numa_begin(&want, MYE_NUMA_PREFER, &second), 0);
	mye_numa_end(&second);
	cr_assert_eq(first.mode, second.mode);
	cr_assert_eq(memcmp(first.mask, second.mask, sizeof(first.mask)), 0);
}

Test(numa, pages_that_are_not_there_are_on_no_node)
{
	size_t bytes = 4 * mye_page_size();
	struct mye_census census;
	void *at = mapped(bytes);

	cr_assert_eq(mye_populate(at, bytes / 2, true), 0);
	mye_numa_count(at, bytes, mye_page_size(), &census);
	if (!census.known)
		kit_skip("numa", "nobody tells where pages are");
	cr_assert_eq(mye_census_node(&census), -1);
	cr_assert_eq(census.absent, 2);
}

/* What container profiles deny. */
static int deny(long call)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = 4, .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &prog);
}

Test(numa, verification_reads_numa_maps_where_move_pages_is_denied)
{
	struct mye_census census;
	size_t bytes;
	void *at = populated(&bytes);

	if (access("/proc/self/numa_maps", R_OK))
		kit_skip("numa", "the kernel has no NUMA");
	if (deny(SYS_move_pages))
		kit_skip("seccomp", "cannot install a filter");
	mye_numa_count(at, bytes, mye_page_size(), &census);
	cr_assert(census.known);
	cr_assert_eq(census.absent, 0);
	cr_assert_geq(mye_census_node(&census), 0);
}

Test(numa, denied_policy_is_not_supported_and_changes_nothing)
{
	struct mye_numa_want want = here();
	struct mye_numa_saved saved;

	if (deny(SYS_set_mempolicy))
		kit_skip("seccomp", "cannot install a filter");
	cr_assert_eq(mye_numa_begin(&want, MYE_NUMA_BIND, &saved), -ENOTSUP);
	cr_assert_not(saved.valid);
	mye_numa_end(&saved);
}
