/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Kill at every point: an actor is run again and again and dies at the 1st, 2nd,
 * 3rd... point of its scenario, until it gets through alive. After each run the
 * test looks at what is left.
 *
 * The actor's side: main() is kill_actor_main() with a table of scenarios, each
 * one function of (ring name) -> exit code. What it does before it calls
 * kill_from_here() is set-up and never dies.
 */
#ifndef KILL_AT_H
#define KILL_AT_H

#include <stdbool.h>
#include <stddef.h>

#define KILL_FD 200 /* a descriptor that a test leaves to its actors */

struct kill_scenario {
	const char *name;
	int (*run)(const char *ring);
};

/* In the actor: `actor SCENARIO RING`. @return its exit code, 120 and up: not the scenario's. */
int kill_actor_main(int argc, char **argv, const struct kill_scenario *table, size_t count);
void kill_from_here(void);

/*
 * In the test. Both callbacks may be NULL; they return 0 or a number that names what is wrong, and
 * may leave a sentence in @p what.
 */
struct kill_test {
	const char *actor, *scenario, *ring;
	int (*before)(void *ctx);
	int (*after)(void *ctx, bool killed);
	void *ctx;
	unsigned int max; /* more points than that is a runaway; 0: 2000 */
	char what[512];   /* out: what went wrong, and at which point */
};

/* @return points survived, > 0; negative: see what. */
int kill_at_every_point(struct kill_test *t);

#endif
