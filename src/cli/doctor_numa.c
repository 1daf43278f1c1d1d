/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The doctor on NUMA: nodes, and whether this process may place memory and see where it is. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "probe.h"

static const struct doctor_topic nodes = {
	"numa", "nodes", "A ring's memory can be put on a node only where there are several.", 0,
	0};
static const struct doctor_topic allowed = {"numa", "nodes-allowed",
                                            "Memory of a node outside the cpuset cannot be had.", 0,
                                            DOCTOR_NUMA};
static const struct doctor_topic balancing = {"numa", "numa-balancing",
                                              "Automatic balancing makes small pages fault now and "
                                              "then to see who uses them, and moves them.",
                                              DOCTOR_NUMA, DOCTOR_PINNED};
static const struct doctor_topic placing = {
	"numa", "mbind",
	"Without mbind memory cannot be put on a node, and strict placement fails.", DOCTOR_NUMA,
	DOCTOR_PINNED};
static const struct doctor_topic seeing = {
	"numa", "move-pages",
	"It tells where each page is; without it placement is verified from /proc/self/numa_maps.",
	0, DOCTOR_NUMA};

static unsigned read_nodes(struct doctor_set *with_memory)
{
	char text[1024];

	doctor_read(text, sizeof(text), "/sys/devices/system/node/has_memory");
	doctor_set_parse(with_memory, text);
	return doctor_set_count(with_memory);
}

static void look_at_nodes(struct doctor *d, const struct doctor_set *with_memory, unsigned n)
{
	struct doctor_set usable;
	struct doctor_cgroup g;
	char text[1024], list[128];

	doctor_set_text(with_memory, list, sizeof(list));
	if (n > 1)
		doctor_good(d, &nodes, "%u with memory: %s", n, list);
	else
		doctor_note(d, &nodes, n ? "one: all placement comes to the same" : "no NUMA");
	if (!*doctor_status("Mems_allowed_list", text, sizeof(text)))
		return;
	doctor_set_parse(&usable, text);
	usable = doctor_set_and(&usable, with_memory);
	doctor_set_text(&usable, text, sizeof(text));
	if (doctor_set_count(&usable) >= n) {
		doctor_good(d, &allowed, "all");
		return;
	}
	doctor_bad(d, &allowed, "%s of %s", text, list);
	if (doctor_in_container())
		doctor_fix(d, "not from inside this container: start it with --cpuset-mems %s",
		           list);
	else if (doctor_cgroup(&g, "cpuset"))
		doctor_fix(d, "echo %s > %s/cpuset.mems", list, g.dir);
	else
		doctor_fix(d, "not here: nothing shows who limits this process");
}

static void look_at_balancing(struct doctor *d, unsigned n)
{
	static const char file[] = "/proc/sys/kernel/numa_balancing";
	uint64_t on;

	if (!doctor_read_number(&on, file) || !on) {
		doctor_good(d, &balancing, "off");
	} else if (n < 2) {
		doctor_good(d, &balancing, "on, without effect on one node");
	} else {
		doctor_bad(d, &balancing, "on");
		doctor_fix_write(d, file, "0");
	}
}

static void look_at_call(struct doctor *d, const struct doctor_topic *topic, const char *call,
                         int rc)
{
	if (rc == 0) {
		doctor_good(d, topic, "permitted");
		return;
	}
	doctor_bad(d, topic, "%s: %s", call, strerror(-rc));
	if (rc == -ENOSYS)
		doctor_fix(d, "not on this kernel: it needs CONFIG_NUMA and CONFIG_MIGRATION");
	else
		doctor_fix(d,
		           "not from inside this container: start it with %sa seccomp profile that "
		           "allows %s (--security-opt seccomp=FILE)",
		           topic == &placing ? "--cap-add SYS_NICE, or " : "", call);
}

void doctor_numa(struct doctor *d)
{
	struct doctor_set with_memory;
	unsigned n = read_nodes(&with_memory);

	look_at_nodes(d, &with_memory, n);
	look_at_balancing(d, n);
	look_at_call(d, &placing, "mbind", probe_mbind());
	look_at_call(d, &seeing, "move_pages", probe_move_pages());
}
