/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "ends.h"
#include "crew.h"
#include "limit.h"

#include <string.h>

#define ATTACH_NS INT64_C(20000000000)

static uint32_t power_of_two(uint64_t n)
{
	uint64_t p = 1;

	while (p < n)
		p *= 2;
	return p > UINT32_MAX / 2 ? UINT32_MAX / 2 + 1 : (uint32_t)p;
}

/* The largest that is not above @n: a ring of frames is not larger in memory than a raw one. */
static uint32_t power_of_two_within(uint64_t n)
{
	uint32_t p = power_of_two(n);

	return p > n ? p / 2 : p;
}

void bench_ring_plan(struct bench_ring *r, const struct bench_options *o,
                     const struct bench_place *place, bool framed)
{
	r->o = o;
	r->place = place;
	r->framed = framed;
	r->payload = o->payload;
	r->consumers = (uint32_t)o->consumers;
	r->producer_wait = bench_producer_wait(o);
	r->backing = o->backing_choice;
	r->node = -1;
	if (framed)
		r->slot = o->slot ? (uint32_t)o->slot : BENCH_SLOT;
	else if (r->payload <= BENCH_SLOT)
		r->slot = power_of_two(r->payload);
	else
		r->slot = (uint32_t)((r->payload + BENCH_SLOT - 1) / BENCH_SLOT * BENCH_SLOT);
	if (!framed && o->slot > r->slot)
		r->slot = (uint32_t)o->slot;
	if (o->window)
		r->window = (uint32_t)o->window;
	else
		r->window = power_of_two_within((uint64_t)bench_window_for(r->payload) *
		                                bench_ring_slots_each(r));
}

uint32_t bench_ring_slots_each(const struct bench_ring *r)
{
	return r->framed ? (uint32_t)((r->payload + BENCH_HEADER + r->slot - 1) / r->slot) : 1;
}

size_t bench_ring_bytes_each(const struct bench_ring *r)
{
	return r->framed ? (size_t)bench_ring_slots_each(r) * r->slot : r->payload;
}

uint32_t bench_ring_messages(const struct bench_ring *r)
{
	uint32_t n = r->window / bench_ring_slots_each(r);

	return n ? n : 1;
}

int bench_library_fail(struct bench_role *role, const char *what)
{
	return bench_fail(role, "%s: %s", what, myelon_last_error());
}

static void keep_info(struct myelon_producer *p, struct bench_role *role)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;

	if (myelon_producer_info(p, &info) < 0)
		return;
	role->backing = info.backing;
	role->page_size = info.page_size;
	role->fence = info.fence;
	memcpy(role->reason, info.reason, sizeof(role->reason));
}

int bench_out_create(struct bench_out *out, const struct bench_ring *r, const char *stem,
                     struct bench_role *role)
{
	struct myelon_ring_opts opts =
		MYELON_RING_OPTS(.slot_size = r->slot, .window = r->window,
	                         .max_consumers = r->consumers + 1, .backing = r->backing,
	                         .wait = r->producer_wait, .hugetlb_dir = bench_place_hugetlb(),
	                         .shm_dir = bench_place_shm(r->place));
	char name[BENCH_NAME];
	int rc;

	bench_place_name(r->place, stem, name);
	memset(out, 0, sizeof(*out));
	if (r->node >= 0) {
		opts.numa = MYELON_NUMA_NODE;
		opts.numa_node = (uint32_t)r->node;
		opts.flags |= MYELON_F_NUMA_STRICT;
	}
	if (r->codec)
		rc = myelon_typed_producer_create(&out->typed, name, &opts, r->codec, 0);
	else if (r->framed)
		rc = myelon_frame_producer_create(&out->framed, name, &opts);
	else
		rc = myelon_producer_create(&out->raw, name, &opts);
	if (rc < 0)
		return bench_library_fail(role, "the ring could not be created");
	if (r->codec)
		out->framed = myelon_typed_producer_frames(out->typed);
	keep_info(r->framed ? myelon_frame_producer_ring(out->framed) : out->raw, role);
	return 0;
}

int bench_in_attach(struct bench_in *in, const struct bench_ring *r, const char *stem,
                    enum myelon_wait wait, struct bench_role *role)
{
	struct myelon_attach_opts opts = MYELON_ATTACH_OPTS(.wait = wait, .timeout_ns = ATTACH_NS,
	                                                    .hugetlb_dir = bench_place_hugetlb(),
	                                                    .shm_dir = bench_place_shm(r->place));
	char name[BENCH_NAME];
	int rc;

	bench_place_name(r->place, stem, name);
	memset(in, 0, sizeof(*in));
	if (r->codec)
		rc = myelon_typed_consumer_attach(&in->typed, name, &opts, r->codec);
	else if (r->framed)
		rc = myelon_frame_consumer_attach(&in->framed, name, &opts);
	else
		rc = myelon_consumer_attach(&in->raw, name, &opts);
	if (rc < 0)
		return bench_library_fail(role, "a consumer could not attach");
	if (r->codec)
		in->framed = myelon_typed_consumer_frames(in->typed);
	return 0;
}

static void keep_stats(struct bench_role *role, const struct myelon_handle_stats *s)
{
	role->waits += s->waits;
	role->parks += s->parks;
	role->wakes += s->wakes;
	role->gathers += s->gathers;
	role->caps_found += s->caps_found;
}

int bench_ends_open(struct bench_out *out, struct bench_in *in, const struct bench_ring *r,
                    unsigned int index, struct bench_role *role)
{
	static const char *const stems[] = {"there", "back"};

	if (bench_out_create(out, r, stems[index], role) < 0)
		return -1;
	return bench_in_attach(in, r, stems[!index], bench_consumer_wait(r->o, 0), role);
}

void bench_out_close(struct bench_out *out, struct bench_role *role)
{
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct myelon_producer *p =
		out->framed ? myelon_frame_producer_ring(out->framed) : out->raw;

	if (p && myelon_producer_stats(p, &stats) == 0)
		keep_stats(role, &stats);
	if (out->typed)
		myelon_typed_producer_close(out->typed);
	else
		myelon_frame_producer_close(out->framed);
	myelon_producer_close(out->raw);
	memset(out, 0, sizeof(*out));
}

void bench_in_close(struct bench_in *in, struct bench_role *role)
{
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct myelon_consumer *c = in->framed ? myelon_frame_consumer_ring(in->framed) : in->raw;

	if (c && myelon_consumer_stats(c, &stats) == 0)
		keep_stats(role, &stats);
	if (in->typed)
		myelon_typed_consumer_close(in->typed);
	else
		myelon_frame_consumer_close(in->framed);
	myelon_consumer_close(in->raw);
	memset(in, 0, sizeof(*in));
}
