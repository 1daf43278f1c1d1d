/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The doctor on huge pages: pools, mounts, limits, transparent ones. */
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cli.h"
#include "doctor.h"
#include "fmt.h"

#define MIB (UINT64_C(1) << 20)
/* What rings of a deployment are likely to take. */
#define WANTED (64 * MIB)
enum { SIZES = 8, MADV_COLLAPSE_SINCE = 601 };

static const struct doctor_topic pool = {
	"huge pages", "hugepages",
	"Rings of a page or more on huge pages miss the TLB less and are never swapped or moved; "
	"without free ones they get small pages.",
	DOCTOR_PINNED | DOCTOR_NUMA, 0};
static const struct doctor_topic more = {
	"huge pages", "hugepages", "For rings of hundreds of MiB; mostly possible only at boot.", 0,
	0};
static const struct doctor_topic mounts = {
	"huge pages", "hugetlbfs",
	"The slots of a ring on huge pages are a file on a hugetlbfs that this user may write.",
	DOCTOR_PINNED | DOCTOR_NUMA, 0};
static const struct doctor_topic cgroup = {
	"huge pages", "hugetlb-cgroup",
	"A control group can forbid pages that the pool has; the ring then gets small ones.",
	DOCTOR_PINNED | DOCTOR_NUMA, 0};
static const struct doctor_topic thp = {
	"huge pages", "thp",
	"With always, any process may be stalled by the compaction that makes pages for it.", 0,
	DOCTOR_PINNED};
static const struct doctor_topic thp_shm = {
	"huge pages", "thp-shmem",
	"Rings with backing shm+thp get huge pages from here, or by MADV_COLLAPSE.", 0, 0};
static const struct doctor_topic compaction = {
	"huge pages", "compaction",
	"Proactive compaction moves pages in the background and stalls whoever touches them.", 0,
	DOCTOR_PINNED};

static void size_name(uint64_t bytes, char *text, size_t cap)
{
	if (bytes >= 1024 * MIB)
		snprintf(text, cap, "%lluG", (unsigned long long)(bytes / MIB / 1024));
	else if (bytes >= MIB)
		snprintf(text, cap, "%lluM", (unsigned long long)(bytes / MIB));
	else
		snprintf(text, cap, "%lluK", (unsigned long long)(bytes / 1024));
}

/* Sizes in bytes, the smallest first. @return how many. */
static int page_sizes(uint64_t *sizes)
{
	char path[512];
	struct dirent *e;
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/sys/kernel/mm/hugepages", doctor_root);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((e = readdir(dir)) && n < SIZES) {
		unsigned long long kib;
		int at = n;

		if (sscanf(e->d_name, "hugepages-%llukB", &kib) != 1)
			continue;
		for (; at > 0 && sizes[at - 1] > kib * 1024; at--)
			sizes[at] = sizes[at - 1];
		sizes[at] = kib * 1024;
		n++;
	}
	closedir(dir);
	return n;
}

struct pages {
	char dir[128]; /* of the pool's files */
	uint64_t total, free, reserved, surplus, overcommit;
};

/* @node -1: the whole machine. */
static bool read_pool(struct pages *p, uint64_t size, int node)
{
	char where[64] = "/sys/kernel/mm";

	memset(p, 0, sizeof(*p));
	if (node >= 0)
		snprintf(where, sizeof(where), "/sys/devices/system/node/node%d", node);
	snprintf(p->dir, sizeof(p->dir), "%s/hugepages/hugepages-%llukB", where,
	         (unsigned long long)size / 1024);
	if (!doctor_read_number(&p->total, "%s/nr_hugepages", p->dir))
		return false;
	doctor_read_number(&p->free, "%s/free_hugepages", p->dir);
	doctor_read_number(&p->surplus, "%s/surplus_hugepages", p->dir);
	doctor_read_number(&p->reserved, "%s/resv_hugepages", p->dir);
	doctor_read_number(&p->overcommit, "%s/nr_overcommit_hugepages", p->dir);
	p->free -= p->reserved < p->free ? p->reserved : p->free;
	return true;
}

static void describe(const struct pages *p, char *text, size_t cap)
{
	snprintf(text, cap,
	         "%llu of %llu pages are free (%llu reserved, %llu surplus, overcommit %llu)",
	         (unsigned long long)p->free, (unsigned long long)p->total,
	         (unsigned long long)p->reserved, (unsigned long long)p->surplus,
	         (unsigned long long)p->overcommit);
}

static void judge_pool(struct doctor *d, uint64_t size, int node, const char *name)
{
	uint64_t want = (WANTED + size - 1) / size;
	char text[160], file[160], number[24], suffix[32];
	struct pages p;

	if (!read_pool(&p, size, node))
		return;
	describe(&p, text, sizeof(text));
	if (p.free >= want) {
		doctor_good(d, &pool, "%s", text);
	} else {
		doctor_bad(d, &pool, "%s, %llu are wanted", text, (unsigned long long)want);
		snprintf(file, sizeof(file), "%s/nr_hugepages", p.dir);
		snprintf(number, sizeof(number), "%llu",
		         (unsigned long long)(p.total + want - p.free));
		doctor_fix_write(d, file, number);
	}
	snprintf(suffix, sizeof(suffix), node < 0 ? "%s" : "%s-node%d", name, node);
	doctor_suffix(d, suffix);
}

/* Where each node has to have its own, the sum says nothing. */
static void look_at_pool(struct doctor *d, uint64_t size, const char *name)
{
	struct doctor_set with_memory, allowed;
	char text[512];

	if (d->profile != DOCTOR_NUMA ||
	    doctor_read(text, sizeof(text), "/sys/devices/system/node/has_memory") <= 0) {
		judge_pool(d, size, -1, name);
		return;
	}
	doctor_set_parse(&with_memory, text);
	if (*doctor_status("Mems_allowed_list", text, sizeof(text))) {
		doctor_set_parse(&allowed, text);
		with_memory = doctor_set_and(&with_memory, &allowed);
	}
	for (int node = 0; node < DOCTOR_SET_BITS; node++) {
		if (doctor_set_has(&with_memory, (unsigned)node))
			judge_pool(d, size, node, name);
	}
}

static void look_at_larger(struct doctor *d, uint64_t size, const char *name)
{
	struct pages p;
	char text[160];

	if (!read_pool(&p, size, -1))
		return;
	describe(&p, text, sizeof(text));
	if (p.free > 0) {
		doctor_good(d, &more, "%s", text);
	} else {
		doctor_note(d, &more, "%s", text);
		doctor_fix(d,
		           "%sadd hugepagesz=%s hugepages=1 to the kernel command line; while "
		           "memory is unfragmented also: echo 1 > %s/nr_hugepages",
		           doctor_on_host(), name, p.dir);
	}
	doctor_suffix(d, name);
}

struct search {
	uint64_t page_size;
	char usable[256], refused[256];
};

static bool usable(const char *dir, uint64_t page_size)
{
	struct statfs fs;

	return statfs(dir, &fs) == 0 && (unsigned long)fs.f_type == HUGETLBFS_MAGIC &&
	       (page_size == 0 || (uint64_t)fs.f_bsize == page_size) &&
	       access(dir, W_OK | X_OK) == 0;
}

static bool look_for_mount(void *ctx, const struct doctor_mount *m)
{
	struct search *s = ctx;
	struct statfs fs;

	if (strcmp(m->type, "hugetlbfs") != 0)
		return false;
	if (usable(m->dir, s->page_size)) {
		snprintf(s->usable, sizeof(s->usable), "%s", m->dir);
		return true;
	}
	if (statfs(m->dir, &fs) == 0 && (uint64_t)fs.f_bsize == s->page_size)
		snprintf(s->refused, sizeof(s->refused), "%s", m->dir);
	return false;
}

static void fix_mount(struct doctor *d, const char *dir, const char *name)
{
	if (*doctor_on_host())
		doctor_fix(
			d,
			"%smkdir -p /dev/hugepages && mount -t hugetlbfs -o pagesize=%s,mode=1777 "
			"none /dev/hugepages; then start the container with -v /dev/hugepages:%s",
			doctor_on_host(), name, dir);
	else
		doctor_fix(d, "mkdir -p %s && mount -t hugetlbfs -o pagesize=%s,mode=1777 none %s",
		           dir, name, dir);
}

static void look_at_mounts(struct doctor *d, uint64_t size, const char *name)
{
	const char *dir =
		cli_common.hugetlb_dir ? cli_common.hugetlb_dir : getenv("MYELON_HUGETLB_DIR");
	struct search s = {.page_size = size};

	if (dir && *dir && usable(dir, 0)) {
		doctor_good(d, &mounts, "%s, as asked for", dir);
		return;
	}
	if (dir && *dir) {
		doctor_bad(d, &mounts, "%s, as asked for, is no hugetlbfs that may be written",
		           dir);
		fix_mount(d, dir, name);
		return;
	}
	if (doctor_mounts(look_for_mount, &s)) {
		doctor_good(d, &mounts, "%s, pages of %s", s.usable, name);
	} else if (s.refused[0]) {
		doctor_bad(d, &mounts, "%s may not be written by user %u", s.refused, geteuid());
		doctor_fix(d, "chmod 1777 %s", s.refused);
	} else {
		doctor_bad(d, &mounts, "no mount with pages of %s", name);
		fix_mount(d, "/dev/hugepages", name);
	}
}

/* The files of a limit and of what is used of it; the version 2 ones have a word for no limit. */
static const struct {
	bool v2;
	const char *max, *used;
} limits[] = {
	{true, "max", "current"},
	{true, "rsvd.max", "rsvd.current"},
	{false, "limit_in_bytes", "usage_in_bytes"},
	{false, "rsvd.limit_in_bytes", "rsvd.usage_in_bytes"},
};

static void look_at_cgroup(struct doctor *d, const char *name)
{
	struct doctor_cgroup g;
	struct fmt a, b;
	char file[640];
	bool more_groups = doctor_cgroup(&g, "hugetlb");

	for (; more_groups; more_groups = doctor_cgroup_outer(&g)) {
		for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
			uint64_t max, used;

			if (limits[i].v2 != g.v2)
				continue;
			snprintf(file, sizeof(file), "%s/hugetlb.%sB.%s", g.dir, name,
			         limits[i].max);
			if (!doctor_read_number(&max, "%s", file) || max > UINT64_MAX / 4)
				continue;
			doctor_read_number(&used, "%s/hugetlb.%sB.%s", g.dir, name, limits[i].used);
			if (max >= used && max - used >= WANTED)
				continue;
			doctor_bad(d, &cgroup, "%s of %s are used", fmt_bytes(&a, used),
			           fmt_bytes(&b, max));
			doctor_fix_write(d, file, g.v2 ? "max" : "-1");
			return;
		}
	}
	doctor_good(d, &cgroup, "no limit in the way");
}

static void look_at_thp(struct doctor *d)
{
	static const char dir[] = "/sys/kernel/mm/transparent_hugepage";
	char text[128], mode[32], file[128];
	struct utsname u;
	bool collapse = uname(&u) == 0 && doctor_kernel_version(u.release) >= MADV_COLLAPSE_SINCE;

	doctor_read(text, sizeof(text), "%s/enabled", dir);
	if (!doctor_chosen(text, mode, sizeof(mode))) {
		doctor_note(d, &thp, "this kernel has no transparent huge pages");
		return;
	}
	if (strcmp(mode, "always") != 0) {
		doctor_good(d, &thp, "%s", mode);
	} else {
		doctor_bad(d, &thp, "%s", mode);
		snprintf(file, sizeof(file), "%s/enabled", dir);
		doctor_fix_write(d, file, "madvise");
	}
	doctor_read(text, sizeof(text), "%s/shmem_enabled", dir);
	if (!doctor_chosen(text, mode, sizeof(mode)))
		return;
	if ((strcmp(mode, "never") != 0 || collapse) && strcmp(mode, "deny") != 0) {
		doctor_good(d, &thp_shm, "%s%s", mode, collapse ? ", and MADV_COLLAPSE" : "");
	} else {
		doctor_bad(d, &thp_shm, "%s", mode);
		snprintf(file, sizeof(file), "%s/shmem_enabled", dir);
		doctor_fix_write(d, file, "advise");
	}
}

static void look_at_compaction(struct doctor *d)
{
	static const char file[] = "/proc/sys/vm/compaction_proactiveness";
	uint64_t value;

	if (!doctor_read_number(&value, file)) {
		doctor_good(d, &compaction, "none that is proactive");
	} else if (value == 0) {
		doctor_good(d, &compaction, "vm.compaction_proactiveness is 0");
	} else {
		doctor_bad(d, &compaction, "vm.compaction_proactiveness is %llu",
		           (unsigned long long)value);
		doctor_fix_write(d, file, "0");
	}
}

void doctor_huge(struct doctor *d)
{
	uint64_t sizes[SIZES];
	int n = page_sizes(sizes);
	char name[24];

	if (n == 0) {
		doctor_bad(d, &pool, "this kernel has no huge pages");
		doctor_fix(d, "not on this kernel: it needs CONFIG_HUGETLBFS");
	}
	for (int i = 0; i < n; i++) {
		size_name(sizes[i], name, sizeof(name));
		if (i > 0) {
			look_at_larger(d, sizes[i], name);
			continue;
		}
		look_at_pool(d, sizes[i], name);
		look_at_mounts(d, sizes[i], name);
		look_at_cgroup(d, name);
	}
	look_at_thp(d);
	look_at_compaction(d);
}
