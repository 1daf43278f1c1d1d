/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "kill_at.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kit.h"
#include "sys/points.h"

#define WATCHDOG 60

static unsigned long armed;

void kill_from_here(void)
{
	mye_points_kill_in(armed);
}

int kill_actor_main(int argc, char **argv, const struct kill_scenario *table, size_t count)
{
	if (argc != 4)
		return 120;
	armed = strtoul(argv[3], NULL, 10);
	for (size_t i = 0; i < count; i++) {
		int rc;

		if (strcmp(table[i].name, argv[1]) != 0)
			continue;
		rc = table[i].run(argv[2]);
		mye_points_kill_in(0);
		return rc;
	}
	fprintf(stderr, "no scenario '%s'\n", argv[1]);
	return 121;
}

static int fail(struct kill_test *t, unsigned int n, const char *step, int rc)
{
	char found[256];

	snprintf(found, sizeof(found), "%.255s", t->what);
	snprintf(t->what, sizeof(t->what), "%s, point %u, %s: %d %s", t->scenario, n, step, rc,
	         found);
	return -1;
}

static int one_run(struct kill_test *t, unsigned int n)
{
	struct kit_actor a;
	char number[16];
	int rc;

	t->what[0] = '\0';
	if (t->before && (rc = t->before(t->ctx)) != 0)
		return fail(t, n, "before", rc);
	snprintf(number, sizeof(number), "%u", n);
	/* Not through the environment: a thread of the scenario may be reading it. */
	rc = kit_spawn(&a, t->actor, t->scenario, t->ring, number, NULL);
	if (rc < 0)
		return fail(t, n, "spawn", rc);
	rc = kit_wait(&a, WATCHDOG);
	if (rc != 0 && rc != -SIGKILL)
		return fail(t, n, "the actor's end", rc);
	if (t->after) {
		int found = t->after(t->ctx, rc != 0);

		if (found != 0)
			return fail(t, n, rc ? "after the kill" : "after it lived", found);
	}
	return rc == 0 ? 0 : 1;
}

static int wait_for_signal(void *arg)
{
	(void)arg;
	return pause();
}

/* The kit prints what an actor wrote that died of another signal than the last one it sent. */
static void expect_sigkill(void)
{
	struct kit_actor a;

	if (kit_fork(&a, wait_for_signal, NULL) < 0)
		return;
	kit_kill(&a, SIGKILL);
	kit_wait(&a, WATCHDOG);
}

int kill_at_every_point(struct kill_test *t)
{
	unsigned int max = t->max ? t->max : 2000;

	expect_sigkill();
	for (unsigned int n = 1; n <= max; n++) {
		int rc = one_run(t, n);

		if (rc <= 0)
			return rc < 0 ? rc : (int)n - 1;
	}
	return fail(t, max, "never got through alive", 0);
}
