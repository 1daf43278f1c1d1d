/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The presets work here, and they are what the table of docs/tuning.md says. */
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring_kit.h"

#ifndef MYELON_SOURCE_DIR
#error MYELON_SOURCE_DIR is where docs/tuning.md is
#endif

/* linux/membarrier.h of older systems lacks it. */
#define GET_REGISTRATIONS (1 << 9)

static const enum myelon_profile profiles[] = {MYELON_PROFILE_PINNED, MYELON_PROFILE_NUMA,
                                               MYELON_PROFILE_LOW_POWER};
enum { PROFILES = sizeof(profiles) / sizeof(profiles[0]), ROWS = 6 };

/* Everybody finds nothing, everybody waits: what goes through a ring made by the preset comes out. */
static void pass_messages(enum myelon_profile profile)
{
	struct myelon_ring_opts o = MYELON_RING_OPTS(.slot_size = 64);
	struct myelon_attach_opts a = MYELON_ATTACH_OPTS(.id = "worker");
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	char name[KIT_NAME];
	struct myelon_producer *p;
	struct myelon_consumer *c;
	uint32_t sent;

	cr_ok(myelon_preset_ring(profile, &o));
	cr_ok(myelon_preset_attach(profile, &a));
	p = ring_make(name, &o);
	c = ring_join(name, &a);
	cr_ok(myelon_producer_info(p, &info));
	cr_assert_eq(info.window, o.window);
	cr_assert_eq(info.slot_size, 64);
	cr_assert_eq(info.producer_wait, o.wait);
	if (o.fence == MYELON_FENCE_FULL)
		cr_assert_eq(info.fence, MYELON_FENCE_FULL);
	if (o.flags & MYELON_F_NUMA_STRICT)
		cr_assert_eq(info.node_obtained, info.node_asked);
	sent = ring_fill(p);
	cr_assert_eq(sent, o.window);
	ring_pull(c, 0, sent);
	ring_expect_empty(c);
	ring_close(p, c);
}

Test(presets, pinned_makes_a_working_ring)
{
	pass_messages(MYELON_PROFILE_PINNED);
}

Test(presets, numa_makes_a_working_ring)
{
	pass_messages(MYELON_PROFILE_NUMA);
}

Test(presets, low_power_makes_a_working_ring)
{
	pass_messages(MYELON_PROFILE_LOW_POWER);
}

Test(presets, takeover_waits_as_the_profile_says)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	char name[KIT_NAME];
	struct myelon_producer *p;

	for (int i = 0; i < PROFILES; i++) {
		struct myelon_open_opts o = MYELON_OPEN_OPTS(.slot_size = 64);
		struct myelon_consumer *keep;

		p = ring_make(name, SMALL());
		keep = ring_join(name, NULL);
		ring_close(p, NULL);
		cr_ok(myelon_preset_open(profiles[i], &o));
		cr_ok(myelon_producer_open(&p, name, &o));
		cr_ok(myelon_producer_info(p, &info));
		cr_assert_eq(info.producer_wait, o.wait);
		ring_close(p, keep);
	}
}

/* Whoever is registered is interrupted on behalf of any ring of the machine. */
Test(presets, pinned_participants_are_no_target_of_membarrier)
{
	struct myelon_ring_opts o = MYELON_RING_OPTS(.slot_size = 64);
	struct myelon_attach_opts a = MYELON_ATTACH_OPTS(.id = "worker");
	char name[KIT_NAME];
	struct myelon_producer *p;
	struct myelon_consumer *c;
	long all;

	if (syscall(SYS_membarrier, GET_REGISTRATIONS, 0, 0) < 0)
		kit_skip("membarrier", "the kernel does not tell what is registered");
	cr_ok(myelon_preset_ring(MYELON_PROFILE_PINNED, &o));
	cr_ok(myelon_preset_attach(MYELON_PROFILE_PINNED, &a));
	p = ring_make(name, &o);
	c = ring_join(name, &a);
	all = syscall(SYS_membarrier, GET_REGISTRATIONS, 0, 0);
	cr_assert_eq(all & MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0);
	ring_close(p, c);
	/* And with the default fence it would be seen. */
	p = ring_make(name, SMALL());
	all = syscall(SYS_membarrier, GET_REGISTRATIONS, 0, 0);
	cr_assert_neq(all & MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0);
	ring_close(p, NULL);
}

Test(presets, other_options_are_left_alone_and_later_ones_win)
{
	struct myelon_ring_opts o =
		MYELON_RING_OPTS(.flags = MYELON_F_KEEP, .slot_size = 128, .max_consumers = 3,
	                         .backing = MYELON_BACKING_SHM, .schema = 7, .shm_dir = "/here");
	struct myelon_attach_opts a = MYELON_ATTACH_OPTS(.id = "x", .start = MYELON_START_OLDEST,
	                                                 .timeout_ns = 5, .flags = MYELON_F_EINTR);

	cr_ok(myelon_preset_ring(MYELON_PROFILE_NUMA, &o));
	cr_assert_eq(o.flags, MYELON_F_KEEP | MYELON_F_NUMA_STRICT);
	cr_assert_eq(o.slot_size, 128);
	cr_assert_eq(o.max_consumers, 3);
	cr_assert_eq(o.backing, MYELON_BACKING_SHM);
	cr_assert_eq(o.schema, 7);
	cr_assert_str_eq(o.shm_dir, "/here");
	/* One profile after another is the last one. */
	cr_ok(myelon_preset_ring(MYELON_PROFILE_LOW_POWER, &o));
	cr_assert_eq(o.flags, MYELON_F_KEEP);
	cr_ok(myelon_preset_attach(MYELON_PROFILE_LOW_POWER, &a));
	cr_assert_str_eq(a.id, "x");
	cr_assert_eq(a.start, MYELON_START_OLDEST);
	cr_assert_eq(a.timeout_ns, 5);
	cr_assert_eq(a.flags, MYELON_F_EINTR);
}

Test(presets, wrong_arguments_are_refused_with_a_sentence)
{
	struct myelon_ring_opts o = MYELON_RING_OPTS(.window = 5), none = {0};
	struct myelon_attach_opts a = {0};
	struct myelon_open_opts t = {0};

	cr_assert_eq(myelon_preset_ring((enum myelon_profile)0, &o), -EINVAL);
	cr_assert_eq(myelon_preset_ring((enum myelon_profile)4, &o), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "profile 4"));
	cr_assert_eq(myelon_preset_ring((enum myelon_profile) - 1, &o), -EINVAL);
	cr_assert_eq(o.window, 5);
	cr_assert_eq(myelon_preset_ring(MYELON_PROFILE_PINNED, NULL), -EINVAL);
	cr_assert_eq(myelon_preset_ring(MYELON_PROFILE_PINNED, &none), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "size is 0"));
	cr_assert_eq(myelon_preset_attach(MYELON_PROFILE_PINNED, &a), -EINVAL);
	cr_assert_eq(myelon_preset_open(MYELON_PROFILE_PINNED, &t), -EINVAL);
}

Test(presets, names_lead_to_profiles_and_back)
{
	for (int i = 0; i < PROFILES; i++)
		cr_assert_eq(myelon_profile_parse(myelon_profile_name(profiles[i])),
		             (int)profiles[i]);
	cr_assert_str_eq(myelon_profile_name(MYELON_PROFILE_LOW_POWER), "low-power");
	cr_assert_null(myelon_profile_name((enum myelon_profile)0));
	cr_assert_null(myelon_profile_name((enum myelon_profile)99));
	cr_assert_eq(myelon_profile_parse("fast"), -EINVAL);
	cr_assert_eq(myelon_profile_parse(""), -EINVAL);
	cr_assert_eq(myelon_profile_parse(NULL), -EINVAL);
}

/* One row of the table: what it says for each profile, in the order of profiles[]. */
struct row {
	const char *option;
	char documented[PROFILES][24];
	char set[PROFILES][24];
};

/* "| `option` ... | a | b | c | why |" */
static bool read_row(const char *text, struct row *row)
{
	char key[40];
	const char *at;

	snprintf(key, sizeof(key), "\n| `%s`", row->option);
	at = strstr(text, key);
	if (!at || !(at = strchr(at + strlen(key), '|')))
		return false;
	return sscanf(at, "| %23[^ |] | %23[^ |] | %23[^ |] |", row->documented[0],
	              row->documented[1], row->documented[2]) == PROFILES;
}

static void set_by(enum myelon_profile profile, int column, struct row *rows)
{
	static const char *const huge[] = {"try", "require", "off"};
	static const char *const fence[] = {"auto", "asym", "full"};
	static const char *const numa[] = {"any", "local", "node"};
	struct myelon_ring_opts o = MYELON_RING_OPTS(.flags = 0);
	struct myelon_open_opts t = MYELON_OPEN_OPTS(.flags = 0);
	struct myelon_attach_opts a = MYELON_ATTACH_OPTS(.flags = 0);
	const char *words[ROWS];
	char window[24];

	cr_ok(myelon_preset_ring(profile, &o));
	cr_ok(myelon_preset_open(profile, &t));
	cr_ok(myelon_preset_attach(profile, &a));
	cr_assert_eq(t.wait, o.wait, "the table has one row for all who wait");
	cr_assert_eq(a.wait, o.wait, "the table has one row for all who wait");
	snprintf(window, sizeof(window), "%u", o.window);
	words[0] = myelon_wait_name((enum myelon_wait)o.wait);
	words[1] = window;
	words[2] = huge[o.huge];
	words[3] = fence[o.fence];
	words[4] = numa[o.numa];
	words[5] = o.flags & MYELON_F_NUMA_STRICT ? "yes" : "no";
	for (int i = 0; i < ROWS; i++)
		snprintf(rows[i].set[column], sizeof(rows[i].set[column]), "%s", words[i]);
	/* And nothing that the table does not have. */
	o.wait = o.window = o.huge = o.fence = o.numa = o.flags = 0;
	a.wait = t.wait = 0;
	cr_assert_eq(memcmp(&o, &MYELON_RING_OPTS(.flags = 0), sizeof(o)), 0);
	cr_assert_eq(memcmp(&a, &MYELON_ATTACH_OPTS(.flags = 0), sizeof(a)), 0);
	cr_assert_eq(memcmp(&t, &MYELON_OPEN_OPTS(.flags = 0), sizeof(t)), 0);
}

Test(presets, values_are_those_of_the_documented_table)
{
	static struct row rows[ROWS] = {{.option = "wait"}, {.option = "window"},
	                                {.option = "huge"}, {.option = "fence"},
	                                {.option = "numa"}, {.option = "MYELON_F_NUMA_STRICT"}};
	static char text[128 << 10];
	FILE *f = fopen(MYELON_SOURCE_DIR "/docs/tuning.md", "r");

	cr_assert_not_null(f);
	cr_assert_gt(fread(text, 1, sizeof(text) - 1, f), 0);
	fclose(f);
	cr_assert_not_null(strstr(text, "\n| option | pinned | numa | low-power |"));
	for (int p = 0; p < PROFILES; p++)
		set_by(profiles[p], p, rows);
	for (int i = 0; i < ROWS; i++) {
		cr_assert(read_row(text, &rows[i]), "no row for %s", rows[i].option);
		for (int p = 0; p < PROFILES; p++)
			cr_assert_str_eq(rows[i].documented[p], rows[i].set[p], "%s of %s",
			                 rows[i].option, myelon_profile_name(profiles[p]));
	}
}
