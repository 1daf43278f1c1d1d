/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "kit.h"

#include <criterion/criterion.h>

void kit_skip(const char *what, const char *why)
{
	if (kit_required(what))
		cr_assert_fail("%s is required here: %s", what, why);
	/* The runner turns Criterion's own line into the list of skips. */
	cr_skip_test("%s: %s", what, why);
}
