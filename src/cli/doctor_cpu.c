/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The doctor on CPUs: how many, whose, and who else is on them. */
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "probe.h"

#define CPU_DIR "/sys/devices/system/cpu"
#define CMDLINE                                                                                    \
	"%sadd %s to the kernel command line (GRUB_CMDLINE_LINUX in /etc/default/grub, then "      \
	"update-grub and reboot)"

static const struct doctor_topic cpus = {"cpus", "cpus",
                                         "Whoever spins needs a core of its own; more spinners "
                                         "than cores bring everything to a stop.",
                                         DOCTOR_PINNED | DOCTOR_NUMA, 0};
static const struct doctor_topic quota = {
	"cpus", "cpu-quota",
	"With a quota a spinning group is stopped for whole periods of 100 ms.", DOCTOR_PINNED,
	DOCTOR_NUMA};
static const struct doctor_topic isolation = {
	"cpus", "isolation",
	"On a CPU that is not isolated the scheduler puts other tasks between two messages.",
	DOCTOR_PINNED, 0};
static const struct doctor_topic tick = {
	"cpus", "nohz-full",
	"Without nohz_full each CPU is interrupted by a tick 100 to 1000 times a second.", 0,
	DOCTOR_PINNED};
static const struct doctor_topic smt = {
	"cpus", "smt", "Two hardware threads share the core: a busy sibling takes half of it.", 0,
	DOCTOR_PINNED};
static const struct doctor_topic governor = {
	"cpus", "governor",
	"Another governor than performance lowers the clock whenever a CPU waits.", DOCTOR_PINNED,
	DOCTOR_NUMA};

static void read_set(struct doctor_set *set, const char *path)
{
	char text[1024];

	doctor_read(text, sizeof(text), "%s", path);
	doctor_set_parse(set, text);
}

/* CPUs for the workers: all that are online but the first, which keeps the rest of the machine. */
static const char *advised(const struct doctor_set *usable, char *text, size_t cap)
{
	struct doctor_set all, some = {0};

	read_set(&all, CPU_DIR "/online");
	if (doctor_set_count(&all) == 0)
		all = *usable;
	for (unsigned i = 1; i < DOCTOR_SET_BITS; i++) {
		if (doctor_set_has(&all, i) && doctor_set_count(&some) < 9)
			doctor_set_add(&some, i);
	}
	if (doctor_set_count(&some) == 0)
		some = all;
	return doctor_set_text(&some, text, cap);
}

static void look_at_number(struct doctor *d, const struct doctor_set *usable)
{
	unsigned n = doctor_set_count(usable), need = doctor_cpus_needed(d);
	char list[128];

	doctor_set_text(usable, list, sizeof(list));
	if (n >= need) {
		doctor_good(d, &cpus, "%u usable: %s", n, list);
		return;
	}
	doctor_bad(d, &cpus, "%u usable: %s; %u are the least", n, list, need);
	if (doctor_in_container())
		doctor_fix(d, "not from inside this container: give it more CPUs (--cpuset-cpus)");
	else
		doctor_fix(d, "not by a command: it takes a machine, or a cpuset, with %u CPUs",
		           need);
}

/* @return whether the group has a quota, in @text. */
static bool has_quota(const struct doctor_cgroup *g, char *text, size_t cap, char *file,
                      size_t file_cap)
{
	uint64_t max, period;

	if (g->v2) {
		snprintf(file, file_cap, "%s/cpu.max", g->dir);
		return doctor_read(text, cap, "%s", file) > 0 && strncmp(text, "max", 3) != 0;
	}
	snprintf(file, file_cap, "%s/cpu.cfs_quota_us", g->dir);
	/* -1 is no limit, and no number for the reader either. */
	if (!doctor_read_number(&max, "%s", file) || max > INT64_MAX)
		return false;
	doctor_read_number(&period, "%s/cpu.cfs_period_us", g->dir);
	snprintf(text, cap, "%llu %llu", (unsigned long long)max, (unsigned long long)period);
	return true;
}

static void look_at_quota(struct doctor *d)
{
	struct doctor_cgroup g;
	char text[64], file[640];
	bool more = doctor_cgroup(&g, "cpu");

	for (; more; more = doctor_cgroup_outer(&g)) {
		if (!has_quota(&g, text, sizeof(text), file, sizeof(file)))
			continue;
		doctor_bad(d, &quota, "a quota is in force (%s us)", text);
		if (doctor_in_container())
			doctor_fix(d, "not from inside this container: start it without --cpus and "
			              "--cpu-quota, with --cpuset-cpus instead");
		else
			doctor_fix_write(d, file, g.v2 ? "max" : "-1");
		return;
	}
	doctor_good(d, &quota, "none");
}

static void add_all(struct doctor_set *set, const struct doctor_set *more)
{
	for (unsigned i = 0; i < DOCTOR_SET_BITS; i++) {
		if (doctor_set_has(more, i))
			doctor_set_add(set, i);
	}
}

/* By the kernel command line, by partitions (which newer kernels sum up), or by the one we are in. */
static void find_isolated(struct doctor_set *isolated)
{
	struct doctor_set partition;
	struct doctor_cgroup g;
	char text[1024];

	read_set(isolated, CPU_DIR "/isolated");
	read_set(&partition, "/sys/fs/cgroup/cpuset.cpus.isolated");
	add_all(isolated, &partition);
	if (!doctor_cgroup(&g, "cpuset") || !g.v2)
		return;
	doctor_read(text, sizeof(text), "%s/cpuset.cpus.partition", g.dir);
	if (strcmp(text, "isolated") != 0)
		return;
	doctor_read(text, sizeof(text), "%s/cpuset.cpus.effective", g.dir);
	doctor_set_parse(&partition, text);
	add_all(isolated, &partition);
}

static void look_at_isolation(struct doctor *d, const struct doctor_set *usable)
{
	struct doctor_set isolated;
	char list[128], line[300], advice[160];

	find_isolated(&isolated);
	isolated = doctor_set_and(&isolated, usable);
	doctor_set_text(&isolated, list, sizeof(list));
	/* Without a profile there is no number to compare with. */
	if (doctor_set_count(&isolated) >= doctor_cpus_needed(d)) {
		doctor_good(d, &isolation, "%s", list);
		return;
	}
	doctor_bad(d, &isolation, "isolated and usable: %s", list);
	advised(usable, advice, sizeof(advice));
	snprintf(line, sizeof(line), "isolcpus=managed_irq,domain,%s", advice);
	doctor_fix(d, CMDLINE, doctor_on_host(), line);
}

static void look_at_tick(struct doctor *d, const struct doctor_set *usable)
{
	struct doctor_set nohz;
	char list[128], line[400], advice[160];

	read_set(&nohz, CPU_DIR "/nohz_full");
	nohz = doctor_set_and(&nohz, usable);
	doctor_set_text(&nohz, list, sizeof(list));
	if (doctor_set_count(&nohz) >= doctor_cpus_needed(d)) {
		doctor_good(d, &tick, "%s", list);
		return;
	}
	doctor_bad(d, &tick, "CPUs without a tick: %s", list);
	advised(usable, advice, sizeof(advice));
	snprintf(line, sizeof(line), "nohz_full=%s rcu_nocbs=%s", advice, advice);
	doctor_fix(d, CMDLINE, doctor_on_host(), line);
}

static void look_at_smt(struct doctor *d, const struct doctor_set *usable)
{
	uint64_t active;
	char text[128];
	struct doctor_set threads, seen = {0};

	if (!doctor_read_number(&active, CPU_DIR "/smt/active") || !active) {
		doctor_good(d, &smt, "off, or none");
		return;
	}
	for (unsigned i = 0; i < DOCTOR_SET_BITS; i++) {
		if (!doctor_set_has(usable, i))
			continue;
		doctor_read(text, sizeof(text), CPU_DIR "/cpu%u/topology/thread_siblings_list", i);
		doctor_set_parse(&threads, text);
		threads = doctor_set_and(&threads, &seen);
		if (doctor_set_count(&threads) == 0)
			doctor_set_add(&seen, i);
	}
	doctor_set_text(&seen, text, sizeof(text));
	doctor_bad(d, &smt, "on: %u cores for %u CPUs; one thread of each: %s",
	           doctor_set_count(&seen), doctor_set_count(usable), text);
	doctor_fix_write(d, CPU_DIR "/smt/control", "off");
}

static void look_at_governor(struct doctor *d, const struct doctor_set *usable)
{
	char text[64], other[64] = "";
	unsigned known = 0, others = 0;

	for (unsigned i = 0; i < DOCTOR_SET_BITS; i++) {
		if (!doctor_set_has(usable, i) ||
		    doctor_read(text, sizeof(text), CPU_DIR "/cpu%u/cpufreq/scaling_governor", i) <=
		            0)
			continue;
		known++;
		if (strcmp(text, "performance") != 0) {
			others++;
			snprintf(other, sizeof(other), "%s", text);
		}
	}
	if (known == 0) {
		doctor_note(d, &governor, "no frequency scaling here: a host may do it unseen");
	} else if (others == 0) {
		doctor_good(d, &governor, "performance");
	} else {
		doctor_bad(d, &governor, "%s on %u of %u CPUs", other, others, known);
		doctor_fix(d,
		           "%sfor g in " CPU_DIR
		           "/cpu*/cpufreq/scaling_governor; do echo performance > $g; done",
		           doctor_on_host());
	}
}

void doctor_cpu(struct doctor *d)
{
	struct doctor_set usable;

	probe_cpus(&usable);
	look_at_number(d, &usable);
	look_at_quota(d);
	look_at_isolation(d, &usable);
	look_at_tick(d, &usable);
	look_at_smt(d, &usable);
	look_at_governor(d, &usable);
}
