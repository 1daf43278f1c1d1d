/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The gate and the join handshake in every interleaving, as they are and without one of their steps
 * each. A variant that is not found broken would mean that the model proves nothing.
 */
#include "join_model.h"
#include "verdict.h"

#include <string.h>

#define OVERWRITTEN "message that was overwritten"

/* Sizes: window and slots, step of the ceiling, slots per claim, sequences published. */
#define TINY .window = 2, .slots = 2, .step = 1, .claim = 1, .total = 6
#define UNEVEN .window = 3, .slots = 4, .step = 1, .claim = 2, .total = 8
#define BIG_CLAIM .window = 4, .slots = 4, .step = 2, .claim = 3, .total = 9
#define SHORT .window = 2, .slots = 2, .step = 1, .claim = 1, .total = 5
#define SHORTEST .window = 2, .slots = 2, .step = 1, .claim = 1, .total = 4

#define CONFIG(...) ((struct join_config){__VA_ARGS__})

static struct explore_result result;

static void sound(const char *what, struct join_config config)
{
	join_explore(&config, &result);
	expect_sound(&result, what);
}

static void broken(const char *how, struct join_config config)
{
	enum join_bug bug = config.bug;

	join_explore(&config, &result);
	expect_broken(&result, how);
	/* The same configuration without the bug is sound: it is the bug that was found. */
	config.bug = JOIN_AS_IS;
	join_explore(&config, &result);
	expect_sound(&result, bug == JOIN_AS_IS ? "no bug" : how);
}

static void every_size(struct join_config shape)
{
	const struct join_config sizes[] = {{TINY}, {UNEVEN}, {BIG_CLAIM}};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		shape.window = sizes[i].window;
		shape.slots = sizes[i].slots;
		shape.step = sizes[i].step;
		shape.claim = sizes[i].claim;
		shape.total = sizes[i].total;
		sound("join", shape);
	}
}

Test(model, join_at_oldest_reads_intact_messages_while_another_consumer_leaves)
{
	every_size(CONFIG(.start = JOIN_OLDEST, .other = true, .other_detaches = true));
}

Test(model, join_at_latest_reads_intact_messages_while_another_consumer_leaves)
{
	every_size(CONFIG(.start = JOIN_LATEST, .other = true, .other_detaches = true));
}

Test(model, join_at_oldest_reads_intact_messages_of_an_overwriting_ring)
{
	every_size(CONFIG(.start = JOIN_OLDEST, .other = true, .other_detaches = true,
	                  .overwrite = true));
}

Test(model, join_at_latest_reads_intact_messages_of_an_overwriting_ring)
{
	every_size(CONFIG(.start = JOIN_LATEST, .other = true, .other_detaches = true,
	                  .overwrite = true));
}

Test(model, join_to_a_ring_without_consumers_lets_the_producer_go_on)
{
	sound("alone", CONFIG(SHORT, .start = JOIN_OLDEST, .joiner_leaves = 1, .joiner_deaths = 1));
	sound("alone", CONFIG(SHORT, .start = JOIN_LATEST, .joiner_leaves = 1, .joiner_deaths = 1,
	                      .producer_deaths = 1));
}

Test(model, death_of_joiner_and_producer_at_any_step_leaves_every_message_intact)
{
	sound("oldest", CONFIG(TINY, .start = JOIN_OLDEST, .other = true, .joiner_deaths = 1,
	                       .producer_deaths = 1));
	sound("latest", CONFIG(SHORT, .start = JOIN_LATEST, .other = true, .joiner_deaths = 1,
	                       .producer_deaths = 1, .overwrite = true));
	sound("claims", CONFIG(UNEVEN, .start = JOIN_OLDEST, .other = true, .joiner_deaths = 2));
}

Test(model, entry_used_again_by_another_and_resumed_later_never_gates_wrongly)
{
	sound("reuse", CONFIG(SHORTEST, .start = JOIN_OLDEST, .other = true, .other_detaches = true,
	                      .reuse = true, .joiner_leaves = 1, .joiner_deaths = 1));
	sound("resume", CONFIG(SHORTEST, .start = JOIN_DEFAULT, .other = true, .joiner_leaves = 1,
	                       .joiner_deaths = 1, .overwrite = true));
}

Test(model, hold_loses_nothing_from_the_first_message_on)
{
	sound("hold", CONFIG(UNEVEN, .start = JOIN_DEFAULT, .hold = true, .other = true,
	                     .joiner_deaths = 1, .producer_deaths = 1));
	sound("hold", CONFIG(BIG_CLAIM, .start = JOIN_DEFAULT, .hold = true, .joiner_deaths = 1,
	                     .producer_deaths = 1));
	sound("hold", CONFIG(.window = 3, .slots = 4, .step = 2, .claim = 1, .total = 7,
	                     .start = JOIN_DEFAULT, .hold = true, .joiner_deaths = 1));
}

Test(model, join_is_intact_when_stores_are_delayed_in_buffers)
{
	sound("tiny", CONFIG(SHORT, .start = JOIN_OLDEST, .other = true, .buffers = true,
	                     .joiner_deaths = 1));
	sound("deaths", CONFIG(SHORT, .start = JOIN_LATEST, .other = true, .buffers = true,
	                       .producer_deaths = 1));
	sound("uneven", CONFIG(UNEVEN, .start = JOIN_OLDEST, .other = true, .buffers = true));
}

Test(model, join_that_gates_before_its_cursor_is_stored_is_found_broken)
{
	broken(OVERWRITTEN, CONFIG(SHORT, .start = JOIN_OLDEST, .other = true, .joiner_leaves = 1,
	                           .bug = JOIN_CURSOR_AFTER_STATE));
}

Test(model, gate_without_a_second_look_at_the_generation_is_found_broken)
{
	broken(OVERWRITTEN,
	       CONFIG(TINY, .start = JOIN_OLDEST, .other = true, .bug = JOIN_NO_RECHECK));
}

Test(model, gate_that_does_not_announce_its_ceiling_is_found_broken)
{
	broken(OVERWRITTEN,
	       CONFIG(TINY, .start = JOIN_OLDEST, .other = true, .bug = JOIN_NO_CEILING));
}

Test(model, resume_of_an_unfinished_join_is_found_broken)
{
	broken(OVERWRITTEN, CONFIG(TINY, .start = JOIN_LATEST, .other = true, .joiner_deaths = 1,
	                           .bug = JOIN_RESUME_JOINING));
}

Test(model, ceiling_beyond_the_gate_is_found_to_lose_messages_of_the_hold)
{
	broken("message of the hold is lost",
	       CONFIG(.window = 3, .slots = 4, .step = 2, .claim = 1, .total = 7,
	              .start = JOIN_DEFAULT, .hold = true, .bug = JOIN_BEYOND_GATE));
}

Test(model, gate_kept_while_its_list_is_made_anew_is_found_broken)
{
	broken(OVERWRITTEN,
	       CONFIG(TINY, .start = JOIN_OLDEST, .other = true, .bug = JOIN_STALE_GATE));
}

Test(model, new_producer_that_takes_the_old_ceiling_for_its_limit_is_found_broken)
{
	broken(OVERWRITTEN, CONFIG(UNEVEN, .start = JOIN_OLDEST, .other = true,
	                           .producer_deaths = 1, .bug = JOIN_CEILING_AFTER_RESET));
}

Test(model, gate_without_its_fence_is_found_broken_with_store_buffers)
{
	broken(OVERWRITTEN, CONFIG(SHORT, .start = JOIN_OLDEST, .other = true, .buffers = true,
	                           .bug = JOIN_NO_PRODUCER_FENCE));
}

Test(model, join_without_its_fence_is_found_broken_with_store_buffers)
{
	broken(OVERWRITTEN, CONFIG(SHORT, .start = JOIN_OLDEST, .other = true, .buffers = true,
	                           .bug = JOIN_NO_JOINER_FENCE));
}
