/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where the pages of a ring are now: since create somebody may have moved them. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/error.h"
#include "numa/placement.h"
#include "segment/segment.h"

/* What the header says was asked for. */
static struct mye_numa_want asked(const struct mye_header *h)
{
	struct mye_numa_want want = {.mode = h->numa, .node = h->node_asked};

	want.nodes.word[0] = h->nodes_asked;
	if (h->node_asked >= 64 && h->node_asked < MYE_NUMA_NODES)
		mye_nodes_add(&want.nodes, h->node_asked);
	for (int i = 0; i < MYE_NODE_WORDS; i++)
		want.count += (uint32_t)__builtin_popcountll(want.nodes.word[i]);
	return want;
}

int mye_segment_verify(const struct mye_segment *seg, struct myelon_ring_info *info)
{
	const struct mye_header *h = &seg->header;
	struct mye_numa_want want = asked(h);
	struct mye_census census, control;
	uint64_t wrong;

	mye_numa_count(seg->data, h->data_bytes, h->data_page, &census);
	if (!census.known)
		return mye_fail(-ENOTSUP,
		                "nobody tells where the pages of ring %s are: move_pages is denied "
		                "and /proc/self/numa_maps has nothing",
		                seg->place.name);
	mye_numa_count(seg->control, h->control_bytes, h->page_unit, &control);
	mye_segment_describe(seg, info);
	info->node_obtained = mye_census_node(&census);
	info->control_node = mye_census_node(&control);
	info->data_pages = census.pages;
	info->other_pages = census.other;
	info->absent_pages = census.absent;
	memcpy(info->node_pages, census.node, sizeof(info->node_pages));
	wrong = mye_census_wrong(&census, &want);
	if (want.node >= 0 && control.known)
		wrong += mye_census_wrong(&control, &want);
	return wrong > INT_MAX ? INT_MAX : (int)wrong;
}
