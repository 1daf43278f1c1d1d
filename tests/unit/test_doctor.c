/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The doctor before machines that this one is not: its /proc and /sys are written by the test. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "doctor.h"
#include "kit.h"

static struct doctor d;
static char root[512];

static void patient(unsigned profile)
{
	/* A process, and so a machine, for each test. */
	snprintf(root, sizeof(root), "%s/root-%d", kit_tmp_dir(), getpid());
	mkdir(root, 0700);
	doctor_root = root;
	unsetenv("MYELON_HUGETLB_DIR"); /* the runner's is one of this machine */
	memset(&d, 0, sizeof(d));
	d.profile = profile;
}

/* Writes a file of the machine, with the directories on its way. */
static void has(const char *path, const char *text)
{
	char full[768];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *c = full + strlen(root) + 1; (c = strchr(c, '/')); c++) {
		*c = '\0';
		mkdir(full, 0700);
		*c = '/';
	}
	f = fopen(full, "w");
	cr_assert_not_null(f, "%s", full);
	fputs(text, f);
	fclose(f);
}

static const struct doctor_check *check(const char *id)
{
	for (unsigned i = 0; i < d.count; i++) {
		if (strcmp(d.checks[i].id, id) == 0)
			return &d.checks[i];
	}
	cr_assert_fail("no check %s", id);
	return NULL;
}

static void expect(const char *id, enum doctor_state state, const char *found, const char *fix)
{
	const struct doctor_check *c = check(id);

	cr_assert_eq(c->state, state, "%s is %d: %s", id, c->state, c->found);
	cr_assert_not_null(strstr(c->found, found), "%s: %s", id, c->found);
	cr_assert_not_null(strstr(c->fix, fix), "%s: %s", id, c->fix);
	if (state >= DOCTOR_WARN)
		cr_assert_neq(c->fix[0], '\0', "%s has no remedy", id);
}

#define POOL "/hugepages/hugepages-2048kB/"

static void two_nodes(void)
{
	has("/sys/devices/system/node/has_memory", "0-1\n");
	has("/sys/kernel/mm" POOL "nr_hugepages", "40\n");
	has("/sys/kernel/mm" POOL "free_hugepages", "40\n");
	has("/sys/devices/system/node/node0" POOL "nr_hugepages", "40\n");
	has("/sys/devices/system/node/node0" POOL "free_hugepages", "40\n");
	has("/sys/devices/system/node/node1" POOL "nr_hugepages", "7\n");
	has("/sys/devices/system/node/node1" POOL "free_hugepages", "2\n");
}

Test(doctor, each_node_needs_huge_pages_of_its_own)
{
	patient(DOCTOR_NUMA);
	two_nodes();
	doctor_huge(&d);
	expect("hugepages-2M-node0", DOCTOR_OK, "40 of 40", "");
	/* 30 more than there are, not 32. */
	expect("hugepages-2M-node1", DOCTOR_FAIL, "2 of 7",
	       "echo 37 > /sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages");
}

Test(doctor, reserved_pages_are_not_free)
{
	patient(DOCTOR_PINNED);
	two_nodes();
	doctor_huge(&d);
	expect("hugepages-2M", DOCTOR_OK, "40 of 40", "");
	patient(DOCTOR_PINNED);
	has("/sys/kernel/mm" POOL "resv_hugepages", "10\n");
	doctor_huge(&d);
	expect("hugepages-2M", DOCTOR_FAIL, "30 of 40",
	       "echo 42 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
}

Test(doctor, sleepers_do_not_need_huge_pages)
{
	patient(DOCTOR_LOW_POWER);
	has("/sys/kernel/mm" POOL "nr_hugepages", "0\n");
	doctor_huge(&d);
	expect("hugepages-2M", DOCTOR_NOTE, "0 of 0", "echo 32 > ");
	expect("hugetlbfs", DOCTOR_NOTE, "no mount", "mount -t hugetlbfs -o pagesize=2M");
}

Test(doctor, kernel_without_huge_pages_is_told)
{
	patient(DOCTOR_PINNED);
	doctor_huge(&d);
	expect("hugepages", DOCTOR_FAIL, "no huge pages", "CONFIG_HUGETLBFS");
}

Test(doctor, limit_of_an_outer_group_on_huge_pages_is_found)
{
	patient(DOCTOR_PINNED);
	two_nodes();
	has("/proc/self/cgroup", "0::/jobs/one\n");
	has("/proc/self/mounts", "cgroup2 /cg cgroup2 rw 0 0\n");
	has("/cg/jobs/one/cgroup.procs", "");
	has("/cg/jobs/one/hugetlb.2MB.max", "max\n");
	has("/cg/jobs/hugetlb.2MB.max", "10485760\n");
	has("/cg/jobs/hugetlb.2MB.current", "2097152\n");
	doctor_huge(&d);
	expect("hugetlb-cgroup", DOCTOR_FAIL, "2 MiB of 10 MiB",
	       "echo max > /cg/jobs/hugetlb.2MB.max");
}

Test(doctor, old_control_groups_have_limits_too)
{
	patient(DOCTOR_PINNED);
	two_nodes();
	has("/proc/self/cgroup", "7:hugetlb:/job\n3:cpu,cpuacct:/job\n0::/\n");
	has("/proc/self/mounts", "cgroup /cg/huge cgroup rw,hugetlb 0 0\n"
	                         "cgroup /cg/cpu cgroup rw,cpu,cpuacct 0 0\n"
	                         "cgroup2 /cg/unified cgroup2 rw 0 0\n");
	has("/cg/huge/job/cgroup.procs", "");
	has("/cg/huge/job/hugetlb.2MB.limit_in_bytes", "4194304\n");
	has("/cg/huge/job/hugetlb.2MB.usage_in_bytes", "0\n");
	has("/cg/cpu/job/cgroup.procs", "");
	has("/cg/cpu/job/cpu.cfs_quota_us", "-1\n");
	has("/cg/cpu/cpu.cfs_quota_us", "150000\n");
	has("/cg/cpu/cpu.cfs_period_us", "100000\n");
	doctor_huge(&d);
	doctor_cpu(&d);
	expect("hugetlb-cgroup", DOCTOR_FAIL, "0 B of 4 MiB",
	       "echo -1 > /cg/huge/job/hugetlb.2MB.limit_in_bytes");
	expect("cpu-quota", DOCTOR_FAIL, "150000 100000", "echo -1 > /cg/cpu/cpu.cfs_quota_us");
}

static void quota_for(unsigned profile, enum doctor_state state)
{
	patient(profile);
	has("/proc/self/cgroup", "0::/job\n");
	has("/proc/self/mounts", "cgroup2 /cg cgroup2 rw 0 0\n");
	has("/cg/job/cgroup.procs", "");
	has("/cg/job/cpu.max", "50000 100000\n");
	doctor_cpu(&d);
	expect("cpu-quota", state, "50000 100000", "echo max > /cg/job/cpu.max");
}

Test(doctor, profile_decides_how_bad_a_quota_is)
{
	quota_for(DOCTOR_PINNED, DOCTOR_FAIL);
	quota_for(DOCTOR_NUMA, DOCTOR_WARN);
	quota_for(DOCTOR_LOW_POWER, DOCTOR_NOTE);
	quota_for(DOCTOR_ANY, DOCTOR_NOTE);
	patient(DOCTOR_PINNED);
	has("/cg/job/cpu.max", "max 100000\n");
	doctor_cpu(&d);
	expect("cpu-quota", DOCTOR_OK, "none", "");
}

/* In a container /proc shows the group's path on the host, and the mount is the group itself. */
Test(doctor, group_whose_path_is_not_mounted_is_the_mount)
{
	patient(DOCTOR_PINNED);
	has("/proc/self/cgroup", "0::/system.slice/elsewhere\n");
	has("/proc/self/mounts", "cgroup2 /cg cgroup2 rw 0 0\n");
	has("/cg/cpu.max", "1000 100000\n");
	doctor_cpu(&d);
	expect("cpu-quota", DOCTOR_FAIL, "1000 100000", "/cg/cpu.max");
}

Test(doctor, isolation_and_tick_are_read_from_the_lists)
{
	patient(DOCTOR_LOW_POWER); /* one CPU is enough for it */
	has("/sys/devices/system/cpu/isolated", "0-4095\n");
	has("/sys/devices/system/cpu/nohz_full", "0-4095\n");
	doctor_cpu(&d);
	expect("isolation", DOCTOR_OK, "", "");
	expect("nohz-full", DOCTOR_OK, "", "");
	patient(DOCTOR_PINNED);
	has("/sys/devices/system/cpu/isolated", "\n");
	has("/sys/devices/system/cpu/nohz_full", "(null)\n");
	has("/sys/devices/system/cpu/online", "0-7\n");
	doctor_cpu(&d);
	expect("isolation", DOCTOR_FAIL, "none", "isolcpus=managed_irq,domain,1-7 ");
	expect("nohz-full", DOCTOR_WARN, "none", "nohz_full=1-7 rcu_nocbs=1-7 ");
}

Test(doctor, isolated_partition_of_a_control_group_counts)
{
	patient(DOCTOR_LOW_POWER);
	has("/sys/devices/system/cpu/isolated", "\n");
	has("/sys/fs/cgroup/cpuset.cpus.isolated", "0-4095\n");
	doctor_cpu(&d);
	expect("isolation", DOCTOR_OK, "", "");
	/* Kernels that do not sum them up: the group that this process is in. */
	patient(DOCTOR_LOW_POWER);
	has("/sys/fs/cgroup/cpuset.cpus.isolated", "\n");
	has("/proc/self/cgroup", "0::/job\n");
	has("/proc/self/mounts", "cgroup2 /cg cgroup2 rw 0 0\n");
	has("/cg/job/cgroup.procs", "");
	has("/cg/job/cpuset.cpus.effective", "0-4095\n");
	has("/cg/job/cpuset.cpus.partition", "root\n");
	doctor_cpu(&d);
	expect("isolation", DOCTOR_NOTE, "none", "isolcpus");
	patient(DOCTOR_LOW_POWER);
	has("/cg/job/cpuset.cpus.partition", "isolated\n");
	doctor_cpu(&d);
	expect("isolation", DOCTOR_OK, "", "");
}

Test(doctor, governor_and_siblings_are_told)
{
	char path[96];

	patient(DOCTOR_PINNED);
	has("/sys/devices/system/cpu/smt/active", "1\n");
	for (int i = 0; i < 256; i++) {
		snprintf(path, sizeof(path),
		         "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", i);
		has(path, "powersave\n");
		snprintf(path, sizeof(path),
		         "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", i);
		has(path, "0-255\n");
	}
	doctor_cpu(&d);
	expect("governor", DOCTOR_FAIL, "powersave", "echo performance > $g");
	expect("smt", DOCTOR_WARN, "on: 1 cores", "echo off > /sys/devices/system/cpu/smt/control");
}

Test(doctor, balancing_matters_only_between_nodes)
{
	patient(DOCTOR_NUMA);
	has("/proc/sys/kernel/numa_balancing", "1\n");
	has("/sys/devices/system/node/has_memory", "0\n");
	doctor_numa(&d);
	expect("numa-balancing", DOCTOR_OK, "without effect", "");
	patient(DOCTOR_NUMA);
	has("/sys/devices/system/node/has_memory", "0,2\n");
	has("/proc/self/status", "Name:\tx\nMems_allowed_list:\t2\n");
	has("/proc/self/cgroup", "0::/job\n");
	has("/proc/self/mounts", "cgroup2 /cg cgroup2 rw 0 0\n");
	has("/cg/job/cgroup.procs", "");
	doctor_numa(&d);
	expect("numa-balancing", DOCTOR_FAIL, "on", "echo 0 > /proc/sys/kernel/numa_balancing");
	expect("nodes", DOCTOR_OK, "2 with memory: 0,2", "");
	expect("nodes-allowed", DOCTOR_WARN, "2 of 0,2", "echo 0,2 > /cg/job/cpuset.mems");
}

Test(doctor, clock_and_idle_states_are_told)
{
	patient(DOCTOR_PINNED);
	has("/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n");
	has("/sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet \n");
	doctor_power(&d);
	expect("clock-source", DOCTOR_WARN, "hpet", "echo tsc > /sys/devices/system/clocksource/");
	expect("dma-latency", DOCTOR_NOTE, "no idle states", "");
	patient(DOCTOR_PINNED);
	has("/sys/devices/system/clocksource/clocksource0/available_clocksource", "hpet\n");
	doctor_power(&d);
	expect("clock-source", DOCTOR_WARN, "hpet", "tsc=reliable");
}

Test(doctor, transparent_pages_and_compaction_are_told)
{
	patient(DOCTOR_PINNED);
	has("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n");
	has("/sys/kernel/mm/transparent_hugepage/shmem_enabled",
	    "always within_size advise never [deny] force\n");
	has("/proc/sys/vm/compaction_proactiveness", "20\n");
	doctor_huge(&d);
	expect("thp", DOCTOR_WARN, "always", "echo madvise > ");
	expect("thp-shmem", DOCTOR_NOTE, "deny", "echo advise > ");
	expect("compaction", DOCTOR_WARN, "20", "echo 0 > ");
}

Test(doctor, swap_and_container_are_told)
{
	patient(DOCTOR_PINNED);
	has("/proc/swaps", "Filename Type Size Used Priority\n");
	has("/.dockerenv", "");
	has("/proc/self/status", "CapEff:\t0\nCapBnd:\t00000000a80425fb\nSeccomp:\t2\n");
	doctor_memory(&d);
	doctor_container(&d);
	expect("swap", DOCTOR_OK, "off", "");
	expect("container", DOCTOR_NOTE, "docker", "");
	expect("seccomp", DOCTOR_NOTE, "mode 2", "");
	expect("cap-sys-nice", DOCTOR_NOTE, "no", "--cap-add SYS_NICE");
	has("/sys/kernel/mm" POOL "nr_hugepages", "0\n");
	doctor_huge(&d);
	expect("hugetlbfs", DOCTOR_FAIL, "no mount", "on its host: mkdir -p /dev/hugepages && ");
	expect("hugetlbfs", DOCTOR_FAIL, "no mount", "-v /dev/hugepages:/dev/hugepages");
	patient(DOCTOR_PINNED);
	has("/proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n");
	doctor_memory(&d);
	expect("swap", DOCTOR_WARN, "on", "swapoff -a");
}

#define DENY(number, error)                                                                        \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1),                                       \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))

/* For the rest of this process, as container engines do it. */
static void forbid(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		DENY(SYS_membarrier, EPERM),
		DENY(SYS_mbind, EPERM),
		DENY(SYS_move_pages, EPERM),
		DENY(425, EPERM),  /* io_uring_setup */
		DENY(438, EPERM),  /* pidfd_getfd */
		DENY(449, ENOSYS), /* futex_waitv */
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		kit_skip("seccomp", strerror(errno));
}

Test(doctor, calls_that_a_filter_forbids_are_told_from_those_the_kernel_lacks)
{
	forbid();
	d.profile = DOCTOR_NUMA;
	doctor_kernel(&d);
	doctor_numa(&d);
	doctor_container(&d);
	expect("membarrier", DOCTOR_WARN, "filter (Operation not permitted)", "allows membarrier");
	expect("futex-waitv", DOCTOR_NOTE, "filter (Function not implemented)",
	       "allows futex_waitv");
	expect("io-uring", DOCTOR_NOTE, "forbidden", "");
	expect("pidfd-getfd", DOCTOR_NOTE, "forbidden", "");
	expect("wait-engine", DOCTOR_NOTE, "epoll, not uring", "");
	expect("mbind", DOCTOR_FAIL, "Operation not permitted", "--cap-add SYS_NICE");
	expect("move-pages", DOCTOR_WARN, "Operation not permitted", "allows move_pages");
	expect("seccomp", DOCTOR_NOTE, "mode 2", "");
}

Test(doctor, no_profile_fails_only_where_no_ring_could_be_made)
{
	patient(DOCTOR_ANY);
	two_nodes();
	doctor_huge(&d);
	doctor_cpu(&d);
	doctor_numa(&d);
	doctor_kernel(&d);
	doctor_container(&d);
	cr_assert_eq(doctor_failures(&d), 0);
	cr_assert_null(doctor_profile_name(&d));
	d.profile = DOCTOR_LOW_POWER;
	cr_assert_str_eq(doctor_profile_name(&d), "low-power");
}

Test(doctor, lists_of_cpus_become_sets_and_lists_again)
{
	struct doctor_set a, b, both;
	char text[64];

	doctor_set_parse(&a, "0-3,8,10-11\n");
	cr_assert_eq(doctor_set_count(&a), 7);
	cr_assert(doctor_set_has(&a, 8));
	cr_assert(!doctor_set_has(&a, 9));
	cr_assert(!doctor_set_has(&a, UINT32_MAX));
	cr_assert_str_eq(doctor_set_text(&a, text, sizeof(text)), "0-3,8,10-11");
	doctor_set_parse(&b, "3-8");
	both = doctor_set_and(&a, &b);
	cr_assert_str_eq(doctor_set_text(&both, text, sizeof(text)), "3,8");
	doctor_set_parse(&a, "");
	cr_assert_str_eq(doctor_set_text(&a, text, sizeof(text)), "none");
	doctor_set_parse(&a, "(null)");
	cr_assert_eq(doctor_set_count(&a), 0);
	doctor_set_parse(&a, "0-99999999999");
	cr_assert_eq(doctor_set_count(&a), DOCTOR_SET_BITS);
	doctor_set_parse(&a, "1,3,5,7,9,11,13");
	cr_assert_lt(strlen(doctor_set_text(&a, text, 8)), 8);
}

Test(doctor, small_texts_are_read_as_the_kernel_writes_them)
{
	char word[16];

	cr_assert(doctor_chosen("always [madvise] never", word, sizeof(word)));
	cr_assert_str_eq(word, "madvise");
	cr_assert(!doctor_chosen("always madvise", word, sizeof(word)));
	cr_assert(!doctor_chosen("[always", word, sizeof(word)));
	cr_assert_eq(doctor_kernel_version("6.18.44-x"), 618);
	cr_assert_eq(doctor_kernel_version("5.4.0-100-generic"), 504);
	cr_assert_eq(doctor_kernel_version("nonsense"), 0);
}

static bool keep(void *ctx, const struct doctor_mount *m)
{
	*(struct doctor_mount *)ctx = *m;
	return strcmp(m->type, "hugetlbfs") == 0;
}

Test(doctor, mounts_are_found_by_the_longest_path_and_with_blanks)
{
	struct doctor_mount m;

	patient(DOCTOR_ANY);
	has("/proc/self/mounts", "root / ext4 rw 0 0\n"
	                         "none /a tmpfs rw 0 0\n"
	                         "none /a tmpfs rw,size=4k 0 0\n"
	                         "none /a/b\\040c hugetlbfs rw,pagesize=2M 0 0\n");
	cr_assert(doctor_mounts(keep, &m));
	cr_assert_str_eq(m.dir, "/a/b c");
	cr_assert(doctor_mount_of("/a/x", &m));
	cr_assert_str_eq(m.dir, "/a");
	cr_assert_str_eq(m.options, "rw,size=4k");
	cr_assert(doctor_mount_of("/ab", &m));
	cr_assert_str_eq(m.dir, "/");
	cr_assert(doctor_mount_of("/a/b c/d", &m));
	cr_assert_str_eq(m.type, "hugetlbfs");
}
