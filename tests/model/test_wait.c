/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Parking and waiting for room in every interleaving: no wake-up is lost, nobody waits for ever. */
#include "park_model.h"
#include "space_model.h"
#include "verdict.h"

#include <string.h>

#define STUCK "stuck"

static struct explore_result result;

static void park(struct park_config config, const char *broken)
{
	park_explore(&config, &result);
	if (broken)
		expect_broken(&result, broken);
	else
		expect_sound(&result, "park");
}

#define PARK(...) ((struct park_config){.messages = 3, __VA_ARGS__})

Test(model, park_with_membarrier_loses_no_wake)
{
	park(PARK(.consumers = 1, .fence = PARK_ASYM, .interrupts = 2), NULL);
	park(PARK(.consumers = 2, .fence = PARK_ASYM, .interrupts = 1), NULL);
}

Test(model, park_with_full_fences_loses_no_wake)
{
	park(PARK(.consumers = 1, .fence = PARK_FULL, .interrupts = 2), NULL);
	park(PARK(.consumers = 2, .fence = PARK_FULL, .interrupts = 1), NULL);
}

Test(model, park_of_a_publisher_that_is_not_registered_loses_no_wake)
{
	park(PARK(.consumers = 2, .fence = PARK_UNREGISTERED), NULL);
}

Test(model, park_without_membarrier_and_fence_is_found_to_lose_a_wake)
{
	park(PARK(.consumers = 1, .fence = PARK_LIGHT_ONLY), STUCK);
}

Test(model, sleep_again_without_announcing_is_found_to_lose_a_wake)
{
	park(PARK(.consumers = 1, .interrupts = 2, .bug = PARK_INNER_LOOP), STUCK);
}

Test(model, doorbell_read_after_the_check_is_found_to_lose_a_wake)
{
	park(PARK(.consumers = 1, .bug = PARK_LATE_BELL), STUCK);
}

Test(model, park_without_a_second_look_is_found_to_lose_a_wake)
{
	park(PARK(.consumers = 1, .bug = PARK_NO_CHECK), STUCK);
}

Test(model, flag_taken_after_the_wake_is_found_to_lose_a_wake)
{
	park(PARK(.consumers = 1, .bug = PARK_FLAG_LAST), STUCK);
}

static void rings(struct rings_config config, const char *broken)
{
	rings_explore(&config, &result);
	if (broken)
		expect_broken(&result, broken);
	else
		expect_sound(&result, "two rings");
}

/* As many under way as two windows and one in hand. */
#define RINGS(w, ask_for)                                                                          \
	((struct rings_config){.window = (w),                                                      \
	                       .more = (w) / 4,                                                    \
	                       .under_way = 2 * (w) + 1,                                           \
	                       .messages = 3 * (w) + 1,                                            \
	                       .ask = (ask_for)})

Test(model, two_full_rings_go_on_when_producers_ask_for_more_during_1_ms)
{
	rings(RINGS(4, SPACE_MORE_1_MS), NULL);
	rings(RINGS(8, SPACE_MORE_1_MS), NULL);
}

Test(model, two_full_rings_go_on_when_producers_ask_for_the_need)
{
	rings(RINGS(4, SPACE_EXACT), NULL);
}

Test(model, two_full_rings_are_found_stuck_when_producers_ask_for_more_without_a_limit)
{
	rings(RINGS(4, SPACE_MORE_FOR_EVER), STUCK);
}

static void releases(struct release_config config, const char *broken)
{
	release_explore(&config, &result);
	if (broken)
		expect_broken(&result, broken);
	else
		expect_sound(&result, "releases");
}

#define RELEASES(...) ((struct release_config){.window = 3, .messages = 8, .batch = 3, __VA_ARGS__})

Test(model, blocked_producer_is_woken_by_the_slowest_of_two_consumers)
{
	releases(RELEASES(.bug = RELEASE_AS_IS), NULL);
}

Test(model, blocked_producer_without_membarrier_is_found_stuck)
{
	releases(RELEASES(.bug = RELEASE_NO_BARRIER), STUCK);
}

Test(model, consumers_that_leave_the_bell_to_the_last_one_are_found_stuck)
{
	releases(RELEASES(.bug = RELEASE_LAST_RINGS), STUCK);
}

Test(model, release_that_jumps_over_the_target_in_silence_is_found_stuck)
{
	releases(RELEASES(.bug = RELEASE_ONLY_AT), STUCK);
}

Test(model, target_stored_after_the_last_look_is_found_stuck)
{
	releases(RELEASES(.bug = RELEASE_TARGET_LATE), STUCK);
}
