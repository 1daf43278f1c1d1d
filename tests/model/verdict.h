/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What a test asks of an exploration. */
#ifndef MYELON_TEST_VERDICT_H
#define MYELON_TEST_VERDICT_H

#include <criterion/criterion.h>
#include <stdio.h>

#include "explore.h"

/* The protocol holds in every state there is. */
static inline void expect_sound(const struct explore_result *r, const char *what)
{
	cr_assert(r->complete, "%s: more than %zu states, nothing is proved", what, r->states);
	cr_assert_str_empty(r->violation, "%s: %s\n%s", what, r->violation, r->trace);
	cr_assert_gt(r->states, 10, "%s: only %zu states: the model does not move", what,
	             r->states);
}

/* A broken variant is seen to be broken, and in the way that is meant. */
static inline void expect_broken(const struct explore_result *r, const char *how)
{
	cr_assert_not_null(strstr(r->violation, how),
	                   "wanted \"%s\", but %zu states gave \"%s\"\n%s", how, r->states,
	                   r->violation, r->trace);
}

#endif
