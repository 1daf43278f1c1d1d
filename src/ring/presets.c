/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The options of the three deployments; docs/tuning.md has the same values in a table. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <myelon/presets.h>

#include "base/error.h"
#include "ring/call.h"

struct preset {
	const char *name;
	uint32_t wait; /* of everybody */
	uint32_t window, huge, fence, numa, flags;
};

static const struct preset presets[] = {
	/* Everybody has a core and keeps it: polling answers fastest, with the pause hint so that a
	 * sibling thread and the memory pipeline are not drowned. Nobody parks, so publish need not be
	 * cheap at the expense of a membarrier that interrupts isolated cores. The window is the
	 * smallest at which the fence per eighth of it does not show; 64-byte slots then stay in the L2
	 * cache. A page on another node would cost at every lap: better no ring. */
	[MYELON_PROFILE_PINNED] = {.name = "pinned",
                                   .wait = MYELON_WAIT_SPIN_PAUSE,
                                   .window = 1024,
                                   .huge = MYELON_HUGE_TRY,
                                   .fence = MYELON_FENCE_FULL,
                                   .numa = MYELON_NUMA_LOCAL,
                                   .flags = MYELON_F_NUMA_STRICT},
	/* A cursor that comes from another socket takes several times as long: a larger window asks for
	 * it less often. Adaptive, because a large machine is seldom one's own. */
	[MYELON_PROFILE_NUMA] = {.name = "numa",
                                 .wait = MYELON_WAIT_ADAPTIVE,
                                 .window = 4096,
                                 .huge = MYELON_HUGE_TRY,
                                 .fence = MYELON_FENCE_AUTO,
                                 .numa = MYELON_NUMA_LOCAL,
                                 .flags = MYELON_F_NUMA_STRICT},
	/* Asleep after nearly every message. A fence of publish disappears beside the wake that follows
	 * it; a membarrier per sleep would interrupt others, and who is forbidden to call it may not
	 * sleep for long. A pool page taken is taken from everybody, and an idle ring has no use for it. */
	[MYELON_PROFILE_LOW_POWER] = {.name = "low-power",
                                      .wait = MYELON_WAIT_PARK,
                                      .window = 1024,
                                      .huge = MYELON_HUGE_OFF,
                                      .fence = MYELON_FENCE_FULL,
                                      .numa = MYELON_NUMA_ANY},
};

static const size_t preset_count = sizeof(presets) / sizeof(presets[0]);

static const struct preset *find(enum myelon_profile profile)
{
	const struct preset *p = (unsigned int)profile < preset_count ? &presets[profile] : NULL;

	return p && p->name ? p : NULL;
}

static int no_options(void)
{
	return mye_fail_static(-EINVAL, "the options for a preset to set are NULL");
}

/* The options that are set have been there from the first version on. */
static int check(const struct preset *p, enum myelon_profile profile, uint32_t size, size_t first)
{
	if (!p)
		return mye_fail(-EINVAL, "profile %d does not exist: pass MYELON_PROFILE_*",
		                (int)profile);
	if (size < first)
		return mye_fail(-EINVAL,
		                "options for a preset: size is %u, the smallest is %zu: initialise "
		                "them with their macro",
		                size, first);
	return 0;
}

int myelon_preset_ring(enum myelon_profile profile, struct myelon_ring_opts *opts)
{
	const struct preset *p = find(profile);
	int rc;

	if (!opts)
		return no_options();
	rc = check(p, profile, opts->size, MYE_RING_OPTS_FIRST);
	if (rc < 0)
		return rc;
	opts->wait = p->wait;
	opts->window = p->window;
	opts->huge = p->huge;
	opts->fence = p->fence;
	opts->numa = p->numa;
	opts->flags = (opts->flags & ~MYELON_F_NUMA_STRICT) | p->flags;
	return 0;
}

int myelon_preset_open(enum myelon_profile profile, struct myelon_open_opts *opts)
{
	const struct preset *p = find(profile);
	int rc;

	if (!opts)
		return no_options();
	rc = check(p, profile, opts->size, MYE_OPEN_OPTS_FIRST);
	if (rc == 0)
		opts->wait = p->wait;
	return rc;
}

int myelon_preset_attach(enum myelon_profile profile, struct myelon_attach_opts *opts)
{
	const struct preset *p = find(profile);
	int rc;

	if (!opts)
		return no_options();
	rc = check(p, profile, opts->size, MYE_ATTACH_OPTS_FIRST);
	if (rc == 0)
		opts->wait = p->wait;
	return rc;
}

const char *myelon_profile_name(enum myelon_profile profile)
{
	const struct preset *p = find(profile);

	return p ? p->name : NULL;
}

int myelon_profile_parse(const char *name)
{
	for (size_t i = 0; name && i < preset_count; i++)
		if (presets[i].name && !strcmp(name, presets[i].name))
			return (int)i;
	return -EINVAL;
}
