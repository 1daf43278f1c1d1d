/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/**
 * @file presets.h - options for the three deployments that the library is made for.
 *
 *     struct myelon_ring_opts o = MYELON_RING_OPTS(.slot_size = 4096);
 *
 *     myelon_preset_ring(MYELON_PROFILE_PINNED, &o);
 *     o.huge = MYELON_HUGE_REQUIRE;       // what is set afterwards wins
 *     myelon_producer_create(&p, "work", &o);
 *
 * A preset sets the options that its deployment is about and leaves the others alone, so set your
 * own after it. The values, the reasons and the commands that prepare a machine for them are in
 * docs/tuning.md; `myelon doctor --profile NAME` tells whether they were followed.
 *
 * Concurrency: any thread.
 */
#ifndef MYELON_PRESETS_H
#define MYELON_PRESETS_H

#include <myelon/export.h>
#include <myelon/ring.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A deployment. */
enum myelon_profile {
	/** "pinned": a scheduler and 2 to 8 workers, each spinning on a core of its own. */
	MYELON_PROFILE_PINNED = 1,
	/** "numa": several sockets; the memory is on the node of the producer, or it fails. */
	MYELON_PROFILE_NUMA = 2,
	/** "low-power": participants that are mostly idle and sleep in the kernel. */
	MYELON_PROFILE_LOW_POWER = 3,
};

/** Set the options of a new ring. @p opts->size must be set (by its macro). @return 0; -EINVAL. */
MYELON_API int myelon_preset_ring(enum myelon_profile profile, struct myelon_ring_opts *opts);

/** The same for a takeover. */
MYELON_API int myelon_preset_open(enum myelon_profile profile, struct myelon_open_opts *opts);

/** The same for a consumer or an observer. */
MYELON_API int myelon_preset_attach(enum myelon_profile profile, struct myelon_attach_opts *opts);

/** "pinned", "numa", "low-power"; NULL for an unknown value. */
MYELON_API const char *myelon_profile_name(enum myelon_profile profile);

/** The profile of a name of myelon_profile_name(), or -EINVAL. */
MYELON_API int myelon_profile_parse(const char *name);

#ifdef __cplusplus
}
#endif
#endif
