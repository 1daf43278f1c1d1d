/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a new ring may look like. */
#include <errno.h>

#include "base/error.h"
#include "segment/control.h"

#define CREATE_FLAGS                                                                               \
	(MYELON_F_REPLACE_DEAD | MYELON_F_KEEP | MYELON_F_GROUP | MYELON_F_EINTR |                 \
	 MYELON_F_ANY_OWNER | MYELON_F_NUMA_STRICT | MYELON_F_LEASE)

int mye_slot_size_check(uint32_t slot_size, uint32_t window, uint32_t kind, const char **why)
{
	bool small = slot_size < 64 && slot_size && (slot_size & (slot_size - 1)) == 0;

	if (!small && (slot_size == 0 || slot_size % 64 != 0)) {
		*why = "it must be a multiple of 64, or 1, 2, 4, 8, 16 or 32";
		return -EINVAL;
	}
	if (kind == MYELON_KIND_FRAMED && slot_size % 16 != 0) {
		*why = "a framed ring needs a multiple of 16";
		return -EINVAL;
	}
	if (kind == MYELON_KIND_FRAMED && window < 2) {
		*why = "a framed ring needs a window of at least 2 slots";
		return -EINVAL;
	}
	return 0;
}

static int in_range(const char *option, uint64_t value, uint64_t min, uint64_t max)
{
	if (value >= min && value <= max)
		return 0;
	return mye_fail(-EINVAL, "option %s is %llu: %llu to %llu is possible", option,
	                (unsigned long long)value, (unsigned long long)min,
	                (unsigned long long)max);
}

uint64_t mye_wait_for_total(const struct myelon_wait_for *whom)
{
	uint64_t named = (uint64_t)whom->prefix_count + whom->id_count;

	return whom->count > named ? whom->count : named;
}

/* The ids and the prefix are the ring's to check; the table must be large enough for them. */
static int check_wait_for(const struct myelon_ring_opts *o)
{
	if (mye_wait_for_total(&o->wait_for) > o->max_consumers)
		return mye_fail(
			-EINVAL, "option wait_for asks for %llu consumers, max_consumers is %u",
			(unsigned long long)mye_wait_for_total(&o->wait_for), o->max_consumers);
	if (o->wait_timeout_ns < 0)
		return mye_fail(-EINVAL, "option wait_timeout_ns is %lld: it must not be negative",
		                (long long)o->wait_timeout_ns);
	return 0;
}

static int check_backing(struct myelon_ring_opts *o, const struct mye_place *place)
{
	if (place->plain && o->backing == MYELON_BACKING_AUTO)
		o->backing = MYELON_BACKING_FILE;
	if (place->plain != (o->backing == MYELON_BACKING_FILE))
		return mye_fail(
			-EINVAL,
			place->plain
				? "the name '%s' is a path, so option backing can only be "
				  "MYELON_BACKING_FILE"
				: "option backing is MYELON_BACKING_FILE, but the name '%s' is "
				  "not a path: put a '/' into it",
			place->name);
	if (o->huge == MYELON_HUGE_REQUIRE && o->backing != MYELON_BACKING_AUTO &&
	    o->backing != MYELON_BACKING_HUGETLB && o->backing != MYELON_BACKING_SHM_THP &&
	    o->backing != MYELON_BACKING_MEMFD)
		return mye_fail_static(-EINVAL,
		                       "option huge is MYELON_HUGE_REQUIRE, but the backing "
		                       "asked for has no huge pages");
	if (o->huge == MYELON_HUGE_OFF &&
	    (o->backing == MYELON_BACKING_HUGETLB || o->backing == MYELON_BACKING_SHM_THP))
		return mye_fail_static(-EINVAL,
		                       "option huge is MYELON_HUGE_OFF, but the backing asked "
		                       "for is one of huge pages");
	if (o->backing == MYELON_BACKING_MEMFD && (o->flags & MYELON_F_KEEP))
		return mye_fail_static(-EINVAL,
		                       "option flags has MYELON_F_KEEP, but a memfd ring ends with "
		                       "its producer: there is nothing to keep");
	if (o->page_size & (o->page_size - 1))
		return mye_fail(-EINVAL, "option page_size is %llu: it must be a power of two",
		                (unsigned long long)o->page_size);
	return 0;
}

static int check_enums(const struct myelon_ring_opts *o)
{
	int rc = in_range("backing", o->backing, 0, MYELON_BACKING_MEMFD);

	if (rc == 0)
		rc = in_range("huge", o->huge, 0, MYELON_HUGE_OFF);
	if (rc == 0)
		rc = in_range("unattended", o->unattended, 0, MYELON_UNATTENDED_OVERWRITE);
	if (rc == 0)
		rc = in_range("fence", o->fence, 0, MYELON_FENCE_FULL);
	if (rc == 0)
		rc = in_range("wait", o->wait, 0, MYELON_WAIT_PARK);
	if (rc == 0)
		rc = in_range("numa", o->numa, 0, MYELON_NUMA_INTERLEAVE);
	if (rc == 0 && o->numa == MYELON_NUMA_NODE)
		rc = in_range("numa_node", o->numa_node, 0, INT32_MAX);
	return rc;
}

int mye_options_check(struct myelon_ring_opts *o, const struct mye_place *place,
                      enum myelon_kind kind)
{
	const char *why;
	int rc;

	if (o->flags & ~CREATE_FLAGS)
		return mye_fail(-EINVAL,
		                "option flags has the bits 0x%x, which create does not know",
		                o->flags & ~CREATE_FLAGS);
	o->slot_size = o->slot_size ? o->slot_size : 64;
	o->window = o->window ? o->window : 1024;
	o->max_consumers = o->max_consumers ? o->max_consumers : 64;
	rc = check_enums(o);
	if (rc == 0)
		rc = in_range("kind", kind, MYELON_KIND_RAW, MYELON_KIND_FRAMED);
	if (rc == 0)
		rc = in_range("window", o->window, 1, MYE_WINDOW_MAX);
	if (rc == 0)
		rc = in_range("max_consumers", o->max_consumers, 1, MYELON_MAX_CONSUMERS);
	if (rc == 0)
		rc = in_range("buffer_until", o->buffer_until, 0, o->max_consumers);
	if (rc == 0)
		rc = in_range("buffer_max", o->buffer_max, 0, o->window);
	if (rc < 0)
		return rc;
	if (mye_slot_size_check(o->slot_size, o->window, kind, &why) < 0)
		return mye_fail(-EINVAL, "option slot_size is %u (window %u): %s", o->slot_size,
		                o->window, why);
	if (o->window > MYE_DATA_MAX / o->slot_size)
		return mye_fail(-EMSGSIZE,
		                "%u slots of %u bytes are more than the %llu bytes a ring "
		                "may have",
		                o->window, o->slot_size, (unsigned long long)MYE_DATA_MAX);
	rc = check_backing(o, place);
	return rc < 0 ? rc : check_wait_for(o);
}
