/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

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
	cr_assert_eq(mye_numa_check(mye_numa_local()), 0);
	cr_assert_eq(mye_numa_check(1000), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "node 1000"));
	cr_assert_eq(mye_numa_check(-1), -EINVAL);
	cr_assert_eq(mye_numa_check(MYE_NUMA_NODES), -EINVAL);
}

Test(numa, pages_placed_on_a_node_are_found_there)
{
	int node = mye_numa_local();
	struct mye_numa_saved saved;
	uint64_t wrong;
	size_t bytes;
	void *at;
	int rc = mye_numa_begin(node, MYE_NUMA_BIND, &saved);

	if (rc == -ENOTSUP)
		kit_skip("numa", "memory cannot be placed here");
	cr_assert_eq(rc, 0);
	at = populated(&bytes);
	cr_assert_eq(mye_numa_bind(at, bytes, node, MYE_NUMA_BIND), 0);
	mye_numa_end(&saved);
	cr_assert_eq(mye_numa_verify(at, bytes, mye_page_size(), node, &wrong), node);
	cr_assert_eq(wrong, 0);
	cr_assert_eq(mye_numa_verify(at, bytes, mye_page_size(), node + 1, &wrong), node);
	cr_assert_eq(wrong, PAGES);
}

Test(numa, policy_of_the_thread_is_put_back)
{
	struct mye_numa_saved first, second;

	if (mye_numa_begin(0, MYE_NUMA_PREFER, &first))
		kit_skip("numa", "memory cannot be placed here");
	mye_numa_end(&first);
	cr_assert_eq(mye_numa_begin(0, MYE_NUMA_PREFER, &second), 0);
	mye_numa_end(&second);
	cr_assert_eq(first.mode, second.mode);
	cr_assert_eq(memcmp(first.mask, second.mask, sizeof(first.mask)), 0);
}

Test(numa, pages_that_are_not_there_are_on_no_node)
{
	size_t bytes = 4 * mye_page_size();
	void *at = mapped(bytes);
	uint64_t wrong;

	cr_assert_eq(mye_populate(at, bytes / 2, true), 0);
	if (mye_numa_verify(at, bytes / 2, mye_page_size(), 0, &wrong) < 0 &&
	    wrong == MYE_NUMA_UNKNOWN)
		kit_skip("numa", "nobody tells where pages are");
	cr_assert_eq(mye_numa_verify(at, bytes, mye_page_size(), mye_numa_local(), &wrong), -1);
	cr_assert_geq(wrong, 2);
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
	uint64_t wrong;
	size_t bytes;
	void *at = populated(&bytes);

	if (access("/proc/self/numa_maps", R_OK))
		kit_skip("numa", "the kernel has no NUMA");
	if (deny(SYS_move_pages))
		kit_skip("seccomp", "cannot install a filter");
	cr_assert_geq(mye_numa_verify(at, bytes, mye_page_size(), mye_numa_local(), &wrong), 0);
	cr_assert_eq(wrong, 0);
}

Test(numa, denied_policy_is_not_supported_and_changes_nothing)
{
	struct mye_numa_saved saved;

	if (deny(SYS_set_mempolicy))
		kit_skip("seccomp", "cannot install a filter");
	cr_assert_eq(mye_numa_begin(0, MYE_NUMA_BIND, &saved), -ENOTSUP);
	cr_assert_not(saved.valid);
	mye_numa_end(&saved);
}
