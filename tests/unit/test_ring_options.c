/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Option and info structs: defaults, growth, and values that are none. */
#include "ring_kit.h"

#include <stdlib.h>
#include <string.h>

static int create(const struct myelon_ring_opts *opts)
{
	char name[KIT_NAME];
	struct myelon_producer *p;
	int rc = myelon_producer_create(&p, kit_ring_name(name, "opts"), opts);

	if (rc < 0) {
		cr_assert_null(p);
		cr_assert_neq(myelon_last_error()[0], '\0');
		cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0);
	} else {
		myelon_producer_close(p);
	}
	return rc;
}

/* A copy of @opts as a newer program has it: @extra bytes longer, the last of which is @last. */
static void *grown(const void *opts, size_t size, uint32_t extra, char last)
{
	char *big = calloc(1, size + extra);

	memcpy(big, opts, size);
	*(uint32_t *)(void *)big = (uint32_t)size + extra;
	big[size + extra - 1] = last;
	return big;
}

Test(options, null_means_all_defaults)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, NULL);

	cr_ok(myelon_producer_info(p, &info));
	cr_assert_eq(info.slot_size, 64);
	cr_assert_eq(info.window, 1024);
	cr_assert_eq(info.max_consumers, 64);
	cr_assert_eq(info.kind, MYELON_KIND_RAW);
	cr_assert_eq(info.unattended, MYELON_UNATTENDED_BLOCK);
	cr_assert_eq(info.epoch, 1);
	cr_assert_eq(info.published, -1);
	cr_assert_eq(info.producer_state, MYELON_PEER_ALIVE);
	cr_assert_str_eq(info.name, name);
	cr_assert_neq(info.reason[0], '\0');
	ring_close(p, NULL);
}

Test(options, longer_struct_of_a_newer_program_is_taken_if_the_rest_is_zero)
{
	struct myelon_ring_opts *o = grown(SMALL(), sizeof(*o), 24, 0);
	struct myelon_attach_opts *a = grown(WITH(.id = "x"), sizeof(*a), 24, 0);
	struct myelon_consumer *c;
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, o);

	c = ring_join(name, a);
	cr_assert_str_eq(myelon_consumer_id(c), "x");
	ring_close(p, c);
	free(o);
	free(a);
}

Test(options, option_this_library_does_not_know_is_e2big)
{
	struct myelon_ring_opts *o = grown(SMALL(), sizeof(*o), 24, 1);

	cr_assert_eq(create(o), -E2BIG);
	free(o);
}

Test(options, size_that_was_not_set_is_refused)
{
	struct myelon_ring_opts none = {.window = 8}, huge = {.size = 1u << 20};
	struct myelon_ring_info info = {.size = 0};
	struct myelon_handle_stats stats = {.size = 3};
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());

	cr_assert_eq(myelon_producer_info(p, &info), -EINVAL);
	cr_assert_eq(myelon_producer_info(p, NULL), -EINVAL);
	cr_assert_eq(myelon_producer_stats(p, &stats), -EINVAL);
	ring_close(p, NULL);
	cr_assert_eq(create(&none), -EINVAL);
	cr_assert_eq(create(&huge), -E2BIG);
}

Test(options, shorter_info_of_an_older_program_is_filled_as_far_as_it_goes)
{
	union {
		struct myelon_handle_stats s;
		unsigned char bytes[sizeof(struct myelon_handle_stats)];
	} u;
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());

	memset(&u, 0xee, sizeof(u));
	u.s.size = 16;
	cr_ok(myelon_producer_stats(p, &u.s));
	cr_assert_eq(u.s.size, 16);
	cr_assert_eq(u.s.waits, 0);
	for (size_t i = 16; i < sizeof(u); i++)
		cr_assert_eq(u.bytes[i], 0xee);
	ring_close(p, NULL);
}

Test(options, values_out_of_range_are_refused)
{
	static const char *const ids[] = {"a", NULL};

	cr_assert_eq(create(RING(65, 8)), -EINVAL);
	cr_assert_eq(create(RING(3, 8)), -EINVAL);
	cr_assert_eq(create(RING(96, 8)), -EINVAL);
	cr_assert_lt(create(RING(64, (1u << 30) + 1)), 0);
	cr_assert_lt(create(RING(1u << 31, 1u << 30)), 0);
	cr_assert_lt(create(RING(UINT32_MAX, UINT32_MAX)), 0);
	cr_assert_eq(create(SMALL(.max_consumers = 1025)), -EINVAL);
	cr_assert_eq(create(SMALL(.wait = 99)), -EINVAL);
	cr_assert_eq(create(SMALL(.fence = 99)), -EINVAL);
	cr_assert_eq(create(SMALL(.unattended = 99)), -EINVAL);
	cr_assert_eq(create(SMALL(.numa = 99)), -EINVAL);
	cr_assert_eq(create(&MYELON_RING_OPTS(.backing = 99)), -EINVAL);
	cr_assert_eq(create(&MYELON_RING_OPTS(.huge = 99)), -EINVAL);
	cr_assert_eq(create(&MYELON_RING_OPTS(.backing = MYELON_BACKING_FILE)), -EINVAL);
	cr_assert_lt(create(SMALL(.flags = 1u << 31)), 0, "an unknown flag is no wish granted");
	cr_assert_eq(create(SMALL(.buffer_until = 65)), -EINVAL);
	cr_assert_eq(create(SMALL(.buffer_until = 1, .buffer_max = 9)), -EINVAL);
	cr_assert_eq(create(SMALL(.wait_for.count = 65)), -EINVAL);
	cr_assert_eq(create(SMALL(.wait_for.prefix_count = 1)), -EINVAL);
	cr_assert_eq(create(SMALL(.wait_for.id_count = 1)), -EINVAL);
	cr_assert_eq(create(SMALL(.wait_for = {.id_count = 2, .ids = ids})), -EINVAL);
}

Test(options, attach_values_out_of_range_are_refused)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL()), *q;
	struct myelon_consumer *c;
	struct myelon_observer *o;

	cr_assert_eq(myelon_consumer_attach(&c, name, WITH(.wait = 99)), -EINVAL);
	cr_assert_eq(myelon_consumer_attach(&c, name, WITH(.start = 99)), -EINVAL);
	cr_assert_eq(myelon_consumer_attach(NULL, name, NULL), -EINVAL);
	cr_assert_eq(myelon_consumer_attach(&c, NULL, NULL), -EINVAL);
	cr_assert_eq(myelon_observer_attach(&o, name, WITH(.wait = 99)), -EINVAL);
	cr_assert_eq(myelon_observer_attach(NULL, name, NULL), -EINVAL);
	cr_assert_eq(myelon_producer_create(NULL, name, NULL), -EINVAL);
	cr_assert_eq(myelon_producer_create(&q, NULL, NULL), -EINVAL);
	cr_assert_eq(myelon_producer_open(NULL, name, NULL), -EINVAL);
	cr_assert_eq(myelon_producer_open(&q, name, &MYELON_OPEN_OPTS(.wait = 99)), -EINVAL);
	ring_close(p, NULL);
}
